"""Letting a payment by a device through: whose token, where it may be used, which counter, and the proof.

Refusals stand in the order they are looked at. A refusal is an answer and not an exception: it is a line of the log,
and a wrong proof counts, so the transaction is to be kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pci.audit_log.event import AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session
from pci.keys.envelope import Dek
from tokenization.koshelek_pay import emv, key_records, lifecycle, log_lines, repository
from tokenization.koshelek_pay.de55 import ChipData
from tokenization.koshelek_pay.device_token import Device, DeviceDoing, DeviceKey, DeviceToken
from tokenization.koshelek_pay.errors import (
    AmountDiffers,
    AtcNotIssued,
    AtcTooFar,
    AtcUsed,
    AuthorisationTaken,
    CryptogramDataRefused,
    CryptogramRefused,
    CryptogramWrong,
    DeviceCloned,
    DeviceTokenNotActive,
    DeviceTokenSuspended,
    DeviceWiped,
    DomainRefused,
    KeyBurnt,
    KeyExpired,
    PaymentDenied,
    RequestorDiffers,
)
from tokenization.koshelek_pay.key_records import DevicePayment, DevicePaymentStatus
from tokenization.koshelek_pay.payment_keys import payment_key
from tokenization.koshelek_pay.statuses import (
    DeviceKeyStatus,
    DeviceStatus,
    DeviceTokenStatus,
    PayChannel,
    Suspender,
)

ATC_WINDOW = 20
"""Counters that a device may be ahead by: taps that never reached us use them up."""
WRONG_CRYPTOGRAMS_MAX = 5
"""In a row: then somebody is guessing, or the device is broken."""
DAYS_OFF_MAX = 1
"""Clocks of terminals are set by hand."""
ROUBLE = "643"
MOSCOW = ZoneInfo("Europe/Moscow")


@dataclass(frozen=True, slots=True)
class Presentment:
    """A device was held to a terminal, or an application asked it to pay."""

    id: str
    """The caller's own id of the payment: the same id is the same payment."""
    device_token_id: str
    trid: str
    merchant_id: str
    mcc: str
    channel: PayChannel
    amount_kopecks: int
    chip: ChipData

    @property
    def digest(self) -> bytes:
        """What is asked, in 32 bytes."""
        asked = f"{self.device_token_id}|{self.trid}|{self.merchant_id}|{self.mcc}|{self.channel}|{self.amount_kopecks}"
        return hashlib.sha256(asked.encode() + b"|" + self.chip.cryptogram + self.chip.covered).digest()


async def accept(
    session: Session, master: Dek, presentment: Presentment, doing: DeviceDoing
) -> DevicePayment | CryptogramRefused:
    """Let a payment through, once. Asked again under the same id it is the same payment.

    Raises: DeviceTokenNotFound, De55Malformed. Locks: the payment's id, the device, the token.
    """
    await key_records.lock_payment(session, presentment.id)
    seen = await repository.find_token(session, presentment.device_token_id, presentment.merchant_id)
    device = await repository.lock_device(session, seen.device_id, presentment.merchant_id)
    token = await repository.lock_token(session, seen.id, presentment.merchant_id)
    known = await key_records.find_payment(session, presentment.id)
    if known is not None:
        return known if known.digest == presentment.digest else AuthorisationTaken()
    if await key_records.is_denied(session, presentment.id, presentment.merchant_id):
        refusal: CryptogramRefused | None = PaymentDenied()
    else:
        refusal = await _refusal_of(session, master, device, token, presentment, doing.now)
    if refusal is None:
        return await _let_through(session, token, presentment, doing)
    line = log_lines.of_token(
        doing, token, "payment_refused", AuditOutcome.REFUSED, code=refusal.code, atc=presentment.chip.atc
    )
    await stage(session, [line])
    await _take_note(session, token, refusal, doing)
    return refusal


async def _refusal_of(
    session: Session, master: Dek, device: Device, token: DeviceToken, presentment: Presentment, now: datetime
) -> CryptogramRefused | None:
    if device.status is DeviceStatus.WIPED:
        return DeviceWiped()
    if (refusal := refusal_of_token(token, presentment, now)) is not None:
        return refusal
    if (refusal := refusal_of_data(presentment, now)) is not None:
        return refusal
    return await _refusal_of_key(session, master, token, presentment, now)


def refusal_of_token(token: DeviceToken, presentment: Presentment, now: datetime) -> CryptogramRefused | None:
    """Why this token may not pay, or not here."""
    if token.trid != presentment.trid:
        return RequestorDiffers()
    if token.status is not DeviceTokenStatus.ACTIVE:
        return DeviceTokenNotActive(status=str(token.status))
    if token.expires < f"{now.astimezone(MOSCOW):%Y-%m}":
        return DeviceTokenNotActive(status="expired")
    if token.suspensions:
        return DeviceTokenSuspended(suspenders=[str(held.suspender) for held in token.suspensions])
    if presentment.channel not in token.channels:
        return DomainRefused(reason="channel")
    if token.mccs is not None and presentment.mcc not in token.mccs:
        return DomainRefused(reason="mcc")
    if presentment.amount_kopecks > token.amount_kopecks_max:
        return DomainRefused(reason="amount", amount_kopecks_max=token.amount_kopecks_max)
    return None


def refusal_of_data(presentment: Presentment, now: datetime) -> CryptogramRefused | None:
    """Why these chip data are not of this purchase, here and now. Raises: De55Malformed if their day is none."""
    chip = presentment.chip
    if not chip.asks_the_issuer:
        return CryptogramDataRefused(reason="not a question to the issuer")
    if not chip.is_purchase or chip.other_amount:
        return CryptogramDataRefused(reason="not a purchase")
    if chip.currency != ROUBLE:
        return CryptogramDataRefused(reason="currency")
    if abs(chip.signed_on - now.astimezone(MOSCOW).date()) > timedelta(days=DAYS_OFF_MAX):
        return CryptogramDataRefused(reason="day")
    if chip.amount != presentment.amount_kopecks:
        return AmountDiffers()
    return None


