"""Refunds (возвраты): money back to the buyer of one payment, from our wish to NSPK's last word.

Two phases: the bank decides (``approved`` or ``refused``), then the money moves (``succeeded``) or does
not (``failed``). Source: NSPK agent API, refunds; https://docs.moneta.ru/sbp/c2b-refund
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from ledger.errors import InvariantBroken
from ledger.money import Kopecks
from sbp_gateway.merchants import SettlementMode

TRIES_A_DAY_MAX = 5
HOUR_WAIT = timedelta(hours=1, seconds=10)
DAY_WAIT = timedelta(days=1, seconds=10)
"""One try an hour and five a day for one operation. Source: T-Kassa error codes 3029 and 3030, set by NSPK.
NSPK counts from when it hears us, so we wait a little longer than a call may take."""
ANSWER_WAIT = timedelta(seconds=15)
"""A request without an answer for so long is lost or long arrived. Over the call's own limit of 6 s."""
FIRST_LOOK_WAIT = timedelta(seconds=2)
LOOK_WAIT_MAX = timedelta(minutes=10)
"""A bank may take days; the notification comes first anyway."""
REASON_CHARACTERS_MAX = 140
KZO_WAIT_MAX = timedelta(days=3)
"""A refund that could not be asked for so long, because NSPK repeats no control value of its payment, is refused."""
NO_KZO = "no_control_value"
"""Why it is refused then: our word, NSPK was never asked."""
LATE_REFUNDS_MAX = 5
"""Refunds of one late payment that the worker begins by itself; then a person must look."""


class RefundStatus(StrEnum):
    """Where a refund stands."""

    REQUESTED = "requested"
    """The money is set aside; NSPK is being asked, or waits for the hour in which it may be."""
    UNKNOWN = "unknown"
    """NSPK's answer was lost. The worker asks for it by our own request id; never a second id."""
    ASKED = "asked"
    """NSPK took the request; the bank decides."""
    APPROVED = "approved"
    """The bank agreed; the money is on its way."""
    SUCCEEDED = "succeeded"
    """The buyer has the money. Final."""
    REFUSED = "refused"
    """NSPK or the bank said no; no money moved. Final."""
    FAILED = "failed"
    """The bank agreed and the money did not move. Final."""


ALLOWED: dict[RefundStatus, frozenset[RefundStatus]] = {
    RefundStatus.REQUESTED: frozenset({RefundStatus.UNKNOWN, RefundStatus.ASKED, RefundStatus.REFUSED}),
    RefundStatus.UNKNOWN: frozenset({RefundStatus.REQUESTED, RefundStatus.ASKED, RefundStatus.REFUSED}),
    RefundStatus.ASKED: frozenset(
        {RefundStatus.APPROVED, RefundStatus.REFUSED, RefundStatus.SUCCEEDED, RefundStatus.FAILED}
    ),
    RefundStatus.APPROVED: frozenset({RefundStatus.SUCCEEDED, RefundStatus.FAILED}),
    RefundStatus.SUCCEEDED: frozenset(),
    RefundStatus.REFUSED: frozenset(),
    RefundStatus.FAILED: frozenset(),
}
FINAL = frozenset(status for status, after in ALLOWED.items() if not after)


