"""``kopeyka bench ledger``: how fast the books write, against pgbench's TPC-B on the same server.

One row after another, the lightest load first, and each round of a row beside a round of its baseline: a noisy
neighbour hits both, and what a heavy row leaves to vacuum and write out is not charged to a light one. Medians are
compared. Callers book one kopeck-exact posting between two of 10,000 accounts, or, in
``hot``, with one account in every entry.
"""

from __future__ import annotations

import asyncio
import gc
import random
import resource
from collections.abc import Awaitable, Callable
from statistics import median

import psycopg
import uvloop

from api import GARBAGE_THRESHOLDS
from api.postgres import Server
from bench import servers
from bench.rows import Row, faster, show, smaller
from ledger import journal
from ledger.clock import machine_now, monotonic
from ledger.direct import Line
from ledger.entry import Entry, Posting
from ledger.group_commit import entries_together, submit_entries

ACCOUNTS = 10_000
ROUNDS = 5
SINGLE_CONNECTIONS = 8
ROUND_SECONDS = 3
GROWN_POSTINGS = 2_000_000
GROWN_POSTINGS_FULL = 10_000_000
SMALL_POSTINGS = 100_000
GROWTH_TURNS = 5
TPCB = "pgbench TPC-B transactions a second, 8 clients, prepared, scale 50, same server, same run"


