"""A new KEK, and every data key wrapped under it: in batches, while the vault works.

A data key's bytes do not change, so cards stay as they are and no open key is lost. A batch is opened and closed
outside any transaction and kept only where the row is still as it was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage
from pci.database import Session, Transactions
from pci.keys import register, rotation
from pci.keys.errors import RotationRefused
from pci.keys.kek import KekProvider, WrappedKey
from pci.keys.register import COLUMNS, KeyDoing, StoredKey
from pci.keys.ring import context_of
from pci.keys.rotation import Rotation, RotationKind, RotationStatus, RotationTerms

BATCH_MAX = 500
EVERYTHING = "all"


@dataclass(frozen=True, slots=True)
class RewrappedKey:
    """A key as it was read, and how it is closed now."""

    stored: StoredKey
    wrapped: WrappedKey


async def begin(transactions: Transactions, provider: KekProvider, rotation_id: str, doing: KeyDoing) -> Rotation:
    """Make a new KEK and begin to wrap everything under it. A rotation that is open goes on first.

    Raises: RotationRefused if one is open; Sealed; ProviderUnavailable.
    """
    async with transactions() as session:
        if (open_one := await rotation.find_open(session, RotationKind.KEK, EVERYTHING)) is not None:
            raise RotationRefused("a KEK rotation is open already", id=open_one.id)
    version = await provider.rotate()
    async with transactions() as session:
        total = await count_elsewhere(session, provider.name, version)
        terms = RotationTerms(RotationKind.KEK, EVERYTHING, version, total)
        return await rotation.start(session, rotation_id, terms, doing)


async def run_batch(
    transactions: Transactions, provider: KekProvider, rotation_id: str, doing: KeyDoing, *, limit: int = BATCH_MAX
) -> Rotation:
    """Wrap the next keys; finish when none is left. Called again and again; does nothing while paused.

    Raises: RotationRefused if it was paused under way; Sealed; ProviderUnavailable; SealBroken.
    """
    async with transactions() as session:
        known = await rotation.find(session, rotation_id)
        if known.status is not RotationStatus.RUNNING:
            return known
        batch = await next_keys(session, provider.name, known, min(limit, BATCH_MAX))
    if not batch:
        return await _end(transactions, provider, known, doing)
    rewrapped = [RewrappedKey(stored, await _rewrap(provider, stored)) for stored in batch]
    async with transactions() as session:
        kept = await _keep(session, rewrapped)
        await stage(session, [_event(one, doing) for one in kept])
        place = str(batch[-1].key.number)
        return await rotation.count(session, rotation_id, rows=len(kept), place=place, now=doing.at)


async def _end(transactions: Transactions, provider: KekProvider, known: Rotation, doing: KeyDoing) -> Rotation:
    async with transactions() as session:
        if await count_elsewhere(session, provider.name, known.target):  # made meanwhile under an older KEK
            return await rotation.count(session, known.id, rows=0, place="", now=doing.at)
        return await rotation.finish(session, known.id, doing)


async def _rewrap(provider: KekProvider, stored: StoredKey) -> WrappedKey:
    assert stored.wrapped is not None
    context = context_of(stored.key)
    return await provider.wrap(await provider.unwrap(stored.wrapped, context, stored.key.kek_version), context)


async def _keep(session: Session, batch: Sequence[RewrappedKey]) -> list[RewrappedKey]:
    """Keep those whose rows are still as they were read."""
    kept = await session.execute(
        text(
            "UPDATE keys SET wrapped = now.wrapped, kek_version = now.version FROM unnest(CAST(:numbers AS integer[]),"
            " CAST(:wrapped AS bytea[]), CAST(:versions AS text[]), CAST(:were AS bytea[]))"
            " AS now (number, wrapped, version, was) WHERE keys.number = now.number AND keys.wrapped = now.was"
            " RETURNING keys.number"
        ),
        {
            "numbers": [one.stored.key.number for one in batch],
            "wrapped": [one.wrapped.blob for one in batch],
            "versions": [one.wrapped.version for one in batch],
            "were": [one.stored.wrapped for one in batch],
        },
    )
    numbers = set(kept.scalars())
    return [one for one in batch if one.stored.key.number in numbers]


async def count_elsewhere(session: Session, provider: str, version: str) -> int:
    """Keys that are wrapped under another version than this."""
    found = await session.execute(
        text(
            "SELECT count(*) FROM keys"
            " WHERE state <> 'destroyed' AND kek_provider = :provider AND kek_version <> :version"
        ),
        {"provider": provider, "version": version},
    )
    return int(found.scalar_one())


async def count_under(session: Session, provider: str, version: str) -> int:
    """Keys that are wrapped under this version: while there are any, it must not be destroyed."""
    found = await session.execute(
        text(
            "SELECT count(*) FROM keys"
            " WHERE state <> 'destroyed' AND kek_provider = :provider AND kek_version = :version"
        ),
        {"provider": provider, "version": version},
    )
    return int(found.scalar_one())


async def next_keys(session: Session, provider: str, known: Rotation, limit: int) -> list[StoredKey]:
    """The keys after the rotation's place that are still wrapped under another version."""
    found = await session.execute(
        text(
            f"SELECT {COLUMNS}, wrapped FROM keys WHERE state <> 'destroyed'"  # noqa: S608 -- our own columns
            " AND kek_provider = :provider AND kek_version <> :version AND number > :after"
            " ORDER BY number LIMIT :limit"
        ),
        {"provider": provider, "version": known.target, "after": int(known.place or 0), "limit": limit},
    )
    return [stored for row in found.mappings() if (stored := register.read_stored(row)) is not None]


def _event(one: RewrappedKey, doing: KeyDoing) -> AuditEvent:
    facts = {"from": one.stored.key.kek_version, "to": one.wrapped.version}
    return register.event("key.rewrapped", one.stored.key.number, doing, **facts)


async def forget(transactions: Transactions, provider: KekProvider, version: str, doing: KeyDoing) -> None:
    """Destroy an old KEK under which nothing is wrapped any more. Copies of the database under it are shredded with it.

    Raises: RotationRefused while something is under it, or there is no such version; KekRefused or KeyFileRefused if
    it is the one that wraps; Sealed; ProviderUnavailable.
    """
    if version not in (await provider.describe()).versions:
        raise RotationRefused("there is no such KEK", version=version)
    async with transactions() as session:
        if left := await count_under(session, provider.name, version):
            raise RotationRefused("keys are still wrapped under this KEK: rotate first", version=version, keys=left)
        told = f"kek:{provider.name}.{version}"
        await stage(session, [AuditEvent("kek.forgotten", doing.actor, doing.origin, told, doing.at,
                                         facts={"reason": doing.reason})])  # fmt: skip
    await provider.forget(version)


async def turn_all(transactions: Transactions, provider: KekProvider, *, now: datetime, origin: str) -> int:
    """A batch of the KEK rotation that runs, if one does; how many keys are still to come, or 0 when none runs.

    Raises: ProviderUnavailable; SealBroken.
    """
    if not provider.seal_state.is_ready:
        return 0
    async with transactions() as session:
        known = await rotation.find_open(session, RotationKind.KEK, EVERYTHING)
    if known is None or known.status is not RotationStatus.RUNNING:
        return 0
    with suppress(RotationRefused):  # paused by somebody just now
        known = await run_batch(transactions, provider, known.id, KeyDoing("system:rotation", origin, now))
    return int(known.status is RotationStatus.RUNNING)
