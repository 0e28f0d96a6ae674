"""Rails that are off: by rule another takes their place, what was begun goes on; a drill of a provider that left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.failover import redirect
from api.payment_results import StatusReader
from checkout.preferred_rails import first_rail
from checkout.rail_switches import next_rail
from ledger.database import Engine, Session, text, transaction
from sbp_gateway import payload
from sbp_gateway.nspk_http import NspkHttp
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.providers import Providers
from tests.api.conftest import Client, new_key
from tests.api.installment_world import agree_terms, api_key_of, licensed
from tests.api.plan_shop import PLANS, PlanShop, plan_shop
from tests.api.test_cash_links import order, terminal
from tests.api.test_plan_rail import accept, offered, order_of
from tests.installments.test_bureau import running_simulators

SWITCHES, RULES = "/v1/rails/switches", "/v1/rails/failover-rules"


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[PlanShop]:
    async with plan_shop(client, engine, vault_engine) as opened:
        yield opened


async def switch(shop: PlanShop, rail: str, *, is_on: bool = False, **more: Any) -> Any:
    return await shop.cards.made(SWITCHES, {"rail": rail, "is_on": is_on, "reason": "Провайдер ушёл с рынка", **more})


async def rule(shop: PlanShop, rail: str, next_rail: str | None, merchant_id: str | None = None) -> Any:
    body = {"rail": rail, "next_rail": next_rail, "merchant_id": merchant_id}
    return await shop.cards.made(RULES, body)


@pytest.mark.parametrize(
    ("asked", "rules", "off", "found"),
    [
        ("card", {"card": "sbp"}, {"card"}, "sbp"),
        ("card", {"card": "sbp", "sbp": "dolyame"}, {"card", "sbp"}, "dolyame"),
        ("card", {"card": "sbp"}, {"card", "sbp"}, None),
        ("card", {}, {"card"}, None),
        ("card", {"card": None}, {"card"}, None),
        ("sbp", {"sbp": "dolyame", "dolyame": "sbp"}, {"sbp", "dolyame"}, None),
    ],
)
def test_rules_are_followed_until_a_rail_is_on(
    asked: str, rules: dict[str, str | None], off: set[str], found: str | None
) -> None:
    assert next_rail(asked, rules, off) == found


async def test_a_provider_leaves_the_market_new_sales_go_by_sbp_and_open_plans_keep_collecting(
    shop: PlanShop, engine: Engine
) -> None:
    """The drill: plans are gone; a till that asks for one shows a QR of SBP, and who owes goes on paying."""
    order_id, attempt = await offered(shop)
    open_plan = attempt["qr"]["qrc_id"]
    await accept(shop, open_plan)
    await rule(shop, "dolyame", "sbp")
    left = await switch(shop, "dolyame", provider="dolyame")

    async with running_simulators() as url, nspk_at(url, shop, engine) as results:
        second, instead = await offered(shop, 200_000)
        async with httpx.AsyncClient(base_url=url, timeout=60) as buyer:
            await buyer.post("/simulator/payers/pay", json={"qrc_id": instead["qr"]["qrc_id"]})
        await results.read_open([instead["qr"]["qrc_id"]], frozenset())
    early = await shop.cards.made(f"{PLANS}/{open_plan}/payments", {"amount_kopecks": 250_014})

    assert (left["provider"], left["is_on"]) == (None, False)  # the one provider of plans is all there is of them
    assert (instead["rail"], instead["status"]) == ("sbp", "waiting")
    assert (await order_of(shop, second))["status"] == "paid"
    assert (early["status"], (await shop.cards.read(f"{PLANS}/{open_plan}"))["outstanding_kopecks"]) == (
        "captured", 500_028,
    )  # fmt: skip
    assert (await order_of(shop, order_id))["status"] == "paid"
    events = (await shop.cards.read("/v1/events?limit=200"))["items"]
    told = [(one["data"]["asked_rail"], one["data"]["rail"]) for one in events if one["type"] == "attempt.failed_over"]
    assert told == [("dolyame", "sbp")]


@asynccontextmanager
async def nspk_at(url: str, shop: PlanShop, engine: Engine) -> AsyncIterator[StatusReader]:
    """The shop's door calls the NSPK at ``url``."""
    door = shop.api.app.state.door
    nspk = NspkHttp(NspkTransport(url), "A00000000001", payload.parse_leniently)
    results = StatusReader(engine, nspk, door.clock)
    door.wiring = replace(door.wiring, rail=replace(door.wiring.rail, nspk=nspk), results=results)
    yield results
    await nspk.close()