def run(*, as_json: bool, full: bool = False) -> None:
    """Measure and print every row, with the garbage collector set as in an api worker."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    with servers.durable_server() as server:
        servers.make_tpcb(server)
        open_accounts(server)
        rows = uvloop.run(_measure(server))
        servers.make_books(server, "small")
        open_accounts(server, "small")
        rows += _bytes_rows(server, "small")
        rows.append(uvloop.run(_growth_row(server, GROWN_POSTINGS_FULL if full else GROWN_POSTINGS)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows.append(smaller("peak_memory", peak, 200, "MB", "what an api worker may use; this process"))
    show(rows, as_json=as_json)


def _url(server: Server, database: str = "kopeyka") -> str:
    return server.url("kopeyka_app", database)


def open_accounts(server: Server, database: str = "kopeyka") -> None:
    """Ten thousand accounts without limits."""
    with psycopg.connect(server.url("postgres", database), autocommit=True) as connection:
        connection.execute(
            """INSERT INTO accounts (book, number, code, commodity, normal_side, opened_at)
               SELECT 1, i, 'liability:bench:' || i, 'RUB', 'credit', now() FROM generate_series(1, %s) AS i""",
            (ACCOUNTS,),
        )
        connection.execute("VACUUM ANALYZE accounts")


Load = Callable[[str], Awaitable[float]]


async def _measure(server: Server) -> list[Row]:
    loads: dict[str, tuple[Load, float]] = {
        "single_8": (_single, 1.0),
        "group_64": (lambda url: _group(url, 64), 3.5),
        "group_256": (lambda url: _group(url, 256), 4.0),
        "group_256_hot": (lambda url: _group(url, 256, is_hot=True), 4.0),
        "batch_1000": (batches, 5.0),
    }
    return [await _against_tpcb(server, name, load, target) for name, (load, target) in loads.items()]


async def _against_tpcb(server: Server, name: str, load: Load, target: float) -> Row:
    seen = [
        (await asyncio.to_thread(servers.tpcb_rate, server, seconds=ROUND_SECONDS), await load(_url(server)))
        for _ in range(ROUNDS)
    ]
    baseline, figure = median(pair[0] for pair in seen), median(pair[1] for pair in seen)
    return faster(name, figure, baseline, target, "entries/s", TPCB)


class Source:
    """Entries nobody has seen: random pairs of accounts under references that never repeat."""

    def __init__(self, *, is_hot: bool = False) -> None:
        self.is_hot = is_hot
        self.now = machine_now()
        self.run = f"{random.getrandbits(32):08x}"
        self.count = 0

    def next(self) -> Entry:
        """One more entry of one posting."""
        place = random.randrange(2, ACCOUNTS)
        return self._entry(Posting(_account(1 if self.is_hot else place), _account(place + 1), 149_990))

    def paid_order(self) -> Entry:
        """What a paid order books: gross from the bank's account to a merchant's, our fee from there."""
        merchant = _account(random.randrange(3, ACCOUNTS))
        return self._entry(Posting(_account(1), merchant, 149_990), Posting(merchant, _account(2), 599))

    def _entry(self, *postings: Posting) -> Entry:
        self.count += 1
        return Entry(f"order:{self.run}:{self.count:09}", "bench", self.now, postings)


def _account(number: int) -> str:
    return f"liability:bench:{number}"


async def _single(url: str) -> float:
    """One entry a call on each of 8 connections, as a process with 8 callers that do not wait for each other."""
    source = Source()
    booked = 0

    async def call(line: Line) -> None:
        nonlocal booked
        while monotonic() < end:
            await journal.book_at_once(line, [source.next()], now=source.now)
            booked += 1

    lines = [await Line.open(url) for _ in range(SINGLE_CONNECTIONS)]
    start = monotonic()
    end = start + ROUND_SECONDS
    await asyncio.gather(*(call(line) for line in lines))
    rate = booked / (monotonic() - start)
    for line in lines:
        await line.close()
    return rate


async def _group(url: str, callers: int, *, is_hot: bool = False) -> float:
    source = Source(is_hot=is_hot)
    booked = 0

    async def call() -> None:
        nonlocal booked
        while monotonic() < end:
            await submit_entries(queue, [source.next()])
            booked += 1

    async with entries_together(url, now=machine_now) as queue:
        start = monotonic()
        end = start + ROUND_SECONDS
        await asyncio.gather(*(call() for _ in range(callers)))
    return booked / (monotonic() - start)


async def batches(url: str, *, entries_max: int | None = None, is_paid_order: bool = False) -> float:
    """Batches of 1,000 on one connection; the next is laid out while PostgreSQL works on the last."""
    source = Source()
    make = source.paid_order if is_paid_order else source.next
    booked = 0

    async def produce(line: Line) -> None:
        nonlocal booked
        while (booked < entries_max) if entries_max else (monotonic() < end):
            verdicts = await journal.book_at_once(line, [make() for _ in range(1000)], now=source.now)
            booked += len(verdicts)

    line = await Line.open(url)
    start = monotonic()
    end = start + ROUND_SECONDS
    await asyncio.gather(produce(line), produce(line))
    rate = booked / (monotonic() - start)
    await line.close()
    return rate


def _bytes_rows(server: Server, database: str) -> list[Row]:
    """WAL and disk of small books of paid orders: two postings each (gross, fee), ten thousand merchants."""
    before = _wal_position(server)
    uvloop.run(batches(_url(server, database), entries_max=SMALL_POSTINGS // 2, is_paid_order=True))
    wal = _wal_position(server) - before
    with psycopg.connect(server.url("postgres", database)) as connection:
        row = connection.execute("SELECT count(*), pg_total_relation_size('postings') FROM postings").fetchone()
    assert row is not None
    postings, disk = row
    return [
        smaller("wal_bytes_a_posting", wal / postings, 900, "bytes", "the limit; paid orders of two postings"),
        smaller("disk_bytes_a_posting", disk / postings, 300, "bytes", "the limit; rows and all indexes"),
    ]


def _wal_position(server: Server) -> int:
    with psycopg.connect(server.url("postgres", "kopeyka")) as connection:
        row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").fetchone()
    assert row is not None
    return int(row[0])


async def _growth_row(server: Server, grown: int) -> Row:
    """Turns of 20,000 entries on grown books and on small ones of the same server."""
    small_url, grown_url = _url(server, "small"), _url(server)
    await asyncio.gather(*(batches(grown_url, entries_max=grown // 2) for _ in range(2)))
    for database in ("small", "kopeyka"):
        with psycopg.connect(server.url("postgres", database), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")
    small, large = [], []
    for _ in range(GROWTH_TURNS):
        small.append(await batches(small_url, entries_max=20_000))
        large.append(await batches(grown_url, entries_max=20_000))
    name = f"growth_{grown // 1_000_000}m"
    return faster(name, median(large), median(small), 0.85, "entries/s", "the same on books of 100 thousand")
