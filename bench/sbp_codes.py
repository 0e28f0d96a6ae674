"""QR codes for placed orders over HTTP, against the same rows written by pgbench."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psycopg

from api import data_dir
from api.demo.premises import premises
from api.postgres import Server
from bench import load, servers
from bench.rows import Row, faster
from ledger.clock import monotonic

CALLERS = 8
ROUNDS = 3
ROUND_SECONDS = 3
ORDERS_WRITTEN = 60_000
"""Placed for pgbench; those of the callers follow."""
ORDERS_SOLD = 30_000
MERCHANT = {
    "name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893",
    "bank_account": {"bik": "044525225", "number": "40702810938000000001"}, "tariff_group": "everyday",
}  # fmt: skip

KEY_COLUMNS = """created_at, finished_at, lease_until, attempt_no, response_status, fingerprint_version, fingerprint,
    field_digests, scope, key, api_key_id, request_id, status, method, route, resource_id, content_type, location,
    response_body"""
ORDERS = """
INSERT INTO orders (id, merchant_id, store_id, terminal_id, number, amount_kopecks, placed_at, created_at)
    SELECT 'ord_' || lpad(n::text, 26, '0'), merchant_id, store_id, t.id, 'bench-' || n, 149990, now(), now()
      FROM terminals AS t, generate_series(%(first)s, %(last)s) AS n WHERE t.id = %(terminal)s
"""
WRITTEN = """BEGIN;
INSERT INTO idempotency_keys ({keys}) SELECT now(), NULL, now(), 1, NULL, 1, sha256(n::text::bytea),
    sha256(n::text::bytea), 'bench', 'attempt-' || n, 'key_bench', 'req_' || n, 'started', 'POST',
    '/v1/orders/attempts', 'att_' || lpad(n::text, 26, '0'), NULL, NULL, NULL FROM nextval('bench_orders') AS n;
SELECT * FROM orders WHERE id = 'ord_' || lpad((SELECT currval('bench_orders'))::text, 26, '0') FOR NO KEY UPDATE;
INSERT INTO attempts (id, order_id, rail, amount_kopecks, status, created_at)
    SELECT 'att_' || lpad(n::text, 26, '0'), 'ord_' || lpad(n::text, 26, '0'), 'sbp', 149990, 'requested', now()
      FROM currval('bench_orders') AS n;
INSERT INTO qr_codes (id, attempt_id, merchant_id, amount_kopecks, purpose, requested_at, expires_at, next_poll_at)
    SELECT 'qr_' || lpad(n::text, 26, '0'), 'att_' || lpad(n::text, 26, '0'), merchant_id, 149990, 'p', now(),
           now() + interval '15 min', now() + interval '1 hour'
      FROM sbp_merchants, currval('bench_orders') AS n WHERE merchant_id = '{merchant}';
COMMIT;
BEGIN;
UPDATE qr_codes SET status = 'registered', polls = 0,
       qrc_id = 'AD' || lpad((SELECT currval('bench_orders'))::text, 30, '0'),
       payload = 'https://qr.nspk.ru/AD' || lpad((SELECT currval('bench_orders'))::text, 30, '0')
                 || '?type=02&bank=100000000999&sum=149990&cur=RUB&crc=0000',
       next_poll_at = now() + interval '1 day'
 WHERE id = 'qr_' || lpad((SELECT currval('bench_orders'))::text, 26, '0') AND status = 'requested';
UPDATE attempts SET status = 'waiting', version = version + 1
 WHERE id = 'att_' || lpad((SELECT currval('bench_orders'))::text, 26, '0') AND status = 'requested';
UPDATE idempotency_keys SET finished_at = now(), response_status = 201, status = 'finished', lease_until = NULL,
       content_type = 'application/json', response_body = repeat('a', 450)::bytea
 WHERE scope = 'bench' AND key = 'attempt-' || (SELECT currval('bench_orders')) AND status = 'started';
