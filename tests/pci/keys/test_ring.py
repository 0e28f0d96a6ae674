"""The ring: one closing key a scope, made once, counted before use, and never used after it is retired."""

from __future__ import annotations

import asyncio
import functools
from datetime import datetime, timedelta

import psycopg
import pytest

from ledger.database import Engine, transaction
from pci.keys import register
from pci.keys.envelope import seal, unseal
from pci.keys.errors import (
    KeyNotFound,
    KeyRetired,
    KeyUsesSpent,
    KeyWithdrawn,
    ProviderUnavailable,
    SealBroken,
    WrongEnvironment,
)
from pci.keys.kek_openbao import TransitKek, TransitKekTerms
from pci.keys.key import ENCRYPTIONS_MARK, Key, KeyPurpose, KeyState
from pci.keys.register import KeyDoing
from pci.keys.ring import FRESH_SECONDS, LOW_WATER, USES_AT_ONCE, KeyRing
from pci.secret import Secret
from tests.conftest import VaultDatabase
from tests.pci.keys.keepers import free_port
from tests.vault_world import ready_ring

MERCHANT = "mer_1"


class Watch:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0

    def __call__(self) -> float:
        return float(self.seconds)


def another(ring: KeyRing, engine: Engine, *, env: str = "test", watch: Watch | None = None) -> KeyRing:
    """A second process's ring on the same register and KEK."""
    transactions = functools.partial(transaction, engine)
    return KeyRing(transactions, ring.provider, env=env, monotonic=watch or Watch())


async def keys_of(engine: Engine) -> list[Key]:
    async with transaction(engine) as session:
        return await register.list_keys(session)


async def move(engine: Engine, number: int, to: KeyState, now: datetime) -> None:
    async with transaction(engine) as session:
        await register.move(session, number, to, KeyDoing("person:test", "test", now))


async def test_the_first_ensure_makes_a_key_and_the_next_finds_it(vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)

    first = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
    again = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)

    assert again is first is ring.primary(KeyPurpose.CARD, MERCHANT)
    assert ring.primary(KeyPurpose.CARD, "mer_2") is None
    assert [key.number for key in await keys_of(vault_engine)] == [first.number]


async def test_another_process_opens_the_same_key(vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)
    dek = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
    blob = seal(dek, b"4242", b"aad")

    other = another(ring, vault_engine)

    assert unseal(await other.by_number(dek.number), blob, b"aad") == b"4242"
    assert (await other.ensure(KeyPurpose.CARD, MERCHANT, now)).key == dek.key


async def test_every_purpose_gets_a_key_of_its_own_kind(vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)
    made = [await ring.ensure(purpose, "all", now) for purpose in KeyPurpose]

    other = another(ring, vault_engine)

    assert [(await other.by_number(dek.number)).key for dek in made] == [dek.key for dek in made]
    assert len({dek.key for dek in made}) == len(KeyPurpose)


async def test_many_tasks_and_two_processes_ensure_one_key(vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)
    rings = [ring, another(ring, vault_engine)]

    deks = await asyncio.gather(*(rings[n % 2].ensure(KeyPurpose.CARD, MERCHANT, now) for n in range(8)))

    assert len({dek.number for dek in deks}) == 1
    assert len(await keys_of(vault_engine)) == 1


async def test_a_key_past_its_period_only_opens_and_a_new_one_closes(vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)
    old = await ring.ensure(KeyPurpose.SAD, "all", now)
    blob = seal(old, b"123", b"aad")

    new = await ring.ensure(KeyPurpose.SAD, "all", now + timedelta(days=1))

    assert new.number != old.number
    assert unseal(await ring.by_number(old.number), blob, b"aad") == b"123"
    with pytest.raises(KeyRetired):
        seal(old, b"123", b"aad")
    assert [key.state for key in await keys_of(vault_engine)] == [KeyState.DECRYPT_ONLY, KeyState.ACTIVE]


async def test_a_fingerprint_key_stays_past_its_period_because_people_must_decide(
    vault_engine: Engine, now: datetime
) -> None:
    ring = await ready_ring(vault_engine, now)
    old = await ring.ensure(KeyPurpose.FINGERPRINT, MERCHANT, now)

    later = now + timedelta(days=4_000)

    assert await ring.ensure(KeyPurpose.FINGERPRINT, MERCHANT, later) is old
    assert (await keys_of(vault_engine))[0].is_due(later)


async def test_a_key_that_closed_two_to_the_thirty_first_times_is_succeeded(
    vault_engine: Engine, vault_database: VaultDatabase, now: datetime
) -> None:
    ring = await ready_ring(vault_engine, now)
    old = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
    with psycopg.connect(vault_database.superuser_url) as connection:
        connection.execute("UPDATE keys SET encryptions = %s", (ENCRYPTIONS_MARK,))
    old.uses.left = 0

    new = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)

    assert new.number != old.number


async def test_encryptions_are_counted_before_they_are_done(vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)
    dek = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
    assert (await keys_of(vault_engine))[0].encryptions == USES_AT_ONCE

    dek.uses.take(USES_AT_ONCE - LOW_WATER)
    await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
    assert (await keys_of(vault_engine))[0].encryptions == USES_AT_ONCE

    dek.uses.take(1)
    await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
    assert (await keys_of(vault_engine))[0].encryptions == 2 * USES_AT_ONCE

    dek.uses.take(dek.uses.left)
    with pytest.raises(KeyUsesSpent):
        seal(dek, b"x", b"")


