"""A buyer follows a plan's link in a real browser: our pages, the vault's form inside them, an acquirer behind it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from api.serve import listening_socket
from ledger.database import Engine
from tests.api.conftest import Client
from tests.api.plan_shop import PLANS, plan_shop
from tests.browser import BrowserTab, browser_tab, program
from tests.tokenization.charges.charge_world import PAN
from tests.vault_calls import service_client
from tokenization.app import public_app
from tokenization.settings import VaultSettings

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(program() is None, reason="no chromium is installed (Debian: apt install chromium)"),
]

PHONE = "+79165550123"
OTHER_PAN = "4242424242424242"
EXPECTED = ("error: Failed to load", "info: Autofocus processing was blocked")
"""What a browser says of refusals that the test provokes, and of a field that the buyer was quicker to reach."""
TYPED = {
    "phone": "9165550123", "last_name": "Иванова", "first_name": "Мария", "middle_name": "Сергеевна",
    "born_on": "17.05.1990",
}  # fmt: skip


@asynccontextmanager
async def served(app: Any, listener: Any) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, ws="none", log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


async def picture(tab: BrowserTab, name: str) -> None:
    """Pictures for people, where somebody asked for them: of a phone and of a desk."""
    if folder := os.environ.get("KOPEYKA_TEST_PICTURES"):
        for width, height in ((390, 844), (1280, 860)):
            await tab.call(
                "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
            )
            await asyncio.sleep(0.3)
            size = (await tab.call("Page.getLayoutMetrics"))["cssContentSize"]
            assert size["width"] <= width, f"{name} is wider than {width}"
            await tab.picture(
                Path(folder) / f"plan_{name}_{width}.png", width=width, height=max(height, size["height"])
            )


async def heading(tab: BrowserTab, words: str, frame: str) -> None:
    there = f"document.querySelector('h1')?.textContent.includes({words!r})"
    await tab.until(f"document.readyState === 'complete' && {there}", frame=frame)


async def press(tab: BrowserTab, selector: str, frame: str) -> None:
    await tab.until(f"document.readyState === 'complete' && !!document.querySelector({selector!r})", frame=frame)
    await tab.run(f"document.querySelector({selector!r}).click()", frame=frame)


async def type_card(tab: BrowserTab, number: str) -> None:
    """In the vault's frame."""
    await tab.until("document.readyState === 'complete' && !!document.getElementById('pan')", frame="/card-forms/")
    for name, text in (("pan", number), ("expires", "1228"), ("cvc", "123")):
        await tab.type_into(name, text, frame="/card-forms/")


async def agree(tab: BrowserTab, home: str) -> None:
    """Details, first wrong, and the terms."""
    await heading(tab, "Кто оформляет", home)
    await picture(tab, "details")
    await press(tab, "button.submit", home)
    wrong = "document.readyState === 'complete' && document.querySelectorAll('[aria-invalid]').length >= 4"
    await tab.until(wrong, frame=home)
    await picture(tab, "details_wrong")
    for name, text in TYPED.items():
        await tab.run(f"document.getElementById({name!r}).value = ''", frame=home)
        await tab.type_into(name, text, frame=home)
    await press(tab, "[name=personal_data]", home)
    await press(tab, "button.submit", home)

    await heading(tab, "Условия", home)
    await tab.until("document.readyState === 'complete'", frame=home)
    await picture(tab, "terms")
    for name in ("agreement", "card"):
        await press(tab, f"[name={name}]", home)
    await press(tab, "button.submit", home)


async def test_a_buyer_accepts_a_plan_in_a_browser(client: Client, engine: Engine, vault_engine: Engine) -> None:
    async with plan_shop(client, engine, vault_engine) as shop:
        with listening_socket("127.0.0.1", 0) as ours, listening_socket("127.0.0.1", 0) as vaults:
            home, safe = (f"http://127.0.0.1:{one.getsockname()[1]}" for one in (ours, vaults))
            door = shop.api.app.state.door
            door.settings = door.settings.model_copy(update={"public_url": home})
            vault = replace(shop.charges.desk.vault, settings=VaultSettings(public_url=safe))
            shop.cards.vault.http = service_client(vault)
            async with served(shop.api.app, ours), served(public_app(vault), vaults):
                plan = await shop.plan()
                async with browser_tab(plan["link"]) as tab:
                    await agree(tab, home)

                    await heading(tab, "Код из сообщения", home)
                    await picture(tab, "code")
                    await tab.type_into("code", "000000", frame=home)
                    await tab.press("Enter")
                    await tab.until("document.body.textContent.includes('Осталось попыток: 4')", frame=home)
                    await tab.reload(home)
                    await heading(tab, "Код из сообщения", home)
                    await tab.type_into("code", await shop.code_on(PHONE), frame=home)
                    await tab.press("Enter")

                    await heading(tab, "Первый платёж", home)
                    await type_card(tab, PAN)
                    await picture(tab, "card")
                    shop.charges.acquirer.host.scripts.set({"declines": {PAN[-4:]: "51"}})
                    await press(tab, "#submit", "/card-forms/")
                    await heading(tab, "Карта не подошла", home)
                    await picture(tab, "card_refused")
                    shop.charges.acquirer.host.scripts.set({"declines": {}})
                    await press(tab, "button.submit", home)
                    await heading(tab, "Первый платёж", home)
                    await type_card(tab, PAN)
                    await press(tab, "#submit", "/card-forms/")

                    await heading(tab, "Готово", home)
                    await picture(tab, "done")
                    held = await shop.cards.read(f"{PLANS}/{plan['id']}")
                    assert (held["status"], held["schedule"][0]["status"]) == ("wait_for_commit", "held")

                    await shop.cards.made(f"{PLANS}/{plan['id']}/commit", {}, 200)
                    await tab.call("Page.navigate", url=plan["link"] + "?view=plan")
                    await heading(tab, "Всё по графику", home)
                    await picture(tab, "plan")
                    await press(tab, "form[action$='/new-card'] button", home)
                    await heading(tab, "Другая карта", home)
                    await type_card(tab, OTHER_PAN)
                    await picture(tab, "new_card")
                    await press(tab, "#submit", "/card-forms/")
                    await heading(tab, "Карта заменена", home)
                    await picture(tab, "new_card_done")
                    await tab.call("Page.navigate", url=plan["link"] + "?view=plan")
                    await heading(tab, "Всё по графику", home)
                    await press(tab, ".pays form:nth-child(2) button", home)
                    await heading(tab, "Платёж принят", home)
                    await tab.call("Page.navigate", url=plan["link"] + "?lang=en&view=plan")
                    await heading(tab, "All paid", home)
                    await picture(tab, "repaid")

                    assert [said for said in tab.said if not said.startswith(EXPECTED)] == []
                    asked = {address.split()[1].partition("?")[0] for address in tab.requested}
                    origins = {"/".join(address.split("/")[:3]) for address in asked if address.startswith("http")}
                    assert origins == {home, safe}
                    assert not [address for address in asked if "5550123" in address or PAN in address]
