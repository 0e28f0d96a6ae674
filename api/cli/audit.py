"""``kopeyka audit``: what the log holds, as files an auditor takes away, and how it stands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from api import data_dir, installation
from api.audit_settings import AuditSettings
from api.audit_sinks import guard_of
from api.cli import cases
from api.cli.options import DataDirOption, JsonOption
from api.cli.vault_database import command_origin, operator
from api.data_dir import StartRefused
from api.settings import Settings
from ledger.clock import machine_now
from ledger.database import Engine, create_engine, transaction
from pci.audit_log.checkpoint import BOOKS_ORIGIN, VAULT_ORIGIN
from pci.audit_log.dumping import dump as dumped
from pci.audit_log.dumping import flawed_lines, prove_consistency, prove_inclusion
from pci.audit_log.event import AuditEvent
from pci.audit_log.exporting import waiting_exports
from pci.audit_log.rollback import ACCEPTANCES_MIN, LogGuard, accept
from pci.audit_log.sequencer import find_head, last_note, recompute_head, sealing_lag_seconds
from pci.audit_log.staging import stage
from pci.database import Session
from pci.evidence.log_reviews import LogReview, due_days, review_day

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="The log that nobody can rewrite. kopeyka-verify checks what this prints.")
app.add_typer(cases.app, name="cases")


class LogName(StrEnum):
    """Which of the two logs."""

    BOOKS = "books"
    VAULT = "vault"

    @property
    def origin(self) -> str:
        """The name it signs under."""
        return BOOKS_ORIGIN if self is LogName.BOOKS else VAULT_ORIGIN


LogOption = Annotated[LogName, typer.Option("--log", help="Which log.")]


@app.command()
def dump(file: Path, log: LogOption = LogName.VAULT, data_dir: DataDirOption = None) -> None:
    """Write every sealed line to FILE, hashes and checkpoint beside it. Reading the log is itself an event of it."""

    async def work(engine: Engine) -> int:
        async with transaction(engine) as session:
            head, note = await find_head(session), await last_note(session)
        await _note_reading(engine, log, "dumped", size=head.tree.size)
        async with transaction(engine) as session:
            with file.open("wb") as out, file.with_suffix(".leaves").open("wb") as beside:
                async for lines, leaves in dumped(session, size=head.tree.size):
                    out.write(lines)
                    beside.write(leaves)
            file.with_suffix(".checkpoint").write_text(note or "", "utf-8")
        return head.tree.size

    size = _with_log(log, data_dir, work)
    print(f"{size} lines in {file}; the checkpoint in {file.with_suffix('.checkpoint')}")


@app.command()
def status(log: LogOption = LogName.VAULT, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """How large the log is, which sinks lag behind, whether it is what was exported of it; code 1 when it is not."""

    async def work(engine: Engine) -> dict[str, Any]:
        guard = _guard(log, data_dir)
        rollback = await guard.check(partial(transaction, engine)) if guard else None
        async with transaction(engine) as session:
            head = await find_head(session)
            lag = await sealing_lag_seconds(session, now=machine_now())
            waiting = await waiting_exports(session, guard.sinks) if guard else {}
        return {
            "log": log.origin,
            "leaves": head.tree.size,
            "root": head.tree.root().hex(),
            "sealing_lag_seconds": lag,
            "not_exported": waiting,
            "rolled_back": None if rollback is None else {"flaw": rollback.flaw, "exported": rollback.size},
        }

    told = _with_log(log, data_dir, work)
    print(json.dumps(told) if as_json else "\n".join(f"{name}: {value}" for name, value in told.items()))
    raise typer.Exit(1 if told["rolled_back"] else 0)


@app.command()
def verify(log: LogOption = LogName.VAULT, data_dir: DataDirOption = None) -> None:
    """Recompute the whole tree from its leaves, compare it with the last checkpoint, every sink, and every line."""

    async def work(engine: Engine) -> tuple[int, list[str]]:
        guard = _guard(log, data_dir)
        if guard is not None:
            await guard.check(partial(transaction, engine))
            guard.refuse_if_rolled_back()
        async with transaction(engine) as session:
            size = (await recompute_head(session)).size
            return size, [flaw async for flaw in flawed_lines(session, size=size)]

    size, flaws = _with_log(log, data_dir, work)
    print(f"{log.origin}: {size} leaves give the root that was signed")
    print("\n".join(flaws) if flaws else "every line that is kept is what was hashed")
    raise typer.Exit(1 if flaws else 0)


@app.command()
def review(
    date: Annotated[
        datetime | None, typer.Option(help="A Moscow day; all that are due when empty.", formats=["%Y-%m-%d"])
    ] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Review a day of the vault's log now, as the sealer does by itself each night; code 1 when cases were opened."""

    async def work(engine: Engine) -> list[LogReview]:
        now, transactions = machine_now(), partial(transaction, engine)
        async with transaction(engine) as session:
            days = await due_days(session, now=now) if date is None else [date.date()]
        who = {"actor": operator(), "origin": command_origin()}
        return [await review_day(transactions, day, **who, now=now) for day in days]

    reviews = _with_log(LogName.VAULT, data_dir, work)
    if not reviews:
        print("Every day that is over has been reviewed")
    for done in reviews:
        print(f"{done.day}: {done.events} events, {done.suspicions} suspicions, {len(done.opened)} cases opened")
        for case in done.opened:
            print(f"  case {case.id}: {case.rule}, {case.about}")
    raise typer.Exit(1 if any(done.opened for done in reviews) else 0)


