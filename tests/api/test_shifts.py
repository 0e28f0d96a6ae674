"""Shifts at the door: every sale and refund in exactly one, X at any time, Z numbered without gaps."""

from __future__ import annotations

import asyncio
import io
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import openpyxl
import pytest_asyncio

from api.routes.shifts import TOLD_KOPECKS_MAX
from checkout import repository, shift_operations, till
from checkout.attempts import AttemptStatus
from ledger.database import Engine, transaction
from ledger.ids import new_id
from ledger.money import Kopecks
from tests.api.conftest import Client
from tests.api.test_cash_links import made, order, terminal
from tests.api.test_premises import key_of


@pytest_asyncio.fixture
async def till_(client: Client) -> dict[str, Any]:
    return await terminal(client)


async def cashier(client: Client, till_: dict[str, Any], number: str, name: str) -> str:
    body = {"merchant_id": till_["merchant_id"], "number": number, "name": name}
    return str((await made(client, "/v1/cashiers", body))["id"])


async def opened(client: Client, till_: dict[str, Any], cashier_id: str) -> dict[str, Any]:
    return await made(client, "/v1/shifts", {"terminal_id": till_["id"], "cashier_id": cashier_id})


async def pay(engine: Engine, order_id: str, rail: str = "sbp") -> str:
    """The order is paid by a rail; says by which attempt."""
    now = datetime.now(UTC)
    attempt_id = new_id("att", now)
    async with transaction(engine) as session:
        await repository.begin_attempt(session, attempt_id, rail, order_id=order_id, merchant_id=None, now=now)
        await till.close_attempts(session, [attempt_id], AttemptStatus.WAITING)
        found = await repository.lock_with_orders(session, [attempt_id])
        await till.pay_orders(session, [(found[attempt_id], new_id("pay", now))], now=now)
    return attempt_id


async def sell(client: Client, engine: Engine, till_: dict[str, Any], number: str, kopecks: int, rail: str) -> str:
    return await pay(engine, await order(client, till_, number, kopecks), rail)


async def give_back(engine: Engine, attempt_id: str, kopecks: int) -> None:
    now = datetime.now(UTC)
    async with transaction(engine) as session:
        await shift_operations.note_refund(session, new_id("ref", now), attempt_id, Kopecks(kopecks), now=now)


async def report(client: Client, shift: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"/v1/shifts/{shift['id']}/report")).json()
    return found


def counted(totals: list[dict[str, Any]]) -> list[tuple[str, str, int, int]]:
    return [(each["rail"], each["kind"], each["operations"], each["amount_kopecks"]) for each in totals]


async def test_a_day_at_the_till_adds_up_by_rail_and_by_cashier(
    client: Client, engine: Engine, till_: dict[str, Any]
) -> None:
    anna, boris = await cashier(client, till_, "1", "Иванова А. П."), await cashier(client, till_, "2", "=Б. Петров")
    shift = await opened(client, till_, anna)
    attempt_id = await sell(client, engine, till_, "A-1", 149_990, "sbp")
    await sell(client, engine, till_, "A-2", 10_000, "card")
    await made(client, f"/v1/shifts/{shift['id']}/turns", {"cashier_id": boris})
    await sell(client, engine, till_, "A-3", 5_001, "sbp")
    await give_back(engine, attempt_id, 49_990)

    x = await report(client, shift)
    z = await made(client, f"/v1/shifts/{shift['id']}/close", {"cashier_id": boris})

    assert (x["kind"], z["kind"]) == ("x", "z")
    assert counted(z["by_rail"]) == counted(x["by_rail"]) == [
        ("card", "sale", 1, 10_000), ("sbp", "sale", 2, 154_991), ("sbp", "refund", 1, 49_990),
    ]  # fmt: skip
    by_name = {name: counted([each for each in z["by_cashier"] if each["cashier_name"] == name])
               for name in ("Иванова А. П.", "=Б. Петров")}  # fmt: skip
    assert by_name == {
        "Иванова А. П.": [("card", "sale", 1, 10_000), ("sbp", "sale", 1, 149_990)],
        "=Б. Петров": [("sbp", "sale", 1, 5_001), ("sbp", "refund", 1, 49_990)],
    }
    assert (z["sales_kopecks"], z["refunds_kopecks"], z["takings_kopecks"]) == (164_991, 49_990, 115_001)
    assert z["gross_kopecks"] == 164_991
    text = (await client.get(f"/v1/shifts/{shift['id']}/report?format=text&columns=32")).text
    assert "Z-ОТЧЁТ № 1" in text
    assert max(map(len, text.splitlines())) <= 32
    sheet = openpyxl.load_workbook(
        io.BytesIO((await client.get(f"/v1/shifts/{shift['id']}/report?format=xlsx")).content)
    ).active
    rows = [tuple(cell.value for cell in row) for row in sheet.iter_rows(min_row=6, max_row=10)]
    assert ("СБП", "оплата", "=Б. Петров", 1, 50.01) in rows
    assert rows[-1][0] == "Итог"
    assert rows[-1][4] == 1150.01


