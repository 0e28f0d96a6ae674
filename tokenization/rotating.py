"""Going over a merchant's cards after one of its keys was renewed, while everybody goes on working.

``card``: what was sealed is sealed anew under the newest data key. ``fingerprint``: the digest is made anew under the
newest fingerprint key; until that is done both digests are looked up, so no card gets a second token.
A turn is one batch and one transaction with its progress; turns may be taken by several at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session, Transactions
from pci.keys import rotation as rotations
from pci.keys.envelope import Dek, number_in
from pci.keys.errors import RotationRefused, SealBroken
from pci.keys.key import KeyPurpose
from pci.keys.register import KeyDoing
from pci.keys.ring import KeyRing
from pci.keys.rotation import Rotation, RotationKind, RotationStatus, RotationTerms
from tokenization import repository, sealing
from tokenization.ids import new_id
from tokenization.repository import ResealedCard, Row

ROWS_MAX = 1_000
"""Cards in one turn: their locks are held for some tens of milliseconds."""

TURNS_AT_ONCE = 2
"""More would only wait for each other."""

PURPOSES: dict[RotationKind, KeyPurpose] = {
    RotationKind.CARD: KeyPurpose.CARD,
    RotationKind.FINGERPRINT: KeyPurpose.FINGERPRINT,
}


@dataclass(frozen=True, slots=True)
class RotationTurn:
    """What a turn works with."""

    rotation: Rotation
    newest: Dek
    keys: dict[int, Dek]
    """Those that may open this merchant's cards."""
    now: datetime
    origin: str


async def begin(
    transactions: Transactions, ring: KeyRing, kind: RotationKind, merchant_id: str, doing: KeyDoing
) -> Rotation:
    """Renew a merchant's key and start going over its cards.

    Raises: RotationRefused if such a rotation is open; Sealed; ProviderUnavailable.
    """
    async with transactions() as session:
        total = await repository.count_active(session, merchant_id)
        started = await rotations.start(
            session, new_id("rot"), RotationTerms(kind, merchant_id, "newest", total), doing
        )
    await ring.renew(PURPOSES[kind], merchant_id, doing.at)
    return started


async def turn(
    transactions: Transactions, ring: KeyRing, rotation_id: str, *, now: datetime, origin: str, limit: int = ROWS_MAX
) -> Rotation:
    """Go over one batch more. When none is left the rotation is done; when none of the rest opens it is paused.

    Raises: RotationRefused if it does not run; Sealed; ProviderUnavailable.
    """
    async with transactions() as session:
        rotation = await rotations.find(session, rotation_id)
        numbers = await repository.card_keys(session, rotation.scope)
    newest = await ring.ensure(PURPOSES[rotation.kind], rotation.scope, now)
    keys = {number: await ring.by_number(number) for number in numbers}
    async with transactions() as session:
        return await _take_turn(session, RotationTurn(rotation, newest, keys, now, origin), min(limit, ROWS_MAX))


async def turn_all(transactions: Transactions, ring: KeyRing, *, now: datetime, origin: str) -> int:
    """A turn of every rotation of cards that runs; how many there were. Nothing while the keys are sealed.

    Raises: ProviderUnavailable.
    """
    if not ring.state.is_ready:
        return 0
    async with transactions() as session:
        running = [r for r in await rotations.list_rotations(session) if r.status == "running" and r.kind in WORK]
    for rotation in running:
        await turns(transactions, ring, rotation.id, now=now, origin=origin)
    return len(running)


async def turns(transactions: Transactions, ring: KeyRing, rotation_id: str, *, now: datetime, origin: str) -> None:
    """Several turns of one rotation at once: one batch is sealed while the database writes another.

    Raises: Sealed; ProviderUnavailable.
    """

    async def one() -> None:
        with suppress(RotationRefused):  # paused or finished by somebody else just now
            await turn(transactions, ring, rotation_id, now=now, origin=origin)

    await asyncio.gather(*(one() for _ in range(TURNS_AT_ONCE)))


