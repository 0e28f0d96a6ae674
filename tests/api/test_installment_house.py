"""What the house does to a debt by hand, over the native API: goodwill, write-offs, bank payments, chargebacks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from installments import sub_ledger
from installments.clearing import in_clearing
from ledger import balances, chart
from ledger.database import Engine, transaction
from tests.api.conftest import Client, new_key
from tests.api.installment_world import api_key_of, today_plus
from tests.api.plan_shop import PLANS, PlanShop, plan_shop

SALES, BUREAU_EVENTS = "/v1/installments/debt-sales", "/v1/installments/bureau-events"
QUARTER, TOTAL = 250_014, 1_000_056


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[PlanShop]:
    async with plan_shop(client, engine, vault_engine) as opened:
        yield opened


async def books_of(shop: PlanShop) -> dict[str, int]:
    """What every account stands at, once the books equal the plans and nothing is left in the clearing."""
    async with transaction(shop.api.app.state.door.engine) as session:
        assert await sub_ledger.check(session) == []
        assert await in_clearing(session, shop.operator_id) == 0
        lines = await balances.trial_balance(session)
        assert sum(line.debits for line in lines) == sum(line.credits for line in lines)
        return {line.code: line.balance for line in lines}


async def movements_of(shop: PlanShop, plan: Any) -> list[Any]:
    """All of a plan, oldest first: the first is its down payment."""
    return list((await shop.cards.read(f"{PLANS}/{plan['id']}/movements"))["movements"])


async def test_a_part_of_the_debt_is_forgiven_and_no_more_than_is_owed(shop: PlanShop) -> None:
    plan = await shop.begun()
    path, body, key = (
        f"{PLANS}/{plan['id']}/goodwill",
        {"amount_kopecks": 100_000, "reason": "Доставка опоздала"},
        new_key(),
    )
    first = await shop.api.post(path, body, key=key)
    again = await shop.api.post(path, body, key=key)
    above = await shop.api.post(path, {**body, "amount_kopecks": TOTAL})

    assert (first.status_code, again.content) == (201, first.content), first.text
    assert first.json()["outstanding_kopecks"] == TOTAL - QUARTER - 100_000
    assert (above.status_code, above.json()["code"]) == (422, "installments.goodwill_above_debt")
    assert (await books_of(shop))[chart.PLAN_GOODWILL] == 100_000


async def test_a_debt_is_written_off_once_and_what_comes_after_is_a_recovery(shop: PlanShop) -> None:
    plan = await shop.begun()
    path, body = f"{PLANS}/{plan['id']}", {"reason": "Должник банкрот"}
    lost = await shop.cards.made(f"{path}/write-offs", body)
    twice = await shop.api.post(f"{path}/write-offs", body)
    money = {"amount_kopecks": 40_000, "bank_reference": "in-118"}
    came = await shop.cards.made(f"{path}/bank-payments", money)
    again = await shop.cards.made(f"{path}/bank-payments", money)
    other = await shop.api.post(f"{path}/bank-payments", {**money, "amount_kopecks": 1})
    kinds = [one["kind"] for one in await movements_of(shop, plan)]

    assert (lost["standing"], lost["outstanding_kopecks"]) == ("written_off", 0)
    assert (twice.status_code, twice.json()["code"]) == (409, "installments.nothing_owed")
    assert (came["standing"], again["version"]) == ("written_off", came["version"])
    assert (other.status_code, other.json()["code"]) == (409, "installments.movement_differs")
    assert kinds == ["down_payment", "write_off", "recovery"]
    books = await books_of(shop)
    assert (books[chart.PLAN_RECOVERY], books[chart.OPERATOR_BANK]) == (40_000, 40_000)
    assert books[chart.PLAN_LOSS] == TOTAL - QUARTER


async def test_money_on_our_bank_account_pays_what_is_owed(shop: PlanShop) -> None:
    plan = await shop.begun()
    path = f"{PLANS}/{plan['id']}/bank-payments"
    paid = await shop.cards.made(path, {"amount_kopecks": QUARTER, "bank_reference": "in-1", "paid_on": today_plus(0)})
    before = await shop.api.post(path, {"amount_kopecks": 1, "bank_reference": "in-2", "paid_on": today_plus(-3)})
    ahead = await shop.api.post(path, {"amount_kopecks": 1, "bank_reference": "in-3", "paid_on": today_plus(2)})

    assert paid["outstanding_kopecks"] == TOTAL - 2 * QUARTER
    assert (before.status_code, before.json()["code"]) == (422, "installments.movement_before_plan")
    assert (ahead.status_code, ahead.json()["code"]) == (422, "installments.movement_in_future")
    assert (await books_of(shop))[chart.OPERATOR_BANK] == QUARTER


async def test_a_chargeback_is_owed_again_and_told_once_by_the_banks_name_of_it(shop: PlanShop) -> None:
    plan = await shop.begun()
    path, paid = f"{PLANS}/{plan['id']}/chargebacks", (await movements_of(shop, plan))[0]
    news = {
        "movement_id": paid["id"], "amount_kopecks": QUARTER, "fee_kopecks": 50_000, "bank_reference": "case-1"
    }  # fmt: skip
    before = await books_of(shop)
    taken = await shop.cards.made(path, news)
    again = await shop.cards.made(path, news)
    more = await shop.api.post(path, {**news, "bank_reference": "case-2"})
    after = await books_of(shop)

    assert taken["outstanding_kopecks"] == TOTAL
    assert again["version"] == taken["version"]
    assert (more.status_code, more.json()["code"]) == (422, "installments.chargeback_above_rest")
    assert after[chart.PLAN_ACQUIRING] == 50_000
    settlement = next(code for code in after if code.startswith("asset:card_settlement:"))
    assert before[settlement] - after[settlement] == QUARTER + 50_000


async def test_a_chargeback_pauses_its_plan_until_a_person_rules_and_told_again_pauses_nothing(shop: PlanShop) -> None:
    plan = await shop.begun()
    path, paid = f"{PLANS}/{plan['id']}", (await movements_of(shop, plan))[0]
    half = {"movement_id": paid["id"], "amount_kopecks": QUARTER // 2}
    first = await shop.cards.made(f"{path}/chargebacks", {**half, "bank_reference": "case-1"})
    second = await shop.cards.made(f"{path}/chargebacks", {**half, "bank_reference": "case-2"})
    reserved = await books_of(shop)
    closed = await shop.api.post(f"{path}/disputes/close", {"ruling": "merchant"})
    again = await shop.cards.made(f"{path}/chargebacks", {**half, "bank_reference": "case-1"})
    released = await books_of(shop)

    assert (first["is_paused"], second["is_paused"], again["is_paused"]) == (True, True, False)
    assert (closed.status_code, closed.json()["reason"]) == (200, "chargeback case-1"), closed.text
    reserve, payable = chart.plan_reserve(plan["merchant_id"]), chart.plan_payable(plan["merchant_id"])
    assert reserved[reserve] == closed.json()["reserved_kopecks"] == released[payable] > 0
    assert (reserved[payable], released[reserve]) == (0, 0)


async def test_a_full_refund_after_a_chargeback_gives_back_only_what_the_buyer_still_paid(shop: PlanShop) -> None:
    plan = await shop.begun()
    path, paid = f"{PLANS}/{plan['id']}", (await movements_of(shop, plan))[0]
    await shop.cards.made(f"{path}/payments", {"amount_kopecks": QUARTER})
    await shop.cards.made(
        f"{path}/chargebacks", {"movement_id": paid["id"], "amount_kopecks": QUARTER, "bank_reference": "case-1"}
    )
    await shop.cards.made(f"{path}/refunds", {"refund_id": "all", "amount_kopecks": TOTAL})
    ended = await shop.cards.read(path)
    returned = [one for one in await movements_of(shop, plan) if one["kind"] == "credit_refund"]

    assert (ended["status"], ended["outstanding_kopecks"], ended["overpaid_kopecks"]) == ("refunded", 0, 0)
    assert [one["amount_kopecks"] for one in returned] == [QUARTER]


async def test_an_acquirers_settlement_is_booked_once_by_the_banks_name_of_it(shop: PlanShop) -> None:
    await shop.begun()
    settled = next(code for code in await books_of(shop) if code.startswith("asset:card_settlement:"))
    path = "/v1/installments/acquirer-settlements"
    body = {
        "acquirer_id": settled.rsplit(":", 1)[1], "gross_kopecks": QUARTER, "fee_kopecks": 2_500,
        "bank_reference": "s-1",
    }  # fmt: skip
    told = await shop.cards.made(path, body)
    again = await shop.api.post(path, body)
    dear = await shop.api.post(path, {**body, "fee_kopecks": QUARTER + 1, "bank_reference": "s-2"})
    unknown = await shop.api.post(path, {**body, "acquirer_id": "9", "bank_reference": "s-3"})

    assert told["net_kopecks"] == QUARTER - 2_500
    assert (again.status_code, dear.status_code) == (409, 422), (again.text, dear.text)
    assert unknown.status_code in (404, 422), unknown.text
    books = await books_of(shop)
    assert (books[settled], books[chart.PLAN_ACQUIRING], books[chart.OPERATOR_BANK]) == (0, 2_500, QUARTER - 2_500)


@pytest.mark.parametrize("is_bank", [True, False])
async def test_only_a_card_payment_of_the_plan_is_taken_back(shop: PlanShop, is_bank: bool) -> None:
    plan, other = await shop.begun(), await shop.begun()
    path = f"{PLANS}/{plan['id']}"
    if is_bank:
        await shop.cards.made(f"{path}/bank-payments", {"amount_kopecks": 100, "bank_reference": "in-1"})
        named = (await movements_of(shop, plan))[-1]["id"]
    else:
        named = (await movements_of(shop, other))[0]["id"]
    answer = await shop.api.post(
        f"{path}/chargebacks", {"movement_id": named, "amount_kopecks": 1, "bank_reference": "case-1"}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "installments.undone_movement_unknown"), answer.text


async def test_a_debt_written_off_is_sold_once_and_its_money_is_not_ours_any_more(shop: PlanShop) -> None:
    lost, open_plan = await shop.begun(), await shop.begun()
    await shop.cards.made(f"{PLANS}/{lost['id']}/write-offs", {"reason": "Должник банкрот"})
    await shop.cards.made(f"{PLANS}/{lost['id']}/bank-payments", {"amount_kopecks": 40_000, "bank_reference": "in-1"})
    sale = {
        "to_inn": "7707083893", "contract_number": "Ц-1", "proceeds_kopecks": 100_000, "plan_ids": [lost["id"]],
    }  # fmt: skip
    refusals = [
        await shop.api.post(SALES, {**sale, "plan_ids": [open_plan["id"]]}),
        await shop.api.post(SALES, {**sale, "to_inn": "7707083894"}),
        await shop.api.post(SALES, {**sale, "plan_ids": [f"pln_{'0' * 26}"]}),
    ]

    sold = await shop.cards.made(SALES, sale)
    again = await shop.api.post(SALES, {**sale, "contract_number": "Ц-2"})
    late = await shop.api.post(f"{PLANS}/{lost['id']}/bank-payments", {"amount_kopecks": 1, "bank_reference": "in-2"})

    assert [refused.json()["code"] for refused in refusals] == [
        "installments.debt_not_written_off", "checkout.invalid_inn", "installments.plan_not_found",
    ]  # fmt: skip
    assert sold["owed_kopecks"] == TOTAL - QUARTER - 40_000
    assert (await shop.api.get(f"{SALES}/{sold['id']}")).json() == sold
    assert (again.status_code, again.json()["code"]) == (409, "installments.debt_sold")
    assert (late.status_code, late.json()["code"]) == (409, "installments.debt_sold")
    books = await books_of(shop)
    assert (books[chart.OPERATOR_BANK], books[chart.PLAN_LOSS]) == (140_000, TOTAL - QUARTER - 100_000)


async def test_merchants_do_not_hear_that_a_debt_was_sold_and_the_house_does(shop: PlanShop) -> None:
    lost = await shop.begun()
    await shop.cards.made(f"{PLANS}/{lost['id']}/write-offs", {"reason": "Должник банкрот"})
    await shop.cards.made(SALES, {
        "to_inn": "7707083893", "contract_number": "Ц-1", "proceeds_kopecks": 1, "plan_ids": [lost["id"]],
    })  # fmt: skip
    merchant = await api_key_of(shop.api, shop.cards.merchant_id, "events:read", "orders:read")

    heard = (await shop.api.get("/v1/events?limit=200")).json()["items"]
    told = (await merchant.get("/v1/events?limit=200")).json()["items"]
    story = (await merchant.get(f"/v1/timeline/{lost['id']}")).json()["moments"]

    assert "plan.debt_sold" in {each["type"] for each in heard}
    assert "plan.written_off" in {each["type"] for each in told}
    assert "plan.debt_sold" not in {each["type"] for each in told} | {each["what"] for each in story}


async def test_what_the_bureau_refused_is_listed_and_sent_again_by_a_known_id_only(shop: PlanShop) -> None:
    listed = await shop.api.get(f"{BUREAU_EVENTS}/refused")
    unknown = await shop.api.post(f"{BUREAU_EVENTS}/bur_{'0' * 26}/deliveries", {})

    assert (listed.status_code, listed.json()["items"]) == (200, [])
    assert (unknown.status_code, unknown.json()["code"]) == (404, "installments.bureau_event_not_found")


async def test_a_merchant_does_none_of_it(shop: PlanShop) -> None:
    plan = await shop.begun()
    own = await api_key_of(shop.api, shop.merchant_id)
    path, money = f"{PLANS}/{plan['id']}", {"amount_kopecks": 1, "bank_reference": "x"}
    acts: list[tuple[str, dict[str, Any]]] = [
        ("goodwill", {"amount_kopecks": 1, "reason": "x"}), ("write-offs", {"reason": "x"}), ("bank-payments", money),
        ("chargebacks", {**money, "movement_id": f"mov_{'0' * 26}"}),
    ]  # fmt: skip
    for name, body in acts:
        answer = await own.post(f"{path}/{name}", body)
        assert (answer.status_code, answer.json()["code"]) == (403, "api.scope_missing"), name
