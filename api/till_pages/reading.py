"""How a till learns what became of its order: it asks each second, and prints the slip of a paid one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from api.till_pages.at_till import AtTill, live_attempt
from api.till_pages.sessions import SaidMessage, TillState

SLIP_COLUMNS = 48
BYTES_SHOWN_MAX = 128
BYTES_A_LINE = 16


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
