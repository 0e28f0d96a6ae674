"""What a touch of the pages has before it: the session, the way to the API, and how an order stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from api.till_pages.asking import Asking, Said
from api.till_pages.devices import Devices
from api.till_pages.sessions import TillSession, TillState

LIVE = ("requested", "waiting", "unknown")

Form = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AtTill:
    """A session while something is done in it."""

    kept: TillSession
    asking: Asking
    now: datetime
    devices: Devices
    origin: str
    """Where the browser has the page from: the vault's form is shown to no other."""

    @property
    def state(self) -> TillState:
        """What the till shows."""
        return self.kept.state


Deed = Callable[[AtTill, Form], Awaitable[TillState]]


def refused(state: TillState, said: Said) -> TillState:
    """The same screen with what went wrong."""
    return replace(state, notice=said.notice)


def live_attempt(order: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The newest try to have an order paid."""
    attempts = (order or {}).get("attempts") or ()
    found: Mapping[str, Any] | None = attempts[-1] if attempts else None
    return found


def is_live(order: Mapping[str, Any] | None) -> bool:
    """Whether the buyer, or a bank, is being waited for."""
    attempt = live_attempt(order)
    return order is not None and order["status"] == "open" and attempt is not None and attempt["status"] in LIVE


def shown_qr(order: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What the buyer scans now."""
    attempt = live_attempt(order)
    if attempt is None or not is_live(order):
        return None
    found: Mapping[str, Any] | None = attempt["qr"]
    return found


def awaited(state: TillState, rail: str) -> Mapping[str, Any] | None:
    """The card or the device that the till waits for before it can ask for the money."""
    order, entry = state.order, state.entry
    if order is None or order["status"] != "open" or is_live(order) or entry is None or entry["rail"] != rail:
        return None
    return entry


def price_of(order: Mapping[str, Any], rail: str) -> int:
    """What the order costs by a rail, in kopecks: its offer's price if there is one."""
    offers = {offer["rail"]: offer for offer in (order.get("tenders") or {}).get("offers", ())}
    return int(offers[rail]["amount_kopecks"] if rail in offers else order["amount_kopecks"])
