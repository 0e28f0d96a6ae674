"""The sequencer: dense, in order, exactly once, whoever commits late and however many sequencers there are."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from ledger.database import transaction
from pci.audit_log.checkpoint import VAULT_ORIGIN, read_checkpoint
from pci.audit_log.errors import LogBroken
from pci.audit_log.merkle import root_of
from pci.audit_log.sequencer import recompute_head, seal
from pci.audit_log.staging import lines_of, stage
from tests.pci.audit_log.log import KEY, VERIFIER, Log, event


def sealed(log: Log) -> list[tuple[object, ...]]:
    return log.rows(
        """SELECT l.idx, (convert_from(e.event, 'UTF8')::jsonb -> 'facts' ->> 'number')::int
             FROM audit_leaves AS l JOIN audit_events AS e ON e.id = l.event_id ORDER BY l.idx"""
    )


async def test_what_was_staged_is_sealed_under_a_signed_checkpoint(log: Log) -> None:
    checkpoint = await log.grow(0, 5)

    leaves = [leaf for (leaf,) in log.rows("SELECT leaf FROM audit_leaves ORDER BY idx")]
    assert checkpoint.size == 5
    assert checkpoint.root == root_of(leaves)  # type: ignore[arg-type]
    assert read_checkpoint(checkpoint.note, VERIFIER) == checkpoint
    assert sealed(log) == [(number, number) for number in range(5)]


async def test_when_nothing_waits_nothing_is_sealed(log: Log) -> None:
    assert await log.seal() is None
    await log.grow(0, 1)
    assert await log.seal() is None


async def test_batches_are_dense_and_never_cut_a_transaction(log: Log) -> None:
    for first in range(0, 30, 3):
        await log.stage(first, 3)

    sizes = []
    while (checkpoint := await log.seal(limit=4)) is not None:
        sizes.append(checkpoint.size)

    assert sizes == [6, 12, 18, 24, 30]
    assert sealed(log) == [(number, number) for number in range(30)]


async def test_a_transaction_that_commits_late_is_not_passed_over(log: Log) -> None:
    async with transaction(log.vault) as late:
        await stage(late, [event(log.now, 100)])
        await log.stage(0, 3, is_behind_another=True)
        assert await log.seal() is None  # all of it waits for whoever began first

    checkpoint = await log.seal()
    assert checkpoint is not None
    assert sorted(number for _, number in sealed(log)) == [0, 1, 2, 100]  # type: ignore[type-var]


async def test_transactions_are_ordered_as_numbers_and_not_as_words(log: Log) -> None:
    """999 comes before 1000: a position that went back to 999 would seal 1000 twice, and stop for ever."""
    lines = lines_of([event(log.now, number) for number in range(2)])
    with psycopg.connect(log.superuser_url) as connection:
        for placed in zip(("9", "10"), lines, strict=True):
            connection.execute("INSERT INTO audit_events (xid, event) VALUES (%s, %s)", placed)

    assert await log.seal() is not None
    assert log.rows("SELECT sealed_through::text FROM audit_checkpoints") == [("10",)]
    await log.grow(2, 1)
    assert [number for _, number in sealed(log)] == [0, 1, 2]


async def test_of_two_sequencers_one_leads(log: Log) -> None:
    await log.stage(0, 3)
    async with transaction(log.sequencer) as first:
        assert await seal(first, VAULT_ORIGIN, KEY, now=log.now) is not None
        assert await log.seal() is None

    assert await log.seal() is None
    assert len(sealed(log)) == 3


async def test_many_sequencers_and_many_writers_lose_and_double_nothing(log: Log) -> None:
    async def write(first: int) -> None:
        for number in range(5):
            await log.stage(first + number, 1)

    await asyncio.gather(*(write(first) for first in range(0, 40, 5)), *(log.seal(limit=3) for _ in range(12)))
    while await log.seal() is not None:
        pass

    assert sorted(number for _, number in sealed(log)) == list(range(40))  # type: ignore[type-var]
    assert [idx for idx, _ in sealed(log)] == list(range(40))


async def test_the_tree_is_recomputed_from_its_leaves(log: Log) -> None:
    for first in range(0, 12, 4):
        await log.grow(first, 4)

    async with log.transactions() as session:
        tree = await recompute_head(session)

    assert tree.size == 12


@pytest.mark.parametrize(
    "deed",
    [
        "UPDATE audit_leaves SET leaf = sha256('other') WHERE idx = 1",
        "DELETE FROM audit_leaves WHERE idx = 1",
        "DELETE FROM audit_leaves WHERE idx = 3",
        "UPDATE audit_checkpoints SET root = sha256('other'), frontier = sha256('other')",
    ],
)
async def test_a_tree_that_is_not_what_was_signed_is_found_at_start(log: Log, deed: str) -> None:
    await log.grow(0, 4)
    log.tamper(deed)

    async with log.transactions() as session:
        with pytest.raises(LogBroken):
            await recompute_head(session)
