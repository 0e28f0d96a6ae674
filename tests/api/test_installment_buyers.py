"""Quotes, payments, documents, buyers, disputes, relief and reports over the native API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from ledger.database import Engine
from tests.api.conftest import Client, new_key
from tests.api.installment_world import api_key_of, merchant, today_plus
from tests.api.plan_shop import PLANS, PlanShop, plan_shop

QUOTES, BUYERS, REPORTS = (f"/v1/installments/{name}" for name in ("quotes", "buyers", "reports"))
QUARTER, TOTAL = 250_014, 1_000_056


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[PlanShop]:
    async with plan_shop(client, engine, vault_engine) as opened:
        yield opened


async def test_a_quote_says_dates_amounts_and_reasons(shop: PlanShop) -> None:
    own = await api_key_of(shop.api, shop.merchant_id)
    (quote,) = (await own.get(QUOTES, params={"price_kopecks": TOTAL})).json()
    (dear,) = (await own.get(QUOTES, params={"price_kopecks": 90_000_000})).json()
    none = await own.get(QUOTES, params={"price_kopecks": TOTAL, "product_code": "nothing_such"})
    nothing = await own.get(QUOTES, params={"price_kopecks": 0})
    foreign = await own.get(QUOTES, params={"price_kopecks": TOTAL, "merchant_id": await merchant(shop.api)})

    assert (quote["is_eligible"], quote["reasons"], quote["fee_to_buyer_kopecks"]) == (True, [], 0)
    assert [(part["due_on"], part["amount_kopecks"]) for part in quote["schedule"]] == [
        (today_plus(days), QUARTER) for days in (0, 14, 28, 42)
    ]
    assert (dear["is_eligible"], dear["reasons"]) == (False, ["installments.price_out_of_range"])
    assert (none.status_code, none.json()["code"]) == (422, "installments.merchant_terms_missing")
    assert (nothing.status_code, nothing.json()["code"]) == (422, "api.request_invalid")
    assert foreign.status_code == 404


async def test_a_quote_for_a_buyer_counts_what_is_owed_and_is_the_houses_alone(shop: PlanShop) -> None:
    plan = await shop.begun()
    asked = {"price_kopecks": 9_500_000, "merchant_id": shop.merchant_id, "buyer_id": plan["buyer_id"]}
    (quote,) = (await shop.api.get(QUOTES, params=asked)).json()
    own = await api_key_of(shop.api, shop.merchant_id)
    refused = await own.get(QUOTES, params={**asked, "merchant_id": shop.merchant_id})

    assert quote["limit_use"]["used_kopecks"] == TOTAL - QUARTER
    assert "installments.limit_exceeded" in quote["reasons"]
    assert (refused.status_code, refused.json()["code"]) == (404, "installments.buyer_not_found")


async def test_a_plan_is_paid_early_once_for_a_key(shop: PlanShop) -> None:
    plan = await shop.begun()
    path, key = f"{PLANS}/{plan['id']}/payments", new_key()
    first = await shop.api.post(path, {"amount_kopecks": 100_000}, key=key)
    again = await shop.api.post(path, {"amount_kopecks": 100_000}, key=key)
    above = await shop.api.post(path, {"amount_kopecks": TOTAL})
    off = await shop.cards.read(f"{PLANS}/{plan['id']}/pay-off")
    whole = await shop.cards.made(path, {})
    over = await shop.api.post(path, {})

    assert (first.status_code, first.json()["status"]) == (201, "captured"), first.text
    assert again.content == first.content
    assert (above.status_code, above.json()["code"]) == (422, "installments.early_payment_out_of_range")
    assert off["total_kopecks"] == whole["captured_kopecks"] == TOTAL - QUARTER - 100_000
    assert (await shop.cards.read(f"{PLANS}/{plan['id']}"))["standing"] == "repaid"
    assert over.json()["code"] == "installments.nothing_owed"
    assert [one["status"] for one in await shop.cards.read(path)] == ["captured", "captured"]


async def test_documents_are_issued_and_given_as_the_same_bytes(shop: PlanShop) -> None:
    plan = await shop.begun(phone="+79165550199")
    path = f"{PLANS}/{plan['id']}/documents"
    for kind in ("agreement", "schedule", "statement"):
        issued = await shop.cards.made(path, {"kind": kind})
        assert issued == await shop.cards.made(path, {"kind": kind})
        pages = [await shop.api.get(f"{path}/{issued['id']}", params={"format": "html"}) for _ in range(2)]
        assert pages[0].content == pages[1].content
        assert (pages[0].headers["etag"], pages[0].status_code) == (f'"{issued["sha256"]}"', 200)
        assert "Иванова" not in pages[0].text
        pdf = await shop.api.get(f"{path}/{issued['id']}")
        assert pdf.content.startswith(b"%PDF-")
    listed = await shop.cards.read(path)
    assert {one["kind"] for one in listed} >= {"agreement", "schedule", "statement"}
    other = await shop.begun()
    foreign = await shop.api.get(f"{PLANS}/{other['id']}/documents/{listed[0]['id']}")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "installments.plan_document_not_found")


async def test_a_limit_and_a_freeze_are_set_with_a_reason_and_hold(shop: PlanShop) -> None:
    plan = await shop.begun(phone="+79165550177")
    path = f"{BUYERS}/{plan['buyer_id']}"
    before = await shop.api.get(path)
    lowered = await shop.cards.made(f"{path}/limit", {"limit_kopecks": 800_000, "reason": "Просьба покупателя"}, 200)
    nameless = await shop.api.post(f"{path}/limit", {"limit_kopecks": 1})
    rejected = await shop.accepted(phone="+79165550177")
    frozen = await shop.cards.made(f"{path}/freeze", {"reason": "Проверка"}, 200)
    released = await shop.cards.made(f"{path}/release", {"reason": "Проверено"}, 200)
    unknown = await shop.api.post(f"{BUYERS}/byr_{'0' * 26}/freeze", {"reason": "x"})

    assert "5550177" not in before.text
    assert lowered["free_kopecks"] == 800_000 - (TOTAL - QUARTER)
    assert (nameless.status_code, nameless.json()["code"]) == (422, "api.request_invalid")
    assert (rejected["status"], rejected["reason"]) == ("rejected", "installments.limit_exceeded")
    assert (frozen["frozen_reason"], released["frozen_at"]) == ("Проверка", None)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "installments.buyer_not_found")


async def test_a_dispute_pauses_a_plan_until_it_is_ruled_on(shop: PlanShop) -> None:
    plan = await shop.begun()
    path = f"{PLANS}/{plan['id']}/disputes"
    opened = await shop.cards.made(path, {"reason": "Товар не пришёл"})
    twice = await shop.api.post(path, {"reason": "Товар не пришёл"})
    paused = await shop.cards.read(f"{PLANS}/{plan['id']}")
    closed = await shop.cards.made(f"{path}/close", {"ruling": "merchant"}, 200)

    assert (opened["ruling"], paused["is_paused"]) == (None, True)
    assert (twice.status_code, twice.json()["code"]) == (409, "installments.dispute_open_already")
    assert (closed["ruling"], closed["id"]) == ("merchant", opened["id"])
    assert (await shop.cards.read(f"{PLANS}/{plan['id']}"))["is_paused"] is False


async def test_relief_moves_days_within_the_law(shop: PlanShop) -> None:
    plan = await shop.begun()
    path = f"{PLANS}/{plan['id']}"
    put_off: dict[str, Any] = {"installment_number": 2, "new_due_on": today_plus(20), "reason": "Болезнь"}
    snoozed = await shop.cards.made(f"{path}/snoozes", put_off)
    twice = await shop.api.post(f"{path}/snoozes", {**put_off, "new_due_on": today_plus(25)})
    late = await shop.api.post(f"{path}/re-ages", {"first_due_on": today_plus(300), "count": 3, "reason": "Болезнь"})
    anew = await shop.cards.made(f"{path}/re-ages", {"first_due_on": today_plus(10), "count": 2, "reason": "Болезнь"})

    assert [part["due_on"] for part in snoozed["schedule"]][1] == today_plus(20)
    assert (twice.status_code, twice.json()["code"]) == (409, "installments.snoozed_already")
    assert late.json()["code"] == "installments.term_above_law"
    assert anew["outstanding_kopecks"] == TOTAL - QUARTER


async def test_reports_are_the_houses_and_registers_the_merchants(shop: PlanShop) -> None:
    await shop.begun()
    own = await api_key_of(shop.api, shop.merchant_id)
    arrears = await shop.cards.read(f"{REPORTS}/arrears")
    register = await own.get(f"{REPORTS}/registers/day/{today_plus(-1)}")
    not_over = await own.get(f"{REPORTS}/registers/day/{today_plus(0)}")
    foreign = await own.get(
        f"{REPORTS}/registers/day/{today_plus(-1)}", params={"merchant_id": await merchant(shop.api)}
    )

    assert (arrears["plans"], arrears["outstanding_kopecks"]) == (1, TOTAL - QUARTER)
    assert arrears["lines"][0]["bucket"] == "not_due"
    assert (await own.get(f"{REPORTS}/arrears")).status_code == 403
    assert (await shop.api.get(f"{REPORTS}/vintages", params={"on": today_plus(0)})).json()[0]["plans"] == 1
    assert (await shop.api.get(f"{REPORTS}/vintages", params={"on": "0"})).status_code == 422  # no count of seconds
    assert (await shop.api.get(f"{REPORTS}/registers/day/0")).status_code == 422
    rates = await shop.api.get(f"{REPORTS}/roll-rates", params={"from_on": today_plus(0), "to_on": today_plus(0)})
    assert (rates.status_code, rates.json()["code"]) == (422, "api.request_invalid")
    assert (register.status_code, register.headers["content-type"]) == (200, "text/csv; charset=utf-8"), register.text
    assert (not_over.status_code, not_over.json()["code"]) == (409, "installments.register_not_over")
    assert foreign.status_code == 404


async def test_a_merchant_does_nothing_that_is_the_houses(shop: PlanShop) -> None:
    plan = await shop.begun()
    own = await api_key_of(shop.api, shop.merchant_id)
    path, reason = f"{PLANS}/{plan['id']}", {"reason": "x"}
    acts = [
        (f"{path}/payments", {}), (f"{path}/disputes", reason), (f"{path}/disputes/close", {"ruling": "buyer"}),
        (f"{path}/snoozes", {**reason, "installment_number": 2, "new_due_on": today_plus(20)}),
        (f"{path}/re-amortisations", reason), (f"{path}/waivers", {**reason, "amount_kopecks": 1}),
        (f"{BUYERS}/{plan['buyer_id']}/limit", {**reason, "limit_kopecks": 1}),
        (f"{BUYERS}/{plan['buyer_id']}/freeze", reason),
    ]  # fmt: skip
    for address, body in acts:
        answer = await own.post(address, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "api.scope_missing"), (address, answer.text)
    assert (await own.get(f"{BUYERS}/{plan['buyer_id']}")).status_code == 403
