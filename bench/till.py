"""``kopeyka bench till``: a scan, a checkout with points and a code, four weeks of baskets, and a race for one code.

One installation serves all rows: two api workers, the worker, the simulators, a durable PostgreSQL. Baselines are
measured in the same run, beside their row.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psycopg
import uvloop
from pydantic import SecretStr

from api import data_dir
from api.buyer_key import buyers_key
from api.demo.caller import Caller, Tally
from api.demo.errors import DemoFailed
from api.demo.hearing import Hearing
from api.demo.premises import Premises, premises
from api.demo.till_baskets import TillBasket, TillLine, read_baskets
from api.demo.till_replay import Replay
from api.demo.till_shop import PROGRAMME, Chain, created, open_chain
from api.demo.wire import Connection
from api.postgres import Server
from api.settings import Settings
from bench import load, servers
from bench.rows import Row, faster, show
from checkout.barcode import SHOWING_NUMBER_MAX
from checkout.loyalty_cards import LoyaltyCard, load_card
from checkout.showings import Showing, barcode_of
from ledger.clock import machine_now, monotonic
from ledger.database import create_engine, transaction
from ledger.money import Kopecks
from pci.secret import Secret

TILLS = 50
ROUNDS = 5
ROUND_SECONDS = 2
TPCB_CLIENTS = 8
CHECKOUTS = 300
"""Orders that the row of checkouts places: each with points, a code and a dynamic SBP code."""
COUPON = Kopecks(10_000)
GRANT = 1_000_000
"""Points a card has for the row of checkouts."""
CARDS_OF_MANY_PHONES = 5
RACERS = 300
REDEMPTIONS = 3
RACE_CODE = "GONKA-3"
PRESENTMENT = "p99 of GET /livez over p99 of a scan, in turns, 50 kept-alive tills on two api workers"
CHECKOUT = "pgbench TPC-B transactions a second, 8 clients, prepared, scale 50, same server, same run"
REPLAY = "the row checkout, orders a second"
RACE = f"{RACERS} orders at once with one code of {REDEMPTIONS} uses: {REDEMPTIONS} may be placed"


@dataclass(slots=True)
class Bench:
    """The installation under load."""

    ours: Premises
    host: str
    port: int
    api_key: str
    chain: Chain
    server: Server
    run: str = field(default_factory=lambda: f"{random.getrandbits(32):08x}")
    keys: Iterator[int] = field(default_factory=itertools.count)

    def caller(self) -> Caller:
        """A client without trouble of its own."""
        headers = {"authorization": f"Bearer {self.api_key}"}
        connection = Connection(f"http://{self.host}:{self.port}", headers)
        return quiet(connection, f"bench-{self.run}")

    def headers(self) -> dict[str, str]:
        """Who we are, and a key of its own for each request."""
        key = f"bench-till-{self.run}-no-{next(self.keys):012}"  # digits of both in a row may be a card number
        return {"authorization": f"Bearer {self.api_key}", "idempotency-key": key, "content-type": "application/json"}


def quiet(connection: Connection, run: str) -> Caller:
    """A client that neither repeats nor drops anything: what is measured is a till without trouble."""
    return Caller(connection, run, 1, Tally(), repeated_share=0.0, dropped_share=0.0)


def run(*, as_json: bool, baskets: int | None = None) -> None:
    """Measure and print every row; the replay of the first ``baskets`` only, if it is said."""
    show(uvloop.run(_measure(baskets)), as_json=as_json)


async def _measure(count: int | None) -> list[Row]:
    baskets = [basket for basket in read_baskets(count) if basket.value > 0]
    async with premises(log_level="warning", workers=2) as ours:
        told = ours.runtime()
        api = urlsplit(told["urls"]["api"])
        server = Server(data_dir.prepare(ours.folder / "data"))
        headers = {"authorization": f"Bearer {told['sandbox_key']}"}
        opener = quiet(Connection(told["urls"]["api"], headers), "bench-till-opener")
        chain = await open_chain(opener, [*baskets, *_couponed(baskets[:1])], told["urls"]["card_form"])
        bench = Bench(ours, api.hostname or "", api.port or 0, told["sandbox_key"], chain, server)
        await asyncio.to_thread(servers.make_tpcb, server)
        rows = [await _presentment_row(bench), await _race_row(bench)]
        checkout, against = await _checkout_row(bench, baskets)
        return [*rows, checkout, await _replay_row(bench, baskets, against)]


async def _presentment_row(bench: Bench) -> Row:
    """Scans by fifty tills, beside the cheapest answer that the same workers give."""
    scans = await _scans(bench)
    health = load.get(f"{bench.host}:{bench.port}", "/livez", {})
    seen = []
    for _ in range(ROUNDS):
        pair = [
            p99(await load.latencies(bench.host, bench.port, ask, connections=TILLS, seconds=ROUND_SECONDS)) * 1000
            for ask in (scans.post, lambda: health)
        ]
        seen.append(pair)
    scan, answer = median(pair[0] for pair in seen), median(pair[1] for pair in seen)
    return Row("presentment_p99", round(scan, 1), round(answer, 1), round(answer / scan, 2), 0.5, "ms", PRESENTMENT)


@dataclass(slots=True)
class Scans:
    """Barcodes of phones that nobody has scanned, one after another."""

    bench: Bench
    key: Secret
    phones: Iterator[tuple[LoyaltyCard, int]]
    terminals: Sequence[str]

    def post(self) -> bytes:
        """A request to scan the next phone."""
        now, (card, number) = machine_now(), next(self.phones)
        text = barcode_of(self.key, card, Showing(f"shw_{number:026}", card.id, number, now, None), now=now)
        terminal = self.terminals[number % len(self.terminals)]
        body = json.dumps({"terminal_id": terminal, "barcode": text.text}).encode()
        return load.post(f"{self.bench.host}:{self.bench.port}", "/v1/presentments", self.bench.headers(), body)


async def _scans(bench: Bench) -> Scans:
    """Fifty thousand phones of five cards, more than are scanned in the time of a code; phones make their own codes."""
    url = bench.ours.runtime()["database_urls"]["app"]
    key = buyers_key(Settings(database_url=SecretStr(url)))
    assert key is not None
    wish = {"merchant_id": bench.chain.merchant_id, "programme": PROGRAMME}
    caller, engine = bench.caller(), create_engine(url)
    cards = []
    for turn in range(CARDS_OF_MANY_PHONES):
        card_id = (await created(caller, "/v1/loyalty-cards", wish, f"card-of-many-phones-{turn}"))["id"]
        async with transaction(engine) as session:
            cards.append(await load_card(session, card_id))
    await engine.dispose()
    with psycopg.connect(bench.server.url("postgres", "kopeyka"), autocommit=True) as connection:
        connection.execute(
            """INSERT INTO loyalty_showings (id, card_id, number, started_at)
               SELECT 'shw_' || lpad((%(numbers)s * (place - 1) + n)::text, 26, '0'), card_id, n, now()
                 FROM unnest(%(cards)s::text[]) WITH ORDINALITY AS c (card_id, place),
                      generate_series(1, %(numbers)s) AS n""",
            {"cards": [card.id for card in cards], "numbers": SHOWING_NUMBER_MAX},
        )
        connection.execute("ANALYZE loyalty_showings")
    phones = itertools.cycle(itertools.product(cards, range(1, SHOWING_NUMBER_MAX + 1)))
    terminals = [terminal for store in bench.chain.stores.values() for terminal in store.terminals]
    return Scans(bench, key, phones, terminals)


async def _checkout_row(bench: Bench, baskets: Sequence[TillBasket]) -> tuple[Row, float]:
    """Scan, order with points and a code, dynamic SBP code, payer, books; ten stores at the same time."""
    caller = bench.caller()
    chosen = _couponed(baskets[:CHECKOUTS])
    for card_id in {bench.chain.cards[basket.household] for basket in chosen}:
        gift = {"points": GRANT, "reason": "bench"}
        await created(caller, f"/v1/loyalty-cards/{card_id}/points", gift, f"gift-{card_id}")
    before = await asyncio.to_thread(servers.tpcb_rate, bench.server, clients=TPCB_CLIENTS)
    rate = await _sold(bench, chosen, rail_of=lambda _: "sbp", points_share=1.0)
    after = await asyncio.to_thread(servers.tpcb_rate, bench.server, clients=TPCB_CLIENTS)
    return faster("checkout", rate, (before + after) / 2, 0.15, "orders/s", CHECKOUT), rate


async def _replay_row(bench: Bench, baskets: Sequence[TillBasket], checkout: float) -> Row:
    """All baskets of four weeks by all rails, with their shifts."""
    return faster("replay", await _sold(bench, baskets), checkout, 0.6, "orders/s", REPLAY)


async def _sold(bench: Bench, baskets: Sequence[TillBasket], **options: Any) -> float:
    """Orders a second from the first scan to the last payment in the books. Raises: DemoFailed."""
    hearing = Hearing(bench.caller())
    simulators = bench.ours.runtime()["urls"]["simulators"]
    replay = Replay(bench.chain, bench.caller, simulators, hearing, **options)
    await _read_to_the_end(hearing)
    begun = monotonic()
    async with hearing.listening():
        await replay.sell(baskets)
        await hearing.wait_for_all()
        seconds = monotonic() - begun
    await replay.close_shifts()
    if len(replay.sales) != len(baskets):
        raise DemoFailed(f"{len(baskets) - len(replay.sales)} of {len(baskets)} baskets were refused")
    return len(baskets) / seconds


async def _read_to_the_end(hearing: Hearing) -> None:
    """What was paid before is not heard again."""
    while True:
        page = await hearing.caller.get(f"/v1/events?type=order.paid&limit=200&after={hearing.cursor}")
        hearing.cursor = page["next"] or hearing.cursor
        if not page["has_more"]:
            return


def _couponed(baskets: Sequence[TillBasket]) -> list[TillBasket]:
    """The same baskets under numbers of their own, each with a promo code of a hundred roubles and dear enough."""
    line = TillLine("bench", 1, Kopecks(100_000), Kopecks(0), COUPON)
    return [
        replace(basket, id=f"c-{basket.id}", at=basket.at - timedelta(days=365), lines=(line, *_bare(basket.lines)))
        for basket in baskets
    ]


def _bare(lines: Sequence[TillLine]) -> tuple[TillLine, ...]:
    return tuple(replace(line, coupon=Kopecks(0)) for line in lines)


async def _race_row(bench: Bench) -> Row:
    """Exactly so many orders may be placed with the code as it has uses. Raises: DemoFailed otherwise."""
    caller, cards = bench.caller(), itertools.cycle(bench.chain.cards.values())
    owner = next(cards)
    code = {
        "merchant_id": bench.chain.merchant_id, "code": RACE_CODE, "kind": "referral", "discount_kopecks": 100_00,
        "redemptions_max": REDEMPTIONS, "owner_card_id": owner,
    }  # fmt: skip
    await created(caller, "/v1/promo-codes", code, "race-code")
    terminal = next(iter(bench.chain.stores.values())).terminals[0]
    line = {"article": "a", "name": "Чай", "price_kopecks": 1_000_00}

    async def race(number: int, card_id: str) -> int:
        body = {
            "terminal_id": terminal, "number": f"race-{number}", "basket": {"lines": [line]}, "promo_code": RACE_CODE,
            "loyalty_card_id": card_id,
        }  # fmt: skip
        racer = bench.caller()
        answer = await racer.post("/v1/orders", body, f"race-{number}")
        racer.api.hang_up()
        return answer.status

    statuses = await asyncio.gather(*(race(number, next(cards)) for number in range(RACERS)))
    placed = statuses.count(201)
    if placed != REDEMPTIONS or set(statuses) != {201, 409}:  # 409: the code is used up
        raise DemoFailed(f"{placed} of {RACERS} orders were placed with a code of {REDEMPTIONS} uses: {set(statuses)}")
    return Row("race_300", placed, REDEMPTIONS, placed / REDEMPTIONS, 1.0, "redemptions", RACE)


def p99(seconds: Sequence[float]) -> float:
    """What one answer of a hundred takes longer than."""
    ranked = sorted(seconds)
    return ranked[len(ranked) * 99 // 100]