async def _refusal_of_key(
    session: Session, master: Dek, token: DeviceToken, presentment: Presentment, now: datetime
) -> CryptogramRefused | None:
    """Why this counter or this proof does not do."""
    chip = presentment.chip
    key = await key_records.find_key(session, token.id, chip.atc)
    if key is None:
        counts = await key_records.count_keys(session, token.id, now)
        return AtcTooFar(window=ATC_WINDOW) if chip.atc > counts.floor_atc + ATC_WINDOW else AtcNotIssued()
    is_proved = _is_proved(master, token, chip)
    if key.status is not DeviceKeyStatus.ISSUED:
        return await _refusal_of_ended_key(session, token, presentment, key, is_proved=is_proved, now=now)
    if key.expires_at <= now:
        return KeyExpired()
    return None if is_proved else CryptogramWrong()


async def _refusal_of_ended_key(
    session: Session, token: DeviceToken, presentment: Presentment, key: DeviceKey, *, is_proved: bool, now: datetime
) -> CryptogramRefused:
    """A counter for the second time: sent again, or a double of the device that proves another payment with it."""
    paid = await key_records.find_payment_of_key(session, token.id, key.atc)
    if paid is None:
        return KeyExpired() if key.expires_at <= now else KeyBurnt()
    is_same = emv.is_same(paid.cryptogram, presentment.chip.cryptogram)
    return DeviceCloned() if is_proved and not is_same else AtcUsed()


def _is_proved(master: Dek, token: DeviceToken, chip: ChipData) -> bool:
    rebuilt = emv.cryptogram(payment_key(master, token, chip.atc), chip.covered, token.family)
    return emv.is_same(chip.cryptogram, rebuilt)


async def _let_through(
    session: Session, token: DeviceToken, presentment: Presentment, doing: DeviceDoing
) -> DevicePayment | CryptogramRefused:
    chip = presentment.chip
    payment = DevicePayment(
        id=presentment.id, device_token_id=token.id, atc=chip.atc, merchant_id=token.merchant_id,
        amount_kopecks=presentment.amount_kopecks, channel=presentment.channel, mcc=presentment.mcc,
        digest=presentment.digest, cryptogram=chip.cryptogram, chip=chip.raw, status=DevicePaymentStatus.ACCEPTED,
        accepted_at=doing.now,
    )  # fmt: skip
    used = await key_records.move_key(
        session, token.id, chip.atc, instead_of=DeviceKeyStatus.ISSUED, to=DeviceKeyStatus.USED, now=doing.now
    )
    if not used or not await key_records.add_payment(session, payment):
        return AuthorisationTaken()
    if token.wrong_cryptograms:
        await repository.count_wrong(session, token.id, 0, doing.now)
    line = log_lines.of_token(
        doing, token, "payment_accepted", payment=payment.id, atc=payment.atc, amount_kopecks=payment.amount_kopecks
    )
    await stage(session, [line])
    return payment


async def _take_note(session: Session, token: DeviceToken, refusal: CryptogramRefused, doing: DeviceDoing) -> None:
    """What a refusal does to the token: wrong proofs count, and a double holds it back at once."""
    if isinstance(refusal, DeviceCloned):
        await lifecycle.hold_back(session, token, Suspender.RISK, "Один счётчик, два платежа", doing)
    if isinstance(refusal, CryptogramWrong):
        wrong = token.wrong_cryptograms + 1
        await repository.count_wrong(session, token.id, wrong, doing.now)
        if wrong >= WRONG_CRYPTOGRAMS_MAX:
            await lifecycle.hold_back(session, token, Suspender.RISK, "Криптограмма неверна много раз подряд", doing)


async def end(
    session: Session,
    master: Dek,
    payment: DevicePayment,
    response_code: str | None,
    *,
    is_approved: bool,
    doing: DeviceDoing,
) -> DevicePayment:
    """Write down what the acquirer said, with the issuer's answer to the device; then the key is burnt.

    Without a response code the outcome is unknown, and asking again under the same id finds out. Locks: the token.
    """
    token = await repository.lock_token(session, payment.device_token_id, payment.merchant_id)
    known = await key_records.find_payment(session, payment.id)
    assert known is not None, "it was let through"
    if not key_records.PAYMENT_ALLOWED[known.status]:
        return known
    ended = _ended(master, token, known, response_code, is_approved=is_approved)
    if ended.status is known.status:
        return known
    await key_records.end_payment(session, ended, None if response_code is None else doing.now)
    if response_code is not None:
        await key_records.move_key(
            session, token.id, ended.atc, instead_of=DeviceKeyStatus.USED, to=DeviceKeyStatus.BURNT, now=doing.now
        )
    await stage(
        session, [log_lines.of_token(doing, token, "payment_ended", payment=ended.id, status=str(ended.status))]
    )
    return ended


def _ended(
    master: Dek, token: DeviceToken, payment: DevicePayment, response_code: str | None, *, is_approved: bool
) -> DevicePayment:
    if response_code is None:
        return replace(payment, status=DevicePaymentStatus.UNKNOWN)
    key = payment_key(master, token, payment.atc)
    return replace(
        payment,
        status=DevicePaymentStatus.APPROVED if is_approved else DevicePaymentStatus.DECLINED,
        response_code=response_code,
        issuer_answer=emv.answer_1(key, payment.cryptogram, response_code.encode(), token.family),
    )
