"""Rows of the contract, and the pictures that answers and notifications are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from api.contracts.dolyame.errors import OrderUnknown
from api.contracts.dolyame.orders import DolyameOrder, DolyameRefund, OrderPicture
from installments import repository as plan_rows
from installments.movement_rows import load_installments
from installments.plan import Plan
from installments.products import Product
from installments.receipts import ReceiptProfile, choose_profile
from installments.repository import items_of_json
from installments.schedule import build_schedule
from installments.state import InstallmentState
from ledger.clock import moscow_day
from ledger.database import Session, text
from ledger.money import Kopecks

FISCALIZED = {"enabled": ReceiptProfile.OPERATOR_ON_BEHALF, "disabled": ReceiptProfile.MERCHANT}
"""Whose till prints, by the shop's word."""
REFUNDS_MAX = 500
"""Refunds of one order that are told of."""
REPEATED_WITHIN = timedelta(minutes=15)
"""For how long a refund that was never answered is taken for the same one when it is asked for again."""


async def add_order(session: Session, order: DolyameOrder) -> None:
    """Keep what a shop said beside its plan; what it said first stays."""
    await session.execute(
        text("""INSERT INTO dolyame_orders (plan_id, merchant_id, login, notification_url, success_url, fail_url,
                       client_info, fiscalization, delivered_at, created_at)
                VALUES (:plan_id, :merchant_id, :login, :notification_url, :success_url, :fail_url,
                       CAST(:client_info AS jsonb), :fiscalization, :delivered_at, :created_at)
                ON CONFLICT (plan_id) DO NOTHING"""),
        {
            "plan_id": order.plan_id, "merchant_id": order.merchant_id, "login": order.login,
            "notification_url": order.notification_url, "success_url": order.success_url, "fail_url": order.fail_url,
            "client_info": json.dumps(dict(order.client_info), ensure_ascii=False),
            "fiscalization": order.fiscalization, "delivered_at": order.delivered_at, "created_at": order.created_at,
        },
    )  # fmt: skip


async def load_plan_of(session: Session, order_id: str, *, merchant_id: str, lock: bool = False) -> Plan:
    """The plan of a shop's order, made by this contract or by our own API. Raises: OrderUnknown."""
    plan = await plan_rows.find_plan_by_order(session, merchant_id, order_id, lock=lock)
    if plan is None:
        raise OrderUnknown(order_id=order_id)
    return plan


async def orders_by_plan(session: Session, plan_ids: Sequence[str]) -> dict[str, DolyameOrder]:
    """What shops said beside plans; plans of our own API are left out."""
    rows = await session.execute(
        text("SELECT * FROM dolyame_orders WHERE plan_id = ANY(CAST(:ids AS text[]))"), {"ids": list(plan_ids)}
    )
    return {row.plan_id: _order(row) for row in rows}


async def say_fiscalization(session: Session, plan_id: str, fiscalization: str | None, *, now: datetime) -> None:
    """Keep the shop's word about who prints receipts; silence changes nothing."""
    if fiscalization is not None:
        await choose_profile(session, plan_id, FISCALIZED[fiscalization], now=now)
        await session.execute(
            text("UPDATE dolyame_orders SET fiscalization = :said WHERE plan_id = :plan_id"),
            {"plan_id": plan_id, "said": fiscalization},
        )


async def say_delivered(session: Session, plan_id: str, *, now: datetime) -> None:
    """Keep when the goods were handed over; the first time counts."""
    await session.execute(
        text("UPDATE dolyame_orders SET delivered_at = coalesce(delivered_at, :now) WHERE plan_id = :plan_id"),
        {"plan_id": plan_id, "now": now},
    )


async def picture_of(session: Session, plan: Plan, *, now: datetime) -> OrderPicture:
    """All that an answer about an order is made of."""
    found = await pictures_of(session, [plan], now=now)
    return found[plan.id]


async def pictures_of(session: Session, plans: Sequence[Plan], *, now: datetime) -> dict[str, OrderPicture]:
    """The same for many."""
    ids = [plan.id for plan in plans]
    installments = await load_installments(session, ids)
    refunds = await refunds_of(session, ids)
    on = moscow_day(now)
    return {
        plan.id: OrderPicture(
            plan, installments.get(plan.id) or await _preview(session, plan, now), refunds.get(plan.id, ()), on
        )
        for plan in plans
    }


async def _preview(session: Session, plan: Plan, now: datetime) -> tuple[InstallmentState, ...]:
    """The schedule that a plan would have if it began on its contract's day, or today."""
    product: Product = await plan_rows.load_product(session, plan.product_code, plan.product_version)
    first_due_on = plan.contract_on or moscow_day(now)
    parts = build_schedule(plan.price, product, first_due_on=first_due_on)
    return tuple(InstallmentState(part.number, part.due_on, part.amount, Kopecks(0)) for part in parts)


