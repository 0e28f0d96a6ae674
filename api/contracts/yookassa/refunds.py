"""Refunds of the contract as values, and their rows: a refund of ours with what the contract keeps beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from api.contracts.outer_ids import outer_id
from api.contracts.yookassa.errors import RefundUnknown
from api.contracts.yookassa.lists import ListQuery, sql_of
from api.contracts.yookassa.payments import PaymentStatus, amount_object, instant
from ledger.database import Session, text
from ledger.money import Kopecks
from sbp_gateway.refunds import RefundStatus

STATUS_OF: dict[RefundStatus, PaymentStatus] = {
    RefundStatus.REQUESTED: PaymentStatus.PENDING,
    RefundStatus.UNKNOWN: PaymentStatus.PENDING,
    RefundStatus.ASKED: PaymentStatus.PENDING,
    RefundStatus.APPROVED: PaymentStatus.PENDING,
    RefundStatus.SUCCEEDED: PaymentStatus.SUCCEEDED,
    RefundStatus.REFUSED: PaymentStatus.CANCELED,
    RefundStatus.FAILED: PaymentStatus.CANCELED,
}
"""How a refund's status is told: the same three words as of payments."""


@dataclass(frozen=True, slots=True)
class YookassaRefund:
    """A refund as the contract's rows and ours say it."""

    id: str
    order_id: str
    amount: Kopecks
    refund_status: RefundStatus
    trx_id: str | None
    refusal_code: str | None
    description: str | None
    metadata: Mapping[str, str]
    created_at: datetime

    @property
    def status(self) -> PaymentStatus:
        """Where it stands."""
        return STATUS_OF[self.refund_status]


def refund_object(refund: YookassaRefund) -> dict[str, Any]:
    """The refund as it goes out."""
    method = {"type": "sbp"} | ({} if refund.trx_id is None else {"sbp_operation_id": refund.trx_id})
    said: dict[str, Any] = {
        "id": outer_id(refund.id),
        "payment_id": outer_id(refund.order_id),
        "status": refund.status.value,
        "amount": amount_object(refund.amount),
        "description": refund.description,
        "refund_method": method,
        "created_at": instant(refund.created_at),
        "metadata": dict(refund.metadata),
    }
    if refund.status is PaymentStatus.CANCELED:
        said["cancellation_details"] = cancellation_of(refund)
    return {name: value for name, value in said.items() if value is not None}


def cancellation_of(refund: YookassaRefund) -> dict[str, str]:
    """Who refused it and why; NSPK's codes are not public, so few are told apart."""
    if refund.refund_status is RefundStatus.FAILED:
        return {"party": "refund_network", "reason": "rejected_by_payee"}
    return {"party": "refund_network", "reason": "general_decline"}


_REFUND = """
SELECT r.id, y.order_id, r.amount_kopecks, r.status, r.trx_id, r.refusal_code, k.description,
       coalesce(k.metadata, '{}') AS metadata, r.created_at
  FROM sbp_refunds AS r
  JOIN sbp_payments AS s ON s.id = r.payment_id
  JOIN yookassa_payments AS y ON y.attempt_id = s.attempt_id
  LEFT JOIN yookassa_refunds AS k ON k.refund_id = r.id"""


async def add_refund(session: Session, kept: Mapping[str, Any]) -> None:
    """Keep what the contract says of a refund just requested."""
    await session.execute(
        text("""INSERT INTO yookassa_refunds (refund_id, order_id, merchant_id, description, metadata, created_at)
                VALUES (:refund_id, :order_id, :merchant_id, :description, CAST(:metadata AS jsonb), :created_at)"""),
        {**kept, "metadata": json.dumps(kept["metadata"], ensure_ascii=False)},
    )


async def load_refund(session: Session, refund_id: str | None, *, merchant_id: str) -> YookassaRefund:
    """The refund of a payment of this shop. Raises: RefundUnknown."""
    row = (
        await session.execute(
            text(f"{_REFUND} WHERE r.id = :id AND r.merchant_id = :merchant_id AND NOT r.is_automatic"),
            {"id": refund_id, "merchant_id": merchant_id},
        )
    ).first()
    if row is None:
        raise RefundUnknown(parameter="refund_id")
    return _refund(row)


async def refunds_by_id(session: Session, refund_ids: Sequence[str]) -> dict[str, YookassaRefund]:
    """The refunds of the contract's payments among ``refund_ids``."""
    rows = await session.execute(
        text(f"{_REFUND} WHERE r.id = ANY(CAST(:ids AS text[])) AND NOT r.is_automatic"), {"ids": list(refund_ids)}
    )
    return {row.id: _refund(row) for row in rows}


async def list_refunds(
    session: Session, query: ListQuery, *, merchant_id: str, order_id: str | None
) -> tuple[list[YookassaRefund], bool]:
    """A shop's refunds, newest first, and whether there are more. Those of late money are nobody's business here."""
    bounds, arguments = sql_of(query)
    statuses = refund_statuses(PaymentStatus(query.exact["status"])) if "status" in query.exact else None
    rows = await session.execute(
        text(f"""{_REFUND}
                  WHERE r.merchant_id = :merchant_id AND NOT r.is_automatic
                    AND (CAST(:below AS text) IS NULL OR r.id < :below)
                    AND (CAST(:order_id AS text) IS NULL OR y.order_id = :order_id)
                    AND (CAST(:statuses AS text[]) IS NULL OR r.status = ANY(CAST(:statuses AS text[])))
                    {bounds}
                  ORDER BY r.id DESC LIMIT :limit"""),
        {
            **arguments, "merchant_id": merchant_id, "below": query.below, "order_id": order_id, "statuses": statuses,
            "limit": query.limit + 1,
        },
    )  # fmt: skip
    found = [_refund(row) for row in rows]
    return found[: query.limit], len(found) > query.limit


def refund_statuses(status: PaymentStatus) -> list[str]:
    """The statuses of refunds that are told as ``status``."""
    return [ours.value for ours, theirs in STATUS_OF.items() if theirs is status]


def _refund(row: Row[Any]) -> YookassaRefund:
    return YookassaRefund(
        id=row.id, order_id=row.order_id, amount=Kopecks(row.amount_kopecks), refund_status=RefundStatus(row.status),
        trx_id=row.trx_id, refusal_code=row.refusal_code, description=row.description, metadata=row.metadata,
        created_at=row.created_at,
    )  # fmt: skip
