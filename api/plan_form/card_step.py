"""The card: typed into the vault's own form inside our page, and the first installment held on it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from api import plan_acts
from api.errors import VaultRefused
from api.plan_form.pages import origin_of
from api.plan_form.texts import card_reason, money
from api.plan_form.visit import Visit
from checkout import card_payment_rows as cards
from checkout.card_payments import ENDED
from installments.accepting import Acceptance
from installments.clearing import operator_of
from installments.consents import find_consent
from installments.first_payments import last_first_payment
from ledger.database import Session, in_transaction, transaction

REFRESH_SECONDS = 3
OPEN, USED = "open", "used"


async def show_card_step(visit: Visit) -> Response:
    """The card form; a bank being asked; or a bank that refused."""
    plan = visit.plan
    if plan.first_payment_id is not None:
        return visit.ends("wait", "checking", refresh_seconds=REFRESH_SECONDS)
    if visit.session.card_session_id is None and (reason := await _refusal(visit)) is not None:
        lines = [visit.says("card_refused_lead", why=card_reason(visit.lang, reason))]
        return visit.ends(
            "bad", "card_refused", lines=lines, again="card-again", again_text=visit.says("other_card"),
            return_url=visit.urls.fail_url,
        )  # fmt: skip
    return await show_form(visit)


async def show_form(visit: Visit, fault: str = "") -> Response:
    """The vault's form for the first installment."""
    title, lead = visit.says("card_title", amount=money(visit.first_amount)), visit.says("card_lead")
    return await show_vault_form(visit, fault, deed="card", title=title, lead=lead, steps=True, step=4)


async def show_vault_form(visit: Visit, fault: str, **told: Any) -> Response:
    """The vault's form: the one that is open, or a new one. ``deed``: what follows when a card was entered."""
    visit, form = await _open_form(visit)
    return visit.shows(
        "card.html", form_url=form["form_url"], status=422 if fault else 200, fault=fault,
        form_origin=origin_of(form["form_url"]), card_session_id=form["id"], **told,
    )  # fmt: skip


async def token_entered(visit: Visit) -> str | None:
    """The card that was entered in this session's form, as the vault says."""
    form = await _read_form(visit)
    return None if form is None else form["token"]


async def try_card(visit: Visit) -> Response:
    """The card that was entered: the bank is asked to hold the first installment. Believes the vault, not the page."""
    token = await token_entered(visit)
    if token is None:
        return await show_form(visit, visit.says("fault_no_card"))

    async def accept(session: Session) -> None:
        consent = await find_consent(session, visit.plan.id)
        assert visit.session.buyer_id is not None
        acceptance = Acceptance(visit.session.buyer_id, None if consent is None else consent.id, token)
        await plan_acts.accept(session, visit.plan.id, acceptance, visit.by, now=visit.door.clock.now())

    await in_transaction(visit.door.engine, accept)
    await visit.door.wiring.plans.carry_on(visit.plan.id, visit.by.actor)
    return visit.with_session(card_session_id=None, is_fresh=True).goes_on()


async def _open_form(visit: Visit) -> tuple[Visit, Any]:
    """The open form of this session, or the next one."""
    form = await _read_form(visit)
    if form is not None and (form["status"] == OPEN or (form["status"] == USED and form["token"])):
        return visit, form
    tries = visit.session.tries + 1
    body: dict[str, Any] = {
        "merchant_id": await _operator(visit), "origin": origin_of(visit.door.settings.public_url),
        "buyer_id": visit.plan.buyer_id, "wants_cvc": True, "terms": {},
    }  # fmt: skip
    name = f"plan-form-{visit.plan.id}-{visit.session.csrf}-{tries}"
    form = await visit.door.wiring.vault.call(
        "POST", "/card-sessions", body, idempotency_key=name, acting_for=visit.by.actor, request_id=visit.by.origin
    )
    return visit.with_session(card_session_id=form["id"], tries=tries), form


async def _read_form(visit: Visit) -> Any:
    """What the vault knows of this session's form, if it has one."""
    if visit.session.card_session_id is None:
        return None
    path = f"/merchants/{await _operator(visit)}/card-sessions/{visit.session.card_session_id}"
    try:
        return await visit.door.wiring.vault.call("GET", path, request_id=visit.by.origin)
    except VaultRefused:
        return None


async def _operator(visit: Visit) -> str:
    async with transaction(visit.door.engine) as session:
        return await operator_of(session)


async def _refusal(visit: Visit) -> str | None:
    """Why the last card was refused, if one was."""
    async with transaction(visit.door.engine) as session:
        payment_id = await last_first_payment(session, visit.plan.id)
        if payment_id is None:
            return None
        payment = await cards.load_payment(session, payment_id)
        return payment.reason or "" if payment.status in ENDED else None
