"""Payments of the contract as values: one order with its one attempt, told in the contract's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from api.contracts.outer_ids import outer_id
from checkout.attempts import AttemptStatus
from checkout.item_refund_rows import ItemRefundStatus
from checkout.orders import OrderStatus
from ledger.money import Kopecks


class TillPaymentStatus(StrEnum):
    """Where a payment stands. The public pages name no statuses: these words are ours."""

    PROCESSING = "PROCESSING"
    """The bank's answer is awaited; ask again."""
    WAITING = "WAITING"
    """The buyer can pay."""
    PAID = "PAID"
    """Final."""
    DECLINED = "DECLINED"
    """The bank or the buyer said no. Final."""
    CANCELED = "CANCELED"
    """The till or time ended it. Final."""


FINAL = frozenset({TillPaymentStatus.PAID, TillPaymentStatus.DECLINED, TillPaymentStatus.CANCELED})
STATUS_OF: dict[AttemptStatus, TillPaymentStatus] = {
    AttemptStatus.REQUESTED: TillPaymentStatus.PROCESSING,
    AttemptStatus.UNKNOWN: TillPaymentStatus.PROCESSING,
    AttemptStatus.WAITING: TillPaymentStatus.WAITING,
    AttemptStatus.PAID: TillPaymentStatus.PAID,
    AttemptStatus.REJECTED: TillPaymentStatus.DECLINED,
    AttemptStatus.EXPIRED: TillPaymentStatus.CANCELED,
}
"""How an attempt's status is told."""


class RefundTold(StrEnum):
    """Where a refund stands, in words of ours."""

    PROCESSING = "PROCESSING"
    REFUNDED = "REFUNDED"
    DECLINED = "DECLINED"


REFUND_STATUS = {
    ItemRefundStatus.REQUESTED: RefundTold.PROCESSING,
    ItemRefundStatus.SUCCEEDED: RefundTold.REFUNDED,
    ItemRefundStatus.REFUSED: RefundTold.DECLINED,
}
"""How the status of goods on their way back is told."""


@dataclass(frozen=True, slots=True)
class Refunded:
    """One refund of a payment."""

    id: str
    request_id: str
    total: Kopecks
    """What the goods cost: what the till asked for."""
    amount: Kopecks
    """What of it goes back by the rail; the rest are points."""
    status: ItemRefundStatus
    trx_id: str | None

    @property
    def told(self) -> RefundTold:
        """The status as it is told."""
        return REFUND_STATUS[self.status]


@dataclass(frozen=True, slots=True)
class TillPayment:
    """A payment as the contract's rows and ours say it."""

    order_id: str
    order_number: str
    order_status: OrderStatus
    attempt_id: str
    attempt_status: AttemptStatus
    merchant_id: str
    store_id: str
    terminal_id: str
    payment_type: str
    total: Kopecks
    """What the till asked for."""
    amount: Kopecks
    """What of it goes by the rail: the rest is paid by promo code and points."""
    created_at: datetime
    payload: str | None
    """What the QR shows, once the rail has given it."""
    qrc_id: str | None
    payment_id: str | None
    operation_id: str | None
    """The rail's own number of the money's movement."""
    kzo: str | None
    refunds: Sequence[Refunded] = ()

    @property
    def id(self) -> str:
        """``paymentTransactionId``: the UUID of our order, 36 characters."""
        return outer_id(self.order_id)

    @property
    def status(self) -> TillPaymentStatus:
        """Where it stands."""
        return STATUS_OF[self.attempt_status]


def payment_object(found: TillPayment) -> dict[str, Any]:
    """The payment as it goes out, with what stands on the receipt for support and for refunds."""
    told: dict[str, Any] = {
        "orderId": found.order_number,
        "paymentTransactionId": found.id,
        "paymentType": found.payment_type,
        "status": found.status.value,
        "totalAmount": int(found.total),
        "paymentAmount": int(found.amount),
        "currency": "RUB",
        "qrcId": found.qrc_id,
        "qrPayload": found.payload if found.status is TillPaymentStatus.WAITING else None,
        "slip": slip_object(found),
        "refunds": [refund_object(found, refund) for refund in found.refunds] or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def slip_object(found: TillPayment) -> Mapping[str, Any] | None:
    """Slip: the operation of the bank, once there is one."""
    if found.status is not TillPaymentStatus.PAID:
        return None
    said = {"operationId": found.operation_id or found.payment_id, "currency": "RUB", "kzo": found.kzo}
    return {name: value for name, value in said.items() if value is not None}


def refund_object(found: TillPayment, refund: Refunded) -> dict[str, Any]:
    """One refund as it goes out."""
    told = {
        "requestId": refund.request_id,
        "orderId": found.order_number,
        "paymentTransactionId": found.id,
        "refundTransactionId": outer_id(refund.id),
        "paymentType": found.payment_type,
        "refundAmount": int(refund.total),
        "paymentRefundAmount": int(refund.amount),
        "status": refund.told.value,
        "qrcId": found.qrc_id,
        "kzo": found.kzo,
        "operationId": refund.trx_id,
    }
    return {name: value for name, value in told.items() if value is not None}
