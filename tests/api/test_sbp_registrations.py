"""Onboarding to SBP over HTTP: from nothing to payments, with what is missing said on the way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from api.callers import create_key
from checkout.bank_details import BankAccount, account_with_key
from ledger.database import Engine, transaction
from tests.api.conftest import Client

BIK, ANOTHER_BIK = "044525225", "044525974"
ACCOUNT = account_with_key(BankAccount(BIK, "40702810000000000001")).number
ANOTHER_ACCOUNT = account_with_key(BankAccount(ANOTHER_BIK, "40702810000000000002")).number
DATA = {
    "ogrn": "1027700132195", "bank_account": ACCOUNT, "mcc": "5411", "contact_name": "Анна",
    "contact_phone": "+79001234567", "contact_email": "anna@example.com",
}  # fmt: skip
OF_ANOTHER_BANK = {"bik": ANOTHER_BIK, "bank_account": ACCOUNT}
NUMBERS = {"nspk_merchant_id": "MA0000000552", "member_id": "100000000007"}
PATH = "/v1/sbp/registrations"


async def merchant_of(client: Client, **more: Any) -> Any:
    body = {
        "name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893",
        "bank_account": {"bik": BIK, "number": ACCOUNT}, "tariff_group": "everyday", **more,
    }  # fmt: skip
    return (await client.post("/v1/merchants", body)).json()


@pytest_asyncio.fixture
async def merchant(client: Client) -> str:
    """A merchant that no bank has registered yet."""
    return str((await merchant_of(client, is_registered_by_hand=True))["id"])


async def step(client: Client, registration: str, name: str, body: Any = None, status: int = 200) -> Any:
    response = await client.post(f"{PATH}/{registration}/{name}".rstrip("/"), body)
    assert response.status_code == status, response.text
    return response.json()


async def begun(client: Client, merchant: str, **data: Any) -> Any:
    response = await client.post(PATH, {"merchant_id": merchant, "bik": BIK, **data})
    assert response.status_code == 201, response.text
    return response.json()


async def order_of(client: Client, merchant: str) -> str:
    store = (await client.post("/v1/stores", {"merchant_id": merchant, "name": "a", "address": "b"})).json()
    terminal = (await client.post("/v1/terminals", {"store_id": store["id"], "name": "c"})).json()
    order = {"terminal_id": terminal["id"], "number": "A-1", "amount_kopecks": 100}
    return str((await client.post("/v1/orders", order)).json()["id"])


async def test_a_registration_says_what_is_missing_until_it_is_all_there(client: Client, merchant: str) -> None:
    found = await begun(client, merchant)
    assert found["status"] == "data_missing"
    assert found["bank_account"] == ACCOUNT
    assert [each["code"] for each in found["missing"]] == [
        "ogrn_missing", "mcc_missing", "tariff_group_missing", "contact_name_missing", "contact_phone_missing",
        "contact_email_missing",
    ]  # fmt: skip
    assert found["next_step"] == {"code": "fill_in_data", "text": "Заполните недостающие данные."}
    refused = await step(client, found["id"], "submit", status=422)
    assert refused["code"] == "sbp_gateway.registration_incomplete"

    found = await step(client, found["id"], "", {"mcc": "5912", "ogrn": DATA["ogrn"]})
    assert found["tariff_group"] == "everyday"
    found = await step(client, found["id"], "", {key: value for key, value in DATA.items() if "contact" in key})
    assert (found["status"], found["missing"], found["next_step"]["code"]) == ("ready", [], "submit")
    found = await step(client, found["id"], "", {"mcc": None})
    assert [each["code"] for each in found["missing"]] == ["mcc_missing"]


async def test_papers_go_to_the_bank_and_its_numbers_open_the_way_to_payments(client: Client, merchant: str) -> None:
    order = await order_of(client, merchant)
    refused = (await client.post(f"/v1/orders/{order}/attempts", {"rail": "sbp"})).json()
    assert (refused["code"], refused["facts"]["next_step"]) == (
        "sbp_gateway.merchant_not_registered", "register_merchant",
    )  # fmt: skip
    assert refused["cashier_tip"]

    found = await begun(client, merchant, **DATA, settlement_mode="direct")
    found = await step(client, found["id"], "submit")
    assert (found["status"], found["next_step"]["code"]) == ("sent_to_bank", "await_bank")
    refused = (await client.post(f"/v1/orders/{order}/attempts", {"rail": "sbp"})).json()
    assert refused["facts"]["next_step"] == "await_bank"
    assert refused["facts"]["registration_id"] == found["id"]

    found = await step(client, found["id"], "confirm", NUMBERS)
    assert (found["status"], found["is_in_use"], found["learnt_by"]) == ("registered", True, "entered")
    events = (await client.get("/v1/events")).json()["items"]
    assert [event["type"] for event in events] == ["registration.sent_to_bank", "registration.registered"]
    accounts = (await client.get("/v1/ledger/accounts?prefix=memo")).json()["items"]
    opened = {each["code"].rsplit(":", 1)[0] for each in accounts}
    assert {"memo:sbp_direct", "memo:sbp_direct_sales", "memo:sbp_direct_late"} <= opened


async def test_a_second_bank_is_used_when_somebody_says_so(client: Client, merchant: str) -> None:
    first = await begun(client, merchant, **DATA)
    await step(client, first["id"], "confirm", NUMBERS)
    again = await client.post(PATH, {"merchant_id": merchant, "bik": BIK, **DATA})
    assert (again.status_code, again.json()["code"]) == (409, "sbp_gateway.registration_open")

    second = await begun(client, merchant, **{**DATA, "bik": ANOTHER_BIK, "bank_account": ANOTHER_ACCOUNT})
    taken = await step(client, second["id"], "confirm", NUMBERS, status=409)
    assert taken["code"] == "sbp_gateway.nspk_merchant_taken"
    second = await step(
        client, second["id"], "confirm", {"nspk_merchant_id": "MA0000000553", "member_id": "100000000008"}
    )
    assert second["is_in_use"] is False
    second = await step(client, second["id"], "activate")
    assert second["is_in_use"] is True
    listed = (await client.get(f"{PATH}?merchant_id={merchant}")).json()["items"]
    assert [each["is_in_use"] for each in listed] == [False, True]
    page = (await client.get(f"{PATH}?status=registered&limit=1")).json()
    assert (len(page["items"]), page["has_more"]) == (1, True)
    page = (await client.get(f"{PATH}?status=registered&limit=1&after={page['next']}")).json()
    assert [each["id"] for each in page["items"]] == [second["id"]]


async def test_a_suspended_merchant_takes_no_payments_until_it_is_resumed(client: Client, merchant: str) -> None:
    order = await order_of(client, merchant)
    found = await begun(client, merchant, **DATA)
    await step(client, found["id"], "confirm", NUMBERS)
    found = await step(client, found["id"], "suspend", {"reason": "Проверка"})
    assert (found["status"], found["reason"], found["is_in_use"]) == ("suspended", "Проверка", False)
    refused = (await client.post(f"/v1/orders/{order}/attempts", {"rail": "sbp"})).json()
    assert refused["facts"]["next_step"] == "resume"
    found = await step(client, found["id"], "resume")
    assert found["is_in_use"] is True
    found = await step(client, found["id"], "close")
    assert (found["status"], found["is_in_use"], found["next_step"]["code"]) == ("closed", False, "register_anew")
    refused = await step(client, found["id"], "resume", status=409)
    assert refused["code"] == "sbp_gateway.registration_not_allowed"
    another = await begun(client, merchant, **DATA)
    assert another["id"] != found["id"]


async def test_a_bank_may_refuse_and_be_asked_again(client: Client, merchant: str) -> None:
    found = await begun(client, merchant, **DATA)
    await step(client, found["id"], "submit")
    fixed = await step(client, found["id"], "", {"mcc": "5912"}, status=409)
    assert fixed["code"] == "sbp_gateway.registration_fixed"
    found = await step(client, found["id"], "refuse", {"reason": "Нет договора"})
    assert (found["status"], found["reason"], found["next_step"]["code"]) == ("refused", "Нет договора", "correct_data")
    found = await step(client, found["id"], "", {"mcc": "5912"})
    assert (found["status"], found["reason"]) == ("ready", None)


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        pytest.param({"ogrn": "1027700132196"}, 422, "checkout.invalid_ogrn", id="wrong check digit of the OGRN"),
        pytest.param({"ogrn": "304500116000157"}, 422, "checkout.invalid_ogrn", id="an entrepreneur's for a company"),
        pytest.param({"bank_account": "40702810000000000001"}, 422, "checkout.invalid_bank_account", id="wrong key"),
        pytest.param(OF_ANOTHER_BANK, 422, "checkout.invalid_bank_account", id="account of another bank"),
        pytest.param({"mcc": "54"}, 422, "api.request_invalid", id="MCC of two digits"),
        pytest.param({"tariff_group": "luxury"}, 422, "reconciliation.no_tariff", id="unknown tariff group"),
        pytest.param({"settlement_mode": "netted"}, 422, "api.request_invalid", id="unknown settlement mode"),
        pytest.param({"contact_phone": "89001234567"}, 422, "api.request_invalid", id="phone without +7"),
        pytest.param({"contact_email": "anna"}, 422, "api.request_invalid", id="no email"),
        pytest.param({"bik": "04452522"}, 422, "api.request_invalid", id="short BIK"),
        pytest.param({"merchant_id": "mer_none"}, 404, "checkout.merchant_not_found", id="no such merchant"),
        pytest.param({"nspk_merchant_id": "MA0000000001"}, 422, "api.request_invalid", id="numbers are not data"),
    ],
)  # fmt: skip
async def test_bad_data_is_refused_and_nothing_is_written(
    client: Client, merchant: str, data: dict[str, Any], status: int, code: str
) -> None:
    response = await client.post(PATH, {"merchant_id": merchant, "bik": BIK, **data})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert (await client.get(PATH)).json()["items"] == []


async def test_a_merchants_key_sees_only_its_own_registrations(client: Client, merchant: str, engine: Engine) -> None:
    found = await begun(client, merchant)
    stranger = (await merchant_of(client))["id"]
    async with transaction(engine) as session:
        _, secret = await create_key(
            session, name="stranger", scopes=["orders:read"], mode="test", merchant_id=stranger,
            now=datetime.now(UTC),
        )  # fmt: skip
    client.api_key = secret.expose()
    assert (await client.get(f"{PATH}/{found['id']}")).json()["code"] == "sbp_gateway.registration_not_found"
    assert (await client.post(f"{PATH}/{found['id']}/submit")).json()["code"] == "api.scope_missing"
    mine = (await client.get(PATH)).json()["items"]
    assert [(each["merchant_id"], each["learnt_by"]) for each in mine] == [(stranger, "sandbox")]


async def test_a_sandbox_makes_a_registration_up_in_the_mode_asked_for(client: Client) -> None:
    found = await merchant_of(client, settlement_mode="direct", ogrn=DATA["ogrn"])
    assert found["ogrn"] == DATA["ogrn"]
    (made,) = (await client.get(f"{PATH}?merchant_id={found['id']}")).json()["items"]
    assert (made["settlement_mode"], made["learnt_by"], made["is_in_use"]) == ("direct", "sandbox", True)
    assert (made["status"], made["missing"], made["ogrn"]) == ("registered", [], DATA["ogrn"])
    refused = await merchant_of(client, ogrn="1027700132196")
    assert refused["code"] == "checkout.invalid_ogrn"


async def test_the_same_step_under_the_same_key_is_taken_once(client: Client, merchant: str) -> None:
    found = await begun(client, merchant, **DATA)
    key = "registration-key-0000001"
    first = await client.post(f"{PATH}/{found['id']}/submit", key=key)
    again = await client.post(f"{PATH}/{found['id']}/submit", key=key)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    another = await client.post(f"{PATH}/{found['id']}/submit")
    assert (another.status_code, another.json()["code"]) == (409, "sbp_gateway.registration_not_allowed")
