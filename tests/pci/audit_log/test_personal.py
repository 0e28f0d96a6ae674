"""Personal data: the same value gives the same digest under one key, and none at all once the key is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ledger.database import Engine, transaction
from pci.audit_log.personal import personal
from pci.audit_log.sequencer import recompute_head
from pci.audit_log.staging import stage
from pci.keys.key import KeyPurpose
from pci.keys.register import KeyDoing, destroy_scope
from tests.pci.audit_log.log import Log, event
from tests.vault_world import ready_ring

PHONE = "+79001234567"


async def test_a_value_can_be_found_and_not_read(vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)

    shown = await personal(ring, PHONE, now=now)

    assert shown == await personal(ring, PHONE, now=now)
    assert shown.startswith("hmac:")
    assert PHONE not in shown
    assert (
        len({shown, await personal(ring, PHONE + "1", now=now), await personal(ring, PHONE, now=now, scope="b")}) == 3
    )


async def test_destroying_the_key_shreds_the_value_and_no_proof(log: Log, vault_engine: Engine, now: datetime) -> None:
    ring = await ready_ring(vault_engine, now)
    shown = await personal(ring, PHONE, now=now)
    async with transaction(vault_engine) as session:
        await stage(session, [replace(event(now), subject=f"buyer:{shown}")])
    assert await log.seal() is not None
    doing = KeyDoing("system:test", "test", now, "a person is forgotten")
    async with transaction(vault_engine) as session:
        destroyed = await destroy_scope(session, KeyPurpose.AUDIT_PERSONAL, "log", "test", doing)
    assert len(destroyed) == 1

    ring.forget(destroyed[0].number)
    assert await personal(ring, PHONE, now=now) != shown
    async with log.transactions() as session:
        assert (await recompute_head(session)).size >= 1
