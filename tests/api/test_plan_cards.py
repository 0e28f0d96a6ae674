"""Another card for a plan, over HTTP: by support with the buyer's own card, and by the buyer at the plan's link."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest_asyncio

from api.vault_client import VaultClient
from ledger.database import Engine
from tests.api.conftest import Client, new_key
from tests.api.plan_shop import PLANS, PlanShop, plan_shop
from tests.api.test_plan_form import ORIGIN, PHONE, Browser, browser_on
from tests.tokenization.charges.charge_world import keep_card
from tokenization.buyer_cards import keep_for_buyer

OTHER_PAN = "4242424242424242"
CONSENT = "Разговор с поддержкой № 4711"


@pytest_asyncio.fixture
async def shop(client: Client, engine: Engine, vault_engine: Engine) -> AsyncIterator[PlanShop]:
    async with plan_shop(client, engine, vault_engine) as opened:
        yield opened


async def card_of(shop: PlanShop, buyer_id: str | None = None) -> str:
    """Another card that is kept with the operator, for a buyer."""
    vault, now = shop.charges.desk.vault, shop.charges.clock.at
    token = await keep_card(vault, now, OTHER_PAN, merchant_id=shop.operator_id)
    if buyer_id is not None:
        async with vault.transactions() as session:
            await keep_for_buyer(session, merchant_id=shop.operator_id, buyer_id=buyer_id, token=token, now=now)
    return token


async def test_support_puts_another_card_of_the_buyer_in_place(shop: PlanShop) -> None:
    plan = await shop.begun()
    path, token = f"{PLANS}/{plan['id']}", await card_of(shop, plan["buyer_id"])

    change = await shop.cards.made(f"{path}/cards", {"card_token": token, "consent": CONSENT})

    assert (change["status"], change["card_token"], change["consent"]) == ("replaced", token, CONSENT)
    assert [one["payment_id"] for one in await shop.cards.read(f"{path}/cards")] == [change["payment_id"]]
    assert (await shop.cards.read(f"/v1/card-payments/{change['payment_id']}"))["status"] == "voided"
    paid = await shop.cards.made(f"{path}/payments", {"amount_kopecks": 100_000})
    assert paid["status"] == "captured"  # the vault takes the rouble that was let go for the buyer's consent
    assert shop.charges.summary["net_kopecks"] == 250_014 + 100_000


async def test_the_same_request_again_is_the_same_change(shop: PlanShop) -> None:
    plan = await shop.begun()
    body = {"card_token": await card_of(shop, plan["buyer_id"]), "consent": CONSENT}

    key = new_key()
    answers = [await shop.api.post(f"{PLANS}/{plan['id']}/cards", body, key=key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert len(await shop.cards.read(f"{PLANS}/{plan['id']}/cards")) == 1


async def test_the_same_request_again_is_answered_where_no_vault_is(shop: PlanShop) -> None:
    plan, key = await shop.begun(), new_key()
    path = f"{PLANS}/{plan['id']}/cards"
    body = {"card_token": await card_of(shop, plan["buyer_id"]), "consent": CONSENT}
    first = await shop.api.post(path, body, key=key)
    door = shop.api.app.state.door
    door.wiring = replace(door.wiring, vault=VaultClient("", None))

    again = await shop.api.post(path, body, key=key)
    other = await shop.api.post(path, {**body, "consent": "Другое"}, key=key)
    new = await shop.api.post(path, body)

    assert (again.status_code, again.content, again.headers["idempotent-replayed"]) == (201, first.content, "true")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.key_reused")
    assert new.status_code == 503


async def test_a_card_of_another_buyer_or_of_nobody_is_refused(shop: PlanShop) -> None:
    plan, other = await shop.begun(), await shop.begun()

    for buyer_id in (None, other["buyer_id"]):
        body = {"card_token": await card_of(shop, buyer_id), "consent": CONSENT}
        refused = await shop.api.post(f"{PLANS}/{plan['id']}/cards", body)
        assert (refused.status_code, refused.json()["code"]) == (422, "installments.card_of_another")
    assert await shop.cards.read(f"{PLANS}/{plan['id']}/cards") == []


async def test_a_lost_answer_of_the_bank_leaves_the_old_card_until_it_is_known(shop: PlanShop) -> None:
    plan = await shop.begun()
    path, token = f"{PLANS}/{plan['id']}", await card_of(shop, plan["buyer_id"])
    shop.charges.script("lost_answer")

    change = await shop.cards.made(f"{path}/cards", {"card_token": token, "consent": CONSENT})

    assert change["status"] == "asked"
    paid = await shop.cards.made(f"{path}/payments", {"amount_kopecks": 100})
    assert paid["status"] == "captured"  # by the old card


async def signed_in(shop: PlanShop) -> tuple[Any, Browser]:
    """A buyer with a debt, at the page of the plan."""
    plan = await shop.plan()
    browser = browser_on(shop, plan)
    await (await browser.to_card(shop)).enter_card(shop)
    await shop.cards.made(f"{PLANS}/{plan['id']}/commit", {}, 200)
    return plan, await browser.open("?view=plan")


async def entered(shop: PlanShop, browser: Browser, pan: str) -> Browser:
    """What the vault's form does, and then our page."""
    found = re.search(r'src="https?://[^"]*/card-forms/(\w+)"', browser.text)
    assert found is not None, browser.text
    body = {"pan": pan, "expires_on": "2028-12", "cvc": "123"}
    headers = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
    assert (await shop.browser.post(f"/card-forms/{found[1]}/card", json=body, headers=headers)).status_code == 201
    return await browser.post("new-card-entered")


