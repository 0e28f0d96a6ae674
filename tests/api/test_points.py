"""Programmes of points, their rules and what cards have, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from api.callers import create_key
from api.chores import expire_points
from checkout.loyalty_cards import issue_card
from checkout.telling import BY_ITSELF
from ledger.clock import Clock, moscow_day
from ledger.database import Engine, transaction
from ledger.ids import new_id
from tests.api.conftest import Client
from tests.checkout.points_world import PointsWorld, points_world, tea

RULE = {"earn_basis_points": 700, "delay_days": 1, "excluded_articles": ["tobacco"]}


@pytest_asyncio.fixture
async def world(client: Client, engine: Engine) -> PointsWorld:
    async with transaction(engine) as session:
        return await points_world(session, now=datetime.now(UTC))


def days_on(days: int) -> str:
    return (moscow_day(datetime.now(UTC)) + timedelta(days=days)).isoformat()


async def test_a_programme_is_opened_with_its_rule(client: Client, world: PointsWorld) -> None:
    body = {"merchant_id": world.merchant_id, "code": "tea", "name": "Листья", "thresholds": [600, 600], "rule": RULE}
    made = await client.post("/v1/points-programmes", body, key="the-same-key-0001")
    assert (made.status_code, made.json()["thresholds"], made.json()["points_issued"]) == (201, [600], 0), made.text
    assert (await client.post("/v1/points-programmes", body, key="the-same-key-0001")).json() == made.json()
    again = await client.post("/v1/points-programmes", body)
    assert (again.status_code, again.json()["code"]) == (409, "checkout.points_programme_taken")
    assert [each["code"] for each in (await client.get("/v1/points-programmes")).json()] == ["coffee", "tea"]
    (rule,) = (await client.get("/v1/points-programmes/tea/rules")).json()
    assert (rule["earn_basis_points"], rule["delay_days"], rule["excluded_articles"]) == (700, 1, ["tobacco"])


async def test_a_rule_counts_from_a_later_day_and_is_published_once(client: Client, world: PointsWorld) -> None:
    path = "/v1/points-programmes/coffee/rules"
    answers = [await client.post(path, RULE | {"valid_from_on": days_on(days)}) for days in (1, 1, 0)]
    assert [each.status_code for each in answers] == [201, 409, 422]
    assert [each.json().get("code") for each in answers[1:]] == [
        "checkout.points_rule_taken",
        "checkout.points_rule_of_past",
    ]
    assert all("cashier_tip" in each.json() for each in answers[1:])
    assert len((await client.get(path)).json()) == 2


async def test_a_gift_is_in_the_cards_points_and_in_the_liability(client: Client, world: PointsWorld) -> None:
    path = f"/v1/loyalty-cards/{world.card_id}/points"
    assert (await client.get(path)).json()["available"] == 0
    given = await client.post(path, {"points": 120, "reason": "За ожидание"}, key="the-same-gift-001")
    assert (await client.post(path, {"points": 120, "reason": "За ожидание"}, key="the-same-gift-001")).json() == (
        given.json()
    )
    found = (await client.get(path)).json()
    assert (found["available"], found["posted"], [lot["points_left"] for lot in found["lots"]]) == (120, 120, [120])
    (programme,) = (await client.get("/v1/points-programmes")).json()
    assert (programme["points_issued"], programme["liability_kopecks"]) == (120, 12_000)


async def test_a_rule_is_simulated_on_past_baskets(client: Client, engine: Engine, world: PointsWorld) -> None:
    now = datetime.now(UTC)
    async with transaction(engine) as session:
        await world.pay(session, [await world.place(session, [tea(100_000)], now=now)], now=now)
    body = {"earn_basis_points": 1_000, "first_on": days_on(-1), "last_on": days_on(0)}
    tried = await client.post("/v1/points-programmes/coffee/simulations", body)
    assert tried.status_code == 200, tried.text
    assert tried.json()["liability_change_kopecks"] == 5_000
    assert tried.json()["total"]["accrued"] == 50
    assert [day["accrued_then"] for day in tried.json()["days"]] == [100]


async def test_a_merchant_sees_and_moves_only_its_own(client: Client, engine: Engine, world: PointsWorld) -> None:
    now = datetime.now(UTC)
    async with transaction(engine) as session:
        other = await points_world(session, now=now, code="tea")
        scopes = ["orders:read", "points:write"]
        _, secret = await create_key(
            session, name="m", scopes=scopes, mode="test", now=now, merchant_id=other.merchant_id
        )
    merchant = Client(client.http, client.app, secret.expose())
    assert [each["code"] for each in (await merchant.get("/v1/points-programmes")).json()] == ["tea"]
    gift = {"points": 1, "reason": "r"}
    strange = [
        await merchant.get("/v1/points-programmes/coffee/rules"),
        await merchant.post("/v1/points-programmes/coffee/rules", RULE | {"valid_from_on": days_on(1)}),
        await merchant.get(f"/v1/loyalty-cards/{world.card_id}/points"),
        await merchant.post(f"/v1/loyalty-cards/{world.card_id}/points", gift),
        await merchant.post(
            "/v1/points-programmes", {"merchant_id": world.merchant_id, "code": "x", "name": "n", "rule": RULE}
        ),
    ]
    assert [each.status_code for each in strange] == [404] * 5
    own = await merchant.post("/v1/points-programmes", {"code": "x", "name": "n", "rule": RULE})
    assert own.json()["merchant_id"] == other.merchant_id
    assert (await merchant.post(f"/v1/loyalty-cards/{other.card_id}/points", gift)).status_code == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/points-programmes", {"code": "Tea", "name": "n", "rule": RULE}),
        ("/v1/points-programmes", {"code": "tea", "name": "n", "rule": RULE, "point_kopecks": 0}),
        ("/v1/points-programmes", {"code": "tea", "name": "n", "rule": RULE, "thresholds": [10**30]}),
        ("/v1/points-programmes", {"code": "tea", "name": "n", "rule": RULE | {"lot_days": 10**30}}),
        ("/v1/points-programmes", {"code": "tea", "name": "n", "rule": RULE | {"delay_days": 365}}),
        ("/v1/points-programmes/coffee/rules", RULE | {"valid_from_on": "soon"}),
        ("/v1/points-programmes/coffee/rules", RULE | {"valid_from_on": "2030-01-01", "earn_basis_points": 0.5}),
        ("/v1/points-programmes/coffee/simulations", RULE | {"first_on": "2026-01-02", "last_on": "2026-01-01"}),
        ("/v1/points-programmes/coffee/simulations", RULE | {"first_on": "2020-01-02", "last_on": "2026-01-01"}),
        ("/v1/loyalty-cards/{card}/points", {"points": 0, "reason": "r"}),
        ("/v1/loyalty-cards/{card}/points", {"points": 10**9 + 1, "reason": "r"}),
        ("/v1/loyalty-cards/{card}/points", {"points": 1, "reason": "\x00"}),
    ],
)
async def test_bad_input_is_refused_and_changes_nothing(
    client: Client, world: PointsWorld, path: str, body: dict[str, Any]
) -> None:
    merchant = {"merchant_id": world.merchant_id} if path == "/v1/points-programmes" else {}
    answer = await client.post(path.format(card=world.card_id), body | merchant)
    assert 400 <= answer.status_code < 500, answer.text
    (programme,) = (await client.get("/v1/points-programmes")).json()
    assert programme["points_issued"] == 0


async def test_the_worker_empties_lots_whose_time_is_over(client: Client, engine: Engine, world: PointsWorld) -> None:
    path = f"/v1/loyalty-cards/{world.card_id}/points"
    await client.post(path, {"points": 120, "reason": "r"})
    assert await expire_points(engine, Clock()) == 0
    assert await expire_points(engine, Clock(timedelta(days=366))) == 1
    assert (await client.get(path)).json()["posted"] == 0


async def test_unknown_programmes_and_cards_are_not_found(client: Client, world: PointsWorld) -> None:
    for path in ("/v1/points-programmes/none/rules", "/v1/loyalty-cards/lcd_1/points"):
        assert (await client.get(path)).status_code == 404


async def test_a_card_of_a_programme_without_points_says_so(client: Client, engine: Engine, world: PointsWorld) -> None:
    now = datetime.now(UTC)
    async with transaction(engine) as session:
        card = await issue_card(
            session, new_id("lcd", now), merchant_id=world.merchant_id, programme="stamps", digest=None, by=BY_ITSELF,
            now=now,
        )  # fmt: skip
    answer = await client.get(f"/v1/loyalty-cards/{card.id}/points")
    assert (answer.status_code, answer.json()["code"]) == (404, "checkout.points_programme_not_found")