async def test_money_between_two_shifts_is_the_next_ones_and_numbers_have_no_gap(
    client: Client, engine: Engine, till_: dict[str, Any]
) -> None:
    anna = await cashier(client, till_, "1", "Иванова А. П.")
    await sell(client, engine, till_, "A-0", 100, "sbp")  # before the till kept shifts: of none
    first = await opened(client, till_, anna)
    await made(client, f"/v1/shifts/{first['id']}/close", {"cashier_id": anna})
    await sell(client, engine, till_, "A-1", 700, "sbp")

    second = await opened(client, till_, anna)

    assert (first["number"], second["number"]) == (1, 2)
    for is_open, shift in (("true", second), ("false", first)):
        listed = (await client.get(f"/v1/shifts?terminal_id={till_['id']}&is_open={is_open}")).json()["items"]
        assert [each["id"] for each in listed] == [shift["id"]]
    assert counted((await report(client, first))["by_rail"]) == []
    x = await report(client, second)
    assert counted(x["by_rail"]) == [("sbp", "sale", 1, 700)]
    assert x["by_cashier"][0]["cashier_name"] is None
    assert "без кассира" in (await client.get(f"/v1/shifts/{second['id']}/report?format=text")).text


async def test_totals_that_differ_need_a_reason_which_the_z_report_keeps(
    client: Client, engine: Engine, till_: dict[str, Any]
) -> None:
    anna = await cashier(client, till_, "1", "Иванова А. П.")
    shift = await opened(client, till_, anna)
    await sell(client, engine, till_, "A-1", 10_000, "sbp")
    path = f"/v1/shifts/{shift['id']}/close"
    told = [
        {"rail": "sbp", "kind": "sale", "operations": 1, "amount_kopecks": 9_000},
        {"rail": "card", "kind": "sale", "operations": 1, "amount_kopecks": 1_000},
    ]
    body = {"cashier_id": anna, "till_totals": told}

    twice = await client.post(path, body | {"till_totals": [told[0], told[0]]})
    differs = await client.post(path, body)
    z = await made(client, path, body | {"difference_reason": "Чек пробит картой дважды"})

    assert (twice.status_code, twice.json()["code"]) == (422, "checkout.shift_totals_refused")
    assert (differs.status_code, differs.json()["code"]) == (409, "checkout.shift_differs")
    assert "sbp sale: here 1 for 10000, till 1 for 9000" in differs.json()["facts"]["differences"]
    assert [(each["rail"], each["amount_kopecks"], each["till_amount_kopecks"]) for each in z["differences"]] == [
        ("card", 0, 1_000), ("sbp", 10_000, 9_000),
    ]  # fmt: skip
    text = (await client.get(f"/v1/shifts/{shift['id']}/report?format=text")).text
    assert "РАСХОЖДЕНИЕ" in text
    assert "Чек пробит картой дважды" in text


