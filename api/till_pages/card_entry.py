"""The buyer's card at the till: typed into the vault's own form, charged by token. No page of ours sees a number."""

from __future__ import annotations

from dataclasses import replace

from api.till_pages.at_till import AtTill, Form, awaited, refused
from api.till_pages.reading import read_again
from api.till_pages.sessions import SaidMessage, TillState

RAIL = "card"


async def open_card_form(at: AtTill) -> TillState:
    """A form of the vault's for this sale; it may be shown by our page alone."""
    body = {"merchant_id": at.kept.merchant_id, "origin": at.origin, "wants_cvc": True}
    said = await at.asking.ask("till", "POST", "/v1/card-sessions", body)
    if not said.is_done:
        return refused(at.state, said)
    form = {"rail": RAIL, "id": said.body["id"], "form_url": said.body["form_url"]}
    return replace(at.state, entry=form, notice=None)


async def pay_by_card(at: AtTill, _form: Form) -> TillState:
    """The form has taken a card: the vault is believed, not the page. Told twice, it is charged once."""
    form, order = awaited(at.state, RAIL), at.state.order
    if form is None or order is None:
        return at.state
    path = f"/v1/card-sessions/{form['id']}"
    read = await at.asking.ask("till", "GET", f"{path}?merchant_id={at.kept.merchant_id}", is_told=False)
    if not read.is_done or read.body["token"] is None:
        return replace(at.state, notice={"code": "no_card_yet", "tip": ""})
    await at.asking.tell(SaidMessage("phone", "vault", f"POST /card-forms/{form['id']}/card"))
    await at.asking.tell(SaidMessage("till", "kopeyka", f"GET {path}", 200, told=read.body["status"]))
    body = {"rail": RAIL, "card_token": read.body["token"]}
    said = await at.asking.ask(
        "till", "POST", f"/v1/orders/{order['id']}/attempts", body, key=f"till-page-{form['id']}"
    )
    if not said.is_done:
        return refused(replace(at.state, entry=None), said)
    await at.asking.tell(SaidMessage("kopeyka", "vault", "POST /v1/charges", told=said.body["status"]))
    state = replace(at.state, entry=None, card_token=read.body["token"], notice=None)
    return await read_again(at, state)
