"""Reversals: what was asked does not count. Of a charge whose answer was lost, and of one its merchant gives up.

0400 the first time, 0420 and 0421 until the acquirer acknowledges: an advice is never refused, only not heard.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from pci.audit_log.event import AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session
from tokenization import sad
from tokenization.charges import repository as rows
from tokenization.charges.calling import (
    PASSING_TROUBLE,
    AcquirerAnswer,
    ActedBy,
    ChargeDesk,
    call,
    event_of,
    keep_answer,
)
from tokenization.charges.errors import ChargeBusy, ChargeNotVoidable
from tokenization.charges.messages import Message, advice_of
from tokenization.charges.response_codes import WHOLLY_APPROVED, RefusalReason
from tokenization.charges.states import (
    AttemptStatus,
    Charge,
    ChargeAttempt,
    ChargeStatus,
    Operation,
    advance,
    wait_before_look,
)

log = structlog.get_logger("charges")

LOOKS_BEFORE_ALARM = 10
"""A reversal said so often without being acknowledged, over some ten minutes, is told to people."""
TRANSIT_MAX = timedelta(seconds=60)
"""A request on its way for longer arrives no more. Until then "I know no such request" may only be early."""
NO_ORIGINAL = "25"
"""Source: ISO 8583:1987, field 39: the original is not found."""
_REVERSED = {ChargeStatus.UNKNOWN: ChargeStatus.REVERSED, ChargeStatus.VOIDING: ChargeStatus.VOIDED}


async def void_charge(desk: ChargeDesk, charge_id: str, merchant_id: str, by: ActedBy) -> Charge:
    """Let the buyer's money go: of an authorised charge, or a captured one nothing of which was given back.

    Asked again, it says how it stands. Raises: ChargeNotFound, ChargeNotVoidable, ChargeBusy.
    """
    async with desk.vault.transactions() as session:
        charge = await rows.load_charge(session, charge_id, merchant_id, lock=True)
        if charge.status in (ChargeStatus.VOIDING, ChargeStatus.VOIDED):
            return charge
        if charge.status in (ChargeStatus.REQUESTED, ChargeStatus.UNKNOWN, ChargeStatus.CAPTURING):
            raise ChargeBusy(charge_id=charge_id, status=charge.status.value)
        if charge.status not in (ChargeStatus.AUTHORISED, ChargeStatus.CAPTURED) or charge.refund_kopecks:
            raise ChargeNotVoidable(charge_id=charge_id, status=charge.status.value)
        charge = advance(replace(charge, reason=None), ChargeStatus.VOIDING, now=desk.vault.now())
        await rows.save_charge(session, charge)
        attempt, message = await _next_try(session, desk, charge, is_new=True)
        await stage(session, [event_of(charge, "void_requested", by, desk)])
    return await _tell(desk, charge, attempt, message, by)


async def reverse(desk: ChargeDesk, charge_id: str, by: ActedBy) -> Charge:
    """Tell the acquirer once that a charge does not count; the resolver repeats it until it is acknowledged."""
    async with desk.vault.transactions() as session:
        charge = await rows.find_charge(session, charge_id, lock=True)
        assert charge is not None
        if charge.status is ChargeStatus.REQUESTED:  # whoever asked died before the answer
            charge = await give_up(session, desk, charge, by)
        if charge.status not in (ChargeStatus.UNKNOWN, ChargeStatus.VOIDING, ChargeStatus.REVERSED):
            return charge
        attempt, message = await _next_try(session, desk, charge)
    return await _tell(desk, charge, attempt, message, by)


async def reverse_once_more(session: Session, desk: ChargeDesk, charge: Charge, by: ActedBy) -> Charge:
    """What has been reversed may have been approved after that: have it reversed again, at once."""
    charge = replace(charge, next_look_at=desk.vault.now(), looks=0)
    await rows.save_charge(session, charge)
    await stage(session, [event_of(charge, "approved_late", by, desk)])
    return charge


async def give_up(session: Session, desk: ChargeDesk, charge: Charge, by: ActedBy) -> Charge:
    """A charge nobody reported on has no known outcome. Its verification code is not needed any more."""
    lost = replace(charge, reason=RefusalReason.ANSWER_LOST.value)
    charge = advance(lost, ChargeStatus.UNKNOWN, now=desk.vault.now())
    await rows.save_charge(session, charge)
    await sad.forget(session, charge.card_token)
    await stage(session, [event_of(charge, "unknown", by, desk)])
    return charge


async def _next_try(
    session: Session, desk: ChargeDesk, charge: Charge, *, is_new: bool = False
) -> tuple[ChargeAttempt, Message]:
    """The reversal under the number it has, or under a new one: a void refused once is asked for anew."""
    attempts = await rows.attempts_of(session, charge.id)
    original = next(each for each in attempts if each.original_id is None)
    known = [each for each in attempts if each.operation is Operation.REVERSAL]
    if known and not is_new:
        attempt = await rows.count_try(session, known[-1])
    else:
        attempt = await rows.add_attempt(
            session, charge, Operation.REVERSAL, original.amount_kopecks, now=desk.vault.now(),
            terminal_id=desk.link.acceptor.terminal_id, original_id=original.id,
        )  # fmt: skip
    return attempt, advice_of(charge, attempt, original, desk.link.acceptor)


async def _tell(
    desk: ChargeDesk, charge: Charge, attempt: ChargeAttempt, message: Message, by: ActedBy
) -> Charge:  # fmt: skip
    answer = await call(desk, message)
    async with desk.vault.transactions() as session:
        return await record_reversal(session, desk, charge.id, attempt, answer, by)


async def record_reversal(
    session: Session, desk: ChargeDesk, charge_id: str, attempt: ChargeAttempt, answer: AcquirerAnswer, by: ActedBy
) -> Charge:
    """Outcome of a reversal. Locks: the charge."""
    charge = await rows.find_charge(session, charge_id, lock=True)
    assert charge is not None
    await keep_answer(session, desk, attempt, answer)
    now = desk.vault.now()
    if charge.status is ChargeStatus.VOIDING and is_refused_for_good(answer):
        return await _void_refused(session, desk, charge, answer, by)
    if not is_acknowledged(answer):
        if charge.status in _REVERSED or charge.next_look_at is not None:
            await rows.save_charge(session, replace(charge, next_look_at=now + wait_before_look(charge.looks)))
        if charge.looks == LOOKS_BEFORE_ALARM:
            log.error("charge_not_reversed", charge_id=charge.id, looks=charge.looks, code=answer.response_code)
            await stage(session, [event_of(charge, "not_reversed", by, desk, looks=charge.looks)])
        return charge
    look_at = await _look_once_more(session, charge, answer, now)
    if charge.status not in _REVERSED:
        await rows.save_charge(session, replace(charge, next_look_at=look_at))
        return charge
    charge = replace(advance(charge, _REVERSED[charge.status], now=now), captured_kopecks=0, next_look_at=look_at)
    await rows.save_charge(session, charge)
    await stage(session, [event_of(charge, charge.status.value, by, desk)])
    return charge


async def _void_refused(
    session: Session, desk: ChargeDesk, charge: Charge, answer: AcquirerAnswer, by: ActedBy
) -> Charge:
    """The acquirer keeps the money as it was: what was captured can be refunded, what was held may lapse."""
    to = ChargeStatus.CAPTURED if charge.captured_kopecks else ChargeStatus.AUTHORISED
    charge = advance(replace(charge, reason=RefusalReason.VOID_REFUSED.value), to, now=desk.vault.now())
    await rows.save_charge(session, charge)
    told = {"response_code": answer.response_code or ""}
    await stage(session, [event_of(charge, "void_refused", by, desk, outcome=AuditOutcome.REFUSED, **told)])
    return charge


def is_refused_for_good(answer: AcquirerAnswer) -> bool:
    """Whether the acquirer has understood the reversal and will not do it."""
    is_answered = answer.status is AttemptStatus.ANSWERED
    return is_answered and not is_acknowledged(answer) and answer.response_code not in PASSING_TROUBLE


def is_acknowledged(answer: AcquirerAnswer) -> bool:
    """Whether the acquirer has taken the reversal in: done, or there is nothing to undo."""
    return answer.status is AttemptStatus.ANSWERED and (answer.is_approved or answer.response_code == NO_ORIGINAL)


async def _look_once_more(session: Session, charge: Charge, answer: AcquirerAnswer, now: datetime) -> datetime | None:
    """When to say it again because the acquirer may learn of the request only after it has denied knowing it."""
    if answer.response_code != NO_ORIGINAL:
        return None
    original = next(each for each in await rows.attempts_of(session, charge.id) if each.original_id is None)
    if original.response_code in WHOLLY_APPROVED and charge.looks < LOOKS_BEFORE_ALARM:
        return now + wait_before_look(charge.looks)  # it was approved, so this reversal was faster than the request
    arrives_until = original.transmitted_at + TRANSIT_MAX
    return arrives_until if now < arrives_until else None
