"""Each proof is shown to notice what it is there for: the superuser breaks the books behind their back."""

from __future__ import annotations

from datetime import datetime

import psycopg
import pytest
from nacl.signing import SigningKey

from ledger import days, holds, journal
from ledger.database import Engine, create_engine, transaction
from ledger.proofs import PROOFS, broken_proofs
from pci.audit_log.checkpoint import BOOKS_ORIGIN
from pci.audit_log.sequencer import seal
from tests.conftest import Database
from tests.ledger.books import CASH, FEES, PAYABLE, entry

FORGERIES = {
    "trial_balance": "UPDATE accounts SET debits_posted = debits_posted + 1 WHERE code = 'asset:cash:main'",
    "balances_equal_postings": "UPDATE postings SET amount = amount + 1 WHERE reference = 'e1'",
    "versions_contiguous": "UPDATE accounts SET version = version + 1 WHERE code = 'asset:cash:main'",
    "holds_equal_held": "UPDATE accounts SET debits_held = debits_held + 1 WHERE code = 'asset:cash:main'",
    "days_equal_postings": "UPDATE day_totals SET debits = debits + 1",
    "entries_whole": "UPDATE postings SET number = 2 WHERE reference IS NULL OR number = 1",
    "in_transit_zero": "UPDATE accounts SET code = 'asset:in_transit:main' WHERE code = 'asset:cash:main'",
    "entries_sealed": "UPDATE postings SET kind = 'transfer', reference = 'e9' WHERE reference = 'e1'",
}


async def fill(engine: Engine, now: datetime) -> None:
    async with transaction(engine) as session:
        await journal.post_batch(
            session, [entry("e1", CASH, PAYABLE, 100, now), entry("e2", PAYABLE, FEES, 3, now)], now=now
        )
        await holds.place(session, holds.HoldRequest("h", "payout", PAYABLE, CASH, 50, now), now=now)
    async with transaction(engine) as session:
        assert await days.fold(session) == 2


async def seal_all(database: Database, now: datetime) -> None:
    sequencer = create_engine(database.sequencer_url)
    async with transaction(sequencer) as session:
        assert await seal(session, BOOKS_ORIGIN, SigningKey(b"k" * 32), now=now) is not None
    await sequencer.dispose()


@pytest.mark.parametrize("proof", PROOFS)
async def test_a_forged_row_breaks_its_proof(books: Engine, database: Database, now: datetime, proof: str) -> None:
    await fill(books, now)
    await seal_all(database, now)
    async with transaction(books) as session:
        assert await broken_proofs(session) == []
    with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
        for table in ("postings", "accounts"):
            superuser.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        superuser.execute("ALTER TABLE postings DROP CONSTRAINT postings_are_sound")
        superuser.execute(FORGERIES[proof])

    async with transaction(books) as session:
        broken = {row.proof for row in await broken_proofs(session)}

    assert proof in broken


@pytest.mark.parametrize(
    ("forgery", "flaw"),
    [
        ("UPDATE postings SET amount = amount + 1 WHERE reference = 'e1'", "edited after it was sealed"),
        ("UPDATE postings SET happened_at = happened_at + interval '1 day'", "edited after it was sealed"),
        ("UPDATE postings SET metadata = '{}' WHERE reference = 'e1'", "edited after it was sealed"),
        ("DELETE FROM postings WHERE reference = 'e1'", "a leaf without its entry"),
        ("DELETE FROM audit_leaves WHERE idx = 0", "not a leaf"),
    ],
)
async def test_an_entry_that_is_not_what_was_sealed_is_named(
    books: Engine, database: Database, now: datetime, forgery: str, flaw: str
) -> None:
    await fill(books, now)
    await seal_all(database, now)
    with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
        for table in ("postings", "audit_leaves"):
            superuser.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
        superuser.execute(forgery.encode())

    async with transaction(books) as session:
        broken = [row for row in await broken_proofs(session) if row.proof == "entries_sealed"]

    assert flaw in {row.facts["flaw"] for row in broken}


async def test_what_is_not_sealed_yet_breaks_no_proof(books: Engine, now: datetime) -> None:
    await fill(books, now)

    async with transaction(books) as session:
        assert await broken_proofs(session) == []
