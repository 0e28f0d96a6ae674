"""Every purchase through the door: the order, the attempt with its QR, the payer's phone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from api.demo.caller import WAIT_SECONDS_MAX, WAIT_SECONDS_MIN, Caller
from api.demo.errors import DemoFailed
from api.demo.hearing import Hearing
from api.demo.purchases import Purchase
from api.demo.sale import Sale, Story
from api.demo.sellers import SELLERS, Seller, Till, till_for
from api.demo.wire import Connection, ConnectionLost
from ledger.clock import machine_now, monotonic

AT_ONCE_MAX = 16
"""Orders being placed and paid at the same time."""
UNBOOKED_MAX = 64
"""Payments on their way to the books; tills wait when there are more."""
LINK_SECONDS_MAX = 120.0
"""How long the worker may take to replace a link whose answer was lost."""
ATTEMPTS_MAX = 20
ATTEMPT_WAIT_SECONDS = 3.0
"""Between attempts while NSPK cannot be reached; its breaker tries the way every five seconds."""
STORIES_MAX = 20
"""Troubled orders whose story is kept; the report tells one."""


@dataclass(slots=True)
class Shop:
    """Everything that sells in this run."""

    caller_of: Callable[[], Caller]
    payers_url: str
    hearing: Hearing
    tills: list[Till] = field(default_factory=list)
    refused: list[tuple[Purchase, str]] = field(default_factory=list)
    """Rows that are no orders, and the code that says why."""
    create_seconds: list[float] = field(default_factory=list)
    unknown: int = 0
    stories: list[Sale] = field(default_factory=list)
    done: int = 0
    """Rows that were refused or paid by their payer."""

    async def open(self, caller: Caller) -> None:
        """Take the merchants in and open their stores and tills."""
        for number, seller in enumerate(SELLERS, 1):
            merchant_id = await _created(caller, "/v1/merchants", seller.body(), f"merchant-{number}")
            self.tills += await _open_stores(caller, seller, merchant_id, number)

    async def sell(self, purchases: list[Purchase]) -> None:
        """Place and pay every purchase. Raises: DemoFailed."""
        waiting = iter(purchases)
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(AT_ONCE_MAX, len(purchases))):
                    tasks.create_task(self._serve(waiting))
        except* DemoFailed as failed:
            raise failed.exceptions[0] from None

    async def _serve(self, waiting: Iterator[Purchase]) -> None:
        caller, phone = self.caller_of(), Connection(self.payers_url)
        try:
            for purchase in waiting:
                await self.hearing.wait_below(UNBOOKED_MAX)
                await self._sell(caller, phone, purchase)
                self.done += 1
        finally:
            caller.api.hang_up()
            phone.hang_up()

    async def _sell(self, caller: Caller, phone: Connection, purchase: Purchase) -> None:
        sale = await self._place(caller, purchase)
        if sale is None:
            return
        await self._attempt(caller, sale)
        self.hearing.expect(sale)
        sale.payer_at = machine_now()
        sale.paid_at = await pay(phone, sale)
        if sale.story and len(self.stories) < STORIES_MAX:
            self.stories.append(sale)

    async def _place(self, caller: Caller, purchase: Purchase) -> Sale | None:
        """Create the order; nothing if it was refused."""
        story: Story = []
        till = till_for(purchase, self.tills)
        body = {
            "terminal_id": till.terminal_id,
            "number": purchase.number,
            "amount_kopecks": int(purchase.amount),
            "description": f"CDs: {purchase.discs}",
            "placed_at": purchase.placed_at.isoformat(),
        }
        answer, seconds = await caller.timed_post("/v1/orders", body, f"{purchase.number}-order", story=story)
        if answer.status == 422:
            self.refused.append((purchase, str(answer.json()["code"])))
            return None
        if answer.status != 201:
            raise DemoFailed(f"{purchase.number} was answered with {answer.status}: {answer.body[:300].decode()}")
        self.create_seconds.append(seconds)
        return Sale(purchase, till, str(answer.json()["id"]), purchase.amount, story=story)

    async def _attempt(self, caller: Caller, sale: Sale) -> None:
        """Have the QR shown; when NSPK cannot be reached, try again a little later, as a cashier would."""
        for number in range(1, ATTEMPTS_MAX + 1):
            attempt = await self._try(caller, sale, number)
            if attempt["qr"] is not None:
                sale.attempt_id, sale.qrc_id = str(attempt["id"]), str(attempt["qr"]["qrc_id"])
                return
            sale.story.append((machine_now(), "NSPK cannot be reached and was asked nothing: the cashier waits"))
            await asyncio.sleep(ATTEMPT_WAIT_SECONDS)
        raise DemoFailed(f"{sale.purchase.number} has no QR: NSPK could not be reached {ATTEMPTS_MAX} times")

    async def _try(self, caller: Caller, sale: Sale, number: int) -> Any:
        """Start an attempt and get its QR, from the worker if NSPK's answer was lost; none if it was rejected."""
        path = f"/v1/orders/{sale.order_id}/attempts"
        what = f"{sale.purchase.number}-attempt" + (f"-{number}" if number > 1 else "")
        answer = await caller.post(path, {"rail": "sbp"}, what, story=sale.story)
        if answer.status != 201:
            raise DemoFailed(f"{sale.purchase.number} was answered with {answer.status}: {answer.body[:300].decode()}")
        attempt = answer.json()
        if attempt["status"] in ("requested", "unknown"):
            self.unknown += 1
            sale.was_unknown = True
            what = f"NSPK's answer was lost: the attempt is {attempt['status']}, the worker asks for another link"
            sale.story.append((machine_now(), what))
        deadline, wait = monotonic() + LINK_SECONDS_MAX, WAIT_SECONDS_MIN
        while attempt["qr"] is None and attempt["status"] != "rejected":
            if attempt["status"] not in ("requested", "unknown", "waiting") or monotonic() > deadline:
                raise DemoFailed(f"{sale.purchase.number} has no QR: its attempt is {attempt['status']}")
            await asyncio.sleep(wait)
            wait = min(wait * 2, WAIT_SECONDS_MAX)
            attempt = (await caller.get(f"/v1/orders/{sale.order_id}"))["attempts"][-1]
        return attempt


