"""What is done on the pages: the cashier's and the buyer's touches, each a call of the API or of the buyer's bank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from api.demo.wire import Connection, ConnectionLost
from api.till_pages.at_till import AtTill, Deed, Form, is_live, refused, shown_qr
from api.till_pages.card_entry import open_card_form, pay_by_card
from api.till_pages.device_tap import tap, wait_for_device
from api.till_pages.goods import PORTIONS_MAX, SHELF, basket_body
from api.till_pages.reading import read_again
from api.till_pages.sessions import SaidMessage, TillState
from checkout.premises import RAILS
from sbp_gateway.errors import InvalidPayload
from sbp_gateway.payload import parse_leniently

CODE_CHARACTERS_MAX = 40
POINTS_DIGITS_MAX = 9
TTL_MINUTES = 5


async def add_goods(at: AtTill, form: Form) -> TillState:
    """One more portion of an article."""
    article = form.get("article", "")
    if article not in SHELF or at.state.order is not None:
        return at.state
    portions = min(at.state.goods.get(article, 0) + 1, PORTIONS_MAX)
    return replace(at.state, goods={**at.state.goods, article: portions}, notice=None)


async def take_goods(at: AtTill, form: Form) -> TillState:
    """One portion less."""
    article = form.get("article", "")
    if article not in at.state.goods or at.state.order is not None:
        return at.state
    goods = {**at.state.goods, article: at.state.goods[article] - 1}
    return replace(at.state, goods={name: count for name, count in goods.items() if count > 0}, notice=None)


async def present(at: AtTill, form: Form) -> TillState:
    """The cashier scans the card."""
    await at.asking.tell(SaidMessage("phone", "till", "barcode"))
    body = {"terminal_id": at.kept.terminal_id, "barcode": form.get("barcode", "").strip()}
    said = await at.asking.ask("till", "POST", "/v1/presentments", body)
    if not said.is_done:
        return refused(at.state, said)
    points = await at.asking.ask("till", "GET", f"/v1/loyalty-cards/{said.body['loyalty_card_id']}/points")
    available = int(points.body["available"]) if points.is_done else 0
    return replace(at.state, presentment=said.body, points=available, notice=None)


async def place(at: AtTill, form: Form) -> TillState:
    """The order with its basket, card, promo code and points."""
    if not at.state.goods or at.state.order is not None:
        return at.state
    sale = at.state.sales + 1
    body: dict[str, Any] = {
        "terminal_id": at.kept.terminal_id, "number": f"{at.kept.link_code[-6:]}-{sale}",
        "basket": basket_body(at.state.goods),
    }  # fmt: skip
    if at.state.presentment is not None:
        body["presentment_id"] = at.state.presentment["id"]
    if code := form.get("promo_code", "").strip()[:CODE_CHARACTERS_MAX]:
        body["promo_code"] = code
    points = form.get("points", "").strip()
    if points.isdecimal() and points.isascii() and len(points) <= POINTS_DIGITS_MAX and int(points):
        body["points"] = int(points)
    said = await at.asking.ask("till", "POST", "/v1/orders", body)
    if not said.is_done:
        return replace(refused(at.state, said), sales=sale)
    return replace(at.state, order=said.body, sales=sale, refund=None, slip=None, notice=None)


async def begin_paying(at: AtTill, form: Form) -> TillState:
    """By the rail that was chosen: a QR is shown, or the till waits for a card or a device."""
    order, rail = at.state.order, form.get("rail", "")
    if order is None or order["status"] != "open" or is_live(order) or rail not in RAILS:
        return at.state
    if rail == "card":
        return await open_card_form(at)
    if rail == "koshelek_pay":
        return wait_for_device(at)
    body: dict[str, Any] = {"rail": rail}
    if rail == "sbp":
        body["ttl_minutes"] = TTL_MINUTES
    said = await at.asking.ask("till", "POST", f"/v1/orders/{order['id']}/attempts", body)
    if not said.is_done:
        return refused(at.state, said)
    if rail == "sbp":
        await at.asking.tell(SaidMessage("kopeyka", "nspk", "POST /payment/v1/qrc-data", told=said.body["status"]))
    return await read_again(at, replace(at.state, notice=None))


async def choose_again(at: AtTill, _form: Form) -> TillState:
    """Another rail after all, before the card or the device was there."""
    return replace(at.state, entry=None, notice=None)


async def cancel(at: AtTill, _form: Form) -> TillState:
    """The cashier leaves the order: code and points are let go."""
    if at.state.order is None:
        return at.state
    said = await at.asking.ask("till", "POST", f"/v1/orders/{at.state.order['id']}/cancel")
    return replace(at.state, order=said.body, entry=None, notice=None) if said.is_done else refused(at.state, said)


async def refund(at: AtTill, form: Form) -> TillState:
    """One line, or all that is left, comes back."""
    order = at.state.order
    if order is None:
        return at.state
    body: dict[str, Any] = {"order_id": order["id"], "reason": "Возврат на кассе"}
    lines = {str(line["line"]): line for line in (order.get("tenders") or {}).get("lines", ())}
    if (line := lines.get(form.get("line", ""))) is not None:
        body["items"] = [{"line": line["line"], "quantity": line["quantity"]}]
    said = await at.asking.ask("till", "POST", "/v1/item-refunds", body)
    if not said.is_done:
        return refused(at.state, said)
    return await read_again(at, replace(at.state, refund=said.body, notice=None))


async def begin_anew(at: AtTill, _form: Form) -> TillState:
    """The next buyer."""
    if at.state.order is not None and at.state.order["status"] == "open":
        return at.state
    return TillState(sales=at.state.sales, rail=at.state.rail, card_token=at.state.card_token)


async def prefer(at: AtTill, form: Form) -> TillState:
    """The buyer chooses on the phone how to pay by default."""
    rail = form.get("rail", "")
    if rail not in (*RAILS, ""):
        return at.state
    path = f"/v1/loyalty-cards/{at.kept.loyalty_card_id}/preferred-rail"
    said = await at.asking.ask("phone", "POST", path, {"rail": rail or None})
    return replace(at.state, rail=rail, notice=None) if said.is_done else refused(at.state, said)


async def confirm(at: AtTill, form: Form) -> TillState:
    """The buyer's bank moves the money, or says no."""
    qr = shown_qr(at.state.order)
    url = at.asking.door.settings.nspk_url
    if qr is None or not url:
        return at.state
    try:
        qrc_id = parse_leniently(qr["payload"]).qrc_id
    except InvalidPayload:
        return at.state
    outcome = "rejected" if form.get("wish") == "refuse" else "accepted"
    bank = Connection(url)
    try:
        answer = await bank.ask("POST", "/simulator/payers/pay", {"qrc_id": qrc_id, "outcome": outcome})
        message = SaidMessage("phone", "nspk", f"{form.get('bank', 'СБП')[:40]}: {outcome}", answer.status)
    except ConnectionLost:
        message = SaidMessage("phone", "nspk", "СБП", 503)
    finally:
        bank.hang_up()
    await at.asking.tell(message)
    return at.state


TILL_DEEDS: Mapping[str, Deed] = {
    "add": add_goods, "take": take_goods, "present": present, "place": place, "pay": begin_paying,
    "card": pay_by_card, "other": choose_again, "cancel": cancel, "refund": refund, "next": begin_anew,
}  # fmt: skip
PHONE_DEEDS: Mapping[str, Deed] = {"prefer": prefer, "confirm": confirm, "tap": tap}
