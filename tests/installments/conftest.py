from __future__ import annotations

import pytest_asyncio

from ledger.database import Engine
from tests.installments.plan_world import PlanWorld


@pytest_asyncio.fixture
async def world(engine: Engine) -> PlanWorld:
    """A shop, our own house, and the accounts of plans."""
    return await PlanWorld(engine).begin()
