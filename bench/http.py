"""``kopeyka bench http``: what the door costs, over a real installation with two api workers.

Every row alternates with its baseline; medians are compared. Authentication, rate limits, idempotency
and logging are on, as in production.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import uvloop

from api import GARBAGE_THRESHOLDS, data_dir
from api.demo.premises import premises
from api.postgres import Server
from api.serve import LISTEN_FD, listening_sockets
from bench import ledger as books
from bench import load, servers
from bench.rows import Row, faster, show, smaller

CONNECTIONS = 64
PGBENCH_CLIENTS = 16
BATCH_CONNECTIONS = 2
ROUNDS = 3
ROUND_SECONDS = 3
WORKERS = 2
WORKER_MEGABYTES_MAX = 200
REPLAYED_KEYS = 512

CLAIM_AND_EFFECT = """
CREATE FUNCTION bench_claim_and_effect(p_debit integer, p_credit integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_id    uuid := gen_random_uuid();
    v_codes text[] := ARRAY['liability:bench:' || p_debit, 'liability:bench:' || p_credit];
    v_done  booked_range;
BEGIN
    v_codes := (SELECT array_agg(c ORDER BY c COLLATE "C") FROM unnest(v_codes) AS c);
    INSERT INTO bench_keys (key, fingerprint) VALUES (v_id::text, sha256(v_id::text::bytea));
    SELECT * INTO v_done FROM book_entries('main', ARRAY[v_id], ARRAY[v_id::text], ARRAY['bench'], ARRAY[v_id],
        ARRAY[now()], ARRAY[NULL]::text[], ARRAY[1], v_codes, ARRAY[1], ARRAY[1::smallint], ARRAY[1], ARRAY[2],
        ARRAY['RUB'], ARRAY[149990::bigint], '{}', '{}', '{}', '{}');
    UPDATE bench_keys SET answer = to_json(v_done)::text::bytea WHERE key = v_id::text;
    RETURN v_done.verdict;
END $$
"""
POST_SCRIPT = f"""\\set a random(1, {books.ACCOUNTS - 1})
SELECT bench_claim_and_effect(:a, :a + 1);
"""
SELECT_SCRIPT = f"""\\set a random(1, {books.ACCOUNTS})
SELECT debits_posted, credits_posted, version FROM accounts WHERE book = 1 AND number = :a;
"""
AGAINST_SQL = "one SQL function that claims a key, books and keeps the answer, by pgbench at 16 clients"


@dataclass(slots=True)
class Target:
    """The installation under load."""

    host: str
    port: int
    key: str
    server: Server
    app_url: str
    run: str = field(default_factory=lambda: f"{random.getrandbits(32):08x}")
    count: int = 0

    @property
    def authority(self) -> str:
        """Host and port, as in a URL."""
        return f"{self.host}:{self.port}"

    def headers(self, key: str) -> dict[str, str]:
        """Who we are and under which key."""
        return {"authorization": f"Bearer {self.key}", "idempotency-key": key}

    def entry(self) -> dict[str, Any]:
        """An entry nobody has seen."""
        self.count += 1
        place = random.randrange(1, books.ACCOUNTS)
        return {
            "reference": f"http:{self.run}:{self.count:09}", "kind": "bench", "happened_at": "2026-11-22T12:00:00Z",
            "postings": [
                {"debit": f"liability:bench:{place}", "credit": f"liability:bench:{place + 1}", "amount": 149_990}
            ],
        }  # fmt: skip

    def post_entry(self, number: int | None = None) -> bytes:
        """A request to book an entry under a key of its own."""
        body = json.dumps(self.entry()).encode()
        key = f"bench-{self.run}-{self.count:09}" if number is None else f"bench-{self.run}-again-{number:06}"
        return load.post(self.authority, "/v1/ledger/entries", self.headers(key), body)

    def post_batch(self) -> bytes:
        """A request to book a thousand entries."""
        body = json.dumps({"atomic": False, "entries": [self.entry() for _ in range(1000)]}).encode()
        return load.post(
            self.authority, "/v1/ledger/entry-batches", self.headers(f"batch-{self.run}-{self.count:09}"), body
        )

    def get_balance(self) -> bytes:
        """A request for one of ten thousand balances."""
        code = f"liability:bench:{random.randrange(1, books.ACCOUNTS + 1)}"
        return load.get(self.authority, f"/v1/ledger/accounts/{code}/balance", {"authorization": f"Bearer {self.key}"})


def run(*, as_json: bool) -> None:
    """Measure and print every row, with the garbage collector set as in an api worker."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    rows = uvloop.run(_measure())
    show(rows, as_json=as_json)


async def _measure() -> list[Row]:
    async with premises(log_level="info") as ours:
        told = ours.runtime()
        server = Server(data_dir.prepare(ours.folder / "data"))
        api = urlsplit(told["urls"]["api"])
        target = Target(
            api.hostname or "", api.port or 0, told["sandbox_key"], server, server.url("kopeyka_app", "kopeyka")
        )
        _prepare(server)
        with _hello(target) as hello_port:
            rows = await _rows(target, hello_port)
        return rows + _memory_rows(told)


def _prepare(server: Server) -> None:
    books.open_accounts(server)
    with psycopg.connect(server.url("postgres", "kopeyka"), autocommit=True) as connection:
        connection.execute("CREATE TABLE bench_keys (key text PRIMARY KEY, fingerprint bytea NOT NULL, answer bytea)")
        connection.execute(CLAIM_AND_EFFECT)


async def _rows(target: Target, hello_port: int) -> list[Row]:
    again = [target.post_entry(number) for number in range(REPLAYED_KEYS)]
    for request in again:  # every key is answered once before its repeats are measured
        await load.rate(target.host, target.port, iter([request]).__next__, connections=1, seconds=0)
    figures = await _alternate(
        {
            "sql": lambda: _pgbench(target, POST_SCRIPT),
            "post": lambda: _http(target, target.post_entry),
            "replay": lambda: _http(target, lambda: random.choice(again)),
            "hello": lambda: _hello_rate(target, hello_port),
            "select": lambda: _pgbench(target, SELECT_SCRIPT),
            "balance": lambda: _http(target, target.get_balance),
            "python": lambda: books.batches(target.app_url),
            "batch": lambda: _batch_rate(target),
        }
    )
    select = "the account's row by key, by pgbench at 16 clients"
    python = "batches of 1,000 from Python on one connection"
    hello = "an empty validated POST on the same server, 2 workers"
    return [
        faster("post_entry_2w", figures["post"], figures["sql"], 0.25, "requests/s", AGAINST_SQL),
        faster("replay_2w", figures["replay"], figures["sql"], 0.40, "requests/s", AGAINST_SQL),
        faster("post_batch", figures["batch"], figures["python"], 0.70, "entries/s", python),
        faster("get_balance_2w", figures["balance"], figures["select"], 0.10, "requests/s", select),
        faster("hello_share", figures["post"], figures["hello"], 0.25, "requests/s", hello),
    ]


Measure = Callable[[], Awaitable[float]]


async def _alternate(measures: dict[str, Measure]) -> dict[str, float]:
    seen: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(ROUNDS):
        for name, measure in measures.items():
            seen[name].append(await measure())
    return {name: median(rates) for name, rates in seen.items()}


async def _pgbench(target: Target, script: str) -> float:
    return await asyncio.to_thread(
        servers.script_rate, target.server, script, clients=PGBENCH_CLIENTS, seconds=ROUND_SECONDS
    )


async def _http(target: Target, requests: load.Requests) -> float:
    return await load.rate(target.host, target.port, requests, connections=CONNECTIONS, seconds=ROUND_SECONDS)


async def _batch_rate(target: Target) -> float:
    requests = [target.post_batch() for _ in range(BATCHES_MADE)]
    answers = await load.rate(
        target.host, target.port, iter(requests).__next__, connections=BATCH_CONNECTIONS, seconds=ROUND_SECONDS
    )
    return answers * 1000


BATCHES_MADE = 400
"""More than a round can send, made before it starts."""


async def _hello_rate(target: Target, port: int) -> float:
    request = load.post(target.authority, "/hello", {}, b"{}")
    return await load.rate("127.0.0.1", port, lambda: request, connections=CONNECTIONS, seconds=ROUND_SECONDS)


@contextmanager
def _hello(target: Target) -> Iterator[int]:
    """Two workers of the same server that answer an empty POST."""
    listeners = listening_sockets("127.0.0.1", 0, WORKERS)
    children = []
    for listener in listeners:
        listener.set_inheritable(True)
        children.append(
            subprocess.Popen(
                [sys.executable, "-m", "api.serve", "bench.hello:create_app"],
                pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL,  # its log
                env={**os.environ, "KOPEYKA_DATABASE_URL": target.app_url, LISTEN_FD: str(listener.fileno())},
                cwd=Path.cwd(),
            )
        )  # fmt: skip
    try:
        yield int(listeners[0].getsockname()[1])
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait()
        for listener in listeners:
            listener.close()


def _memory_rows(told: dict[str, Any]) -> list[Row]:
    """The most memory each process has used."""
    rows = []
    for name, pid in _processes(told):
        peak = _peak_megabytes(pid)
        rows.append(smaller(f"peak_memory_{name}", peak, WORKER_MEGABYTES_MAX, "MB", "the most an api worker may use"))
    return rows


def _processes(told: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for name, pids in told["pids"].items():
        for number, pid in enumerate(pids if isinstance(pids, list) else [pids], 1):
            yield (f"{name}_{number}" if isinstance(pids, list) else name), pid


def _peak_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return float(psutil.Process(pid).memory_info().rss) / 2**20
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
