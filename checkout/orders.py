"""Orders (заказы): the basket being paid at a till."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from checkout.errors import AmountNotPositive, AmountTooLarge, InvalidOrderNumber, OrderNotOpen, OrderNotRoubles
from ledger.money import Kopecks

ORDER_KOPECKS_MAX = 1_000_000_00
"""A million roubles: the largest SBP operation. Source: Bank of Russia, page on SBP."""
NUMBER_CHARACTERS_MAX = 64

_NUMBER = re.compile(rf"[!-~]([ -~]{{0,{NUMBER_CHARACTERS_MAX - 2}}}[!-~])?")


class OrderStatus(StrEnum):
    """Where an order stands."""

    OPEN = "open"
    """Waits for its money."""
    PAID = "paid"
    """Paid in full, once. Final."""
    CANCELED = "canceled"
    """Will not be paid. Final."""


ALLOWED: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.OPEN: frozenset({OrderStatus.PAID, OrderStatus.CANCELED}),
    OrderStatus.PAID: frozenset(),
    OrderStatus.CANCELED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Order:
    """An order of a merchant."""

    id: str
    merchant_id: str
    store_id: str
    terminal_id: str
    number: str
    """The merchant's own number, unique for the merchant."""
    amount: Kopecks
    description: str | None
    status: OrderStatus
    placed_at: datetime
    """When the buyer ordered, as the merchant says."""
    created_at: datetime
    paid_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a till asks for."""

    terminal_id: str
    number: str
    amount_kopecks: int
    description: str | None
    placed_at: datetime
    currency: str = "RUB"


def check_request(request: OrderRequest) -> None:
    """Refuse an order that breaks a rule of form.

    Raises: OrderNotRoubles, AmountNotPositive, AmountTooLarge, InvalidOrderNumber.
    """
    if request.currency != "RUB":
        raise OrderNotRoubles(currency_expected="RUB")
    if request.amount_kopecks < 1:
        raise AmountNotPositive(amount_kopecks=request.amount_kopecks)
    if request.amount_kopecks > ORDER_KOPECKS_MAX:
        raise AmountTooLarge(amount_kopecks=request.amount_kopecks, amount_kopecks_max=ORDER_KOPECKS_MAX)
    if not _NUMBER.fullmatch(request.number):
        raise InvalidOrderNumber()


def advance(order: Order, to: OrderStatus, *, now: datetime) -> Order:
    """The order in its next status.

    Raises: OrderNotOpen if the table of statuses does not allow it.
    """
    if to not in ALLOWED[order.status]:
        raise OrderNotOpen(order_id=order.id, status=order.status.value)
    paid_at = now if to is OrderStatus.PAID else None
    return replace(order, status=to, paid_at=paid_at, version=order.version + 1)
