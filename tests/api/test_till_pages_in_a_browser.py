"""A sale by one scan in a real browser: the till, the phone and the diagram of the calls between them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from api.serve import listening_socket
from ledger.database import Engine
from tests.api.conftest import Client
from tests.api.plan_shop import BUYER, PLANS
from tests.api.till_pages_world import TillWorld, till_world, vault_till
from tests.browser import BrowserTab, browser_tab, program
from tests.tokenization.charges.charge_world import PAN
from tokenization.app import public_app

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(program() is None, reason="no chromium is installed (Debian: apt install chromium)"),
]
WIDTHS = ((390, 844), (1280, 860))


@asynccontextmanager
async def served(world: TillWorld) -> AsyncIterator[str]:
    """The door behind a socket; its home."""
    with listening_socket("127.0.0.1", 0) as listener:
        async with behind(listener, world.app):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def behind(listener: Any, app: Any) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, ws="none", log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


async def fits(tab: BrowserTab, name: str, frame: str) -> None:
    """Nothing is wider than a phone or a desk; pictures for people where somebody asked for them."""
    folder = os.environ.get("KOPEYKA_TEST_PICTURES")
    for width, height in WIDTHS:
        await tab.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        size = (await tab.call("Page.getLayoutMetrics"))["cssContentSize"]
        assert size["width"] <= width, f"{name} is wider than {width}"
        if folder:
            await asyncio.sleep(0.3)
            tall = max(height, size["height"])
            await tab.picture(Path(folder) / f"till_{name}_{width}.png", width=width, height=tall)
    clipped = (
        "[...document.querySelectorAll('button, .line-name, .sums dd')].filter(e => e.scrollWidth > e.clientWidth + 1)"
    )
    assert await tab.run(f"{clipped}.map(e => e.textContent.trim())", frame=frame) == [], name


async def press(tab: BrowserTab, selector: str, frame: str) -> None:
    await tab.until(f"document.readyState === 'complete' && !!document.querySelector({selector!r})", frame=frame)
    await tab.run(f"document.querySelector({selector!r}).click()", frame=frame)


async def says(tab: BrowserTab, panel: str, words: str, frame: str) -> None:
    await tab.until(f"document.getElementById({panel!r})?.textContent.includes({words!r})", frame=frame)


async def paid(world: TillWorld, tab: BrowserTab, frame: str) -> None:
    for _ in range(1200):
        await world.work()
        if await tab.run("!!document.querySelector('.outcome.is-paid')", frame=frame):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the till never learnt that it was paid")


async def refunded(world: TillWorld, tab: BrowserTab, frame: str) -> None:
    for _ in range(1200):
        await world.work()
        if "Вернули" in (await tab.run("document.querySelector('.refund')?.textContent", frame=frame) or ""):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the till never learnt that the money went back")


async def scan_by_hand(tab: BrowserTab, frame: str) -> None:
    """A scanner types what the phone shows, and presses Enter."""
    text = await tab.run("document.querySelector('#phone input[name=barcode]').value", frame=frame)
    await tab.run("document.getElementById('barcode').value = ''", frame=frame)
    await tab.type_into("barcode", text, frame=frame)
    await tab.press("Enter")


async def test_one_scan_points_a_code_and_sbp(database: Any, engine: Engine) -> None:
    async with till_world(database, engine) as world, served(world) as home, browser_tab(f"{home}/till") as tab:
        await tab.until("!!document.querySelector('.opening button')", frame=home)
        await fits(tab, "opening", home)
        await press(tab, ".opening button", home)
        await says(tab, "phone", "300", home)
        await fits(tab, "empty", home)

        for article in ("kofe-01", "zer-03"):
            await press(tab, f"#till input[value={article}] + button", home)
            await tab.until(f"!!document.querySelector('.lines input[value={article}]')", frame=home)
        await scan_by_hand(tab, home)
        await says(tab, "till", "Карта считана", home)
        await says(tab, "diagram", "POST /v1/presentments", home)
        await fits(tab, "scanned", home)

        await tab.type_into("promo_code", "KOFE-10", frame=home)
        await tab.type_into("points", "100", frame=home)
        await press(tab, ".place .big", home)
        await says(tab, "till", "Чем платят", home)
        await fits(tab, "rails", home)

        await press(tab, "#till input[value=sbp] + button", home)
        await tab.until("!!document.querySelector('.qr svg') && !!document.querySelector('.asked')", frame=home)
        await fits(tab, "paying", home)
        await press(tab, ".asked [value=pay]", home)
        await paid(world, tab, home)
        await tab.until("!!document.querySelector('.slip pre')", frame=home)
        await fits(tab, "paid", home)

        await press(tab, "#till .line-act button", home)
        await refunded(world, tab, home)
        await press(tab, "#till > form:last-of-type button", home)
        await says(tab, "till", "Выберите товары", home)
        await says(tab, "diagram", "GET /v1/item-refunds", home)

        await tab.run("document.querySelector('.lang').click()", frame=home)
        await says(tab, "till", "Choose the goods", home)
        await fits(tab, "english", home)
        await tab.call("Page.navigate", url=(await _address(tab, home)) + "?view=phone")
        await says(tab, "phone", "Платить по умолчанию", home)
        await fits(tab, "phone", home)
        assert not [said for said in tab.said if said.startswith(("error", "exception"))], tab.said
        assert all(asked.partition(" ")[2].startswith((home, "data:", "about:")) for asked in tab.requested)


async def _address(tab: BrowserTab, home: str) -> str:
    return str(await tab.run("location.origin + location.pathname", frame=home))


async def test_a_used_barcode_and_an_order_let_go(database: Any, engine: Engine) -> None:
    async with till_world(database, engine) as world, served(world) as home:
        path = await world.open()
        async with browser_tab(home + path) as tab:
            await tab.until("!!document.querySelector('#phone .hold')", frame=home)
            text = await tab.run("document.querySelector('#phone input[name=barcode]').value", frame=home)
            await press(tab, "#phone .hold", home)
            await says(tab, "till", "Можно платить сразу", home)
            await world.act(path, "next")
            await tab.until("!!document.getElementById('barcode')", frame=home)
            await tab.type_into("barcode", text, frame=home)
            await tab.press("Enter")
            await says(tab, "till", "checkout.barcode_used", home)
            await fits(tab, "used", home)

            await press(tab, "#phone .prefer input[value=dolyame] + button", home)
            chosen = "document.querySelector('.prefer [aria-pressed]')?.textContent === 'Долями'"
            await tab.until(chosen, frame=home)
            await press(tab, "#phone a[hx-get*=code_128]", home)
            await tab.until("!!document.querySelector('.barcode.is-code_128')", frame=home)
            await press(tab, "#till input[value=kruzh-06] + button", home)
            await press(tab, ".place .big", home)
            await says(tab, "till", "Чем платят", home)
            await press(tab, "#till .rails > form:last-of-type button", home)
            await says(tab, "till", "Чек отменён", home)
            await fits(tab, "canceled", home)
            assert await tab.run("!!document.querySelector('.barcode.is-code_128')", frame=home)


async def test_a_card_in_the_vaults_form_a_device_and_a_plan(
    client: Client, engine: Engine, vault_engine: Engine
) -> None:
    with listening_socket("127.0.0.1", 0) as ours, listening_socket("127.0.0.1", 0) as vaults:
        home, safe = (f"http://127.0.0.1:{one.getsockname()[1]}" for one in (ours, vaults))
        async with (
            vault_till(client, engine, vault_engine, home=home, safe=safe) as till,
            behind(ours, till.app),
            behind(vaults, public_app(till.shop.charges.desk.vault)),
        ):
            path = await till.open()
            await till.act(path, "add", article="kruzh-06")
            await till.act(path, "place")
            async with browser_tab(home + path) as tab:
                await press(tab, "#till input[value=card] + button", home)
                there = "document.readyState === 'complete' && !!document.getElementById('pan')"
                await tab.until(there, frame="/card-forms/")
                for name, text in (("pan", PAN), ("expires", "1228"), ("cvc", "123")):
                    await tab.type_into(name, text, frame="/card-forms/")
                await fits(tab, "card", home)
                await press(tab, "#submit", "/card-forms/")
                await says(tab, "till", "Оплачено", home)
                await fits(tab, "card_paid", home)

                await till.act(path, "next")
                await till.act(path, "add", article="kofe-01")
                await till.act(path, "place")
                await press(tab, "#till input[value=koshelek_pay] + button", home)
                await tab.until("!!document.querySelector('.asked .big')", frame=home)
                await fits(tab, "device", home)
                await press(tab, ".asked .big", home)
                await says(tab, "till", "Оплачено", home)

                await till.act(path, "next")
                await till.act(path, "add", article="zer-03")
                await till.act(path, "place")
                await press(tab, "#till input[value=dolyame] + button", home)
                await tab.until("!!document.querySelector('.asked a[href*=plans]')", frame=home)
                await fits(tab, "plan", home)
                [plan] = (await till.shop.cards.read(f"{PLANS}?status=new"))["items"]
                body = {"buyer": {**BUYER, "phone": "+79165550123"}, "card_token": till.shop.token}
                await till.shop.cards.made(f"{PLANS}/{plan['id']}/acceptance", body, 200)
                await says(tab, "till", "Оплачено", home)
                assert not [said for said in tab.said if said.startswith(("error", "exception"))], tab.said
