"""``register_1m``: a bank's register of a million lines taken in and compared with a million operations of ours.

The baseline is the same file read by Python's ``csv`` alone, which does nothing with what it reads. Ours reads
it by the bank's profile, keeps every line in PostgreSQL (durably, as everything else) and gives every
line and every operation a verdict. Planted breaks must come out exactly, or there is no figure. The books are not
asked: the operations are laid without entries (sbp_gateway/DECISIONS.md, 43).
"""

from __future__ import annotations

import asyncio
import csv
import gc
import hashlib
import resource
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median

import psycopg

from api import GARBAGE_THRESHOLDS
from api.postgres import Server
from bench import servers
from bench.rows import Row, faster, smaller
from ledger.clock import monotonic
from ledger.database import create_engine, transaction
from ledger.ids import new_id
from sbp_gateway.registers import checking, intake
from sbp_gateway.registers.intake import RegisterArrival
from sbp_gateway.registers.lines import LineKind, LineRail, RegisterLine
from sbp_gateway.registers.profile import load_profile
from sbp_gateway.registers.register import CheckVerdict, RegisterCheck
from sbp_gateway.registers.writing import write_register

LINES = 1_000_000
ROUNDS = 2
BASELINE_ROUNDS = 3
BY_OPERATION, BY_LINK = "tbank", "raiffeisen_sbp"
"""Registers that name NSPK's operation, and those that name its link: then ours are looked up by their codes."""
DAY = date(2026, 11, 22)
MORNING = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
BREAK_EVERY = 10_000
STATEMENT_SECONDS_MAX = 600
MEMORY_MB_MAX = 300
MEGABYTE = 1024 * 1024
AGAINST = "lines a second by csv alone, the same file, same run"


def rows(lines: int = LINES, profile: str = BY_OPERATION) -> list[Row]:
    """Measure it on a server of its own: how fast, and in how much memory."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    with servers.durable_server() as server, tempfile.TemporaryDirectory() as folder:
        lay_operations(server, lines)
        path = Path(folder) / "register.csv"
        with path.open("wb") as out:
            write_register(load_profile(profile), register_lines(lines), out, day_on=DAY)
        baselines, figures = [], []
        for _ in range(ROUNDS):
            baselines += [read_by_csv(path, lines) for _ in range(BASELINE_ROUNDS)]
            figures.append(asyncio.run(take_in_and_check(server, path, lines, profile)))
            _forget(server)
        file_mb = path.stat().st_size / MEGABYTE
    name = "register_1m" if profile == BY_OPERATION else f"register_1m_{profile}"
    against = f"{AGAINST}; {profile}"
    return [
        faster(name, median(figures), median(baselines), 0.2, "lines/s", against),
        memory_row(name, file_mb),
    ]


def memory_row(name: str, file_mb: float) -> Row:
    """What this process has used at most, beside the size of the file that it read."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE
    against = f"the limit; the process that reads, all of it; the file has {file_mb:.0f} MB"
    return smaller(f"{name}_memory", peak, MEMORY_MB_MAX, "MB", against)


def read_by_csv(path: Path, lines: int) -> float:
    """Lines a second of ``csv`` alone."""
    start = monotonic()
    with path.open(encoding="cp1251", newline="") as file:
        count = sum(1 for _ in csv.reader(file, delimiter=";"))
    assert count >= lines - lines // BREAK_EVERY
    return count / (monotonic() - start)


async def take_in_and_check(server: Server, path: Path, lines: int, profile: str) -> float:
    """Lines a second of ours, from the file to the verdicts."""
    engine = create_engine(
        server.url("kopeyka_app", "kopeyka"), size=1, statement_timeout_ms=STATEMENT_SECONDS_MAX * 1000
    )
    now = MORNING + timedelta(days=1)
    arrival = RegisterArrival(new_id("reg", now), load_profile(profile), DAY)
    try:
        async with transaction(engine) as session:  # connect before the time is taken
            await session.exec_driver_sql("SELECT 1")
        start = monotonic()
        with path.open("rb") as file:
            async with transaction(engine) as session:
                await intake.take_in(session, arrival, file, now=now)
        async with transaction(engine) as session:
            checked = await checking.check_register(session, arrival.id, now=now)
        seconds = monotonic() - start
    finally:
        await engine.dispose()
    _expect(checked, lines)
    return lines / seconds


