"""First payments (первые платежи): every card that a buyer tried for the first installment, and which are still open.

The payment itself is a card payment of the operator and lives with the till; here is only whose it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from installments.errors import FirstPaymentTriesSpent
from ledger.database import Session, text

TRIES_MAX = 5
"""Cards a buyer may try for one plan: enough for a mistake, too few to test stolen cards. The table knows it too."""


async def add_first_payment(session: Session, plan_id: str, payment_id: str, *, now: datetime) -> int:
    """Keep one more try of a locked plan and give its number. Raises: FirstPaymentTriesSpent."""
    number = 1 + await count_tries(session, plan_id)
    if number > TRIES_MAX:
        raise FirstPaymentTriesSpent(tries_max=TRIES_MAX)
    await session.execute(
        text("""INSERT INTO plan_first_payments (payment_id, plan_id, number, created_at)
                VALUES (:payment_id, :plan_id, :number, :now)"""),
        {"payment_id": payment_id, "plan_id": plan_id, "number": number, "now": now},
    )
    return number


async def count_tries(session: Session, plan_id: str) -> int:
    """How many cards were tried."""
    tried = await session.scalar(
        text("SELECT count(*) FROM plan_first_payments WHERE plan_id = :plan_id"), {"plan_id": plan_id}
    )
    return int(tried or 0)


async def settle_first_payment(session: Session, payment_id: str, *, now: datetime) -> None:
    """Nothing more comes of this try: it was refused, let go, or taken and told to its plan."""
    await session.execute(
        text("UPDATE plan_first_payments SET settled_at = :now WHERE payment_id = :id AND settled_at IS NULL"),
        {"id": payment_id, "now": now},
    )


async def open_first_payments(session: Session, plan_id: str) -> Sequence[str]:
    """Tries of a plan of which something may still come, the oldest first."""
    found = await session.scalars(
        text("""SELECT payment_id FROM plan_first_payments
                 WHERE plan_id = :plan_id AND settled_at IS NULL ORDER BY number"""),
        {"plan_id": plan_id},
    )
    return list(found)


async def last_first_payment(session: Session, plan_id: str) -> str | None:
    """The last try of a plan, if there was one."""
    found = await session.scalar(
        text("SELECT payment_id FROM plan_first_payments WHERE plan_id = :plan_id ORDER BY number DESC LIMIT 1"),
        {"plan_id": plan_id},
    )
    return None if found is None else str(found)
