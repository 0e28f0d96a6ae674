"""A till of our own: what an integration should do, in the fewest lines. It is certified like any other.

It repeats an unanswered call under the same ids, cancels after too many of them, never takes money for not paid when
the bank has it, sets its clock by our answers, and keeps a cancel that nobody heard until somebody does.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import aiohttp
from aiohttp import web

from api.certification.access import SaleStatus, TillAccess
from api.certification.proxy import serving
from api.contracts.koshelek_pay.terminals import token_of
from ledger.clock import machine_now

UNANSWERED_MAX = 3
"""Calls without an answer after which a sale is canceled: the setting ``cancel_after_retries``."""
RETRY_SECONDS = 0.05
POLL_SECONDS = 0.1
ANSWER_SECONDS_MAX = 5.0
CANCEL_TRIES_MAX = 100
STATUS_OF = {
    "PAID": SaleStatus.PAID, "DECLINED": SaleStatus.DECLINED, "CANCELED": SaleStatus.CANCELED,
}  # fmt: skip


@dataclass(slots=True)
class Said:
    """An answer of ours to the till."""

    status: int
    body: dict[str, Any]


@dataclass(slots=True)
class Sale:
    """One sale at the till."""

    order_id: str
    body: dict[str, Any]
    status: SaleStatus = SaleStatus.OPEN
    transaction_id: str | None = None
    qr_payload: str | None = None
    tip: str | None = None
    """What the cashier was last told to do."""
    refunds: dict[str, int] = field(default_factory=dict)
    """Money given back, by request."""
    wants_cancel: bool = False


@dataclass(slots=True)
class TillEmulator:
    """The till."""

    access: TillAccess
    sales: dict[str, Sale] = field(default_factory=dict)
    offset: timedelta = timedelta()
    """How far its clock was found to be off."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    http: aiohttp.ClientSession | None = None

    def begin(self, work: Any) -> None:
        """Do something while the cashier does something else."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def sell(self, sale: Sale) -> None:
        """Ring up a sale and follow it to its end."""
        answer = await self._insist("checkout", sale.body)
        if answer is None:
            await self._give_up(sale)
        elif answer.status != 200:
            sale.status, sale.tip = SaleStatus.DECLINED, answer.body.get("details")
        else:
            self._take(sale, answer.body)
            await self._follow(sale)

    async def _follow(self, sale: Sale) -> None:
        while sale.status is SaleStatus.OPEN:
            if sale.wants_cancel:
                await self._give_up(sale)
                return
            answer = await self._insist("status", {"orderId": sale.order_id})
            if answer is None:
                await self._give_up(sale)
            elif answer.status == 200:
                self._take(sale, answer.body)
            await asyncio.sleep(POLL_SECONDS)

    async def _give_up(self, sale: Sale) -> None:
        """Cancel; what the bank has taken already is a sale, whatever the till thought."""
        for _ in range(CANCEL_TRIES_MAX):
            answer = await self._insist("cancel", {"orderId": sale.order_id})
            if answer is not None:
                await self._after_cancel(sale, answer)
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _after_cancel(self, sale: Sale, answer: Said) -> None:
        if answer.status == 200:
            self._take(sale, answer.body)
            return
        sale.tip = answer.body.get("details")
        if answer.body.get("code") == "PAYMENT_ORDER_IS_NOT_FOUND":  # nobody ever heard of it
            sale.status = SaleStatus.CANCELED
            return
        sale.wants_cancel = False
        await self._follow(sale)

    def _take(self, sale: Sale, told: dict[str, Any]) -> None:
        """What a transaction says; a sale that is over stays as it is."""
        sale.transaction_id = told.get("paymentTransactionId", sale.transaction_id)
        sale.qr_payload = told.get("qrPayload", sale.qr_payload)
        if sale.status is SaleStatus.OPEN:
            sale.status = STATUS_OF.get(told.get("status", ""), SaleStatus.OPEN)
        for refund in told.get("refunds", ()):
            self._take_refund(sale, refund)

    def _take_refund(self, sale: Sale, refund: dict[str, Any]) -> None:
        if refund.get("status") == "REFUNDED":
            sale.refunds[refund["requestId"]] = refund["refundAmount"]

    async def give_back(self, sale: Sale, body: dict[str, Any]) -> None:
        """Take goods back: the same request until it is answered, then the status until the money has moved."""
        answer = None
        while answer is None:
            answer = await self._insist("refund", body | {"paymentTransactionId": sale.transaction_id})
        if answer.status != 200:
            sale.tip = answer.body.get("details")
            return
        while body["requestId"] not in sale.refunds and answer.body.get("status") != "DECLINED":
            asked = await self._insist("status", {"orderId": sale.order_id})
            if asked is not None and asked.status == 200:
                self._take(sale, asked.body)
            await asyncio.sleep(POLL_SECONDS)

    async def _insist(self, call: str, body: dict[str, Any]) -> Said | None:
        """Call, again and again under the same ids; nothing when nobody answered."""
        is_clock_set = False
        tries = 0
        while tries < UNANSWERED_MAX:
            answer = await self._call(call, body)
            if answer is not None and answer.body.get("code") == "WRONG_TOKEN" and not is_clock_set:
                is_clock_set = True  # ``_call`` has set the clock by the answer
                continue
            if answer is not None and answer.status < 500 and answer.body.get("code") != "REQUEST_IN_PROGRESS":
                return answer
            tries += 1
            await asyncio.sleep(RETRY_SECONDS)
        return None

    async def _call(self, call: str, body: dict[str, Any]) -> Said | None:
        assert self.http is not None
        who = b64encode(f"{self.access.partner}:{self.access.api_key.expose()}".encode()).decode()
        headers = {"authorization": f"Basic {who}", "token": self.token()}
        url = f"{self.access.base_url}/api/v1/merchant/{call}/task"
        try:
            async with self.http.post(url, json=body, headers=headers) as answer:
                self._set_clock(answer.headers.get("x-server-time"))
                return Said(answer.status, await answer.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None

    def _set_clock(self, told: str | None) -> None:
        if told is not None:
            self.offset = datetime.fromisoformat(told) - machine_now()

    def token(self) -> str:
        """The fingerprint and the code of this moment, by the till's own clock."""
        return token_of(self.access.fingerprint, self.access.secret, machine_now() + self.offset)

    def is_ours(self, authorization: str) -> bool:
        """Whether a postback comes from who may send them."""
        given = b64decode(authorization.removeprefix("Basic ").encode() + b"==").decode("utf-8", "replace")
        return given == f"{self.access.partner}:{self.access.postback_password.expose()}"


