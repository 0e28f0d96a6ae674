"""Plans as the native API and the buyer's form show them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import Any

from api.settings import Settings
from api.wire import Day, Instant, View
from installments import repository as rows
from installments.movement_rows import load_installments, load_movements
from installments.movements import Movement, MovementKind
from installments.plan import CollectorName, Item, Plan, PlanStatus, Standing
from installments.schedule import build_schedule
from installments.state import InstallmentState
from installments.undoing import undone_of
from ledger.database import Session
from ledger.money import Kopecks

FORM_PATH = "/plans/"
HELD = frozenset({PlanStatus.WAIT_FOR_COMMIT})
GIVEN_UP = frozenset({PlanStatus.REJECTED, PlanStatus.CANCELED})


class InstallmentStatus(StrEnum):
    """Where one installment is."""

    SCHEDULED = "scheduled"
    HELD = "held"
    """On the buyer's card, until the merchant commits."""
    PAID = "paid"
    OVERDUE = "overdue"


class BasketLineView(View):
    """A line of the basket."""

    name: str
    quantity: str
    price_kopecks: int
    sku: str | None

    @classmethod
    def of(cls, item: Item) -> BasketLineView:
        """The line as it is shown."""
        return cls(name=item.name, quantity=item.quantity, price_kopecks=int(item.price), sku=item.sku)


class InstallmentView(View):
    """One part of the price and the Moscow day by whose end it is due."""

    number: int
    due_on: Day
    amount_kopecks: int
    """As it is now: less what came back as goods."""
    paid_kopecks: int
    status: InstallmentStatus


class PlanLineView(View):
    """A plan in a list."""

    id: str
    merchant_id: str
    order_number: str
    product_code: str
    product_version: int
    price_kopecks: int
    prepaid_kopecks: int
    refunded_kopecks: int
    total_kopecks: int
    """What the buyer pays in all: the price less the goods that came back."""
    outstanding_kopecks: int
    overpaid_kopecks: int
    penalty_kopecks: int
    fee_basis_points: int | None
    fee_kopecks: int
    status: PlanStatus
    standing: Standing
    reason: str | None
    buyer_id: str | None
    collector: CollectorName | None
    contract_on: Day | None
    next_due_on: Day | None
    is_paused: bool
    """A dispute: nothing is collected, nothing paid out."""
    created_at: Instant
    expires_at: Instant | None
    committed_at: Instant | None
    ended_at: Instant | None
    version: int

    @classmethod
    def of(cls, plan: Plan) -> PlanLineView:
        """The plan as it is shown in a list."""
        return cls(**line_facts(plan))


class PlanView(PlanLineView):
    """A plan with its basket, its schedule, and the link that the buyer follows."""

    link: str
    items: list[BasketLineView]
    schedule: list[InstallmentView]


class MovementView(View):
    """One fact that changed what the buyer owes."""

    id: str
    kind: MovementKind
    amount_kopecks: int
    happened_at: Instant
    reference: str
    undoes: str | None
    is_undone: bool
    installment_number: int | None
    new_due_on: Day | None

    @classmethod
    def of(cls, movement: Movement, undone: frozenset[str]) -> MovementView:
        """The fact as it is shown."""
        return cls(
            id=movement.id, kind=movement.kind, amount_kopecks=int(movement.amount), happened_at=movement.happened_at,
            reference=movement.reference, undoes=movement.undoes, is_undone=movement.id in undone,
            installment_number=movement.installment_number, new_due_on=movement.new_due_on,
        )  # fmt: skip


def line_facts(plan: Plan) -> dict[str, Any]:
    """What a list shows of a plan."""
    return {
        "id": plan.id, "merchant_id": plan.merchant_id, "order_number": plan.order_number,
        "product_code": plan.product_code, "product_version": plan.product_version, "price_kopecks": int(plan.price),
        "prepaid_kopecks": int(plan.prepaid), "refunded_kopecks": int(plan.refunded),
        "total_kopecks": int(plan.total), "outstanding_kopecks": int(plan.outstanding),
        "overpaid_kopecks": int(plan.overpaid), "penalty_kopecks": int(plan.penalty),
        "fee_basis_points": plan.fee_basis_points, "fee_kopecks": int(plan.fee), "status": plan.status,
        "standing": plan.standing, "reason": plan.reason, "buyer_id": plan.buyer_id, "collector": plan.collector,
        "contract_on": plan.contract_on, "next_due_on": plan.next_due_on, "is_paused": plan.is_paused,
        "created_at": plan.created_at, "expires_at": plan.expires_at, "committed_at": plan.committed_at,
        "ended_at": plan.ended_at, "version": plan.version,
    }  # fmt: skip


async def plan_view(session: Session, plan: Plan, settings: Settings, *, on: date) -> PlanView:
    """The whole plan as it stands on a day."""
    return PlanView(
        **line_facts(plan), link=link_of(settings, plan), items=[BasketLineView.of(item) for item in plan.items],
        schedule=installment_views(plan, await installments_of(session, plan, on=on), on=on),
    )  # fmt: skip


async def installments_of(session: Session, plan: Plan, *, on: date) -> tuple[InstallmentState, ...]:
    """The plan's installments: as kept once it is committed, as they would be before."""
    kept = await load_installments(session, [plan.id])
    if plan.id in kept:
        return kept[plan.id]
    product = await rows.load_product(session, plan.product_code, plan.product_version)
    parts = build_schedule(plan.price, product, first_due_on=plan.contract_on or on)
    return tuple(InstallmentState(part.number, part.due_on, part.amount, Kopecks(0)) for part in parts)


def installment_views(plan: Plan, parts: Sequence[InstallmentState], *, on: date) -> list[InstallmentView]:
    """Installments as they are shown on a day."""
    return [
        InstallmentView(
            number=part.number, due_on=part.due_on, amount_kopecks=int(part.amount), paid_kopecks=int(part.paid),
            status=status_of(plan, part, on=on),
        )
        for part in parts
    ]  # fmt: skip


def status_of(plan: Plan, part: InstallmentState, *, on: date) -> InstallmentStatus:
    """Where one installment is on a day."""
    if plan.status in HELD and part.number == 1:
        return InstallmentStatus.HELD
    if plan.standing is not Standing.NONE and part.unpaid == 0:
        return InstallmentStatus.PAID
    is_late = plan.standing is not Standing.NONE and part.due_on < on
    return InstallmentStatus.OVERDUE if is_late else InstallmentStatus.SCHEDULED


async def movement_views(session: Session, plan_id: str) -> list[MovementView]:
    """Everything that changed what is owed, in the order in which it happened."""
    movements = (await load_movements(session, [plan_id])).get(plan_id, ())
    undone = undone_of(movements)
    return [MovementView.of(movement, undone) for movement in movements]


def link_of(settings: Settings, plan: Plan) -> str:
    """Where the plan's buyer goes. Its last part is a secret between the merchant, the buyer and us."""
    return f"{settings.public_url.rstrip('/')}{FORM_PATH}{plan.link_code}"