async def refunds_of(session: Session, plan_ids: Sequence[str]) -> dict[str, tuple[DolyameRefund, ...]]:
    """What came back, in order. A refund is processed once nothing of it waits to go to the buyer's card."""
    rows = await session.execute(
        text("""SELECT r.plan_id, r.refund_id, r.amount_kopecks, r.prepaid_kopecks, r.returned_items,
                       NOT EXISTS (SELECT 1 FROM plan_credit_refunds AS c
                                    WHERE c.plan_id = r.plan_id AND c.ended_at IS NULL AND c.created_at >= r.created_at)
                       AND (p.overpaid_kopecks = 0 OR r.created_at < max(r.created_at) OVER (PARTITION BY r.plan_id))
                       AS is_processed
                  FROM plan_refunds AS r JOIN installment_plans AS p ON p.id = r.plan_id
                 WHERE r.plan_id = ANY(CAST(:ids AS text[])) AND (r.amount_kopecks > 0 OR r.prepaid_kopecks > 0)
                 ORDER BY r.plan_id, r.created_at, r.refund_id LIMIT :limit"""),
        {"ids": list(plan_ids), "limit": REFUNDS_MAX * max(len(plan_ids), 1)},
    )
    found: dict[str, list[DolyameRefund]] = {}
    for row in rows:
        found.setdefault(row.plan_id, []).append(
            DolyameRefund(
                row.refund_id, Kopecks(row.amount_kopecks), Kopecks(row.prepaid_kopecks),
                items_of_json(row.returned_items), row.is_processed,
            )
        )  # fmt: skip
    return {plan_id: tuple(refunds) for plan_id, refunds in found.items()}


async def claim_refund(
    session: Session, plan_id: str, operation: str, digest: bytes, *, refund_id: str, now: datetime
) -> str:
    """The id under which a refund is carried out: a new one, or that of the same body not answered yet.

    Locks: the plan must be locked by the caller.
    """
    claimed = {"id": refund_id, "plan_id": plan_id, "operation": operation, "digest": digest, "now": now}
    await session.execute(
        text("""UPDATE dolyame_refunds SET answered_at = :now
                 WHERE plan_id = :plan_id AND answered_at IS NULL AND created_at < :repeated_after"""),
        {"now": now, "plan_id": plan_id, "repeated_after": now - REPEATED_WITHIN},
    )
    found = await session.scalar(
        text("""SELECT id FROM dolyame_refunds
                 WHERE id = :id OR (plan_id = :plan_id AND operation = :operation AND body_digest = :digest
                                    AND answered_at IS NULL)
                 ORDER BY id = :id DESC LIMIT 1"""),
        claimed,
    )
    if found is not None:
        return str(found)
    await session.execute(
        text("""INSERT INTO dolyame_refunds (id, plan_id, operation, body_digest, created_at)
                VALUES (:id, :plan_id, :operation, :digest, :now)"""),
        claimed,
    )
    return refund_id


async def end_refund(session: Session, refund_id: str, *, now: datetime) -> None:
    """The refund is answered: from here on the same body is another refund."""
    await session.execute(
        text("UPDATE dolyame_refunds SET answered_at = coalesce(answered_at, :now) WHERE id = :id"),
        {"id": refund_id, "now": now},
    )


async def last_told(session: Session, plan_ids: Sequence[str]) -> dict[str, str]:
    """The status that each plan's shop was told last."""
    rows = await session.execute(
        text("""SELECT DISTINCT ON (n.plan_id) n.plan_id, n.status
                  FROM dolyame_notifications AS n JOIN events AS e ON e.id = n.event_id
                 WHERE n.plan_id = ANY(CAST(:ids AS text[])) ORDER BY n.plan_id, e.sequence DESC"""),
        {"ids": list(plan_ids)},
    )
    return {row.plan_id: row.status for row in rows}


async def add_notifications(session: Session, written: Sequence[tuple[str, str, str, bytes]], *, now: datetime) -> None:
    """Keep what shops are told: event, plan, status, body."""
    if written:
        await session.execute(
            text("""INSERT INTO dolyame_notifications (event_id, plan_id, status, body, created_at)
                    SELECT n.*, :now FROM unnest(CAST(:events AS text[]), CAST(:plans AS text[]),
                           CAST(:statuses AS text[]), CAST(:bodies AS bytea[])) AS n"""),
            {
                "now": now, "events": [one[0] for one in written], "plans": [one[1] for one in written],
                "statuses": [one[2] for one in written], "bodies": [one[3] for one in written],
            },
        )  # fmt: skip


async def notifications_by_event(session: Session, event_ids: Sequence[str]) -> Mapping[str, tuple[str | None, bytes]]:
    """Where each event is told and with which bytes."""
    rows = await session.execute(
        text("""SELECT n.event_id, o.notification_url, n.body
                  FROM dolyame_notifications AS n JOIN dolyame_orders AS o ON o.plan_id = n.plan_id
                 WHERE n.event_id = ANY(CAST(:ids AS text[]))"""),
        {"ids": list(event_ids)},
    )
    return {row.event_id: (row.notification_url, bytes(row.body)) for row in rows}


async def is_anybody_told(session: Session) -> bool:
    """Whether any order has an address for notifications; without one nothing needs to be looked at."""
    found = await session.scalar(
        text("SELECT EXISTS (SELECT 1 FROM dolyame_orders WHERE notification_url IS NOT NULL)")
    )
    return bool(found)


def as_of(picture: OrderPicture, **changes: Any) -> OrderPicture:
    """The picture as it was when its plan had another status."""
    return replace(picture, plan=replace(picture.plan, **changes))


def _order(row: Row[Any]) -> DolyameOrder:
    return DolyameOrder(**row._mapping)
