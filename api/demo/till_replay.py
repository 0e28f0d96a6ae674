"""Every basket through a till: the card is scanned, points and a promo code pay their part, a rail brings the rest."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from api.demo.caller import WAIT_SECONDS_MAX, WAIT_SECONDS_MIN, Caller
from api.demo.errors import DemoFailed
from api.demo.hearing import Hearing
from api.demo.till_baskets import TillBasket
from api.demo.till_phones import Handset, Wallets
from api.demo.till_returns import Returns
from api.demo.till_sale import TillSale
from api.demo.till_shop import Chain, TillStore, created
from api.demo.wire import Connection, ConnectionLost
from ledger.clock import monotonic

PLATE_SHARE = 0.10
CARD_SHARE = 0.10
DEVICE_SHARE = 0.05
"""By a phone that a card was put on, when the run has such phones."""
PLAN_SHARE = 0.04
POINTS_SHARE = 0.25
"""Of the purchases whose buyer asks what may be paid by points."""
LOOK_AGAIN_SHARE = 0.02
"""Of the barcodes is scanned once more, as by a nervous hand: the second scan must be refused."""
LANES = 10
"""Stores that sell at the same time; a store serves its buyers in the order of the file."""
BUYER = {"born_on": "1990-05-17", "first_name": "Мария", "last_name": "Иванова"}
REFUSED: dict[str, Any] = {"status": "rejected", "qr": None}
"""What stands for an attempt that was refused at once."""
WAIT_SECONDS_IN_ALL = 150.0
TRIES_MAX = 20


@dataclass(slots=True)
class StoreDay:
    """The shifts that a store has open, and the day of the file that they are of."""

    store: TillStore
    on: date | None = None
    open: dict[str, str] = field(default_factory=dict)
    """Shifts by till."""


@dataclass(slots=True)
class Replay:
    """All baskets of a run."""

    chain: Chain
    caller_of: Callable[[], Caller]
    payers_url: str
    hearing: Hearing
    seed: int = 1
    rail_of: Callable[[float], str] = field(default=lambda chance: _rail(chance))
    """What a buyer pays by, by chance."""
    points_share: float = POINTS_SHARE
    return_share: float = 0.0
    """Of the baskets some goods come back."""
    handsets: Sequence[Handset] = ()
    """Phones that buyers pay with."""
    wallets: Wallets = field(default_factory=Wallets)
    returns: Returns = field(init=False)
    sales: list[TillSale] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    presented: int = 0
    scanned_twice: int = 0
    """Second scans of one code that were refused."""
    done: int = 0
    z_reports: list[dict[str, Any]] = field(default_factory=list)
    days: dict[str, StoreDay] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.returns = Returns(self.hearing, self.seed, self.return_share)

    async def sell(self, baskets: Sequence[TillBasket]) -> None:
        """Every store sells its baskets, all stores at the same time. Raises: DemoFailed."""
        self.days = {name: StoreDay(store) for name, store in sorted(self.chain.stores.items())}
        lanes = [[basket for basket in baskets if basket.store == name] for name in self.days]
        try:
            async with asyncio.TaskGroup() as tasks:
                for lane in lanes:
                    tasks.create_task(self._serve(lane))
        except* DemoFailed as failed:
            raise failed.exceptions[0] from None

    async def close_shifts(self) -> None:
        """The last goods come back, then the last Z of every till: what was booked after an earlier Z is in it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for day in self.days.values():
                    tasks.create_task(self._end(day))
        except* DemoFailed as failed:
            raise failed.exceptions[0] from None

    async def _end(self, day: StoreDay) -> None:
        caller = self.caller_of()
        for terminal_id in day.store.terminals:
            if terminal_id not in day.open:
                await self._open_shift(caller, day, terminal_id, "last")
        if day.on is not None:
            await self.returns.take_back(caller, day.store.name, day.on)
        await self.returns.wait_for_store(caller, day.store.name)
        await self._close_day(caller, day)
        caller.api.hang_up()

    async def _close_day(self, caller: Caller, day: StoreDay) -> None:
        for shift_id in day.open.values():
            body = {"cashier_id": day.store.cashier_id}
            self.z_reports.append(await created(caller, f"/v1/shifts/{shift_id}/close", body, f"z-{shift_id}"))
        day.open.clear()

    async def _open_shift(self, caller: Caller, day: StoreDay, terminal_id: str, what: str) -> None:
        body = {"terminal_id": terminal_id, "cashier_id": day.store.cashier_id}
        shift = await created(caller, "/v1/shifts", body, f"shift-{terminal_id}-{what}")
        day.open[terminal_id] = shift["id"]

    async def _be_open(self, caller: Caller, basket: TillBasket, terminal_id: str) -> None:
        """A new day of the file closes the shifts of the last one; money still on its way goes into the next."""
        day = self.days[basket.store]
        if day.on != basket.on:
            if day.on is not None:
                await self.returns.take_back(caller, basket.store, day.on)
            await self._close_day(caller, day)
            day.on = basket.on
        if terminal_id not in day.open:
            await self._open_shift(caller, day, terminal_id, basket.on.isoformat())

    async def _serve(self, baskets: Sequence[TillBasket]) -> None:
        caller, phone = self.caller_of(), Connection(self.payers_url)
        try:
            for basket in baskets:
                await self._sell(caller, phone, basket)
                self.done += 1
        finally:
            caller.api.hang_up()
            phone.hang_up()

    async def _sell(self, caller: Caller, phone: Connection, basket: TillBasket) -> None:
        chance = random.Random(f"{self.seed}/{basket.id}")  # noqa: S311  # must be repeatable
        rail = self.rail_of(chance.random())
        sale = TillSale(basket, "card" if rail == "device" and not self.handsets else rail)
        store = self.chain.stores[basket.store]
        terminal_id = store.terminals[sale.rail == "plate"]
        card_id = self.chain.cards[basket.household]
        await self._be_open(caller, basket, terminal_id)
        presentment_id = await self._present(caller, basket, terminal_id, card_id, chance)
        points = await self._points(caller, card_id) if chance.random() < self.points_share else 0
        order = await self._place(caller, sale, terminal_id, presentment_id, points)
        if order is None:
            return
        sale.order_id, sale.tenders = order["id"], order["tenders"]
        self.sales.append(sale)
        self.hearing.expect(sale)
        self.returns.consider(sale)
        await self._pay(caller, phone, sale, store)

    async def _present(
        self, caller: Caller, basket: TillBasket, terminal_id: str, card_id: str, chance: random.Random
    ) -> str:
        """The phone shows the card and the till scans it."""
        barcode = await self.wallets.barcode(caller, card_id, f"{basket.number}-show")
        scan = {"terminal_id": terminal_id, "barcode": barcode}
        presentment = await created(caller, "/v1/presentments", scan, f"{basket.number}-scan")
        self.presented += 1
        if chance.random() < LOOK_AGAIN_SHARE:
            again = await caller.post("/v1/presentments", scan, f"{basket.number}-scan-again")
            if again.status < 400:
                raise DemoFailed(f"{basket.number}: a barcode was taken twice")
            self.scanned_twice += 1
        return str(presentment["id"])

    async def _points(self, caller: Caller, card_id: str) -> int:
        return int((await caller.get(f"/v1/loyalty-cards/{card_id}/points"))["available"])

    async def _place(
        self, caller: Caller, sale: TillSale, terminal_id: str, presentment_id: str, points: int
    ) -> dict[str, Any] | None:
        basket = sale.basket
        body: dict[str, Any] = {
            "terminal_id": terminal_id, "number": basket.number, "placed_at": basket.at.isoformat(),
            "basket": {"lines": [line.body() for line in basket.lines]}, "presentment_id": presentment_id,
        }  # fmt: skip
        if basket.coupon:
            body["promo_code"] = self.chain.codes[int(basket.coupon)]
        if points:
            body["points"] = points
        answer = await caller.post("/v1/orders", body, f"{basket.number}-order")
        if answer.status in (409, 422) and answer.json()["code"] == "checkout.points_not_enough":
            del body["points"]  # goods came back since the card was looked at, and took what they had earned
            answer = await caller.post("/v1/orders", body, f"{basket.number}-order-anew")
        if answer.status == 422:
            code = str(answer.json()["code"])
            self.refused[code] = self.refused.get(code, 0) + 1
            return None
        if answer.status != 201:
            raise DemoFailed(f"{basket.number} was answered with {answer.status}: {answer.body[:300].decode()}")
        placed: dict[str, Any] = answer.json()
        return placed

    async def _pay(self, caller: Caller, phone: Connection, sale: TillSale, store: TillStore) -> None:
        """Try until the money is asked for: what a rail refuses is tried again by a dynamic code."""
        for number in range(1, TRIES_MAX + 1):
            attempt = await self._try(caller, sale, store, number)
            if attempt["status"] == "paid":
                return
            if attempt["qr"] is not None and sale.rail == "plan":
                await self._agree(caller, sale, attempt["qr"]["qrc_id"])
                return
            if attempt["qr"] is not None:
                sale.paid_at = await _confirm(phone, attempt["qr"]["qrc_id"], sale.basket.number)
                if sale.rail == "plate":
                    await self._wait_for(sale)
                return
            if sale.rail == "sbp":
                await asyncio.sleep(WAIT_SECONDS_MAX)
            sale.rail = "sbp"
        raise DemoFailed(f"{sale.basket.number} was not paid in {TRIES_MAX} tries")

    async def _try(self, caller: Caller, sale: TillSale, store: TillStore, number: int) -> dict[str, Any]:
        if sale.rail == "device":
            handset = self.handsets[int(sale.basket.household) % len(self.handsets)]
            async with handset.lock:
                tapped = await handset.tap(caller, sale.tenders["amount_kopecks"])
                return await self._attempt(caller, sale, {"rail": "koshelek_pay", "device": tapped}, number)
        body: dict[str, Any] = {"rail": "sbp"}
        if sale.rail == "plate":
            body["cash_link_id"] = store.cash_link_id
        elif sale.rail == "card":
            tokens = self.chain.tokens
            body = {"rail": "card", "card_token": tokens[int(sale.basket.household) % len(tokens)]}
        elif sale.rail == "plan":
            body = {"rail": "dolyame"}
        return await self._attempt(caller, sale, body, number)

    async def _attempt(self, caller: Caller, sale: TillSale, body: dict[str, Any], number: int) -> dict[str, Any]:
        """One try, waited for until there is something to show or it has ended."""
        path = f"/v1/orders/{sale.order_id}/attempts"
        answer = await caller.post(path, body, f"{sale.basket.number}-attempt-{number}")
        if answer.status == 422 and sale.rail == "plan":
            return REFUSED  # too little for a plan: the buyer pays at once
        if answer.status != 201:
            raise DemoFailed(f"{sale.basket.number} was answered with {answer.status}: {answer.body[:300].decode()}")
        attempt: dict[str, Any] = answer.json()
        deadline, wait = monotonic() + WAIT_SECONDS_IN_ALL, WAIT_SECONDS_MIN
        while attempt["status"] not in ("paid", "rejected", "expired") and attempt["qr"] is None:
            if monotonic() > deadline:
                raise DemoFailed(f"{sale.basket.number}: its attempt is {attempt['status']} all the time")
            await asyncio.sleep(wait)
            wait = min(wait * 2, WAIT_SECONDS_MAX)
            attempt = (await caller.get(f"/v1/orders/{sale.order_id}"))["attempts"][-1]
        return attempt

    async def _agree(self, caller: Caller, sale: TillSale, plan_id: str) -> None:
        """The buyer says yes to the plan behind the QR, each time somebody new, so that no limit is in the way."""
        phone = f"+7916{int(sale.basket.id) % 10**7:07}"
        body = {"buyer": BUYER | {"phone": phone}, "card_token": self.chain.plan_token}
        path = f"/v1/installments/plans/{plan_id}/acceptance"
        await created(caller, path, body, f"{sale.basket.number}-yes")

    async def _wait_for(self, sale: TillSale) -> None:
        """A plate takes the next sum when this one is paid."""
        deadline = monotonic() + WAIT_SECONDS_IN_ALL
        while sale.order_id not in self.hearing.paid:
            if monotonic() > deadline:
                raise DemoFailed(f"{sale.basket.number}: nothing is heard of its payment")
            await asyncio.sleep(WAIT_SECONDS_MIN)


def _rail(chance: float) -> str:
    if chance < PLATE_SHARE:
        return "plate"
    if chance < PLATE_SHARE + CARD_SHARE:
        return "card"
    if chance < PLATE_SHARE + CARD_SHARE + DEVICE_SHARE:
        return "device"
    return "plan" if chance < PLATE_SHARE + CARD_SHARE + DEVICE_SHARE + PLAN_SHARE else "sbp"


async def _confirm(phone: Connection, qrc_id: str, number: str) -> float:
    """The payer scans and confirms, again if the phone lost its network. Raises: DemoFailed."""
    deadline = monotonic() + WAIT_SECONDS_IN_ALL
    while True:
        asked_at = monotonic()
        try:
            answer = await phone.ask("POST", "/simulator/payers/pay", {"qrc_id": qrc_id})
        except ConnectionLost as lost:
            if monotonic() > deadline:
                raise DemoFailed(f"the payer of {number} is offline: {lost}") from None
            await asyncio.sleep(WAIT_SECONDS_MIN)
            continue
        if answer.status == 200 or (answer.status == 409 and answer.json()["code"] == "already_paid"):
            return asked_at
        raise DemoFailed(f"the payer of {number} was refused: {answer.body[:200].decode()}")
