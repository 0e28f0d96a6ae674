"""The register: a change of a key and its line of the log are one transaction; a destroyed key's bytes are gone."""

from __future__ import annotations

import functools
import json
import random
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from ledger.database import Engine, transaction
from pci.keys import architecture, register
from pci.keys.architecture import KeyReport
from pci.keys.envelope import seal
from pci.keys.errors import KeyMoveRefused, KeyNotFound
from pci.keys.key import KeyPurpose, KeyState
from pci.keys.register import KeyDoing
from pci.keys.ring import USES_AT_ONCE, KeyRing
from tests.conftest import VaultDatabase
from tests.vault_world import ready_ring

MERCHANT = "mer_1"


def doing(now: datetime) -> KeyDoing:
    return KeyDoing("person:per_1", "req_1", now, "a custodian left")


def told(database: VaultDatabase) -> list[dict[str, Any]]:
    """What is staged for the log, as the superuser sees it."""
    with psycopg.connect(database.superuser_url) as connection:
        lines = connection.execute("SELECT convert_from(event, 'UTF8') FROM audit_events ORDER BY id").fetchall()
    return [json.loads(line) for (line,) in lines]


async def test_each_change_of_a_key_is_a_line_of_the_log(
    vault_engine: Engine, vault_database: VaultDatabase, now: datetime
) -> None:
    ring = await ready_ring(vault_engine, now)
    dek = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
    await ring.renew(KeyPurpose.CARD, MERCHANT, now, doing=doing(now))
    async with transaction(vault_engine) as session:
        for to in (KeyState.SUSPENDED, KeyState.DECRYPT_ONLY, KeyState.COMPROMISED, KeyState.DESTROYED):
            await register.move(session, dek.number, to, doing(now))

    lines = told(vault_database)
    assert [line["action"] for line in lines] == [
        "key.created", "key.activated", "key.retired", "key.created", "key.activated", "key.suspended", "key.retired",
        "key.compromised", "key.destroyed",
    ]  # fmt: skip
    assert {line["actor"] for line in lines[:2]} == {"system:key_ring"}
    assert {line["actor"] for line in lines[2:]} == {"person:per_1"}
    assert lines[-1]["subject"] == f"key:dek_{dek.number}"
    assert lines[-1]["facts"]["reason"] == "a custodian left"
    assert dek.key.expose().hex() not in json.dumps(lines)


async def test_a_transaction_that_fails_changes_neither_the_key_nor_the_log(
    vault_engine: Engine, vault_database: VaultDatabase, now: datetime
) -> None:
    ring = await ready_ring(vault_engine, now)
    dek = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
    before = told(vault_database)

    with suppress(RuntimeError):
        async with transaction(vault_engine) as session:
            await register.move(session, dek.number, KeyState.DESTROYED, doing(now))
            raise RuntimeError

    assert told(vault_database) == before
    async with transaction(vault_engine) as session:
        assert (await register.find_stored(session, dek.number)).key.state is KeyState.ACTIVE


async def test_shredding_a_merchant_destroys_every_key_of_it_and_nobody_elses(
    vault_engine: Engine, now: datetime
) -> None:
    ring = await ready_ring(vault_engine, now)
    for _ in range(3):
        await ring.renew(KeyPurpose.CARD, MERCHANT, now)
    other = await ring.ensure(KeyPurpose.CARD, "mer_2", now)

    async with transaction(vault_engine) as session:
        gone = await register.destroy_scope(session, KeyPurpose.CARD, MERCHANT, "test", doing(now))
        kept = [await register.find_stored(session, key.number) for key in gone]
        untouched = await register.find_stored(session, other.number)

    assert [(stored.key.state, stored.wrapped) for stored in kept] == [(KeyState.DESTROYED, None)] * 3
    assert untouched.wrapped is not None


async def test_a_move_that_leads_nowhere_is_refused(vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)
    dek = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
    async with transaction(vault_engine) as session:
        with pytest.raises(KeyMoveRefused):
            await register.move(session, dek.number, KeyState.PRE_ACTIVE, doing(now))
        with pytest.raises(KeyNotFound):
            await register.move(session, 404, KeyState.DESTROYED, doing(now))


async def test_uses_are_reserved_of_an_active_key_only(vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)
    old = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
    new = await ring.renew(KeyPurpose.CARD, MERCHANT, now)

    async with transaction(vault_engine) as session:
        assert await register.reserve(session, new.number, 5)
        assert not await register.reserve(session, old.number, 5)
        assert not await register.reserve(session, 404, 5)


@pytest.mark.parametrize("seed", range(3))
async def test_however_processes_crash_the_count_is_never_too_low(
    vault_engine: Engine, now: datetime, seed: int
) -> None:
    chance, closed = random.Random(seed), 0
    first = await ready_ring(vault_engine, now)
    rings = [first]
    for _ in range(12):
        ring = chance.choice(rings)
        dek = await ring.ensure(KeyPurpose.CARD, MERCHANT, now)
        many = chance.randrange(1, 16_384)
        dek.uses.take(many - 1)
        seal(dek, b"x", b"")
        closed += many
        if chance.random() < 0.4:  # a crash: what was reserved and not used is lost
            rings = [KeyRing(functools.partial(transaction, vault_engine), first.provider, env="test")]

    async with transaction(vault_engine) as session:
        (key,) = await register.list_keys(session)
    assert closed <= key.encryptions <= closed + 13 * USES_AT_ONCE


async def test_the_paper_says_what_is_due_and_shows_no_key(vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)
    dek = await ring.ensure(KeyPurpose.FINGERPRINT, MERCHANT, now)
    later = now + timedelta(days=1_095)
    async with transaction(vault_engine) as session:
        keys = await register.list_keys(session)
    kek = await ring.provider.describe()

    report = KeyReport(later, "test", ring.state, kek, keys, (), (), ("Анна",))
    paper = architecture.crypto_architecture(report)

    assert [key.number for key in report.due] == [dek.number]
    assert f"Key {dek.number} (fingerprint of mer_1) is due: renew it." in paper
    assert "Анна is no custodian any more" in paper
    assert "**Not for production**" in paper
    assert dek.key.expose().hex() not in paper
    sealed = architecture.crypto_architecture(KeyReport(later, "test", ring.state, None, (), (), (), ()))
    assert "cannot be described now" in sealed
    assert "No key has been made yet." in sealed
