"""A buyer types a card into the form in a shop's page, in a real browser, with a real vault behind it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.api.vault_process import VaultProcess, vault_process
from tests.browser import BrowserTab, browser_tab, program
from tests.tokenization.entry_world import MERCHANT, MIR

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(program() is None, reason="no chromium is installed (Debian: apt install chromium)"),
]

SHOP_PAGE = """<!doctype html><meta charset="utf-8"><title>Магазин</title>
<script>window.heard = []; addEventListener("message", (e) => heard.push([e.origin, e.data]));</script>
<iframe id="form" src="{src}" height="560" style="border:0; width:100%; max-width:440px"></iframe>"""


@asynccontextmanager
async def shop(pages: dict[str, str]) -> AsyncIterator[str]:
    """A shop's own site."""

    async def show(request: web.Request) -> web.Response:
        return web.Response(text=pages.get(request.path, ""), content_type="text/html")

    app = web.Application()
    app.router.add_get("/{name:.*}", show)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def open_form(vault: VaultProcess, origin: str) -> dict[str, Any]:
    with vault.client() as service:
        wanted = {"merchant_id": MERCHANT, "origin": origin}
        answered = service.post("/card-sessions", json=wanted, headers={"idempotency-key": "order-1"})
    assert answered.status_code == 201, answered.text
    return dict(answered.json())


def shown(name: str) -> str:
    return f"document.getElementById('{name}').textContent"


async def picture(tab: BrowserTab, name: str, width: int = 460) -> None:
    """Pictures for people, where somebody asked for them."""
    if folder := os.environ.get("KOPEYKA_TEST_PICTURES"):
        await tab.picture(Path(folder) / f"{name}.png", width=width, height=600)


async def test_a_buyer_types_a_card_and_the_shop_hears_of_a_token_only(vault_database: Any, tmp_path: Path) -> None:
    pages: dict[str, str] = {}
    with vault_process(vault_database.vault_url, tmp_path) as vault:
        vault.until_alive()
        async with shop(pages) as origin:
            form = open_form(vault, origin)
            pages["/"] = SHOP_PAGE.format(src=form["form_url"])
            async with browser_tab(origin + "/") as tab:
                frame = form["id"]
                await tab.until("document.readyState === 'complete' && window.parent !== window", frame=frame)
                await tab.until("heard.some(([, said]) => said.type === 'form.ready')", frame=origin)
                await picture(tab, "card_form_empty")

                await tab.run("document.getElementById('submit').click()", frame=frame)
                assert await tab.run(shown("pan-hint"), frame=frame) == "Введите номер карты."
                await tab.type_into("pan", MIR[:-1] + "2", frame=frame)
                await tab.type_into("expires", "1220", frame=frame)
                await tab.type_into("cvc", "7", frame=frame)
                await tab.press("Enter")
                assert await tab.run(shown("pan-hint"), frame=frame) == "Проверьте номер карты: в нём ошибка."
                assert await tab.run(shown("expires-hint"), frame=frame) == "Срок действия истёк."
                assert await tab.run(shown("cvc-hint"), frame=frame) == "Три цифры на обороте."
                assert await tab.run("document.activeElement.id", frame=frame) == "pan"
                await picture(tab, "card_form_wrong")
                await picture(tab, "card_form_narrow", width=300)

                for name in ("pan", "expires", "cvc"):
                    await tab.run(f"document.getElementById('{name}').value = ''", frame=frame)
                await tab.type_into("pan", MIR, frame=frame)
                await tab.type_into("expires", "129", frame=frame)
                await tab.press("Backspace")
                await tab.type_into("expires", "29", frame=frame)
                await tab.type_into("cvc", "731", frame=frame)
                assert await tab.run("document.getElementById('pan').value", frame=frame) == "2200 1117 5357 9001"
                assert await tab.run(shown("scheme"), frame=frame) == "Мир"
                assert await tab.run("document.getElementById('expires').value", frame=frame) == "12/29"
                await picture(tab, "card_form_filled")
                await tab.press("Enter")

                entered = "heard.find(([, said]) => said.type === 'card.entered')"
                sender, said = await tab.until(entered, frame=origin)
                await tab.until("document.body.dataset.state === 'done'", frame=frame)
                await picture(tab, "card_form_done")

                assert sender == vault.origin
                assert (said["session_id"], said["mask"], said["scheme"]) == (form["id"], "220011******9001", "mir")
                assert said["token"].startswith("tok_")
                assert MIR not in str(await tab.run("JSON.stringify(heard)", frame=origin))
                assert await tab.run("document.getElementById('pan').value", frame=frame) == ""
                assert tab.said == []
                posted = [asked for asked in tab.requested if asked.startswith("POST")]
                assert posted == [f"POST {form['form_url']}/card"]
                assert {asked.split()[1].split("/")[2] for asked in tab.requested} == {
                    origin.split("/")[2], vault.origin.split("/")[2],
                }  # fmt: skip


async def test_another_page_cannot_show_the_form_nor_hear_of_the_token(vault_database: Any, tmp_path: Path) -> None:
    pages: dict[str, str] = {}
    with vault_process(vault_database.vault_url, tmp_path) as vault:
        vault.until_alive()
        async with shop(pages) as origin, shop(pages) as thief:
            form = open_form(vault, origin)
            pages["/"] = SHOP_PAGE.format(src=form["form_url"])
            async with browser_tab(thief + "/") as tab:
                await tab.until("document.readyState === 'complete'", frame=thief)
                while not tab.said:
                    await tab.run("new Promise((done) => setTimeout(done, 100))", frame=thief)

                assert "frame-ancestors" in tab.said[0]
                assert await tab.run("heard.length", frame=thief) == 0
                assert not [url for url in await tab.frames() if form["id"] in url]
