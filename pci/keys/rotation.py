"""Rotations: long work over many rows that shows how far it is, stops when told, and goes on where it stopped.

A batch's rows and its progress are one transaction, so a crash between batches repeats nothing and loses nothing.
Re-wrapping data keys is in ``rewrapping``; re-encrypting cards under a new data key is the vault's, with these verbs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import RowMapping, text

from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage
from pci.database import Session
from pci.keys.errors import RotationRefused
from pci.keys.register import KeyDoing

LIST_MAX = 200


class RotationKind(StrEnum):
    """What is gone over."""

    KEK = "kek"
    """Data keys, wrapped anew under the newest KEK."""
    CARD = "card"
    """Cards of one merchant, closed anew with its newest data key."""
    FINGERPRINT = "fingerprint"
    """Cards of one merchant, known by digests under its newest fingerprint key."""


class RotationStatus(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"


ALLOWED: dict[RotationStatus, frozenset[RotationStatus]] = {
    RotationStatus.RUNNING: frozenset({RotationStatus.PAUSED, RotationStatus.DONE}),
    RotationStatus.PAUSED: frozenset({RotationStatus.RUNNING}),
    RotationStatus.DONE: frozenset(),
}
WORDS = {
    RotationStatus.PAUSED: "rotation.paused",
    RotationStatus.RUNNING: "rotation.resumed",
    RotationStatus.DONE: "rotation.finished",
}


@dataclass(frozen=True, slots=True)
class RotationTerms:
    """What to go over, towards what, and how much of it there is."""

    kind: RotationKind
    scope: str
    """A merchant's id; ``all`` for the KEK."""
    target: str
    """The number of the new data key, or the version of the new KEK."""
    rows_total: int


