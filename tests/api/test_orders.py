"""Orders at the door: sums and currencies that no till may ask for are refused with a code and a tip."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import pytest_asyncio

from checkout.orders import ORDER_KOPECKS_MAX
from tests.api.conftest import Client
from tests.api.test_cash_links import terminal
from tests.conftest import Database


@pytest_asyncio.fixture
async def terminal_id(client: Client) -> str:
    return str((await terminal(client))["id"])


def orders_of(database: Database) -> int:
    with psycopg.connect(database.superuser_url) as connection:
        row = connection.execute("SELECT count(*) FROM orders").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("more", "code", "tip"),
    [
        pytest.param({"amount_kopecks": 0}, "checkout.amount_not_positive", "больше нуля", id="nothing"),
        pytest.param({"amount_kopecks": -1}, "checkout.amount_not_positive", "больше нуля", id="below zero"),
        pytest.param(
            {"amount_kopecks": ORDER_KOPECKS_MAX + 1}, "checkout.amount_too_large", "слишком велика",
            id="a kopeck above a million roubles",
        ),
        pytest.param({"currency": "USD"}, "checkout.order_not_roubles", "только в рублях", id="dollars"),
        pytest.param({"currency": "rub"}, "checkout.order_not_roubles", "только в рублях", id="not the code"),
    ],
)  # fmt: skip
async def test_an_order_that_no_till_may_place_is_refused_with_a_tip(
    client: Client, database: Database, terminal_id: str, more: dict[str, Any], code: str, tip: str
) -> None:
    body = {"terminal_id": terminal_id, "number": "A-1", "amount_kopecks": 100, **more}

    refused = await client.post("/v1/orders", body)

    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert tip in refused.json()["cashier_tip"]
    assert orders_of(database) == 0


@pytest.mark.parametrize("more", [{}, {"currency": "RUB"}], ids=["not said", "said"])
async def test_a_million_roubles_may_be_asked_for(client: Client, terminal_id: str, more: dict[str, Any]) -> None:
    body = {"terminal_id": terminal_id, "number": "A-1", "amount_kopecks": ORDER_KOPECKS_MAX, **more}

    assert (await client.post("/v1/orders", body)).status_code == 201
