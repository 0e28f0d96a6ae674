"""Disputes (споры): the buyer says that the goods never came, or came back. Until it is ruled on nothing is collected,
and what the plan still brings the merchant waits in a reserve.

Who wins decides nothing about the debt by itself: goods that came back are a refund, which the reserve pays first;
after it the dispute is closed, and what is left of the reserve is the merchant's again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from installments import repository
from installments.errors import DisputeDiffers, DisputeOpenAlready, NoDebtOwed, NoOpenDispute
from installments.merchant_money import release_reserve, reserve
from installments.plan import Plan, Standing
from installments.telling import PlanActor, tell
from ledger.database import Session, text
from ledger.money import Kopecks

REASON_CHARACTERS_MAX = 300


class Ruling(StrEnum):
    """In whose favour a dispute was closed."""

    BUYER = "buyer"
    MERCHANT = "merchant"


@dataclass(frozen=True, slots=True)
class Dispute:
    """One dispute about a plan."""

    id: str
    """``dsp_…``"""
    plan_id: str
    reason: str
    reserved: Kopecks
    """Of the merchant's money, when it was opened."""
    opened_by: str
    opened_at: datetime
    ruling: Ruling | None
    closed_by: str | None
    closed_at: datetime | None


async def open_dispute(
    session: Session, plan_id: str, reason: str, by: PlanActor, *, dispute_id: str, now: datetime
) -> Dispute:
    """Pause a plan: no charges, no dunning, and the merchant's money for it waits. The same id again is nothing.

    Дт and Кт as ``merchant_money.reserve`` lists them.
    Raises: PlanNotFound, NoDebtOwed, DisputeOpenAlready. Locks: the plan, the merchant's plan money, accounts.
    """
    plan = await repository.load_plan(session, plan_id, lock=True)
    known = await find_dispute(session, dispute_id)
    if known is not None and known.plan_id == plan.id:
        return known
    if await open_dispute_of(session, plan.id) is not None:
        raise DisputeOpenAlready(plan_id=plan.id)
    if plan.standing is Standing.NONE:
        raise NoDebtOwed(plan_id=plan.id)
    reserved = await reserve(session, plan.id, now=now)
    await _pause(session, plan.id, is_paused=True)
    await session.execute(
        text("""INSERT INTO plan_disputes (id, plan_id, reason, reserved_kopecks, opened_by, opened_at)
                VALUES (:id, :plan_id, :reason, :reserved, :by, :now)"""),
        {
            "id": dispute_id, "plan_id": plan.id, "reason": reason[:REASON_CHARACTERS_MAX], "reserved": reserved,
            "by": by.actor, "now": now,
        },
    )  # fmt: skip
    facts: dict[str, str | int | bool] = {"dispute_id": dispute_id, "reserved_kopecks": reserved}
    await tell(session, plan, "dispute_opened", by, now=now, facts=facts)
    return Dispute(dispute_id, plan.id, reason, Kopecks(reserved), by.actor, now, None, None, None)


async def close_dispute(session: Session, plan_id: str, ruling: Ruling, by: PlanActor, *, now: datetime) -> Dispute:
    """Let a plan go on: what is due is charged by the next night. The same ruling again is nothing.

    Дт and Кт as ``merchant_money.release_reserve`` lists them.
    Raises: PlanNotFound, NoOpenDispute, DisputeDiffers. Locks: the plan, accounts.
    """
    plan = await repository.load_plan(session, plan_id, lock=True)
    dispute = await open_dispute_of(session, plan.id)
    if dispute is None:
        return await _closed_before(session, plan, ruling)
    released = await release_reserve(session, plan.id, now=now)
    await _pause(session, plan.id, is_paused=False)
    await session.execute(
        text("UPDATE plan_disputes SET ruling = :ruling, closed_by = :by, closed_at = :now WHERE id = :id"),
        {"id": dispute.id, "ruling": ruling.value, "by": by.actor, "now": now},
    )
    facts: dict[str, str | int | bool] = {
        "dispute_id": dispute.id, "ruling": ruling.value, "released_kopecks": released
    }  # fmt: skip
    await tell(session, plan, "dispute_closed", by, now=now, facts=facts)
    return replace(dispute, ruling=ruling, closed_by=by.actor, closed_at=now)


async def _closed_before(session: Session, plan: Plan, ruling: Ruling) -> Dispute:
    latest = await _dispute(session, "plan_id = :id ORDER BY closed_at DESC LIMIT 1", plan.id)
    if latest is None:
        raise NoOpenDispute(plan_id=plan.id)
    if latest.ruling is not ruling:
        raise DisputeDiffers(plan_id=plan.id, ruling=None if latest.ruling is None else latest.ruling.value)
    return latest


async def open_dispute_of(session: Session, plan_id: str) -> Dispute | None:
    """The dispute that pauses a plan, or nothing."""
    return await _dispute(session, "plan_id = :id AND closed_at IS NULL", plan_id)


async def find_dispute(session: Session, dispute_id: str) -> Dispute | None:
    """The dispute, or nothing."""
    return await _dispute(session, "id = :id", dispute_id)


async def _dispute(session: Session, condition: str, value: str) -> Dispute | None:
    found = await session.execute(
        text(f"""SELECT id, plan_id, reason, reserved_kopecks, opened_by, opened_at, ruling, closed_by, closed_at
                   FROM plan_disputes WHERE {condition}"""),  # noqa: S608  # our own words
        {"id": value},
    )
    row = found.one_or_none()
    if row is None:
        return None
    return Dispute(
        row.id, row.plan_id, row.reason, Kopecks(row.reserved_kopecks), row.opened_by, row.opened_at,
        None if row.ruling is None else Ruling(row.ruling), row.closed_by, row.closed_at,
    )  # fmt: skip


async def _pause(session: Session, plan_id: str, *, is_paused: bool) -> None:
    await session.execute(
        text("UPDATE installment_plans SET is_paused = :is_paused, version = version + 1 WHERE id = :id"),
        {"id": plan_id, "is_paused": is_paused},
    )
