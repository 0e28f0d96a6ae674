"""Rows of item refunds, as values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from checkout.basket_errors import ItemRefundNotFound
from checkout.baskets import NOTHING
from ledger.database import Session, text
from ledger.money import Kopecks

PAGE_MAX = 200


class ItemRefundStatus(StrEnum):
    """Where goods on their way back stand."""

    REQUESTED = "requested"
    """Their money is on its way."""
    SUCCEEDED = "succeeded"
    """The buyer has money, points and code. Final."""
    REFUSED = "refused"
    """The rail gave nothing back; the goods may be given back again. Final."""


@dataclass(frozen=True, slots=True)
class Returned:
    """So much of one line."""

    line: int
    """Its number in the basket, from 1."""
    quantity: int
    amount: Kopecks = NOTHING
    """What the rail gives back for it."""
    points: int = 0
    """How many points come back for it."""


@dataclass(frozen=True, slots=True)
class ItemRefund:
    """Goods of an order given back, with what goes back for them."""

    id: str
    order_id: str
    merchant_id: str
    refund_id: str | None
    """The money's own refund by the rail; nothing where points or a code paid for all of it."""
    lines: tuple[Returned, ...]
    amount: Kopecks
    points_back: int
    reason: str | None
    status: ItemRefundStatus
    created_at: datetime
    ended_at: datetime | None


async def add_item_refund(session: Session, refund: ItemRefund) -> None:
    """Keep a new item refund, and count it in the basket, which is locked."""
    await session.execute(
        text("""WITH counted AS (
                    UPDATE order_baskets SET refund_kopecks = refund_kopecks + :amount,
                                             points_back = points_back + :points
                     WHERE order_id = :order_id)
                INSERT INTO item_refunds (id, order_id, refund_id, lines, amount_kopecks, points_back, reason,
                                          created_at)
                VALUES (:id, :order_id, :refund_id, CAST(:lines AS jsonb), :amount, :points, :reason, :created_at)"""),
        {
            "id": refund.id, "order_id": refund.order_id, "refund_id": refund.refund_id,
            "lines": json.dumps([[each.line, each.quantity, int(each.amount), each.points] for each in refund.lines]),
            "amount": int(refund.amount), "points": refund.points_back, "reason": refund.reason,
            "created_at": refund.created_at,
        },
    )  # fmt: skip


async def end_item_refund(session: Session, refund: ItemRefund, to: ItemRefundStatus, *, now: datetime) -> None:
    """End an item refund whose basket is locked; one that came to nothing is counted no more."""
    await session.execute(
        text("UPDATE item_refunds SET status = :to, ended_at = :now WHERE id = :id"),
        {"id": refund.id, "to": to.value, "now": now},
    )
    if to is ItemRefundStatus.REFUSED:
        await session.execute(
            text("""UPDATE order_baskets SET refund_kopecks = refund_kopecks - :amount,
                                             points_back = points_back - :points
                     WHERE order_id = :order_id"""),
            {"order_id": refund.order_id, "amount": int(refund.amount), "points": refund.points_back},
        )


async def load_item_refund(session: Session, refund_id: str, *, merchant_id: str | None = None) -> ItemRefund:
    """The item refund. Raises: ItemRefundNotFound if there is none, or it is another merchant's."""
    found = await _found(session, "i.id = :id", {"id": refund_id})
    if not found or merchant_id not in (None, found[0].merchant_id):
        raise ItemRefundNotFound(item_refund_id=refund_id)
    return found[0]


async def find_item_refund(session: Session, refund_id: str) -> ItemRefund | None:
    """The item refund, or nothing."""
    found = await _found(session, "i.id = :id", {"id": refund_id})
    return found[0] if found else None


async def of_money(session: Session, refund_id: str) -> ItemRefund | None:
    """The item refund whose money goes back by this refund, if it is one."""
    found = await _found(session, "i.refund_id = :id", {"id": refund_id})
    return found[0] if found else None


async def of_order(session: Session, order_id: str) -> list[ItemRefund]:
    """What was given back of an order, oldest first."""
    return await _found(session, "i.order_id = :id", {"id": order_id})


async def list_item_refunds(
    session: Session, *, merchant_id: str | None, order_id: str | None, after: str = "", limit: int = PAGE_MAX
) -> tuple[list[ItemRefund], bool]:
    """Item refunds by id, and whether there are more."""
    found = await _found(
        session,
        """i.id > :after AND (CAST(:merchant_id AS text) IS NULL OR o.merchant_id = :merchant_id)
           AND (CAST(:order_id AS text) IS NULL OR i.order_id = :order_id)""",
        {"after": after, "merchant_id": merchant_id, "order_id": order_id, "limit": limit + 1},
        "LIMIT :limit",
    )
    return found[:limit], len(found) > limit


async def _found(session: Session, which: str, named: dict[str, Any], limit: str = "") -> list[ItemRefund]:
    rows = await session.execute(
        text(f"""SELECT i.*, o.merchant_id FROM item_refunds AS i JOIN orders AS o ON o.id = i.order_id
                  WHERE {which} ORDER BY i.id {limit}"""),  # noqa: S608  # our own words
        named,
    )
    return [_item_refund(row) for row in rows]


def _item_refund(row: Row[Any]) -> ItemRefund:
    return ItemRefund(
        id=row.id, order_id=row.order_id, merchant_id=row.merchant_id, refund_id=row.refund_id,
        lines=tuple(Returned(line, quantity, Kopecks(back), points) for line, quantity, back, points in row.lines),
        amount=Kopecks(row.amount_kopecks), points_back=row.points_back, reason=row.reason,
        status=ItemRefundStatus(row.status), created_at=row.created_at, ended_at=row.ended_at,
    )  # fmt: skip


def quantities(refunds: Sequence[ItemRefund]) -> dict[int, int]:
    """How much of each line these refunds give back."""
    counted: dict[int, int] = {}
    for refund in refunds:
        for each in refund.lines:
            counted[each.line] = counted.get(each.line, 0) + each.quantity
    return counted
