"""The sealer: ``python -m api.sealer``. Turns what is staged into leaves under signed checkpoints, for both logs.

The only process with the sequencers' roles and the signing key. It looks at every sink at start and each minute, and
seals nothing while a log is not what was exported of it: sealing would sign the other history.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import structlog
import uvloop
from nacl.signing import SigningKey
from prometheus_client import Counter, Gauge

from api import logs
from api.audit_settings import AuditSettings
from api.audit_sinks import LogSink, audit_folder, sinks_of
from api.log_watch import BEAT_SECONDS, REVIEW_SECONDS, beat_if_alive, review_oldest
from api.settings import Settings
from ledger.clock import Clock
from ledger.database import Engine, create_engine, text, transaction
from pci.audit_log.checkpoint import BOOKS_ORIGIN, VAULT_ORIGIN, Verifier, read_checkpoint
from pci.audit_log.errors import LogBroken
from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.exporting import EXPORT_BATCH, export_due, waiting_exports
from pci.audit_log.merkle import EMPTY, Frontier
from pci.audit_log.rollback import LogGuard
from pci.audit_log.sequencer import (
    LAG_SECONDS_MAX,
    SEAL_BATCH,
    find_head,
    follow,
    last_note,
    recompute_head,
    seal,
    sealing_lag_seconds,
)
from pci.audit_log.signing_key import open_key
from pci.audit_log.sinks import CheckpointSink
from pci.audit_log.staging import stage
from pci.database import Session
from pci.errors import InvariantBroken
from pci.evidence.log_reviews import LogReview
from pci.hardening import protect_memory

REST_SECONDS = 0.5
"""How long what was staged waits for its seal, about."""
LOOK_SECONDS = 60.0
BACKOFF_SECONDS_MAX = 30.0
STATEMENT_MILLISECONDS_MAX = 60_000
"""A first sealing of books that were there before the log takes its time."""
PARTITIONS_AHEAD = 3
"""Months made before they come: a sealer may stand still for a quarter."""
CONNECTIONS = 5

log = structlog.get_logger("sealer")
alarms = Counter("kopeyka_audit_alarms", "Alarms of the log: what must be looked at by a person.", ["log", "what"])
leaves_sealed = Gauge("kopeyka_audit_leaves", "Leaves under the last checkpoint.", ["log"], multiprocess_mode="livemax")
lag_seconds = Gauge(
    "kopeyka_audit_lag_seconds", "How long the oldest event waits for its leaf.", ["log"], multiprocess_mode="livemax"
)
unexported = Gauge(
    "kopeyka_audit_unexported", "Checkpoints a sink has not got yet.", ["log", "sink"], multiprocess_mode="livemax"
)


@dataclass(slots=True)
class SealedLog:
    """One log as the sealer knows it."""

    origin: str
    engine: Engine
    key: SigningKey
    sinks: Sequence[CheckpointSink]
    guard: LogGuard
    clock: Clock
    retention_months: int | None = None
    tree: Frontier = EMPTY
    """As it was last seen: what is sealed next must have grown from it."""
    is_sound: bool = False
    """Whether its leaves were recomputed and gave the last checkpoint, which our key signed."""
    sealed_at: datetime | None = None
    """When sealing last went through, also when nothing was due; nothing may wait longer than it should."""
    failing: set[str] = field(default_factory=set)
    """Sinks that did not take their last checkpoint."""

    def alarm(self, what: str, **facts: object) -> None:
        """Tell a person: in the log of the process and as a metric."""
        alarms.labels(self.origin, what).inc()
        log.error("audit_alarm", audit_log=self.origin, what=what, **facts)

    async def note(self, action: str, outcome: AuditOutcome = AuditOutcome.DONE, **facts: str | int | bool) -> None:
        """Write in the log what happened to the log. Source: PCI DSS 10.2.1.6, 10.7.2."""
        event = AuditEvent(
            action=f"audit_log.{action}", actor="system:sealer", origin="sealer", subject=f"log:{self.origin}",
            happened_at=self.clock.now(), outcome=outcome, facts=facts,
        )  # fmt: skip
        async with transaction(self.engine) as session:
            await stage(session, [event])


async def look(sealed: SealedLog) -> int:
    """Compare the log with its sinks, recompute it once, make its months, drop what retention lets go."""
    was_rolled_back = sealed.guard.rollback is not None
    rollback = await sealed.guard.check(partial(transaction, sealed.engine))
    if rollback is not None:
        sealed.alarm("rolled_back", flaw=rollback.flaw, sink=rollback.sink, exported=rollback.size)
        if not was_rolled_back:
            await sealed.note("rolled_back", AuditOutcome.FAILED, sink=rollback.sink, exported=rollback.size)
        return 0
    if sealed.guard.is_blind:
        sealed.alarm("no_sink_answers")
    async with transaction(sealed.engine) as session:
        if was_rolled_back:
            sealed.tree = EMPTY  # of the history that was given up
        if was_rolled_back or not sealed.is_sound:
            await prove_sound(session, sealed)
        lag = await sealing_lag_seconds(session, now=sealed.clock.now())
        if lag > LAG_SECONDS_MAX:
            sealed.alarm("sealing_lags", seconds=lag)
        await look_after_months(session, sealed)
        for sink, waiting in (await waiting_exports(session, sealed.sinks)).items():
            unexported.labels(sealed.origin, sink).set(waiting)
    return 0


async def prove_sound(session: Session, sealed: SealedLog) -> None:
    """Once: our key signed the last checkpoint, its root is that of the leaves, and they grew from what was seen.

    Raises: CheckpointMalformed; LogBroken.
    """
    note = await last_note(session)
    try:
        if note is not None:
            read_checkpoint(note, sealed.guard.verifier)
        if sealed.tree != EMPTY:
            await follow(session, sealed.tree)
        sealed.tree = await recompute_head(session)
    except InvariantBroken as broken:
        sealed.alarm("not_sound", error=str(broken), **broken.facts)
        raise
    sealed.is_sound = True


async def follow_or_stop(session: Session, sealed: SealedLog) -> Frontier:
    """The log's head, grown from what was seen; if it did not, nothing is sealed or exported any more.

    Raises: LogBroken.
    """
    try:
        return await follow(session, sealed.tree)
    except LogBroken as broken:
        sealed.is_sound = False
        sealed.alarm("not_sound", error=str(broken), **broken.facts)
        raise


async def look_after_months(session: Session, sealed: SealedLog) -> None:
    """Make the months to come; drop those that are over; alarm if events fell between.

    A month whose events are in the remainder cannot be made: then a person moves them, and no others are made.
    """
    if await session.scalar(text("SELECT EXISTS (SELECT 1 FROM audit_events_rest)")):
        sealed.alarm("month_missing")
        return
    await session.scalar(text("SELECT make_audit_partitions(:ahead)"), {"ahead": PARTITIONS_AHEAD})
    if sealed.retention_months is not None:
        await session.scalar(text("SELECT drop_audit_events(:months)"), {"months": sealed.retention_months})


async def seal_due(sealed: SealedLog) -> int:
    """Seal what waits, and say how many leaves there were."""
    if not sealed.is_sound or sealed.guard.rollback is not None:
        return 0
    async with transaction(sealed.engine) as session:
        sealed.tree = await follow_or_stop(session, sealed)
        checkpoint = await seal(session, sealed.origin, sealed.key, now=sealed.clock.now())
        head = await find_head(session)
        lag = await sealing_lag_seconds(session, now=sealed.clock.now())
    grown, sealed.tree = head.tree.size - sealed.tree.size, head.tree
    if lag <= LAG_SECONDS_MAX:
        sealed.sealed_at = sealed.clock.now()
    lag_seconds.labels(sealed.origin).set(lag)
    leaves_sealed.labels(sealed.origin).set(head.tree.size)
    return grown if checkpoint is not None else 0


async def review(sealed: SealedLog) -> int:
    """Review the vault's log for a day that is due; a case is an alarm too."""

    def tell(done: LogReview) -> None:
        for case in done.opened:
            sealed.alarm("case_opened", case=case.id, rule=case.rule, about=case.about)

    return await review_oldest(sealed.engine, now=sealed.clock.now(), tell=tell)


