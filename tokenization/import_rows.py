"""Rows of imports: how far each file is, and which of its lines were refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from pci.database import Session
from tokenization.card import CardTerms
from tokenization.card_errors import ImportNotFound
from tokenization.card_file import RefusedLine
from tokenization.ending import CardDoing

REFUSALS_MAX = 1_000
"""Refusals shown at once."""
COLUMNS = "id, merchant_id, status, lines_done, cards_new, cards_known, refused, started_at, advanced_at, finished_at"


@dataclass(frozen=True, slots=True)
class CardImport:
    """A file of cards, and how far it was taken in."""

    id: str
    merchant_id: str
    status: str
    lines_done: int
    cards_new: int
    cards_known: int
    refused: int
    started_at: datetime
    advanced_at: datetime
    finished_at: datetime | None


async def begin(session: Session, import_id: str, doing: CardDoing, digest: bytes, terms: CardTerms) -> CardImport:
    """The import of this file for this merchant on these terms: a new one, or as far as it is."""
    given = {
        "id": import_id, "merchant_id": doing.merchant_id, "digest": digest, "scope": terms.scope,
        "wants_digits": terms.wants_digits, "now": doing.at,
    }  # fmt: skip
    await session.execute(
        text(
            "INSERT INTO card_imports (id, merchant_id, file_digest, scope, wants_digits, started_at, advanced_at)"
            " VALUES (:id, :merchant_id, :digest, :scope, :wants_digits, :now, :now)"
            " ON CONFLICT ON CONSTRAINT card_imports_file_key DO NOTHING"
        ),
        given,
    )
    found = await session.execute(
        text(
            f"SELECT {COLUMNS} FROM card_imports WHERE merchant_id = :merchant_id AND file_digest = :digest"  # noqa: S608
            " AND scope = :scope AND wants_digits = :wants_digits"
        ),
        given,
    )
    return CardImport(**found.mappings().one())


async def find(session: Session, import_id: str) -> CardImport:
    """An import and how far it is.

    Raises: ImportNotFound.
    """
    found = await session.execute(
        text(f"SELECT {COLUMNS} FROM card_imports WHERE id = :id"),  # noqa: S608 -- our own columns
        {"id": import_id},
    )
    if (row := found.mappings().one_or_none()) is None:
        raise ImportNotFound
    return CardImport(**row)


async def lock(session: Session, import_id: str) -> int:
    """How many lines are done. Locks: the import's row."""
    found = await session.execute(
        text("SELECT lines_done FROM card_imports WHERE id = :id FOR NO KEY UPDATE"), {"id": import_id}
    )
    return int(found.scalar_one())


async def advance(session: Session, import_id: str, counts: Mapping[str, int], now: datetime) -> CardImport:
    """Count a batch, in the transaction that kept its cards."""
    return await _change(
        session,
        "lines_done = lines_done + :new + :known + :refused, cards_new = cards_new + :new,"
        " cards_known = cards_known + :known, refused = refused + :refused, advanced_at = :now",
        {"id": import_id, "now": now, **counts},
    )


async def finish(session: Session, import_id: str, now: datetime) -> CardImport:
    """Say that no line is left."""
    done = "status = 'finished', finished_at = :now, advanced_at = :now"
    return await _change(session, done, {"id": import_id, "now": now})


async def _change(session: Session, what: str, arguments: Mapping[str, Any]) -> CardImport:
    changed = await session.execute(
        text(f"UPDATE card_imports SET {what} WHERE id = :id RETURNING {COLUMNS}"),  # noqa: S608 -- our own words
        dict(arguments),
    )
    return CardImport(**changed.mappings().one())


async def add_refusals(session: Session, import_id: str, refused: Sequence[RefusedLine]) -> None:
    """Keep which lines were refused and why."""
    if refused:
        await session.execute(
            text(
                """INSERT INTO card_import_refusals (import_id, line, code, mask)
                   SELECT :id, r.line, r.code, r.mask
                     FROM unnest(CAST(:lines AS bigint[]), CAST(:codes AS text[]), CAST(:masks AS text[]))
                          AS r (line, code, mask)"""
            ),
            {
                "id": import_id, "lines": [line.number for line in refused],
                "codes": [line.code for line in refused], "masks": [line.mask for line in refused],
            },
        )  # fmt: skip


async def refused_lines(
    session: Session, import_id: str, *, after: int = 0, limit: int = REFUSALS_MAX
) -> list[RefusedLine]:
    """Which lines were refused, in order."""
    found = await session.execute(
        text(
            "SELECT line, code, mask FROM card_import_refusals WHERE import_id = :id AND line > :after"
            " ORDER BY line LIMIT :limit"
        ),
        {"id": import_id, "after": after, "limit": min(limit, REFUSALS_MAX)},
    )
    return [RefusedLine(row.line, row.code, row.mask) for row in found]


async def refusals_by_code(session: Session, import_id: str) -> dict[str, int]:
    """How many lines were refused for each reason."""
    found = await session.execute(
        text(
            "SELECT code, count(*) AS lines FROM card_import_refusals WHERE import_id = :id GROUP BY code ORDER BY code"
        ),
        {"id": import_id},
    )
    return {row.code: row.lines for row in found}
