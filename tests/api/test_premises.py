"""Premises at the door: settings and rollout by level, lists of stores, cashiers, tills' keys, when they were seen."""

from __future__ import annotations

import asyncio
from base64 import b32decode
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from api.callers import create_key
from api.guessing import WRONG_AT_ONCE
from checkout.time_codes import step_of, time_code
from ledger.database import Engine, transaction
from tests.api.conftest import Client
from tests.api.test_cash_links import made, order, terminal
from tests.conftest import Database

LIST = "Номер;Название;Адрес;Регион;Касс\n0117;На Тверской;Москва, Тверская, 1;msk;2\n0118;Вокзал;Тула, 3;;1\n"
CSV = {"content-type": "text/csv"}


@pytest_asyncio.fixture
async def till(client: Client) -> dict[str, Any]:
    return await terminal(client)


async def key_of(engine: Engine, merchant_id: str) -> str:
    """An API key of one merchant."""
    scopes = ["orders:read", "orders:write", "tills:manage"]
    async with transaction(engine) as session:
        _, secret = await create_key(
            session, name="shop", scopes=scopes, mode="test", now=datetime.now(UTC), merchant_id=merchant_id
        )
    return secret.expose()


async def premises(client: Client, till: dict[str, Any]) -> dict[str, Any]:
    answer = await client.get(f"/v1/terminals/{till['id']}/premises")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def say(client: Client, till: dict[str, Any], level: str, place: str | None, value: Any) -> None:
    body = {"merchant_id": till["merchant_id"], "level": level, "place": place, "name": "slip_columns", "value": value}
    await made(client, "/v1/premises/settings", body)


async def test_the_setting_nearest_to_a_till_counts_and_one_taken_back_does_not(
    client: Client, till: dict[str, Any]
) -> None:
    await made(client, f"/v1/stores/{till['store_id']}/place", {"number": "0117", "region": "msk"})
    seen = [(await premises(client, till))["settings"]["slip_columns"]]

    for level, place, value in (
        ("merchant", None, 42), ("terminal", till["id"], 32), ("region", "msk", 48), ("store", till["store_id"], 42),
        ("terminal", till["id"], None), ("store", till["store_id"], None), ("region", "msk", None),
        ("merchant", None, None),
    ):  # fmt: skip
        await say(client, till, level, place, value)
        seen.append((await premises(client, till))["settings"]["slip_columns"])

    assert seen == [48, 42, 32, 32, 32, 42, 48, 42, 48]


async def test_a_setting_said_again_changes_nothing_and_each_change_is_told_once(
    client: Client, till: dict[str, Any], database: Database
) -> None:
    for value in (42, 42, 32):
        await say(client, till, "merchant", None, value)

    listed = (await client.get(f"/v1/premises/settings?merchant_id={till['merchant_id']}")).json()
    assert [(said["value"], said["version"]) for said in listed["items"]] == [(32, 2)]
    with psycopg.connect(database.superuser_url) as connection:
        told = connection.execute("SELECT data ->> 'value' FROM events WHERE type = 'setting.changed' ORDER BY id")
        leaves = connection.execute("SELECT count(*) FROM audit_events WHERE event LIKE '%setting.changed%'::bytea")
        assert [row[0] for row in told] == ["42", "32"]
        assert leaves.fetchone() == (2,)


REFUSED_SETTINGS: list[Any] = [
    pytest.param({"name": "colour"}, 422, "checkout.setting_unknown", id="no such setting"),
    pytest.param({"value": 40}, 422, "checkout.setting_value_refused", id="not among the words"),
    pytest.param({"value": "48"}, 422, "checkout.setting_value_refused", id="a text for a number"),
    pytest.param({"name": "shift_hours_max", "value": 25}, 422, "checkout.setting_value_refused", id="above the law"),
    pytest.param({"value": 10**4000}, 422, "checkout.setting_value_refused", id="4,000 digits"),
    pytest.param({"value": True}, 422, "api.request_invalid", id="a truth"),
    pytest.param({"level": "country"}, 422, "api.request_invalid", id="no such level"),
    pytest.param({"level": "region"}, 422, "api.request_invalid", id="a region without its word"),
    pytest.param({"level": "store", "place": "sto_9"}, 404, "checkout.store_not_found", id="no such store"),
    pytest.param({"level": "terminal", "place": "ter_9"}, 404, "checkout.terminal_not_found", id="no such till"),
    pytest.param({"merchant_id": "mer_9"}, 404, "checkout.merchant_not_found", id="no such merchant"),
    pytest.param({"merchant_id": None}, 422, "api.request_invalid", id="nobody's"),
]