async def test_a_buyer_replaces_the_card_at_the_link(shop: PlanShop) -> None:
    plan, browser = await signed_in(shop)
    assert "Платить другой картой" in browser.text

    await browser.post("new-card")
    assert browser.heading == "Другая карта"
    await entered(shop, browser, OTHER_PAN)

    assert browser.heading == "Карта заменена"
    (change,) = await shop.cards.read(f"{PLANS}/{plan['id']}/cards")
    assert (change["status"], change["asked_by"]) == ("replaced", f"buyer:{(await owner(shop, plan))}")
    assert "Я согласен" in change["consent"]
    assert "•••• 4242" in (await browser.open("?view=plan")).text


async def owner(shop: PlanShop, plan: Any) -> str:
    return str((await shop.cards.read(f"{PLANS}/{plan['id']}"))["buyer_id"])


async def test_a_buyer_whose_new_card_is_refused_keeps_the_old_one(shop: PlanShop) -> None:
    plan, browser = await signed_in(shop)
    await browser.post("new-card")
    shop.charges.acquirer.host.scripts.set({"declines": {OTHER_PAN[-4:]: "51"}})

    await entered(shop, browser, OTHER_PAN)

    assert browser.heading == "Карта не подошла"
    assert "с прежней карты" in browser.text
    (change,) = await shop.cards.read(f"{PLANS}/{plan['id']}/cards")
    assert change["status"] == "refused"


async def test_nobody_without_the_phone_replaces_a_card(shop: PlanShop) -> None:
    plan, _ = await signed_in(shop)
    stranger = await browser_on(shop, plan).open()

    await stranger.post("new-card")

    assert "Другая карта" not in stranger.text
    assert PHONE not in stranger.text


async def test_a_refusal_of_a_card_is_the_answer_to_its_key_for_good(shop: PlanShop) -> None:
    plan = await shop.begun()
    path, key = f"{PLANS}/{plan['id']}/cards", new_key()
    body = {"card_token": await card_of(shop), "consent": CONSENT}
    refused = await shop.api.post(path, body, key=key)
    now = shop.charges.clock.at
    async with shop.charges.desk.vault.transactions() as session:
        await keep_for_buyer(
            session, merchant_id=shop.operator_id, buyer_id=plan["buyer_id"], token=body["card_token"], now=now
        )

    again = await shop.api.post(path, body, key=key)

    assert (again.status_code, again.content) == (refused.status_code, refused.content)
    assert await shop.cards.read(path) == []
