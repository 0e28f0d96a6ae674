"""The buyer's form over HTTP, as a browser without scripts: every step, and every way it may end."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx
import pytest
import pytest_asyncio

from ledger.database import Engine
from tests.api.conftest import Client
from tests.api.plan_shop import PLANS, PlanShop, plan_shop
from tests.tokenization.charges.charge_world import PAN

PHONE = "+79165550123"
DETAILS = {
    "phone": "8 916 555-01-23", "last_name": "Иванова", "first_name": "Мария", "middle_name": "",
    "born_on": "17.05.1990", "personal_data": "yes",
}  # fmt: skip


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[PlanShop]:
    async with plan_shop(client, engine, vault_engine) as opened:
        yield opened


@dataclass
class Browser:
    """A browser without scripts on one plan's link: keeps cookies, follows our own redirects."""

    http: httpx.AsyncClient
    path: str
    page: httpx.Response | None = None

    @property
    def text(self) -> str:
        assert self.page is not None
        return unescape(self.page.text)

    @property
    def heading(self) -> str:
        found = re.search(r"<h1>(.*?)</h1>", self.text)
        assert found is not None, self.text
        return found[1]

    def hidden(self, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found is not None, (name, self.text)
        return found[1]

    async def open(self, query: str = "") -> Browser:
        self.page = await self.http.get(self.path + query, follow_redirects=True)
        return self

    async def post(self, deed: str, **fields: str) -> Browser:
        body = {"csrf": self.hidden("csrf"), **fields}
        headers = {"origin": "https://kopeyka.test", "sec-fetch-site": "same-origin"}
        self.page = await self.http.post(f"{self.path}/{deed}", data=body, headers=headers, follow_redirects=True)
        return self

    async def to_terms(self, **changes: str) -> Browser:
        await self.open()
        return await self.post("details", **{**DETAILS, **changes})

    async def to_code(self, **changes: str) -> Browser:
        await self.to_terms(**changes)
        return await self.post("acceptance", pack=self.hidden("pack"), agreement="yes", card="yes")

    async def to_card(self, shop: PlanShop, phone: str = PHONE, **changes: str) -> Browser:
        await self.to_code(**changes)
        return await self.post("code", code=await shop.code_on(phone))

    async def enter_card(self, shop: PlanShop, pan: str = PAN) -> Browser:
        """What the vault's form does, and then our page."""
        found = re.search(r'src="https?://[^"]*/card-forms/(\w+)"', self.text)
        assert found is not None, self.text
        body = {"pan": pan, "expires_on": "2028-12", "cvc": "123"}
        headers = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
        answered = await shop.browser.post(f"/card-forms/{found[1]}/card", json=body, headers=headers)
        assert answered.status_code == 201, answered.text
        return await self.post("card")


ORIGIN = "https://vault.test"


def browser_on(shop: PlanShop, plan: Any) -> Browser:
    transport = httpx.ASGITransport(shop.api.app, raise_app_exceptions=False)
    path = plan["link"].removeprefix("https://kopeyka.test")
    return Browser(httpx.AsyncClient(transport=transport, base_url="https://kopeyka.test"), path)


async def test_a_buyer_accepts_a_plan_and_later_pays_it_off(shop: PlanShop) -> None:
    plan = await shop.plan()
    browser = browser_on(shop, plan)

    assert (await browser.to_terms()).heading == "Условия"
    await browser.post("acceptance", pack=browser.hidden("pack"), agreement="yes", card="yes")
    assert browser.heading == "Код из сообщения"
    assert "••-23" in browser.text
    await browser.post("code", code=await shop.code_on(PHONE))
    assert browser.heading.startswith("Первый платёж: 2")
    await browser.enter_card(shop)
    assert browser.heading == "Готово, заказ оформлен"
    assert 'href="https://shop.example/ok"' in browser.text
    held = await shop.cards.read(f"{PLANS}/{plan['id']}")
    assert held["status"] == "wait_for_commit"

    await shop.cards.made(f"{PLANS}/{plan['id']}/commit", {}, 200)
    assert (await browser.open("?view=plan")).heading == "Всё по графику"
    await browser.post("payments", part="amount", amount="1 000,50")
    assert browser.heading == "Платёж принят"
    assert (await shop.cards.read(f"{PLANS}/{plan['id']}"))["outstanding_kopecks"] == 1_000_056 - 250_014 - 100_050
    await browser.open("?view=plan")
    await browser.post("payments", part="whole")
    assert browser.heading == "Платёж принят"
    assert (await browser.open("?view=plan")).heading == "Всё оплачено"
    assert (await shop.cards.read(f"{PLANS}/{plan['id']}"))["standing"] == "repaid"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"phone": "12345"}, "Российский мобильный номер", id="no phone"),
        pytest.param({"phone": "+14155550123"}, "Российский мобильный номер", id="another country"),
        pytest.param({"born_on": "31.02.1990"}, "День, месяц и год", id="no such day"),
        pytest.param({"born_on": "01.01.2015"}, "кому есть 18 лет", id="under age"),
        pytest.param({"first_name": "<b>1"}, "Как в паспорте", id="no name"),
        pytest.param({"personal_data": ""}, "Без согласия оформить нельзя", id="no consent"),
    ],
)
async def test_wrong_details_are_told_beside_their_field(shop: PlanShop, changes: Any, words: str) -> None:
    browser = browser_on(shop, await shop.plan())

    await browser.to_terms(**changes)

    assert browser.page is not None
    assert (browser.page.status_code, browser.heading) == (422, "Кто оформляет")
    assert words in browser.text
    assert 'value="Иванова"' in browser.text
    assert (await browser.open()).heading == "Кто оформляет"