async def test_a_setting_that_cannot_be_is_refused_by_code(client: Client, till: dict[str, Any]) -> None:
    body = {"merchant_id": till["merchant_id"], "level": "merchant", "name": "slip_columns", "value": 48}
    for case in REFUSED_SETTINGS:
        change, status, code = case.values

        answer = await client.post("/v1/premises/settings", body | change)

        assert (answer.status_code, answer.json()["code"]) == (status, code), (case.id, answer.text)
    listed = (await client.get(f"/v1/premises/settings?merchant_id={till['merchant_id']}")).json()
    assert listed["items"] == []


async def roll(client: Client, till: dict[str, Any], level: str, place: str | None, **more: Any) -> None:
    body = {"merchant_id": till["merchant_id"], "rail": "dolyame", "level": level, "place": place, **more}
    await made(client, "/v1/premises/rollouts", body)


async def test_a_rail_is_on_where_and_when_its_rollout_says(client: Client, till: dict[str, Any]) -> None:
    await made(client, f"/v1/stores/{till['store_id']}/place", {"number": "0117", "region": "msk"})
    before = (await premises(client, till))["rails"]
    seen = []

    for level, place, more in (
        ("store", till["store_id"], {"effective_on": "2099-01-01"}),  # rollout has begun, here it is off
        ("region", "msk", {"effective_on": "2026-01-01"}),
        ("store", till["store_id"], {"is_on": False}),
        ("terminal", till["id"], {}),
        ("terminal", till["id"], {"is_on": False}),  # the later word of one day
    ):
        await roll(client, till, level, place, **more)
        seen.append("dolyame" in (await premises(client, till))["rails"])

    assert before == ["sbp", "dolyame", "card", "koshelek_pay"]
    assert seen == [False, True, False, True, False]
    assert (await premises(client, till))["rails"] == ["sbp", "card", "koshelek_pay"]


async def test_the_rail_that_premises_prefer_is_offered_first_where_it_is_on(
    client: Client, till: dict[str, Any]
) -> None:
    body = {"merchant_id": till["merchant_id"], "name": "preferred_rail", "value": "card"}
    for said in ({"level": "merchant"}, {"level": "store", "place": till["store_id"], "value": "dolyame"}):
        await made(client, "/v1/premises/settings", body | said)
    before = (await premises(client, till))["rails"]

    await roll(client, till, "merchant", None, is_on=False)

    assert before == ["dolyame", "sbp", "card", "koshelek_pay"]
    assert (await premises(client, till))["rails"] == ["sbp", "card", "koshelek_pay"]


async def test_a_rail_that_is_none_is_not_rolled_out(client: Client, till: dict[str, Any]) -> None:
    body = {"merchant_id": till["merchant_id"], "rail": "barter", "level": "merchant"}

    refused = await client.post("/v1/premises/rollouts", body)

    assert (refused.status_code, refused.json()["code"]) == (422, "checkout.rail_unknown")
    assert (await client.get(f"/v1/premises/rollouts?merchant_id={till['merchant_id']}")).json() == {"items": []}


async def test_a_list_opens_stores_and_tills_once_and_changes_what_it_tells_otherwise(
    client: Client, till: dict[str, Any]
) -> None:
    path = f"/v1/premises/store-lists?merchant_id={till['merchant_id']}"
    later = LIST.replace("Вокзал", "Вокзал, зал 2").replace(";;1", ";tula;3")

    answers = [
        (await client.post(path, content=text.encode(encoding), headers=CSV)).json()
        for text, encoding in ((LIST, "utf-8-sig"), (LIST, "cp1251"), (later.replace(";", "\t"), "utf-8"))
    ]

    assert answers == [
        {"opened": 2, "changed": 0, "unchanged": 0, "terminals_added": 3},
        {"opened": 0, "changed": 0, "unchanged": 2, "terminals_added": 0},
        {"opened": 0, "changed": 1, "unchanged": 1, "terminals_added": 2},
    ]
    stores = (await client.get(f"/v1/stores?merchant_id={till['merchant_id']}")).json()["items"]
    assert [store["name"] for store in stores] == ["С", "На Тверской", "Вокзал, зал 2"]
    tills = (await client.get(f"/v1/terminals?store_id={stores[2]['id']}")).json()["items"]
    assert [each["name"] for each in tills] == ["Касса 1", "Касса 2", "Касса 3"]
    assert (await premises(client, tills[0]))["region"] == "tula"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("", "1: needs number, name, address", id="nothing"),
        pytest.param("Номер;Название\n1;А\n", "1: needs address", id="no address"),
        pytest.param("number,name,address\n", "none", id="a header alone"),
        pytest.param(
            "number,name,address\n1,А,Б\n1,В,Г\n№,Д,Е\n4,,Ж\n", "3: number twice; 4: number; 5: name", id="bad"
        ),
        pytest.param("number,name,address,tills\n1,А,Б,101\n2,А,Б,-1\n", "2: tills; 3: tills", id="tills"),
        pytest.param("number,name,address,region\n1,А,Б,Москва\n", "2: region", id="a region that is no word"),
        pytest.param('number,name,address\n1,"А,Б\n', "2: quotes", id="open quotes"),
    ],
)
async def test_a_list_with_bad_lines_is_refused_whole_and_names_them(
    client: Client, till: dict[str, Any], text: str, lines: str
) -> None:
    path = f"/v1/premises/store-lists?merchant_id={till['merchant_id']}"

    refused = await client.post(path, content=text.encode(), headers=CSV)

    assert (refused.status_code, refused.json()["code"]) == (422, "checkout.store_list_refused")
    assert refused.json()["facts"]["lines"] == lines
    assert len((await client.get("/v1/stores")).json()["items"]) == 1


