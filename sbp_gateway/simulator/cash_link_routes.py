"""NSPK's calls for cash links and stickers, as routes of the simulator.

Source: NSPK agent API: ``/payment/v1/qrc-id-reservation``, ``/payment/v1/cash-register-qrc`` and below.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sbp_gateway.cash_links import RESERVATION_QUANTITY_MAX, LinkState
from sbp_gateway.nspk import PROCESSED, OperationStatus
from sbp_gateway.nspk_cash_links import PATH
from sbp_gateway.simulator.answers import envelope
from sbp_gateway.simulator.cash_links import CashLinkRefused, CashLinks, SimulatedSale
from sbp_gateway.simulator.clock import SimulatorClock
from sbp_gateway.simulator.notifications import Notifier
from sbp_gateway.simulator.scripts import Scripts, amount_of, delay_of

PAYER_ID = "0079******12"
"""A masked phone."""
OUTCOMES = ("accepted", "rejected", "begin")
MALFORMED = "RQ05001"

Handler = Callable[[Request], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class CashLinkSimulator:
    """What the agent asks about links used many times, and the buyers who scan them."""

    cash_links: CashLinks
    notifier: Notifier
    scripts: Scripts
    clock: SimulatorClock

    def routes(self, faulty: Callable[[Handler], Handler]) -> list[Route]:
        """NSPK's paths; ``faulty`` loses calls and answers as ordered."""
        one = f"{PATH}/{{qrc_id}}"
        table: list[tuple[str, str, Handler]] = [
            ("POST", "/payment/v1/qrc-id-reservation", self.reserve),
            ("POST", PATH, self.register),
            ("POST", f"{one}/params", self.activate),
            ("DELETE", f"{one}/params", self.deactivate),
            ("GET", one, self.read_link),
            ("PUT", one, self.move),
            ("GET", f"{one}/{{params_id}}", self.read_sale),
        ]
        return [Route(path, faulty(told(work)), methods=[method]) for method, path, work in table]

    async def reserve(self, request: Request) -> JSONResponse:
        """Set ids aside."""
        quantity = int(request.query_params["quantity"])
        if not 1 <= quantity <= RESERVATION_QUANTITY_MAX:
            raise ValueError(quantity)
        return processed({"qrcIds": self.cash_links.reserve(quantity)})

    async def register(self, request: Request) -> JSONResponse:
        """Register a cash link."""
        body = await request.json()
        link = self.cash_links.register(str(body["memberId"]), str(body["account"]), body.get("qrcId"))
        return processed({"qrcId": link.qrc_id, "payload": link.payload, "status": "CREATED"})

    async def register_sticker(self, body: dict[str, Any]) -> JSONResponse:
        """Register a static link."""
        amount = None if body.get("amount") is None else int(body["amount"])
        if amount is not None and (amount < 1 or body.get("currency") != "RUB"):
            raise ValueError(amount)
        link = self.cash_links.register_sticker(str(body["memberId"]), str(body["account"]), amount)
        return processed({"qrcId": link.qrc_id, "payload": link.payload, "status": "CREATED"})

    async def activate(self, request: Request) -> JSONResponse:
        """Arm a link with a sum."""
        body, qrc_id = await request.json(), request.path_params["qrc_id"]
        amount = int(body["amount"])
        if amount < 1 or body.get("currency", "RUB") != "RUB":
            raise ValueError(amount)
        sale = self.cash_links.activate(qrc_id, amount, self.clock.now())
        return processed({"paramsId": sale.params_id, "qrcId": qrc_id, "amount": str(amount), "currency": "RUB"})

    async def deactivate(self, request: Request) -> JSONResponse:
        """Disarm a link."""
        self.cash_links.deactivate(request.path_params["qrc_id"], self.clock.now())
        return processed(None)

    async def read_link(self, request: Request) -> JSONResponse:
        """Whether a link is armed, and with what it was last. Whether NSPK tells the latter is not known."""
        link = self.cash_links.find(request.path_params["qrc_id"])
        is_armed = link.armed(self.clock.now()) is not None
        if link.last is None:
            return processed({"status": LinkState.INACTIVATED.value})
        state = link.last.link_state if is_armed else LinkState.INACTIVATED
        return processed({"status": state.value, "paramsId": link.last.params_id})

    async def move(self, request: Request) -> JSONResponse:
        """Another account."""
        link = self.cash_links.move(request.path_params["qrc_id"], str((await request.json())["account"]))
        return processed({"qrcId": link.qrc_id, "status": "CREATED", "account": link.account})

    async def read_sale(self, request: Request) -> JSONResponse:
        """What became of one activation."""
        link = self.cash_links.find(request.path_params["qrc_id"])
        link.armed(self.clock.now())
        sale = link.sales[request.path_params["params_id"]]
        return processed(sale_of(sale))

    def status_of(self, qrc_id: str) -> dict[str, Any]:
        """What the status call says of a sticker: its last operation alone."""
        last = self.cash_links.by_id[qrc_id].last
        return {} if last is None else {"status": last.status.value, "trxId": last.trx_id, "kzo": last.kzo}

    def pay(self, body: dict[str, Any]) -> JSONResponse:
        """A buyer scans the plate or the sticker and decides. Raises: PayRefused, ValueError, KeyError."""
        qrc_id, outcome = str(body["qrc_id"]), str(body.get("outcome", "accepted"))
        delay_seconds, amount = delay_of(body), amount_of(body)
        if outcome not in OUTCOMES:
            raise ValueError(outcome)
        sale = self.cash_links.pay(
            qrc_id, self.clock.now(), outcome=outcome, amount=amount, params_id=body.get("params_id")
        )
        if outcome != "begin":
            is_sticker = self.cash_links.by_id[qrc_id].is_sticker
            said = notification_of(qrc_id, sale, is_sticker=is_sticker)
            self.notifier.notify(said, delay_seconds, self.scripts.of(qrc_id))
        return JSONResponse({
            "qrc_id": qrc_id, "params_id": sale.params_id, "trx_id": sale.trx_id, "status": sale.status.value,
        })  # fmt: skip


