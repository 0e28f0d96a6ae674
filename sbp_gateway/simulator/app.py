"""NSPK's agent API and the payers' phones, as routes of a simulator.

Source: NSPK agent API: ``POST /payment/v1/qrc-data``, ``GET /payment/v1/qrc-data/{qrcId}/payload``,
``PUT /payment/v2/qrc-status``, notification ``POST payment/v2/qrc/notification``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sbp_gateway.nspk import PROCESSED, STATUS_BATCH_MAX
from sbp_gateway.simulator.answers import envelope
from sbp_gateway.simulator.bindings import BindingSimulator
from sbp_gateway.simulator.cash_link_routes import CashLinkSimulator
from sbp_gateway.simulator.clock import SimulatorClock
from sbp_gateway.simulator.faults import CutConnection, Faults
from sbp_gateway.simulator.links import Links, PayRefused, SimulatedLink
from sbp_gateway.simulator.notifications import Notifier
from sbp_gateway.simulator.payers import BuyerPhones, BuyerWish
from sbp_gateway.simulator.refunds import Refunds
from sbp_gateway.simulator.scripts import NO_SCRIPT, RegisterFault, Script, Scripts, delay_of

MALFORMED = "RQ05001"
"""A business refusal of a request we cannot read; the real list of codes is not public."""
UNKNOWN_LINK = "RQ05000"
REFUSED_BY_SCRIPT = "RQ05002"
TTL_MINUTES_MAX = 129_600
TTL_MINUTES_DEFAULT = 4_320
HTTP_OF_REFUSAL = {
    "unknown_link": 404, "already_paid": 409, "in_processing": 409, "link_expired": 410, "not_armed": 409,
    "amount_missing": 422,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NspkSimulator:
    """The simulator's parts, joined."""

    links: Links
    faults: Faults
    notifier: Notifier
    scripts: Scripts
    clock: SimulatorClock
    phones: BuyerPhones
    cash_links: CashLinkSimulator
    refunds: Refunds
    bindings: BindingSimulator

    def routes(self) -> list[Route]:
        """NSPK's paths, and those by which a test plays the payer."""
        return [
            Route("/payment/v1/qrc-data", self.faults.around(self.register), methods=["POST"]),
            Route("/payment/v1/qrc-data/{qrc_id}/payload", self.faults.around(self.read_payload), methods=["GET"]),
            Route("/payment/v2/qrc-status", self.faults.around(self.statuses), methods=["PUT"]),
            Route("/simulator/payers/pay", self.pay, methods=["POST"]),
            *self.cash_links.routes(self.faults.around),
            *self.refunds.routes(self.faults.around),
            *self.bindings.routes(self.faults.around),
        ]

    async def register(self, request: Request) -> JSONResponse | CutConnection:
        """Register a dynamic link, a static one, or one to bind an account by."""
        body = await request.json()
        try:
            if body["qrcType"] == "03":
                return self.bindings.register(body)
            if body["qrcType"] == "01":
                return await self.cash_links.register_sticker(body)
            amount, ttl = int(body["amount"]), int(body.get("qrTtl", TTL_MINUTES_DEFAULT))
            member_id, is_dynamic = str(body["memberId"]), body["qrcType"] == "02"
        except (KeyError, TypeError, ValueError):
            return envelope(MALFORMED, "a field is missing or malformed", status=400)
        if not is_dynamic or amount < 1 or not 1 <= ttl <= TTL_MINUTES_MAX or body.get("currency") != "RUB":
            return envelope(MALFORMED, "only dynamic links in roubles are registered here", status=400)
        script = self.scripts.take()
        if script.register is RegisterFault.LOST_REQUEST:
            return CutConnection()
        if script.register is RegisterFault.REFUSED:
            return envelope(REFUSED_BY_SCRIPT, "refused by a script", status=400)
        told = {"merchant_id": str(body.get("merchantId", "")), "purpose": str(body.get("paymentPurpose", ""))}
        link = self.links.register(member_id, amount, ttl, self.clock.now(), **told)
        return await self._answer_by_script(script, link)

    async def _answer_by_script(self, script: Script, link: SimulatedLink) -> JSONResponse | CutConnection:
        if script is not NO_SCRIPT:
            self.scripts.give(link.qrc_id, replace(script, register=RegisterFault.NONE, answer_delay_seconds=0.0))
        await asyncio.sleep(script.answer_delay_seconds)
        if script.register is RegisterFault.LOST_ANSWER:
            return CutConnection()
        return envelope(PROCESSED, "", {"qrcId": link.qrc_id, "payload": link.payload, "status": "CREATED"})

    async def read_payload(self, request: Request) -> JSONResponse:
        """A link once more."""
        qrc_id = request.path_params["qrc_id"]
        link = self.links.by_id.get(qrc_id) or self.cash_links.cash_links.by_id.get(qrc_id)
        if link is None:
            return envelope(UNKNOWN_LINK, "no such link", status=400)
        return envelope(PROCESSED, "", {"qrcId": link.qrc_id, "payload": link.payload, "status": "CREATED"})

    async def statuses(self, request: Request) -> JSONResponse:
        """What became of links."""
        qrc_ids = (await request.json()).get("qrcIds", [])
        if not 1 <= len(qrc_ids) <= STATUS_BATCH_MAX:
            return envelope(MALFORMED, f"1 to {STATUS_BATCH_MAX} links", status=400)
        self.phones.accept_late()
        return envelope(PROCESSED, "", [self._status_of(str(qrc_id)) for qrc_id in qrc_ids])

    def _status_of(self, qrc_id: str) -> dict[str, Any]:
        link = self.links.by_id.get(qrc_id)
        known = {"status": "NTST"} if link is None else {
            "status": link.status.value, "trxId": link.trx_id, "kzo": link.kzo,
        }  # fmt: skip
        if qrc_id in self.cash_links.cash_links.by_id:
            known = {"status": "NTST"} | self.cash_links.status_of(qrc_id)
        if (instead := self.scripts.spend_status(qrc_id)) is not None:
            known = {"status": instead.value}
        said = {name: value for name, value in known.items() if value is not None}
        return {"qrcId": qrc_id, "code": PROCESSED, "message": "", **said}

    async def pay(self, request: Request) -> JSONResponse:
        """The payer confirms in the bank's application; the notification follows after ``delay_seconds``."""
        body = await request.json()
        try:
            if body["qrc_id"] in self.cash_links.cash_links.by_id:
                return self.cash_links.pay(body)
            wish, delay_seconds = BuyerWish(body.get("outcome", "accepted")), delay_of(body)
            link = self.phones.confirm(str(body["qrc_id"]), wish, delay_seconds)
        except PayRefused as refused:
            status = HTTP_OF_REFUSAL[refused.reason]
            return JSONResponse({"code": refused.reason, "trx_id": refused.trx_id}, status_code=status)
        except (KeyError, TypeError, ValueError):
            reason = f"write qrc_id, and outcome as one of {', '.join(BuyerWish)}"
            return JSONResponse({"code": "malformed_payment", "reason": reason}, status_code=422)
        return JSONResponse({"qrc_id": link.qrc_id, "trx_id": link.trx_id, "status": link.status.value})