def _expect(checked: RegisterCheck, lines: int) -> None:
    """One line of ten thousand was left out, and another one changed."""
    breaks = lines // BREAK_EVERY
    found = {total.verdict: max(total.lines, total.operations) for total in checked.totals}
    expected = {
        CheckVerdict.MATCHED: lines - 2 * breaks,
        CheckVerdict.ONLY_WITH_US: breaks,
        CheckVerdict.AMOUNT_DIFFERS: breaks,
    }
    if found != {verdict: count for verdict, count in expected.items() if count}:
        raise RuntimeError(f"the check found {found} and not {expected}")


def register_lines(count: int) -> Iterator[RegisterLine]:
    """What the bank says of our operations, with breaks."""
    for number in range(1, count + 1):
        if number % BREAK_EVERY == 0:
            continue
        amount = 100_000 + number + (number % BREAK_EVERY == BREAK_EVERY // 2)
        yield RegisterLine(
            number, LineKind.PAYMENT, LineRail.SBP, _trx_id(number), _qrc_id(number), str(number), None, None,
            "MA0000001234", f"0079******{number % 100:02}", amount, (100_000 + number) * 40 // 10_000,
            MORNING + timedelta(milliseconds=number * 80),
        )  # fmt: skip


def _trx_id(number: int) -> str:
    return f"A632609{_digest(f't{number}')[:25]}"


def _qrc_id(number: int) -> str:
    return f"AD10{_digest(str(number))[:28]}"


def _digest(of: str) -> str:
    return hashlib.md5(of.encode(), usedforsecurity=False).hexdigest().upper()


def lay_operations(server: Server, count: int) -> None:
    """A day of payments made by SQL; what they hang on is left out."""
    with psycopg.connect(server.url("postgres", "kopeyka"), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            """INSERT INTO qr_codes (id, attempt_id, merchant_id, amount_kopecks, status, qrc_id, payload, purpose,
                                     requested_at, expires_at)
               SELECT 'qr_' || lpad(i::text, 26, '0'), 'att_' || lpad(i::text, 26, '0'), 'mer_' || lpad('1', 26, '0'),
                      100000 + i, 'paid', 'AD10' || upper(substr(md5(i::text), 1, 28)), repeat('x', 95), 'p',
                      timestamptz '2026-11-21T21:00Z' + i * interval '80 ms', timestamptz '2026-11-23T21:00Z'
                 FROM generate_series(1, %s) AS i""",
            (count,),
        )
        connection.execute(
            """INSERT INTO sbp_payments (id, qr_id, attempt_id, merchant_id, trx_id, kzo, amount_kopecks, fee_kopecks,
                                         is_late, entry_id, paid_at, recorded_at)
               SELECT 'pay_' || lpad(i::text, 26, '0'), 'qr_' || lpad(i::text, 26, '0'),
                      'att_' || lpad(i::text, 26, '0'), 'mer_' || lpad('1', 26, '0'),
                      'A632609' || upper(substr(md5('t' || i), 1, 25)), 'KZO', 100000 + i, (100000 + i) * 40 / 10000,
                      false, gen_random_uuid(), timestamptz '2026-11-21T21:00Z' + i * interval '80 ms', now()
                 FROM generate_series(1, %s) AS i""",
            (count,),
        )
        connection.execute("VACUUM ANALYZE qr_codes, sbp_payments")
        connection.execute("CHECKPOINT")


def _forget(server: Server) -> None:
    """Let the same file be taken in again, as if for the first time."""
    with psycopg.connect(server.url("postgres", "kopeyka"), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "TRUNCATE register_differences, register_book_totals, register_check_totals, register_checks, registers"
        )
        connection.execute("ALTER TABLE register_lines DISABLE TRIGGER register_lines_append_only")
        connection.execute("TRUNCATE register_lines")
        connection.execute("ALTER TABLE register_lines ENABLE TRIGGER register_lines_append_only")
        connection.execute("CHECKPOINT")