COMMIT;
"""
AGAINST = "the same rows in the same two transactions, by pgbench at 8 clients; no NSPK"


@dataclass(slots=True)
class Till:
    """A till of the installation under load."""

    host: str
    port: int
    key: str
    merchant_id: str = ""
    terminal_id: str = ""
    keys: Iterator[int] = field(default_factory=itertools.count)
    orders: Iterator[int] = field(default_factory=lambda: itertools.count(ORDERS_WRITTEN + 1))

    def post(self, path: str, body: Any) -> bytes:
        """A request under a key of its own."""
        headers = {"authorization": f"Bearer {self.key}", "idempotency-key": f"bench-sbp-{next(self.keys):012}"}
        return load.post(f"{self.host}:{self.port}", path, headers, json.dumps(body).encode())


async def rows() -> list[Row]:
    """``dynamic_qr_create``."""
    async with premises(log_level="info") as ours:
        told = ours.runtime()
        api = urlsplit(told["urls"]["api"])
        till = Till(api.hostname or "", api.port or 0, told["sandbox_key"])
        await _open(till)
        server = Server(data_dir.prepare(ours.folder / "data"))
        _place_orders(server, till.terminal_id)
        script = WRITTEN.format(keys=KEY_COLUMNS, merchant=till.merchant_id)
        seen = []
        for _ in range(ROUNDS):
            written = await asyncio.to_thread(
                servers.script_rate, server, script, clients=CALLERS, seconds=ROUND_SECONDS
            )
            seen.append((await codes(till), written))
    made, written = median(pair[0] for pair in seen), median(pair[1] for pair in seen)
    return [faster("dynamic_qr_create", made, written, 0.25, "codes/s", AGAINST)]


async def _open(till: Till) -> None:
    caller = await Caller.connect(till)
    till.merchant_id = await caller.make("/v1/merchants", MERCHANT)
    store = await caller.make("/v1/stores", {"merchant_id": till.merchant_id, "name": "s", "address": "a"})
    till.terminal_id = await caller.make("/v1/terminals", {"store_id": store, "name": "t"})
    caller.writer.close()


def _place_orders(server: Server, terminal_id: str) -> None:
    with psycopg.connect(server.url("postgres", "kopeyka"), autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE bench_orders")
        connection.execute("GRANT USAGE ON SEQUENCE bench_orders TO PUBLIC")
        connection.execute(ORDERS, {"first": 1, "last": ORDERS_WRITTEN + ORDERS_SOLD, "terminal": terminal_id})
        connection.execute("ANALYZE")


async def codes(till: Till) -> float:
    """Codes a second, each for an order of its own."""
    start = monotonic()
    made = await asyncio.gather(*(_sell(till, start + ROUND_SECONDS) for _ in range(CALLERS)))
    return sum(made) / (monotonic() - start)


async def _sell(till: Till, until: float) -> int:
    caller, made = await Caller.connect(till), 0
    while monotonic() < until:
        await caller.make(f"/v1/orders/ord_{next(till.orders):026}/attempts", {"rail": "sbp"})
        made += 1
    caller.writer.close()
    return made


@dataclass(slots=True)
class Caller:
    """One kept-alive connection."""

    till: Till
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def connect(cls, till: Till) -> Caller:
        """Connect."""
        return cls(till, *await asyncio.open_connection(till.host, till.port))

    async def make(self, path: str, body: Any) -> str:
        """Create something and give its id. Raises: RuntimeError if it is refused, or an attempt got no code."""
        self.writer.write(self.till.post(path, body))
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        found = re.search(rb"content-length: ([0-9]+)", head)
        answer = await self.reader.readexactly(int(found[1]) if found else 0)
        if not head.startswith(b"http/1.1 201") or (path.endswith("/attempts") and b'"waiting"' not in answer):
            raise RuntimeError(f"not a success: {answer.decode()}")
        return str(json.loads(answer)["id"])
