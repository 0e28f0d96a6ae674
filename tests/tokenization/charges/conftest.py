"""The world of charges as a fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import pytest_asyncio

from ledger.database import Engine
from tests.tokenization.charges.charge_world import ChargeWorld, charge_world


@pytest_asyncio.fixture
async def world(vault_engine: Engine, now: datetime) -> AsyncIterator[ChargeWorld]:
    async with charge_world(vault_engine, now) as opened:
        yield opened
