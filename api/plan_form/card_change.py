"""Another card for a plan that owes: typed into the vault's form, checked by a rouble that is let go, put in place."""

from __future__ import annotations

from starlette.responses import Response

from api.plan_card_calls import WantedCard
from api.plan_card_changes import change_card, new_payment_id
from api.plan_form import card_step
from api.plan_form.texts import card_reason
from api.plan_form.visit import Visit
from installments import card_changes
from installments.card_changes import CardChangeStatus, owes
from ledger.database import transaction

DEED = "new-card-entered"


def is_possible(visit: Visit) -> bool:
    """Whether anything is left to be collected by another card."""
    return owes(visit.plan)


async def show_form(visit: Visit, fault: str = "") -> Response:
    """The vault's form, and what the buyer agrees to by entering a card."""
    title, lead = visit.says("new_card_title"), visit.says("new_card_lead")
    return await card_step.show_vault_form(visit, fault, deed=DEED, title=title, lead=lead)


async def try_card(visit: Visit) -> Response:
    """The card that was entered: its bank is asked. Believes the vault, not the page."""
    token = await card_step.token_entered(visit)
    if token is None:
        return await show_form(visit, visit.says("fault_no_card"))
    wanted = WantedCard(
        visit.plan.id, new_payment_id(visit.door), token, visit.says("new_card_lead"), visit.by, visit.session.buyer_id
    )
    await change_card(visit.door, wanted)
    return visit.with_session(change_id=wanted.payment_id, card_session_id=None, is_fresh=False).goes_on("?view=plan")


async def show_change(visit: Visit) -> Response:
    """What became of it: once it is known, it is told once."""
    assert visit.session.change_id is not None
    async with transaction(visit.door.engine) as session:
        change = await card_changes.find_change(session, visit.plan.id, visit.session.change_id)
    if change is not None and change.status is CardChangeStatus.ASKED:
        return visit.ends("wait", "checking", refresh_seconds=card_step.REFRESH_SECONDS)
    done = visit.with_session(change_id=None)
    if change is not None and change.status is CardChangeStatus.REPLACED:
        return done.ends("good", "new_card_done", plan_link=True)
    why = card_reason(visit.lang, None if change is None else change.reason)
    return done.ends("bad", "card_refused", lines=[visit.says("new_card_refused_lead", why=why)], plan_link=True)
