"""Pictures of a QR code, links into banks' applications, and the list of banks, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from api.callers import create_key
from ledger.database import Engine, transaction
from sbp_gateway.bank_list import bundled_banks, import_banks
from sbp_gateway.payload import build_dynamic, build_static
from sbp_gateway.qr_images import QrSize, qr_png, qr_svg
from tests.api import test_cash_link_constraints as paper
from tests.api.conftest import Client
from tests.api.test_rail_constraints import MERCHANT, QR, ROWS, insert
from tests.conftest import Database

NOW = datetime.now(UTC)
QRC_ID = "AD10000000000000000000000000TEST"
PAYLOAD = build_dynamic(QRC_ID, "100000000999", ROWS["qr_codes"]["amount_kopecks"])
PLATE = build_static("AS1R000000000000000000000000TEST", "100000000999")
IMAGE, LINKS = f"/v1/sbp/qr-codes/{QR}/image", f"/v1/sbp/qr-codes/{QR}/deeplinks"
BANKS = "/v1/sbp/banks"


def shown_code() -> dict[str, Any]:
    """For a quarter of an hour from the test's own start: a run may take longer."""
    now = datetime.now(UTC)
    return {
        "qrc_id": QRC_ID, "payload": PAYLOAD, "status": "registered", "requested_at": now,
        "expires_at": now + timedelta(minutes=15), "next_poll_at": now,
    }  # fmt: skip


@pytest_asyncio.fixture
async def shown(client: Client, engine: Engine, database: Database) -> AsyncIterator[psycopg.Connection[Any]]:
    """A registered code of a merchant, the list of banks, and a way to change the code."""
    async with transaction(engine) as session:
        await import_banks(session, bundled_banks(), now=NOW)
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        for table in ("merchants", "stores", "terminals", "orders", "attempts", "sbp_merchants", "qr_codes"):
            insert(connection, table, ROWS[table] | (shown_code() if table == "qr_codes" else {}))
        yield connection


async def test_a_code_is_drawn_in_both_formats(client: Client, shown: Any) -> None:
    svg = await client.get(IMAGE)
    png = await client.get(f"{IMAGE}?format=png&size=slip_80")

    assert (svg.status_code, svg.content) == (200, qr_svg(PAYLOAD))
    assert svg.headers["content-type"].startswith("image/svg+xml")
    assert (png.headers["content-type"], png.content[:4]) == ("image/png", b"\x89PNG")
    assert png.content != qr_png(PAYLOAD)
    private, fresh, _ = svg.headers["cache-control"].split(", ")
    assert private == "private"
    assert 0 < int(fresh.removeprefix("max-age=")) <= 900


async def test_a_plate_and_a_sticker_are_drawn_for_print(client: Client, shown: Any) -> None:
    plate = paper.ROWS["cash_links"] | {"payload": PLATE}
    insert(shown, "cash_links", plate)
    insert(shown, "cash_links", plate | {"id": "csh_" + "9" * 26, "qrc_id": "D" * 32} | paper.REQUESTED_LINK)
    insert(shown, "sbp_stickers", paper.ROWS["sbp_stickers"] | {"payload": PLATE})

    for path in (f"cash-links/{plate['id']}", f"stickers/{paper.ROWS['sbp_stickers']['id']}"):
        answer = await client.get(f"/v1/sbp/{path}/image")
        assert (answer.status_code, answer.content) == (200, qr_svg(PLATE, QrSize.STICKER))
    waiting = await client.get(f"/v1/sbp/cash-links/csh_{'9' * 26}/image")
    assert (waiting.status_code, waiting.json()["code"]) == (409, "sbp_gateway.qr_code_not_ready")
    assert (await client.get("/v1/sbp/stickers/stk_1/image")).status_code == 404


async def test_a_code_is_read(client: Client, shown: Any) -> None:
    qr = (await client.get(f"/v1/sbp/qr-codes/{QR}")).json()

    assert (qr["id"], qr["payload"], qr["status"], qr["amount_kopecks"]) == (QR, PAYLOAD, "registered", 100)


@pytest.mark.parametrize("query", ["format=gif", "size=poster"])
async def test_an_unknown_format_or_size_is_refused(client: Client, shown: Any, query: str) -> None:
    assert (await client.get(f"{IMAGE}?{query}")).json()["code"] == "api.request_invalid"


