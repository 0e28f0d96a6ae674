"""Registrations (регистрации ТСП): how a merchant comes to take SBP payments through one bank.

Nobody but the bank registers a merchant with NSPK, so this is paperwork with an end: data is
gathered, the bank is asked, and the numbers it gives are written down. At each moment the
registration says what is missing and what to do next.
Source: https://sbp.nspk.ru/faq/business/; the agent API has no call that registers a merchant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sbp_gateway.errors import RegistrationFixed, RegistrationIncomplete, RegistrationNotAllowed
from sbp_gateway.merchants import SbpMerchant, SettlementMode

FIRST_LOOK_UP_WAIT = timedelta(seconds=10)
LOOK_UP_WAIT_MAX = timedelta(hours=1)
"""Banks take from minutes to days; NSPK's directory is asked no more often."""


class RegistrationStatus(StrEnum):
    """Where a registration stands."""

    DATA_MISSING = "data_missing"
    """The bank could not be asked yet: ``missing`` says what is not there."""
    READY = "ready"
    """All data is there."""
    SENT_TO_BANK = "sent_to_bank"
    """The bank has the papers. We look in NSPK's directory from time to time."""
    REFUSED = "refused"
    """The bank said no. The data may be put right and sent again."""
    REGISTERED = "registered"
    """The bank registered the merchant: payments may be taken."""
    SUSPENDED = "suspended"
    """No payments are taken for the time being."""
    CLOSED = "closed"
    """Over. Kept, because refunds of its payments still go by it. Final."""


ALLOWED: dict[RegistrationStatus, frozenset[RegistrationStatus]] = {
    RegistrationStatus.DATA_MISSING: frozenset({RegistrationStatus.READY, RegistrationStatus.CLOSED}),
    RegistrationStatus.READY: frozenset({
        RegistrationStatus.DATA_MISSING, RegistrationStatus.SENT_TO_BANK, RegistrationStatus.REGISTERED,
        RegistrationStatus.CLOSED,
    }),
    RegistrationStatus.SENT_TO_BANK: frozenset({
        RegistrationStatus.REFUSED, RegistrationStatus.REGISTERED, RegistrationStatus.CLOSED,
    }),
    RegistrationStatus.REFUSED: frozenset({
        RegistrationStatus.DATA_MISSING, RegistrationStatus.READY, RegistrationStatus.CLOSED,
    }),
    RegistrationStatus.REGISTERED: frozenset({RegistrationStatus.SUSPENDED, RegistrationStatus.CLOSED}),
    RegistrationStatus.SUSPENDED: frozenset({RegistrationStatus.REGISTERED, RegistrationStatus.CLOSED}),
    RegistrationStatus.CLOSED: frozenset(),
}  # fmt: skip
GATHERING = frozenset({RegistrationStatus.DATA_MISSING, RegistrationStatus.READY, RegistrationStatus.REFUSED})
"""While the data may be changed."""
AWAITED = frozenset({RegistrationStatus.READY, RegistrationStatus.SENT_TO_BANK})
"""While the bank's numbers may come: a merchant that the bank registered before it came to us needs no papers."""

MISSING = {
    "ogrn": "Не указан ОГРН (13 цифр) или ОГРНИП предпринимателя (15 цифр).",
    "bank_account": "Не указан расчётный счёт в этом банке: 20 цифр, ключ сверяется с БИК.",
    "mcc": "Не указан MCC: 4 цифры, вид деятельности продавца.",
    "tariff_group": "Не указана тарифная группа.",
    "contact_name": "Не указано контактное лицо.",
    "contact_phone": "Не указан телефон контактного лица: +7 и 10 цифр.",
    "contact_email": "Не указана почта контактного лица.",
}
"""What a bank asks for, and what is said while it is not there."""

NEXT_STEP = {
    RegistrationStatus.DATA_MISSING: ("fill_in_data", "Заполните недостающие данные."),
    RegistrationStatus.READY: ("submit", "Отправьте заявку в банк, затем отметьте это (submit)."),
    RegistrationStatus.SENT_TO_BANK: (
        "await_bank",
        "Банк рассматривает заявку. Сообщённые им merchantId и memberId введите (confirm) или найдите (look-up).",
    ),
    RegistrationStatus.REFUSED: ("correct_data", "Банк отказал. Исправьте данные и отправьте заявку снова."),
    RegistrationStatus.REGISTERED: ("take_payments", "Продавец зарегистрирован: можно принимать платежи."),
    RegistrationStatus.SUSPENDED: ("resume", "Приём платежей приостановлен. Возобновите его, когда можно."),
    RegistrationStatus.CLOSED: ("register_anew", "Регистрация закрыта. Создайте новую."),
}
NOT_BEGUN = ("register_merchant", "Продавец не подключён к СБП. Создайте регистрацию в его банке.")
"""The next step of a merchant without any registration."""


