"""Where plans are played: a running installation, its operator's cards, and a second worker on the demo's own clock.

Plans are made, accepted, committed and refunded through the door. The nights and the charges are done by the
installation's worker and by ours at once, as two workers of a real house; ours does not rest, so days pass quickly.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from api.card_calls import carry_on_card_payments
from api.demo.caller import Caller, Tally
from api.demo.errors import DemoFailed
from api.demo.premises import Premises, premises
from api.demo.sellers import SELLERS
from api.demo.wire import Connection
from api.plan_calls import carry_on_plans
from api.plan_collectors import collect_due, collectors_of, renew_charges, tell_plans
from api.plan_night import run_night
from api.settings import Settings
from api.vault_certificates import VaultCertificates
from api.wiring import Wiring, wire
from installments import repository
from ledger.clock import MOSCOW, Clock, monotonic, moscow_day, read_offset
from ledger.database import Engine, Session, create_engine, in_transaction, text
from ledger.errors import InvariantBroken
from ledger.ids import new_secret

SHOP = "https://shop.example"
CARDS = 16
CARD_PREFIX = "220011175357"
"""Source: the first digits of a Mir number of Tochka's public test cards."""
TYPED_CODE = "123"
FEE_BASIS_POINTS = 690
QUIET_SECONDS_MAX = 120.0
LOOK_SECONDS = 0.05


@dataclass(slots=True)
class PlanWorld:
    """Everything that plays in this run."""

    premises: Premises
    told: dict[str, Any]
    engine: Engine
    clock: Clock
    wiring: Wiring
    tally: Tally
    seed: int
    name: str = field(default_factory=lambda: new_secret("")[:8])
    merchant_id: str = ""
    operator_id: str = ""
    cards: list[str] = field(default_factory=list)
    """Tokens, in the order of their numbers."""
    last4: list[str] = field(default_factory=list)
    moves: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def caller(self) -> Caller:
        """A client of the door with a connection of its own."""
        headers = {"authorization": f"Bearer {self.told['sandbox_key']}"}
        return Caller(Connection(self.told["urls"]["api"], headers), self.name, self.seed, self.tally)

    async def open(self) -> None:
        """Take the merchant in with its terms, and enter the buyers' cards."""
        caller = self.caller()
        self.merchant_id = str((await _made(caller, "/v1/merchants", SELLERS[0].body(), "merchant"))["id"])
        terms = {
            "merchant_id": self.merchant_id, "product_code": "dolyame",
            "effective_on": moscow_day(self.clock.now()).isoformat(),
            "fee_basis_points": FEE_BASIS_POINTS,
        }  # fmt: skip
        await _made(caller, "/v1/installments/merchant-terms", terms, "terms")
        operator_id = await in_transaction(self.engine, repository.operator_merchant)
        if operator_id is None:
            raise DemoFailed("the installation has no operator of plans")
        self.operator_id = operator_id
        for number in range(CARDS):
            pan = card_number(number)
            self.last4.append(pan[-4:])
            self.cards.append(await self._enter(caller, pan, number))

    async def _enter(self, caller: Caller, pan: str, number: int) -> str:
        """A buyer types a card into the vault's own page."""
        wish = {"merchant_id": self.operator_id, "origin": SHOP, "buyer_id": f"buyer-{number}"}
        form = await _made(caller, "/v1/card-sessions", wish, f"card-{number}")
        place = urlsplit(form["form_url"])
        browser = Connection(f"{place.scheme}://{place.netloc}", {"origin": self.told["urls"]["card_form"]})
        await browser.ask("GET", place.path)
        typed = {"pan": pan, "expires_on": "2031-12", "cvc": TYPED_CODE}
        entered = await browser.ask("POST", f"{place.path}/card", typed)
        if entered.status != 201:
            raise DemoFailed(f"card {number} was not taken: {entered.status}")
        browser.hang_up()
        return str(entered.json()["token"])

    async def decline(self, declines: dict[str, str]) -> None:
        """What the buyers' bank answers from now on, by the last digits of cards."""
        control = Connection(self.told["urls"]["acquirer_control"], {})
        answer = await control.ask("PUT", "/acquirer/scripts", {"declines": declines})
        control.hang_up()
        if answer.status != 200:
            raise DemoFailed(f"the acquirer refuses its script: {answer.body.decode()}")

    async def move_to(self, day: date, at: time) -> None:
        """Move everybody's clock ahead to a Moscow time."""
        ahead = datetime.combine(day, at, MOSCOW) - self.clock.now()
        if ahead < timedelta(0):
            raise InvariantBroken(f"the demo is later than {day} {at}")
        self.moves += 1
        body = {"seconds": int(ahead.total_seconds()) + 1}
        answer = await self.caller().post("/v1/clock/advance", body, f"clock-{self.moves}")
        if answer.status != 200:
            raise DemoFailed(f"the clock was not moved: {answer.body.decode()}")
        self.clock.offset = await in_transaction(self.engine, read_offset)

    async def work_night(self) -> None:
        """Everything of the night that is left to do."""
        await run_night(self.engine, self.clock)

    async def collect(self) -> None:
        """Charge what is due at this hour, and go on until nobody has anything left to do: the other worker neither."""
        collectors = collectors_of(self.engine, self.wiring.cards, self.wiring.rail, self.clock)
        deadline = monotonic() + QUIET_SECONDS_MAX
        while monotonic() < deadline:
            done = await renew_charges(self.engine, self.clock)
            done += await collect_due(self.engine, collectors, self.clock)
            done += await carry_on_card_payments(self.wiring.cards)
            done += await tell_plans(self.engine, collectors, self.clock)
            done += await carry_on_plans(self.wiring.plans)
            if not done:
                if await in_transaction(self.engine, _is_quiet):
                    return
                await asyncio.sleep(LOOK_SECONDS)
        raise DemoFailed(f"the charges of {self.clock.now()} do not come to an end")