OVER = [
    pytest.param("status = 'paid', next_poll_at = NULL", "sbp_gateway.qr_code_over", id="paid"),
    pytest.param("status = 'expired', next_poll_at = NULL", "sbp_gateway.qr_code_over", id="expired"),
    pytest.param("expires_at = now() - interval '1 s', requested_at = now() - interval '1 h'",
                 "sbp_gateway.qr_code_over", id="out of time, not yet asked about"),
    pytest.param("status = 'requested', qrc_id = NULL, payload = NULL",
                 "sbp_gateway.qr_code_not_ready", id="asked for"),
    pytest.param("status = 'refused', qrc_id = NULL, payload = NULL, next_poll_at = NULL",
                 "sbp_gateway.qr_code_over", id="refused"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code"), OVER)
async def test_a_code_that_cannot_be_paid_is_not_shown(client: Client, shown: Any, change: str, code: str) -> None:
    shown.execute(f"UPDATE qr_codes SET {change}")

    for path in (IMAGE, LINKS):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (409, code)
        assert "QR" in answer.json()["cashier_tip"]


async def test_the_code_of_a_canceled_order_is_shown_to_nobody_and_stays_watched(client: Client, shown: Any) -> None:
    assert (await client.get(IMAGE)).status_code == 200

    canceled = await client.post(f"/v1/orders/{ROWS['orders']['id']}/cancel", {})

    assert (canceled.json()["status"], canceled.json()["attempts"][0]["status"]) == ("canceled", "expired")
    for path in (IMAGE, LINKS):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (409, "sbp_gateway.qr_code_over")
    row = shown.execute("SELECT status, next_poll_at IS NOT NULL FROM qr_codes").fetchone()
    assert row == ("registered", True)


async def test_another_merchants_code_is_not_there(client: Client, shown: Any, engine: Engine) -> None:
    async with transaction(engine) as session:
        _, secret = await create_key(
            session, name="x", scopes=["orders:read"], mode="test", now=NOW, merchant_id=MERCHANT[:-1] + "2"
        )
    client.api_key = secret.expose()

    for path in (IMAGE, LINKS, f"/v1/sbp/qr-codes/{QR}", "/v1/sbp/qr-codes/nonsense"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "sbp_gateway.qr_code_not_found")


async def test_links_lead_into_every_bank_and_the_plain_one_is_beside_them(client: Client, shown: Any) -> None:
    links = (await client.get(LINKS)).json()

    assert links["payload"] == PAYLOAD
    assert [item["name"] for item in links["items"][:2]] == ["Сбербанк", "Т-Банк"]
    assert (len(links["items"]), links["has_more"]) == (192, False)
    assert links["items"][0]["app_link"] == PAYLOAD.replace("https://", "bank100000000111://")
    assert links["items"][0]["web_link"] is None
    assert links["items"][1]["web_link"].startswith(f"https://www.tinkoff.ru/mybank/payments/qr-pay/{QRC_ID}?type=02")


async def test_links_are_searched_paged_and_begin_with_chosen_banks(client: Client, shown: Any) -> None:
    (vtb,) = (await client.get(LINKS, params={"search": "втб"})).json()["items"]
    chosen = (await client.get(LINKS, params={"first": ["110000000005", "100000000004"], "limit": 3})).json()
    rest = (await client.get(LINKS, params={"first": ["110000000005", "100000000004"], "after": chosen["next"]})).json()

    assert vtb["app_link"].startswith("bank110000000005://qr.nspk.ru/")
    assert [item["name"] for item in chosen["items"]] == ["Банк ВТБ", "Т-Банк", "Сбербанк"]
    assert (chosen["has_more"], len(rest["items"]), rest["items"][0]["name"]) == (True, 189, "АЛЬФА-БАНК")


async def test_an_unknown_bank_is_refused_by_code(client: Client, shown: Any) -> None:
    for path in (f"{LINKS}?first=100000000000", f"{BANKS}/100000000000"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "sbp_gateway.bank_not_found")
    too_many = await client.get(LINKS, params={"first": ["100000000111"] * 4})
    assert too_many.json()["code"] == "api.request_invalid"


async def test_banks_are_listed_in_order_found_and_read(client: Client, shown: Any) -> None:
    names: list[str] = []
    page: dict[str, Any] = {"next": None, "has_more": True}
    while page["has_more"]:
        page = (
            await client.get(BANKS, params={"limit": 100} | ({"after": page["next"]} if page["next"] else {}))
        ).json()
        names += [bank["name"] for bank in page["items"]]

    assert names == [bank.name for bank in bundled_banks()]
    (found,) = (await client.get(BANKS, params={"search": "СБЕР"})).json()["items"]
    assert found == (await client.get(f"{BANKS}/100000000111")).json()


async def test_a_gone_banks_cursor_ends_the_list(client: Client, shown: Any, engine: Engine) -> None:
    page = (await client.get(BANKS, params={"limit": 1})).json()
    async with transaction(engine) as session:
        await import_banks(session, bundled_banks()[1:], now=NOW)

    assert (await client.get(BANKS, params={"after": page["next"]})).json()["items"] == []
