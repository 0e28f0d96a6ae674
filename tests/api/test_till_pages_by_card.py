"""The till's pages with a vault and an acquirer behind them: a card, installments and a buyer's device to the end."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from api.plan_form.texts import money
from ledger.database import Engine
from tests.api.conftest import Client
from tests.api.plan_shop import BUYER, PLANS
from tests.api.till_pages_world import VaultTill, vault_till
from tests.tokenization.charges.charge_world import PAN

TYPED = "+7 916 555-01-23"


@pytest_asyncio.fixture
async def till(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[VaultTill]:
    async with vault_till(client, engine, vault_engine) as made:
        yield made


async def placed(till: VaultTill) -> str:
    """A till with an order to pay: its path."""
    path = await till.open()
    await till.act(path, "add", article="kruzh-06")
    assert "Чем платят" in await till.act(path, "place")
    return path


async def entered(till: VaultTill, path: str, pan: str = PAN) -> str:
    """The buyer's card in the vault's form; the till's screen after it."""
    asked = await till.http.post(f"{path}/pay", data={"rail": "card"}, headers={"hx-request": "true"})
    assert asked.headers["hx-refresh"] == "true"
    form = re.search(r'src="https://vault\.test/card-forms/(\w+)"', asked.text)
    assert form is not None, asked.text
    body = {"pan": pan, "expires_on": "2028-12", "cvc": "123"}
    done = await till.shop.browser.post(f"/card-forms/{form[1]}/card", json=body)
    assert done.status_code == 201, done.text
    return await till.act(path, "card")


async def test_a_card_is_typed_at_the_vault_and_charged_once(till: VaultTill) -> None:
    path = await placed(till)
    till.shop.charges.acquirer.host.scripts.set({"declines": {PAN[-4:]: "51"}})
    assert "Выберите ещё раз" in await entered(till, path)
    till.shop.charges.acquirer.host.scripts.set({"declines": {}})

    paid = await entered(till, path)
    assert f"Оплачено · {money(129_000)}" in paid
    assert "СЛИП" in paid
    assert await till.act(path, "card") == paid
    diagram = (await till.http.get(f"{path}/diagram")).text
    for call in ("POST /v1/card-sessions", "POST /card-forms/", "POST /v1/charges"):
        assert call in diagram
    assert PAN not in paid + diagram
    payments = await till.shop.cards.read("/v1/card-payments")
    assert [each["status"] for each in payments["items"]].count("captured") == 1


async def test_a_form_without_a_card_pays_nothing_and_lets_only_the_vault_in(till: VaultTill) -> None:
    path = await placed(till)
    asked = await till.act(path, "pay", rail="card")
    assert "Хранилище ещё не получило карту" in await till.act(path, "card")
    page = await till.http.get(path)
    assert "frame-src https://vault.test;" in page.headers["content-security-policy"]
    seen = re.search(r"/till\?seen=(\w+)&", asked)
    assert seen is not None
    await till.act(path, "other")
    await till.act(path, "pay", rail="card")
    form = re.search(r"/till\?seen=(\w+)&", (await till.http.get(f"{path}/till")).text)
    assert form is not None
    await till.act(path, "prefer", rail="card")
    assert (await till.http.get(f"{path}/till?seen={form[1]}")).status_code == 204  # what is being typed stays

    assert "Чек отменён" in await till.act(path, "cancel")
    assert "Чек отменён" in await till.act(path, "card")
    assert "frame-src" not in (await till.http.get(path)).headers["content-security-policy"]


async def test_a_vault_that_is_away_is_told_to_the_cashier(till: VaultTill) -> None:
    path = await placed(till)
    till.vault.drop = 1
    assert 'class="notice"' in await till.act(path, "pay", rail="card")
    assert "Оплачено" in await entered(till, path)


async def test_the_phone_puts_the_card_into_its_wallet_and_proves_a_payment(till: VaultTill) -> None:
    path = await placed(till)
    assert "Сначала заплатите картой" in (await till.http.get(f"{path}/till")).text
    assert "Ждём телефон" not in await till.act(path, "pay", rail="koshelek_pay")
    await entered(till, path)
    for _ in range(2):
        await till.act(path, "next")
        await till.act(path, "add", article="kofe-01")
        await till.act(path, "place")
        assert "Ждём телефон" in await till.act(path, "pay", rail="koshelek_pay")
        assert "Подтвердить и поднести" in (await till.http.get(f"{path}/phone")).text
        await till.act(path, "tap")
        panel = (await till.http.get(f"{path}/till")).text
        assert f"Оплачено · {money(25_000)}" in panel
        assert "Кошелёк Pay" in panel
    diagram = (await till.http.get(f"{path}/diagram")).text
    assert diagram.count("POST /v1/device-tokens/") == 2, "the card is put on once: a code and keys"
    assert diagram.count("POST /v1/device-payments") == 2


async def test_a_plan_signed_on_the_phone_pays_at_the_till(till: VaultTill) -> None:
    path = await placed(till)
    await till.act(path, "pay", rail="dolyame")
    phone = (await till.http.get(f"{path}/phone")).text
    plan_link = re.search(r'href="([^"]*/plans/[^"]+)"', phone)
    assert plan_link is not None
    [plan] = (await till.shop.cards.read(f"{PLANS}?status=new"))["items"]
    body: dict[str, Any] = {"buyer": {**BUYER, "phone": "+79165550123"}, "card_token": till.shop.token}
    await till.shop.cards.made(f"{PLANS}/{plan['id']}/acceptance", body, 200)

    panel = (await till.http.get(f"{path}/till")).text
    assert "Оплачено" in panel
    assert "СЛИП" in panel
    assert "Спасибо" in (await till.http.get(f"{path}/phone")).text


async def test_a_buyers_messages_are_shown_and_not_kept(till: VaultTill) -> None:
    path = await till.open()
    sent = {"id": "msg_1", "to": "+79165550123", "text": "Код 123456", "channel": "sms"}
    assert (await till.shop.messages.http.post("/messages/v1/messages", json=sent)).status_code == 202
    told = await till.act(path, "messages", phone=TYPED)
    assert told.strip() == "<li>Код 123456</li>"
    for phone in ("", "nobody", "+79165550000", "../summary"):
        assert "Сообщений на этот номер нет" in await till.act(path, "messages", phone=phone)
    assert "123456" not in (await till.http.get(path)).text
    foreign = {"origin": "https://elsewhere.example", "content-type": "application/x-www-form-urlencoded"}
    refused = await till.http.post(f"{path}/messages", content=b"phone=79165550123", headers=foreign)
    assert refused.status_code == 415
