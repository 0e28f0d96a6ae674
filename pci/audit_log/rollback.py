"""Rollback: a database that was restored to an older copy, or rewritten, against what was exported of its log.

Looked for at start and each minute, by the sealer and by the vault. Until two custodians accept, nothing is sealed and
the vault writes and reveals nothing. What they accepted is that checkpoint and no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text

from pci.audit_log.checkpoint import Checkpoint, Verifier, read_checkpoint
from pci.audit_log.errors import AcceptanceRefused, CheckpointMalformed, LogBroken, RolledBack
from pci.audit_log.event import AuditEvent
from pci.audit_log.merkle import EMPTY, Frontier
from pci.audit_log.sequencer import recompute
from pci.audit_log.sinks import CheckpointSink
from pci.audit_log.staging import stage
from pci.database import Session, Transactions
from pci.keys.proofs import holds, prove
from pci.keys.ring import KeyRing

ACCEPTANCES_MIN = 2
"""Four eyes: who could have restored the copy does not accept it alone."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """How the database differs from a checkpoint that was exported of it."""

    flaw: str
    sink: str
    size: int = 0
    """Of the exported checkpoint, 0 when its note cannot be read."""
    root: bytes = b""
    found_size: int = 0
    """How many leaves of it the database has."""

    def is_in(self, accepted: set[tuple[int, bytes]]) -> bool:
        """Whether two custodians accepted it."""
        return (self.size, self.root) in accepted


@dataclass(slots=True)
class LogGuard:
    """Watches one log for one process: what it has seen of it, and what is wrong now."""

    sinks: Sequence[CheckpointSink]
    verifier: Verifier
    seen: Frontier = EMPTY
    """The tree as it was when it was last found right; its leaves were all hashed once."""
    passed: set[tuple[int, bytes]] = field(default_factory=set)
    """Checkpoints of sinks that were compared and are its beginning."""
    rollback: Rollback | None = None
    is_blind: bool = False
    """Whether something was sealed and no sink could be asked what it has of it: nothing would be noticed."""
    ring: KeyRing | None = None
    """Of the vault, which counts only acceptances it proved itself; the sealer has no keys and counts rows."""

    async def check(self, transactions: Transactions) -> Rollback | None:
        """Compare the log with the last checkpoint of every sink. The first time it reads every leaf hash.

        A rollback that was found stays until two custodians accept it, or the process starts anew.

        Raises: what the database raises; a guard that cannot look keeps what it knew.
        """
        exported = [(sink.name, await self._read(sink)) for sink in self.sinks]
        async with transactions() as session:
            self.rollback = await self._compare(session, [pair for pair in exported if pair[1] is not None])
            is_sealed = await session.scalar(text("SELECT EXISTS (SELECT FROM audit_checkpoints)"))
        self.is_blind = bool(is_sealed) and all(pair[1] is None for pair in exported)
        return self.rollback

    def refuse_if_rolled_back(self) -> None:
        """Called before every write and every reveal. Raises: RolledBack."""
        if self.rollback is not None:
            raise RolledBack(flaw=self.rollback.flaw, exported=self.rollback.size, found=self.rollback.found_size)

    async def _read(self, sink: CheckpointSink) -> Checkpoint | str | None:
        """What a sink holds; a text when it is not a checkpoint of ours."""
        try:
            note = await sink.latest()
            return None if note is None else read_checkpoint(note, self.verifier)
        except (CheckpointMalformed, ValueError) as error:
            return str(getattr(error, "facts", {}).get("flaw", error))
        except OSError:
            return None  # a sink that is away is the exporter's alarm

    async def _compare(
        self, session: Session, exported: Sequence[tuple[str, Checkpoint | str | None]]
    ) -> Rollback | None:
        accepted = await accepted_checkpoints(session, self.ring)
        if self.rollback is not None and self.rollback.root and not self.rollback.is_in(accepted):
            return self.rollback  # also when a sink was given a younger checkpoint since
        leaves = await session.scalar(text("SELECT coalesce(max(idx) + 1, 0) FROM audit_leaves"))
        lost = self.seen if leaves < self.seen.size else EMPTY
        if lost.size:
            self.seen, self.passed = EMPTY, set()
        found = [pair for pair in exported if isinstance(pair[1], Checkpoint)]
        for sink, checkpoint in sorted(found, key=lambda pair: pair[1].size):  # type: ignore[union-attr]
            assert isinstance(checkpoint, Checkpoint)
            known = (checkpoint.size, checkpoint.root)
            if known in accepted:
                self.seen, self.passed = EMPTY, set()  # what was seen may be of the history that was given up
                continue
            if known in self.passed:
                continue
            flaw, size = await self._beginning(session, checkpoint)
            if flaw:
                return Rollback(flaw, sink, checkpoint.size, checkpoint.root, size)
            self.passed.add(known)
        if lost.size and (lost.size, lost.root()) not in accepted:
            return Rollback("older than what was seen here", "this process", lost.size, lost.root(), leaves)
        unreadable = next((pair for pair in exported if isinstance(pair[1], str)), None)
        return Rollback(f"its last checkpoint: {unreadable[1]}", unreadable[0]) if unreadable else None

    async def _beginning(self, session: Session, checkpoint: Checkpoint) -> tuple[str, int]:
        """Why the log does not begin with the checkpoint, and how many leaves it has of it; empty when it does."""
        start = self.seen if self.seen.size <= checkpoint.size else EMPTY
        try:
            tree = await recompute(session, tree=start, size=checkpoint.size)
        except LogBroken:
            return "a leaf is missing", start.size
        if tree.size < checkpoint.size:
            return "older than what was exported", tree.size
        if tree.root() != checkpoint.root:
            return "other than what was exported", tree.size
        self.seen = max(self.seen, tree, key=lambda one: one.size)
        return "", tree.size


async def accepted_checkpoints(session: Session, ring: KeyRing | None = None) -> set[tuple[int, bytes]]:
    """Exported checkpoints that two custodians accepted not to be the beginning of this log."""
    rows = await session.execute(text("SELECT size, root, person, proof FROM audit_acceptances"))
    counted: Counter[tuple[int, bytes]] = Counter()
    for row in rows:
        if ring is None or await holds(ring, row.proof, *_parts(row.size, row.root, row.person)):
            counted[(row.size, row.root)] += 1
    return {known for known, count in counted.items() if count >= ACCEPTANCES_MIN}


def _parts(size: int, root: bytes, person: str) -> tuple[str, ...]:
    return "acceptance", str(size), root.hex(), person


async def accept(
    session: Session,
    rollback: Rollback,
    *,
    person: str,
    reason: str,
    origin: str,
    now: datetime,
    ring: KeyRing | None = None,
) -> int:
    """One custodian accepts the log as it is, and the log says so; returns how many have.

    Raises: AcceptanceRefused if the person has accepted already, gives no reason, or there is no checkpoint to name.
    """
    if not reason.strip() or not rollback.root:
        raise AcceptanceRefused("A reason, and a checkpoint that can be read, are needed", sink=rollback.sink)
    made = _parts(rollback.size, rollback.root, person)
    proof = None if ring is None else await prove(ring, *made, now=now)
    kept = await session.execute(
        text("""INSERT INTO audit_acceptances (size, root, person, reason, accepted_at, proof)
                VALUES (:size, :root, :person, :reason, :now, :proof) ON CONFLICT DO NOTHING"""),
        {
            "size": rollback.size,
            "root": rollback.root,
            "person": person,
            "reason": reason,
            "now": now,
            "proof": proof,
        },
    )
    if kept.rowcount == 0:
        raise AcceptanceRefused("This person has accepted it already; another one is needed", person=person)
    await stage(session, [_acceptance(rollback, person, reason, origin, now)])
    count = await session.scalar(
        text("SELECT count(*) FROM audit_acceptances WHERE size = :size AND root = :root"),
        {"size": rollback.size, "root": rollback.root},
    )
    return int(count or 0)


def _acceptance(rollback: Rollback, person: str, reason: str, origin: str, now: datetime) -> AuditEvent:
    return AuditEvent(
        action="audit_log.rollback_accepted",
        actor=f"person:{person}",
        origin=origin,
        subject=f"checkpoint:{rollback.size}",
        happened_at=now,
        facts={"root": rollback.root.hex(), "found": rollback.found_size, "flaw": rollback.flaw, "reason": reason},
    )
