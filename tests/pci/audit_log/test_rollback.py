"""Rollback: an older or another database is noticed, stops everything, and goes on when two people have accepted it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from ledger.database import transaction
from pci.audit_log.checkpoint import VAULT_ORIGIN, Verifier
from pci.audit_log.errors import AcceptanceRefused, RolledBack
from pci.audit_log.exporting import export_due
from pci.audit_log.rollback import LogGuard, Rollback, accept
from pci.audit_log.sinks import FileSink, FolderSink
from tests.pci.audit_log.log import VERIFIER, Log

CUT = (
    "DELETE FROM audit_exports WHERE size > 4",
    "DELETE FROM audit_checkpoints WHERE size > 4",
    "DELETE FROM audit_leaves WHERE idx >= 4",
)


async def exported_log(log: Log, folder: Path) -> LogGuard:
    sinks = (FileSink(folder / "sink.jsonl"), FolderSink(folder / "sink"))
    for first in range(0, 12, 4):
        await log.grow(first, 4)
    for sink in sinks:
        await export_due(log.transactions, VAULT_ORIGIN, sink, now=lambda: log.now)
    return LogGuard(sinks, VERIFIER)


async def test_a_log_that_only_grew_is_let_alone(log: Log, tmp_path: Path) -> None:
    guard = await exported_log(log, tmp_path)

    assert await guard.check(log.transactions) is None
    await log.grow(12, 4)
    assert await guard.check(log.transactions) is None
    guard.refuse_if_rolled_back()
    assert guard.seen.size == 12


async def test_the_vaults_own_role_may_look(log: Log, tmp_path: Path) -> None:
    guard = await exported_log(log, tmp_path)

    assert await guard.check(lambda: transaction(log.vault)) is None


DEEDS = {
    "older than what was exported": CUT,
    "other than what was exported": ("UPDATE audit_leaves SET leaf = sha256('x') WHERE idx = 7",),
    "a leaf is missing": ("DELETE FROM audit_leaves WHERE idx = 5",),
}


@pytest.mark.parametrize("flaw", DEEDS)
async def test_another_history_is_noticed_at_start(flaw: str, log: Log, tmp_path: Path) -> None:
    guard = await exported_log(log, tmp_path)
    log.tamper(*DEEDS[flaw])

    found = await guard.check(log.transactions)

    assert found is not None
    assert (found.flaw, found.size) == (flaw, 12)
    with pytest.raises(RolledBack) as refused:
        guard.refuse_if_rolled_back()
    assert refused.value.code == "audit.rolled_back"
    assert refused.value.facts["exported"] == 12


async def test_a_database_restored_under_a_running_process_is_noticed(log: Log, tmp_path: Path) -> None:
    guard = await exported_log(log, tmp_path)
    assert await guard.check(log.transactions) is None
    log.tamper(*CUT)

    assert await guard.check(log.transactions) == Rollback(
        "older than what was exported", guard.sinks[0].name, 12, guard_root(guard), 4
    )


def guard_root(guard: LogGuard) -> bytes:
    assert guard.rollback is not None
    return guard.rollback.root


async def test_two_custodians_accept_and_the_log_says_so(log: Log, tmp_path: Path) -> None:
    guard = await exported_log(log, tmp_path)
    log.tamper(*CUT)
    rollback = await guard.check(log.transactions)
    assert rollback is not None

    for person, count in (("per_1", 1), ("per_2", 2)):
        assert await guard.check(log.transactions) is not None
        async with transaction(log.vault) as session:
            terms = {"person": person, "reason": "disk lost", "origin": "cli", "now": log.now}
            assert await accept(session, rollback, **terms) == count  # type: ignore[arg-type]

    assert await guard.check(log.transactions) is None
    guard.refuse_if_rolled_back()
    staged = log.rows(
        "SELECT convert_from(event, 'UTF8')::jsonb ->> 'action' FROM audit_events ORDER BY id DESC LIMIT 2"
    )
    assert staged == [("audit_log.rollback_accepted",)] * 2


async def test_the_log_goes_on_after_acceptance_and_is_guarded_as_before(log: Log, tmp_path: Path) -> None:
    guard = await exported_log(log, tmp_path)
    log.tamper(*CUT)
    rollback = await guard.check(log.transactions)
    assert rollback is not None
    for person in ("per_1", "per_2"):
        async with transaction(log.vault) as session:
            await accept(session, rollback, person=person, reason="disk lost", origin="cli", now=log.now)
    assert await log.seal() is not None
    for sink in guard.sinks:
        await export_due(log.transactions, VAULT_ORIGIN, sink, now=lambda: log.now)

    assert await guard.check(log.transactions) is None
    assert await LogGuard(guard.sinks, VERIFIER).check(log.transactions) is None


async def test_nobody_accepts_twice_or_without_a_reason(log: Log, tmp_path: Path) -> None:
    guard = await exported_log(log, tmp_path)
    log.tamper(*CUT)
    rollback = await guard.check(log.transactions)
    assert rollback is not None
    async with transaction(log.vault) as session:
        await accept(session, rollback, person="per_1", reason="disk lost", origin="cli", now=log.now)
        with pytest.raises(AcceptanceRefused):
            await accept(session, rollback, person="per_1", reason="disk lost", origin="cli", now=log.now)
        with pytest.raises(AcceptanceRefused):
            await accept(session, rollback, person="per_2", reason=" ", origin="cli", now=log.now)

    assert await guard.check(log.transactions) is not None


async def test_a_sink_signed_by_another_key_is_a_rollback_too(log: Log, tmp_path: Path) -> None:
    guard = await exported_log(log, tmp_path)
    stranger = LogGuard(guard.sinks, Verifier(VAULT_ORIGIN, SigningKey(b"s" * 32).verify_key))

    found = await stranger.check(log.transactions)

    assert found is not None
    assert "not signed" in found.flaw


async def test_a_rollback_stays_when_a_sink_gets_a_younger_checkpoint(log: Log, tmp_path: Path) -> None:
    guard = await exported_log(log, tmp_path)
    log.tamper(*CUT, "DELETE FROM audit_exports")
    found = await guard.check(log.transactions)
    assert found is not None
    for sink in guard.sinks:
        await export_due(log.transactions, VAULT_ORIGIN, sink, now=lambda: log.now)

    assert await guard.check(log.transactions) == found


async def test_what_was_seen_is_not_forgotten_with_the_sinks(log: Log, tmp_path: Path) -> None:
    guard = await exported_log(log, tmp_path)
    assert await guard.check(log.transactions) is None
    (tmp_path / "sink.jsonl").unlink()
    shutil.rmtree(tmp_path / "sink")
    log.tamper(*CUT)

    for _ in range(2):
        found = await guard.check(log.transactions)
        assert found is not None
        assert (found.flaw, found.size, found.found_size) == ("older than what was seen here", 12, 4)
