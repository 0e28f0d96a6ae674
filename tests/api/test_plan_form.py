"""The buyer's form over HTTP, as a browser without scripts: every step, and every way it may end."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx
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
