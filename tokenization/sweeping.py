"""What the vault does by itself, over and over: each area has one line here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog

from pci.access import people
from pci.evidence.outages import beat
from pci.evidence.retention import purge_due, was_purged_since
from pci.keys import register, rewrapping
from pci.keys.key import KeyPurpose
from pci.keys.register import KeyDoing
from tokenization import card_sessions, ending, reveal_requests, rotating, sad, sealed_cards
from tokenization.charges.calling import ChargeDesk
from tokenization.koshelek_pay.calls import DeviceDesk, settle_open
from tokenization.koshelek_pay.charging import AcquirerDeviceCharger
from tokenization.koshelek_pay.device_token import DeviceDoing
from tokenization.koshelek_pay.sms import NoSms
from tokenization.retention import RETAINED
from tokenization.vault import Vault

PURGE_EVERY = timedelta(hours=23)
"""Nightly, whenever the night before was."""
RETENTION_REST_SECONDS = 60

log = structlog.get_logger("vault")


SAD_KEYS_STAY = timedelta(hours=2)
"""After the last CVC was closed with them: twice as long as any CVC may wait."""


@dataclass(frozen=True, slots=True)
class VaultSweep:
    """Something done again and again."""

    name: str
    run: Callable[[Vault], Awaitable[int]]
    """Does what is due, up to a batch, and says how much there was."""
    rest_seconds: int
    """How long to rest when nothing was left."""


async def sweep_sad(vault: Vault) -> int:
    """Take away CVCs that nobody charged in time."""
    async with vault.transactions() as session:
        return await sad.sweep(session, now=vault.now())


async def sweep_device_payments(vault: Vault) -> int:
    """Find out about payments by devices that nobody asked about again."""
    if vault.acquirer is None:
        return 0
    charger = AcquirerDeviceCharger(ChargeDesk(vault, vault.acquirer))
    desk = DeviceDesk(vault.transactions, vault.ring, NoSms(), charger)
    return await settle_open(desk, DeviceDoing("system:device_payments", f"vault:{os.getpid()}", vault.now()))


async def sweep_card_entry(vault: Vault) -> int:
    """Take away forms that are long over, and names of sealed cards that could not be sent again anyhow."""
    async with vault.transactions() as session:
        forms = await card_sessions.sweep(session, now=vault.now())
        return forms + await sealed_cards.sweep(session, now=vault.now())


async def sweep_people(vault: Vault) -> int:
    """Disable people who did not come for 90 days; write down that sign-ins and requests are over whose time is."""
    async with vault.transactions() as session:
        await reveal_requests.expire_overdue(session, now=vault.now())
        return await people.sweep(session, now=vault.now())


async def sweep_tokens(vault: Vault) -> int:
    """Empty cards whose tokens' time is over."""
    async with vault.transactions() as session:
        return await ending.sweep(session, now=vault.now(), origin="vault")


async def turn_rotations(vault: Vault) -> int:
    """Go one batch further with every merchant's cards whose key was renewed."""
    return await rotating.turn_all(vault.transactions, vault.ring, now=vault.now(), origin="vault")


async def destroy_sad_keys(vault: Vault) -> int:
    """Destroy yesterday's keys of CVCs, long after the last CVC under them: copies of the database lose them too."""
    now = vault.now()
    doing = KeyDoing("system:sweeper", "vault", now, "nothing may be left under it")
    async with vault.transactions() as session:
        gone = await register.destroy_retired(
            session, KeyPurpose.SAD, vault.ring.env, before=now - SAD_KEYS_STAY, doing=doing
        )
    for key in gone:
        vault.ring.forget(key.number)
    return len(gone)


async def turn_kek_rotation(vault: Vault) -> int:
    """Wrap one batch of keys more under a new KEK."""
    return await rewrapping.turn_all(vault.transactions, vault.ring.provider, now=vault.now(), origin="vault")


async def sweep_retention(vault: Vault) -> int:
    """Show that the vault works, and once a day take away what is past its retention."""
    now, origin = vault.now(), f"vault:{os.getpid()}"
    async with vault.transactions() as session:
        await beat(session, "vault", period_seconds=RETENTION_REST_SECONDS, now=now, origin=origin)
        if await was_purged_since(session, now - PURGE_EVERY):
            return 0
    await purge_due(vault.transactions, RETAINED, now=now, origin=origin)
    return 0


SWEEPS: Sequence[VaultSweep] = (
    VaultSweep("sad", sweep_sad, 5),
    VaultSweep("card_entry", sweep_card_entry, 60),
    VaultSweep("people", sweep_people, 60),
    VaultSweep("device_payments", sweep_device_payments, 30),
    VaultSweep("retention", sweep_retention, RETENTION_REST_SECONDS),
    VaultSweep("tokens", sweep_tokens, 30),
    VaultSweep("rotations", turn_rotations, 5),
    VaultSweep("kek_rotation", turn_kek_rotation, 5),
    VaultSweep("sad_keys", destroy_sad_keys, 600),
)


async def repeat(sweep: VaultSweep, vault: Vault, stop: asyncio.Event) -> None:
    """Do it until told to stop. What fails is written down and tried again after a rest."""
    while not stop.is_set():
        done = 0
        try:
            done = await sweep.run(vault)
        except Exception as error:
            log.warning("sweep_failed", sweep=sweep.name, error=type(error).__name__)
        if not done:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), sweep.rest_seconds)
