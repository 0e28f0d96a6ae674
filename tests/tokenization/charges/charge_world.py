"""A vault, one card in it, and an acquirer on a real TCP port of this process."""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ledger.database import Engine, transaction
from pci.pan import Pan
from tests.vault_world import ready_ring
from tokenization import cards
from tokenization.acquirer_simulator.control import new_server
from tokenization.acquirer_simulator.scripts import AcquirerFault, Scripts
from tokenization.acquirer_simulator.server import AcquirerServer
from tokenization.card import CardDetails, CardTerms
from tokenization.charges import repository as rows
from tokenization.charges.acquirer_link import AcquirerLink
from tokenization.charges.authorising import charge_card
from tokenization.charges.calling import ActedBy, ChargeDesk
from tokenization.charges.resolving import resolve_due, take_late_answer
from tokenization.charges.states import Charge, ChargeRequest
from tokenization.ids import new_id
from tokenization.settings import VaultSettings
from tokenization.vault import Vault

MERCHANT = "mer_06cb8gtest0000000000000000"
PAN = "2200000000000004"
BY = ActedBy("service:api", "req_test")
PATIENCE_SECONDS = 60.0
"""For answers that will come: a busy machine makes none of them a silence."""
SILENT = frozenset({
    AcquirerFault.LOST_REQUEST, AcquirerFault.LOST_ANSWER, AcquirerFault.LATE_ANSWER, AcquirerFault.SLOW_REQUEST,
})  # fmt: skip
numbers = itertools.count(1)


@dataclass
class BusinessClock:
    """The vault's clock, moved by tests."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def pass_by(self, **lapse: float) -> None:
        self.at += timedelta(**lapse)


class KnowingLink(AcquirerLink):
    """A line that soon loses patience where the acquirer was told to keep silent, and nowhere else."""

    scripts: Scripts
    short_seconds: float

    @property
    def answer_seconds(self) -> float:
        is_next = any(rule.times > 0 and rule.fault in SILENT for rule in self.scripts.rules)
        is_drawn = any(rate and fault in SILENT for fault, rate in self.scripts.faults.rates.items())
        return self.short_seconds if is_next or is_drawn else PATIENCE_SECONDS

    @answer_seconds.setter
    def answer_seconds(self, _seconds: float) -> None:
        """What the line is made with is not asked for."""


@dataclass
class ChargeWorld:
    """Everything a charge needs."""

    desk: ChargeDesk
    acquirer: AcquirerServer
    clock: BusinessClock
    token: str
    engine: Engine
    port: int = 0
    asked: list[str] = field(default_factory=list)

    def request(self, amount: int = 10_000, **terms: Any) -> ChargeRequest:
        charge_id = terms.pop("id", None) or new_id("cpy")
        self.asked.append(charge_id)
        token = terms.pop("card_token", self.token)
        return ChargeRequest(charge_id, terms.pop("merchant_id", MERCHANT), token, amount, **terms)

    async def charge(self, amount: int = 10_000, **terms: Any) -> Charge:
        return await charge_card(self.desk, self.request(amount, **terms), BY)

    async def read(self, charge_id: str) -> Charge:
        async with self.desk.vault.transactions() as session:
            found = await rows.find_charge(session, charge_id)
        assert found is not None
        return found

    async def settle(self, *, rounds: int = 60) -> None:
        """Let time pass until nobody has anything to look at."""
        for _ in range(rounds):
            async with self.desk.vault.transactions() as session:
                waiting = await session.scalar(
                    rows.text(
                        "SELECT (SELECT count(*) FROM charges WHERE next_look_at IS NOT NULL)"
                        " + (SELECT count(*) FROM charge_refunds WHERE next_look_at IS NOT NULL)"
                    )
                )
            if not waiting:
                return
            await resolve_due(self.desk)
            self.clock.pass_by(seconds=31)
        raise AssertionError("charges are still unsure")

    async def desk_resolves(self) -> None:
        """One round of the resolver."""
        await resolve_due(self.desk)

    def script(self, fault: str, **order: Any) -> None:
        self.acquirer.host.scripts.set({"rules": [{"fault": fault, **order}]})

    @property
    def summary(self) -> Mapping[str, Any]:
        return self.acquirer.summary()


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # nobody sets an event: the other side is a network server
            await asyncio.sleep(0.01)


@asynccontextmanager
async def charge_world(engine: Engine, now: datetime, *, answer_seconds: float = 0.4) -> AsyncIterator[ChargeWorld]:
    """Open all of it; ``answer_seconds`` is the line's patience with the silence that tests order."""
    acquirer, _ = new_server()
    listener = await asyncio.start_server(acquirer.speak, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    clock = BusinessClock(now)
    link = KnowingLink("127.0.0.1", port, clock.now)
    link.scripts, link.short_seconds = acquirer.host.scripts, answer_seconds
    ring, settings = await ready_ring(engine, now), VaultSettings()
    vault = Vault(functools.partial(transaction, engine), clock.now, ring, settings, link)
    desk = ChargeDesk(vault, link)
    link.on_late = functools.partial(take_late_answer, desk)
    token = await keep_card(vault, now)
    try:
        yield ChargeWorld(desk, acquirer, clock, token, engine, port)
    finally:
        await link.close()
        listener.close()
        acquirer.cut_all()
        with suppress(TimeoutError):
            await asyncio.wait_for(listener.wait_closed(), 2)


async def keep_card(vault: Vault, now: datetime, pan: str = PAN, expires: str = "2028-12", **terms: Any) -> str:
    """A token of a card."""
    merchant_id = terms.pop("merchant_id", MERCHANT)
    await cards.prepare(vault.ring, merchant_id, now)
    async with vault.transactions() as session:
        kept = await cards.tokenize(
            session, vault.ring, CardDetails(Pan(pan), expires), CardTerms(merchant_id, **terms), actor="service:api",
            origin="req_test", now=now,
        )  # fmt: skip
    return kept.card.token
