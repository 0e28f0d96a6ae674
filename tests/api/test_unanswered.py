"""A rail that keeps silent is asked again as often as the till's setting allows; then the attempt is given up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from api.app import create_app
from api.callers import create_key
from api.card_calls import carry_on_card_payments
from api.settings import Settings
from api.watching import resume_lost_links
from ledger.database import Engine, text, transaction
from tests.api.card_world import CardShop
from tests.api.conftest import Client
from tests.api.plan_shop import PlanShop, plan_shop
from tests.api.test_cash_links import order, terminal
from tests.api.test_nspk_unreachable import made


@dataclass
class Silence:
    """An NSPK that hangs up on everybody, and how often it did."""

    url: str
    calls: int = 0


@pytest_asyncio.fixture
async def silent() -> AsyncIterator[Silence]:
    async def hang_up(request: web.Request) -> web.Response:
        silence.calls += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hang_up)
    async with TestServer(app) as server:
        silence = Silence(str(server.make_url("/")).rstrip("/"))
        yield silence


@pytest_asyncio.fixture
async def client(database: Any, engine: Engine, silent: Silence) -> AsyncIterator[Client]:
    """A caller of an installation whose NSPK says nothing."""
    settings = Settings(
        database_url=SecretStr(database.app_url), nspk_url=silent.url, log_level="critical", workers=1
    )  # fmt: skip
    app = create_app(settings)
    async with transaction(engine) as session:
        _, secret = await create_key(session, name="tests", scopes=["admin"], mode="test", now=datetime.now(UTC))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://kopeyka.test") as http,
    ):
        yield Client(http, app, secret.expose())


async def allow_retries(client: Client, till: dict[str, Any], retries: int) -> None:
    body = {
        "merchant_id": till["merchant_id"], "level": "terminal", "place": till["id"], "name": "cancel_after_retries",
        "value": retries,
    }  # fmt: skip
    assert (await client.post("/v1/premises/settings", body)).status_code in (200, 201)


async def look(client: Client, engine: Engine) -> None:
    """The worker comes by when everything is due."""
    async with engine.begin() as session:
        await session.exec_driver_sql(
            "UPDATE qr_codes SET next_poll_at = now() - interval '1 s' WHERE next_poll_at IS NOT NULL"
        )
    door = client.app.state.door
    await resume_lost_links(engine, door.wiring, door.clock)


async def test_a_silent_nspk_is_asked_twice_more_and_the_order_may_be_paid_otherwise(
    client: Client, engine: Engine
) -> None:
    till = await terminal(client)
    await allow_retries(client, till, 2)
    order_id = await order(client, till, "A-1", 10_000)
    attempt = await made(client, f"/v1/orders/{order_id}/attempts", {"rail": "sbp"})
    assert attempt["status"] == "unknown"

    statuses = []
    for _ in range(4):
        await look(client, engine)
        found = (await client.get(f"/v1/orders/{order_id}")).json()
        statuses.append((found["status"], found["attempts"][0]["status"]))

    assert statuses == [("open", "unknown")] * 2 + [("open", "expired")] * 2
    events = (await client.get("/v1/events?limit=200")).json()["items"]
    told = [one["data"]["tries"] for one in events if one["type"] == "attempt.unanswered"]
    assert told == [3]
    async with transaction(engine) as session:
        assert await session.scalar(text("SELECT count(*) FROM qr_codes WHERE next_poll_at IS NOT NULL")) == 0
    again = await made(client, f"/v1/orders/{order_id}/attempts", {"rail": "sbp"})
    assert again["id"] != attempt["id"]


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[PlanShop]:
    async with plan_shop(client, engine, vault_engine) as opened:
        yield opened


async def ask_again(cards: CardShop) -> None:
    async with cards.engine.begin() as session:
        await session.exec_driver_sql(
            "UPDATE card_payments SET next_look_at = now() - interval '1 s' WHERE next_look_at IS NOT NULL"
        )
    await carry_on_card_payments(cards.calls)


async def test_a_card_charged_after_its_attempt_was_given_up_gets_its_money_back(shop: PlanShop) -> None:
    cards = shop.cards
    await allow_retries(cards.api, {"merchant_id": cards.merchant_id, "id": cards.terminal_id}, 1)
    order_id = await cards.order(10_000)
    cards.vault.lose = 1
    first = await cards.attempt(order_id)
    cards.vault.lose = 10
    await ask_again(cards)
    await ask_again(cards)
    given_up = (await cards.read(f"/v1/orders/{order_id}"))["attempts"][0]
    cards.vault.lose = 0
    await cards.settle()

    assert (first["status"], given_up["status"]) == ("unknown", "expired")
    assert (await cards.read(f"/v1/orders/{order_id}"))["status"] == "open"
    async with transaction(cards.engine) as session:
        held = await session.scalar(
            text("SELECT status FROM card_payments WHERE attempt_id = :id"), {"id": first["id"]}
        )  # fmt: skip
    assert (held, await cards.balance(f"liability:card_payable:{cards.merchant_id}")) == ("voided", 0)
    assert (await cards.attempt(order_id))["status"] == "paid"