async def _is_quiet(session: Session) -> bool:
    """No charge is under way with anybody."""
    return not await session.scalar(
        text("SELECT EXISTS (SELECT FROM plan_charges WHERE status IN ('requested', 'unknown'))")
    )


def card_number(number: int) -> str:
    """The number of one test card: three digits of its own and the check digit."""
    digits = f"{CARD_PREFIX}{number:03}"
    total = sum(
        sum(divmod(int(digit) * 2, 10)) if place % 2 == 0 else int(digit)
        for place, digit in enumerate(reversed(digits))
    )
    return f"{digits}{-total % 10}"


@asynccontextmanager
async def plan_world(seed: int) -> AsyncIterator[PlanWorld]:
    """Start an installation for plans and stop it at the end. Raises: DemoFailed."""
    async with premises(workers=1) as ours:  # who moves the clock is the one who is asked next
        told = ours.runtime()
        engine = create_engine(told["database_urls"]["app"], statement_timeout_ms=0)
        clock = Clock()
        wiring = wire(settings_of(told), engine, clock)
        try:
            yield PlanWorld(ours, told, engine, clock, wiring, Tally(), seed)
        finally:
            await wiring.close()
            await engine.dispose()


def settings_of(told: dict[str, Any]) -> Settings:
    """What a worker of this installation is told."""
    urls = told["urls"]
    own = VaultCertificates(Path(told["data_dir"]) / "vault" / "certificates").of("worker")
    simulators = urls["simulators"]
    return Settings(
        database_url=SecretStr(told["database_urls"]["app"]), vault_url=urls["vault"], vault_ca_file=own.ca,
        vault_cert_file=own.certificate, vault_key_file=own.key, nspk_url=simulators, bank_url=simulators,
        messages_url=simulators, bureau_url=simulators, events_url=f"{simulators}/sink/events",
    )  # fmt: skip


async def _made(caller: Caller, path: str, body: dict[str, Any], what: str) -> Any:
    answer = await caller.post(path, body, what)
    if answer.status != 201:
        raise DemoFailed(f"POST {path} was answered with {answer.status}: {answer.body[:300].decode()}")
    return answer.json()
