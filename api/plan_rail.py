"""Plans as a rail of the till: the buyer scans a link to the plan's form, and a committed plan pays the order.

The plan is ours, so nobody is called: the offer opens it in the attempt's own transaction, under the attempt's id.
DECISIONS.md of checkout, "A plan is a rail".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from api.plan_views import link_of
from api.settings import Settings
from checkout import basket_rows, repository
from checkout.rail import Offer, ShownQr, Start, StartStatus
from checkout.slip_text import MEASURES
from installments import repository as plans
from installments.opening import PlanRequest, open_plan
from installments.plan import Item
from installments.telling import PlanActor
from ledger.database import Session, text
from ledger.ids import new_id
from ledger.money import Kopecks

RAIL = "dolyame"
"""The word for plans in attempts, whatever their product."""
PRODUCT = "dolyame"
"""The product offered when a till names none."""


@dataclass(frozen=True, slots=True)
class PlanRail:
    """A plan of one product, fitted to what checkout asks of a rail."""

    settings: Settings
    by: PlanActor
    product_code: str = PRODUCT
    name: str = RAIL

    async def offer(self, session: Session, offer: Offer, *, now: datetime) -> Offer:
        """Intent: a plan for the attempt, of the whole amount. Raises: what ``open_plan`` refuses."""
        items = await _items(session, offer)
        request = PlanRequest(
            offer.merchant_id, offer.attempt_id, self.product_code, offer.amount, Kopecks(0), items
        )  # fmt: skip
        plan = await open_plan(session, request, plan_id=new_id("pln", now), by=self.by, now=now)
        await session.execute(
            text("INSERT INTO plan_attempts (attempt_id, plan_id, created_at) VALUES (:attempt_id, :plan_id, :now)"),
            {"attempt_id": offer.attempt_id, "plan_id": plan.id, "now": now},
        )
        return replace(offer, reference=plan.id, request=link_of(self.settings, plan))

    async def start(self, offer: Offer) -> Start:
        """Call: none is needed, the link is ours."""
        return Start(StartStatus.STARTED, link_id=offer.reference, payload=str(offer.request))

    async def record_start(self, session: Session, offer: Offer, start: Start, *, now: datetime) -> bool:
        """Outcome: the buyer may go there, unless the plan was given up meanwhile."""
        del start, now
        return (await plans.load_plan(session, offer.reference)).ended_at is None

    async def shown(self, session: Session, attempt_ids: Sequence[str]) -> Mapping[str, ShownQr]:
        """The link of each attempt's plan, as a QR says it."""
        return await shown_links(session, self.settings, attempt_ids)


async def _items(session: Session, offer: Offer) -> tuple[Item, ...]:
    """What the plan's form and papers call the goods: each line at what the rail brings for it, else the sale as one.

    So the lines add up to the price to the kopeck, and what promo code and points paid is nobody's debt.
    """
    attempt = await repository.load_attempt(session, offer.attempt_id)
    assert attempt is not None, "the attempt is written down before its offer"
    of_order = (await basket_rows.baskets_of(session, [attempt.order_id])).get(attempt.order_id)
    if of_order is None or of_order.amount != offer.amount:
        return (Item(offer.purpose, "1", offer.amount),)
    shares = zip(of_order.basket.lines, of_order.rail_shares, strict=True)
    return tuple(
        Item(f"{line.name}, {line.quantity} {MEASURES[line.measure]}", "1", Kopecks(share), line.article)
        for line, share in shares
        if share > 0
    )


async def shown_links(session: Session, settings: Settings, attempt_ids: Sequence[str]) -> dict[str, ShownQr]:
    """What the buyer of each attempt by a plan scans."""
    found = await session.execute(
        text("SELECT attempt_id, plan_id FROM plan_attempts WHERE attempt_id = ANY(CAST(:ids AS text[]))"),
        {"ids": list(attempt_ids)},
    )
    return {
        row.attempt_id: ShownQr(plan.id, plan.id, link_of(settings, plan))
        for row in found
        for plan in [await plans.load_plan(session, row.plan_id)]
    }


async def refunded_by_plan(session: Session, plan_ids: Sequence[str]) -> dict[str, int]:
    """What has come back of each plan's goods, in kopecks."""
    found = await session.execute(
        text("SELECT id, refunded_kopecks FROM installment_plans WHERE id = ANY(CAST(:ids AS text[]))"),
        {"ids": list(plan_ids)},
    )
    return {row.id: row.refunded_kopecks for row in found}