async def show_alive(sealed: SealedLog, vault: SealedLog) -> int:
    """Beat for one log, in the vault's database."""
    await beat_if_alive(vault.engine, sealed.origin, sealed.sealed_at, now=sealed.clock.now())
    return 0


async def export(sealed: SealedLog, sink: CheckpointSink) -> int:
    """Give a sink what it has not got. The beginning and the end of an outage are events of the log.

    Only of a log that was looked at and is still what it was: an older copy's checkpoint would hide that it is older.
    """
    if not sealed.is_sound or sealed.guard.rollback is not None:
        return 0
    async with transaction(sealed.engine) as session:
        await follow_or_stop(session, sealed)
    try:
        taken = await export_due(partial(transaction, sealed.engine), sealed.origin, sink, now=sealed.clock.now)
    except OSError as error:
        sealed.alarm("export_failed", sink=sink.name, error=str(error))
        if sink.name not in sealed.failing:
            sealed.failing.add(sink.name)
            await sealed.note("export_failed", AuditOutcome.FAILED, sink=sink.name)
        raise
    if sink.name in sealed.failing:
        sealed.failing.discard(sink.name)
        await sealed.note("export_recovered", sink=sink.name)
    return taken


async def repeat(
    name: str, run: Callable[[], Awaitable[int]], rest_seconds: float, batch: int, stop: asyncio.Event
) -> None:
    """Do it over and over; after a failure wait longer each time, and never give up."""
    backoff = REST_SECONDS
    while not stop.is_set():
        try:
            pause = 0.001 if await run() >= batch else rest_seconds
            backoff = REST_SECONDS
        except Exception as error:
            log.error("sealing_failed", job=name, error=type(error).__name__, facts=getattr(error, "facts", None))
            pause, backoff = backoff, min(backoff * 2, BACKOFF_SECONDS_MAX)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)


