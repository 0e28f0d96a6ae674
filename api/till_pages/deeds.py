"""What is done on the pages: the cashier's and the buyer's touches, each a call of the API or of the buyer's bank."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from api.demo.wire import Connection, ConnectionLost
from api.till_pages.asking import Asking, Said
from api.till_pages.goods import PORTIONS_MAX, SHELF, basket_body
from api.till_pages.sessions import SaidMessage, TillSession, TillState
from sbp_gateway.errors import InvalidPayload
from sbp_gateway.payload import parse_leniently

RAILS_OFFERED = ("sbp", "dolyame")
"""What the page can play to the end: a card and a device need their own forms."""
CODE_CHARACTERS_MAX = 40
POINTS_DIGITS_MAX = 9
TTL_MINUTES = 5
SLIP_COLUMNS = 48
BYTES_SHOWN_MAX = 128
BYTES_A_LINE = 16
LIVE = ("requested", "waiting", "unknown")

Form = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AtTill:
    """A session while something is done in it."""

    kept: TillSession
    asking: Asking
    now: datetime

    @property
    def state(self) -> TillState:
        """What the till shows."""
        return self.kept.state


Deed = Callable[[AtTill, Form], Awaitable[TillState]]


def _refused(state: TillState, said: Said) -> TillState:
    return replace(state, notice=said.notice)


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
        return _refused(at.state, said)
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
        return replace(_refused(at.state, said), sales=sale)
    return replace(at.state, order=said.body, sales=sale, refund=None, slip=None, notice=None)


async def begin_paying(at: AtTill, form: Form) -> TillState:
    """An attempt by the rail that was chosen: its QR is shown."""
    order, rail = at.state.order, form.get("rail", "")
    if order is None or rail not in RAILS_OFFERED:
        return at.state
    body: dict[str, Any] = {"rail": rail}
    if rail == "sbp":
        body["ttl_minutes"] = TTL_MINUTES
    said = await at.asking.ask("till", "POST", f"/v1/orders/{order['id']}/attempts", body)
    if not said.is_done:
        return _refused(at.state, said)
    if rail == "sbp":
        await at.asking.tell(SaidMessage("kopeyka", "nspk", "POST /payment/v1/qrc-data", told=said.body["status"]))
    return await read_again(at, replace(at.state, notice=None))


async def cancel(at: AtTill, _form: Form) -> TillState:
    """The cashier leaves the order: code and points are let go."""
    if at.state.order is None:
        return at.state
    said = await at.asking.ask("till", "POST", f"/v1/orders/{at.state.order['id']}/cancel")
    return replace(at.state, order=said.body, notice=None) if said.is_done else _refused(at.state, said)


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
        return _refused(at.state, said)
    return await read_again(at, replace(at.state, refund=said.body, notice=None))


async def begin_anew(at: AtTill, _form: Form) -> TillState:
    """The next buyer."""
    if at.state.order is not None and at.state.order["status"] == "open":
        return at.state
    return TillState(sales=at.state.sales, rail=at.state.rail)


async def prefer(at: AtTill, form: Form) -> TillState:
    """The buyer chooses on the phone how to pay by default."""
    rail = form.get("rail", "")
    if rail not in (*RAILS_OFFERED, ""):
        return at.state
    path = f"/v1/loyalty-cards/{at.kept.loyalty_card_id}/preferred-rail"
    said = await at.asking.ask("phone", "POST", path, {"rail": rail or None})
    return replace(at.state, rail=rail, notice=None) if said.is_done else _refused(at.state, said)


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


async def _slip(at: AtTill, state: TillState) -> TillState:
    """What is printed of a paid order, in the widest paper's columns."""
    assert state.order is not None
    path = f"/v1/orders/{state.order['id']}/slip?columns={SLIP_COLUMNS}"
    told = await at.asking.ask("till", "GET", path)
    raw = await at.asking.ask("till", "GET", f"{path}&format=escpos")
    if not told.is_done or not isinstance(raw.body, bytes):
        return state
    dump = [raw.body[place : place + BYTES_A_LINE].hex(" ") for place in range(0, BYTES_SHOWN_MAX, BYTES_A_LINE)]
    return replace(state, slip={"text": told.body["text"], "bytes": len(raw.body), "dump": dump})


async def read_again(at: AtTill, state: TillState) -> TillState:
    """The order as it stands now. Drawn only when something has come of it: a till asks each second."""
    if state.order is None:
        return state
    state = await _refund_again(at, state)
    assert state.order is not None, "nothing has taken it away"
    said = await at.asking.ask("till", "GET", f"/v1/orders/{state.order['id']}", is_told=False)
    if not said.is_done or said.body == state.order:
        return state
    before, after = _standing(state.order), _standing(said.body)
    if before != after:
        if said.body["status"] == "paid" != state.order["status"] and _is_by_sbp(said.body):
            await at.asking.tell(SaidMessage("nspk", "kopeyka", "payment/v2/qrc/notification", told="ACWP"))
        await at.asking.tell(SaidMessage("till", "kopeyka", f"GET /v1/orders/{said.body['id']}", 200, told=after))
    is_news = said.body["status"] == "paid" and (state.slip is None or state.refund is not None)
    shown = replace(state, order=said.body)
    return await _slip(at, shown) if is_news else shown


async def _refund_again(at: AtTill, state: TillState) -> TillState:
    """How the refund stands, while the rail takes its time."""
    if state.refund is None or state.refund["is_final"]:
        return state
    path = f"/v1/item-refunds/{state.refund['id']}"
    said = await at.asking.ask("till", "GET", path, is_told=False)
    if not said.is_done or said.body["status"] == state.refund["status"]:
        return state
    if _is_by_sbp(state.order):
        await at.asking.tell(SaidMessage("nspk", "kopeyka", "payment/v2/qrc/notification", told="refund"))
    await at.asking.tell(SaidMessage("till", "kopeyka", f"GET {path}", 200, told=said.body["status"]))
    return replace(state, refund=said.body)


def _standing(order: Mapping[str, Any]) -> str:
    last = live_attempt(order)
    return str(order["status"]) if last is None else f"{order['status']} · {last['status']}"


def _is_by_sbp(order: Mapping[str, Any] | None) -> bool:
    last = live_attempt(order)
    return last is not None and last["rail"] == "sbp"


def live_attempt(order: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The newest try to have an order paid."""
    attempts = (order or {}).get("attempts") or ()
    found: Mapping[str, Any] | None = attempts[-1] if attempts else None
    return found


def shown_qr(order: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What the buyer scans now."""
    attempt = live_attempt(order)
    if order is None or order["status"] != "open" or attempt is None or attempt["status"] not in LIVE:
        return None
    found: Mapping[str, Any] | None = attempt["qr"]
    return found


TILL_DEEDS: Mapping[str, Deed] = {
    "add": add_goods, "take": take_goods, "present": present, "place": place, "pay": begin_paying,
    "cancel": cancel, "refund": refund, "next": begin_anew,
}  # fmt: skip
PHONE_DEEDS: Mapping[str, Deed] = {"prefer": prefer, "confirm": confirm}
