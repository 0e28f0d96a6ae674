"""Sales and refunds go into the shift of their till, with the money, in one transaction.

Only tills that keep shifts have any: one that never opened a shift costs nothing but a look. DECISIONS.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from checkout.attempts import Attempt
from checkout.orders import Order
from checkout.shift_report import POINTS
from ledger.database import Session, text
from ledger.money import Kopecks

_INSERT = """
    INSERT INTO shift_operations (id, kind, terminal_id, shift_id, cashier_id, order_id, rail, amount_kopecks,
                                  happened_at)
    SELECT n.id, n.kind, n.terminal_id, CASE WHEN s.closed_at IS NULL THEN s.id END, t.cashier_id, n.order_id, n.rail,
           n.amount_kopecks, :now
      FROM ({rows}) AS n
      JOIN LATERAL (SELECT id, closed_at FROM shifts WHERE terminal_id = n.terminal_id
                     ORDER BY number DESC LIMIT 1 FOR SHARE) AS s ON true
      LEFT JOIN shift_turns AS t ON t.shift_id = s.id AND t.ended_at IS NULL
    ON CONFLICT (id) DO NOTHING"""


async def note_sales(session: Session, paid: Sequence[tuple[Attempt, Order]], *, now: datetime) -> None:
    """Put paid orders into the shifts of their tills. Locks: those shifts, so that none is closed meanwhile."""
    if paid:
        rows = """SELECT id, 'sale' AS kind, terminal_id, id AS order_id, rail, amount_kopecks
                    FROM unnest(CAST(:ids AS text[]), CAST(:terminals AS text[]), CAST(:rails AS text[]),
                                CAST(:amounts AS bigint[])) AS u (id, terminal_id, rail, amount_kopecks)"""
        await session.execute(
            text(_INSERT.format(rows=rows)),
            {
                "ids": [order.id for _, order in paid],
                "terminals": [order.terminal_id for _, order in paid],
                "rails": [attempt.rail for attempt, _ in paid],
                "amounts": [int(attempt.amount) for attempt, _ in paid],
                "now": now,
            },
        )


async def note_refund(session: Session, refund_id: str, attempt_id: str, amount: Kopecks, *, now: datetime) -> None:
    """Put a refund of an order into the shift of the till that sold it, once. Locks: that shift."""
    rows = """SELECT CAST(:id AS text) AS id, 'refund' AS kind, o.terminal_id, o.id AS order_id, a.rail,
                     CAST(:amount AS bigint) AS amount_kopecks
                FROM attempts AS a JOIN orders AS o ON o.id = a.order_id
               WHERE a.id = :attempt_id AND a.status = 'paid'"""
    await session.execute(
        text(_INSERT.format(rows=rows)),
        {"id": refund_id, "attempt_id": attempt_id, "amount": int(amount), "now": now},
    )


async def note_points_back(
    session: Session, item_refund_id: str, order_id: str, worth: Kopecks, *, now: datetime
) -> None:
    """Put the points that a refund gave back into the shift of the till that sold, once. Locks: that shift."""
    rows = """SELECT CAST(:id AS text) AS id, 'refund' AS kind, o.terminal_id, o.id AS order_id,
                     CAST(:points AS text) AS rail, CAST(:worth AS bigint) AS amount_kopecks
                FROM orders AS o WHERE o.id = :order_id"""
    await session.execute(
        text(_INSERT.format(rows=rows)),
        {"id": item_refund_id, "points": POINTS, "order_id": order_id, "worth": int(worth), "now": now},
    )
