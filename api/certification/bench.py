"""The bench that a till stands on: its line with faults, its cashier, the buyer, and our own books to judge by."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from api.certification.access import SaleStatus, TillAccess
from api.certification.proxy import FaultProxy
from api.certification.scenario import ScenarioStopped, Statement
from checkout.baskets import part_of, spread
from ledger.clock import monotonic
from ledger.ids import new_digits

LOOK_SECONDS = 0.05
BREAD = {"name": "Хлеб", "article": "bread", "price": 5_000, "quantity": 2, "measure": "PIECE"}
CHEESE = {"name": "Сыр", "article": "cheese", "price": 34_900, "quantity": 1125, "measure": "GRAM"}
GROSS = {"bread": 10_000, "cheese": 39_263}
"""1.125 kg at 349.00 a kilogram is 392.63; two loaves at 50.00."""
DISCOUNT = 1_263
TOTAL = sum(GROSS.values()) - DISCOUNT
SHARES = dict(zip(GROSS, spread(DISCOUNT, list(GROSS.values())), strict=True))
ONE_LOAF = part_of(GROSS["bread"] - SHARES["bread"], 2, before=0, taken=1)


@dataclass(slots=True)
class Bench:
    """Everything that a scenario works with."""

    access: TillAccess
    proxy: FaultProxy
    http: aiohttp.ClientSession
    till_url: str
    api_url: str
    simulators_url: str
    patience_seconds: float
    has_host: bool
    """Whether the till takes postbacks."""
    statements: list[Statement] = field(default_factory=list)
    order_ids: list[str] = field(default_factory=list)

    def state(self, text: str, is_true: bool) -> None:
        """Write down one thing that had to be so."""
        self.statements.append(Statement(text, is_true))

    def require(self, text: str, is_true: bool) -> None:
        """The same, where nothing can go on without it. Raises: ScenarioStopped."""
        self.state(text, is_true)
        if not is_true:
            raise ScenarioStopped

    async def sell(self) -> str:
        """Have the cashier ring up the sale of the bench; gives its order id."""
        order_id = f"CERT-{new_digits(6)}N{new_digits(6)}"  # the letter: with an amount this is no card number
        self.order_ids.append(order_id)
        sale = {
            "orderId": order_id, "items": [BREAD, CHEESE], "subTotalAmount": sum(GROSS.values()), "totalAmount": TOTAL,
        }  # fmt: skip
        await self.tell_cashier("/sales", sale)
        return order_id

    async def tell_cashier(self, path: str, body: Any) -> None:
        """Tell the till to do something. Raises: ScenarioStopped if it does not take it."""
        try:
            async with self.http.post(self.till_url + path, json=body) as answer:
                is_taken = answer.status in (200, 202)
        except (aiohttp.ClientError, TimeoutError):
            is_taken = False
        if not is_taken:
            self.require(f"касса выполняет {path}", False)

    async def give_back(self, order_id: str, amount: int, items: dict[str, int]) -> str:
        """Have the cashier take goods back; gives the request's id."""
        request_id = f"refund-{order_id}-{amount}"
        wanted = [{"article": article, "quantity": quantity} for article, quantity in items.items()]
        body = {"requestId": request_id, "refundAmount": amount, "items": wanted}
        await self.tell_cashier(f"/sales/{order_id}/refunds", body)
        return request_id

    async def pays(self, order_id: str, **how: Any) -> None:
        """The buyer scans the code that the till shows, and pays. Raises: ScenarioStopped if there is none."""
        seen = await self.until(lambda: self.at_till(order_id), lambda sale: bool(sale.get("qrPayload")))
        self.require("касса показала QR-код", bool(seen.get("qrPayload")))
        await self.pays_code(seen["qrPayload"], **how)

    async def pays_code(self, payload: str, **how: Any) -> None:
        """The buyer pays by a code, wherever it was seen."""
        qrc_id = payload.rpartition("/")[2].partition("?")[0]
        async with self.http.post(
            f"{self.simulators_url}/simulator/payers/pay", json={"qrc_id": qrc_id, **how}
        ) as answer:
            self.require("покупатель смог заплатить по коду", answer.status == 200)

    async def at_till(self, order_id: str) -> dict[str, Any]:
        """The sale as the cashier sees it."""
        try:
            async with self.http.get(f"{self.till_url}/sales/{order_id}") as answer:
                return await answer.json() if answer.status == 200 else {}
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return {}

    async def here(self, order_id: str) -> dict[str, Any]:
        """The sale as we know it: asked past the line with faults."""
        told = await self.contract("status", {"orderId": order_id})
        return told if "status" in told else {}

    async def contract(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        """One call of the contract, past the line with faults."""
        who = b64encode(f"{self.access.partner}:{self.access.api_key.expose()}".encode()).decode()
        url = f"{self.api_url}/pos/v1/{self.access.partner}/api/v1/merchant/{call}/task"
        async with self.http.post(url, json=body, headers={"authorization": f"Basic {who}"}) as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def post_back(self, note: dict[str, Any], password: str) -> int:
        """Tell the till's host something, as we do when it has happened; gives what it answered."""
        who = b64encode(f"{self.access.partner}:{password}".encode()).decode()
        headers = {"authorization": f"Basic {who}"}
        try:
            async with self.http.post(f"{self.till_url}/postbacks", json=note, headers=headers) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    async def until(
        self, read: Callable[[], Awaitable[dict[str, Any]]], is_so: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        """What is read once it is so, or what it was when patience ended."""
        deadline = monotonic() + self.patience_seconds
        while not is_so(found := await read()) and monotonic() < deadline:  # noqa: ASYNC110  # others say it
            await asyncio.sleep(LOOK_SECONDS)
        return found

    async def ends(self, order_id: str, at_till: SaleStatus, here: str) -> dict[str, Any]:
        """The sale ends so, at the till and here alike; gives what we know of it."""
        seen = await self.until(lambda: self.at_till(order_id), lambda sale: sale.get("status") == at_till)
        shown = seen.get("status")
        self.state(f"продажа на кассе: ждали {at_till.value}, видим {shown}", shown == at_till)
        known = await self.until(lambda: self.here(order_id), lambda found: found.get("status") == here)
        status = known.get("status")
        self.state(f"платёж у нас: ждали {here}, видим {status}", status == here)
        return known

    def refunded(self, known: dict[str, Any]) -> list[int]:
        """What went back, refund by refund."""
        return [each["refundAmount"] for each in known.get("refunds", ()) if each["status"] == "REFUNDED"]

    async def gives_back_whole(self, order_id: str, amount: int) -> dict[str, Any]:
        """So much is back with the buyer, once; gives what we know of it."""
        known = await self.until(lambda: self.here(order_id), lambda found: sum(self.refunded(found)) >= amount)
        moved = self.refunded(known)
        self.state(f"возвраты в копейках: ждали [{amount}], видим {moved}", moved == [amount])
        seen = await self.until(lambda: self.at_till(order_id), lambda sale: sale.get("refundedAmount") == amount)
        self.state("касса знает о возврате", seen.get("refundedAmount") == amount)
        return known
