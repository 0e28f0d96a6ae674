"""The run itself: premises, sales, the end of the day, the comparison, the files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from api.demo import checking, report, vault_story
from api.demo.caller import Caller, Tally
from api.demo.chaos import Killer, first, killing
from api.demo.errors import DemoFailed
from api.demo.hearing import Hearing
from api.demo.outcome import Latency, Outcome
from api.demo.paying_out import pay_out, wait_for_deliveries
from api.demo.premises import Premises, premises
from api.demo.purchases import Purchase, read_purchases
from api.demo.screen import Screen
from api.demo.selling import Shop
from api.demo.till_baskets import read_baskets
from api.demo.till_outcome import TillOutcome, till_outcome
from api.demo.till_phones import put_on_phones
from api.demo.till_replay import Replay
from api.demo.till_returns import RETURN_SHARE
from api.demo.till_shop import open_chain
from api.demo.timeline import Timeline, troubled_sale
from api.demo.wire import Connection
from ledger.clock import monotonic
from ledger.database import Engine, create_engine
from ledger.exports import hledger
from ledger.ids import new_secret
from ledger.journal import MAIN_BOOK

FAULTS = {
    "lost_request": 0.005,
    "lost_answer": 0.015,
    "lost_notification": 0.02,
    "duplicate_notification": 0.02,
    "late_notification": 0.01,
}
"""What the simulators do wrong, as shares of what they are asked."""
DELIVERY_SECONDS_MAX = 300.0
TILL_READ_SECONDS = 0.2
"""Between two readings of the list of events while tills sell: only plates wait for it."""
JOURNAL = "demo-journal.hledger"
REPORT = "demo-report.html"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    is_all: bool = False
    orders: int | None = None
    """The first rows only."""
    is_chaos: bool = False
    seed: int = 1
    baskets: int | None = None
    """The first till baskets only."""
    skipped: int = 0
    """Rows before the first that is played."""
    out: Path = Path()
    """Where the report and the journal go."""


@dataclass(slots=True)
class Day:
    """A run under way."""

    plan: Plan
    premises: Premises
    screen: Screen
    shop: Shop
    tally: Tally

    def caller(self) -> Caller:
        """A client with a connection of its own."""
        return self.shop.caller_of()

    @property
    def simulators_url(self) -> str:
        """Where payers, the bank and the sink are."""
        return self.shop.payers_url

    def note(self) -> str:
        """What stands beside the progress bar."""
        hearing = self.shop.hearing
        return f"{len(hearing.paid):,} in the books, {self.tally.repeated:,} repeats, {self.tally.dropped:,} drops"


async def run(plan: Plan, screen: Screen) -> Outcome:
    """Run the demo from the start of the processes to their stop.

    Raises: DemoFailed if it does not come to its end; whether the totals fit is in the outcome.
    """
    begun = monotonic()
    purchases = read_purchases(is_all=plan.is_all, orders=plan.orders, skipped=plan.skipped)
    if not purchases:
        raise DemoFailed(
            "there are no purchases to make: give --orders a number from 1, and --skip less than there are"
        )
    screen.say(f"CDNOW purchases, dollars × 100 read as roubles: {len(purchases):,} rows. Starting everything…")
    async with premises() as ours:
        day = await _open(plan, ours, screen)
        seconds, kills = await _sell(day, purchases)
        engine = create_engine(ours.runtime()["database_urls"]["app"], statement_timeout_ms=0)
        try:
            outcome = await _settle(day, engine, purchases, seconds, kills, begun)
            sample = await _write_journal(day, engine)
            outcome = replace(outcome, till=await _replay_tills(day, engine))
            _write_report(day, purchases, outcome, sample)
        finally:
            await engine.dispose()
        screen.say("One card's story in the vault…")
        story = await vault_story.tell(ours)
    return replace(outcome, vault=story.steps, seconds_in_all=monotonic() - begun)


async def _open(plan: Plan, ours: Premises, screen: Screen) -> Day:
    told, tally, name = ours.runtime(), Tally(), new_secret("")[:8]
    headers = {"authorization": f"Bearer {told['sandbox_key']}"}

    def caller_of() -> Caller:
        return Caller(Connection(told["urls"]["api"], headers), name, plan.seed, tally)

    shop = Shop(caller_of, told["urls"]["simulators"], Hearing(caller_of()))
    await shop.open(caller_of())
    await _set_faults(shop.payers_url, FAULTS | {"seed": plan.seed})
    return Day(plan, ours, screen, shop, tally)


async def _set_faults(simulators_url: str, faults: dict[str, float]) -> None:
    """Say what the simulators do wrong from now on. Raises: DemoFailed."""
    simulators = Connection(simulators_url)
    answer = await simulators.ask("PUT", "/simulator/faults", faults)
    simulators.hang_up()
    if answer.status != 200:
        raise DemoFailed(f"the simulators refuse the faults: {answer.body.decode()}")


async def _sell(day: Day, purchases: list[Purchase]) -> tuple[float, dict[str, int]]:
    """Sell everything and wait for the books: the seconds it took, and whom the killer met."""
    begun, total = monotonic(), len(purchases)
    killer = Killer(day.premises, lambda: day.shop.done / total, day.plan.seed)
    try:
        async with (
            killing(killer, is_on=day.plan.is_chaos),
            day.shop.hearing.listening(),
            day.screen.progress(total, lambda: day.shop.done, day.note),
        ):
            await day.shop.sell(purchases)
            await day.shop.hearing.wait_for_all()
    except* DemoFailed as failed:
        raise first(failed) from None
    return monotonic() - begun, killer.kills


async def _settle(
    day: Day, engine: Engine, purchases: list[Purchase], seconds: float, kills: dict[str, int], begun: float
) -> Outcome:
    """Pay out, wait for the events, read everything back and compare."""
    caller, shop = day.caller(), day.shop
    day.screen.say("Paying the merchants out…")
    _, payouts = await pay_out(caller)
    expected = checking.expect(purchases, shop.tills)
    wanted = {"order.paid": expected.orders, "payout.sent": len(payouts)}
    simulator = await wait_for_deliveries(day.simulators_url, wanted, DELIVERY_SECONDS_MAX)
    day.screen.say("Reading everything back…")
    found = await checking.find(caller, engine, payouts)
    return Outcome(
        rows=len(purchases),
        seed=day.plan.seed,
        expected=expected,
        found=found,
        checks=checking.compare(expected, found, simulator, len(shop.refused)),
        duplicates=checking.duplicates(expected, found, simulator, len(shop.hearing.twice)),
        tally=day.tally,
        refused=Counter(code for _, code in shop.refused),
        unknown=shop.unknown,
        simulator=simulator,
        kills=kills,
        create=Latency.of(shop.create_seconds),
        booking=Latency.of(shop.hearing.booked_seconds),
        seconds=seconds,
        seconds_in_all=monotonic() - begun,
    )


async def _write_journal(day: Day, engine: Engine) -> Timeline | None:
    """The journal of what was compared, and one order that had trouble."""
    await hledger.write(engine, MAIN_BOOK, day.plan.out / JOURNAL)
    return await troubled_sale(day.caller(), day.shop)


async def _replay_tills(day: Day, engine: Engine) -> TillOutcome | None:
    """Four weeks of baskets through the tills of a chain, with the same trouble as before."""
    baskets = read_baskets(day.plan.baskets)
    if not baskets:
        return None
    day.screen.say(f"Opening a chain of stores for {len(baskets):,} baskets of four weeks…")
    told = day.premises.runtime()
    await _set_faults(day.simulators_url, dict.fromkeys(FAULTS, 0.0))  # trouble is for selling
    chain = await open_chain(day.caller(), baskets, told["urls"]["card_form"])
    handsets = await put_on_phones(day.caller(), chain, told)
    await _set_faults(day.simulators_url, FAULTS | {"seed": day.plan.seed})
    hearing = Hearing(day.caller(), cursor=day.shop.hearing.cursor, read_seconds=TILL_READ_SECONDS)
    replay = Replay(
        chain, day.caller, day.simulators_url, hearing, day.plan.seed, return_share=RETURN_SHARE, handsets=handsets
    )
    begun = monotonic()
    try:
        async with (
            hearing.listening(),
            day.screen.progress(
                len(baskets),
                lambda: replay.done,
                lambda: f"{len(hearing.paid):,} in the books",
                what="baskets",
            ),
        ):
            await replay.sell(baskets)
            await hearing.wait_for_all()
            await replay.close_shifts()
    except* DemoFailed as failed:
        raise first(failed) from None
    seconds = monotonic() - begun
    day.screen.say("Comparing the tills with the file…")
    return await till_outcome(day.caller(), engine, replay, baskets, seconds)


def _write_report(day: Day, purchases: list[Purchase], outcome: Outcome, sample: Timeline | None) -> None:
    """The report."""
    journal = day.plan.out / JOURNAL
    booked, created = day.shop.hearing.booked_seconds, day.shop.create_seconds
    page = report.render(outcome, purchases, day.shop.tills, booked, created, sample, journal)
    (day.plan.out / REPORT).write_text(page, encoding="utf-8")
    day.screen.say(f"Wrote {day.plan.out / REPORT} and {journal}")
