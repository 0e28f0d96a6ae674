"""Which plans have something to be done: their card has been answered, or a door died before it did what follows."""

from __future__ import annotations

from ledger.database import Session, text

BATCH_MAX = 100
"""Plans gone on with in one round of the worker."""


async def plans_to_carry_on(session: Session) -> list[str]:
    """Plans for which ``PlanCalls.carry_on`` has something to do just now.

    A card payment that waits for its bank is asked about by the till's own job; its plan comes here when it is known.
    What was overpaid by other ways than a card waits for a person.
    """
    found = await session.scalars(
        text("""
            SELECT f.plan_id FROM plan_first_payments AS f
              JOIN card_payments AS c ON c.id = f.payment_id
              JOIN installment_plans AS p ON p.id = f.plan_id
              JOIN installment_products AS t ON (t.code, t.version) = (p.product_code, p.product_version)
             WHERE f.settled_at IS NULL
               AND (c.status IN ('captured', 'refused', 'voided')
                    OR c.status = 'authorised' AND (p.status <> 'wait_for_commit' OR t.is_committed_at_once))
             UNION
            SELECT p.id FROM installment_plans AS p
              JOIN installments AS i ON i.plan_id = p.id AND i.number = 1
             WHERE p.status = 'committed' AND i.paid_kopecks = i.amount_kopecks
             UNION
            SELECT p.id FROM installment_plans AS p
             WHERE p.overpaid_kopecks > 0
               AND EXISTS (SELECT FROM plan_movements AS m JOIN card_payments AS c ON c.id = m.reference
                            WHERE m.plan_id = p.id AND c.captured_kopecks > c.refund_kopecks)
               AND NOT EXISTS (SELECT FROM plan_credit_refunds AS r WHERE r.plan_id = p.id AND r.ended_at IS NULL)
             UNION
            SELECT r.plan_id FROM plan_credit_refunds AS r JOIN card_refunds AS c ON c.id = r.card_refund_id
             WHERE r.ended_at IS NULL AND c.status IN ('succeeded', 'refused')
             UNION
            SELECT t.plan_id FROM plan_attempts AS t
              JOIN attempts AS a ON a.id = t.attempt_id
              JOIN installment_plans AS p ON p.id = t.plan_id
             WHERE t.settled_at IS NULL
               AND (a.status NOT IN ('requested', 'waiting', 'unknown')
                    OR p.status NOT IN ('new', 'approved', 'wait_for_commit')
                    OR p.status = 'wait_for_commit' AND NOT EXISTS (
                        SELECT FROM bureau_deliveries AS b
                         WHERE b.plan_id = p.id AND b.sequence = 1 AND b.state <> 'acknowledged'))
             LIMIT :limit"""),
        {"limit": BATCH_MAX},
    )
    return list(found)
