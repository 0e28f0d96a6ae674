"""The outside world of a sandbox in one process: ``python -m api.simulators``.

NSPK with payers' phones, the bank that carries out payouts, the gateway of messages to buyers, and a sink that
receives events.
State lives in memory and, with ``--state FILE``, in an append-only file, so that killing the process loses nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from api.bureau_simulator import BureauSimulator
from api.message_sink import MessageSink
from api.simulators_tls import serve
from ledger.ids import new_secret
from reconciliation.bank_simulator import BankSimulator
from sbp_gateway.simulator.app import NspkSimulator
from sbp_gateway.simulator.bindings import BindingSimulator
from sbp_gateway.simulator.cash_link_routes import CashLinkSimulator
from sbp_gateway.simulator.cash_links import CashLinks
from sbp_gateway.simulator.clock import SimulatorClock
from sbp_gateway.simulator.control import SimulatorControl
from sbp_gateway.simulator.faults import CutConnection, Faults
from sbp_gateway.simulator.links import Links
from sbp_gateway.simulator.merchants import SimulatedMerchants
from sbp_gateway.simulator.notifications import Notifier
from sbp_gateway.simulator.payers import BuyerPhones
from sbp_gateway.simulator.payouts import BuyerPayoutBank
from sbp_gateway.simulator.phone import BuyerPhonePages
from sbp_gateway.simulator.refunds import Refunds
from sbp_gateway.simulator.registers import BankRegisters
from sbp_gateway.simulator.scripts import Scripts
from sbp_gateway.simulator.tkassa import TkassaSimulator

AGENT_URL = "KOPEYKA_PUBLIC_URL"


@dataclass(slots=True)
class Journal:
    """The file by which simulators remember; without one they forget."""

    file: TextIO | None = None

    def remember(self, line: Mapping[str, Any]) -> None:
        """Append a line; it survives the death of the process."""
        if self.file is not None:
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()


@dataclass(slots=True)
class EventSink:
    """Receives events and counts them."""

    received: int = 0
    ids: set[str] = field(default_factory=set)
    types: dict[str, int] = field(default_factory=dict)
    last_sequence: dict[str, int] = field(default_factory=dict)
    out_of_order: int = 0

    async def receive(self, request: Request) -> JSONResponse:
        """Take one event; a repeated id is counted once."""
        event = await request.json()
        self.received += 1
        if event["id"] not in self.ids:
            self.ids.add(event["id"])
            self.types[event["type"]] = self.types.get(event["type"], 0) + 1
            if event["sequence"] != self.last_sequence.get(event["object_id"], 0) + 1:
                self.out_of_order += 1
            self.last_sequence[event["object_id"]] = event["sequence"]
        return JSONResponse({})

    async def count(self, _request: Request) -> JSONResponse:
        """How many came."""
        return JSONResponse(self.summary())

    def summary(self) -> dict[str, Any]:
        """What came so far."""
        return {
            "received": self.received,
            "events": len(self.ids),
            "types": self.types,
            "out_of_order": self.out_of_order,
        }


@dataclass(slots=True)
class World:
    """Every simulator, joined."""

    nspk: NspkSimulator
    bank: BankSimulator
    sink: EventSink
    control: SimulatorControl
    payouts: BuyerPayoutBank
    tkassa: TkassaSimulator
    merchants: SimulatedMerchants
    messages: MessageSink
    bureau: BureauSimulator

    async def set_faults(self, request: Request) -> JSONResponse:
        """Order faults."""
        try:
            rates = asdict(self.nspk.faults.set(await request.json()))
        except ValueError as error:
            return JSONResponse({"reason": str(error)}, status_code=422)
        self.nspk.links.remember({"faults": rates})
        return JSONResponse(rates)

    async def set_agent(self, request: Request) -> JSONResponse:
        """Say where notifications go."""
        self.nspk.notifier.agent_url = str((await request.json())["url"])
        return JSONResponse({"url": self.nspk.notifier.agent_url})

    async def summary(self, _request: Request) -> JSONResponse:
        """What happened so far."""
        links, notifier = self.nspk.links, self.nspk.notifier
        return JSONResponse({
            "links": len(links.by_id),
            "paid": links.paid,
            "paid_kopecks": links.paid_kopecks,
            "late_waiting": len(links.late),
            "refunds": len(self.nspk.refunds.moved),
            "refunds_kopecks": sum(refund.amount for refund in self.nspk.refunds.moved),
            "payouts": sum(payout["status"] == "executed" for payout in self.bank.payouts.values()),
            "payouts_kopecks": self.bank.kopecks_paid,
            **self.payouts.summary(),
            "notifications": {
                "sent": notifier.sent, "waiting": notifier.waiting, "given_up": notifier.given_up,
            },
            "faults": self.nspk.faults.counts,
            "events": self.sink.summary(),
            "messages": self.messages.summary(),
        })  # fmt: skip

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take a line of the journal back in."""
        if "faults" in line:
            self.nspk.faults.set(line["faults"])
        self.nspk.links.recall(line)
        self.nspk.refunds.recall(line)
        self.nspk.bindings.recall(line)
        self.nspk.cash_links.cash_links.recall(line)
        self.control.scripts.recall(line)
        self.control.clock.recall(line)
        self.payouts.recall(line)
        self.tkassa.recall(line)
        self.merchants.recall(line)
        self.bureau.recall(line)
        self.bank.recall(line)


