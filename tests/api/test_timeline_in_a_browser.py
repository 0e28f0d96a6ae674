"""Support reads a timeline in a real browser, at the widths of a phone and of a desk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from api.rate_limit import Buckets
from api.routes import timeline_page
from api.serve import listening_socket
from ledger.clock import machine_now
from ledger.database import Engine
from tests.api.card_world import card_shop
from tests.api.conftest import Client
from tests.api.test_timeline import sale_with_a_code
from tests.browser import BrowserTab, browser_tab, program
from tests.tokenization.charges.charge_world import charge_world

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(program() is None, reason="no chromium is installed (Debian: apt install chromium)"),
]


@asynccontextmanager
async def served(app: Any, listener: Any) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, ws="none", log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


async def fits(tab: BrowserTab, name: str) -> None:
    """Nothing is wider than the window; pictures for people, where somebody asked for them."""
    for width, height in ((390, 844), (1280, 860)):
        await tab.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        size = (await tab.call("Page.getLayoutMetrics"))["cssContentSize"]
        assert size["width"] <= width, f"{name} is wider than {width}"
        if folder := os.environ.get("KOPEYKA_TEST_PICTURES"):
            await asyncio.sleep(0.3)
            path = Path(folder) / f"timeline_{name}_{width}.png"
            await tab.picture(path, width=width, height=max(height, min(size["height"], 2_400)))


async def test_support_types_a_key_and_reads_a_sale(
    client: Client, engine: Engine, vault_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline_page, "visits", Buckets(timeline_page.READS_PER_SECOND))
    async with charge_world(vault_engine, machine_now()) as charges:
        shop = await card_shop(client, engine, charges)
        order_id, _, _ = await sale_with_a_code(shop)
        await shop.made("/v1/item-refunds", {"order_id": order_id, "reason": "не подошло"})
    listener = listening_socket("127.0.0.1", 0)
    home = f"http://127.0.0.1:{listener.getsockname()[1]}"

    async with served(client.app, listener), browser_tab(f"{home}/timeline") as tab:
        await tab.until("document.readyState === 'complete' && !!document.querySelector('[name=api_key]')", frame=home)
        await fits(tab, "form")
        for name, text in (("api_key", client.api_key), ("object_id", order_id)):
            await tab.run(f"document.querySelector('[name={name}]').value = {text!r}", frame=home)
        await tab.run("document.querySelector('form.ask button').click()", frame=home)
        await tab.until(f"document.querySelector('.story h1')?.textContent === {order_id!r}", frame=home)
        await fits(tab, "story")
        await tab.run("document.querySelector('.kinds a.is-entry').click()", frame=home)
        await tab.until("document.querySelectorAll('.posting').length >= 2", frame=home)
        await tab.until("!document.querySelector('li.is-request')", frame=home)
        shown = await tab.run("document.body.innerText", frame=home)

    assert "Дт asset:card_settlement:" in shown
    assert client.api_key not in shown
    assert [line for line in tab.said if line.startswith(("error", "exception"))] == []
