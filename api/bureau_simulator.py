"""A credit bureau as routes of the simulators: takes the stream of each plan in its order, each event once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

CutAnswer = Callable[[], ASGIApp | None]
"""Draws whether a message is lost, and how that looks."""


@dataclass(slots=True)
class BureauSimulator:
    """Remembers what it was told. The same id again gives the same acknowledgement."""

    remember: Callable[[Mapping[str, Any]], None]
    lose_request: CutAnswer
    lose_answer: CutAnswer
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    """The number of each plan's last event."""
    calls: int = 0

    def routes(self) -> list[Route]:
        """The bureau's paths, and what a tester reads."""
        return [
            Route("/bureau/v1/events", self.take, methods=["POST"]),
            Route("/simulator/bureau", self.summary, methods=["GET"]),
        ]

    async def take(self, request: Request) -> Any:
        """Take one event of a plan's stream."""
        self.calls += 1
        if (cut := self.lose_request()) is not None:
            return cut
        answer = self._answer(await request.json())
        return self.lose_answer() or answer

    def _answer(self, said: dict[str, Any]) -> JSONResponse:
        subject = said.pop("subject", None)
        known = self.events.get(said["id"])
        if known is not None:
            if known["event"] != said:
                return JSONResponse({"reason": "the id was used for another event"}, status_code=422)
            return JSONResponse({"acknowledgement": known["acknowledgement"]})
        if said["kind"] == "opened" and not (subject and subject.get("buyer_id")):
            return JSONResponse({"reason": "of whom it tells is missing"}, status_code=422)
        if said["sequence"] != self.last.get(said["plan_id"], 0) + 1:
            return JSONResponse({"reason": "an earlier event is missing"}, status_code=409)
        self._keep({"event": said, "acknowledgement": f"BKI-{len(self.events) + 1:08}"})
        return JSONResponse({"acknowledgement": self.events[said["id"]]["acknowledgement"]}, status_code=201)

    def _keep(self, taken: dict[str, Any]) -> None:
        self.recall({"bureau": taken})
        self.remember({"bureau": taken})

    async def summary(self, _request: Request) -> JSONResponse:
        """How much came, by kind."""
        kinds = [taken["event"]["kind"] for taken in self.events.values()]
        return JSONResponse({
            "calls": self.calls, "events": len(kinds), "plans": len(self.last),
            "kinds": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        })  # fmt: skip

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take a line of the journal back in."""
        if "bureau" in line:
            taken = dict(line["bureau"])
            self.events[taken["event"]["id"]] = taken
            self.last[taken["event"]["plan_id"]] = taken["event"]["sequence"]
