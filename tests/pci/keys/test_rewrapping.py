"""A new KEK while the vault works: every data key is wrapped anew, in batches that stop and go on."""

from __future__ import annotations

import asyncio
import functools
from datetime import datetime

import pytest

from ledger.database import Engine, transaction
from pci.keys import register, rewrapping, rotation
from pci.keys.envelope import seal, unseal
from pci.keys.errors import KeyFileRefused, RotationRefused, SealBroken
from pci.keys.kek_file import FileKek
from pci.keys.key import KeyPurpose, KeyState
from pci.keys.register import KeyDoing
from pci.keys.ring import KeyRing
from pci.keys.rotation import Rotation, RotationStatus
from tests.vault_world import ready_ring

ROTATION = "rot_" + "A" * 24
MERCHANTS = [f"mer_{n}" for n in range(7)]


def doing(now: datetime) -> KeyDoing:
    return KeyDoing("person:per_1", "test", now)


async def world(engine: Engine, now: datetime) -> tuple[KeyRing, dict[str, bytes]]:
    ring = await ready_ring(engine, now)
    deks = {merchant: await ring.ensure(KeyPurpose.CARD, merchant, now) for merchant in MERCHANTS}
    return ring, {merchant: seal(dek, merchant.encode(), b"aad") for merchant, dek in deks.items()}


async def run(engine: Engine, ring: KeyRing, now: datetime, *, limit: int = 3, batches: int = 99) -> Rotation:
    transactions = functools.partial(transaction, engine)
    last = None
    for _ in range(batches):
        last = await rewrapping.run_batch(transactions, ring.provider, ROTATION, doing(now), limit=limit)
        if last.status is not RotationStatus.RUNNING:
            break
    assert last is not None
    return last


async def versions(engine: Engine) -> list[str]:
    async with transaction(engine) as session:
        return [key.kek_version for key in await register.list_keys(session)]


async def test_every_key_is_wrapped_anew_and_opens_as_before(vault_engine: Engine, now: datetime) -> None:
    ring, blobs = await world(vault_engine, now)
    transactions = functools.partial(transaction, vault_engine)

    begun = await rewrapping.begin(transactions, ring.provider, ROTATION, doing(now))
    done = await run(vault_engine, ring, now)

    assert (begun.target, begun.rows_total, begun.percent) == ("2", 7, 0)
    assert (done.status, done.rows_done, done.percent) == (RotationStatus.DONE, 7, 100)
    assert await versions(vault_engine) == ["2"] * 7
    assert isinstance(ring.provider, FileKek)
    await ring.provider.forget("1")
    fresh = KeyRing(transactions, ring.provider, env="test")
    for merchant, blob in blobs.items():
        dek = await fresh.ensure(KeyPurpose.CARD, merchant, now)
        assert unseal(dek, blob, b"aad") == merchant.encode()


async def test_it_stops_when_told_and_goes_on_where_it_stopped(vault_engine: Engine, now: datetime) -> None:
    ring, _ = await world(vault_engine, now)
    await rewrapping.begin(functools.partial(transaction, vault_engine), ring.provider, ROTATION, doing(now))
    await run(vault_engine, ring, now, batches=1)

    async with transaction(vault_engine) as session:
        paused = await rotation.pause(session, ROTATION, doing(now))
    still = await run(vault_engine, ring, now)
    assert (paused.rows_done, paused.percent, still) == (3, 42, paused)
    assert sorted(await versions(vault_engine)) == ["1"] * 4 + ["2"] * 3

    async with transaction(vault_engine) as session:
        await rotation.resume(session, ROTATION, doing(now))
    assert (await run(vault_engine, ring, now)).rows_done == 7


async def test_a_key_born_under_the_old_kek_meanwhile_is_found_before_the_end(
    vault_engine: Engine, now: datetime
) -> None:
    ring, _ = await world(vault_engine, now)
    await rewrapping.begin(functools.partial(transaction, vault_engine), ring.provider, ROTATION, doing(now))
    await run(vault_engine, ring, now, limit=7, batches=1)
    async with transaction(vault_engine) as session:  # as a process that has not seen the new KEK would
        stored = await register.find_stored(session, 1)
        old = await ring.provider.unwrap(stored.wrapped or b"", rewrapping.context_of(stored.key), "2")
        keks = ring.provider.keks  # type: ignore[attr-defined]
        ring.provider.keks = type(keks)("1", keks.keys)  # type: ignore[attr-defined]
        wrapped = await ring.provider.wrap(old, rewrapping.context_of(stored.key))
        ring.provider.keks = keks  # type: ignore[attr-defined]
        await session.execute(
            register.text("UPDATE keys SET wrapped = :w, kek_version = :v WHERE number = 1"),
            {"w": wrapped.blob, "v": wrapped.version},
        )

    done = await run(vault_engine, ring, now)

    assert done.status is RotationStatus.DONE
    assert await versions(vault_engine) == ["2"] * 7


async def test_two_processes_at_once_wrap_each_key_once(vault_engine: Engine, now: datetime) -> None:
    ring, blobs = await world(vault_engine, now)
    await rewrapping.begin(functools.partial(transaction, vault_engine), ring.provider, ROTATION, doing(now))

    transactions = functools.partial(transaction, vault_engine)
    left = 1
    while left:
        turns = (rewrapping.turn_all(transactions, ring.provider, now=now, origin="test") for _ in range(2))
        left = max(await asyncio.gather(*turns))

    async with transaction(vault_engine) as session:
        done = await rotation.find(session, ROTATION)
    assert (done.status, done.rows_done) == (RotationStatus.DONE, 7)
    fresh = KeyRing(transactions, ring.provider, env="test")
    assert unseal(await fresh.by_number(1), blobs["mer_0"], b"aad") == b"mer_0"


async def test_a_destroyed_key_is_passed_over(vault_engine: Engine, now: datetime) -> None:
    ring, _ = await world(vault_engine, now)
    async with transaction(vault_engine) as session:
        await register.move(session, 1, KeyState.DESTROYED, doing(now))

    await rewrapping.begin(functools.partial(transaction, vault_engine), ring.provider, ROTATION, doing(now))
    done = await run(vault_engine, ring, now)

    assert (done.rows_total, done.rows_done) == (6, 6)


async def test_one_at_a_time_and_no_second_kek_is_made_for_nothing(vault_engine: Engine, now: datetime) -> None:
    ring, _ = await world(vault_engine, now)
    transactions = functools.partial(transaction, vault_engine)
    await rewrapping.begin(transactions, ring.provider, ROTATION, doing(now))

    with pytest.raises(RotationRefused):
        await rewrapping.begin(transactions, ring.provider, "rot_" + "B" * 24, doing(now))

    assert (await ring.provider.describe()).versions == ("1", "2")


async def test_a_kek_that_was_forgotten_opens_nothing(vault_engine: Engine, now: datetime) -> None:
    ring, _ = await world(vault_engine, now)
    assert isinstance(ring.provider, FileKek)
    with pytest.raises(KeyFileRefused):
        await ring.provider.forget("1")
    await ring.provider.rotate()
    await ring.provider.forget("1")

    with pytest.raises(SealBroken):
        await KeyRing(functools.partial(transaction, vault_engine), ring.provider, env="test").by_number(1)
