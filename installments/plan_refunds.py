"""Returns of goods as merchants told them; what each did to the debt is the movement with the same reference."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from installments.plan import Item
from installments.repository import items_as_json, items_of_json
from ledger.database import Session, text
from ledger.money import Kopecks


class RefundKind(StrEnum):
    """How goods came back."""

    RETURN = "return"
    CORRECTION = "correction"
    """A cheaper basket took the place of the old one."""
    DELIVERY = "delivery"
    """Fewer goods were handed over than were ordered."""


@dataclass(frozen=True, slots=True)
class PlanRefund:
    """One return of goods."""

    plan_id: str
    refund_id: str
    """The merchant's own, unique within the plan."""
    kind: RefundKind
    amount: Kopecks
    """Of the price. What was prepaid is the merchant's to give back."""
    prepaid: Kopecks
    returned_items: tuple[Item, ...]
    new_items: tuple[Item, ...] | None
    """The basket of a correction or delivery."""
    total: Kopecks
    """What the buyer pays in all after it: the answer to the merchant."""
    created_at: datetime

    @property
    def reference(self) -> str:
        """How the movement is known."""
        return f"refund:{self.refund_id}"


async def add_refund(session: Session, refund: PlanRefund) -> None:
    """Keep a return of goods of a locked plan."""
    await session.execute(
        text("""INSERT INTO plan_refunds (plan_id, refund_id, kind, amount_kopecks, prepaid_kopecks, returned_items,
                    new_items, total_kopecks, created_at)
                VALUES (:plan_id, :refund_id, :kind, :amount, :prepaid, CAST(:returned AS jsonb),
                    CAST(:new AS jsonb), :total, :created_at)"""),
        {
            "plan_id": refund.plan_id, "refund_id": refund.refund_id, "kind": refund.kind.value,
            "amount": int(refund.amount), "prepaid": int(refund.prepaid),
            "returned": _json(refund.returned_items),
            "new": None if refund.new_items is None else _json(refund.new_items), "total": int(refund.total),
            "created_at": refund.created_at,
        },
    )  # fmt: skip


async def find_refund(session: Session, plan_id: str, refund_id: str) -> PlanRefund | None:
    """One return of goods, or nothing."""
    rows = await session.execute(
        text("SELECT * FROM plan_refunds WHERE plan_id = :plan_id AND refund_id = :refund_id"),
        {"plan_id": plan_id, "refund_id": refund_id},
    )
    row = rows.first()
    return None if row is None else _refund(row)


async def list_refunds(session: Session, plan_id: str) -> list[PlanRefund]:
    """All returns of goods of a plan, the oldest first."""
    rows = await session.execute(
        text("SELECT * FROM plan_refunds WHERE plan_id = :plan_id ORDER BY created_at, refund_id"),
        {"plan_id": plan_id},
    )
    return [_refund(row) for row in rows]


async def prepaid_refunded(session: Session, plan_id: str) -> Kopecks:
    """What of the prepaid part merchants said they gave back."""
    found = await session.scalar(
        text("SELECT CAST(coalesce(sum(prepaid_kopecks), 0) AS bigint) FROM plan_refunds WHERE plan_id = :plan_id"),
        {"plan_id": plan_id},
    )
    return Kopecks(found or 0)


def _json(items: tuple[Item, ...]) -> str:
    return json.dumps(items_as_json(items), ensure_ascii=False)


def _refund(row: Row[Any]) -> PlanRefund:
    return PlanRefund(
        plan_id=row.plan_id, refund_id=row.refund_id, kind=RefundKind(row.kind), amount=Kopecks(row.amount_kopecks),
        prepaid=Kopecks(row.prepaid_kopecks), returned_items=items_of_json(row.returned_items),
        new_items=None if row.new_items is None else items_of_json(row.new_items), total=Kopecks(row.total_kopecks),
        created_at=row.created_at,
    )  # fmt: skip