class MerchantSource(StrEnum):
    """How the bank's numbers came to us."""

    ENTERED = "entered"
    """A person typed them in."""
    LOOKED_UP = "looked_up"
    """Found in NSPK's directory by OGRN and BIK."""
    SANDBOX = "sandbox"
    """Made up: the merchant lives in a sandbox only."""


@dataclass(frozen=True, slots=True)
class RegistrationData:
    """What a bank asks for. Every field may still be missing."""

    ogrn: str | None = None
    bank_account: str | None = None
    mcc: str | None = None
    tariff_group: str | None = None
    settlement_mode: SettlementMode = SettlementMode.COLLECTED
    contact_name: str | None = None
    contact_phone: str | None = None
    contact_email: str | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of what is not there yet."""
        return tuple(name for name in MISSING if getattr(self, name) is None)


@dataclass(frozen=True, slots=True)
class NspkNumbers:
    """What the bank tells when it has registered a merchant."""

    nspk_merchant_id: str
    member_id: str
    learnt_by: MerchantSource
    registered_at: datetime


@dataclass(frozen=True, slots=True)
class MerchantRegistration:
    """A merchant's way to SBP through one bank."""

    id: str
    merchant_id: str
    bik: str
    status: RegistrationStatus
    data: RegistrationData
    numbers: NspkNumbers | None
    reason: str | None
    """Why the bank refused, or why payments are suspended."""
    created_at: datetime
    sent_at: datetime | None
    closed_at: datetime | None
    look_ups: int
    next_look_up_at: datetime | None
    version: int

    @property
    def next_step(self) -> tuple[str, str]:
        """A stable code, and what to do in Russian."""
        return NEXT_STEP[self.status]

    @property
    def as_merchant(self) -> SbpMerchant:
        """What payments go by. Only of a registration with the bank's numbers."""
        assert self.numbers is not None
        assert self.data.bank_account is not None
        return SbpMerchant(
            self.merchant_id, self.numbers.nspk_merchant_id, self.numbers.member_id, self.data.bank_account,
            self.data.settlement_mode, self.id, self.data.tariff_group,
        )  # fmt: skip


def advance(
    registration: MerchantRegistration, to: RegistrationStatus, *, reason: str | None = None
) -> MerchantRegistration:
    """The registration in its next status.

    Raises: RegistrationNotAllowed.
    """
    if to not in ALLOWED[registration.status]:
        raise RegistrationNotAllowed(
            registration_id=registration.id, status=registration.status.value, next_step=registration.next_step[0]
        )
    return replace(registration, status=to, reason=reason, next_look_up_at=None, version=registration.version + 1)


def fill_in(registration: MerchantRegistration, data: RegistrationData) -> MerchantRegistration:
    """The registration with other data: ready when nothing is missing.

    Raises: RegistrationFixed once the bank has the papers.
    """
    if registration.status not in GATHERING:
        raise RegistrationFixed(registration_id=registration.id, status=registration.status.value)
    changed = replace(registration, data=data)
    to = RegistrationStatus.DATA_MISSING if data.missing else RegistrationStatus.READY
    if to is registration.status:
        return replace(changed, version=registration.version + 1)
    return advance(changed, to)


def submit(registration: MerchantRegistration, *, now: datetime) -> MerchantRegistration:
    """The registration whose papers went to the bank.

    Raises: RegistrationIncomplete, RegistrationNotAllowed.
    """
    _refuse_incomplete(registration)
    sent = advance(registration, RegistrationStatus.SENT_TO_BANK)
    return replace(sent, sent_at=now, look_ups=0, next_look_up_at=now + FIRST_LOOK_UP_WAIT)


def register(registration: MerchantRegistration, numbers: NspkNumbers) -> MerchantRegistration:
    """The registration with the bank's numbers.

    Raises: RegistrationIncomplete, RegistrationNotAllowed.
    """
    _refuse_incomplete(registration)
    if registration.status not in AWAITED:
        raise RegistrationNotAllowed(
            registration_id=registration.id, status=registration.status.value, next_step=registration.next_step[0]
        )
    return replace(advance(registration, RegistrationStatus.REGISTERED), numbers=numbers)


def _refuse_incomplete(registration: MerchantRegistration) -> None:
    if registration.status is RegistrationStatus.DATA_MISSING:
        raise RegistrationIncomplete(registration_id=registration.id, missing=list(registration.data.missing))


def close(registration: MerchantRegistration, *, now: datetime) -> MerchantRegistration:
    """The registration at its end.

    Raises: RegistrationNotAllowed.
    """
    return replace(advance(registration, RegistrationStatus.CLOSED), closed_at=now)


def wait_before_look_up(look_ups: int) -> timedelta:
    """How long to wait before looking in the directory once more: 10, 20, 40 s and so on to an hour."""
    return min(FIRST_LOOK_UP_WAIT * (1 << min(look_ups, 12)), LOOK_UP_WAIT_MAX)