def jobs(sealed: SealedLog, vault: SealedLog | None, stop: asyncio.Event) -> list[asyncio.Task[None]]:
    """What is done for one log: a slow sink holds up nobody else. Without a vault nothing is reviewed."""
    work: list[tuple[str, Callable[[], Awaitable[int]], float, int]] = [
        (f"look {sealed.origin}", partial(look, sealed), LOOK_SECONDS, 1),
        (f"seal {sealed.origin}", partial(seal_due, sealed), REST_SECONDS, SEAL_BATCH),
        *(
            (f"export {sealed.origin} {sink.name}", partial(export, sealed, sink), REST_SECONDS, EXPORT_BATCH)
            for sink in sealed.sinks
        ),
    ]
    if vault is not None:
        work.append((f"beat {sealed.origin}", partial(show_alive, sealed, vault), BEAT_SECONDS / 2, 1))
    if sealed is vault:
        work.append((f"review {sealed.origin}", partial(review, sealed), REVIEW_SECONDS, 1))
    return [asyncio.create_task(repeat(*one, stop), name=one[0]) for one in work]


def sealed_logs(settings: Settings, audit: AuditSettings) -> list[SealedLog]:
    """The logs whose databases we were told of; the vault's checkpoints also become leaves of the books' log.

    Raises: StartRefused, SigningKeyRefused.
    """
    key, clock = open_key(audit_folder(audit)), Clock()
    urls = {
        BOOKS_ORIGIN: settings.sequencer_database_url.get_secret_value(),
        VAULT_ORIGIN: settings.vault_sequencer_database_url.get_secret_value(),
    }
    engines = {origin: _engine(url) for origin, url in urls.items() if url}
    made = []
    for origin, engine in engines.items():
        sinks = sinks_of(audit, origin)
        guard = LogGuard(tuple(sinks), Verifier(origin, key.verify_key))
        if origin == VAULT_ORIGIN and BOOKS_ORIGIN in engines:
            sinks.append(LogSink(engines[BOOKS_ORIGIN], clock, BOOKS_ORIGIN))
        made.append(SealedLog(origin, engine, key, sinks, guard, clock, audit.retention_months))
    return made


def _engine(url: str) -> Engine:
    return create_engine(url, size=CONNECTIONS, statement_timeout_ms=STATEMENT_MILLISECONDS_MAX)


async def seal_until(settings: Settings, audit: AuditSettings, stop: asyncio.Event) -> None:
    """Seal both logs until asked to stop."""
    sealed_now = sealed_logs(settings, audit)
    for sealed in sealed_now:
        with suppress(Exception):  # the database may not be there yet; the jobs say so
            await sealed.note("sealing_started")
    vault = next((sealed for sealed in sealed_now if sealed.origin == VAULT_ORIGIN), None)
    tasks = [task for sealed in sealed_now for task in jobs(sealed, vault, stop)]
    log.info("sealer_started", logs=[sealed.origin for sealed in sealed_now])
    await stop.wait()
    await asyncio.gather(*tasks, return_exceptions=True)
    for sealed in sealed_now:
        with suppress(Exception):
            await sealed.note("sealing_stopped")
        await sealed.engine.dispose()
    log.info("sealer_stopped", at=datetime.isoformat(sealed_now[0].clock.now()) if sealed_now else "")


async def run_until_told(settings: Settings, audit: AuditSettings) -> None:
    """Seal until SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await seal_until(settings, audit, stop)


def main() -> None:
    """Run the sealer, its memory closed to others. Raises: RuntimeError under ``python -O``."""
    if sys.flags.optimize:
        raise RuntimeError("Kopeyka does not run under python -O: its assertions guard money")
    settings, audit = Settings(), AuditSettings()
    logs.set_up(settings.log_level)
    protect_memory()
    uvloop.run(run_until_told(settings, audit))


if __name__ == "__main__":
    main()
