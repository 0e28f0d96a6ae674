"""Ten thousand open codes asked about by one worker, against the simulator's answers read raw."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import psycopg
import uvloop
from pydantic import SecretStr

from api.serve import LISTEN_FD, listening_sockets
from api.settings import Settings
from api.watching import poll_links
from api.wiring import Wiring, wire
from api.worker import CONNECTIONS
from bench import servers
from bench.rows import Row, faster
from ledger.clock import Clock, machine_now, monotonic
from ledger.database import Engine, create_engine
from sbp_gateway.nspk import STATUS_BATCH_MAX

CODES = 10_000
ROUNDS = 5
MEMBER = "100000000999"
FILL = """
INSERT INTO merchants (id, name, legal_name, inn, bank_account_bik, bank_account_number, tariff_group, created_at)
    VALUES ('mer_' || repeat('0', 26), 'n', 'l', '7707083893', '044525225', repeat('4', 20), 'everyday', now());
INSERT INTO stores (id, merchant_id, name, address, created_at)
    VALUES ('sto_' || repeat('0', 26), 'mer_' || repeat('0', 26), 'n', 'a', now());
INSERT INTO terminals (id, store_id, merchant_id, name, created_at)
    VALUES ('ter_' || repeat('0', 26), 'sto_' || repeat('0', 26), 'mer_' || repeat('0', 26), 'n', now());
INSERT INTO sbp_merchants (merchant_id, nspk_merchant_id, member_id, bank_account, created_at)
    VALUES ('mer_' || repeat('0', 26), 'MA0000000001', '100000000999', repeat('4', 20), now());
INSERT INTO orders (id, merchant_id, store_id, terminal_id, number, amount_kopecks, placed_at, created_at)
    SELECT 'ord_' || lpad(n::text, 26, '0'), 'mer_' || repeat('0', 26), 'sto_' || repeat('0', 26),
           'ter_' || repeat('0', 26), n::text, 149990, now(), now() FROM generate_series(1, {codes}) AS n;
INSERT INTO attempts (id, order_id, rail, amount_kopecks, status, created_at)
    SELECT 'att_' || lpad(n::text, 26, '0'), 'ord_' || lpad(n::text, 26, '0'), 'sbp', 149990, 'waiting', now()
      FROM generate_series(1, {codes}) AS n;
INSERT INTO qr_codes (id, attempt_id, merchant_id, amount_kopecks, status, qrc_id, payload, purpose, requested_at,
                      expires_at, next_poll_at)
    SELECT 'qr_' || lpad(n::text, 26, '0'), 'att_' || lpad(n::text, 26, '0'), 'mer_' || repeat('0', 26), 149990,
           'registered', 'AD' || lpad(n::text, 30, '0'), 'https://qr.nspk.ru/AD' || lpad(n::text, 30, '0'), 'p', now(),
           now() + interval '1 hour', now() - n * interval '3 ms'
      FROM generate_series(1, {codes}) AS n;
ANALYZE;
"""
DUE_AGAIN = "TRUNCATE sbp_poll_windows"
"""As if none had ever been asked about."""


def rows() -> list[Row]:
    """``poll_10k``."""
    with servers.durable_server() as server:
        with psycopg.connect(server.url("postgres", "kopeyka"), autocommit=True) as connection:
            connection.execute(FILL.format(codes=CODES))
        with simulator(server.place.path) as url:
            ours, raw = uvloop.run(
                _alternate(server.url("kopeyka_app", "kopeyka"), server.url("postgres", "kopeyka"), url)
            )
    against = "the simulator's answers to PUT qrc-status read by http.client, 100 links a call, one connection"
    return [faster("poll_10k", ours, raw, 0.5, "codes/s", against)]


async def _alternate(app_url: str, owner_url: str, simulator_url: str) -> tuple[float, float]:
    settings = Settings(database_url=SecretStr(app_url), nspk_url=simulator_url)
    engine, clock = create_engine(app_url, size=CONNECTIONS), Clock()
    wiring, seen = wire(settings, engine, clock), []
    try:
        for _ in range(ROUNDS):
            with psycopg.connect(owner_url, autocommit=True) as connection:
                connection.execute(DUE_AGAIN)
            seen.append((await polls(engine, wiring, clock), await asyncio.to_thread(raw_answers, simulator_url)))
    finally:
        await wiring.close()
        await engine.dispose()
    return median(pair[0] for pair in seen), median(pair[1] for pair in seen)


async def polls(engine: Engine, wiring: Wiring, clock: Clock) -> float:
    """Codes a second, until all were asked about."""
    start, asked = monotonic(), 0
    while asked < CODES:
        found = await poll_links(engine, wiring, clock)
        if found == 0:
            raise RuntimeError(f"only {asked} of {CODES} codes were asked about")
        asked += found
    return asked / (monotonic() - start)


def raw_answers(simulator_url: str) -> float:
    """Codes a second, by the standard library's client, answers read and not looked into."""
    at = urlsplit(simulator_url)
    bodies = [json.dumps({"qrcIds": qrc_ids(first)}) for first in range(1, CODES, STATUS_BATCH_MAX)]
    connection = http.client.HTTPConnection(at.hostname or "", at.port)
    start = monotonic()
    for body in bodies:
        connection.request("PUT", "/payment/v2/qrc-status", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200 or not answer.read():
            raise RuntimeError("the simulator does not answer")
    seconds = monotonic() - start
    connection.close()
    return CODES / seconds


def qrc_ids(first: int) -> list[str]:
    """The ids of a batch."""
    return [f"AD{number:030}" for number in range(first, first + STATUS_BATCH_MAX)]


@contextmanager
def simulator(folder: Path) -> Iterator[str]:
    """NSPK's simulator in a process of its own, with every link registered and nobody paying."""
    state = folder / "links.jsonl"
    expires_at = (machine_now() + timedelta(hours=1)).isoformat()
    state.write_text("".join(
        json.dumps({"link": qrc_id, "member_id": MEMBER, "amount": 149_990, "expires_at": expires_at}) + "\n"
        for first in range(1, CODES, STATUS_BATCH_MAX) for qrc_id in qrc_ids(first)
    ))  # fmt: skip
    (listener,) = listening_sockets("127.0.0.1", 0, 1)
    listener.set_inheritable(True)
    process = subprocess.Popen(
        [sys.executable, "-m", "api.simulators", "--state", str(state)], pass_fds=[listener.fileno()],
        env={**os.environ, LISTEN_FD: str(listener.fileno())}, cwd=Path.cwd(),
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        process.terminate()
        process.wait()
        listener.close()