def create_simulators(*, agent_url: str = "", state: Path | None = None) -> Starlette:
    """The simulators' application."""
    journal, faults = Journal(), Faults()
    nspk = _nspk(journal, faults, agent_url)
    world = World(
        nspk,
        BankSimulator(journal.remember, _cut(faults, "lost_request"), _cut(faults, "lost_answer")),
        EventSink(),
        SimulatorControl(nspk.links, nspk.scripts, nspk.clock),
        BuyerPayoutBank(journal.remember, faults),
        TkassaSimulator(journal.remember, faults, nspk.phones),
        SimulatedMerchants(journal.remember, faults),
        MessageSink(_cut(faults, "lost_request"), _cut(faults, "lost_answer")),
        BureauSimulator(journal.remember, _cut(faults, "lost_request"), _cut(faults, "lost_answer")),
    )
    if state is not None:
        _recall_all(world, state)
        journal.file = state.open("a", encoding="utf-8")
    routes = [
        *world.nspk.routes(),
        *world.bank.routes(),
        *world.merchants.routes(),
        *world.bureau.routes(),
        *world.control.routes(),
        *world.payouts.routes(),
        *world.tkassa.routes(),
        *world.messages.routes(),
        *BuyerPhonePages(nspk.phones, nspk.cash_links, nspk.bindings).routes(),
        *BankRegisters(nspk.links, nspk.cash_links.cash_links, nspk.refunds).routes(),
        Route("/sink/events", world.sink.receive, methods=["POST"]),
        Route("/sink/events/count", world.sink.count, methods=["GET"]),
        Route("/simulator/faults", world.set_faults, methods=["PUT"]),
        Route("/simulator/agent", world.set_agent, methods=["PUT"]),
        Route("/simulator/summary", world.summary, methods=["GET"]),
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(world.nspk.phones.watch())
        yield
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await world.nspk.notifier.close()
        if journal.file is not None:
            journal.file.close()

    return Starlette(routes=routes, lifespan=lifespan)


def _nspk(journal: Journal, faults: Faults, agent_url: str) -> NspkSimulator:
    links, notifier = Links(journal.remember, new_secret("")), Notifier(agent_url, faults)
    scripts, clock = Scripts(journal.remember), SimulatorClock(journal.remember)
    phones = BuyerPhones(links, scripts, faults, notifier, clock)
    cash_links = CashLinkSimulator(CashLinks(links), notifier, scripts, clock)
    refunds = Refunds(links, cash_links.cash_links, notifier, clock, journal.remember, faults)
    bindings = BindingSimulator(links, phones)
    return NspkSimulator(links, faults, notifier, scripts, clock, phones, cash_links, refunds, bindings)


def _cut(faults: Faults, name: str) -> Any:
    def draw() -> ASGIApp | None:
        return CutConnection() if faults.happens(name) else None

    return draw


def _recall_all(world: World, state: Path) -> None:
    """Read the journal; a last line cut off by a kill is dropped, because nobody was answered."""
    if not state.exists():
        return
    text = state.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    for line in whole.splitlines():
        world.recall(json.loads(line))
    if len(whole) < len(text):
        state.write_text(whole, encoding="utf-8")


def main() -> None:
    """Serve the simulators until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=os.environ.get("KOPEYKA_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=os.environ.get("KOPEYKA_PORT", "0"))
    parser.add_argument("--state", type=Path, default=os.environ.get("KOPEYKA_SIMULATORS_STATE"))
    parser.add_argument("--agent-url", default=os.environ.get(AGENT_URL, ""))
    parser.add_argument("--tls-port", type=int, help="serve NSPK over mutual TLS on this port too; 0 is any")
    parser.add_argument("--certificates", type=Path, help="folder of the certificates, made at the first start")
    chosen = parser.parse_args()
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # cut connections are ordered, not errors
    app = create_simulators(agent_url=chosen.agent_url, state=chosen.state)
    config = uvicorn.Config(
        app, host=chosen.host, port=chosen.port, loop="uvloop", http="httptools", ws="none", access_log=False,
        log_config=None, timeout_graceful_shutdown=3,
    )  # fmt: skip
    serve(config, tls_port=chosen.tls_port, certificates=chosen.certificates)


if __name__ == "__main__":
    main()