async def test_totals_that_agree_need_no_reason_and_keep_none(
    client: Client, engine: Engine, till_: dict[str, Any]
) -> None:
    anna = await cashier(client, till_, "1", "Иванова А. П.")
    shift = await opened(client, till_, anna)
    await sell(client, engine, till_, "A-1", 10_000, "sbp")
    told = [{"rail": "sbp", "kind": "sale", "operations": 1, "amount_kopecks": 10_000}]

    z = await made(client, f"/v1/shifts/{shift['id']}/close", {
        "cashier_id": anna, "till_totals": told, "difference_reason": "на всякий случай",
    })  # fmt: skip

    assert (z["differences"], z["shift"]["difference_reason"]) == ([], None)


async def test_a_till_has_one_open_shift_and_a_closed_one_stays_closed(client: Client, till_: dict[str, Any]) -> None:
    anna, gone = await cashier(client, till_, "1", "А."), await cashier(client, till_, "2", "Б.")
    await made(client, f"/v1/cashiers/{gone}/close", None)
    shift = await opened(client, till_, anna)
    body, path = {"terminal_id": till_["id"], "cashier_id": anna}, f"/v1/shifts/{shift['id']}"

    refused = [
        await client.post("/v1/shifts", body),
        await client.post(f"{path}/turns", {"cashier_id": gone}),
        await client.post(f"{path}/close", {"cashier_id": "csr_9"}),
    ]
    await made(client, f"{path}/close", {"cashier_id": anna})
    refused += [
        await client.post(f"{path}/close", {"cashier_id": anna}),
        await client.post(f"{path}/turns", {"cashier_id": anna}),
        await client.post("/v1/shifts", body | {"terminal_id": "ter_9"}),
    ]

    assert [answer.json()["code"].removeprefix("checkout.") for answer in refused] == [
        "shift_open", "cashier_gone", "cashier_not_found", "shift_closed", "shift_closed", "terminal_not_found",
    ]  # fmt: skip


async def test_payments_during_a_close_are_in_this_shift_or_in_the_next(
    client: Client, engine: Engine, till_: dict[str, Any]
) -> None:
    anna = await cashier(client, till_, "1", "Иванова А. П.")
    shift = await opened(client, till_, anna)
    orders = [await order(client, till_, f"A-{number}", 100) for number in range(12)]

    async def close() -> dict[str, Any]:
        return await made(client, f"/v1/shifts/{shift['id']}/close", {"cashier_id": anna})

    z, *_ = await asyncio.gather(close(), *(pay(engine, order_id) for order_id in orders))

    later = await report(client, await opened(client, till_, anna))
    assert z["sales_kopecks"] + later["sales_kopecks"] == 1_200
    assert z["by_rail"] == (await report(client, shift))["by_rail"]


async def test_a_refund_is_counted_once_however_often_it_is_told(
    client: Client, engine: Engine, till_: dict[str, Any]
) -> None:
    anna = await cashier(client, till_, "1", "Иванова А. П.")
    shift = await opened(client, till_, anna)
    attempt_id = await sell(client, engine, till_, "A-1", 10_000, "sbp")
    now = datetime.now(UTC)
    refund_id = new_id("ref", now)

    for _ in range(2):
        async with transaction(engine) as session:
            await shift_operations.note_refund(session, refund_id, attempt_id, Kopecks(4_000), now=now)

    assert (await report(client, shift))["takings_kopecks"] == 6_000


async def test_a_shift_that_lasts_too_long_says_so(client: Client, till_: dict[str, Any]) -> None:
    anna = await cashier(client, till_, "1", "Иванова А. П.")
    await made(client, "/v1/premises/settings", {
        "merchant_id": till_["merchant_id"], "level": "merchant", "name": "shift_hours_max", "value": 1,
    })  # fmt: skip
    shift = await opened(client, till_, anna)
    before = (await report(client, shift))["is_overdue"]

    await made(client, "/v1/clock/advance", {"seconds": int(timedelta(hours=2).total_seconds())})

    assert (before, (await report(client, shift))["is_overdue"]) == (False, True)


