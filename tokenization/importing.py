"""Taking in a file of cards: tens of millions, in batches, each with its progress in one transaction.

Killed anywhere, it goes on at the first line that is not committed: a file is known by the hash of its bytes and the
terms of its cards, and a
card that is kept already is found again. The mapping (line, reference, token) of a batch is on disk before its commit;
what lies there of a batch that never was committed is cut off at the next start.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pci.audit_log.staging import stage
from pci.database import Session, Transactions
from pci.keys.ring import KeyRing
from tokenization import card_file, cards, import_rows, repository
from tokenization.card import CardTerms
from tokenization.card_errors import ImportAdvanced
from tokenization.card_file import CardLine, Line, RefusedLine
from tokenization.cards import BATCH_MAX, CardIn
from tokenization.ending import CardDoing
from tokenization.ids import new_id
from tokenization.import_rows import CardImport
from tokenization.repository import NewCard, Row

HASHED_BYTES = 1 << 20
LINES_AT_ONCE = 2_000
"""Small enough that reading one batch hides behind writing another."""
MAPPING_HEADING = ("line", "reference", "token", "digits_token", "is_new")


@dataclass(frozen=True, slots=True)
class ImportJob:
    """What is taken in, for whom, and where its mapping goes."""

    path: Path
    terms: CardTerms
    doing: CardDoing
    mapping: Path | None = None
    batch: int = LINES_AT_ONCE


@dataclass(frozen=True, slots=True)
class _Batch:
    lines: Sequence[Line]
    taken: Sequence[CardLine]
    sealed: Sequence[NewCard]
    copied: bytes
    """The cards as COPY takes them."""


async def take_in(transactions: Transactions, ring: KeyRing, job: ImportJob) -> CardImport:
    """Take a file in, or go on with it; a file that was taken in changes nothing.

    Raises: ImportFormUnknown; ImportAdvanced if somebody else is taking in the same file; Sealed; OSError.
    """
    known = await begin(transactions, job)
    if job.mapping is not None:
        _cut_mapping(job.mapping, known.lines_done)
    if known.status == "finished":
        return known
    with card_file.opened(job.path) as file:
        lines = card_file.lines_of(file, now=job.doing.at, skip=known.lines_done)
        return await _take_lines(transactions, ring, job, known, lines)


async def begin(transactions: Transactions, job: ImportJob) -> CardImport:
    """The import of this file: a new one, or as far as it is. Raises: OSError."""
    digest = await asyncio.to_thread(digest_of, job.path)
    async with transactions() as session:
        import_id = new_id("imp")
        known = await import_rows.begin(session, import_id, job.doing, digest, job.terms)
        if known.id == import_id:
            await stage(session, [job.doing.event("cards.import_started", f"import:{known.id}", file=digest.hex())])
    return known


async def _take_lines(
    transactions: Transactions, ring: KeyRing, job: ImportJob, known: CardImport, lines: Iterator[Line]
) -> CardImport:
    """Batch after batch; the next one is read and sealed while the database works on the last.

    It is begun when the last one's cards are on their way: in the statements before, it would only be in the way.
    """
    batch = await _read(ring, job, lines)
    while batch.lines:
        is_sent = asyncio.Event()
        following = asyncio.create_task(_read(ring, job, lines, after=is_sent))
        try:
            known = await _commit(transactions, ring, job, known, batch, is_sent)
        except BaseException:
            is_sent.set()
            await asyncio.wait([following])
            raise
        batch = await following
    async with transactions() as session:
        finished = await import_rows.finish(session, known.id, job.doing.at)
        facts = {"new": finished.cards_new, "known": finished.cards_known, "refused": finished.refused}
        await stage(session, [job.doing.event("cards.import_finished", f"import:{known.id}", **facts)])
    return finished


async def _read(ring: KeyRing, job: ImportJob, lines: Iterator[Line], *, after: asyncio.Event | None = None) -> _Batch:
    if after is not None:
        await after.wait()
    await cards.prepare(ring, job.terms.merchant_id, job.doing.at)
    return await asyncio.to_thread(_seal, ring, job, lines)


def _seal(ring: KeyRing, job: ImportJob, lines: Iterator[Line]) -> _Batch:
    batch = list(islice(lines, min(job.batch, BATCH_MAX)))
    taken = [line for line in batch if isinstance(line, CardLine)]
    brought = [CardIn(line.details, job.terms, job.doing.actor, job.doing.origin) for line in taken]
    sealed = cards.seal_cards(ring, brought)
    return _Batch(batch, taken, sealed, repository.copy_lines(sealed, now=job.doing.at))


async def _commit(
    transactions: Transactions, ring: KeyRing, job: ImportJob, known: CardImport, batch: _Batch, is_sent: asyncio.Event
) -> CardImport:
    """One batch: its cards, its refusals, its event and its place. Raises: ImportAdvanced."""
    async with transactions() as session:
        if await import_rows.lock(session, known.id) != known.lines_done:
            raise ImportAdvanced(import_id=known.id)
        rows = await _keep(session, ring, job, batch, is_sent)
        if job.mapping is not None:
            await asyncio.to_thread(_write_mapping, job.mapping, batch.taken, rows)
        refused = [line for line in batch.lines if isinstance(line, RefusedLine)]
        await import_rows.add_refusals(session, known.id, refused)
        new = sum(row["is_new"] for row in rows)
        counts = {"new": new, "known": len(rows) - new, "refused": len(refused)}
        advanced = await import_rows.advance(session, known.id, counts, job.doing.at)
        facts = {**counts, "from_line": known.lines_done + 1, "to_line": advanced.lines_done}
        await stage(session, [job.doing.event("cards.imported", f"import:{known.id}", **facts)])
    return advanced


async def _keep(session: Session, ring: KeyRing, job: ImportJob, batch: _Batch, is_sent: asyncio.Event) -> list[Row]:
    """The batch's cards, kept all at once when all are new, as they mostly are."""
    if not batch.taken:
        is_sent.set()
        return []
    is_copied = await repository.copy_new_cards(session, batch.sealed, batch.copied, on_sent=is_sent.set)
    is_sent.set()
    if is_copied:
        return [{"token": new.token, "digits_token": new.digits_token, "is_new": True} for new in batch.sealed]
    brought = [CardIn(line.details, job.terms, job.doing.actor, job.doing.origin) for line in batch.taken]
    return await cards.keep_sealed(session, ring, brought, batch.sealed, job.doing.at)


def digest_of(path: Path) -> bytes:
    """By what a file is known again."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(HASHED_BYTES):
            digest.update(part)
    return digest.digest()


def _write_mapping(path: Path, taken: Sequence[CardLine], rows: Sequence[Row]) -> None:
    """Append a batch's mapping and see it on disk."""
    text = io.StringIO()
    writer = csv.writer(text)
    for line, row in zip(taken, rows, strict=True):
        writer.writerow((line.number, line.reference, row["token"], row["digits_token"] or "", int(row["is_new"])))
    with path.open("ab") as file:
        file.write(text.getvalue().encode())
        file.flush()
        os.fsync(file.fileno())


def _cut_mapping(path: Path, lines_done: int) -> None:
    """Begin a mapping, or cut off what was written of lines that were never committed."""
    if lines_done == 0 or not path.exists():
        path.write_text(",".join(MAPPING_HEADING) + "\r\n", encoding="utf-8")
        path.chmod(0o600)
        return
    with path.open("r+b") as file:
        file.readline()
        end = file.tell()
        while (line := file.readline()).endswith(b"\n") and int(line.split(b",", 1)[0]) <= lines_done:
            end = file.tell()
        file.truncate(end)
