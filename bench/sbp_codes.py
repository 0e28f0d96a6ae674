"""QR codes for placed orders over HTTP, against the same rows written by pgbench."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
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

    def headers(self) -> dict[str, str]:
        """Who we are, and a key of its own for each request."""
        key = f"bench-sbp-{next(self.keys):012}"
        return {"authorization": f"Bearer {self.key}", "idempotency-key": key, "content-type": "application/json"}

    def make(self, path: str, body: Any) -> str:
        """Create something and give its id."""
        connection = http.client.HTTPConnection(self.host, self.port)
        connection.request("POST", path, json.dumps(body), self.headers())
        answer = connection.getresponse().read()
        connection.close()
        return str(json.loads(answer)["id"])

    def post_attempt(self) -> bytes:
        """A request for the code of an order that has none."""
        path = f"/v1/orders/ord_{next(self.orders):026}/attempts"
        return load.post(f"{self.host}:{self.port}", path, self.headers(), b'{"rail":"sbp"}')


async def rows() -> list[Row]:
    """``dynamic_qr_create``."""
    async with premises(log_level="info") as ours:
        told = ours.runtime()
        api = urlsplit(told["urls"]["api"])
        till = Till(api.hostname or "", api.port or 0, told["sandbox_key"])
        server = Server(data_dir.prepare(ours.folder / "data"))
        await asyncio.to_thread(_open, till, server)
        script = WRITTEN.format(keys=KEY_COLUMNS, merchant=till.merchant_id)
        seen = []
        for _ in range(ROUNDS):
            written = await asyncio.to_thread(
                servers.script_rate, server, script, clients=CALLERS, seconds=ROUND_SECONDS
            )
            seen.append((await codes(till), written))
        _refuse_lost(server)
    made, written = median(pair[0] for pair in seen), median(pair[1] for pair in seen)
    return [faster("dynamic_qr_create", made, written, 0.25, "codes/s", AGAINST)]


def _open(till: Till, server: Server) -> None:
    """Open a till with placed orders."""
    till.merchant_id = till.make("/v1/merchants", MERCHANT)
    store = till.make("/v1/stores", {"merchant_id": till.merchant_id, "name": "s", "address": "a"})
    till.terminal_id = till.make("/v1/terminals", {"store_id": store, "name": "t"})
    with psycopg.connect(server.url("postgres", "kopeyka"), autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE bench_orders")
        connection.execute("GRANT USAGE ON SEQUENCE bench_orders TO PUBLIC")
        connection.execute(ORDERS, {"first": 1, "last": ORDERS_WRITTEN + ORDERS_SOLD, "terminal": till.terminal_id})
        connection.execute("ANALYZE")


async def codes(till: Till) -> float:
    """Codes a second, each for an order of its own."""
    return await load.rate(till.host, till.port, till.post_attempt, connections=CALLERS, seconds=ROUND_SECONDS)


def _refuse_lost(server: Server) -> None:
    """Raises: RuntimeError if an attempt got no code: it would count for nothing."""
    with psycopg.connect(server.url("postgres", "kopeyka")) as connection:
        lost = connection.execute("SELECT count(*) FROM attempts WHERE status <> 'waiting'").fetchone()
    if lost != (0,):
        raise RuntimeError(f"{lost} attempts have no code")
