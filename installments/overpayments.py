"""Overpayments that no card can take back: the buyer's money came by SBP or straight to the bank, and a person
returns it. What came by card goes back by itself."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.database import Session, text
from ledger.money import Kopecks

OVERPAID_MAX = 1_000
"""Listed at once, the oldest plans first."""


@dataclass(frozen=True, slots=True)
class OverpaidPlan:
    """What a plan owes its buyer."""

    plan_id: str
    buyer_id: str | None
    amount: Kopecks


async def list_overpaid(session: Session) -> list[OverpaidPlan]:
    """Plans with money of their buyers and no captured card payment left to give it back to."""
    found = await session.execute(
        text("""SELECT p.id, p.buyer_id, p.overpaid_kopecks FROM installment_plans AS p
                 WHERE p.overpaid_kopecks > 0
                   AND NOT EXISTS (SELECT FROM plan_movements AS m JOIN card_payments AS c ON c.id = m.reference
                                    WHERE m.plan_id = p.id AND c.captured_kopecks > c.refund_kopecks)
                 ORDER BY p.id LIMIT :limit"""),
        {"limit": OVERPAID_MAX},
    )
    return [OverpaidPlan(row.id, row.buyer_id, Kopecks(row.overpaid_kopecks)) for row in found]
