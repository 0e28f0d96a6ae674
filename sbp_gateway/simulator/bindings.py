"""Account bindings of NSPK's simulator: links, consents, charges.

How a consent is read and charged by is our guess of the interface, see ``sbp_gateway/nspk_bindings.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sbp_gateway import payload
from sbp_gateway.bindings import NO_CONSENT
from sbp_gateway.simulator.answers import envelope
from sbp_gateway.simulator.cash_link_routes import Handler, processed, told
from sbp_gateway.simulator.cash_links import UNKNOWN, CashLinkRefused
from sbp_gateway.simulator.links import Links, PayRefused, letters
from sbp_gateway.simulator.payers import BuyerPhones

PAYER_MEMBER_ID = "100000000004"


@dataclass(slots=True)
class SimulatedBinding:
    """A binding link and the consent by it."""

    qrc_id: str
    member_id: str
    subscription_id: str | None = None
    is_ended: bool = False

    @property
    def payload(self) -> str:
        """The text behind its QR."""
        return payload.build_binding(self.qrc_id, self.member_id)


@dataclass(slots=True)
class BindingSimulator:
    """Binding links of one simulator, and the buyers who consent."""

    links: Links
    phones: BuyerPhones
    by_id: dict[str, SimulatedBinding] = field(default_factory=dict)

    def routes(self, faulty: Callable[[Handler], Handler]) -> list[Route]:
        """NSPK's paths as we guess them, and those by which a test plays the buyer."""
        return [
            Route("/payment/v1/subscription/{qrc_id}", faulty(told(self.read)), methods=["GET"]),
            Route("/payment/v1/subscription/{subscription_id}/charge", faulty(told(self.charge)), methods=["POST"]),
            Route("/simulator/payers/bind", self.bind, methods=["POST"]),
            Route("/simulator/payers/unbind", self.unbind, methods=["POST"]),
        ]

    def register(self, body: Mapping[str, Any]) -> JSONResponse:
        """Register a binding link. Raises: KeyError."""
        qrc_id = "AB1S" + letters(f"{self.links.seed}/binding/{len(self.by_id)}", 28)
        self._keep({"binding": qrc_id, "member_id": str(body["memberId"])})
        return processed({"qrcId": qrc_id, "payload": self.by_id[qrc_id].payload, "status": "CREATED"})

    async def read(self, request: Request) -> JSONResponse:
        """The consent, if there is one."""
        binding = self.by_id.get(request.path_params["qrc_id"])
        if binding is None:
            raise CashLinkRefused(*UNKNOWN)
        if binding.subscription_id is None:
            return processed({"status": "WAITING"})
        return processed({"status": "BOUND", "subscriptionId": binding.subscription_id, "memberId": PAYER_MEMBER_ID})

    async def charge(self, request: Request) -> JSONResponse:
        """Pay a dynamic link by a consent: once, however often it is asked for."""
        known = [found for found in self.by_id.values() if not found.is_ended]
        if request.path_params["subscription_id"] not in [found.subscription_id for found in known]:
            return envelope(NO_CONSENT, "the bank does not know the consent", status=400)
        try:
            self.phones.confirm(str((await request.json())["qrcId"]))
        except PayRefused as refused:
            if refused.reason != "already_paid":
                return envelope("RQ05000", refused.reason, status=400)
        return processed(None)

    async def bind(self, request: Request) -> JSONResponse:
        """The buyer consents in the bank's application."""
        return await self._decide(request, is_ended=False)

    async def unbind(self, request: Request) -> JSONResponse:
        """The buyer takes the consent back; nobody else can."""
        return await self._decide(request, is_ended=True)

    async def _decide(self, request: Request, *, is_ended: bool) -> JSONResponse:
        qrc_id = str((await request.json()).get("qrc_id"))
        if qrc_id not in self.by_id:
            return JSONResponse({"code": "unknown_link"}, status_code=404)
        return JSONResponse({"qrc_id": qrc_id, "subscription_id": self.decide(qrc_id, is_ended=is_ended)})

    def decide(self, qrc_id: str, *, is_ended: bool) -> str:
        """The buyer consents, or takes the consent back. Gives NSPK's id of it."""
        subscription_id = "sub-" + letters(f"{self.links.seed}/{qrc_id}", 16)
        self._keep({"bound": qrc_id, "subscription_id": subscription_id, "is_ended": is_ended})
        return subscription_id

    def _keep(self, line: Mapping[str, Any]) -> None:
        self.recall(line)
        self.links.remember(line)

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take a line of the journal back in."""
        if "binding" in line:
            self.by_id[line["binding"]] = SimulatedBinding(line["binding"], line["member_id"])
        elif "bound" in line:
            binding = self.by_id[line["bound"]]
            binding.subscription_id, binding.is_ended = line["subscription_id"], line["is_ended"]
