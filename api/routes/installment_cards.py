"""The card that a plan is collected by (карта плана): replaced by another of the same buyer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api import plan_card_calls, plan_card_changes
from api.door import Call, door_router, needs
from api.idempotency import Claim, answered_before, in_phases
from api.plan_card_calls import WantedCard
from api.routes.installment_plans import actor_of, load_own
from api.wire import Body, Instant, Text, View
from installments import card_changes
from installments.card_changes import CardChange, CardChangeStatus
from ledger.database import Session, transaction

router = door_router("/v1/installments/plans", "installments")

CanManage = Annotated[Call, needs("installments:manage")]


class PlanCardBody(Body):
    """Another card, and how it is known that its buyer agrees to be charged by it."""

    card_token: Annotated[str, Field(strict=True, max_length=64, examples=["tok_4fzK9aQ7Lr2XbN8yTc5Wd1HgE"])]
    """A card of this buyer, kept with the operator."""
    consent: Annotated[Text, Field(max_length=500, examples=["Разговор с поддержкой № 4711, 22.11.2026"])]


class PlanCardView(View):
    """One change of a plan's card; ``asked`` is an answer too: read it again later."""

    payment_id: str
    """Names the change: a rouble is held on the new card and let go."""
    plan_id: str
    card_token: str
    consent: str
    asked_by: str
    status: CardChangeStatus
    reason: str | None
    created_at: Instant
    ended_at: Instant | None

    @classmethod
    def of(cls, change: CardChange) -> PlanCardView:
        """The change as it is shown."""
        return cls(
            payment_id=change.payment_id, plan_id=change.plan_id, card_token=change.card_token, consent=change.consent,
            asked_by=change.asked_by, status=change.status, reason=change.reason, created_at=change.created_at,
            ended_at=change.ended_at,
        )  # fmt: skip


@router.post("/{plan_id}/cards", status_code=201, response_model=PlanCardView)
async def replace_plan_card(plan_id: str, body: PlanCardBody, call: CanManage) -> Response:
    """Collect a plan by another card of its buyer from now on, once that card's bank has said yes.

    A charge under way ends with its old card; what was refused is tried again soon. Buyers do it themselves at their
    link.
    """
    if (answered := await answered_before(call)) is not None:
        return answered
    is_of_buyer = await plan_card_changes.is_of_buyer(call.door, plan_id, body.card_token, request_id=call.request_id)

    async def intent(session: Session, claim: Claim) -> str:
        await load_own(session, plan_id, call)
        wanted = WantedCard(
            plan_id, claim.resource_id, body.card_token, body.consent, actor_of(call), is_of_buyer=is_of_buyer
        )
        await plan_card_calls.ask(session, wanted, now=call.now)
        return claim.resource_id

    async def act(payment_id: str) -> str:
        await plan_card_calls.carry_on(call.door.wiring.cards, plan_id, call.caller.key_id)
        return payment_id

    async def outcome(session: Session, _intended: str, payment_id: str) -> PlanCardView:
        return PlanCardView.of(await plan_card_changes.read_change(session, plan_id, payment_id))

    return await in_phases(call, intent=intent, act=act, outcome=outcome, prefix="cpy")


@router.get("/{plan_id}/cards")
async def list_plan_cards(plan_id: str, call: CanManage) -> list[PlanCardView]:
    """Cards that were tried in place of a plan's first one, oldest first."""
    async with transaction(call.engine) as session:
        plan = await load_own(session, plan_id, call)
        return [PlanCardView.of(change) for change in await card_changes.list_changes(session, plan.id)]