@dataclass(frozen=True, slots=True)
class Rotation:
    """One rotation and how far it is."""

    id: str
    kind: RotationKind
    scope: str
    target: str
    status: RotationStatus
    rows_total: int
    rows_done: int
    place: str
    """After which row to go on: the last key of the last batch, empty at the start."""
    started_by: str
    started_at: datetime
    changed_at: datetime
    finished_at: datetime | None

    @property
    def percent(self) -> int:
        """Whole percents; 100 only when it is done."""
        if self.status is RotationStatus.DONE:
            return 100
        return min(99, 100 * self.rows_done // self.rows_total) if self.rows_total else 0

    @property
    def remaining(self) -> timedelta | None:
        """How long it will still take at its pace so far; None before the first batch."""
        if not self.rows_done or self.status is RotationStatus.DONE:
            return None
        left = max(0, self.rows_total - self.rows_done)
        return (self.changed_at - self.started_at) * left // self.rows_done


def advance(status: RotationStatus, to: RotationStatus) -> RotationStatus:
    """Move a rotation's status.

    Raises: RotationRefused.
    """
    if to not in ALLOWED[status]:
        raise RotationRefused(f"a rotation cannot go from {status} to {to}", status=str(status), to=str(to))
    return to


def read_rotation(row: RowMapping) -> Rotation:
    words = {"kind": RotationKind(row["kind"]), "status": RotationStatus(row["status"])}
    return Rotation(**{**row, **words})


async def start(session: Session, rotation_id: str, terms: RotationTerms, doing: KeyDoing) -> Rotation:
    """Begin a rotation.

    Raises: RotationRefused if one of this kind and scope is open.
    """
    made = await session.execute(
        text(
            "INSERT INTO rotations (id, kind, scope, target, rows_total, started_by, started_at, changed_at)"
            " VALUES (:id, :kind, :scope, :target, :rows_total, :by, :at, :at)"
            " ON CONFLICT (kind, scope) WHERE status <> 'done' DO NOTHING RETURNING *"
        ),
        {
            "id": rotation_id, "kind": str(terms.kind), "scope": terms.scope, "target": terms.target,
            "rows_total": terms.rows_total, "by": doing.actor, "at": doing.at,
        },
    )  # fmt: skip
    if (row := made.mappings().one_or_none()) is None:
        raise RotationRefused("such a rotation is open already", kind=str(terms.kind), scope=terms.scope)
    rotation = read_rotation(row)
    await stage(session, [event("rotation.started", rotation, doing)])
    return rotation


async def find(session: Session, rotation_id: str, *, lock: bool = False) -> Rotation:
    """A rotation, locked until the transaction ends when a batch is going to be counted.

    Raises: RotationRefused if there is none.
    """
    one = text("SELECT * FROM rotations WHERE id = :id")
    locked = text("SELECT * FROM rotations WHERE id = :id FOR UPDATE")
    found = await session.execute(locked if lock else one, {"id": rotation_id})
    if (row := found.mappings().one_or_none()) is None:
        raise RotationRefused("there is no such rotation", id=rotation_id)
    return read_rotation(row)


async def find_open(session: Session, kind: RotationKind, scope: str) -> Rotation | None:
    """The rotation of this kind and scope that is not done."""
    found = await session.execute(
        text("SELECT * FROM rotations WHERE kind = :kind AND scope = :scope AND status <> 'done'"),
        {"kind": str(kind), "scope": scope},
    )
    row = found.mappings().one_or_none()
    return None if row is None else read_rotation(row)


async def list_rotations(session: Session, *, limit: int = LIST_MAX) -> list[Rotation]:
    """The latest first."""
    found = await session.execute(
        text("SELECT * FROM rotations ORDER BY started_at DESC, id LIMIT :limit"), {"limit": min(limit, LIST_MAX)}
    )
    return [read_rotation(row) for row in found.mappings()]


async def count(session: Session, rotation_id: str, *, rows: int, place: str, now: datetime) -> Rotation:
    """Count a batch, in the transaction that changed its rows.

    Raises: RotationRefused if it was paused or done meanwhile; then the batch must be rolled back.
    Locks: the rotation's row.
    """
    counted = await session.execute(
        text(
            "UPDATE rotations SET rows_done = rows_done + :rows, place = :place, changed_at = :at"
            " WHERE id = :id AND status = 'running' RETURNING *"
        ),
        {"rows": rows, "place": place, "at": now, "id": rotation_id},
    )
    if (row := counted.mappings().one_or_none()) is None:
        raise RotationRefused("the rotation does not run", id=rotation_id)
    return read_rotation(row)


async def pause(session: Session, rotation_id: str, doing: KeyDoing) -> Rotation:
    """Stop after the batch that is under way.

    Raises: RotationRefused.
    """
    return await _move(session, rotation_id, RotationStatus.PAUSED, doing)


async def resume(session: Session, rotation_id: str, doing: KeyDoing) -> Rotation:
    """Let it go on where it stopped.

    Raises: RotationRefused.
    """
    return await _move(session, rotation_id, RotationStatus.RUNNING, doing)


async def finish(session: Session, rotation_id: str, doing: KeyDoing) -> Rotation:
    """Say that nothing is left to do.

    Raises: RotationRefused.
    """
    return await _move(session, rotation_id, RotationStatus.DONE, doing)


async def _move(session: Session, rotation_id: str, to: RotationStatus, doing: KeyDoing) -> Rotation:
    rotation = await find(session, rotation_id, lock=True)
    advance(rotation.status, to)
    moved = await session.execute(
        text(
            "UPDATE rotations SET status = :to, changed_at = :at,"
            " finished_at = CASE WHEN :to = 'done' THEN CAST(:at AS timestamptz) END WHERE id = :id RETURNING *"
        ),
        {"to": str(to), "at": doing.at, "id": rotation_id},
    )
    rotation = read_rotation(moved.mappings().one())
    await stage(session, [event(WORDS[to], rotation, doing)])
    return rotation


def event(action: str, rotation: Rotation, doing: KeyDoing) -> AuditEvent:
    """A line of the log about a rotation."""
    facts: dict[str, str | int] = {"kind": str(rotation.kind), "scope": rotation.scope, "target": rotation.target}
    facts |= {"rows_done": rotation.rows_done, "rows_total": rotation.rows_total}
    return AuditEvent(action, doing.actor, doing.origin, f"rotation:{rotation.id}", doing.at, facts=facts)