async def test_two_stores_of_a_merchant_cannot_have_one_number(client: Client, till: dict[str, Any]) -> None:
    other = await made(client, "/v1/stores", {"merchant_id": till["merchant_id"], "name": "Д", "address": "Тула"})
    await made(client, f"/v1/stores/{other['id']}/place", {"number": "0117"})

    refused = await client.post(f"/v1/stores/{till['store_id']}/place", {"number": "0117"})

    assert (refused.status_code, refused.json()["code"]) == (409, "checkout.store_number_taken")


async def test_a_cashier_is_taken_in_once_and_leaves_once(client: Client, till: dict[str, Any]) -> None:
    body = {"merchant_id": till["merchant_id"], "number": "0042", "name": "Иванова А. П."}
    cashier = await made(client, "/v1/cashiers", body)

    again = await client.post("/v1/cashiers", body)
    gone = [await made(client, f"/v1/cashiers/{cashier['id']}/close", None) for _ in range(2)]

    assert (again.status_code, again.json()["code"]) == (409, "checkout.cashier_number_taken")
    assert gone[0]["left_at"] is not None
    assert gone[1] == gone[0] == (await client.get(f"/v1/cashiers/{cashier['id']}")).json()
    assert (await client.get("/v1/cashiers")).json()["items"] == [gone[0]]


async def test_a_till_proves_itself_by_its_code_and_its_secret_is_shown_no_more(
    client: Client, till: dict[str, Any], database: Database
) -> None:
    path = f"/v1/terminals/{till['id']}/keys"
    key = await made(client, path, None)
    shown = (await client.get(f"{path}/{key['id']}/secret")).json()
    step = step_of(datetime.now(UTC))
    right, wrong = (time_code(b32decode(shown["secret"]), step - away) for away in (0, 9))
    said = {"fingerprint": key["fingerprint"], "software": "SetRetail 10.4"}

    refused = await client.post("/v1/terminals/sightings", said | {"code": wrong})
    nobody = await client.post("/v1/terminals/sightings", {"fingerprint": "0" * 32, "code": right})
    known = await made(client, "/v1/terminals/sightings", said | {"code": right})
    secret = await client.get(f"{path}/{key['id']}/secret")

    for answer in (refused, nobody):
        assert (answer.status_code, answer.json()["code"]) == (403, "checkout.terminal_key_refused")
    assert (known["terminal_id"], known["last_seen"]["software"]) == (till["id"], "SetRetail 10.4")
    (record,) = (await client.get(f"/v1/premises/terminals?store_id={till['store_id']}")).json()["items"]
    assert (record["terminal_id"], record["key_made_at"]) == (till["id"], key["created_at"])
    assert record["key_proved_at"] == record["last_seen"]["seen_at"]
    told = await made(client, "/v1/terminals/sightings", said | {"code": right, "problem": "checkout.order_not_open"})
    assert "Чек уже оплачен" in told["last_seen"]["problem_tip"]
    assert (secret.status_code, secret.json()["code"]) == (409, "checkout.terminal_key_proved")
    with psycopg.connect(database.superuser_url) as connection:
        kept = connection.execute("SELECT * FROM terminal_keys, idempotency_keys").fetchall()
        assert shown["secret"] not in str(kept)


async def test_of_a_tills_codes_that_are_guessed_few_are_looked_at(client: Client, till: dict[str, Any]) -> None:
    path = f"/v1/terminals/{till['id']}/keys"
    key = await made(client, path, None)
    secret = (await client.get(f"{path}/{key['id']}/secret")).json()["secret"]
    right = time_code(b32decode(secret), step_of(datetime.now(UTC)))
    wrong = f"{(int(right) + 500_000) % 10**6:06d}"
    said = {"fingerprint": key["fingerprint"]}

    tried = [
        (await client.post("/v1/terminals/sightings", said | {"code": wrong})).status_code for _ in range(WRONG_AT_ONCE)
    ]
    answer = await client.post("/v1/terminals/sightings", said | {"code": right})

    assert set(tried) == {403}
    assert (answer.status_code, answer.json()["code"]) == (429, "api.rate_limited")
    assert (await premises(client, till))["last_seen"] is None