async def test_a_card_that_is_off_becomes_a_plan(shop: PlanShop) -> None:
    await rule(shop, "card", "dolyame")
    await switch(shop, "card", provider="acquirer")

    instead = await shop.cards.attempt(await shop.cards.order(200_000))

    assert (instead["rail"], instead["status"]) == ("dolyame", "waiting")
    assert instead["qr"]["payload"].startswith("https://kopeyka.test/plans/")


async def test_without_a_rule_a_rail_that_is_off_is_refused_and_comes_back(shop: PlanShop) -> None:
    order_id = await shop.cards.order(200_000)
    await switch(shop, "dolyame")
    refused = await shop.api.post(f"/v1/orders/{order_id}/attempts", {"rail": "dolyame"})
    await switch(shop, "dolyame", is_on=True)
    again = await shop.cards.made(f"/v1/orders/{order_id}/attempts", {"rail": "dolyame"})

    assert (refused.status_code, refused.json()["code"]) == (409, "checkout.rail_off")
    assert refused.json()["cashier_tip"]
    assert again["rail"] == "dolyame"
    assert [one["is_on"] for one in (await shop.cards.read(SWITCHES))["items"]] == [True]


async def test_a_merchants_own_rule_goes_before_the_houses(shop: PlanShop) -> None:
    await rule(shop, "card", "dolyame")
    await rule(shop, "card", None, shop.merchant_id)
    await switch(shop, "card")
    order_id = await shop.cards.order(200_000)

    refused = await shop.api.post(f"/v1/orders/{order_id}/attempts", {"rail": "card", "card_token": shop.cards.token})

    assert refused.json()["code"] == "checkout.rail_off"
    listed = (await shop.cards.read(f"{RULES}?merchant_id={shop.merchant_id}"))["items"]
    assert [(one["merchant_id"], one["next_rail"]) for one in listed] == [(None, "dolyame"), (shop.merchant_id, None)]


async def test_an_attempt_once_answered_is_answered_so_whatever_was_switched_since(shop: PlanShop) -> None:
    order_id, key = await shop.cards.order(200_000), new_key()
    first = await shop.api.post(f"/v1/orders/{order_id}/attempts", {"rail": "dolyame"}, key=key)
    await switch(shop, "dolyame")
    again = await shop.api.post(f"/v1/orders/{order_id}/attempts", {"rail": "dolyame"}, key=key)

    assert (again.status_code, again.content) == (first.status_code, first.content)


async def test_rails_that_are_off_are_not_offered_at_the_scan(shop: PlanShop, engine: Engine) -> None:
    async def rails() -> list[str]:
        async with Session(engine) as session:
            found = await session.exec_driver_sql(
                "SELECT rails_on_at(%s, ARRAY['sbp', 'dolyame', 'card'], '2026-11-22')", (shop.cards.terminal_id,)
            )
            return list(found.scalar_one())

    assert await rails() == ["sbp", "dolyame", "card"]
    await switch(shop, "dolyame")
    assert await rails() == ["sbp", "card"]
    await switch(shop, "dolyame", is_on=True)
    assert await rails() == ["sbp", "dolyame", "card"]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (SWITCHES, {"rail": "barter", "is_on": False, "reason": "r"}, "checkout.rail_unknown"),
        (SWITCHES, {"rail": "sbp", "provider": "dolyame", "is_on": False, "reason": "r"}, "checkout.rail_unknown"),
        (SWITCHES, {"rail": "sbp", "provider": "qiwi", "is_on": False, "reason": "r"}, "checkout.provider_unknown"),
        (RULES, {"rail": "barter", "next_rail": "sbp"}, "checkout.rail_unknown"),
        (RULES, {"rail": "sbp", "next_rail": "card"}, "checkout.failover_refused"),
        (RULES, {"rail": "sbp", "next_rail": "sbp"}, "checkout.failover_refused"),
        (RULES, {"rail": "sbp", "next_rail": "dolyame", "merchant_id": "mer_1"}, "checkout.merchant_not_found"),
    ],
)
async def test_words_that_mean_nothing_are_refused(client: Client, path: str, body: dict[str, Any], code: str) -> None:
    answer = await client.post(path, body)

    assert (answer.status_code >= 400, answer.json()["code"]) == (True, code)


