"""The messages gateway of a sandbox, as routes of the simulators: whoever plays the buyer reads the texts here.

In memory only: texts hold one-time codes, and a file of them would be a file of codes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

PHONES_MAX = 20_000
"""Phones whose messages are kept: the one that was quiet for longest is forgotten first."""
OF_PHONE_MAX = 20
IDS_MAX = 200_000
FIELDS = ("id", "to", "text", "channel")
REFUSED_ENDINGS = ("000000",)
"""Phones with these last digits take no messages, so that a refusal can be ordered."""
CutAnswer = Callable[[], ASGIApp | None]
"""Draws whether a message is lost, and how that looks."""


@dataclass(slots=True)
class MessageSink:
    """A gateway whose phones are a dictionary. The same id reaches its phone once."""

    lose_request: CutAnswer
    lose_answer: CutAnswer
    by_phone: OrderedDict[str, list[dict[str, Any]]] = field(default_factory=OrderedDict, repr=False)
    ids: OrderedDict[str, None] = field(default_factory=OrderedDict, repr=False)
    taken: int = 0
    repeated: int = 0
    refused: int = 0

    def routes(self) -> list[Route]:
        """The gateway's path, and the phone's."""
        return [
            Route("/messages/v1/messages", self.take, methods=["POST"]),
            Route("/simulator/messages/{phone}", self.read, methods=["GET"]),
            Route("/simulator/messages", self.count, methods=["GET"]),
        ]

    async def take(self, request: Request) -> Any:
        """Take a message, unless an ordered fault loses it or its answer."""
        if (cut := self.lose_request()) is not None:
            return cut
        body = await request.json()
        if not all(isinstance(body.get(name), str) and body[name] for name in FIELDS):
            return JSONResponse({"reason": "id, to, text and channel are needed"}, status_code=422)
        if body["to"].endswith(REFUSED_ENDINGS):
            self.refused += 1
            return JSONResponse({"reason": "this phone takes no messages"}, status_code=422)
        self._keep({name: body[name] for name in FIELDS})
        return self.lose_answer() or JSONResponse({}, status_code=202)

    def _keep(self, message: dict[str, Any]) -> None:
        if message["id"] in self.ids:
            self.repeated += 1
            return
        self.taken += 1
        self.ids[message["id"]] = None
        if len(self.ids) > IDS_MAX:
            self.ids.popitem(last=False)
        texts = self.by_phone.setdefault(message["to"], [])
        texts.append(message)
        del texts[:-OF_PHONE_MAX]
        self.by_phone.move_to_end(message["to"])
        if len(self.by_phone) > PHONES_MAX:
            self.by_phone.popitem(last=False)

    async def read(self, request: Request) -> JSONResponse:
        """What a phone has, the newest last."""
        return JSONResponse({"messages": self.by_phone.get(request.path_params["phone"], [])})

    async def count(self, _request: Request) -> JSONResponse:
        """How many messages came."""
        return JSONResponse(self.summary())

    def summary(self) -> dict[str, int]:
        """What came so far."""
        return {"taken": self.taken, "repeated": self.repeated, "refused": self.refused, "phones": len(self.by_phone)}