def told(work: Handler) -> Handler:
    """Answers in NSPK's envelope to what it refuses or cannot read."""

    async def endpoint(request: Request) -> Any:
        try:
            return await work(request)
        except CashLinkRefused as refused:
            return envelope(refused.code, refused.reason, status=400)
        except (KeyError, TypeError, ValueError):
            return envelope(MALFORMED, "a field is missing or malformed", status=400)

    return endpoint


def processed(data: Any) -> JSONResponse:
    """Done."""
    return envelope(PROCESSED, "", data)


def sale_of(sale: SimulatedSale) -> dict[str, Any]:
    """An activation as NSPK tells of it."""
    status = sale.status
    if sale.link_state is LinkState.IN_PROGRESS and status is OperationStatus.NOT_STARTED:
        status = OperationStatus.RECEIVED
    said = {
        "cashRegisterQrcStatus": sale.link_state.value,
        "trxStatus": status.value,
        "trxId": sale.trx_id,
        "amount": sale.amount,
        "timestamp": None if sale.paid_at is None else sale.paid_at.isoformat(timespec="milliseconds"),
        "payerId": None if sale.trx_id is None else PAYER_ID,
        "kzo": sale.kzo,
    }
    return {name: value for name, value in said.items() if value is not None}


def notification_of(qrc_id: str, sale: SimulatedSale, *, is_sticker: bool) -> dict[str, Any]:
    """What NSPK tells the agent about a payment."""
    assert sale.paid_at is not None
    said = {
        "qrcId": qrc_id,
        "trxId": sale.trx_id,
        "paramsId": None if is_sticker else sale.params_id,
        "status": sale.status.value,
        "amount": sale.amount,
        "timestamp": sale.paid_at.isoformat(timespec="milliseconds"),
        "payerId": PAYER_ID,
        "kzo": sale.kzo,
    }
    return {name: value for name, value in said.items() if value is not None}
