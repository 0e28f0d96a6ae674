"""A buyer's phone in the browser: its forms do what the control API does, and it repeats nothing unescaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from sbp_gateway.simulator.phone_texts import TEXTS
from tests.sbp_gateway.simulator_world import World, simulated_world

FORM = {"content-type": "application/x-www-form-urlencoded"}
EVIL = "<script>alert('1')</script>\"&"


async def press(world: World, path: str, **fields: Any) -> Any:
    return await world.http.post(path, content=urlencode(fields), headers=FORM)


async def page(world: World, path: str = "/phone") -> str:
    answer = await world.http.get(path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    return answer.text


async def sticker(world: World, **more: Any) -> str:
    answer = await world.register(qrcType="01", amount=None, account="4" * 20, **more)
    return str(answer.json()["data"]["qrcId"])


async def test_links_that_wait_are_listed_newest_first_with_their_sums_in_roubles() -> None:
    async with simulated_world() as world:
        first = await world.link(amount="149990", paymentPurpose="Заказ 1")
        second = await world.link(amount="100000000", paymentPurpose="Заказ 2")
        await world.pay(await world.link(paymentPurpose="Paid"))
        shown = await page(world)

    assert shown.index(second) < shown.index(first)
    assert "1\u00a0499,90\u00a0₽" in shown
    assert "1\u00a0000\u00a0000,00\u00a0₽" in shown
    assert "Paid" not in shown


async def test_an_empty_phone_says_where_links_come_from() -> None:
    async with simulated_world() as world:
        assert "Пока ничего" in await page(world)
        assert "Nothing yet" in await page(world, "/phone?lang=en")
        assert '<html lang="en">' in await page(world)  # remembered
        assert '<html lang="ru">' in await page(world, "/phone?lang=xx")


async def test_paying_on_the_phone_moves_the_money_and_tells_the_agent() -> None:
    async with simulated_world() as world:
        qrc_id = await world.link()
        before = await page(world, f"/phone/{qrc_id}")
        answer = await press(world, f"/phone/{qrc_id}", wish="accepted", bank="100000000004", other_bank="")
        after = await page(world, f"/phone/{qrc_id}")

        assert answer.status_code == 303
        assert "Оплатить" in before
        assert "data:image/svg+xml;base64," in before
        assert "Оплачено" in after
        assert "Т-Банк" in after
        assert 'value="accepted"' not in after
        assert [said["status"] for said in await world.hears(1)] == ["ACWP"]
        again = await press(world, f"/phone/{qrc_id}", wish="accepted")
        assert (again.status_code, "уже оплачена" in again.text) == (409, True)


async def test_a_refusal_may_be_tried_again_and_a_late_payment_waits() -> None:
    async with simulated_world() as world:
        qrc_id = await world.link()
        await press(world, f"/phone/{qrc_id}", wish="rejected", bank="100000000111")
        assert "Платёж отклонён" in await page(world, f"/phone/{qrc_id}")
        await press(world, f"/phone/{qrc_id}", wish="late", bank="100000000111")
        assert "в пути" in await page(world, f"/phone/{qrc_id}")
        assert (await press(world, f"/phone/{qrc_id}", wish="accepted")).status_code == 409

        await world.http.post("/simulator/clock/advance", json={"seconds": 3600})
        assert [said["status"] for said in await world.hears(2)] == ["RJCT", "ACWP"]


async def test_an_expired_link_can_only_be_paid_late() -> None:
    async with simulated_world() as world:
        qrc_id = await world.link()
        await world.http.post("/simulator/clock/advance", json={"seconds": 3600})
        shown = await page(world, f"/phone/{qrc_id}")
        assert 'value="late"' in shown
        assert 'value="accepted"' not in shown
        assert (await press(world, f"/phone/{qrc_id}", wish="accepted")).status_code == 409
        assert (await press(world, f"/phone/{qrc_id}", wish="late")).status_code == 303
        assert await world.status(qrc_id) == "ACWP"


async def test_a_sticker_asks_for_the_sum_and_a_plate_waits_for_the_till() -> None:
    async with simulated_world() as world:
        free = await sticker(world)
        plate = (await world.http.post(
            "/payment/v1/cash-register-qrc", json={"memberId": "100000000999", "account": "4" * 20}
        )).json()["data"]["qrcId"]  # fmt: skip
        for written in ("", "0", "-5", "1e3", "1000000,01", "ten", "1,234"):
            assert (await press(world, f"/phone/{free}", wish="accepted", amount=written)).status_code == 422, written
        assert (await press(world, f"/phone/{free}", wish="accepted", amount="1 250,5")).status_code == 303
        assert "1\u00a0250,50\u00a0₽" in await page(world, f"/phone/{free}")
        assert "ещё не выставила сумму" in await page(world, f"/phone/{plate}")
        assert (await press(world, f"/phone/{plate}", wish="accepted", amount="1")).status_code == 409

        await world.http.post(f"/payment/v1/cash-register-qrc/{plate}/params", json={"amount": "7700"})
        assert "77,00\u00a0₽" in await page(world, f"/phone/{plate}")
        assert (await press(world, f"/phone/{plate}", wish="accepted")).status_code == 303
        assert [said["amount"] for said in await world.hears(2)] == [125_050, 7_700]


async def test_a_code_is_scanned_by_its_text() -> None:
    async with simulated_world() as world:
        qrc_id = await world.link()
        payload = (await world.http.get(f"/payment/v1/qrc-data/{qrc_id}/payload")).json()["data"]["payload"]

        found = await press(world, "/phone/scan", payload=f"  {payload}\n")
        strange = await press(world, "/phone/scan", payload="https://qr.nspk.ru/AD10000000000000000000000000TEST")
        wrong = [
            await press(world, "/phone/scan", **fields) for fields in ({}, {"payload": EVIL}, {"payload": "x" * 9999})
        ]

    assert (found.status_code, found.headers["location"]) == (303, f"/phone/{qrc_id}?lang=ru")
    assert strange.status_code == 404
    assert {answer.status_code for answer in wrong} == {422}


async def test_nothing_that_others_wrote_is_repeated_unescaped() -> None:
    async with simulated_world() as world:
        qrc_id = await world.link(paymentPurpose=EVIL, merchantId=EVIL)
        shown = [
            await page(world),
            await page(world, f"/phone/{qrc_id}"),
            (await press(world, "/phone/scan", payload=EVIL)).text,
            (await world.http.get("/phone", params={"lang": EVIL})).text,
            (await world.http.get(f"/phone/{EVIL.replace('/', '')}")).text,
            (await press(world, f"/phone/{qrc_id}", wish=EVIL, bank=EVIL, other_bank=EVIL, amount=EVIL)).text,
        ]

    assert all("<script>alert" not in text and "alert('1')" not in text for text in shown)
    assert "&lt;script&gt;alert" in shown[0]


async def test_an_ordered_fault_is_shown_and_happens() -> None:
    async with simulated_world() as world:
        qrc_id = await world.link()
        await world.script(qrc_id, pay="rejected", notification=["duplicate"])
        assert "pay: rejected; notification: duplicate" in await page(world, f"/phone/{qrc_id}")
        await press(world, f"/phone/{qrc_id}", wish="accepted")
        assert [said["status"] for said in await world.hears(2)] == ["RJCT", "RJCT"]


async def test_the_chosen_bank_is_remembered_over_a_restart(tmp_path: Path) -> None:
    async with simulated_world(tmp_path / "state.jsonl") as world:
        qrc_id = await world.link()
        await press(world, f"/phone/{qrc_id}", wish="accepted", bank="100000000111", other_bank="100000000004")
    async with simulated_world(tmp_path / "state.jsonl") as world:
        assert "<dd>Т-Банк</dd>" in await page(world, f"/phone/{qrc_id}")


@pytest.mark.parametrize("word", TEXTS)
def test_every_text_is_said_in_both_languages(word: str) -> None:
    assert all(TEXTS[word])


async def test_an_account_is_bound_and_unbound() -> None:
    async with simulated_world() as world:
        qrc_id = (await world.register(qrcType="03", amount=None)).json()["data"]["qrcId"]
        assert "Привязать счёт" in await page(world)
        assert "Привязать счёт" in await page(world, f"/phone/{qrc_id}")
        assert (await press(world, f"/phone/{qrc_id}", wish="accepted")).status_code == 303
        assert "Счёт привязан" in await page(world, f"/phone/{qrc_id}")
        assert (await press(world, f"/phone/{qrc_id}", wish="rejected")).status_code == 303
        assert "Счёт привязан" not in await page(world, f"/phone/{qrc_id}")