async def test_nothing_is_agreed_without_both_ticks_or_to_other_terms(shop: PlanShop) -> None:
    browser = browser_on(shop, await shop.plan())
    await browser.to_terms()
    pack = browser.hidden("pack")
    shown = await browser.http.get(f"{browser.path}/pack")
    assert hashlib.sha256(shown.content).hexdigest() == pack

    await browser.post("acceptance", pack=pack, agreement="yes")
    assert "Отметьте то" in browser.text
    await browser.post("acceptance", pack="0" * 64, agreement="yes", card="yes")
    assert "Условия обновились" in browser.text
    assert await shop.messages.read(PHONE) == []


async def test_a_code_has_its_tries_and_another_is_not_sent_at_once(shop: PlanShop) -> None:
    browser = browser_on(shop, await shop.plan())
    await browser.to_code()
    right = await shop.code_on(PHONE)
    wrong = "000000" if right != "000000" else "111111"

    await browser.post("code", code="12")
    assert "шесть цифр" in browser.text
    for left in (4, 3, 2, 1):
        await browser.post("code", code=wrong)
        assert f"Осталось попыток: {left}" in browser.text
    await browser.post("code", code=wrong)
    assert "Попытки кончились" in browser.text
    await browser.post("code", code=right)
    assert "Попытки кончились" in browser.text
    await browser.post("code-again")
    assert "можно запросить через" in browser.text
    assert len(await shop.messages.read(PHONE)) == 1


async def test_over_the_limit_the_plan_is_rejected_in_plain_words(shop: PlanShop) -> None:
    items = [{"name": "Шуба", "quantity": "1", "price_kopecks": 14_000_000}]
    plan = await shop.plan(price_kopecks=14_000_000, items=items)
    browser = browser_on(shop, plan)

    await browser.to_card(shop)

    assert browser.heading == "Оформить не получится"
    assert "лимит" in browser.text
    assert 'href="https://shop.example/no"' in browser.text
    assert (await shop.cards.read(f"{PLANS}/{plan['id']}"))["status"] == "rejected"


async def test_a_refused_card_gives_way_to_another(shop: PlanShop) -> None:
    plan = await shop.plan()
    browser = browser_on(shop, plan)
    await browser.to_card(shop)
    shop.charges.acquirer.host.scripts.set({"declines": {PAN[-4:]: "51"}})
    await browser.enter_card(shop)
    assert (browser.heading, "не хватает денег" in browser.text) == ("Карта не подошла", True)

    shop.charges.acquirer.host.scripts.set({"declines": {}})
    await browser.post("card-again")
    await browser.enter_card(shop)

    assert browser.heading == "Готово, заказ оформлен"
    assert shop.charges.summary["doubles"] == 0


async def test_a_card_that_was_not_entered_holds_nothing(shop: PlanShop) -> None:
    plan = await shop.plan()
    browser = browser_on(shop, plan)
    await browser.to_card(shop)

    await browser.post("card")

    assert "Карта ещё не введена" in browser.text
    assert (await shop.cards.read(f"{PLANS}/{plan['id']}"))["status"] == "approved"


async def test_a_lost_answer_of_the_bank_is_waited_for_and_charges_nothing_twice(shop: PlanShop) -> None:
    plan = await shop.plan()
    browser = browser_on(shop, plan)
    await browser.to_card(shop)
    shop.charges.script("lost_answer")
    await browser.enter_card(shop)
    assert browser.heading == "Проверяем платёж"
    assert 'http-equiv="refresh"' in browser.text

    await shop.cards.settle()
    await shop.api.app.state.door.wiring.plans.carry_on(plan["id"])

    assert (await browser.open()).heading == "Карта не подошла"
    assert shop.charges.summary["held_kopecks"] == 0