@dataclass(frozen=True, slots=True)
class RefundablePayment:
    """A payment as refunds look at it, locked."""

    id: str
    attempt_id: str | None
    merchant_id: str
    nspk_merchant_id: str
    member_id: str
    """The bank that took the money, and gives it back."""
    qrc_id: str
    trx_id: str
    kzo: str | None
    amount: Kopecks
    fee: Kopecks
    is_late: bool
    settlement_mode: SettlementMode
    refund_kopecks: Kopecks
    """Refunded already, or set aside for refunds under way."""
    is_refund_planned: bool = False
    """Late money that the worker will refund by itself when its time comes."""
    params_id: str | None = None
    """Which activation of a cash link was paid."""

    @property
    def rest(self) -> Kopecks:
        """What can still be given back."""
        return Kopecks(self.amount - self.refund_kopecks)


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund of one payment."""

    id: str
    payment_id: str
    merchant_id: str
    amount: Kopecks
    fee_returned: Kopecks
    """The part of our fee that pays for it; nothing unless the installation gives fees back."""
    fee_billed: Kopecks
    """The part of our fee that the merchant owes us from now on, because it had no money left to bear it."""
    reason: str | None
    is_automatic: bool
    """Of late money, begun by the worker."""
    status: RefundStatus
    agent_request_id: str
    """Our own id of the request: 32 hex digits, kept before NSPK is asked."""
    opkc_request_id: str | None
    """NSPK's id of the request."""
    trx_id: str | None
    """NSPK's id of the operation that moved the money back."""
    payee_mask: str | None
    refusal_code: str | None
    """NSPK's word, as it was said. Kept in ``unknown`` too when it was said to a repeated request."""
    refusal_message: str | None
    hold_id: UUID | None
    fee_hold_id: UUID | None
    entry_id: UUID | None
    tries: int
    """How many times NSPK was asked to refund it, always with the same request id."""
    looks: int
    """How many times we looked since it last moved."""
    asked_at: datetime | None
    """When NSPK was last asked; empty when it certainly never heard."""
    created_at: datetime
    ended_at: datetime | None

    @property
    def is_final(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.status in FINAL


def advance(refund: Refund, to: RefundStatus, *, now: datetime) -> Refund:
    """The refund in its next status.

    Raises: InvariantBroken if the table of statuses does not allow it: callers look first.
    """
    if to not in ALLOWED[refund.status]:
        raise InvariantBroken("a refund cannot go there", refund_id=refund.id, status=refund.status, to=to)
    looks = refund.looks if to is RefundStatus.REQUESTED else 0  # never heard: each repetition waits for longer
    return replace(refund, status=to, looks=looks, ended_at=now if to in FINAL else None)


class RefundNews(StrEnum):
    """What a call to NSPK about a refund told us."""

    TAKEN = "taken"
    """NSPK has the request, under an id of its own."""
    REFUSED = "refused"
    """NSPK did not take the request."""
    UNHEARD = "unheard"
    """NSPK knows no request with our id."""
    NOT_SENT = "not_sent"
    """The request could not be made, so NSPK cannot have heard it."""
    SILENT = "silent"
    """The answer was lost."""
    UNDECIDED = "undecided"
    """The bank has not decided."""
    APPROVED = "approved"
    """The bank decided: yes."""
    DECLINED = "declined"
    """The bank decided: no."""
    MOVED = "moved"
    """The money is with the buyer."""
    NOT_MOVED = "not_moved"


@dataclass(frozen=True, slots=True)
class RefundAnswer:
    """The news and what came with it."""

    news: RefundNews
    opkc_request_id: str | None = None
    trx_id: str | None = None
    payee_mask: str | None = None
    code: str | None = None
    message: str | None = None
    kzo: str | None = None
    """The control value, when it had to be asked for first."""
    of_try: int | None = None
    """Which request it answers; empty for what was read. News of a request that a later one overtook are old."""


def status_after(refund: Refund, answer: RefundAnswer, *, now: datetime) -> RefundStatus:
    """Where news brings a refund; where it stands when they mean nothing to it.

    A request refused when it was repeated may have been carried out the first time, so it becomes unknown
    and is asked for by our id; only when NSPK knows no such request is the refusal believed. And NSPK's
    "never heard" is believed only when the request cannot be on its way any more. DECISIONS.md, 27.
    """
    to = _STATUS_OF[answer.news]
    if (answer.news in _OF_A_TAKEN_REQUEST) != (refund.opkc_request_id is not None):
        to = refund.status
    elif answer.news is RefundNews.REFUSED and refund.tries > 1:
        to = RefundStatus.UNKNOWN
    elif answer.news is RefundNews.DECLINED and refund.status is RefundStatus.APPROVED:
        to = RefundStatus.FAILED
    elif answer.news is RefundNews.UNHEARD and is_on_its_way(refund, now):
        to = RefundStatus.UNKNOWN
    elif answer.news is RefundNews.UNHEARD and refund.refusal_code is not None:
        to = RefundStatus.REFUSED
    return to if to in ALLOWED[refund.status] else refund.status


def is_old(refund: Refund, answer: RefundAnswer) -> bool:
    """Whether news mean nothing any more: the refund has ended, or they answer a request overtaken by a later one."""
    return refund.is_final or (answer.of_try is not None and answer.of_try != refund.tries)


def is_on_its_way(refund: Refund, now: datetime) -> bool:
    """Whether our last request may still reach NSPK."""
    return refund.asked_at is not None and now < refund.asked_at + ANSWER_WAIT


_OF_A_TAKEN_REQUEST = frozenset(
    {RefundNews.UNDECIDED, RefundNews.APPROVED, RefundNews.DECLINED, RefundNews.MOVED, RefundNews.NOT_MOVED}
)
_STATUS_OF = {
    RefundNews.TAKEN: RefundStatus.ASKED,
    RefundNews.REFUSED: RefundStatus.REFUSED,
    RefundNews.UNHEARD: RefundStatus.REQUESTED,
    RefundNews.NOT_SENT: RefundStatus.REQUESTED,
    RefundNews.SILENT: RefundStatus.UNKNOWN,
    RefundNews.UNDECIDED: RefundStatus.ASKED,
    RefundNews.APPROVED: RefundStatus.APPROVED,
    RefundNews.DECLINED: RefundStatus.REFUSED,
    RefundNews.MOVED: RefundStatus.SUCCEEDED,
    RefundNews.NOT_MOVED: RefundStatus.FAILED,
}


@dataclass(frozen=True, slots=True)
class RefundTry:
    """One time NSPK was asked to refund a payment."""

    asked_at: datetime
    is_unheard: bool
    """Nothing was sent, or NSPK said that it never heard it: its limits do not count it, and neither do we."""


def next_allowed_at(tries: Sequence[RefundTry], now: datetime) -> datetime:
    """From when NSPK may be asked again about a payment; ``now`` or earlier when it may be at once."""
    heard = sorted(each.asked_at for each in tries if not each.is_unheard)
    of_day = [asked_at for asked_at in heard if asked_at > now - DAY_WAIT]
    full = [of_day[-TRIES_A_DAY_MAX] + DAY_WAIT] if len(of_day) >= TRIES_A_DAY_MAX else []
    return max([now, *(asked_at + HOUR_WAIT for asked_at in heard[-1:]), *full])


def fee_to_return(payment: RefundablePayment, amount: Kopecks, already: Kopecks) -> Kopecks:
    """The part of our fee that goes back with ``amount``: in proportion, and the rest of it with the last part."""
    in_all = int(payment.fee) * int(payment.refund_kopecks + amount) // int(payment.amount)
    return Kopecks(min(max(in_all - already, 0), amount))


@dataclass(frozen=True, slots=True)
class RefundCover:
    """Whose money a refund is."""

    own: Kopecks
    """Of the payment's owner."""
    fee_returned: Kopecks
    """Our fee, given back."""
    fee_billed: Kopecks
    """Our fee, owed by the merchant from now on."""


def cover_of(
    payment: RefundablePayment, amount: Kopecks, *, available: int, fee_returned: Kopecks, fee_billable: Kopecks
) -> RefundCover | None:
    """How a refund is covered; nothing if it cannot be.

    Our fee stays with us, so a merchant whose only sale goes back lacks exactly that fee: it is billed then.
    Of a direct merchant the whole amount goes back from its own account, and the fee was never part of it.
    """
    is_direct = payment.settlement_mode is SettlementMode.DIRECT
    needed = amount if is_direct else Kopecks(amount - fee_returned)
    billed = Kopecks(max(needed - max(available, 0), 0))
    if billed > (0 if is_direct else fee_billable):
        return None
    return RefundCover(Kopecks(needed - billed), fee_returned, billed)


def wait_before_look(looks: int) -> timedelta:
    """How long to wait before asking about a refund once more: 2, 4, 8 … s, at most ten minutes."""
    return min(FIRST_LOOK_WAIT * (1 << min(looks, 10)), LOOK_WAIT_MAX)


def wait_before_late_refund(refunds: int) -> timedelta:
    """How long to wait after a refused refund of late money: 1, 4, 16 … hours."""
    return HOUR_WAIT * (1 << 2 * max(refunds - 1, 0))
