"""Rows of movements, installments and what the books say of plans, by many plans at once.

Locks: none of their own. Whoever writes them has locked their plans (``repository.load_plans``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from installments.arrears import Bucket
from installments.movements import Movement, MovementKind
from installments.plan import Plan
from installments.products import RefundPolicy, Step
from installments.state import InstallmentState
from ledger.database import Session, text
from ledger.money import Kopecks


@dataclass(frozen=True, slots=True)
class Aged:
    """One installment as it is kept: with the bucket that the books have it in."""

    state: InstallmentState
    bucket: Bucket


@dataclass(frozen=True, slots=True)
class PlanBooks:
    """What the books say of a plan beside its own columns. Kopecks."""

    held: int = 0
    """Of the first installment, on the buyer's card: off the balance sheet."""
    reserved: int = 0
    """Of the merchant's money, until a dispute ends."""
    fee_recognised: int = 0
    """Of the merchant's discount, earned so far."""
    fee_next_on: date | None = None
    """When the next part of it is earned."""
    penalty_accrued: int = 0
    penalty_waived: int = 0
    written_off: int = 0
    recovered: int = 0
    accrued_on: date | None = None
    """The last day whose penalty is booked."""


async def load_installments(session: Session, plan_ids: Sequence[str]) -> dict[str, tuple[InstallmentState, ...]]:
    """Installments as they are kept, by number; plans without any are left out."""
    aged = await load_aged(session, plan_ids)
    return {plan_id: tuple(row.state for row in rows) for plan_id, rows in aged.items()}


async def load_aged(session: Session, plan_ids: Sequence[str]) -> dict[str, tuple[Aged, ...]]:
    """Installments with their buckets, by number; plans without any are left out."""
    rows = await session.execute(
        text("""SELECT plan_id, number, due_on, amount_kopecks, paid_kopecks, bucket FROM installments
                 WHERE plan_id = ANY(CAST(:ids AS text[])) ORDER BY plan_id, number"""),
        {"ids": list(plan_ids)},
    )
    found: dict[str, list[Aged]] = {}
    for plan_id, number, due_on, amount, paid, bucket in rows:
        state = InstallmentState(number, due_on, Kopecks(amount), Kopecks(paid))
        found.setdefault(plan_id, []).append(Aged(state, _BUCKETS[bucket]))
    return {plan_id: tuple(aged) for plan_id, aged in found.items()}


async def load_movements(session: Session, plan_ids: Sequence[str]) -> dict[str, tuple[Movement, ...]]:
    """All movements of plans in the order in which they happened; plans without any are left out."""
    rows = await session.execute(
        text("""SELECT id, plan_id, kind, amount_kopecks, happened_at, reference, undoes, policy, installment_number,
                       new_due_on, count, step, every
                  FROM plan_movements WHERE plan_id = ANY(CAST(:ids AS text[]))
                 ORDER BY plan_id, happened_at, reference"""),
        {"ids": list(plan_ids)},
    )
    found: dict[str, list[Movement]] = {}
    for row in rows:
        movement = _movement(row)
        found.setdefault(movement.plan_id, []).append(movement)
    return {plan_id: tuple(movements) for plan_id, movements in found.items()}


async def load_books(session: Session, plan_ids: Sequence[str]) -> dict[str, PlanBooks]:
    """What the books say of plans; plans of which they say nothing are left out."""
    rows = await session.execute(
        text("""SELECT plan_id, held_kopecks, reserved_kopecks, fee_recognised_kopecks, fee_next_on,
                       penalty_accrued_kopecks, penalty_waived_kopecks, written_off_kopecks, recovered_kopecks,
                       accrued_on
                  FROM plan_books WHERE plan_id = ANY(CAST(:ids AS text[]))"""),
        {"ids": list(plan_ids)},
    )
    return {plan_id: PlanBooks(*kept) for plan_id, *kept in rows}


async def add_movements(session: Session, movements: Sequence[Movement], *, now: datetime) -> None:
    """Keep movements."""
    columns = {
        "ids": [one.id for one in movements], "plans": [one.plan_id for one in movements],
        "kinds": [one.kind.value for one in movements], "amounts": [int(one.amount) for one in movements],
        "happened": [one.happened_at for one in movements], "references": [one.reference for one in movements],
        "undone": [one.undoes for one in movements],
        "policies": [None if one.policy is None else one.policy.value for one in movements],
        "numbers": [one.installment_number for one in movements], "days": [one.new_due_on for one in movements],
        "counts": [one.count for one in movements],
        "steps": [None if one.step is None else one.step.value for one in movements],
        "every": [one.every for one in movements], "now": now,
    }  # fmt: skip
    await session.execute(
        text("""INSERT INTO plan_movements (id, plan_id, kind, amount_kopecks, happened_at, recorded_at, reference,
                       undoes, policy, installment_number, new_due_on, count, step, every)
                SELECT m.id, m.plan_id, m.kind, m.amount, m.happened_at, :now, m.reference, m.undoes, m.policy,
                       m.number, m.new_due_on, m.count, m.step, m.every
                  FROM unnest(CAST(:ids AS text[]), CAST(:plans AS text[]), CAST(:kinds AS text[]),
                              CAST(:amounts AS bigint[]), CAST(:happened AS timestamptz[]),
                              CAST(:references AS text[]), CAST(:undone AS text[]), CAST(:policies AS text[]),
                              CAST(:numbers AS int[]), CAST(:days AS date[]), CAST(:counts AS int[]),
                              CAST(:steps AS text[]), CAST(:every AS int[]))
                    AS m (id, plan_id, kind, amount, happened_at, reference, undoes, policy, number, new_due_on,
                          count, step, every)"""),
        columns,
    )


