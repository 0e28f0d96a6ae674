"""Failover: which rail a new attempt really goes by when the one asked for is off.

What is off is read once a second in each process, so a sale costs nothing more while every rail is on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from api.open_rails import open_rails
from checkout.basket_rows import baskets_of
from checkout.errors import RailNotRolledOut
from checkout.orders import Order
from checkout.preferred_rails import first_rail, preferred_rail_of
from checkout.rail import Offer
from checkout.rail_switches import ASKS_NOTHING, RailSwitch, keep_failover, newest_switches, stand_in
from checkout.repository import load_order, load_terminal
from checkout.telling import TillActor
from ledger.database import Engine, Session, text, transaction
from sbp_gateway.nspk import Nspk
from sbp_gateway.providers import Providers

KNOWN_FOR = timedelta(seconds=1)
"""How late a process may notice that a rail was switched."""
PROVIDERS = {"card": "acquirer", "koshelek_pay": "koshelek_pay", "dolyame": "dolyame"}
"""Rails of one provider. Source: checkout/capabilities.yaml."""


@dataclass(slots=True)
class RailBoard:
    """Which rails and providers are off, as this process knows."""

    engine: Engine
    _off: tuple[RailSwitch, ...] = ()
    _read_at: datetime | None = field(default=None)

    async def off(self, now: datetime) -> tuple[RailSwitch, ...]:
        """Everything that is off, a second old at most."""
        if self._read_at is None or not self._read_at <= now < self._read_at + KNOWN_FOR:
            async with transaction(self.engine) as session:
                found = await newest_switches(session)
            self._off, self._read_at = tuple(each for each in found if not each.is_on), now
        return self._off

    def forget(self) -> None:
        """A rail was switched here: read at once."""
        self._read_at = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """By which rail an attempt goes instead, and what stopped the one asked for."""

    asked: str
    rail: str
    switch_id: str


async def redirect(
    session: Session, off: Sequence[RailSwitch], *, asked: str, provider: str | None, order_id: str,
    merchant_id: str | None, links: Nspk, now: datetime,
) -> Redirect | None:  # fmt: skip
    """What stands in for the rail asked for, by the merchant's rules; nothing if it is on.

    ``provider``: the one known from the question; else it is the order's merchant's own.
    Raises: OrderNotFound, RailOff.
    """
    of_rail = [switch for switch in off if switch.rail == asked]
    if not of_rail:
        return None
    order = await load_order(session, order_id, merchant_id=merchant_id)
    reached = provider or PROVIDERS.get(asked) or await _sbp_provider(session, order.merchant_id, links)
    switch = next((each for each in of_rail if each.stops(asked, reached)), None)
    if switch is None:
        return None
    rails = await _rails_on(session, order, off, links, now)
    return Redirect(asked, await stand_in(session, asked, switch, off, order.merchant_id, rails), switch.id)


async def usual_rail(session: Session, order_id: str, *, merchant_id: str | None, now: datetime) -> str:
    """The rail for a till that names none: the buyer's of the order's card, else the first that is on there.

    Only rails that need no more than the order: by the others somebody has to say which card or device.
    Raises: OrderNotFound, RailNotRolledOut.
    """
    order = await load_order(session, order_id, merchant_id=merchant_id)
    terminal = await load_terminal(session, order.terminal_id)
    rails = [rail for rail in await open_rails(session, terminal, now=now) if rail in ASKS_NOTHING]
    of_order = (await baskets_of(session, [order.id])).get(order.id)
    card_id = None if of_order is None else of_order.loyalty_card_id
    preferred = None if card_id is None else await preferred_rail_of(session, card_id)
    rail = first_rail(rails, preferred=preferred)
    if rail is None:
        raise RailNotRolledOut(rail=", ".join(ASKS_NOTHING), terminal_id=order.terminal_id)
    return rail


async def keep(session: Session, offer: Offer, instead: Redirect, by: TillActor, *, now: datetime) -> None:
    """Write down that an attempt begun just now goes by another rail than was asked for."""
    await keep_failover(
        session, offer.attempt_id, offer.merchant_id, asked=instead.asked, rail=instead.rail,
        switch_id=instead.switch_id, by=by, now=now,
    )  # fmt: skip


async def _rails_on(
    session: Session, order: Order, off: Sequence[RailSwitch], links: Nspk, now: datetime
) -> list[str]:  # fmt: skip
    """The rails open at an order's till whose provider, as far as it is the merchant's, is on too."""
    rails = await open_rails(session, await load_terminal(session, order.terminal_id), now=now)
    reached = {
        rail: PROVIDERS.get(rail) or await _sbp_provider(session, order.merchant_id, links) for rail in rails
    }  # fmt: skip
    return [rail for rail in rails if not any(each.stops(rail, reached[rail]) for each in off)]


async def _sbp_provider(session: Session, merchant_id: str, links: Nspk) -> str:
    """Through whom a merchant's codes are registered: T-Kassa for the members set so, NSPK for the others."""
    if not isinstance(links, Providers):
        return "nspk"
    member_id = await session.scalar(
        text("SELECT member_id FROM sbp_merchants WHERE merchant_id = :id"), {"id": merchant_id}
    )
    return "tkassa" if member_id in links.tkassa_members else "nspk"
