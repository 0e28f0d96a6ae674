from __future__ import annotations

from datetime import datetime

import pytest_asyncio

from ledger.database import Engine
from tests.ledger.books import open_test_accounts


@pytest_asyncio.fixture
async def books(engine: Engine, now: datetime) -> Engine:
    """An engine on a database with the test accounts open."""
    await open_test_accounts(engine, now)
    return engine
