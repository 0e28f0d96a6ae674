"""Orders of the contract as values, told in the contract's words: a plan, its installments and its refunds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from api.contracts.dolyame.shops import Profile
from installments.plan import Item, Plan, PlanStatus
from installments.state import InstallmentState
from ledger.money import Kopecks

NONE = Kopecks(0)
ENDED = frozenset({PlanStatus.REJECTED, PlanStatus.CANCELED})
"""Nothing is owed and nothing will be."""
HELD = frozenset({PlanStatus.APPROVED, PlanStatus.WAIT_FOR_COMMIT, PlanStatus.COMMITTED})
"""The first installment waits on the card: it is told as ``hold`` and is no part of the residual."""
LINK_PATH = "/plans/"
"""Where our buyer's form is, under our own address."""


@dataclass(frozen=True, slots=True)
class DolyameRefund:
    """A refund or correction as the contract tells it."""

    id: str
    amount: Kopecks
    prepaid: Kopecks
    items: tuple[Item, ...]
    is_processed: bool
    """Whether nothing of it is still on its way to the buyer's card."""


@dataclass(frozen=True, slots=True)
class DolyameOrder:
    """What the contract keeps of an order beside its plan."""

    plan_id: str
    merchant_id: str
    login: str
    notification_url: str | None
    success_url: str | None
    fail_url: str | None
    client_info: Mapping[str, str]
    """Masked."""
    fiscalization: str | None
    delivered_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OrderPicture:
    """All that an answer about an order is made of."""

    plan: Plan
    schedule: tuple[InstallmentState, ...]
    """As it is, or as it would be before the commit."""
    refunds: tuple[DolyameRefund, ...]
    on: date
    """Moscow day."""


def order_object(
    picture: OrderPicture, profile: Profile, public_url: str, *, with_items: bool = False
) -> dict[str, Any]:
    """The order as it goes out. ``items`` stand in the answer to ``info`` only."""
    plan = picture.plan
    said: dict[str, Any] = {
        "id": plan.order_number,
        "status": status_of(plan.status, profile),
        "amount": plan.total,
        "residual_amount": residual_of(picture),
        "link": f"{public_url}{LINK_PATH}{plan.link_code}",
        "payment_schedule": schedule_object(picture, profile),
        "refund_info": refund_info(picture.refunds),
    }
    if with_items:
        said["items"] = [item_object(item) for item in plan.items]
    return said


def status_of(status: PlanStatus, profile: Profile) -> str:
    """How a status is told. A strict client knows no ``refunded``: its order stays ``completed``, with nothing due."""
    if status is PlanStatus.REFUNDED and profile is Profile.STRICT:
        return PlanStatus.COMPLETED.value
    return status.value


def residual_of(picture: OrderPicture) -> Kopecks:
    """What the buyer still owes. What is held on the card is no part of it."""
    plan = picture.plan
    if plan.status in ENDED:
        return NONE
    owed = sum(int(part.unpaid) for part in picture.schedule)
    return Kopecks(owed - int(held_of(picture)))


def held_of(picture: OrderPicture) -> Kopecks:
    """What of the first installment waits on the card."""
    if picture.plan.status not in HELD or not picture.schedule:
        return NONE
    return picture.schedule[0].unpaid


def schedule_object(picture: OrderPicture, profile: Profile) -> list[dict[str, Any]]:
    """The installments, first to last; none when the order has ended before it began."""
    if picture.plan.status in ENDED:
        return []
    return [
        {"payment_date": part.due_on, "amount": part.amount, "status": part_status(picture, part, profile)}
        for part in picture.schedule
    ]


def part_status(picture: OrderPicture, part: InstallmentState, profile: Profile) -> str:
    """How one installment stands. A strict client knows no ``overdue``: such a one is still ``scheduled``."""
    is_committed = picture.plan.committed_at is not None
    if is_committed and part.unpaid == 0:
        return "paid"
    if part.number == picture.schedule[0].number and picture.plan.status in HELD:
        return "hold"
    if profile is Profile.PRODUCTION and is_committed and part.due_on < picture.on:
        return "overdue"
    return "scheduled"


def refund_info(refunds: Sequence[DolyameRefund]) -> dict[str, Any] | None:
    """What came back so far; nothing when nothing did."""
    if not refunds:
        return None
    return {
        "total_refunded_amount": Kopecks(sum(int(refund.amount) for refund in refunds)),
        "total_refunded_prepaid_amount": Kopecks(sum(int(refund.prepaid) for refund in refunds)),
        "items": [refund_object(refund) for refund in refunds],
    }


def refund_object(refund: DolyameRefund) -> dict[str, Any]:
    """One refund: ``pending`` while money is on its way to the buyer's card."""
    return {
        "refund_id": refund.id,
        "refunded_amount": refund.amount,
        "refunded_prepaid_amount": refund.prepaid,
        "returned_items": [item_object(item) for item in refund.items],
        "status": "processed" if refund.is_processed else "pending",
    }


def item_object(item: Item) -> dict[str, Any]:
    """A line of the basket, its quantity a number as it was sent."""
    said: dict[str, Any] = {
        "name": item.name, "quantity": Decimal(item.quantity), "price": item.price, "sku": item.sku,
    }  # fmt: skip
    return {**said, "receipt": dict(item.receipt)} if item.receipt else said