@app.command()
def checkpoint(log: LogOption = LogName.VAULT, data_dir: DataDirOption = None) -> None:
    """Print the last signed checkpoint."""

    async def work(engine: Engine) -> str | None:
        async with transaction(engine) as session:
            return await last_note(session)

    note = _with_log(log, data_dir, work)
    if note is None:
        raise StartRefused("Nothing has been sealed yet: the sealer runs with `kopeyka up`")
    print(note, end="")


@app.command()
def prove(
    idx: Annotated[int, typer.Argument(help="The leaf's number: the line of a dump, less one.")],
    log: LogOption = LogName.VAULT,
    data_dir: DataDirOption = None,
    size: Annotated[int | None, typer.Option(help="Of the checkpoint; the last one's when empty.")] = None,
) -> None:
    """Print the proof that a leaf is under a checkpoint, for `kopeyka-verify inclusion`."""
    print(_proof(log, data_dir, size, idx, lambda session, of: prove_inclusion(session, idx, size=of)))


@app.command()
def prove_growth(
    old_size: Annotated[int, typer.Argument(help="The size of the older checkpoint.")],
    log: LogOption = LogName.VAULT,
    data_dir: DataDirOption = None,
    size: Annotated[int | None, typer.Option(help="Of the newer checkpoint; the last one's when empty.")] = None,
) -> None:
    """Print the proof that a log only grew, for `kopeyka-verify consistency`."""
    proof = _proof(log, data_dir, size, old_size, lambda session, of: prove_consistency(session, old_size, size=of))
    print(proof)


@app.command()
def accept_rollback(
    person: Annotated[str, typer.Option(help="Their name, for the log; what counts is who runs this.")],
    reason: Annotated[str, typer.Option(help="Why the database is older or other than what was exported.")],
    log: LogOption = LogName.BOOKS,
    data_dir: DataDirOption = None,
) -> None:
    """Accept the books' log when it is not what was exported; two custodians are needed, as two users of this machine.

    For the vault's log custodians sign in at the vault: it answers them also while its log is rolled back.
    """
    if log is LogName.VAULT:
        raise StartRefused("For the vault's log two custodians sign in at the vault and accept there")

    async def work(engine: Engine) -> int:
        guard = _guard(log, data_dir)
        rollback = await guard.check(partial(transaction, engine)) if guard else None
        if rollback is None:
            raise StartRefused("The log is what was exported of it: there is nothing to accept")
        said = f"{person}: {reason}" if person.strip() and reason.strip() else ""
        async with transaction(engine) as session:
            return await accept(
                session, rollback, person=operator(), reason=said, origin=command_origin(), now=machine_now()
            )

    count = _with_log(log, data_dir, work)
    print(f"{count} of {ACCEPTANCES_MIN} custodians have accepted")


def _proof(
    log: LogName,
    data_dir: Path | None,
    size: int | None,
    about: int,
    prove_it: Callable[[Session, int], Awaitable[dict[str, Any]]],
) -> str:
    async def work(engine: Engine) -> dict[str, Any]:
        async with transaction(engine) as session:
            of = size or (await find_head(session)).tree.size
        await _note_reading(engine, log, "proved", size=of, about=about)
        async with transaction(engine) as session:
            return await prove_it(session, of)

    return json.dumps(_with_log(log, data_dir, work), ensure_ascii=False)


async def _note_reading(engine: Engine, log: LogName, how: str, **facts: int) -> None:
    """Before anything is read. Source: PCI DSS 10.2.1.3: access to the log is in the log."""
    event = AuditEvent(
        action=f"audit_log.{how}", actor=operator(), origin=command_origin(), subject=f"log:{log.origin}",
        happened_at=machine_now(), facts=facts,
    )  # fmt: skip
    async with transaction(engine) as session:
        await stage(session, [event])


def _guard(log: LogName, path: Path | None) -> LogGuard | None:
    """What compares the log with its sinks; nothing before the sealer's first start."""
    settings = AuditSettings()
    if settings.folder is None:
        folder = (path or Settings().data_dir or data_dir.default_path()) / "audit"
        settings = settings.model_copy(update={"folder": folder})
    return guard_of(settings, log.origin)


def _with_log(log: LogName, path: Path | None, work: Callable[[Engine], Awaitable[T]]) -> T:
    """Run ``work`` with the sequencer's rights on the log's database."""

    async def run(url: str) -> T:
        engine = create_engine(url, statement_timeout_ms=0)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    with installation.databases(Settings(), path) as databases:
        url = databases.sequencer if log is LogName.BOOKS else databases.vault_sequencer
        if not url:
            raise StartRefused(
                "Set the sequencer's way into this log's database: KOPEYKA_[VAULT_]SEQUENCER_DATABASE_URL"
            )
        return asyncio.run(run(url))
