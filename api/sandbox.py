"""What a sandbox begins with, so that a newcomer can call everything at once: an API key, the list of banks."""

from __future__ import annotations

from pathlib import Path

from api.callers import Callers, create_key
from api.data_dir import write_private
from api.errors import CallRejected
from ledger.clock import machine_now
from ledger.database import create_engine, transaction
from sbp_gateway.bank_list import bundled_banks, import_banks, list_banks

KEY_FILE = "sandbox_key"
"""In the data directory, so that the key stays the same from run to run."""


async def all_powerful_key(database_url: str, folder: Path | None) -> str:
    """An API key that may do everything: the one kept in ``folder`` while it works, or a new one."""
    engine = create_engine(database_url, size=1)
    try:
        kept = folder / KEY_FILE if folder is not None else None
        if kept is not None and kept.exists():
            key = kept.read_text().strip()
            try:
                await Callers(engine, "test").identify(f"Bearer {key}".encode(), machine_now())
            except CallRejected:
                pass  # revoked, or made for a database that is gone
            else:
                return key
        async with transaction(engine) as session:
            _, secret = await create_key(session, name="sandbox", scopes=["admin"], mode="test", now=machine_now())
        if kept is not None:
            write_private(kept, secret.expose())
        return secret.expose()
    finally:
        await engine.dispose()


async def take_in_banks(database_url: str) -> None:
    """Give a sandbox that has no list of banks the bundled one; a list of its own is left alone."""
    engine = create_engine(database_url, size=1)
    try:
        async with transaction(engine) as session:
            if not await list_banks(session):
                await import_banks(session, bundled_banks(), now=machine_now())
    finally:
        await engine.dispose()