async def test_a_key_retired_elsewhere_stops_closing_here_within_seconds(vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)
    watch = Watch()
    other = another(ring, vault_engine, watch=watch)
    old = await other.ensure(KeyPurpose.CARD, MERCHANT, now)

    new = await ring.renew(KeyPurpose.CARD, MERCHANT, now)
    watch.seconds = FRESH_SECONDS

    assert (await other.ensure(KeyPurpose.CARD, MERCHANT, now)).number == new.number
    with pytest.raises(KeyRetired):
        seal(old, b"x", b"")
    assert (await other.by_number(old.number)).key == old.key


async def test_a_key_destroyed_elsewhere_opens_nothing_here_within_seconds(vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)
    watch = Watch()
    other = another(ring, vault_engine, watch=watch)
    old = await other.ensure(KeyPurpose.CARD, MERCHANT, now)

    await move(vault_engine, old.number, KeyState.DESTROYED, now)
    watch.seconds = FRESH_SECONDS

    with pytest.raises(KeyWithdrawn):
        await other.by_number(old.number)
    assert other.primary(KeyPurpose.CARD, MERCHANT) is None


@pytest.mark.parametrize("to", [KeyState.SUSPENDED, KeyState.DESTROYED])
async def test_a_withdrawn_key_is_not_opened(vault_engine: Engine, now: datetime, to: KeyState) -> None:
    ring = await ready_ring(vault_engine, now)
    dek = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
    await move(vault_engine, dek.number, to, now)
    ring.forget(dek.number)

    with pytest.raises(KeyWithdrawn):
        await ring.by_number(dek.number)


async def test_a_compromised_key_opens_what_must_be_saved_and_closes_nothing(
    vault_engine: Engine, now: datetime
) -> None:
    ring = await ready_ring(vault_engine, now)
    dek = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
    blob = seal(dek, b"4242", b"")
    await move(vault_engine, dek.number, KeyState.COMPROMISED, now)
    ring.forget(dek.number)

    assert unseal(await ring.by_number(dek.number), blob, b"") == b"4242"
    with pytest.raises(KeyRetired):
        seal(await ring.by_number(dek.number), b"x", b"")
    assert (await ring.ensure(KeyPurpose.CARD, MERCHANT, now)).number != dek.number


async def test_a_number_nobody_gave_is_not_found(vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)
    with pytest.raises(KeyNotFound):
        await ring.by_number(404)


async def test_a_test_key_never_opens_in_production(
    vault_engine: Engine, vault_database: VaultDatabase, now: datetime
) -> None:
    ring = await ready_ring(vault_engine, now)
    dek = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
    live = another(ring, vault_engine, env="live")

    with pytest.raises(WrongEnvironment):
        await live.by_number(dek.number)

    relabel = "ALTER TABLE keys DISABLE TRIGGER keys_moves_as_allowed; UPDATE keys SET env = 'live'"
    with psycopg.connect(vault_database.superuser_url) as connection:
        connection.execute(relabel)
    with pytest.raises(SealBroken):
        await live.by_number(dek.number)


SWAPS = {
    "two wrapped keys change places": "UPDATE keys SET wrapped = (SELECT wrapped FROM was WHERE was.number"
    " <> keys.number)",
    "a key takes another's scope": "UPDATE keys SET scope = 'mer_3'",
    "a key takes another's purpose": "UPDATE keys SET purpose = 'totp'",
    "a key takes another version": "UPDATE keys SET version = version + 1",
    "a byte is changed": "UPDATE keys SET wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1)",
    "a KEK's version is changed": "UPDATE keys SET kek_version = '7'",
    "a KEK's keeper is changed": "UPDATE keys SET kek_provider = 'openbao'",
}


@pytest.mark.parametrize("swap", SWAPS)
async def test_a_row_changed_by_sql_does_not_open(
    vault_engine: Engine, vault_database: VaultDatabase, now: datetime, swap: str
) -> None:
    ring = await ready_ring(vault_engine, now)
    deks = [await ring.ensure(KeyPurpose.CARD, scope, now) for scope in ("mer_1", "mer_2")]
    with psycopg.connect(vault_database.superuser_url) as connection:
        connection.execute("ALTER TABLE keys DISABLE TRIGGER keys_moves_as_allowed")
        connection.execute("CREATE TEMP TABLE was AS SELECT number, wrapped FROM keys")
        connection.execute(f"{SWAPS[swap]} WHERE number = {deks[0].number}")

    with pytest.raises(SealBroken):
        await another(ring, vault_engine).by_number(deks[0].number)


async def test_a_keeper_that_is_down_leaves_nothing_behind(vault_engine: Engine, now: datetime) -> None:
    kek = TransitKek(TransitKekTerms(f"http://127.0.0.1:{free_port()}", Secret("t")))
    down = KeyRing(functools.partial(transaction, vault_engine), kek, env="test")

    with pytest.raises(ProviderUnavailable):
        await down.ensure(KeyPurpose.CARD, MERCHANT, now)

    assert await keys_of(vault_engine) == []
    assert (await (await ready_ring(vault_engine, now)).ensure(KeyPurpose.CARD, MERCHANT, now)).number
    await kek.close()


async def test_a_keeper_that_goes_down_stops_no_key_that_is_open(vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)
    dek = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
    ring.provider = TransitKek(TransitKekTerms(f"http://127.0.0.1:{free_port()}", Secret("t")))

    again = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)

    assert again is dek
    with pytest.raises(ProviderUnavailable):
        await ring.ensure(KeyPurpose.CARD, "mer_2", now)
    await ring.provider.close()
