"""Rows of the contract, joined with those of the till and of its rails."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from api.contracts.koshelek_pay.errors import PaymentUnknown, ReceiptDiffers
from api.contracts.koshelek_pay.payments import Refunded, TillPayment
from api.contracts.outer_ids import inner_id
from checkout.attempts import AttemptStatus
from checkout.item_refund_rows import ItemRefundStatus
from checkout.orders import OrderStatus
from ledger.database import Session, text
from ledger.money import Kopecks

_PAYMENT = """
SELECT k.order_id, o.number AS order_number, o.status AS order_status, k.attempt_id, a.status AS attempt_status,
       k.merchant_id, o.store_id, o.terminal_id, k.payment_type, k.total_kopecks, o.amount_kopecks, k.created_at,
       q.payload, q.qrc_id, a.payment_id, s.trx_id AS operation_id, s.kzo
  FROM koshelek_pay_payments AS k
  JOIN orders AS o ON o.id = k.order_id
  JOIN attempts AS a ON a.id = k.attempt_id
  LEFT JOIN qr_codes AS q ON q.attempt_id = k.attempt_id AND q.status NOT IN ('refused', 'abandoned')
  LEFT JOIN sbp_payments AS s ON s.id = a.payment_id"""
_REFUND = """
SELECT r.order_id, r.refund_id AS id, r.request_id, r.total_kopecks, i.amount_kopecks, i.status, s.trx_id
  FROM koshelek_pay_refunds AS r
  JOIN item_refunds AS i ON i.id = r.refund_id
  LEFT JOIN sbp_refunds AS s ON s.id = i.refund_id"""


async def add_payment(session: Session, payment: Mapping[str, Any]) -> None:
    """Keep what the contract says of an order just placed."""
    await session.execute(
        text("""INSERT INTO koshelek_pay_payments
                       (order_id, attempt_id, merchant_id, payment_type, session_id, total_kopecks, created_at)
                VALUES (:order_id, :attempt_id, :merchant_id, :payment_type, :session_id, :total_kopecks, :now)"""),
        payment,
    )


async def find_payment(session: Session, order_id: str, *, merchant_id: str) -> TillPayment | None:
    """The payment with its refunds, or nothing if this partner has none."""
    row = (
        await session.execute(
            text(f"{_PAYMENT} WHERE k.order_id = :order_id AND k.merchant_id = :merchant_id"),
            {"order_id": order_id, "merchant_id": merchant_id},
        )
    ).first()
    return None if row is None else (await _with_refunds(session, [_till_payment(row)]))[0]


async def load_payment(session: Session, outer: str, *, merchant_id: str) -> TillPayment:
    """The payment by the id that tills know. Raises: PaymentUnknown."""
    order_id = inner_id("ord", outer)
    found = None if order_id is None else await find_payment(session, order_id, merchant_id=merchant_id)
    if found is None:
        raise PaymentUnknown(parameter="paymentTransactionId")
    return found


async def find_by_number(session: Session, number: str, *, merchant_id: str) -> TillPayment | None:
    """The payment of a till's own order."""
    order_id = await session.scalar(
        text("""SELECT k.order_id FROM koshelek_pay_payments AS k JOIN orders AS o ON o.id = k.order_id
                 WHERE o.merchant_id = :merchant_id AND o.number = :number"""),
        {"merchant_id": merchant_id, "number": number},
    )
    return None if order_id is None else await find_payment(session, order_id, merchant_id=merchant_id)


async def payments_by_order(session: Session, order_ids: Sequence[str]) -> dict[str, TillPayment]:
    """The contract's payments among orders."""
    rows = await session.execute(
        text(f"{_PAYMENT} WHERE k.order_id = ANY(CAST(:ids AS text[]))"), {"ids": list(order_ids)}
    )
    found = await _with_refunds(session, [_till_payment(row) for row in rows])
    return {each.order_id: each for each in found}


async def refunds_of_money(session: Session, refund_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Of the money's own refunds: the till's refund and its order, as far as tills of the contract asked for them."""
    rows = await session.execute(
        text("""SELECT i.refund_id AS money, r.refund_id, r.order_id FROM koshelek_pay_refunds AS r
                  JOIN item_refunds AS i ON i.id = r.refund_id WHERE i.refund_id = ANY(CAST(:ids AS text[]))"""),
        {"ids": list(refund_ids)},
    )
    return {row.money: (row.refund_id, row.order_id) for row in rows}


async def add_refund(session: Session, refund: Mapping[str, Any]) -> None:
    """Keep what a till said of a refund just begun."""
    await session.execute(
        text("""INSERT INTO koshelek_pay_refunds
                       (refund_id, order_id, request_id, items, total_kopecks, created_at)
                VALUES (:refund_id, :order_id, :request_id, CAST(:items AS jsonb), :total_kopecks, :now)"""),
        {**refund, "items": json.dumps(refund["items"], ensure_ascii=False)},
    )


async def add_receipt(session: Session, order_id: str, code: str, *, now: datetime) -> None:
    """Keep the receipt of a payment; the same again changes nothing. Raises: ReceiptDiffers."""
    kept = await session.scalar(
        text("""INSERT INTO koshelek_pay_receipts AS r (order_id, code, sent_at) VALUES (:order_id, :code, :now)
                ON CONFLICT (order_id) DO NOTHING RETURNING r.code"""),
        {"order_id": order_id, "code": code, "now": now},
    ) or await session.scalar(
        text("SELECT code FROM koshelek_pay_receipts WHERE order_id = :order_id"), {"order_id": order_id}
    )
    if kept != code:
        raise ReceiptDiffers()


async def add_postbacks(session: Session, written: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
    """Keep what is told of events: event, order, body."""
    if written:
        await session.execute(
            text("""INSERT INTO koshelek_pay_postbacks (event_id, order_id, body, created_at)
                    VALUES (:event_id, :order_id, :body, :now)"""),
            [{"event_id": event, "order_id": order, "body": body, "now": now} for event, order, body in written],
        )


async def postbacks_by_event(session: Session, event_ids: Sequence[str]) -> dict[str, bytes]:
    """What is told of each event."""
    rows = await session.execute(
        text("SELECT event_id, body FROM koshelek_pay_postbacks WHERE event_id = ANY(CAST(:ids AS text[]))"),
        {"ids": list(event_ids)},
    )
    return {row.event_id: bytes(row.body) for row in rows}


async def _with_refunds(session: Session, found: Sequence[TillPayment]) -> list[TillPayment]:
    rows = await session.execute(
        text(f"{_REFUND} WHERE r.order_id = ANY(CAST(:ids AS text[])) ORDER BY r.refund_id"),
        {"ids": [each.order_id for each in found if each.payment_id is not None]},
    )
    refunds: dict[str, list[Refunded]] = {}
    for row in rows:
        refund = Refunded(
            row.id, row.request_id, Kopecks(row.total_kopecks), Kopecks(row.amount_kopecks),
            ItemRefundStatus(row.status), row.trx_id,
        )  # fmt: skip
        refunds.setdefault(row.order_id, []).append(refund)
    return [replace(each, refunds=tuple(refunds.get(each.order_id, ()))) for each in found]


def _till_payment(row: Row[Any]) -> TillPayment:
    said = dict(row._mapping)
    total, amount = said.pop("total_kopecks"), said.pop("amount_kopecks")
    statuses = {"order_status": OrderStatus(row.order_status), "attempt_status": AttemptStatus(row.attempt_status)}
    return TillPayment(**{**said, **statuses}, total=Kopecks(total), amount=Kopecks(amount))