async def test_a_merchant_switches_nothing_and_rules_its_own_only(shop: PlanShop) -> None:
    own = await api_key_of(shop.api, shop.merchant_id, "tills:manage", "orders:read")
    switched = await own.post(SWITCHES, {"rail": "sbp", "is_on": False, "reason": "r"})
    mine = await own.post(RULES, {"rail": "card", "next_rail": "sbp"})
    other = await own.post(RULES, {"rail": "card", "next_rail": "sbp", "merchant_id": "mer_" + "0" * 26})

    assert switched.status_code == 403
    assert mine.json()["merchant_id"] == shop.merchant_id
    assert (other.status_code, other.json()["code"]) == (404, "checkout.merchant_not_found")


async def test_a_buyer_chooses_a_rail_for_a_card_and_takes_the_choice_back(shop: PlanShop) -> None:
    body = {"merchant_id": shop.merchant_id, "programme": "kofeinya"}
    card = await shop.cards.made("/v1/loyalty-cards", body)
    path = f"/v1/loyalty-cards/{card['id']}/preferred-rail"
    assert (await shop.cards.read(path))["version"] == 0

    chosen = await shop.cards.made(path, {"rail": "dolyame"}, 200)
    again = await shop.cards.made(path, {"rail": "dolyame"}, 200)
    taken_back = await shop.cards.made(path, {"rail": None}, 200)
    unknown = await shop.api.post(path, {"rail": "barter"})
    nobodys = await shop.api.post("/v1/loyalty-cards/lcd_%00/preferred-rail", {"rail": "sbp"})

    assert (chosen["rail"], chosen["version"]) == ("dolyame", 1)
    assert again == chosen
    assert (taken_back["rail"], taken_back["version"]) == (None, 2)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "checkout.rail_unknown")
    assert nobodys.status_code in (404, 422)
    assert (await shop.cards.events()).count("loyalty_card.rail_preferred") == 2


@pytest.mark.parametrize(
    ("rails", "preferred", "first"),
    [
        (("sbp", "dolyame"), "dolyame", "dolyame"),
        (("sbp", "dolyame"), "card", "sbp"),
        (("dolyame", "card"), None, "dolyame"),
        ((), "sbp", None),
    ],
)
def test_a_till_goes_straight_on_by_the_buyers_rail_if_it_is_on(
    rails: tuple[str, ...], preferred: str | None, first: str | None
) -> None:
    assert first_rail(rails, preferred=preferred) == first


async def test_an_attempt_that_names_no_rail_goes_by_the_one_that_the_cards_buyer_chose(shop: PlanShop) -> None:
    card = await shop.cards.made("/v1/loyalty-cards", {"merchant_id": shop.merchant_id, "programme": "kofeinya"})
    await shop.cards.made(f"/v1/loyalty-cards/{card['id']}/preferred-rail", {"rail": "dolyame"}, 200)
    line = {"article": "C-1", "name": "Кофе", "measure": "piece", "quantity": 1, "price_kopecks": 200_000}
    body = {
        "terminal_id": shop.cards.terminal_id, "number": "B-1", "amount_kopecks": 200_000, "basket": {"lines": [line]},
        "loyalty_card_id": card["id"],
    }  # fmt: skip
    with_card = (await shop.cards.made("/v1/orders", body))["id"]
    without = await shop.cards.order(200_000)

    chosen = await shop.cards.made(f"/v1/orders/{with_card}/attempts", {})
    await switch(shop, "sbp")
    usual = await shop.cards.made(f"/v1/orders/{without}/attempts", {})
    unclear = await shop.api.post(f"/v1/orders/{without}/attempts", {"ttl_minutes": 5})

    assert (chosen["rail"], usual["rail"]) == ("dolyame", "dolyame")  # chosen before SBP; and the first that is on
    assert (unclear.status_code, unclear.json()["code"]) == (422, "api.request_invalid")