async def test_a_merchant_sees_and_closes_its_own_shifts_only(
    client: Client, engine: Engine, till_: dict[str, Any]
) -> None:
    other = await terminal(client, inn="7736050003")
    theirs = await opened(client, other, await cashier(client, other, "1", "П."))
    mine = await opened(client, till_, await cashier(client, till_, "1", "А."))
    shop, path = (
        Client(client.http, client.app, await key_of(engine, till_["merchant_id"])),
        f"/v1/shifts/{theirs['id']}",
    )

    answers = [
        *[await shop.get(f"{path}{rest}") for rest in ("", "/report", "/report?format=text", "/report?format=xlsx")],
        await shop.post(f"{path}/close", {"cashier_id": "csr_1"}),
        await shop.post(f"{path}/turns", {"cashier_id": "csr_1"}),
        await shop.post("/v1/shifts", {"terminal_id": other["id"], "cashier_id": "csr_1"}),
    ]

    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert [each["id"] for each in (await shop.get("/v1/shifts")).json()["items"]] == [mine["id"]]


async def test_of_many_who_open_a_shift_at_once_one_does(client: Client, till_: dict[str, Any]) -> None:
    anna = await cashier(client, till_, "1", "Иванова А. П.")
    body = {"terminal_id": till_["id"], "cashier_id": anna}

    answers = await asyncio.gather(*(client.post("/v1/shifts", body) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"checkout.shift_open"}


async def test_whatever_comes_in_whatever_order_all_z_reports_add_up_to_it(
    client: Client, engine: Engine, till_: dict[str, Any]
) -> None:
    """A seeded month: shifts opened and closed, sales of three rails and refunds between and within them."""
    chance = random.Random(20_261_122)
    anna = await cashier(client, till_, "1", "Иванова А. П.")
    shifts = [await opened(client, till_, anna)]
    is_open, sold, paid, given_back = True, 0, [], 0

    for step in range(40):
        what = chance.choice(["sale", "sale", "sale", "refund", "turn"])
        if what == "sale":
            kopecks = chance.randint(1, 10**6)
            rail = chance.choice(["sbp", "card", "dolyame"])
            paid.append((await sell(client, engine, till_, f"A-{step}", kopecks, rail), kopecks))
            sold += kopecks
        elif what == "refund" and paid:
            attempt_id, kopecks = paid.pop(chance.randrange(len(paid)))
            await give_back(engine, attempt_id, kopecks)
            given_back += kopecks
        elif what == "turn" and is_open:
            await made(client, f"/v1/shifts/{shifts[-1]['id']}/close", {"cashier_id": anna})
            is_open = False
        elif what == "turn":
            shifts.append(await opened(client, till_, anna))
            is_open = True
    if not is_open:
        shifts.append(await opened(client, till_, anna))
    await made(client, f"/v1/shifts/{shifts[-1]['id']}/close", {"cashier_id": anna})

    reports = [await report(client, shift) for shift in shifts]
    assert len(shifts) > 2
    assert [each["shift"]["number"] for each in reports] == list(range(1, len(shifts) + 1))
    assert sum(each["sales_kopecks"] for each in reports) == sold
    assert sum(each["refunds_kopecks"] for each in reports) == given_back


async def test_the_greatest_totals_a_till_can_tell_are_kept_as_told(client: Client, till_: dict[str, Any]) -> None:
    anna = await cashier(client, till_, "1", "Иванова А. П.")
    shift = await opened(client, till_, anna)
    most: dict[str, Any] = {"rail": "sbp", "kind": "sale", "operations": 2**31 - 1, "amount_kopecks": TOLD_KOPECKS_MAX}
    path = f"/v1/shifts/{shift['id']}/close"

    above = [
        await client.post(path, {"cashier_id": anna, "till_totals": [most | {name: most[name] + 1}]})
        for name in ("operations", "amount_kopecks")
    ]
    z = await made(client, path, {"cashier_id": anna, "till_totals": [most], "difference_reason": "сбой кассы"})

    assert [(each.status_code, each.json()["code"]) for each in above] == [(422, "api.request_invalid")] * 2
    assert z["differences"][0]["till_amount_kopecks"] == TOLD_KOPECKS_MAX
