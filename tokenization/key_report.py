"""What is told of this vault's keys: the register, the KEK, rotations, custodians. Never a byte of a key."""

from __future__ import annotations

from contextlib import suppress

from pci.errors import Unavailable
from pci.keys import custodians, register, rotation
from pci.keys.architecture import KeyReport
from pci.keys.kek import KekDescription
from pci.keys.kek_file import FileKek
from tokenization.vault import Vault


async def key_report(vault: Vault) -> KeyReport:
    """All of it, as it is now; the KEK only while it can be asked."""
    kek: KekDescription | None = None
    with suppress(Unavailable):
        kek = await vault.ring.provider.describe()
    async with vault.transactions() as session:
        keys = await register.list_keys(session)
        rotations = await rotation.list_rotations(session)
        everybody = await custodians.list_custodians(session)
    provider = vault.ring.provider
    holders = provider.file.holders if isinstance(provider, FileKek) else ()
    gone = custodians.must_be_split_again(holders, everybody)
    return KeyReport(vault.now(), vault.ring.env, vault.ring.state, kek, keys, rotations, everybody, gone)
