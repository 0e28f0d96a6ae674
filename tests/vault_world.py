"""What tests of the vault stand on: a ring of keys that is ready, over a cheap key file."""

from __future__ import annotations

import functools
import tempfile
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from ledger.database import Engine, transaction
from pci.keys import kek_file, key_file
from pci.keys.kek_file import FileKek
from pci.keys.key_file import KeyFileCost
from pci.keys.ring import KeyRing
from pci.secret import Secret

CHEAP = KeyFileCost(operations=1, memory_bytes=8_192)
"""Argon2 in microseconds: tests guess no passphrases."""
PASSPHRASE = Secret("correct horse battery")
FOLDER = tempfile.TemporaryDirectory(prefix="kopeyka-kek-")
"""Key files of this run; gone when it ends."""


async def ready_kek(path: Path) -> FileKek:
    """A new key file at ``path``, opened."""
    key_file.write(path, key_file.new_file(PASSPHRASE.expose().encode(), context="kopeyka|test", cost=CHEAP))
    kek = kek_file.load(path)
    await kek.unseal_with_passphrase(PASSPHRASE)
    return kek


async def ready_ring(vault_engine: Engine, now: datetime) -> KeyRing:
    """A ring with an opened KEK and no key yet; ``now`` is what its first keys are made at."""
    assert now.tzinfo is not None
    kek = await ready_kek(Path(FOLDER.name) / f"{uuid4()}.json")
    return KeyRing(functools.partial(transaction, vault_engine), kek, env="test", origin="test")
