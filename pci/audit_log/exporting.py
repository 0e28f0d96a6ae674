"""Exporting: every checkpoint goes to every sink, and is exported when the sink has it and we wrote that down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import text

from pci.audit_log.checkpoint import Checkpoint
from pci.audit_log.sinks import CheckpointSink, Exported
from pci.database import Session, Transactions

EXPORT_BATCH = 50
"""Checkpoints read at once; the rest waits for the next round."""
SINKS_MIN = 2
"""Fewer than these, and a checkpoint is not safe from one loss."""

_DUE = text(
    """SELECT c.size, c.root, c.note,
              coalesce((SELECT max(b.size) FROM audit_checkpoints AS b WHERE b.size < c.size), 0) AS first
         FROM audit_checkpoints AS c
        WHERE c.size > coalesce((SELECT max(e.size) FROM audit_exports AS e WHERE e.sink = :sink), 0)
        ORDER BY c.size LIMIT :limit"""
)


async def export_due(
    transactions: Transactions, origin: str, sink: CheckpointSink, *, now: Callable[[], datetime]
) -> int:
    """Give a sink the next checkpoints it does not have, in their order, and say how many it took.

    Raises: what the sink raises when it cannot keep one; those before it are written down.
    """
    async with transactions() as session:
        due = await _due(session, origin, sink)
    for exported in due:
        await sink.write(exported)
        async with transactions() as session:
            await _note_exported(session, sink, exported.checkpoint.size, now())
    return len(due)


async def _due(session: Session, origin: str, sink: CheckpointSink) -> Sequence[Exported]:
    rows = (await session.execute(_DUE, {"sink": sink.name, "limit": EXPORT_BATCH})).all()
    return [
        Exported(
            Checkpoint(origin, row.size, row.root, row.note),
            row.first,
            await session.scalar(
                text("SELECT string_agg(leaf, '' ORDER BY idx) FROM audit_leaves WHERE idx >= :first AND idx < :size"),
                {"first": row.first, "size": row.size},
            ),
        )
        for row in rows
    ]


async def _note_exported(session: Session, sink: CheckpointSink, size: int, now: datetime) -> None:
    await session.execute(
        text("""INSERT INTO audit_exports (size, sink, exported_at) VALUES (:size, :sink, :now)
                ON CONFLICT DO NOTHING"""),
        {"size": size, "sink": sink.name, "now": now},
    )


async def waiting_exports(session: Session, sinks: Sequence[CheckpointSink]) -> dict[str, int]:
    """How many checkpoints each sink does not have yet."""
    waiting = {}
    for sink in sinks:
        waiting[sink.name] = int(await session.scalar(
            text("""SELECT count(*) FROM audit_checkpoints
                     WHERE size > coalesce((SELECT max(size) FROM audit_exports WHERE sink = :sink), 0)"""),
            {"sink": sink.name},
        ) or 0)  # fmt: skip
    return waiting
