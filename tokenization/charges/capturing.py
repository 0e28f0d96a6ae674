"""Captures: money that the buyer's bank holds is taken, whole or in part. An advice, repeated until acknowledged."""

from __future__ import annotations

from dataclasses import replace

from pci.audit_log.event import AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session
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
from tokenization.charges.errors import CaptureAboveAmount, ChargeAmountOutOfRange, ChargeBusy, ChargeNotAuthorised
from tokenization.charges.messages import Message, advice_of
from tokenization.charges.response_codes import reason_of
from tokenization.charges.states import (
    AttemptStatus,
    Charge,
    ChargeAttempt,
    ChargeStatus,
    Operation,
    advance,
    wait_before_look,
)


async def capture_charge(
    desk: ChargeDesk, charge_id: str, merchant_id: str, amount_kopecks: int | None, by: ActedBy
) -> Charge:
    """Take the money held, or a part of it: the rest is let go. Once; asked again for the same, it says how it stands.

    Raises: ChargeNotFound, ChargeNotAuthorised, CaptureAboveAmount, ChargeAmountOutOfRange, ChargeBusy.
    """
    async with desk.vault.transactions() as session:
        charge = await rows.load_charge(session, charge_id, merchant_id, lock=True)
        amount = charge.amount_kopecks if amount_kopecks is None else amount_kopecks
        if await _is_asked_already(session, charge, amount):
            return charge
        refuse_unfit(charge, amount)
        original = next(each for each in await rows.attempts_of(session, charge.id) if each.original_id is None)
        now = desk.vault.now()
        charge = replace(advance(charge, ChargeStatus.CAPTURING, now=now), reason=None)
        await rows.save_charge(session, charge)
        attempt = await rows.add_attempt(
            session, charge, Operation.CAPTURE, amount, terminal_id=desk.link.acceptor.terminal_id, now=now,
            original_id=original.id,
        )  # fmt: skip
        message = advice_of(charge, attempt, original, desk.link.acceptor)
        await stage(session, [event_of(charge, "capture_requested", by, desk, amount_kopecks=amount)])
    return await _tell(desk, charge, attempt, message, by)


async def _is_asked_already(session: Session, charge: Charge, amount_kopecks: int) -> bool:
    if charge.status is ChargeStatus.CAPTURED:
        return charge.captured_kopecks == amount_kopecks
    if charge.status is not ChargeStatus.CAPTURING:
        return False
    captures = [each for each in await rows.attempts_of(session, charge.id) if each.operation is Operation.CAPTURE]
    return captures[-1].amount_kopecks == amount_kopecks


def refuse_unfit(charge: Charge, amount_kopecks: int) -> None:
    """Refuse a capture of what is not held. Raises: ChargeBusy, ChargeNotAuthorised, amounts' refusals."""
    if charge.status in (ChargeStatus.REQUESTED, ChargeStatus.CAPTURING):
        raise ChargeBusy(charge_id=charge.id, status=charge.status.value)
    if charge.status is not ChargeStatus.AUTHORISED:
        raise ChargeNotAuthorised(charge_id=charge.id, status=charge.status.value)
    if amount_kopecks < 1:
        raise ChargeAmountOutOfRange(amount_kopecks=amount_kopecks)
    if amount_kopecks > charge.amount_kopecks:
        raise CaptureAboveAmount(amount_kopecks=amount_kopecks, authorised_kopecks=charge.amount_kopecks)


async def repeat_capture(desk: ChargeDesk, charge_id: str, by: ActedBy) -> Charge:
    """Say a capture once more under its number."""
    async with desk.vault.transactions() as session:
        charge = await rows.find_charge(session, charge_id, lock=True)
        assert charge is not None
        if charge.status is not ChargeStatus.CAPTURING:
            return charge
        attempts = await rows.attempts_of(session, charge.id)
        last = [each for each in attempts if each.operation is Operation.CAPTURE][-1]
        original = next(each for each in attempts if each.original_id is None)
        attempt = await rows.count_try(session, last)
        message = advice_of(charge, attempt, original, desk.link.acceptor)
    return await _tell(desk, charge, attempt, message, by)


async def _tell(desk: ChargeDesk, charge: Charge, attempt: ChargeAttempt, message: Message, by: ActedBy) -> Charge:
    answer = await call(desk, message)
    async with desk.vault.transactions() as session:
        return await record_capture(session, desk, charge.id, attempt, answer, by)


async def record_capture(
    session: Session, desk: ChargeDesk, charge_id: str, attempt: ChargeAttempt, answer: AcquirerAnswer, by: ActedBy
) -> Charge:
    """Outcome of a capture: taken, refused (the money is still held), or to be said again. Locks: the charge."""
    charge = await rows.find_charge(session, charge_id, lock=True)
    assert charge is not None
    await keep_answer(session, desk, attempt, answer)
    if charge.status is not ChargeStatus.CAPTURING:
        return charge
    now = desk.vault.now()
    if answer.status is not AttemptStatus.ANSWERED or answer.response_code in PASSING_TROUBLE:
        charge = replace(charge, next_look_at=now + wait_before_look(charge.looks))
        await rows.save_charge(session, charge)
        return charge
    if answer.is_approved:
        charge = advance(replace(charge, captured_kopecks=attempt.amount_kopecks), ChargeStatus.CAPTURED, now=now)
        told = event_of(charge, "captured", by, desk, amount_kopecks=attempt.amount_kopecks)
    else:
        reason = reason_of(answer.response_code or "")
        charge = advance(replace(charge, reason=reason.value), ChargeStatus.AUTHORISED, now=now)
        told = event_of(charge, "capture_refused", by, desk, outcome=AuditOutcome.REFUSED, reason=reason.value)
    await rows.save_charge(session, charge)
    await stage(session, [told])
    return charge
