"""The sandbox's till and phone without a browser: what each panel answers, and whom the pages are not for."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from api.app import create_app
from api.sandbox import take_in_operator
from api.settings import Mode, Settings
from api.till_pages.asking import OwnKey
from api.till_pages.goods import SHELF, basket_of
from api.till_pages.texts import TEXTS
from checkout.barcode import number_of
from ledger.database import Engine

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest_asyncio.fixture
async def browser(database: Any) -> AsyncIterator[httpx.AsyncClient]:
    await take_in_operator(database.app_url)
    app = create_app(Settings(database_url=SecretStr(database.app_url), log_level="error"))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://kopeyka.test") as http,
    ):
        yield http


async def opened(http: httpx.AsyncClient) -> str:
    answered = await http.post("/till", headers=FORM)
    assert answered.status_code == 303, answered.text
    return answered.headers["location"].partition("?")[0]


async def act(http: httpx.AsyncClient, path: str, deed: str, **form: str) -> str:
    answered = await http.post(f"{path}/{deed}", data=form or {"of": "nothing"}, headers={"hx-request": "true"})
    assert answered.status_code == 200, answered.text
    return answered.text


def notice(panel: str) -> str | None:
    found = re.search(r'class="notice".*?<code>(.*?)</code>', panel, re.DOTALL)
    return None if found is None else found[1]


async def test_a_sale_is_placed_paid_by_installments_and_let_go(browser: httpx.AsyncClient) -> None:
    path = await opened(browser)
    await act(browser, path, "add", article="kofe-01")
    await act(browser, path, "add", article="kruzh-06")
    await act(browser, path, "take", article="kofe-01")
    barcode = re.search(r'name="barcode" value="([^"]+)"', (await browser.get(f"{path}/phone")).text)
    assert barcode is not None
    assert "Можно платить сразу" in await act(browser, path, "present", barcode=barcode[1])
    assert "Чем платят" in await act(browser, path, "place", promo_code="KOFE-10", points="50")
    asked = await act(browser, path, "pay", rail="dolyame")
    assert 'class="qr"' in asked
    phone = (await browser.get(f"{path}/phone")).text
    assert re.search(r'href="[^"]*/plans/[^"]+"', phone), phone
    diagram = (await browser.get(f"{path}/diagram")).text
    assert "POST /v1/orders/ord_…" in diagram

    assert "Чек отменён" in await act(browser, path, "cancel")
    assert "<strong>300</strong>" in (await browser.get(f"{path}/phone")).text  # the points are back
    assert "Выберите товары" in await act(browser, path, "next")


async def test_what_is_refused_is_told_to_the_cashier(browser: httpx.AsyncClient) -> None:
    path = await opened(browser)
    assert notice(await act(browser, path, "present", barcode="4006381333931")) == "checkout.barcode_unreadable"
    assert notice(await act(browser, path, "present", barcode=number_of("000000000"))) == (
        "checkout.loyalty_card_not_found"
    )
    await act(browser, path, "add", article="kofe-01")
    assert notice(await act(browser, path, "place", promo_code="НЕТ-ТАКОГО")) is not None
    assert "409" not in (await browser.get(f"{path}/diagram")).text.partition("presentments")[0]


async def test_a_panel_that_shows_what_is_true_is_not_sent_again(browser: httpx.AsyncClient) -> None:
    path = await opened(browser)
    for panel in ("till", "phone", "diagram"):
        first = await browser.get(f"{path}/{panel}")
        seen = re.search(r"seen=([\d.]+)", first.text)
        assert seen is not None
        assert (await browser.get(f"{path}/{panel}?seen={seen[1]}")).status_code == 204
        assert (await browser.get(f"{path}/{panel}?seen=0")).status_code in (200, 204)


@pytest.mark.parametrize("view", ["all", "till", "phone", "moon"])
async def test_pages_run_our_scripts_alone(browser: httpx.AsyncClient, view: str) -> None:
    path = await opened(browser)
    page = await browser.get(f"{path}?view={view}&lang=en")

    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert set(re.findall(r'<script src="([^"]+)"', page.text)) == {
        "/till/assets/htmx.min.js", "/till/assets/till_pages.js",
    }  # fmt: skip
    assert "style=" not in page.text
    assert ('id="till"' in page.text) == (view != "phone")
    assert ('id="phone"' in page.text) == (view != "till")
    for name in ("htmx.min.js", "till_pages.js", "till_pages.css", "htmx-LICENSE.txt"):
        assert (await browser.get(f"/till/assets/{name}")).status_code == 200


async def test_nobody_else_comes_in(browser: httpx.AsyncClient) -> None:
    path = await opened(browser)
    foreign = {**FORM, "origin": "https://elsewhere.example"}

    assert (await browser.post(f"{path}/add", content=b"article=kofe-01", headers=foreign)).status_code == 415
    assert (await browser.post("/till", headers=foreign)).status_code == 415
    assert (await browser.post(f"{path}/steal", headers=FORM)).status_code == 404
    assert (await browser.get(f"{path}/moon")).status_code == 404
    assert (await browser.get("/till/assets/moon.js")).status_code == 404
    gone = await browser.get(f"/till/{'a' * 34}")
    assert (gone.status_code, "Такой кассы нет" in gone.text) == (404, True)
    assert (await browser.get("/till/%00")).status_code == 404
    assert (await browser.post(f"{path}/add", content=b"article=kofe-01", headers=FORM)).status_code == 303


async def test_the_points_and_codes_of_a_form_may_be_anything(browser: httpx.AsyncClient) -> None:
    path = await opened(browser)
    await act(browser, path, "add", article="kofe-01")
    for points in ("-1", "٣", "9" * 5_000, "1e9", "x"):
        await act(browser, path, "next")
        await act(browser, path, "add", article="kofe-01")
        panel = await act(browser, path, "place", points=points, promo_code="")
        assert "Чем платят" in panel, points
        await act(browser, path, "cancel")


async def test_there_is_no_such_page_where_money_is_real(browser: httpx.AsyncClient) -> None:
    door = browser._transport.app.state.door  # type: ignore[attr-defined]
    path = await opened(browser)
    door.settings = door.settings.model_copy(update={"mode": Mode.PRODUCTION})

    assert (await browser.get("/till")).status_code == 404
    assert (await browser.post("/till", headers=FORM)).status_code == 404
    assert (await browser.get(path)).status_code == 404


async def test_the_pages_key_is_made_anew_before_it_ends(browser: httpx.AsyncClient, engine: Engine) -> None:
    door = browser._transport.app.state.door  # type: ignore[attr-defined]
    key = OwnKey()
    first = await key.read(door)

    assert await key.read(door) is first
    key.ends_at = door.clock.now()
    assert (await key.read(door)).expose() != first.expose()


def test_every_text_is_in_both_languages_and_weights_are_grams() -> None:
    assert [name for name, (russian, english) in TEXTS.items() if not russian or not english] == []
    basket = basket_of({"zer-03": 3, "kofe-01": 2})
    assert [(line.article, line.quantity, int(line.amount)) for line in basket.lines] == [
        ("kofe-01", 2, 50_000), ("zer-03", 750, 141_750),
    ]  # fmt: skip
    assert len(SHELF) == 6