async def _take_turn(session: Session, this: RotationTurn, limit: int) -> Rotation:
    rotation, doing = this.rotation, KeyDoing("system:rotation", this.origin, this.now)
    take, change = WORK[rotation.kind]
    after = int(rotation.place or 0)
    rows = await take(session, rotation.scope, this.newest.number, after, limit)
    if not rows:
        return await _end_of_pass(session, this, doing)
    changed = await change(session, this, rows)
    if not changed and after == 0 and len(rows) < limit:
        return await rotations.pause(session, rotation.id, replace(doing, reason="the rest does not open"))
    return await rotations.count(session, rotation.id, rows=changed, place=str(rows[-1]["number"]), now=this.now)


async def _end_of_pass(session: Session, this: RotationTurn, doing: KeyDoing) -> Rotation:
    """Nothing after the place: what was locked by others is taken in another pass; nothing at all: done."""
    rotation = this.rotation
    if await repository.is_any_left(session, rotation.scope, rotation.kind, this.newest.number):
        return await rotations.count(session, rotation.id, rows=0, place="", now=this.now)
    if rotation.status is RotationStatus.DONE:
        return rotation
    return await rotations.finish(session, rotation.id, doing)


async def _reseal(session: Session, this: RotationTurn, rows: Sequence[Row]) -> int:
    """Seal a batch anew; a row that does not open is left, and told."""
    resealed: list[ResealedCard] = []
    broken: list[AuditEvent] = []
    for row in rows:
        try:
            resealed.append(_resealed(row, this))
        except (SealBroken, KeyError):
            broken.append(_broken(row, this))
    await repository.keep_resealed(session, this.rotation.scope, resealed, this.newest.number)
    await stage(session, broken)
    return len(resealed)


def _resealed(row: Row, this: RotationTurn) -> ResealedCard:
    pan = _again(row["pan_sealed"], sealing.PAN_FIELD, row["token"], this)
    holder = row["holder_sealed"]
    return ResealedCard(
        row["number"], pan, None if holder is None else _again(holder, sealing.HOLDER_FIELD, row["token"], this)
    )


def _again(blob: bytes, field: str, token: str, this: RotationTurn) -> bytes:
    number = number_in(blob)
    if number == this.newest.number:
        return blob
    merchant_id = this.rotation.scope
    return sealing.seal_again(this.keys[number], this.newest, blob, field, token=token, merchant_id=merchant_id)


async def _fingerprint_anew(session: Session, this: RotationTurn, rows: Sequence[Row]) -> int:
    """Make digests anew. Of two rows of one card, which only a race at the very start can have made, one is found."""
    known: list[tuple[int, str, bytes]] = []
    events: list[AuditEvent] = []
    for row in rows:
        try:
            pan = sealing.unseal_pan(
                this.keys[row["key_number"]], row["pan_sealed"], token=row["token"], merchant_id=this.rotation.scope
            )
        except (SealBroken, KeyError):
            events.append(_broken(row, this))
            continue
        scope = row["fingerprint_scope"]
        known.append((row["number"], scope, sealing.fingerprint_of(this.newest, scope, pan)))
    twins = await repository.keep_fingerprints(session, this.rotation.scope, known, this.newest.number)
    events += [_event("card.twin_found", token, this) for token in twins]
    await stage(session, events)
    return len(known)


def _broken(row: Row, this: RotationTurn) -> AuditEvent:
    return _event("card.not_rotated", row["token"], this, AuditOutcome.FAILED)


def _event(action: str, token: str, this: RotationTurn, outcome: AuditOutcome = AuditOutcome.DONE) -> AuditEvent:
    merchant_id, facts = this.rotation.scope, {"rotation": this.rotation.id}
    return AuditEvent(
        action, "system:rotation", this.origin, f"card:{token}", this.now, outcome, merchant_id=merchant_id, facts=facts
    )


Take = Callable[[Session, str, int, int, int], Awaitable[list[Row]]]
Change = Callable[[Session, RotationTurn, Sequence[Row]], Awaitable[int]]
WORK: dict[RotationKind, tuple[Take, Change]] = {
    RotationKind.CARD: (repository.take_to_reseal, _reseal),
    RotationKind.FINGERPRINT: (repository.take_to_fingerprint, _fingerprint_anew),
}