async def test_a_plan_is_shown_to_its_buyer_alone(shop: PlanShop) -> None:
    plan = await shop.begun(phone=PHONE)
    stranger = browser_on(shop, plan)

    await stranger.open()
    assert stranger.heading == "Ваша рассрочка"
    assert "Иванова" not in stranger.text
    assert (await stranger.http.get(f"{stranger.path}/documents/statement")).text.count("Ваша рассрочка") == 1
    await stranger.post("payments", part="whole")
    assert (await shop.cards.read(f"{PLANS}/{plan['id']}"))["standing"] == "current"

    await stranger.post("code-again")
    await stranger.post("code", code=await shop.code_on(PHONE))
    assert stranger.heading == "Всё по графику"
    statement = await stranger.http.get(f"{stranger.path}/documents/statement?as=pdf")
    assert statement.content.startswith(b"%PDF-")
    await stranger.post("payments", part="amount", amount="0,50")
    assert "От 1 ₽" in stranger.text
    await stranger.post("leave")
    assert stranger.heading == "Ваша рассрочка"


async def test_what_is_over_has_a_page(shop: PlanShop) -> None:
    canceled = await shop.accepted()
    await shop.cards.made(f"{PLANS}/{canceled['id']}/cancel", {}, 200)
    given_up, expired = await shop.plan(), await shop.plan()
    browser = browser_on(shop, given_up)
    await browser.to_terms()
    await browser.post("refusal")
    async with shop.cards.engine.begin() as session:
        await session.exec_driver_sql(
            f"UPDATE installment_plans SET expires_at = now() - interval '1 s' WHERE id = '{expired['id']}'"
        )

    assert browser.heading == "Рассрочка отменена"
    assert (await browser_on(shop, canceled).open()).heading == "Рассрочка отменена"
    assert (await browser_on(shop, expired).open()).heading == "Время на оформление вышло"
    nowhere = browser_on(shop, {"link": "https://kopeyka.test/plans/nothingsuch"})
    assert (await nowhere.open()).heading == "Ссылка не найдена"
    assert nowhere.page is not None
    assert nowhere.page.status_code == 404
    assert (await browser.open("?lang=en")).heading == "The plan was cancelled"
    assert (await browser.open()).heading == "The plan was cancelled"


async def test_forms_of_other_sites_are_not_taken(shop: PlanShop) -> None:
    browser = browser_on(shop, await shop.plan())
    await browser.open()
    body = {"csrf": browser.hidden("csrf"), **DETAILS}
    for headers, changes in [
        ({"origin": "https://evil.example"}, {}),
        ({"sec-fetch-site": "cross-site"}, {}),
        ({"origin": "https://kopeyka.test"}, {"csrf": "guessed"}),
    ]:
        answer = await browser.http.post(f"{browser.path}/details", data={**body, **changes}, headers=headers)
        assert (answer.status_code, "Страница устарела" in answer.text) == (403, True)
    assert (await browser.http.post(f"{browser.path}/details", json=body)).status_code == 415
    assert (await browser.http.post(f"{browser.path}/nothing", data=body)).status_code == 404


@pytest.mark.usefixtures("buckets_stay_empty")
async def test_pages_may_do_little_and_are_not_asked_for_too_often(shop: PlanShop) -> None:
    browser = browser_on(shop, await shop.plan())
    first = (await browser.open()).page
    assert first is not None
    policy = first.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    cookie = first.headers["set-cookie"]
    assert f"Path={browser.path}; Secure; HttpOnly; SameSite=Lax" in cookie
    assert "http" not in re.sub(r'(http-equiv|href="https://shop[^"]*")', "", first.text)

    answers = [(await browser.http.get(browser.path)).status_code for _ in range(14)]
    assert 429 in answers


async def test_a_cookie_of_one_plan_opens_no_other(shop: PlanShop) -> None:
    mine, other = await shop.begun(phone=PHONE), await shop.begun()
    browser = browser_on(shop, mine)
    await browser.open()
    await browser.post("code-again")
    await browser.post("code", code=await shop.code_on(PHONE))
    assert browser.heading == "Всё по графику"
    kept = browser.http.cookies.get("__Secure-plan")

    thief = browser_on(shop, other)
    thief.http.cookies.set("__Secure-plan", kept or "", domain="kopeyka.test", path=thief.path)

    assert (await thief.open()).heading == "Ваша рассрочка"


async def test_the_longest_names_of_the_rarest_letters_fit_into_the_cookie(shop: PlanShop) -> None:
    browser = browser_on(shop, await shop.plan())
    await browser.open()
    names = dict.fromkeys(("last_name", "first_name", "middle_name"), "\N{MATHEMATICAL BOLD CAPITAL A}" * 64)

    await browser.post("details", **DETAILS | names)

    assert browser.page is not None
    assert (browser.page.status_code, browser.heading) == (200, "Условия")
