"""What points ask of past baskets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from checkout.basket_rows import baskets_of
from checkout.baskets import Line
from ledger.database import Session, text
from ledger.money import Kopecks

SIMULATED_MAX = 200_000
"""PastBasket baskets that one simulation reads: a month of a hundred stores."""
PAGE_MAX = 2_000


@dataclass(frozen=True, slots=True)
class PastBasket:
    """A paid basket as a simulation sees it."""

    order_id: str
    paid_on: date
    amount: Kopecks
    points: int
    """Spent on it."""
    accrued: int
    """Earned by it."""
    lines: tuple[Line, ...]


async def past_baskets(
    session: Session, programme: str, first_on: date, last_on: date, after: str = ""
) -> list[PastBasket]:
    """A page of the programme's paid baskets of some Moscow days, by order; their lines as they were sold."""
    rows = await session.execute(
        text("""SELECT b.order_id, (o.paid_at AT TIME ZONE 'Europe/Moscow')::date AS paid_on,
                       coalesce(l.points, 0) AS accrued
                  FROM order_baskets AS b JOIN orders AS o ON o.id = b.order_id
                  JOIN loyalty_cards AS c ON c.id = b.loyalty_card_id
                  JOIN points_programmes AS g ON g.code = c.programme AND g.merchant_id = c.merchant_id
                  LEFT JOIN points_lots AS l ON l.order_id = b.order_id AND l.reason = 'earned'
                 WHERE g.code = :programme AND b.order_id > :after AND o.status = 'paid'
                   AND o.paid_at >= CAST(:first_on AS date)::timestamp AT TIME ZONE 'Europe/Moscow'
                   AND o.paid_at < (CAST(:last_on AS date) + 1)::timestamp AT TIME ZONE 'Europe/Moscow'
                 ORDER BY b.order_id LIMIT :limit"""),
        {"programme": programme, "first_on": first_on, "last_on": last_on, "after": after, "limit": PAGE_MAX},
    )
    found = {row.order_id: row for row in rows}
    baskets = await baskets_of(session, list(found))
    return [
        PastBasket(order_id, row.paid_on, baskets[order_id].amount, baskets[order_id].points, row.accrued,
             baskets[order_id].basket.lines)
        for order_id, row in found.items()
    ]  # fmt: skip
