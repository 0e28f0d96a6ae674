"""The rows of ``bench vault`` about the log: sealing against a bare copy, checking against bare SHA-256, same leaves.

The copy is one INSERT … SELECT of number and leaf into a table with a key on the number; sealing also fills the two
indexes that keep anything from being sealed twice, carries the hashes to Python, grows the tree and signs. The bare
hashing is over lines that are in memory already; checking reads them from a file and builds the tree as well.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psycopg
from nacl.signing import SigningKey

from api.postgres import Server
from bench.rows import Row, faster
from bench.servers import durable_server
from bench.vault_world import make_vault
from ledger.clock import machine_now, monotonic
from ledger.database import Engine, create_engine, transaction
from pci.audit_log import kopeyka_verify
from pci.audit_log.checkpoint import VAULT_ORIGIN, Verifier, sign
from pci.audit_log.dumping import dump_line
from pci.audit_log.event import AuditEvent
from pci.audit_log.merkle import EMPTY, leaf_hash
from pci.audit_log.sequencer import seal
from pci.audit_log.staging import lines_of, stage

ROUNDS = 3
LEAVES = 100_000
STAGED_AT_ONCE = 2_000
LINES = 1_000_000
DATABASE = "kopeyka_vault_log"
SEQUENCER_TARGET = 0.4
VERIFY_TARGET = 0.3
KEY = SigningKey(b"a bench signs with this key only")

PLAIN = """CREATE TABLE plain (idx bigint PRIMARY KEY, leaf bytea NOT NULL);
           GRANT INSERT ON plain TO kopeyka_vault_sequencer"""
COPY = """INSERT INTO plain SELECT %s + row_number() OVER (ORDER BY xid, id), leaf FROM audit_events
           WHERE id > %s AND id <= %s"""


def rows() -> list[Row]:
    """Both rows."""
    with durable_server() as running:
        make_vault(running, DATABASE)
        sealing = asyncio.run(_sealing(running))
    return [sealing, _verifying()]


async def _sealing(running: Server) -> Row:
    with psycopg.connect(running.url("postgres", DATABASE), autocommit=True) as superuser:
        superuser.execute(PLAIN)
    vault = create_engine(running.url("kopeyka_vault", DATABASE))
    sequencer = create_engine(running.url("kopeyka_vault_sequencer", DATABASE), statement_timeout_ms=60_000)
    sealed, copied = [], []
    for number in range(ROUNDS):
        await _stage(vault, LEAVES)
        copied.append(LEAVES / _copy(running, number * LEAVES))
        sealed.append(LEAVES / await _seal(sequencer))
    await vault.dispose()
    await sequencer.dispose()
    return faster("sequencer", median(sealed), median(copied), SEQUENCER_TARGET, "leaves/s",
                  "INSERT … SELECT of the same leaves into a table with a key")  # fmt: skip


async def _stage(engine: Engine, count: int) -> None:
    for first in range(0, count, STAGED_AT_ONCE):
        async with transaction(engine) as session:
            await stage(session, [_event(first + number) for number in range(STAGED_AT_ONCE)])


def _copy(running: Server, first: int) -> float:
    started = monotonic()
    with psycopg.connect(running.url("kopeyka_vault_sequencer", DATABASE)) as connection:
        connection.execute(COPY.encode(), [first, first, first + LEAVES])
    return monotonic() - started


async def _seal(engine: Engine) -> float:
    started, sealed = monotonic(), True
    while sealed:
        async with transaction(engine) as session:
            sealed = await seal(session, VAULT_ORIGIN, KEY, now=machine_now()) is not None
    return monotonic() - started


def _verifying() -> Row:
    events = lines_of([_event(number) for number in range(1_000)])
    lines = [event.replace(b"tok_", b"tok_%07d" % number) for number, event in enumerate(events * (LINES // 1_000))]
    with TemporaryDirectory() as folder:
        words = _write_dump(Path(folder), lines)
        checked, hashed = [], []
        for _ in range(ROUNDS):
            hashed.append(LINES / _hash(lines))
            checked.append(LINES / _check(words))
    return faster("verify_1m", median(checked), median(hashed), VERIFY_TARGET, "leaves/s",
                  "SHA-256 over the same leaves in memory")  # fmt: skip


def _write_dump(folder: Path, lines: Sequence[bytes]) -> list[str]:
    leaves = list(map(leaf_hash, lines))
    (folder / "dump.jsonl").write_bytes(b"".join(map(dump_line, leaves, lines)))
    (folder / "note.txt").write_text(sign(VAULT_ORIGIN, EMPTY.grown(leaves), KEY).note)
    return ["verify-dump", str(folder / "dump.jsonl"), str(folder / "note.txt"),
            Verifier(VAULT_ORIGIN, KEY.verify_key).show()]  # fmt: skip


def _hash(lines: Sequence[bytes]) -> float:
    sha256, started = hashlib.sha256, monotonic()
    for line in lines:
        sha256(b"\x00" + line).digest()
    return monotonic() - started


def _check(words: Sequence[str]) -> float:
    started = monotonic()
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        assert kopeyka_verify.main(words) == 0, "the dump holds"
    return monotonic() - started


def _event(number: int) -> AuditEvent:
    return AuditEvent(
        action="card.used", actor="service:api", origin=f"req_{number:016d}"[:20], happened_at=machine_now(),
        subject=f"card:tok_{base64.b32encode(number.to_bytes(15, 'big')).decode().lower()}",
        merchant_id="mer_bench", facts={"use": "charge", "amount_kopecks": number, "currency": "RUB"},
    )  # fmt: skip
