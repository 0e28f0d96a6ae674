"""Hardship (трудная ситуация): what a person may grant a buyer who cannot pay as agreed, with who and why.

Days are moved, penalty or a part of the debt is forgiven, or the rest is not expected any more; what is owed never
grows. The law's term holds for what is moved: a plan cannot be put off beyond it. What a grant does to the debt is a
movement; the record beside it says who granted it and why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy.exc import IntegrityError

from installments import repository, rescheduling
from installments.debts import load_debts
from installments.errors import GoodwillAboveDebt, NoDebtOwed, NoPenaltyOwed, SnoozeSpent
from installments.movements import Movement, MovementKind
from installments.notice_texts import Template
from installments.notices import Wish, add_notices
from installments.plan import Plan
from installments.recording import record
from installments.telling import PlanActor, tell
from ledger.clock import moscow_day
from ledger.database import Session, text, violated_constraint
from ledger.ids import new_id
from ledger.money import Kopecks

REASON_CHARACTERS_MAX = 300


class ReliefKind(StrEnum):
    """What is granted; the movement has the same name."""

    SNOOZE = "snooze"
    RE_AGE = "re_age"
    RE_AMORTISE = "re_amortise"
    WAIVER = "waiver"
    GOODWILL = "goodwill"
    WRITE_OFF = "write_off"
    """Nothing that the buyer is told of: we stop expecting the rest."""


TOLD = frozenset({ReliefKind.SNOOZE, ReliefKind.RE_AGE, ReliefKind.RE_AMORTISE})
"""The buyer has other days to pay on."""
MOVES_DAYS = frozenset({ReliefKind.SNOOZE, ReliefKind.RE_AGE})


@dataclass(frozen=True, slots=True)
class Grant:
    """Who grants it, and why."""

    by: PlanActor
    reason: str
    """For people; never personal data."""
    reference: str
    """The caller's name of it: the same again grants nothing more."""


async def snooze(
    session: Session, plan_id: str, installment_number: int, new_due_on: date, grant: Grant, *, now: datetime
) -> Plan:
    """Put one unpaid installment off, once in a plan's life.

    Raises: PlanNotFound, PlanNotCommitted, SnoozeSpent, SnoozeNotPossible, TermAboveLaw. Locks: the plan.
    """
    movement = _movement(ReliefKind.SNOOZE, plan_id, grant, now, number=installment_number, new_due_on=new_due_on)
    return await _grant(session, ReliefKind.SNOOZE, movement, grant, now)


async def re_age(
    session: Session, plan_id: str, first_due_on: date, count: int, grant: Grant, *, now: datetime
) -> Plan:
    """Cut all that is unpaid anew into ``count`` installments from a later day.

    Raises: PlanNotFound, PlanNotCommitted, ReAgeNotPossible, TermAboveLaw. Locks: the plan.
    """
    movement = _movement(ReliefKind.RE_AGE, plan_id, grant, now, new_due_on=first_due_on, count=count)
    return await _grant(session, ReliefKind.RE_AGE, movement, grant, now)


async def re_amortise(session: Session, plan_id: str, grant: Grant, *, now: datetime) -> Plan:
    """Spread what is past due over what is not due yet.

    Raises: PlanNotFound, PlanNotCommitted. Locks: the plan.
    """
    movement = _movement(ReliefKind.RE_AMORTISE, plan_id, grant, now)
    return await _grant(session, ReliefKind.RE_AMORTISE, movement, grant, now)


async def waive(session: Session, plan_id: str, amount: Kopecks, grant: Grant, *, now: datetime) -> Plan:
    """Forgive penalty, up to all of it.

    Raises: PlanNotFound, PlanNotCommitted, NoPenaltyOwed, MovementRejected. Locks: the plan, accounts.
    """
    movement = _movement(ReliefKind.WAIVER, plan_id, grant, now, amount=amount)
    return await _grant(session, ReliefKind.WAIVER, movement, grant, now)


