"""Another card for a plan, from the door's side: whose card it is, and all that follows until it is known."""

from __future__ import annotations

from api.door import Door
from api.errors import ResourceUnknown
from api.plan_card_calls import WantedCard, ask, carry_on
from installments import card_changes, clearing
from installments import repository as rows
from installments.card_changes import CardChange
from installments.errors import PlanNotFound
from ledger.database import Session, in_transaction, transaction
from ledger.ids import new_id

PAGE = 199
PAGES_MAX = 5
"""Of a buyer's cards: more nobody keeps."""


async def is_of_buyer(door: Door, plan_id: str, card_token: str, *, request_id: str) -> bool:
    """Whether a card is kept with the operator for the plan's buyer. Asks the vault.

    Raises: VaultUnavailable. Of an unknown plan the intent says so: its refusals are kept.
    """
    async with transaction(door.engine) as session:
        try:
            plan = await rows.load_plan(session, plan_id)
        except PlanNotFound:
            return False
        operator_id = await clearing.operator_of(session)
    after = ""
    for _ in range(PAGES_MAX if plan.buyer_id is not None else 0):
        query = {"buyer_id": plan.buyer_id or "", "limit": str(PAGE)} | ({"after": after} if after else {})
        said = await door.wiring.vault.call(
            "GET", f"/merchants/{operator_id}/cards", request_id=request_id, query=query
        )
        if any(card["token"] == card_token for card in said["items"]):
            return True
        if not said["has_more"]:
            break
        after = said["items"][-1]["token"]
    return False


async def change_card(door: Door, wanted: WantedCard) -> CardChange:
    """All of it, for a page of ours: what became of the change, as far as it is known."""
    await in_transaction(door.engine, lambda session: ask(session, wanted, now=door.clock.now()))
    await carry_on(door.wiring.cards, wanted.plan_id, wanted.by.actor)
    async with transaction(door.engine) as session:
        return await read_change(session, wanted.plan_id, wanted.payment_id)


async def read_change(session: Session, plan_id: str, payment_id: str) -> CardChange:
    """A change that was asked for. Raises: ResourceUnknown."""
    change = await card_changes.find_change(session, plan_id, payment_id)
    if change is None:
        raise ResourceUnknown(id=payment_id)
    return change


def new_payment_id(door: Door) -> str:
    """A name for a change that has none yet."""
    return new_id("cpy", door.clock.now())