@asynccontextmanager
async def open_emulator(access: TillAccess, kind: type[TillEmulator] = TillEmulator) -> AsyncIterator[str]:
    """The till while the block runs; gives the address at which its cashier is told what to do."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        till = kind(access, http=http)
        async with serving(control_of(till)) as url:
            try:
                yield url
            finally:
                for task in till.tasks:
                    task.cancel()
                await asyncio.gather(*till.tasks, return_exceptions=True)


def control_of(till: TillEmulator) -> web.Application:
    """How a cashier is told what to do; see the README of this folder."""

    async def begin_sale(request: web.Request) -> web.Response:
        told = await request.json()
        body = checkout_body(till.access, told)
        sale = till.sales.setdefault(told["orderId"], Sale(told["orderId"], body))
        till.begin(till.sell(sale))
        return web.json_response({}, status=202)

    async def read_sale(request: web.Request) -> web.Response:
        sale = sale_of(request)
        return web.json_response({
            "status": sale.status.value, "qrPayload": sale.qr_payload, "tip": sale.tip,
            "refundedAmount": sum(sale.refunds.values()),
        })  # fmt: skip

    async def cancel_sale(request: web.Request) -> web.Response:
        sale_of(request).wants_cancel = True
        return web.json_response({}, status=202)

    async def begin_refund(request: web.Request) -> web.Response:
        sale, told = sale_of(request), await request.json()
        till.begin(till.give_back(sale, told | till_body(till.access)))
        return web.json_response({}, status=202)

    async def take_postback(request: web.Request) -> web.Response:
        if not till.is_ours(request.headers.get("authorization", "")):
            return web.json_response({}, status=401)
        told = await request.json()
        sale = till.sales.get(told.get("orderId", ""))
        if sale is not None and "refundTransactionId" in told:
            till._take_refund(sale, told)
        elif sale is not None:
            till._take(sale, told)
        return web.json_response({})

    def sale_of(request: web.Request) -> Sale:
        sale = till.sales.get(request.match_info["order_id"])
        if sale is None:
            raise web.HTTPNotFound
        return sale

    app = web.Application()
    app.router.add_post("/sales", begin_sale)
    app.router.add_get("/sales/{order_id}", read_sale)
    app.router.add_post("/sales/{order_id}/cancel", cancel_sale)
    app.router.add_post("/sales/{order_id}/refunds", begin_refund)
    app.router.add_post("/postbacks", take_postback)
    return app


def till_body(access: TillAccess) -> dict[str, str]:
    """Who calls."""
    return {"storeId": access.store_id, "terminalId": access.terminal_id}


def checkout_body(access: TillAccess, told: dict[str, Any]) -> dict[str, Any]:
    """A checkout of the sale that the cashier was told to ring up."""
    gross = told["subTotalAmount"]
    invoice = {
        "orderId": told["orderId"], "totalAmount": told["totalAmount"], "currency": "RUB", "subTotalAmount": gross,
        "discountAmount": gross - told["totalAmount"], "items": told["items"],
    }  # fmt: skip
    return till_body(access) | {"requestId": f"sale-{told['orderId']}", "paymentType": "SBP", "invoice": invoice}
