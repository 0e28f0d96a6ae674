"""What buyers paid too much and a person must return: money that came by SBP or straight to the bank, and money that
every card refused. What came by card goes back by itself (``api.plan_credit_refunds``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.database import Session, text
from ledger.money import Kopecks

OVERPAID_MAX = 1_000
"""Listed at once, the oldest plans first."""
REFUSED_BY_CARDS = """
SELECT m.plan_id,
       (sum(m.amount_kopecks)
       - (SELECT coalesce(sum(c.amount_kopecks), 0) FROM plan_credit_refunds AS c
           WHERE c.plan_id = m.plan_id AND NOT c.is_refused)
       - (SELECT coalesce(sum(b.amount_kopecks), 0) FROM plan_bank_returns AS b WHERE b.plan_id = m.plan_id)
       )::bigint AS kopecks
  FROM plan_movements AS m
 WHERE m.kind = 'credit_refund'
   AND (WITH RECURSIVE undos (id, number) AS (
            SELECT m.id, 0
            UNION ALL
            SELECT u.id, before.number + 1
              FROM undos AS before JOIN plan_movements AS u ON u.undoes = before.id AND u.kind = 'undo')
        SELECT mod(max(number), 2) = 0 FROM undos)"""
"""What is off the plans, and neither a card, taken or asked, nor a transfer has given back. To be grouped by plan. An
undo may itself be undone: what an even number of them names, one after another, counts."""


@dataclass(frozen=True, slots=True)
class OverpaidPlan:
    """What a plan owes its buyer."""

    plan_id: str
    buyer_id: str | None
    amount: Kopecks
    refused: Kopecks
    """Of it, what no card would take."""


@dataclass(frozen=True, slots=True)
class BankReturn:
    """What a buyer paid too much, sent back from our own bank account."""

    plan_id: str
    amount: Kopecks
    bank_reference: str
    """The bank's own name of the transfer: one transfer is of one plan."""


async def list_overpaid(session: Session) -> list[OverpaidPlan]:
    """Plans with money of their buyers that no captured card payment is left to take, or that cards refused."""
    found = await session.execute(
        text(f"""
            WITH refused AS ({REFUSED_BY_CARDS} GROUP BY m.plan_id), overpaid AS (
                SELECT p.id AS plan_id, p.overpaid_kopecks AS kopecks FROM installment_plans AS p
                 WHERE p.overpaid_kopecks > 0
                   AND NOT EXISTS (SELECT FROM plan_movements AS m JOIN card_payments AS c ON c.id = m.reference
                                    WHERE m.plan_id = p.id AND c.captured_kopecks > c.refund_kopecks))
            SELECT p.id, p.buyer_id, coalesce(o.kopecks, 0) + coalesce(r.kopecks, 0) AS kopecks,
                   coalesce(r.kopecks, 0) AS refused_kopecks
              FROM (SELECT * FROM refused WHERE kopecks > 0) AS r FULL JOIN overpaid AS o ON o.plan_id = r.plan_id
              JOIN installment_plans AS p ON p.id = coalesce(o.plan_id, r.plan_id)
             ORDER BY p.id LIMIT :limit"""),  # noqa: S608  # our own words
        {"limit": OVERPAID_MAX},
    )
    return [OverpaidPlan(row.id, row.buyer_id, Kopecks(row.kopecks), Kopecks(row.refused_kopecks)) for row in found]


async def refused_by_cards(session: Session, plan_id: str) -> Kopecks:
    """What a plan's buyer paid too much, no card would take, and nobody has sent back yet. The plan is locked."""
    found = await session.scalar(
        text(f"SELECT max(kopecks) FROM ({REFUSED_BY_CARDS} AND m.plan_id = :plan_id GROUP BY m.plan_id) AS r"),  # noqa: S608  # ours
        {"plan_id": plan_id},
    )
    return Kopecks(int(found or 0))


async def find_bank_return(session: Session, bank_reference: str) -> BankReturn | None:
    """The return that was written down under a bank's reference."""
    found = await session.execute(
        text("SELECT plan_id, amount_kopecks FROM plan_bank_returns WHERE bank_reference = :bank_reference"),
        {"bank_reference": bank_reference},
    )
    row = found.first()
    return None if row is None else BankReturn(row.plan_id, Kopecks(row.amount_kopecks), bank_reference)


async def add_bank_return(session: Session, back: BankReturn, refused: Kopecks, *, now: datetime) -> bool:
    """Write down a transfer; ``refused`` of it is what no card would take. Whether its reference was new.

    Locks: the bank's reference. The plan is locked.
    """
    added = await session.execute(
        text("""INSERT INTO plan_bank_returns (bank_reference, plan_id, amount_kopecks, refused_kopecks, created_at)
                VALUES (:bank_reference, :plan_id, :amount, :refused, :now) ON CONFLICT DO NOTHING"""),
        {
            "bank_reference": back.bank_reference, "plan_id": back.plan_id, "amount": int(back.amount),
            "refused": int(refused), "now": now,
        },
    )  # fmt: skip
    return added.rowcount == 1
