"""The gateway that takes codes: a server on a real port that takes, refuses, or is not there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from pci.secret import Secret
from tokenization.koshelek_pay.codes import SmsUnavailable
from tokenization.koshelek_pay.sms import SmsGateway

PHONE, TEXT = Secret("+79161234567"), Secret("Код 000042")


@asynccontextmanager
async def gateway(status: int, taken: list[dict[str, str]]) -> AsyncIterator[str]:
    async def take(request: web.Request) -> web.Response:
        taken.append(await request.json())
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/send", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/send"
    finally:
        await runner.cleanup()


async def test_a_text_is_handed_over() -> None:
    taken: list[dict[str, str]] = []
    async with gateway(202, taken) as url:
        await SmsGateway(url).send(PHONE, TEXT)

    assert taken == [{"to": "+79161234567", "text": "Код 000042"}]


async def test_a_gateway_that_refuses_or_is_away_is_unavailable() -> None:
    async with gateway(500, []) as url:
        with pytest.raises(SmsUnavailable):
            await SmsGateway(url).send(PHONE, TEXT)
    with pytest.raises(SmsUnavailable) as refused:
        await SmsGateway(url).send(PHONE, TEXT)

    assert "000042" not in f"{refused.value} {refused.value.facts} {refused.value.__cause__}"
