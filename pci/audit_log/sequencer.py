"""The sequencer: staged events (and the books' entries) become leaves in a dense order, under a signed checkpoint.

One transaction seals a batch: leaves by one set-based statement, then the checkpoint over them. A sequencer that is
killed in between leaves nothing behind, and the next one seals the same batch. Only hashes travel.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nacl.signing import SigningKey
from sqlalchemy import text

from pci.audit_log.checkpoint import Checkpoint, sign
from pci.audit_log.errors import LogBroken
from pci.audit_log.merkle import EMPTY, Frontier
from pci.database import Session

SEAL_BATCH = 20_000
"""Leaves in one checkpoint, about; the rest of the last transaction comes along."""
READ_BATCH = 65_536
"""Leaf hashes read at once: 2 MiB."""
LAG_SECONDS_MAX = 120
"""What waits longer for its leaf waits for something that a person must look at."""
SEQUENCER_LOCK = 19_283
"""The advisory lock of the one sequencer that seals a log just now."""

_HEAD = text("SELECT size, frontier, sealed_through::text AS sealed_through FROM audit_checkpoints"
             " ORDER BY size DESC LIMIT 1")  # fmt: skip
_SEAL = text(
    """WITH due AS MATERIALIZED (
           SELECT row_number() OVER (ORDER BY xid, event_id, book, entry_id) - 1 AS place, *
             FROM due_audit_leaves(CAST(:after AS xid8), :limit)
       ), sealed AS (
           INSERT INTO audit_leaves (idx, leaf, event_xid, event_id, book, entry_id)
           SELECT :size + place, leaf, CASE WHEN event_id IS NOT NULL THEN xid END, event_id, book, entry_id FROM due
       )
       SELECT string_agg(leaf, '' ORDER BY place) AS leaves,
              (SELECT due.xid::text FROM due ORDER BY place DESC LIMIT 1) AS sealed_through
         FROM due"""
)
_CHECKPOINT = text(
    """INSERT INTO audit_checkpoints (size, root, frontier, sealed_through, note, signed_at)
       VALUES (:size, :root, :frontier, CAST(:sealed_through AS xid8), :note, :signed_at)"""
)

_LAG = text(
    """WITH head AS (
           SELECT coalesce((SELECT sealed_through FROM audit_checkpoints ORDER BY size DESC LIMIT 1), '0'::xid8) AS xid
       )
       SELECT CASE WHEN head.xid >= pg_snapshot_xmax(pg_current_snapshot()) THEN :stuck ELSE (
                  SELECT extract(epoch FROM CAST(:now AS timestamptz) - min(e.staged_at))::bigint
                    FROM audit_events AS e WHERE e.xid > head.xid) END
         FROM head"""
)


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log stands."""

    tree: Frontier = EMPTY
    sealed_through: str = "0"
    """The last transaction whose events are leaves."""


async def seal(
    session: Session, origin: str, key: SigningKey, *, now: datetime, limit: int = SEAL_BATCH
) -> Checkpoint | None:
    """Seal what is final and not sealed yet, and say under which checkpoint; nothing when nothing waits.

    Locks: the sequencer's; a second one at the same time seals nothing.
    """
    if not await session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": SEQUENCER_LOCK}):
        return None
    head = await find_head(session)
    sealed = (await session.execute(
        _SEAL, {"after": head.sealed_through, "size": head.tree.size, "limit": limit}
    )).one()  # fmt: skip
    if sealed.leaves is None:
        return None
    tree = head.tree.grown_by(sealed.leaves)
    checkpoint = sign(origin, tree, key)
    await session.execute(
        _CHECKPOINT,
        {
            "size": tree.size, "root": checkpoint.root, "frontier": tree.to_bytes(), "note": checkpoint.note,
            "sealed_through": sealed.sealed_through, "signed_at": now,
        },
    )  # fmt: skip
    return checkpoint


async def find_head(session: Session) -> Head:
    """Where the last checkpoint left the log."""
    row = (await session.execute(_HEAD)).one_or_none()
    if row is None:
        return Head()
    return Head(Frontier.from_bytes(row.size, row.frontier), row.sealed_through)


async def sealing_lag_seconds(session: Session, *, now: datetime) -> int:
    """How long the oldest staged event has waited for its leaf, in seconds; 0 when none waits.

    A database restored on another cluster counts transactions anew, below what was sealed: nothing would ever be due.
    """
    return int(await session.scalar(_LAG, {"now": now, "stuck": LAG_SECONDS_MAX + 1}) or 0)


async def last_note(session: Session) -> str | None:
    """The last signed checkpoint; nothing before the first."""
    note: str | None = await session.scalar(text("SELECT note FROM audit_checkpoints ORDER BY size DESC LIMIT 1"))
    return note


async def recompute(session: Session, *, tree: Frontier = EMPTY, size: int | None = None) -> Frontier:
    """The tree over the leaves that are there, from ``tree`` on, up to ``size`` leaves.

    Raises: LogBroken if a leaf is missing on the way.
    """
    while size is None or tree.size < size:
        limit = READ_BATCH if size is None else min(READ_BATCH, size - tree.size)
        row = (await session.execute(
            text("""SELECT count(*) AS number, max(idx) AS last, string_agg(leaf, '' ORDER BY idx) AS leaves
                      FROM (SELECT idx, leaf FROM audit_leaves WHERE idx >= :first ORDER BY idx LIMIT :limit) AS l"""),
            {"first": tree.size, "limit": limit},
        )).one()  # fmt: skip
        if row.number == 0:
            break
        if row.last != tree.size + row.number - 1:
            raise LogBroken(flaw="a leaf is missing", after=tree.size, before=row.last)
        tree = tree.grown_by(row.leaves)
    return tree


async def follow(session: Session, tree: Frontier) -> Frontier:
    """The log's present head, which must have grown from a tree that was seen before: nobody signs two histories.

    Raises: LogBroken if it has not, as when the database was restored under a running sealer.
    """
    head = await find_head(session)
    if head.tree != tree and await recompute(session, tree=tree, size=head.tree.size) != head.tree:
        raise LogBroken(flaw="not what it was a moment ago", seen=tree.size, found=head.tree.size)
    return head.tree


async def recompute_head(session: Session, *, tree: Frontier = EMPTY) -> Frontier:
    """The tree from its leaves (from ``tree`` on), which must be what the last checkpoint says: a second a million.

    Raises: LogBroken if it is not.
    """
    head = await find_head(session)
    tree = await recompute(session, tree=tree)
    if tree != head.tree:
        raise LogBroken(flaw="the leaves do not give the last checkpoint", leaves=tree.size, checkpoint=head.tree.size)
    return tree