async def forgive(session: Session, plan_id: str, amount: Kopecks, grant: Grant, *, now: datetime) -> Plan:
    """Forgive a part of the debt at our own cost, up to all of it.

    Raises: PlanNotFound, PlanNotCommitted, GoodwillAboveDebt. Locks: the plan, accounts.
    """
    movement = _movement(ReliefKind.GOODWILL, plan_id, grant, now, amount=amount)
    return await _grant(session, ReliefKind.GOODWILL, movement, grant, now)


async def write_off(session: Session, plan_id: str, grant: Grant, *, now: datetime) -> Plan:
    """Stop expecting all that is still owed. Money that comes after all is a recovery.

    Raises: PlanNotFound, PlanNotCommitted, NoDebtOwed. Locks: the plan, the allowance, accounts.
    """
    plan = await repository.load_plan(session, plan_id, lock=True)
    movement = _movement(ReliefKind.WRITE_OFF, plan_id, grant, now, amount=plan.outstanding)
    return await _grant(session, ReliefKind.WRITE_OFF, movement, grant, now)


def _movement(
    kind: ReliefKind, plan_id: str, grant: Grant, now: datetime, *, amount: Kopecks | None = None,
    number: int | None = None, new_due_on: date | None = None, count: int | None = None,
) -> Movement:  # fmt: skip
    return Movement(
        new_id("mov", now), plan_id, MovementKind(kind.value), amount or Kopecks(0), now, grant.reference,
        installment_number=number, new_due_on=new_due_on, count=count,
    )  # fmt: skip


async def _grant(session: Session, kind: ReliefKind, movement: Movement, grant: Grant, now: datetime) -> Plan:
    debt = (await load_debts(session, [movement.plan_id]))[movement.plan_id]
    first = next((known for known in debt.movements if known.reference == movement.reference), None)
    if first is not None:
        again = replace(movement, amount=first.amount) if kind is ReliefKind.WRITE_OFF else movement
        return (await record(session, debt.plan.id, again, now=now))[0]
    on = moscow_day(now)
    _refuse(kind, debt.plan, movement.amount)
    if kind is ReliefKind.WAIVER and debt.replayed(on=on).penalty == 0:
        raise NoPenaltyOwed(plan_id=movement.plan_id)
    if kind in MOVES_DAYS:
        before, after = debt.replayed(on=on), debt.replayed([movement], on=on)
        rescheduling.check_reschedule(before, after, movement, contract_on=debt.plan.contract_on or on)
    plan, _ = await record(session, debt.plan.id, movement, now=now)
    await _keep(session, kind, movement, grant, now)
    await tell(session, plan, "relief_granted", grant.by, now=now, facts={"kind": kind.value})
    if kind in TOLD and plan.next_due_on is not None:
        facts = {"on": plan.next_due_on.isoformat()}
        await add_notices(session, [Wish(Template.RELIEF, plan.id, plan.buyer_id or "", movement.id, facts)], now=now)
    return plan


def _refuse(kind: ReliefKind, plan: Plan, amount: Kopecks) -> None:
    if kind is ReliefKind.GOODWILL and amount > plan.outstanding:
        raise GoodwillAboveDebt(amount_kopecks=int(amount), outstanding_kopecks=int(plan.outstanding))
    if kind is ReliefKind.WRITE_OFF and plan.outstanding == 0:
        raise NoDebtOwed(plan_id=plan.id)


async def _keep(session: Session, kind: ReliefKind, movement: Movement, grant: Grant, now: datetime) -> None:
    """Who and why. Raises: SnoozeSpent, also when somebody else was first at the same moment."""
    try:
        await session.execute(
            text("""INSERT INTO plan_reliefs (id, plan_id, kind, movement_id, reason, granted_by, granted_at)
                    VALUES (:id, :plan_id, :kind, :movement_id, :reason, :granted_by, :now)"""),
            {
                "id": new_id("rlf", now), "plan_id": movement.plan_id, "kind": kind.value, "movement_id": movement.id,
                "reason": grant.reason[:REASON_CHARACTERS_MAX], "granted_by": grant.by.actor, "now": now,
            },
        )  # fmt: skip
    except IntegrityError as error:
        if violated_constraint(error) == "plan_reliefs_snoozed_once":
            raise SnoozeSpent(plan_id=movement.plan_id) from None
        raise
