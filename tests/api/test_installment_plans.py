"""Plans over the native API: made, accepted, committed, refunded, corrected, given up; foreign ones do not exist."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from ledger.database import Engine
from tests.api.conftest import Client, new_key
from tests.api.installment_world import api_key_of, merchant
from tests.api.plan_shop import BUYER, PLANS, PlanShop, plan_shop

QUARTER, TOTAL = 250_014, 1_000_056


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[PlanShop]:
    async with plan_shop(client, engine, vault_engine) as opened:
        yield opened


async def test_a_plan_is_made_and_read_again(shop: PlanShop) -> None:
    plan = await shop.plan()

    assert (plan["status"], plan["standing"], plan["price_kopecks"]) == ("new", "none", TOTAL)
    assert [part["amount_kopecks"] for part in plan["schedule"]] == [QUARTER] * 4
    assert {part["status"] for part in plan["schedule"]} == {"scheduled"}
    assert plan["link"].startswith("https://kopeyka.test/plans/")
    assert await shop.cards.read(f"{PLANS}/{plan['id']}") == plan
    listed = (await shop.cards.read(PLANS))["items"]
    assert [one["id"] for one in listed] == [plan["id"]]
    assert "link" not in listed[0]
    by_number = await shop.cards.read(f"{PLANS}?merchant_id={shop.merchant_id}&order_number={plan['order_number']}")
    assert [one["id"] for one in by_number["items"]] == [plan["id"]]


async def test_one_order_is_one_plan_whatever_the_key(shop: PlanShop) -> None:
    body, key = shop.body(), new_key()
    first = await shop.api.post(PLANS, body, key=key)
    again = await shop.api.post(PLANS, body, key=key)
    other = await shop.api.post(PLANS, body)
    dearer = await shop.api.post(PLANS, {**body, "price_kopecks": 1_000_055, "prepaid_kopecks": 1})

    assert first.status_code == 201, first.text
    assert again.content == first.content
    assert other.json()["id"] == first.json()["id"]
    assert (dearer.status_code, dearer.json()["code"]) == (409, "installments.order_number_taken")


async def test_a_plan_lives_from_the_order_to_its_refund(shop: PlanShop) -> None:
    accepted = await shop.accepted()
    assert (accepted["status"], accepted["schedule"][0]["status"]) == ("wait_for_commit", "held")
    assert accepted["buyer_id"].startswith("byr_")

    begun = await shop.cards.made(f"{PLANS}/{accepted['id']}/commit", {}, 200)
    assert (begun["status"], begun["standing"]) == ("completed", "current")
    assert (begun["outstanding_kopecks"], begun["schedule"][0]["status"]) == (TOTAL - QUARTER, "paid")
    assert (begun["fee_basis_points"], begun["fee_kopecks"]) == (690, 69_003)

    body = {"refund_id": "return-1", "amount_kopecks": 300_000}
    refunded = await shop.cards.made(f"{PLANS}/{begun['id']}/refunds", body)
    assert (refunded["total_kopecks"], refunded["plan_status"]) == (700_056, "completed")
    assert sum(part["amount_kopecks"] for part in refunded["schedule"]) == 700_056
    listed = await shop.cards.read(f"{PLANS}/{begun['id']}/refunds")
    assert [(one["refund_id"], one["amount_kopecks"]) for one in listed] == [("return-1", 300_000)]

    rest = {"refund_id": "return-2", "amount_kopecks": 700_056}
    assert (await shop.cards.made(f"{PLANS}/{begun['id']}/refunds", rest))["plan_status"] == "refunded"
    ended = await shop.cards.read(f"{PLANS}/{begun['id']}")
    assert (ended["status"], ended["outstanding_kopecks"], ended["refunded_kopecks"]) == ("refunded", 0, TOTAL)
    kinds = [one["kind"] for one in (await shop.cards.read(f"{PLANS}/{begun['id']}/movements"))["movements"]]
    assert kinds == ["down_payment", *["merchant_refund", "credit_refund"] * 2]


async def test_a_plan_is_given_up_before_its_commit_and_the_hold_let_go(shop: PlanShop) -> None:
    accepted = await shop.accepted()
    canceled = await shop.cards.made(f"{PLANS}/{accepted['id']}/cancel", {}, 200)
    await shop.cards.settle()
    again = await shop.api.post(f"{PLANS}/{accepted['id']}/cancel", {})
    late = await shop.api.post(f"{PLANS}/{accepted['id']}/commit", {})

    assert (canceled["status"], canceled["reason"]) == ("canceled", "canceled_by_merchant")
    assert (again.status_code, again.json()["status"]) == (200, "canceled")
    assert (late.status_code, late.json()["code"]) == (409, "installments.plan_canceled")
    assert shop.charges.summary["held_kopecks"] == 0


async def test_a_commit_for_less_cuts_the_price_anew_and_above_is_refused(shop: PlanShop) -> None:
    accepted = await shop.accepted()
    above = await shop.api.post(f"{PLANS}/{accepted['id']}/commit", {"amount_kopecks": TOTAL + 1})
    items = [{"name": "Крем", "quantity": "2", "price_kopecks": 200_000}]
    less = await shop.cards.made(f"{PLANS}/{accepted['id']}/commit", {"amount_kopecks": 400_000, "items": items}, 200)

    assert (above.status_code, above.json()["code"]) == (422, "installments.commit_above_approved")
    assert [part["amount_kopecks"] for part in less["schedule"]] == [100_000] * 4
    assert (less["price_kopecks"], less["items"][0]["name"]) == (400_000, "Крем")


async def test_a_cheaper_basket_takes_the_place_of_the_old(shop: PlanShop) -> None:
    begun = await shop.begun()
    items = [{"name": "Крем", "quantity": "2", "price_kopecks": 350_028}]
    body = {"refund_id": "fix-1", "total_kopecks": 700_056, "items": items}
    corrected = await shop.cards.made(f"{PLANS}/{begun['id']}/corrections", body)
    dearer = await shop.api.post(
        f"{PLANS}/{begun['id']}/corrections", {**body, "refund_id": "fix-2", "total_kopecks": 700_057}
    )
    delivered = await shop.cards.made(f"{PLANS}/{begun['id']}/deliveries", {}, 200)

    assert (corrected["kind"], corrected["amount_kopecks"], corrected["total_kopecks"]) == (
        "correction",
        300_000,
        700_056,
    )
    assert (dearer.status_code, dearer.json()["code"]) == (422, "installments.correction_above_total")
    assert [item["name"] for item in delivered["items"]] == ["Крем"]


WRONG: list[Any] = [
    pytest.param({"price_kopecks": 1_000_057}, 422, "installments.basket_mismatch", id="a basket of another sum"),
    pytest.param({"full_payment_price_kopecks": 900_000}, 422, "installments.price_differs", id="dearer than at once"),
    pytest.param({"is_consumer": False}, 422, "installments.not_consumer", id="for business"),
    pytest.param({"product_code": "nothing_such"}, 422, "installments.merchant_terms_missing", id="no such product"),
    pytest.param({"items": []}, 422, "api.request_invalid", id="no basket"),
    pytest.param({"order_number": ""}, 422, "api.request_invalid", id="no number"),
    pytest.param({"price_kopecks": 0}, 422, "api.request_invalid", id="nothing to pay"),
    pytest.param({"price_kopecks": "1000056"}, 422, "api.request_invalid", id="a price as text"),
    pytest.param({"success_url": "javascript:alert(1)"}, 422, "api.request_invalid", id="an address that is a script"),
    pytest.param({"merchant_id": "mer_" + "0" * 26}, 404, "checkout.merchant_not_found", id="nobody's order"),
    pytest.param({"merchant_id": None}, 422, "api.request_invalid", id="whose order is not said"),
]


async def test_a_wrong_order_is_refused_by_code_and_nothing_is_made(shop: PlanShop) -> None:
    for case in WRONG:
        changes, status, code = case.values
        answer = await shop.api.post(PLANS, shop.body(**changes))

        assert (answer.status_code, answer.json()["code"]) == (status, code), (case.id, answer.text)
    assert (await shop.cards.read(PLANS))["items"] == []


async def test_acts_out_of_order_are_refused_by_code(shop: PlanShop) -> None:
    plan = await shop.plan()
    early = await shop.api.post(f"{PLANS}/{plan['id']}/commit", {})
    refund = await shop.api.post(f"{PLANS}/{plan['id']}/refunds", {"refund_id": "r", "amount_kopecks": 1})
    neither = await shop.api.post(f"{PLANS}/{plan['id']}/acceptance", {"buyer": {**BUYER, "phone": "+79160000000"}})
    begun = await shop.begun()
    cancel = await shop.api.post(f"{PLANS}/{begun['id']}/cancel", {})
    above = await shop.api.post(f"{PLANS}/{begun['id']}/refunds", {"refund_id": "r", "amount_kopecks": TOTAL + 1})
    nothing = await shop.api.post(f"{PLANS}/{begun['id']}/refunds", {"refund_id": "r", "amount_kopecks": 0})

    assert (early.status_code, early.json()["code"]) == (409, "installments.plan_not_awaiting_commit")
    assert (refund.status_code, refund.json()["code"]) == (409, "installments.plan_not_committed")
    assert (neither.status_code, neither.json()["code"]) == (422, "api.request_invalid")
    assert (cancel.status_code, cancel.json()["code"]) == (409, "installments.plan_committed")
    assert (above.status_code, above.json()["code"]) == (422, "installments.refund_above_rest")
    assert (nothing.status_code, nothing.json()["code"]) == (422, "installments.refund_amount_not_positive")


async def test_a_young_buyer_is_rejected_with_a_reason(shop: PlanShop) -> None:
    plan = await shop.plan()
    buyer = {**BUYER, "born_on": "2015-01-01", "phone": "+79160000099"}
    rejected = await shop.cards.made(
        f"{PLANS}/{plan['id']}/acceptance", {"buyer": buyer, "card_token": shop.token}, 200
    )

    assert (rejected["status"], rejected["reason"]) == ("rejected", "installments.under_age")


async def test_another_merchants_plan_does_not_exist(shop: PlanShop) -> None:
    plan = await shop.begun()
    other = await api_key_of(shop.api, await merchant(shop.api))
    own = await api_key_of(shop.api, shop.merchant_id)
    acts = {
        "acceptance": {"buyer": {**BUYER, "phone": "+79160000000"}, "card_token": shop.token}, "commit": {},
        "cancel": {}, "refunds": {"refund_id": "r", "amount_kopecks": 1}, "deliveries": {},
        "corrections": {"refund_id": "r", "total_kopecks": 1, "items": []},
    }  # fmt: skip
    for act, body in acts.items():
        answer = await other.post(f"{PLANS}/{plan['id']}/{act}", body)
        assert (answer.status_code, answer.json()["code"]) == (404, "installments.plan_not_found"), (act, answer.text)
    for path in ("", "/refunds", "/movements"):
        assert (await other.get(f"{PLANS}/{plan['id']}{path}")).status_code == 404
    assert (await other.get(PLANS, params={"merchant_id": shop.merchant_id})).json()["items"] == []
    assert (await own.get(f"{PLANS}/{plan['id']}")).status_code == 200
    made = await own.post(PLANS, shop.body(merchant_id=None))
    assert (made.status_code, made.json()["merchant_id"]) == (201, shop.merchant_id)
    foreign = await other.post(PLANS, shop.body())
    assert (foreign.status_code, foreign.json()["code"]) == (404, "checkout.merchant_not_found")


async def test_no_view_of_a_plan_names_its_buyer(shop: PlanShop) -> None:
    plan = await shop.begun(phone="+79165550123")

    for path in (PLANS, f"{PLANS}/{plan['id']}", f"{PLANS}/{plan['id']}/movements", "/v1/events?limit=200"):
        said = (await shop.api.get(path)).text
        assert not [word for word in ("5550123", "Мария", "Иванова", "1990-05-17") if word in said], path


async def test_reading_alone_makes_nothing(shop: PlanShop) -> None:
    reader = await api_key_of(shop.api, shop.merchant_id, "installments:read")
    nobody = await api_key_of(shop.api, shop.merchant_id, "orders:read")

    answer = await reader.post(PLANS, shop.body())

    assert (answer.status_code, answer.json()["code"]) == (403, "api.scope_missing")
    assert (await nobody.get(PLANS)).status_code == 403


@pytest.mark.parametrize("path", ["/%00", "/pln_%00/pay-off", "?buyer_id=%00", "?merchant_id=m&order_number=%00"])
async def test_a_zero_character_in_an_address_is_refused_and_breaks_nothing(shop: PlanShop, path: str) -> None:
    answer = await shop.api.get(PLANS + path)

    assert (answer.status_code, answer.json()["code"]) == (422, "api.request_invalid")
