"""One transaction of the vault's database, for commands of whoever reaches it itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from api import installation
from api.data_dir import StartRefused
from api.settings import Settings
from ledger.database import create_engine, transaction
from pci.database import Session

T = TypeVar("T")


def in_vault(data_dir: Path | None, work: Callable[[Session], Awaitable[T]], *, needed_for: str) -> T:
    """Do something in one transaction of the vault's database. Raises: StartRefused without a way into it."""

    async def run(url: str) -> T:
        engine = create_engine(url)
        try:
            async with transaction(engine) as session:
                return await work(session)
        finally:
            await engine.dispose()

    with installation.databases(Settings(), data_dir) as databases:
        url = databases.vault_migrator or databases.vault
        if not url:
            raise StartRefused(f"Set KOPEYKA_VAULT_MIGRATOR_DATABASE_URL: {needed_for}")
        return asyncio.run(run(url))


def operator() -> str:
    """Who runs a command, as the log names them."""
    return f"operator:{os.getuid()}"


def command_origin() -> str:
    """Where a command runs, as the log names it."""
    return f"cli:{os.getpid()}"
