"""The log as files that an auditor takes away: a dump of every line, and proofs of single facts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import text

from pci.audit_log.errors import LeafNotFound
from pci.audit_log.merkle import consistency_path, inclusion_path, split
from pci.audit_log.sequencer import READ_BATCH
from pci.database import Session

LINES_AT_ONCE = 10_000


async def dump(session: Session, *, size: int) -> AsyncIterator[tuple[bytes, bytes]]:
    """The first ``size`` leaves, many at once: the lines of a dump, and the hashes that the database holds.

    A line is the very bytes that were hashed, or the hash alone after retention; an entry's bytes are made again from
    the books.
    """
    first = 0
    while first < size:
        rows = (await session.execute(
            text("SELECT idx, leaf, line FROM audit_lines(:first, :limit)"),
            {"first": first, "limit": min(LINES_AT_ONCE, size - first)},
        )).all()  # fmt: skip
        if not rows:
            return
        yield b"".join(dump_line(row.leaf, row.line) for row in rows), b"".join(row.leaf for row in rows)
        first = rows[-1].idx + 1


async def flawed_lines(session: Session, *, size: int) -> AsyncIterator[str]:
    """Lines that are not what was hashed any more, and events that are gone though older ones are there."""
    for first in range(0, size, LINES_AT_ONCE):
        changed = await session.scalars(
            text("""SELECT idx FROM audit_lines(:first, :limit)
                     WHERE line IS NOT NULL AND sha256('\\x00'::bytea || line) <> leaf ORDER BY idx"""),
            {"first": first, "limit": min(LINES_AT_ONCE, size - first)},
        )
        for idx in changed:
            yield f"leaf {idx}: its line is not what was hashed"
    gone = await session.scalars(
        text("""SELECT l.idx FROM audit_leaves AS l
                 WHERE l.event_xid > (SELECT xid FROM audit_events ORDER BY xid LIMIT 1) AND l.idx < :size
                   AND NOT EXISTS (SELECT FROM audit_events AS e WHERE e.xid = l.event_xid AND e.id = l.event_id)
                 ORDER BY l.idx"""),
        {"size": size},
    )
    for idx in gone:
        yield f"leaf {idx}: its event is gone"


def dump_line(leaf: bytes, line: bytes | None) -> bytes:
    """One line of a dump."""
    return b'{"leaf":"%b"}\n' % leaf.hex().encode() if line is None else line + b"\n"


async def prove_inclusion(session: Session, idx: int, *, size: int) -> dict[str, Any]:
    """The proof that leaf ``idx`` is under the checkpoint of ``size`` leaves. Reads every leaf hash of it.

    Raises: LeafNotFound.
    """
    leaves = await _leaves(session, size)
    if not 0 <= idx < len(leaves):
        raise LeafNotFound(idx=idx, size=len(leaves))
    row = (await session.execute(text("SELECT leaf, line FROM audit_lines(:idx, 1)"), {"idx": idx})).one()
    proof: dict[str, Any] = {"idx": idx, "size": size, "leaf": row.leaf.hex()}
    if row.line is not None:
        proof["line"] = row.line.decode()
    return proof | {"path": [step.hex() for step in inclusion_path(leaves, idx)]}


async def prove_consistency(session: Session, old_size: int, *, size: int) -> dict[str, Any]:
    """The proof that the first ``old_size`` leaves are the beginning of ``size``. Reads every leaf hash.

    Raises: LeafNotFound.
    """
    leaves = await _leaves(session, size)
    if not 0 < old_size <= len(leaves):
        raise LeafNotFound(idx=old_size - 1, size=len(leaves))
    path = consistency_path(leaves, old_size)
    return {"old_size": old_size, "size": size, "path": [step.hex() for step in path]}


async def _leaves(session: Session, size: int) -> list[bytes]:
    leaves: list[bytes] = []
    while len(leaves) < size:
        joined = await session.scalar(
            text("""SELECT string_agg(leaf, '' ORDER BY idx) FROM audit_leaves
                     WHERE idx >= :first AND idx < :last"""),
            {"first": len(leaves), "last": min(size, len(leaves) + READ_BATCH)},
        )
        if joined is None:
            break
        leaves += split(joined)
    return leaves