async def pay(phone: Connection, sale: Sale) -> float:
    """The payer scans the QR and confirms, again if the phone lost its network. When it was confirmed.

    Raises: DemoFailed if the payer's bank refuses.
    """
    deadline = monotonic() + LINK_SECONDS_MAX
    while True:
        asked_at = monotonic()
        try:
            answer = await phone.ask("POST", "/simulator/payers/pay", {"qrc_id": sale.qrc_id})
        except ConnectionLost as lost:
            if monotonic() > deadline:
                raise DemoFailed(f"the payer of {sale.purchase.number} is offline: {lost}") from None
            await asyncio.sleep(WAIT_SECONDS_MIN)
            continue
        if answer.status == 200 or (answer.status == 409 and answer.json()["code"] == "already_paid"):
            return asked_at
        raise DemoFailed(f"the payer of {sale.purchase.number} was refused: {answer.body[:200].decode()}")


async def _open_stores(caller: Caller, seller: Seller, merchant_id: str, number: int) -> list[Till]:
    tills = []
    for place, store in enumerate(seller.stores, 1):
        body = {"merchant_id": merchant_id, "name": store.name, "address": store.address}
        store_id = await _created(caller, "/v1/stores", body, f"merchant-{number}-store-{place}")
        for till in range(1, store.tills + 1):
            named = {"store_id": store_id, "name": f"Касса {till}"}
            key = f"merchant-{number}-store-{place}-till-{till}"
            terminal_id = await _created(caller, "/v1/terminals", named, key)
            tills.append(Till(terminal_id, merchant_id, seller.name, seller.tariff_group))
    return tills


async def _created(caller: Caller, path: str, body: Mapping[str, object], what: str) -> str:
    answer = await caller.post(path, body, what)
    if answer.status != 201:
        raise DemoFailed(f"POST {path} was answered with {answer.status}: {answer.body[:300].decode()}")
    return str(answer.json()["id"])