async def save_installments(session: Session, rows: Sequence[tuple[str, Aged]]) -> None:
    """Keep installments as they have become; what is not named stays."""
    if not rows:
        return
    await session.execute(
        text("""INSERT INTO installments AS i (plan_id, number, due_on, amount_kopecks, paid_kopecks, bucket)
                SELECT * FROM unnest(CAST(:plans AS text[]), CAST(:numbers AS int[]), CAST(:days AS date[]),
                       CAST(:amounts AS bigint[]), CAST(:paid AS bigint[]), CAST(:buckets AS text[]))
                ON CONFLICT (plan_id, number) DO UPDATE
                   SET due_on = excluded.due_on, amount_kopecks = excluded.amount_kopecks,
                       paid_kopecks = excluded.paid_kopecks, bucket = excluded.bucket"""),
        {
            "plans": [plan_id for plan_id, _ in rows], "numbers": [row.state.number for _, row in rows],
            "days": [row.state.due_on for _, row in rows], "amounts": [int(row.state.amount) for _, row in rows],
            "paid": [int(row.state.paid) for _, row in rows], "buckets": [row.bucket.value for _, row in rows],
        },
    )  # fmt: skip


async def save_books(session: Session, books: Mapping[str, PlanBooks]) -> None:
    """Keep what the books say of plans now."""
    await session.execute(
        text("""INSERT INTO plan_books AS b (plan_id, held_kopecks, reserved_kopecks, fee_recognised_kopecks,
                       fee_next_on, penalty_accrued_kopecks, penalty_waived_kopecks, written_off_kopecks,
                       recovered_kopecks, accrued_on)
                SELECT * FROM unnest(CAST(:plans AS text[]), CAST(:held AS bigint[]), CAST(:reserved AS bigint[]),
                       CAST(:recognised AS bigint[]), CAST(:next AS date[]), CAST(:accrued AS bigint[]),
                       CAST(:waived AS bigint[]), CAST(:written_off AS bigint[]), CAST(:recovered AS bigint[]),
                       CAST(:accrued_on AS date[]))
                ON CONFLICT (plan_id) DO UPDATE
                   SET held_kopecks = excluded.held_kopecks, reserved_kopecks = excluded.reserved_kopecks,
                       fee_recognised_kopecks = excluded.fee_recognised_kopecks, fee_next_on = excluded.fee_next_on,
                       penalty_accrued_kopecks = excluded.penalty_accrued_kopecks,
                       penalty_waived_kopecks = excluded.penalty_waived_kopecks,
                       written_off_kopecks = excluded.written_off_kopecks,
                       recovered_kopecks = excluded.recovered_kopecks, accrued_on = excluded.accrued_on"""),
        {"plans": list(books)} | _columns(books.values()),
    )


def _columns(books: Iterable[PlanBooks]) -> dict[str, list[Any]]:
    kept = list(books)
    return {
        "held": [one.held for one in kept], "reserved": [one.reserved for one in kept],
        "recognised": [one.fee_recognised for one in kept], "next": [one.fee_next_on for one in kept],
        "accrued": [one.penalty_accrued for one in kept], "waived": [one.penalty_waived for one in kept],
        "written_off": [one.written_off for one in kept], "recovered": [one.recovered for one in kept],
        "accrued_on": [one.accrued_on for one in kept],
    }  # fmt: skip


async def save_debts(session: Session, plans: Sequence[Plan]) -> None:
    """Keep how the debts of locked plans stand; their other columns are not touched."""
    await session.execute(
        text("""UPDATE installment_plans AS p
                   SET standing = n.standing, fee_kopecks = n.fee, refunded_kopecks = n.refunded,
                       outstanding_kopecks = n.outstanding, overpaid_kopecks = n.overpaid, penalty_kopecks = n.penalty,
                       next_due_on = n.next_due_on, ended_at = n.ended_at, version = n.version
                  FROM unnest(CAST(:ids AS text[]), CAST(:standings AS text[]), CAST(:fees AS bigint[]),
                              CAST(:refunded AS bigint[]), CAST(:outstanding AS bigint[]), CAST(:overpaid AS bigint[]),
                              CAST(:penalties AS bigint[]), CAST(:days AS date[]), CAST(:ended AS timestamptz[]),
                              CAST(:versions AS int[]))
                    AS n (id, standing, fee, refunded, outstanding, overpaid, penalty, next_due_on, ended_at, version)
                 WHERE p.id = n.id"""),
        {
            "ids": [plan.id for plan in plans], "standings": [plan.standing.value for plan in plans],
            "fees": [int(plan.fee) for plan in plans], "refunded": [int(plan.refunded) for plan in plans],
            "outstanding": [int(plan.outstanding) for plan in plans],
            "overpaid": [int(plan.overpaid) for plan in plans], "penalties": [int(plan.penalty) for plan in plans],
            "days": [plan.next_due_on for plan in plans], "ended": [plan.ended_at for plan in plans],
            "versions": [plan.version for plan in plans],
        },
    )  # fmt: skip


_BUCKETS = {bucket.value: bucket for bucket in Bucket}
_KINDS = {kind.value: kind for kind in MovementKind}
"""Members by their words: a look into a dict costs a quarter of a call of the enum."""


def _movement(row: Sequence[Any]) -> Movement:
    """A movement of a row whose columns are in the order of its fields."""
    movement_id, plan_id, kind, amount, happened_at, reference, undoes, policy, number, day, count, step, every = row
    return Movement(
        movement_id, plan_id, _KINDS[kind], Kopecks(amount), happened_at, reference, undoes,
        None if policy is None else RefundPolicy(policy), number, day, count,
        None if step is None else Step(step), every,
    )  # fmt: skip
