"""What the world and the log are told of a plan: an event and an audit leaf, in the transaction of what they tell of.

Neither holds personal data: the buyer is an id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from installments.plan import Plan
from ledger import outbox
from ledger.database import Session
from ledger.outbox import Event
from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage


@dataclass(frozen=True, slots=True)
class PlanActor:
    """Who does something to a plan, and from where, for the log."""

    actor: str
    """``caller:key_…``, ``buyer:byr_…``, ``system:plans``."""
    origin: str
    """A request id, or ``worker``."""


OF_HOUSE = frozenset({"relief_granted", "debt_sold", "card_change_asked", "card_replaced", "card_change_refused"})
"""What merchants are not told: how the house collects. Its own readers hear it. DECISIONS.md."""
BY_ITSELF = PlanActor("system:plans", "worker")
"""What follows from time or from a bank's answer."""


async def tell(
    session: Session, plan: Plan, what: str, by: PlanActor, *, now: datetime,
    facts: Mapping[str, str | int | bool] | None = None, outcome: AuditOutcome = AuditOutcome.DONE,
) -> None:  # fmt: skip
    """Publish ``plan.<what>`` and stage its audit leaf. Locks: the numbering of the plan's events."""
    more = dict(facts or {})
    whose = None if what in OF_HOUSE else plan.merchant_id
    await outbox.publish(session, Event(f"plan.{what}", plan.id, whose, event_data(plan) | more), now=now)
    await stage(
        session,
        [
            AuditEvent(
                f"plan.{what}", by.actor, by.origin, f"plan:{plan.id}", now, outcome, plan.merchant_id,
                {"status": plan.status.value, "total_kopecks": int(plan.total)} | more,
            )
        ],
    )  # fmt: skip


def event_data(plan: Plan) -> dict[str, object]:
    """A plan as events show it."""
    return {
        "plan_id": plan.id, "merchant_id": plan.merchant_id, "order_number": plan.order_number,
        "buyer_id": plan.buyer_id, "status": plan.status.value, "standing": plan.standing.value,
        "price_kopecks": int(plan.price), "total_kopecks": int(plan.total),
        "outstanding_kopecks": int(plan.outstanding), "reason": plan.reason, "version": plan.version,
    }  # fmt: skip
