"""Refunds of charges, in part and repeatedly: never above what was captured, those under way included."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
from tokenization.charges.errors import (
    ChargeAmountOutOfRange,
    ChargeIdTaken,
    ChargeNotCaptured,
    ChargeRefundAboveRest,
)
from tokenization.charges.messages import Message, advice_of
from tokenization.charges.response_codes import reason_of
from tokenization.charges.states import (
    ANSWER_WAIT,
    AttemptStatus,
    Charge,
    ChargeAttempt,
    ChargeRefund,
    ChargeStatus,
    Operation,
    RefundStatus,
    advance_refund,
    wait_before_look,
)


@dataclass(frozen=True, slots=True)
class ChargeRefundRequest:
    """What a caller wants to give back, under an id of its own: the same id is the same refund."""

    id: str
    charge_id: str
    merchant_id: str
    amount_kopecks: int


async def refund_charge(desk: ChargeDesk, request: ChargeRefundRequest, by: ActedBy) -> ChargeRefund:
    """Give money of a captured charge back, once however often it is asked for under the same id.

    Raises: ChargeNotFound, ChargeIdTaken, ChargeAmountOutOfRange, ChargeNotCaptured, ChargeRefundAboveRest.
    """
    async with desk.vault.transactions() as session:
        charge = await rows.load_charge(session, request.charge_id, request.merchant_id, lock=True)
        found = await rows.find_refund(session, request.id)
        if found is not None:
            if (found.charge_id, found.amount_kopecks) != (request.charge_id, request.amount_kopecks):
                raise ChargeIdTaken(refund_id=request.id)
            return found
        refuse_unfit(charge, request.amount_kopecks)
        refund = await _keep(session, desk, charge, request)
        attempt, message = await _first_try(session, desk, charge, refund)
        told = event_of(charge, "refund_requested", by, desk, refund_id=refund.id, amount_kopecks=refund.amount_kopecks)
        await stage(session, [told])
    return await _tell(desk, refund, attempt, message, by)


def refuse_unfit(charge: Charge, amount_kopecks: int) -> None:
    """Refuse to give back what was not taken. Raises: see ``refund_charge``."""
    if amount_kopecks < 1:
        raise ChargeAmountOutOfRange(amount_kopecks=amount_kopecks)
    if charge.status is not ChargeStatus.CAPTURED:
        raise ChargeNotCaptured(charge_id=charge.id, status=charge.status.value)
    if amount_kopecks > charge.rest_kopecks:
        raise ChargeRefundAboveRest(
            amount_kopecks=amount_kopecks, rest_kopecks=charge.rest_kopecks, captured_kopecks=charge.captured_kopecks
        )


async def _keep(session: Session, desk: ChargeDesk, charge: Charge, request: ChargeRefundRequest) -> ChargeRefund:
    """The refund written down, and its money counted as gone."""
    now = desk.vault.now()
    refund = ChargeRefund(
        id=request.id, charge_id=charge.id, amount_kopecks=request.amount_kopecks, status=RefundStatus.REQUESTED,
        reason=None, response_code=None, rrn=None, looks=0, next_look_at=now + ANSWER_WAIT, created_at=now,
        changed_at=now,
    )  # fmt: skip
    await rows.add_refund(session, refund)
    counted = charge.refund_kopecks + refund.amount_kopecks
    await rows.save_charge(session, replace(charge, refund_kopecks=counted, version=charge.version + 1))
    return refund


async def _first_try(
    session: Session, desk: ChargeDesk, charge: Charge, refund: ChargeRefund
) -> tuple[ChargeAttempt, Message]:
    original = next(each for each in await rows.attempts_of(session, charge.id) if each.original_id is None)
    attempt = await rows.add_attempt(
        session, charge, Operation.REFUND, refund.amount_kopecks, terminal_id=desk.link.acceptor.terminal_id,
        now=desk.vault.now(), original_id=original.id, refund_id=refund.id,
    )  # fmt: skip
    return attempt, advice_of(charge, attempt, original, desk.link.acceptor)


async def repeat_refund(desk: ChargeDesk, refund: ChargeRefund, by: ActedBy) -> ChargeRefund:
    """Say a refund once more under its number: the acquirer knows it by that, and moves money once."""
    async with desk.vault.transactions() as session:
        charge = await rows.find_charge(session, refund.charge_id, lock=True)
        found = await rows.find_refund(session, refund.id)
        assert charge is not None
        assert found is not None
        if found.status not in (RefundStatus.REQUESTED, RefundStatus.UNKNOWN):
            return found
        attempts = await rows.attempts_of(session, charge.id)
        attempt = await rows.count_try(session, next(each for each in attempts if each.refund_id == refund.id))
        original = next(each for each in attempts if each.original_id is None)
        message = advice_of(charge, attempt, original, desk.link.acceptor)
    return await _tell(desk, found, attempt, message, by)


async def _tell(
    desk: ChargeDesk, refund: ChargeRefund, attempt: ChargeAttempt, message: Message, by: ActedBy
) -> ChargeRefund:
    answer = await call(desk, message)
    async with desk.vault.transactions() as session:
        return await record_refund(session, desk, refund, attempt, answer, by)


async def record_refund(
    session: Session, desk: ChargeDesk, refund: ChargeRefund, attempt: ChargeAttempt, answer: AcquirerAnswer,
    by: ActedBy,
) -> ChargeRefund:  # fmt: skip
    """Outcome of a refund: moved, refused (its money counts as not gone again), or to be said again.

    Locks: the charge.
    """
    charge = await rows.find_charge(session, refund.charge_id, lock=True)
    found = await rows.find_refund(session, refund.id)
    assert charge is not None
    assert found is not None
    await keep_answer(session, desk, attempt, answer)
    if found.status not in (RefundStatus.REQUESTED, RefundStatus.UNKNOWN):
        return found
    refund = after_answer(found, answer, desk)
    await rows.save_refund(session, refund)
    if refund.status is RefundStatus.REFUSED:
        left = charge.refund_kopecks - refund.amount_kopecks
        await rows.save_charge(session, replace(charge, refund_kopecks=left, version=charge.version + 1))
    if refund.status is not found.status:
        outcome = AuditOutcome.REFUSED if refund.status is RefundStatus.REFUSED else AuditOutcome.DONE
        told = event_of(charge, f"refund_{refund.status}", by, desk, outcome=outcome, refund_id=refund.id)
        await stage(session, [told])
    return refund


def after_answer(refund: ChargeRefund, answer: AcquirerAnswer, desk: ChargeDesk) -> ChargeRefund:
    """The refund after the acquirer's answer."""
    now = desk.vault.now()
    if answer.status is not AttemptStatus.ANSWERED or answer.response_code in PASSING_TROUBLE:
        if refund.status is RefundStatus.REQUESTED:
            return advance_refund(refund, RefundStatus.UNKNOWN, now=now)
        return replace(refund, next_look_at=now + wait_before_look(refund.looks))
    refund = replace(refund, response_code=answer.response_code, rrn=answer.rrn)
    if answer.is_approved:
        return advance_refund(refund, RefundStatus.SUCCEEDED, now=now)
    reason = reason_of(answer.response_code or "")
    return advance_refund(replace(refund, reason=reason.value), RefundStatus.REFUSED, now=now)
