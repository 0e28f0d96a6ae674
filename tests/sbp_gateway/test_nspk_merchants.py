"""NSPK's directory of merchants: what it answers, what no answer is, and the bank behind the simulator's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from api.simulators import create_simulators
from sbp_gateway.errors import NspkRefused, NspkUnknown
from sbp_gateway.nspk_merchants import FoundMerchant, NspkMerchantsHttp
from sbp_gateway.nspk_transport import NspkTransport

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
SHOP = {
    "ogrn": "1027700132195", "bic": "044525225", "brand_name": "Пятница", "mcc": "5411", "legal_name": "ООО «Пятница»",
    "address": "Москва", "merchant_id": "MA0000000552", "member_id": "100000000007",
}  # fmt: skip


@asynccontextmanager
async def directory(answer: Answer) -> AsyncIterator[NspkMerchantsHttp]:
    """The port before a real server that answers so."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        transport = NspkTransport(str(server.make_url("/")))
        yield NspkMerchantsHttp(transport)
        await transport.close()


def says(body: Any, status: int = 200) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    return answer


@asynccontextmanager
async def simulator(state: Path | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """The simulators over HTTP."""
    app = create_simulators(state=state)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://nspk.test") as http,
    ):
        yield http


async def test_merchants_of_a_legal_entity_are_found_with_their_bank() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert dict(request.query) == {"ogrn": "1027700132195", "bic": "044525225"}
        merchant = {"merchantId": "MA0000000552", "brandName": "Пятница", "mcc": "5411"}
        members = [{"memberId": "100000000007", "memberName": "b", "merchants": [merchant]}]
        return web.json_response({"code": "RQ00000", "message": "", "data": {"legalName": "l", "members": members}})

    async with directory(answer) as merchants:
        found = await merchants.search(ogrn="1027700132195", bik="044525225")
    assert found == [FoundMerchant("MA0000000552", "100000000007", "Пятница", "5411")]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param({"code": "RQ05001", "message": "no", "data": None}, NspkRefused, id="refused"),
        pytest.param({"code": "RQ00000", "data": {}}, NspkUnknown, id="no members"),
        pytest.param(
            {"code": "RQ00000", "data": {"members": [{"merchants": []}, {}]}}, NspkUnknown, id="half a member"
        ),
        pytest.param({"code": "RQ00000", "data": {"members": 1}}, NspkUnknown, id="nonsense"),
        pytest.param({"code": "RQ07999", "message": "technical"}, NspkUnknown, id="technical error"),
    ],
)
async def test_what_is_no_answer_is_an_error(body: Any, error: type[Exception]) -> None:
    async with directory(says(body, 400 if error is NspkRefused else 200)) as merchants:
        with pytest.raises(error):
            await merchants.search(ogrn="1", bik="2")


async def test_the_simulated_bank_registers_a_merchant_and_remembers_it(tmp_path: Path) -> None:
    search = f"/merchant/v1/merchant/search?ogrn={SHOP['ogrn']}&bic={SHOP['bic']}"
    async with simulator(tmp_path / "state") as http:
        assert (await http.get(search)).json()["data"]["members"] == []
        made = await http.post("/simulator/merchants", json=SHOP)
        assert (made.status_code, made.json()["merchant_id"]) == (201, "MA0000000552")
        assert (await http.post("/simulator/merchants", json=SHOP)).status_code == 409
        assert (await http.post("/simulator/merchants", json={"ogrn": "1"})).status_code == 422
        later = {name: value for name, value in SHOP.items() if name not in ("merchant_id", "member_id")}
        await http.post("/simulator/merchants", json=later | {"delay_seconds": 3_600})
        assert (await http.get("/merchant/v1/merchant/search?ogrn=1")).json()["code"] == "RQ05001"
    async with simulator(tmp_path / "state") as http:
        (member,) = (await http.get(search)).json()["data"]["members"]
        assert [each["merchantId"] for each in member["merchants"]] == ["MA0000000552"]
        shown = (await http.get("/merchant/v1/merchant/info/MA0000000552")).json()
        assert (shown["code"], shown["data"]["mcc"]) == ("RQ00000", "5411")
        assert (await http.get("/merchant/v1/merchant/info/MS0000000002")).json()["code"] == "RQ05000"
