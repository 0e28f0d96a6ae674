"""How a tester speaks to the simulated acquirer: orders, faults, what it would settle."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tokenization.acquirer_simulator.host import AcquirerHost
from tokenization.acquirer_simulator.scripts import Scripts
from tokenization.acquirer_simulator.server import AcquirerServer


@dataclass(slots=True)
class AcquirerJournal:
    """The file by which the acquirer remembers; without one it forgets."""

    file: TextIO | None = None

    def remember(self, line: Mapping[str, Any]) -> None:
        """Append a line; it survives the death of the process."""
        if self.file is not None:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()


def new_server(state: Path | None = None) -> tuple[AcquirerServer, AcquirerJournal]:
    """An acquirer as it was when it died, if it has a file."""
    journal = AcquirerJournal()
    host = AcquirerHost(Scripts())
    if state is not None:
        _recall_all(host, state)
        journal.file = state.open("a", encoding="utf-8")
    host.remember = journal.remember
    return AcquirerServer(host), journal


def _recall_all(host: AcquirerHost, state: Path) -> None:
    """Read the file; a last line cut off by a kill is dropped, because nobody was answered."""
    if not state.exists():
        return
    text = state.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    for line in whole.splitlines():
        host.recall(json.loads(line))
    if len(whole) < len(text):
        state.write_text(whole, encoding="utf-8")


def control_routes(server: AcquirerServer) -> list[Route]:
    """The control API."""
    scripts = server.host.scripts

    async def summary(_request: Request) -> JSONResponse:
        return JSONResponse(server.summary())

    async def charges(_request: Request) -> JSONResponse:
        found = server.host.charges.values()
        return JSONResponse([
            {
                "charge_id": each.charge_id, "merchant_id": each.merchant_id, "rrn": each.rrn,
                "response_code": each.code, "amount_kopecks": each.amount, "captured_kopecks": each.captured,
                "refunded_kopecks": each.refunded, "is_reversed": each.is_reversed,
            }
            for each in found
        ])  # fmt: skip

    async def set_scripts(request: Request) -> JSONResponse:
        told = await request.json()
        return _ordered(lambda: scripts.set(told), lambda: server.host.remember({"scripts": told}))

    async def set_faults(request: Request) -> JSONResponse:
        told = await request.json()
        return _ordered(lambda: scripts.set_faults(told), lambda: None)

    async def cut(_request: Request) -> JSONResponse:
        return JSONResponse({"cut": server.cut_all()})

    return [
        Route("/acquirer/summary", summary, methods=["GET"]),
        Route("/acquirer/charges", charges, methods=["GET"]),
        Route("/acquirer/scripts", set_scripts, methods=["PUT"]),
        Route("/acquirer/faults", set_faults, methods=["PUT"]),
        Route("/acquirer/cut", cut, methods=["POST"]),
    ]


def _ordered(order: Callable[[], None], remember: Callable[[], None]) -> JSONResponse:
    try:
        order()
    except (ValueError, KeyError, TypeError) as error:
        return JSONResponse({"reason": str(error)}, status_code=422)
    remember()
    return JSONResponse({})