@pytest.mark.parametrize(
    ("off", "provider", "instead"),
    [
        ("tkassa", None, "dolyame"),
        ("nspk", None, None),
        ("nspk_cash_link", None, None),
        ("nspk_cash_link", "nspk_cash_link", "dolyame"),
    ],
    ids=["the merchant's own", "another's", "plates, by a new code", "plates, by a plate"],
)
async def test_one_provider_of_several_stops_only_its_own(
    client: Client, engine: Engine, off: str, provider: str | None, instead: str | None
) -> None:
    till = await terminal(client)
    order_id = await order(client, till, "A-1", 200_000)
    await licensed(client)
    await agree_terms(client, till["merchant_id"])
    assert (await client.post(RULES, {"rail": "sbp", "next_rail": "dolyame"})).status_code == 201
    body = {"rail": "sbp", "provider": off, "is_on": False, "reason": "Не отвечает"}
    assert (await client.post(SWITCHES, body)).json()["provider"] == off
    door = client.app.state.door
    stopped = await door.wiring.rails.off(door.clock.now())

    async with transaction(engine) as session:
        member_id = await session.scalar(
            text("SELECT member_id FROM sbp_merchants WHERE merchant_id = :id"), {"id": till["merchant_id"]}
        )
        nspk = door.wiring.rail.nspk
        links = Providers(nspk, nspk, frozenset({member_id}))  # the merchant's bank is one of T-Kassa's
        found = await redirect(
            session, stopped, asked="sbp", provider=provider, order_id=order_id, merchant_id=None, links=links,
            now=door.clock.now(),
        )  # fmt: skip

    assert (found and found.rail) == instead


async def test_a_rail_that_the_merchant_cannot_be_paid_by_stands_in_for_none(client: Client) -> None:
    till = await terminal(client)
    order_id = await order(client, till, "A-1", 200_000)
    assert (await client.post(RULES, {"rail": "sbp", "next_rail": "dolyame"})).status_code == 201
    assert (await client.post(SWITCHES, {"rail": "sbp", "is_on": False, "reason": "Не отвечает"})).status_code == 201

    without_terms = await client.post(f"/v1/orders/{order_id}/attempts", {"rail": "sbp"})
    await licensed(client)
    await agree_terms(client, till["merchant_id"])
    with_terms = await client.post(f"/v1/orders/{order_id}/attempts", {"rail": "sbp"})

    assert (without_terms.status_code, without_terms.json()["code"]) == (409, "checkout.rail_off")
    assert with_terms.json()["rail"] == "dolyame"


async def test_a_rail_whose_provider_is_off_stands_in_for_none(client: Client, engine: Engine) -> None:
    till = await terminal(client)
    order_id = await order(client, till, "A-1", 200_000)
    await licensed(client)
    await agree_terms(client, till["merchant_id"])
    for rail, instead in (("card", "sbp"), ("sbp", "dolyame")):
        assert (await client.post(RULES, {"rail": rail, "next_rail": instead})).status_code == 201
    for off in ({"rail": "card"}, {"rail": "sbp", "provider": "nspk"}):
        assert (await client.post(SWITCHES, {**off, "is_on": False, "reason": "Не отвечает"})).status_code == 201
    door = client.app.state.door

    async with transaction(engine) as session:
        found = await redirect(
            session, await door.wiring.rails.off(door.clock.now()), asked="card", provider=None, order_id=order_id,
            merchant_id=None, links=door.wiring.rail.nspk, now=door.clock.now(),
        )  # fmt: skip

    assert found is not None
    assert found.rail == "dolyame"
