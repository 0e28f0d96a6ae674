"""Payments by card compared with the vault's charges: what agrees is silent, what differs is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from api.card_comparing import Walk, compare_card_payments
from ledger.clock import machine_now
from ledger.database import Engine
from tests.api.card_world import CardShop, card_shop
from tests.api.conftest import Client
from tests.tokenization.charges.charge_world import charge_world


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[CardShop]:
    async with charge_world(vault_engine, machine_now()) as charges:
        yield await card_shop(client, engine, charges)


async def differing(shop: CardShop) -> list[Any]:
    """Walk over everything, ten minutes later."""
    shop.calls.clock.offset = timedelta(minutes=10)
    with capture_logs() as lines:
        await compare_card_payments(shop.calls, Walk())
    return [line["payment_id"] for line in lines if line["event"] == "card_money_differs"]


async def test_what_agrees_is_not_told_of(shop: CardShop) -> None:
    await shop.pay(990_051)
    await shop.pay(100, card_token="tok_0000000000000000000000000")
    await shop.pay(10_000, capture=False)
    paid = await shop.pay(20_000)
    await shop.made(f"/v1/card-payments/{paid['id']}/refunds", {"amount_kopecks": 5_000})
    held = await shop.pay(30_000, capture=False)
    await shop.made(f"/v1/card-payments/{held['id']}/void", {}, 200)
    walk = Walk()

    assert await differing(shop) == []
    assert await compare_card_payments(shop.calls, walk) == 5
    assert await compare_card_payments(shop.calls, walk) == 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE charges SET captured_kopecks = captured_kopecks - 1",
        "UPDATE charges SET status = 'voiding', next_look_at = now()",
    ],
)
async def test_a_difference_is_told(shop: CardShop, vault_engine: Engine, change: str) -> None:
    payment = await shop.pay(10_000)
    async with vault_engine.begin() as session:
        await session.exec_driver_sql(change)

    assert await differing(shop) == [payment["id"]]


async def test_a_vault_that_is_away_differs_from_nothing(shop: CardShop) -> None:
    await shop.pay(10_000)
    shop.vault.lose = 1

    assert await differing(shop) == []