async def test_a_new_key_leaves_the_old_one_a_day(client: Client, till: dict[str, Any]) -> None:
    path = f"/v1/terminals/{till['id']}/keys"

    first, second = [await made(client, path, None) for _ in range(2)]

    newest, oldest = (await client.get(path)).json()["items"]
    assert (newest["id"], newest["expires_at"]) == (second["id"], None)
    assert oldest["id"] == first["id"]
    assert oldest["expires_at"][:10] > first["created_at"][:10]


async def test_of_keys_made_at_once_one_lasts(client: Client, till: dict[str, Any]) -> None:
    path = f"/v1/terminals/{till['id']}/keys"

    answers = await asyncio.gather(*(client.post(path) for _ in range(6)))

    assert {answer.status_code for answer in answers} == {201}
    lasting = [key for key in (await client.get(path)).json()["items"] if key["expires_at"] is None]
    assert len(lasting) == 1


async def test_a_merchant_sees_and_changes_its_own_premises_only(
    client: Client, till: dict[str, Any], engine: Engine
) -> None:
    other = await terminal(client, inn="7736050003")
    cashier = await made(client, "/v1/cashiers", {"merchant_id": other["merchant_id"], "number": "1", "name": "П."})
    key = await made(client, f"/v1/terminals/{other['id']}/keys", None)
    shop = Client(client.http, client.app, await key_of(engine, till["merchant_id"]))

    reads = [
        f"/v1/terminals/{other['id']}/premises", f"/v1/terminals/{other['id']}/keys",
        f"/v1/terminals/{other['id']}/keys/{key['id']}/secret", f"/v1/terminals/{till['id']}/keys/{key['id']}/secret",
        f"/v1/cashiers/{cashier['id']}", f"/v1/premises/settings?merchant_id={other['merchant_id']}",
        f"/v1/premises/rollouts?merchant_id={other['merchant_id']}",
    ]  # fmt: skip
    of_other = {"merchant_id": other["merchant_id"], "level": "merchant"}
    writes = [
        (f"/v1/terminals/{other['id']}/keys", None), (f"/v1/cashiers/{cashier['id']}/close", None),
        (f"/v1/stores/{other['store_id']}/place", {"number": "1"}),
        ("/v1/premises/settings", of_other | {"name": "slip_columns", "value": 42}),
        ("/v1/premises/settings", {"level": "store", "place": other["store_id"], "name": "slip_columns", "value": 42}),
        ("/v1/premises/rollouts", {"rail": "sbp", "level": "terminal", "place": other["id"]}),
    ]  # fmt: skip

    assert [(await shop.get(path)).status_code for path in reads] == [404] * len(reads)
    assert [(await shop.post(path, body)).status_code for path, body in writes] == [404] * len(writes)
    assert (await shop.get("/v1/cashiers")).json()["items"] == []
    (record,) = (await shop.get("/v1/premises/terminals")).json()["items"]
    assert (record["terminal_id"], record["last_seen"], record["key_made_at"]) == (till["id"], None, None)
    assert (await shop.get("/v1/premises/settings")).json()["items"] == []


async def test_what_providers_can_do_is_told_with_where_it_was_read(client: Client) -> None:
    lines = (await client.get("/v1/rails/capabilities")).json()["items"]

    by_provider = {line["provider"]: line for line in lines}
    assert not by_provider["nspk"]["is_two_stage"]
    assert by_provider["nspk_cash_link"]["ttl_minutes_max"] == 20
    assert by_provider["tkassa"]["amount_min_kopecks"] == 1_000
    assert all(line["source"] and line["grade"] in {"P", "2", "A"} for line in lines)


async def test_an_order_of_a_till_where_a_rail_is_off_is_not_tried_by_it(client: Client, till: dict[str, Any]) -> None:
    await made(client, "/v1/premises/rollouts", {
        "merchant_id": till["merchant_id"], "rail": "sbp", "level": "terminal", "place": till["id"], "is_on": False,
    })  # fmt: skip
    order_id = await order(client, till, "A-1", 10_000)

    refused = await client.post(f"/v1/orders/{order_id}/attempts", {"rail": "sbp"})

    assert (refused.status_code, refused.json()["code"]) == (409, "checkout.rail_not_rolled_out")
    assert "другой способ" in refused.json()["cashier_tip"]
    assert (await client.get(f"/v1/orders/{order_id}")).json()["attempts"] == []
