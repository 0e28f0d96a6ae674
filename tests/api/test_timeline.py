"""The whole story of an object in order of time, and that nobody reads another merchant's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from api.callers import create_key
from api.timeline import moments as moments_of
from api.timeline.family import prefix_of
from api.timeline.moments import Moment, MomentKind, in_order
from api.timeline.relations import RELATIONS, Relation
from api.timeline.traces import merged
from ledger.clock import machine_now
from ledger.database import Engine, transaction
from tests.api import test_refunds
from tests.api.card_world import CardShop, card_shop
from tests.api.conftest import Client
from tests.api.plan_shop import plan_shop
from tests.api.test_rail_constraints import ORDER
from tests.conftest import Database
from tests.tokenization.charges.charge_world import charge_world

paid_by_sbp = test_refunds.shop
"""A paid order; nobody listens where NSPK should be."""
LINE = {"article": "819304", "name": "Молоко", "measure": "piece", "quantity": 1, "price_kopecks": 10_000}


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[CardShop]:
    async with charge_world(vault_engine, machine_now()) as charges:
        yield await card_shop(client, engine, charges)


async def key_of(engine: Engine, merchant_id: str, client: Client) -> Client:
    async with transaction(engine) as session:
        _, secret = await create_key(
            session, name="shop", scopes=["orders:read", "orders:write"], mode="test", now=datetime.now(UTC),
            merchant_id=merchant_id,
        )  # fmt: skip
    return Client(client.http, client.app, secret.expose())


async def sale_with_a_code(shop: CardShop) -> tuple[str, str, str]:
    """An order of a basket, paid by card less 500 by a promo code, and a part of it given back."""
    code = {"merchant_id": shop.merchant_id, "kind": "discount", "discount_kopecks": 500, "code": "MINUS5"}
    await shop.made("/v1/promo-codes", code)
    body = {
        "terminal_id": shop.terminal_id, "number": "A-77", "basket": {"lines": [LINE]}, "amount_kopecks": 10_000,
        "promo_code": "minus5",
    }  # fmt: skip
    order_id = (await shop.made("/v1/orders", body))["id"]
    attempt = await shop.attempt(order_id)
    return order_id, attempt["id"], attempt["payment_id"]


async def test_the_story_of_a_sale_goes_from_the_request_to_the_books_and_the_log(shop: CardShop) -> None:
    order_id, attempt_id, payment_id = await sale_with_a_code(shop)

    told = await shop.read(f"/v1/timeline/{order_id}")

    assert told["id"] == order_id
    assert {order_id, attempt_id, payment_id} <= set(told["objects"])
    said = [(one["kind"], one["what"]) for one in told["moments"]]
    assert [one["at"] for one in told["moments"]] == sorted(one["at"] for one in told["moments"])
    story = [
        ("request", "POST /v1/orders"), ("object", "order.placed"), ("object", "redemption.reserved"),
        ("request", "POST /v1/orders/{order_id}/attempts"), ("rail", "card.charge_asked"), ("rail", "card.captured"),
        ("object", "redemption.confirmed"), ("object", "order.paid"), ("entry", "card.payment"),
        ("event", "order.paid"),
    ]  # fmt: skip
    assert set(story) <= set(said), set(story) - set(said)
    assert said.index(("request", "POST /v1/orders")) == 0
    places = [said.index(each) for each in (story[0], story[1], story[3], story[4], ("event", "order.paid"))]
    assert places == sorted(places)


async def test_every_entry_of_the_sale_is_in_its_story_with_its_postings(shop: CardShop) -> None:
    order_id, _, _ = await sale_with_a_code(shop)
    await shop.made("/v1/card-payments", {
        "merchant_id": shop.merchant_id, "card_token": shop.token, "amount_kopecks": 70_000,
    })  # fmt: skip

    told = (await shop.read(f"/v1/timeline/{order_id}"))["moments"]

    (entry,) = [one for one in told if one["kind"] == "entry"]
    assert entry["facts"]["reference"].startswith("card_payment:cpy_")
    assert sum(each["amount"] for each in entry["facts"]["postings"] if each["debit"].startswith("asset:")) == 9_500
    assert entry["about"].startswith("ent_")


@pytest.mark.parametrize("by", ["attempt", "payment", "request", "number"])
async def test_a_story_is_found_by_whatever_support_has_in_hand(shop: CardShop, engine: Engine, by: str) -> None:
    order_id, attempt_id, payment_id = await sale_with_a_code(shop)
    told = await shop.read(f"/v1/timeline/{order_id}")
    request_id = next(one["facts"]["request_id"] for one in told["moments"] if one["kind"] == "request")
    own = await key_of(engine, shop.merchant_id, shop.api)

    name = {"attempt": attempt_id, "payment": payment_id, "request": request_id, "number": "A-77"}[by]
    found = await (own if by == "number" else shop.api).get(f"/v1/timeline/{name}")

    assert found.status_code == 200
    assert order_id in found.json()["objects"]


async def test_a_merchant_reads_its_own_story_without_the_books_and_the_log_and_nobody_elses(
    shop: CardShop, engine: Engine
) -> None:
    order_id, attempt_id, payment_id = await sale_with_a_code(shop)
    body = {
        "name": "Сосед", "legal_name": "ООО Сосед", "inn": "7736207543", "tariff_group": "standard",
        "bank_account": {"bik": "044525225", "number": "40702810638050013199"},
    }  # fmt: skip
    neighbour = (await shop.made("/v1/merchants", body))["id"]
    own, other = [await key_of(engine, each, shop.api) for each in (shop.merchant_id, neighbour)]

    mine = (await own.get(f"/v1/timeline/{order_id}")).json()
    hidden = [
        await other.get(f"/v1/timeline/{each}") for each in (order_id, attempt_id, payment_id, "A-77")
    ]  # fmt: skip

    kinds = {one["kind"] for one in mine["moments"]}
    assert {"object", "rail", "event"} <= kinds
    assert not kinds & {"entry", "hold", "leaf", "request"}
    assert [(each.status_code, each.json()["code"]) for each in hidden] == [(404, "api.resource_unknown")] * 4


async def test_lines_of_the_log_are_shown_to_an_admin_and_the_reading_is_a_line_itself(
    shop: CardShop, database: Database, engine: Engine
) -> None:
    made = await shop.made(
        "/v1/promo-codes", {"merchant_id": shop.merchant_id, "kind": "discount", "discount_kopecks": 500}
    )
    async with transaction(engine) as session:
        _, secret = await create_key(
            session, name="support", scopes=["orders:read"], mode="test", now=datetime.now(UTC)
        )  # fmt: skip
    support = Client(shop.api.http, shop.api.app, secret.expose())

    told = await shop.read(f"/v1/timeline/{made['id']}")
    without = (await support.get(f"/v1/timeline/{made['id']}")).json()

    leaves = [one for one in told["moments"] if one["kind"] == "leaf"]
    assert [one["what"] for one in leaves] == ["promo_code.made", "audit_log.read"]
    assert leaves[0]["facts"]["actor"].startswith("caller:key_")
    assert "leaf" not in {one["kind"] for one in without["moments"]}
    with psycopg.connect(database.superuser_url) as connection:
        rows = connection.execute("SELECT convert_from(event, 'UTF8') FROM audit_events").fetchall()
    assert sum('"action":"audit_log.read"' in row[0] for row in rows) == 1


async def test_the_log_is_opened_for_ids_alone(database: Database) -> None:
    ask = b"SELECT * FROM audit_lines_about(%s, now(), 10)"
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        for wanted in ([".*"], ["ord_" + "." * 26], [None], ["ord_1|.*"]):
            with pytest.raises(psycopg.errors.InvalidParameterValue):
                connection.execute(ask, [wanted])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM audit_events")
        assert connection.execute(ask, [[]]).fetchall() == []


async def test_the_story_of_a_plan_holds_its_charge_its_movements_and_every_entry(
    client: Client, engine: Engine, vault_engine: Engine, database: Database
) -> None:
    async with plan_shop(client, engine, vault_engine) as shop:
        plan = await shop.begun()

        told = await shop.cards.read(f"/v1/timeline/{plan['id']}")
        own = await key_of(engine, shop.merchant_id, client)
        shops = (await own.get(f"/v1/timeline/{plan['id']}")).json()

    said = {(one["kind"], one["what"]) for one in told["moments"]}
    assert {("object", "plan.opened"), ("object", "plan.movement"), ("rail", "card.captured")} <= said
    assert ("object", "plan.decided") in said
    heard = {one["what"] for one in shops["moments"]}
    assert {"plan.opened", "plan.movement"} <= heard
    assert not heard & {"plan.decided", "card.captured", "notice.written"}
    entries = {one["facts"]["reference"] for one in told["moments"] if one["kind"] == "entry"}
    with psycopg.connect(database.superuser_url) as connection:
        booked = {row[0] for row in connection.execute("SELECT reference FROM postings WHERE number = 1")}
    assert entries == booked


async def test_the_story_of_a_refund_by_sbp_holds_what_was_set_aside_and_who_was_asked(paid_by_sbp: Client) -> None:
    client = paid_by_sbp
    asked = await client.post("/v1/refunds", {"order_id": ORDER, "amount_kopecks": 60, "reason": "не подошло"})

    assert asked.status_code == 201, asked.text
    told = (await client.get(f"/v1/timeline/{asked.json()['id']}")).json()

    said = {(one["kind"], one["what"]) for one in told["moments"]}
    (held,) = [one["facts"]["amount_kopecks"] for one in told["moments"] if one["kind"] == "hold"]
    assert (held, ORDER in told["objects"]) == (60, True)
    assert {
        ("object", "order.placed"), ("rail", "sbp.paid"), ("entry", "sbp.payment"), ("request", "POST /v1/refunds"),
        ("object", "refund.asked_for"), ("hold", "sbp.refund: placed"), ("rail", "sbp.refund_asked"),
    } <= said, said  # fmt: skip


@pytest.mark.parametrize(
    "name", ["ord_" + "0" * 26, "nobody", "%00", "a" * 300, "9" * 5_000, "mer_" + "0" * 26, "ord_%27%20OR%201=1"]
)
async def test_what_nobody_knows_has_no_story(client: Client, name: str) -> None:
    answer = await client.get(f"/v1/timeline/{name}")

    assert answer.status_code in (404, 422)


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda each: each.table)
def test_relations_name_columns_that_are_there(server: Any, template: str, relation: Relation) -> None:
    with psycopg.connect(server.url("postgres", template)) as connection:
        rows = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s", [relation.table]
        )
        columns = {row[0] for row in rows}

    assert set(relation.columns) <= columns
    assert relation.is_of_merchant <= ("merchant_id" in columns)
    assert not {"phone", "password_hash", "payload"} & set(relation.columns)


AT = datetime(2026, 11, 22, 9, tzinfo=UTC)


def test_of_one_instant_causes_come_before_what_came_of_them() -> None:
    kinds = [MomentKind.WEBHOOK, MomentKind.ENTRY, MomentKind.REQUEST, MomentKind.EVENT]

    told = in_order([Moment(AT, kind, "x", "ord_1") for kind in kinds])

    assert [one.kind for one in told] == ["request", "entry", "event", "webhook"]


def test_the_middle_of_a_very_long_story_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments_of, "MOMENTS_MAX", 4)

    told = in_order([Moment(AT + timedelta(n), MomentKind.OBJECT, str(n), "ord_1") for n in range(9)])

    assert [one.what for one in told] == ["0", "1", "7", "8"]


def test_spans_that_touch_are_one() -> None:
    second = timedelta(seconds=1)

    spans = merged([AT, AT + second, AT + 5 * second], second)

    assert spans == [(AT - second, AT + 2 * second), (AT + 4 * second, AT + 6 * second)]
    assert prefix_of("ord_1") == "ord"
