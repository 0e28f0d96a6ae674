"""The control API: scripts for operations, and the simulator's time. README.md tells how to use it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sbp_gateway.simulator.clock import SimulatorClock
from sbp_gateway.simulator.links import Links
from sbp_gateway.simulator.scripts import ScriptMalformed, Scripts, read_script

Handler = Callable[[Request], Awaitable[JSONResponse]]


@dataclass(frozen=True, slots=True)
class SimulatorControl:
    """What a test orders of the simulator."""

    links: Links
    scripts: Scripts
    clock: SimulatorClock

    def routes(self) -> list[Route]:
        """The paths of the control API."""
        one = "/simulator/operations/{qrc_id}/script"
        return [
            Route(one, _told(self.give_script), methods=["PUT"]),
            Route(one, self.read_script, methods=["GET"]),
            Route("/simulator/scripts", _told(self.order_scripts), methods=["POST"]),
            Route("/simulator/scripts", self.read_scripts, methods=["GET"]),
            Route("/simulator/scripts", self.clear_scripts, methods=["DELETE"]),
            Route("/simulator/clock", self.read_clock, methods=["GET"]),
            Route("/simulator/clock/advance", _told(self.advance_clock), methods=["POST"]),
        ]

    async def give_script(self, request: Request) -> JSONResponse:
        """Say what goes wrong with a registered link."""
        qrc_id = request.path_params["qrc_id"]
        if qrc_id not in self.links.by_id:
            return JSONResponse({"code": "unknown_link", "reason": "no link has this qrc_id"}, status_code=404)
        script = read_script(await request.json(), is_registered=True)
        self.scripts.give(qrc_id, script)
        return JSONResponse({"qrc_id": qrc_id, "script": script.told()})

    async def read_script(self, request: Request) -> JSONResponse:
        """What is left of a link's script."""
        qrc_id = request.path_params["qrc_id"]
        if qrc_id not in self.links.by_id:
            return JSONResponse({"code": "unknown_link", "reason": "no link has this qrc_id"}, status_code=404)
        return JSONResponse({"qrc_id": qrc_id, "script": self.scripts.of(qrc_id).told()})

    async def order_scripts(self, request: Request) -> JSONResponse:
        """Say what goes wrong with the next links to be registered."""
        body = _object(await request.json())
        if unknown := set(body) - {"script", "count"}:
            raise ScriptMalformed(f"write script and count, not {str(unknown.pop())[:40]!r}")
        count = body.get("count", 1)
        if isinstance(count, bool) or not isinstance(count, int):
            raise ScriptMalformed("count: write how many of the next links follow the script")
        self.scripts.order(read_script(body.get("script")), count)
        return await self.read_scripts(request)

    async def read_scripts(self, _request: Request) -> JSONResponse:
        """How many scripts wait for links, and those that links have."""
        given = {qrc_id: script.told() for qrc_id, script in self.scripts.by_id.items()}
        return JSONResponse({"waiting": len(self.scripts.next), "given": given})

    async def clear_scripts(self, request: Request) -> JSONResponse:
        """Forget every script."""
        self.scripts.clear()
        return await self.read_scripts(request)

    async def read_clock(self, _request: Request) -> JSONResponse:
        """NSPK's time."""
        return JSONResponse({"now": self.clock.now().isoformat(), "ahead_seconds": self.clock.ahead.total_seconds()})

    async def advance_clock(self, request: Request) -> JSONResponse:
        """Move NSPK's time ahead: links expire, late money comes."""
        seconds = _object(await request.json()).get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int):
            raise ScriptMalformed("seconds: write a whole number")
        self.clock.advance(seconds)
        return await self.read_clock(request)


def _object(body: object) -> Mapping[str, Any]:
    if not isinstance(body, Mapping):
        raise ScriptMalformed("write an object")
    return body


def _told(work: Handler) -> Handler:
    """Answers 422 with a reason to what cannot be understood."""

    async def endpoint(request: Request) -> JSONResponse:
        try:
            return await work(request)
        except json.JSONDecodeError:
            return JSONResponse({"code": "malformed_script", "reason": "the body is not JSON"}, status_code=422)
        except ValueError as malformed:
            return JSONResponse({"code": "malformed_script", "reason": str(malformed)}, status_code=422)

    return endpoint
