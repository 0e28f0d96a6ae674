"""Payments of the contract as values: one order with its one attempt, told in the contract's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from api.contracts.outer_ids import outer_id
from checkout.attempts import AttemptStatus
from ledger.money import Kopecks, roubles


class PaymentStatus(StrEnum):
    """Where a payment of the contract stands. SBP has no holds, so ``waiting_for_capture`` never comes."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


STATUS_OF: dict[AttemptStatus, PaymentStatus] = {
    AttemptStatus.REQUESTED: PaymentStatus.PENDING,
    AttemptStatus.UNKNOWN: PaymentStatus.PENDING,
    AttemptStatus.WAITING: PaymentStatus.PENDING,
    AttemptStatus.PAID: PaymentStatus.SUCCEEDED,
    AttemptStatus.REJECTED: PaymentStatus.CANCELED,
    AttemptStatus.EXPIRED: PaymentStatus.CANCELED,
}
"""How an attempt's status is told. Both final ones stay as they are."""


def attempt_statuses(status: PaymentStatus) -> list[str]:
    """The attempts' statuses that are told as ``status``."""
    return [ours.value for ours, theirs in STATUS_OF.items() if theirs is status]


@dataclass(frozen=True, slots=True)
class YookassaPayment:
    """A payment as the contract's rows and ours say it."""

    order_id: str
    attempt_id: str
    merchant_id: str
    gateway_id: str
    confirmation_type: str
    return_url: str | None
    pos_link_id: str | None
    customer_id: str | None
    metadata: Mapping[str, str]
    created_at: datetime
    amount: Kopecks
    description: str | None
    attempt_status: AttemptStatus
    payload: str | None
    """What the QR shows, once NSPK has given it."""
    payment_id: str | None
    trx_id: str | None
    fee: Kopecks | None
    paid_at: datetime | None
    reserved: Kopecks
    """Refunded, or set aside for refunds under way."""
    refunded: Kopecks

    @property
    def status(self) -> PaymentStatus:
        """Where it stands."""
        return STATUS_OF[self.attempt_status]

    @property
    def is_never_shown(self) -> bool:
        """Whether the buyer has had nothing to scan: NSPK's answer is awaited, was lost, or was no."""
        return self.payload is None and self.pos_link_id is None

    @property
    def is_processing(self) -> bool:
        """Whether NSPK's answer is still awaited: the buyer cannot pay yet."""
        return self.attempt_status in (AttemptStatus.REQUESTED, AttemptStatus.UNKNOWN)


def payment_object(payment: YookassaPayment, *, is_test: bool) -> dict[str, Any]:
    """The payment as it goes out.

    The payer's bank is not told: NSPK's agent API does not name it.
    """
    is_paid = payment.status is PaymentStatus.SUCCEEDED
    said: dict[str, Any] = {
        "id": outer_id(payment.order_id),
        "status": payment.status.value,
        "amount": amount_object(payment.amount),
        "description": payment.description,
        "recipient": {"account_id": payment.merchant_id, "gateway_id": payment.gateway_id},
        "payment_method": method_object(payment),
        "created_at": instant(payment.created_at),
        "test": is_test,
        "paid": is_paid,
        "refundable": is_paid and payment.reserved < payment.amount,
        "metadata": dict(payment.metadata),
        "merchant_customer_id": payment.customer_id,
    }
    if is_paid and payment.paid_at is not None and payment.fee is not None:
        said["captured_at"] = instant(payment.paid_at)
        said["income_amount"] = amount_object(Kopecks(payment.amount - payment.fee))
    if payment.refunded > 0:
        said["refunded_amount"] = amount_object(payment.refunded)
    if payment.status is PaymentStatus.PENDING:
        said["confirmation"] = confirmation_object(payment)
    if payment.status is PaymentStatus.CANCELED:
        said["cancellation_details"] = cancellation_of(payment)
    return {name: value for name, value in said.items() if value is not None}


def method_object(payment: YookassaPayment) -> dict[str, Any]:
    """How it is paid; after the money came, with SBP's number of the operation."""
    said: dict[str, Any] = {"type": "sbp", "id": outer_id(payment.attempt_id), "saved": False}
    return said if payment.trx_id is None else {**said, "sbp_operation_id": payment.trx_id}


def confirmation_object(payment: YookassaPayment) -> dict[str, Any]:
    """What brings the buyer to pay. NSPK's link is a page too: it lets the buyer choose a bank."""
    if payment.confirmation_type == "qr":
        return {"type": "qr", "confirmation_data": payment.payload}
    if payment.confirmation_type == "redirect":
        return {"type": "redirect", "confirmation_url": payment.payload, "return_url": payment.return_url}
    return {"type": "external"}


def cancellation_of(payment: YookassaPayment) -> dict[str, str]:
    """Who ended it and why. Source: YooKassa API v3, "Declined payments"."""
    if payment.is_never_shown:
        return {"party": "yoo_money", "reason": "internal_timeout"}  # advises another try with a new key
    if payment.attempt_status is AttemptStatus.REJECTED:
        return {"party": "payment_network", "reason": "general_decline"}
    return {"party": "yoo_money", "reason": "expired_on_confirmation"}


def amount_object(amount: Kopecks) -> dict[str, str]:
    """Decimal roubles."""
    return {"value": roubles(amount), "currency": "RUB"}


def instant(at: datetime) -> str:
    """An instant with milliseconds in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
