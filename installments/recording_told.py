"""What is told of a recording: events of the plan, and lines of the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from installments import bureau, notices, receipts
from installments.movements import Movement, MovementKind
from installments.notice_texts import Template
from installments.notices import Wish
from installments.plan import Plan, Standing
from installments.reckoning import Reckoned
from ledger import outbox
from ledger.database import Session
from ledger.outbox import PUBLISH_MAX, Event
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage

ORIGIN = "installments.recording"
_SUMS = ("outstanding_kopecks", "overpaid_kopecks", "penalty_kopecks", "refunded_kopecks")


async def tell(session: Session, done: Sequence[Reckoned], *, now: datetime) -> None:
    """Publish ``plan.<kind>`` for each movement and ``plan.<standing>`` where the standing changed, and log them.

    ``plan.overpaid`` says that more than before is owed back to the buyer.

    Buyers, credit bureaus and tills are told what is theirs in the same transaction.

    Locks: the numbering of the plans' events, in the order of their ids.
    """
    events = [event for each in done for event in _events(each)]
    for start in range(0, len(events), PUBLISH_MAX):
        await outbox.publish_all(session, events[start : start + PUBLISH_MAX], now=now)
    await stage(session, [_line(each.plan, one, now) for each in done for one in each.movements])
    await bureau.tell_recorded(session, [(each.before.plan, each.movements, each.state) for each in done], now=now)
    await receipts.want_of_payments(session, [(each.plan, one) for each in done for one in each.movements], now=now)
    wishes = [wish for each in done for wish in _wishes(each)]
    for start in range(0, len(wishes), notices.NOTICES_MAX):
        await notices.add_notices(session, wishes[start : start + notices.NOTICES_MAX], now=now)


def _wishes(done: Reckoned) -> Iterator[Wish]:
    """What the buyer is told: that goods came back; that nothing is owed any more of goods that were kept."""
    plan = done.plan
    for movement in done.movements:
        if movement.kind is MovementKind.MERCHANT_REFUND:
            facts = {"amount": int(movement.amount)}
            yield Wish(Template.REFUND, plan.id, plan.buyer_id or "", movement.id, facts)
    if done.before.plan.standing is not Standing.REPAID is plan.standing and plan.total > 0:
        yield Wish(Template.REPAID, plan.id, plan.buyer_id or "", done.movements[-1].id)


def standing_event_of(standing: Standing, row: Mapping[str, Any]) -> Event:
    """How a debt stands now, of a plan's row: ``plan.current``, ``.overdue``, ``.repaid`` or ``.written_off``."""
    due_on = row["next_due_on"]
    data = {
        "plan_id": row["id"], "merchant_id": row["merchant_id"], "standing": standing.value,
        **{name: int(row[name]) for name in _SUMS}, "next_due_on": None if due_on is None else due_on.isoformat(),
    }  # fmt: skip
    return Event(f"plan.{standing.value}", row["id"], row["merchant_id"], data)


def standing_line(standing: Standing, row: Mapping[str, Any], now: datetime) -> AuditEvent:
    """The same for the log."""
    return AuditEvent(
        "plan.standing_changed", actor="system:installments", origin="installments.nightly",
        subject=f"plan:{row['id']}", happened_at=now, merchant_id=row["merchant_id"],
        facts={"standing": standing.value, "outstanding_kopecks": int(row["outstanding_kopecks"])},
    )  # fmt: skip


def _events(done: Reckoned) -> Iterator[Event]:
    plan = done.plan
    standing = standing_event_of(plan.standing, _row(plan))
    for movement in done.movements:
        data = {
            "movement_id": movement.id, "kind": movement.kind.value, "amount_kopecks": int(movement.amount),
            "happened_at": movement.happened_at.isoformat(), "reference": movement.reference, **standing.data,
        }  # fmt: skip
        yield Event(f"plan.{movement.kind.value}", plan.id, plan.merchant_id, data)
    if plan.standing is not done.before.plan.standing:
        yield standing
    if plan.overpaid > done.before.plan.overpaid:
        yield Event("plan.overpaid", plan.id, plan.merchant_id, standing.data)


def _row(plan: Plan) -> dict[str, Any]:
    """A plan as its row, where both are told in the same words."""
    return {
        "id": plan.id, "merchant_id": plan.merchant_id, "outstanding_kopecks": plan.outstanding,
        "overpaid_kopecks": plan.overpaid, "penalty_kopecks": plan.penalty, "refunded_kopecks": plan.refunded,
        "next_due_on": plan.next_due_on,
    }  # fmt: skip


def _line(plan: Plan, movement: Movement, now: datetime) -> AuditEvent:
    return AuditEvent(
        "plan.movement_recorded", actor="system:installments", origin=ORIGIN, subject=f"plan:{plan.id}",
        happened_at=now, merchant_id=plan.merchant_id,
        facts={
            "movement_id": movement.id, "kind": movement.kind.value, "amount_kopecks": int(movement.amount),
            "outstanding_kopecks": int(plan.outstanding), "standing": plan.standing.value,
        },
    )  # fmt: skip
