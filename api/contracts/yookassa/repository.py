"""Rows of the contract, joined with those of the till and of SBP."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from api.contracts.yookassa.errors import PaymentUnknown
from api.contracts.yookassa.lists import ListQuery, sql_of
from api.contracts.yookassa.payments import PaymentStatus, YookassaPayment, attempt_statuses
from checkout.attempts import AttemptStatus
from ledger.database import Session, text
from ledger.money import Kopecks

_PAYMENT = """
SELECT y.order_id, y.attempt_id, y.merchant_id, y.gateway_id, y.confirmation_type, y.return_url, y.pos_link_id,
       y.customer_id, y.metadata, y.created_at, o.amount_kopecks, o.description, a.status AS attempt_status, q.payload,
       s.id AS payment_id, s.trx_id, s.fee_kopecks, s.paid_at,
       coalesce(s.refund_kopecks, 0) AS reserved_kopecks,
       (SELECT coalesce(sum(r.amount_kopecks), 0) FROM sbp_refunds AS r
         WHERE r.payment_id = a.payment_id AND r.status = 'succeeded') AS refunded_kopecks
  FROM yookassa_payments AS y
  JOIN orders AS o ON o.id = y.order_id
  JOIN attempts AS a ON a.id = y.attempt_id
  LEFT JOIN qr_codes AS q ON q.attempt_id = y.attempt_id AND q.status NOT IN ('refused', 'abandoned')
  LEFT JOIN sbp_payments AS s ON s.id = a.payment_id"""


async def add_payment(session: Session, payment: dict[str, Any]) -> None:
    """Keep what the contract says of an order just placed."""
    await session.execute(
        text("""INSERT INTO yookassa_payments (order_id, attempt_id, merchant_id, gateway_id, confirmation_type,
                    return_url, pos_link_id, customer_id, metadata, created_at)
                VALUES (:order_id, :attempt_id, :merchant_id, :gateway_id, :confirmation_type,
                    :return_url, :pos_link_id, :customer_id, CAST(:metadata AS jsonb), :created_at)"""),
        {**payment, "metadata": json.dumps(payment["metadata"], ensure_ascii=False)},
    )


async def find_payment(session: Session, order_id: str, *, merchant_id: str) -> YookassaPayment | None:
    """The payment, or nothing if there is none in this shop."""
    row = (
        await session.execute(
            text(f"{_PAYMENT} WHERE y.order_id = :order_id AND y.merchant_id = :merchant_id"),
            {"order_id": order_id, "merchant_id": merchant_id},
        )
    ).first()
    return None if row is None else _payment(row)


async def load_payment(session: Session, order_id: str | None, *, merchant_id: str) -> YookassaPayment:
    """The payment. Raises: PaymentUnknown."""
    found = None if order_id is None else await find_payment(session, order_id, merchant_id=merchant_id)
    if found is None:
        raise PaymentUnknown(parameter="payment_id")
    return found


async def list_payments(session: Session, query: ListQuery, *, merchant_id: str) -> tuple[list[YookassaPayment], bool]:
    """A shop's payments, newest first, and whether there are more."""
    bounds, arguments = sql_of(query)
    statuses = attempt_statuses(PaymentStatus(query.exact["status"])) if "status" in query.exact else None
    rows = await session.execute(
        text(f"""{_PAYMENT}
                  WHERE y.merchant_id = :merchant_id
                    AND (CAST(:below AS text) IS NULL OR y.order_id < :below)
                    AND (CAST(:statuses AS text[]) IS NULL OR a.status = ANY(CAST(:statuses AS text[])))
                    {bounds}
                  ORDER BY y.order_id DESC LIMIT :limit"""),
        {**arguments, "merchant_id": merchant_id, "below": query.below, "statuses": statuses, "limit": query.limit + 1},
    )
    found = [_payment(row) for row in rows]
    return found[: query.limit], len(found) > query.limit


async def payments_by_order(session: Session, order_ids: Sequence[str]) -> dict[str, YookassaPayment]:
    """The contract's payments among orders."""
    rows = await session.execute(
        text(f"{_PAYMENT} WHERE y.order_id = ANY(CAST(:ids AS text[]))"), {"ids": list(order_ids)}
    )
    return {row.order_id: _payment(row) for row in rows}


def _payment(row: Row[Any]) -> YookassaPayment:
    said = dict(row._mapping)
    amount, fee, reserved, refunded = (
        said.pop(f"{name}_kopecks") for name in ("amount", "fee", "reserved", "refunded")
    )
    return YookassaPayment(
        **{**said, "attempt_status": AttemptStatus(row.attempt_status)},
        amount=Kopecks(amount),
        fee=None if fee is None else Kopecks(fee),
        reserved=Kopecks(reserved),
        refunded=Kopecks(int(refunded)),
    )
