"""NSPK's directory of merchants, and the bank that puts merchants into it when a test says so.

Source: NSPK agent API: ``GET /merchant/v1/merchant/search?ogrn=&bic=``, ``GET /merchant/v1/merchant/info/{id}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ledger.clock import machine_now
from sbp_gateway.merchants import SANDBOX_MEMBER_ID
from sbp_gateway.nspk import PROCESSED
from sbp_gateway.simulator.faults import Faults
from sbp_gateway.simulator.scripts import ScriptMalformed, delay_of

UNKNOWN_MERCHANT = "RQ05000"
"""A business refusal; the real list of codes is not public."""
MALFORMED = "RQ05001"
FIELDS = ("ogrn", "bic", "brand_name", "mcc")
Remember = Callable[[Mapping[str, Any]], None]


@dataclass(slots=True)
class DirectoryMerchant:
    """A merchant that a bank registered, seen in the directory from a moment on."""

    merchant_id: str
    ogrn: str
    bic: str
    brand_name: str
    mcc: str
    member_id: str
    legal_name: str
    address: str
    seen_from: datetime

    @property
    def shown(self) -> dict[str, Any]:
        """As the directory shows it."""
        return {
            "merchantId": self.merchant_id,
            "brandName": self.brand_name,
            "mcc": self.mcc,
            "address": self.address,
            "registrationDate": self.seen_from.date().isoformat(),
        }


@dataclass(slots=True)
class SimulatedMerchants:
    """The directory, and the bank behind it."""

    remember: Remember
    faults: Faults
    by_id: dict[str, DirectoryMerchant] = field(default_factory=dict)

    def routes(self) -> list[Route]:
        """NSPK's paths, and the one by which a test plays the bank."""
        return [
            Route("/merchant/v1/merchant/search", self.faults.around(self.search), methods=["GET"]),
            Route("/merchant/v1/merchant/info/{merchant_id}", self.faults.around(self.info), methods=["GET"]),
            Route("/simulator/merchants", self.register, methods=["POST"]),
        ]

    async def search(self, request: Request) -> JSONResponse:
        """The merchants of a legal entity in one bank, by member of SBP."""
        ogrn, bic = request.query_params.get("ogrn"), request.query_params.get("bic")
        if not ogrn or not bic:
            return _envelope(MALFORMED, "ogrn and bic are needed", None, status=400)
        found = [each for each in self._seen() if (each.ogrn, each.bic) == (ogrn, bic)]
        members = [
            {
                "memberId": member_id,
                "memberName": "Sandbox bank",
                "merchants": [each.shown for each in found if each.member_id == member_id],
            }
            for member_id in sorted({each.member_id for each in found})
        ]
        return _envelope(PROCESSED, "", {"legalName": found[0].legal_name if found else "", "members": members})

    async def info(self, request: Request) -> JSONResponse:
        """One merchant."""
        found = self.by_id.get(request.path_params["merchant_id"])
        if found is None or found not in self._seen():
            return _envelope(UNKNOWN_MERCHANT, "no such merchant", None, status=400)
        shown = {name: value for name, value in found.shown.items() if name != "registrationDate"}
        return _envelope(PROCESSED, "", shown)

    async def register(self, request: Request) -> JSONResponse:
        """The bank registers a merchant, at once or after ``delay_seconds``."""
        body = await request.json()
        if any(not isinstance(body.get(name), str) for name in FIELDS):
            return JSONResponse({"code": "malformed", "fields": FIELDS}, status_code=422)
        try:
            delay = timedelta(seconds=delay_of(body))
        except ScriptMalformed as error:
            return JSONResponse({"code": "malformed", "reason": str(error)}, status_code=422)
        merchant_id = str(body.get("merchant_id") or f"MS{len(self.by_id) + 1:010}")
        if merchant_id in self.by_id:
            return JSONResponse({"code": "known_already", "merchant_id": merchant_id}, status_code=409)
        line = {
            "merchant": merchant_id,
            **{name: body[name] for name in FIELDS},
            "member_id": str(body.get("member_id") or SANDBOX_MEMBER_ID),
            "legal_name": str(body.get("legal_name", "")),
            "address": str(body.get("address", "")),
            "seen_from": (machine_now() + delay).isoformat(),
        }
        self.remember(line)
        self.recall(line)
        return JSONResponse({"merchant_id": merchant_id, "member_id": line["member_id"]}, status_code=201)

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take a line of the journal back in."""
        if "merchant" in line:
            self.by_id[line["merchant"]] = DirectoryMerchant(
                line["merchant"], line["ogrn"], line["bic"], line["brand_name"], line["mcc"], line["member_id"],
                line["legal_name"], line["address"], datetime.fromisoformat(line["seen_from"]),
            )  # fmt: skip

    def _seen(self) -> list[DirectoryMerchant]:
        now = machine_now()
        return [each for each in self.by_id.values() if each.seen_from <= now]


def _envelope(code: str, message: str, data: Any, *, status: int = 200) -> JSONResponse:
    return JSONResponse({"code": code, "message": message, "data": data}, status_code=status)
