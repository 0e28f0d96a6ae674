"""The bank that carries out payouts, as routes of a simulator. The same id is never paid twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

CutAnswer = Callable[[], ASGIApp | None]
"""Draws whether a message is lost, and how that looks."""
REJECTED_ACCOUNTS = ("999",)
"""Accounts whose last digits are refused, so that a refusal can be ordered."""


@dataclass(slots=True)
class BankSimulator:
    """A bank that has money and pays at once."""

    remember: Callable[[Mapping[str, Any]], None]
    lose_request: CutAnswer
    lose_answer: CutAnswer
    payouts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def kopecks_paid(self) -> int:
        """What was paid in all."""
        return sum(payout["amount_kopecks"] for payout in self.payouts.values() if payout["status"] == "executed")

    def routes(self) -> list[Route]:
        """The bank's paths."""
        return [
            Route("/bank/v1/payouts", self._faulty(self.pay), methods=["POST"]),
            Route("/bank/v1/payouts/{payout_id}", self._faulty(self.find), methods=["GET"]),
        ]

    def _faulty(self, work: Callable[[Request], Awaitable[JSONResponse]]) -> Callable[[Request], Awaitable[Any]]:
        async def endpoint(request: Request) -> Any:
            if (cut := self.lose_request()) is not None:
                return cut
            answer = await work(request)
            return self.lose_answer() or answer

        return endpoint

    async def pay(self, request: Request) -> JSONResponse:
        """Pay; the same id again gives the first answer, another body under it is refused."""
        body = await request.json()
        known = self.payouts.get(body["id"])
        asked = {name: body[name] for name in ("id", "amount_kopecks", "bik", "account_number")}
        if known is not None and any(known[name] != value for name, value in asked.items()):
            return JSONResponse({"reason": "the id was used for another payout"}, status_code=422)
        if known is None:
            is_refused = asked["account_number"].endswith(REJECTED_ACCOUNTS)
            known = {**asked, "status": "rejected", "reason": "account_closed"} if is_refused else {
                **asked, "status": "executed",
            }  # fmt: skip
            self.payouts[body["id"]] = known
            self.remember({"payout": known})
        return JSONResponse(known, status_code=201)

    async def find(self, request: Request) -> JSONResponse:
        """What became of a payout."""
        known = self.payouts.get(request.path_params["payout_id"])
        if known is None:
            return JSONResponse({"reason": "unknown"}, status_code=404)
        return JSONResponse(known)

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take a line of the journal back in."""
        if "payout" in line:
            self.payouts[line["payout"]["id"]] = dict(line["payout"])
