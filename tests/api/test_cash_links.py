"""Plates, stickers and unmatched money at the door: what is refused, with which code, and that nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from api import unmatched_money
from api.callers import create_key
from checkout.bank_details import BankAccount, account_with_key
from ledger.database import Engine, Session, in_transaction, transaction
from ledger.money import Kopecks
from ledger.proofs import broken_proofs
from sbp_gateway import refund_rows, refunding, unmatched_repository
from sbp_gateway.errors import UnmatchedPaymentMatched, UnmatchedPaymentReturned
from sbp_gateway.nspk_cash_links import NspkCashLinksHttp
from sbp_gateway.nspk_transport import NspkTransport
from sbp_gateway.stickers import Sticker
from sbp_gateway.unmatched_payments import ALLOWED, UnmatchedPayment, UnmatchedStatus
from tests.api.conftest import Client

ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
QRC_ID = "AS1R000000000000000000000000TEST"


@pytest_asyncio.fixture
async def out_of_reach(client: Client) -> AsyncIterator[Client]:
    """The same caller while nobody listens where NSPK should be."""
    transport = NspkTransport("http://127.0.0.1:9")
    door = client.app.state.door
    sales = replace(door.wiring.sales, nspk=NspkCashLinksHttp(transport, "A00000000001"))
    client.app.state.door = replace(door, wiring=replace(door.wiring, sales=sales))
    yield client
    await transport.close()


async def made(client: Client, path: str, body: Any) -> dict[str, Any]:
    answer = await client.post(path, body)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


async def terminal(client: Client, **merchant: Any) -> dict[str, Any]:
    body = {
        "name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893", "tariff_group": "everyday",
        "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number}, **merchant,
    }  # fmt: skip
    shop = await made(client, "/v1/merchants", body)
    store = await made(client, "/v1/stores", {"merchant_id": shop["id"], "name": "С", "address": "Москва"})
    return await made(client, "/v1/terminals", {"store_id": store["id"], "name": "Касса"})


async def order(client: Client, till: dict[str, Any], number: str, amount_kopecks: int) -> str:
    body = {"terminal_id": till["id"], "number": number, "amount_kopecks": amount_kopecks}
    return str((await made(client, "/v1/orders", body))["id"])


async def waiting(client: Client, engine: Engine, till: dict[str, Any], now: datetime, trx_id: str = "T" * 32) -> str:
    """500 roubles that came by a sticker of the till."""
    sticker = Sticker(
        "stk_" + "0" * 26, till["merchant_id"], till["store_id"], till["id"], None, "Кофе", "S" * 32, "https://…", now
    )
    async with transaction(engine) as session:
        await unmatched_repository.add_sticker(session, sticker)
        for _ in range(2):
            await unmatched_money.keep_by_sticker(session, sticker, trx_id, "9F2C", Kopecks(50_000), now, now=now)
    (found,) = (await client.get("/v1/sbp/unmatched-payments?status=open")).json()["items"]
    return str(found["id"])


async def balance(client: Client, code: str) -> int:
    return int((await client.get(f"/v1/ledger/accounts/{code}")).json()["balance"])


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        pytest.param("cash-links/reservations", {"quantity": 0}, 422, "api.request_invalid", id="no ids"),
        pytest.param("cash-links/reservations", {"quantity": 1_001}, 422, "api.request_invalid", id="too many ids"),
        pytest.param("cash-links", {"terminal_id": "ter_x"}, 404, "checkout.terminal_not_found", id="no such till"),
        pytest.param(
            "cash-links", {"terminal_id": "TILL", "qrc_id": QRC_ID}, 422, "sbp_gateway.qrc_id_not_reserved",
            id="a plate of nobody's",
        ),
        pytest.param("cash-links", {"terminal_id": "TILL", "qrc_id": "x"}, 422, "api.request_invalid", id="no id"),
        pytest.param("cash-links/csh_x/deactivate", {}, 404, "sbp_gateway.cash_link_not_found", id="no such plate"),
        pytest.param(
            "cash-links/csh_x/move", {"terminal_id": "TILL"}, 404, "sbp_gateway.cash_link_not_found", id="moved"
        ),
        pytest.param("cash-links/csh_x/move", {}, 422, "api.request_invalid", id="moved to nowhere"),
        pytest.param(
            "cash-links/csh_x/move", {"terminal_id": "TILL", "bank_account": "4" * 20}, 422, "api.request_invalid",
            id="moved to two places",
        ),
        pytest.param("cash-links/csh_x/move", {"bank_account": "4"}, 422, "api.request_invalid", id="no account"),
        pytest.param("stickers", {"terminal_id": "ter_x"}, 404, "checkout.terminal_not_found", id="a sticker nowhere"),
        pytest.param("stickers", {"terminal_id": "TILL", "amount_kopecks": 0}, 422, "api.request_invalid", id="free"),
        pytest.param(
            "stickers", {"terminal_id": "TILL", "amount_kopecks": 100_000_001}, 422, "api.request_invalid", id="dear"
        ),
        pytest.param(
            "unmatched-payments/ump_x/match", {"order_id": "ord_x"}, 404, "sbp_gateway.unmatched_payment_not_found",
            id="no such money",
        ),
    ],
)  # fmt: skip
async def test_bad_input_is_refused_and_nothing_is_written(
    client: Client, engine: Engine, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    till = await terminal(client)
    body = {name: till["id"] if value == "TILL" else value for name, value in body.items()}

    answer = await client.post(f"/v1/sbp/{path}", body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    async with transaction(engine) as session:
        for table in ("cash_links", "cash_link_reservations", "sbp_stickers", "sbp_unmatched_payments"):
            assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param({"binding_id": "bnd_x"}, "sbp_gateway.binding_not_found", id="no such binding"),
        pytest.param({"binding_id": "bnd_x", "cash_link_id": "csh_x"}, "api.request_invalid", id="two ways at once"),
    ],
)
async def test_an_attempt_by_no_binding_charges_nobody(
    client: Client, engine: Engine, body: dict[str, Any], code: str
) -> None:
    placed = await order(client, await terminal(client), "A-1", 100)

    answer = await client.post(f"/v1/orders/{placed}/attempts", {"rail": "sbp", **body})

    assert answer.json()["code"] == code
    async with transaction(engine) as session:
        for table in ("attempts", "binding_charges", "qr_codes"):
            assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == 0


@pytest.mark.parametrize("body", [{"cash_link_id": "csh_x"}, {"cash_link_id": "csh_x", "ttl_minutes": 21}])
async def test_an_attempt_by_an_unknown_plate_is_refused(client: Client, body: dict[str, Any]) -> None:
    placed = await order(client, await terminal(client), "A-1", 100)

    answer = await client.post(f"/v1/orders/{placed}/attempts", {"rail": "sbp", **body})

    expected = "sbp_gateway.ttl_out_of_range" if "ttl_minutes" in body else "sbp_gateway.cash_link_not_found"
    assert (answer.json()["code"], bool(answer.json()["cashier_tip"])) == (expected, True)
    assert (await client.get(f"/v1/orders/{placed}")).json()["attempts"] == []


async def test_a_plate_that_nspk_was_not_reached_for_is_still_requested(out_of_reach: Client) -> None:
    client = out_of_reach
    till = await terminal(client)
    link = await made(client, "/v1/sbp/cash-links", {"terminal_id": till["id"]})
    assert (link["status"], link["qrc_id"]) == ("requested", None)
    placed = await order(client, till, "A-1", 100)

    answer = await client.post(f"/v1/orders/{placed}/attempts", {"rail": "sbp", "cash_link_id": link["id"]})

    assert answer.json()["code"] == "sbp_gateway.cash_link_not_registered"


async def test_money_is_given_to_an_order_of_its_merchant_once(client: Client, engine: Engine, now: datetime) -> None:
    till = await terminal(client)
    unmatched = await waiting(client, engine, till, now)
    path = f"/v1/sbp/unmatched-payments/{unmatched}/match"
    stranger = await order(client, await terminal(client), "A-1", 50_000)
    other_sum = await order(client, till, "A-2", 49_999)
    canceled = await order(client, till, "A-3", 50_000)
    await made(client, f"/v1/orders/{canceled}/cancel", {})
    right = await order(client, till, "A-4", 50_000)

    codes = [(await client.post(path, {"order_id": found})).json()["code"] for found in (stranger, other_sum, canceled)]
    matched = await made(client, path, {"order_id": right})
    again = await client.post(path, {"order_id": await order(client, till, "A-5", 50_000)})

    assert codes == [
        "checkout.order_not_found", "sbp_gateway.unmatched_amount_differs", "checkout.order_not_open",
    ]  # fmt: skip
    assert (matched["status"], matched["order_id"]) == ("matched", right)
    assert again.json()["code"] == "sbp_gateway.unmatched_payment_matched"
    paid = (await client.get(f"/v1/orders/{right}")).json()
    assert (paid["status"], paid["attempts"][0]["status"]) == ("paid", "paid")
    assert await balance(client, "liability:unmatched_receipts:sbp") == 0
    assert await balance(client, f"liability:merchant_payable:{till['merchant_id']}") == 50_000 - 200
    async with transaction(engine) as session:
        assert await broken_proofs(session) == []


@pytest.mark.parametrize(("shelf", "offer"), [(51_020, 1_020), (50_000, 0)], ids=["less the offer", "the whole"])
async def test_money_given_to_an_order_with_a_basket_confirms_its_tenders_and_takes_the_rails_offer(
    client: Client, engine: Engine, now: datetime, shelf: int, offer: int
) -> None:
    till = await terminal(client)
    unmatched = await waiting(client, engine, till, now)
    two_percent = {"merchant_id": till["merchant_id"], "rail": "sbp", "basis_points": 200, "note": "По СБП дешевле"}
    await made(client, "/v1/rail-offers", two_percent)
    line = {"article": "1", "name": "Кофе", "measure": "piece", "quantity": 1, "price_kopecks": shelf}
    placed = await made(
        client, "/v1/orders", {"terminal_id": till["id"], "number": "A-1", "basket": {"lines": [line]}}
    )  # fmt: skip

    await made(client, f"/v1/sbp/unmatched-payments/{unmatched}/match", {"order_id": placed["id"]})

    paid = (await client.get(f"/v1/orders/{placed['id']}")).json()
    tenders = paid["tenders"]
    assert (paid["status"], paid["amount_kopecks"], paid["attempts"][0]["amount_kopecks"]) == ("paid", 50_000, 50_000)
    assert (tenders["status"], tenders["amount_kopecks"]) == ("confirmed", 50_000)
    assert (tenders["offer_kopecks"], tenders["offer_rail"]) == (offer, "sbp")


async def test_a_direct_merchants_unmatched_money_stays_off_the_balance_sheet(
    client: Client, engine: Engine, now: datetime
) -> None:
    till = await terminal(client, settlement_mode="direct")
    merchant_id = till["merchant_id"]
    unmatched = await waiting(client, engine, till, now)
    assert await balance(client, f"memo:sbp_direct_unmatched:{merchant_id}") == 50_000

    right = await order(client, till, "A-1", 50_000)
    await made(client, f"/v1/sbp/unmatched-payments/{unmatched}/match", {"order_id": right})

    assert await balance(client, f"memo:sbp_direct_unmatched:{merchant_id}") == 0
    assert await balance(client, f"memo:sbp_direct_sales:{merchant_id}") == 50_000
    assert await balance(client, f"asset:fee_receivable:{merchant_id}") == 200


@pytest.mark.parametrize(
    ("mode", "waits_on", "late_on"),
    [
        ("collected", "liability:unmatched_receipts:sbp", "liability:late_receipts:sbp"),
        ("direct", "memo:sbp_direct_unmatched:MER", "memo:sbp_direct_late:MER"),
    ],
)
async def test_money_of_nobodys_order_becomes_late_money_that_the_worker_refunds(
    client: Client, engine: Engine, now: datetime, mode: str, waits_on: str, late_on: str
) -> None:
    till = await terminal(client, settlement_mode=mode)
    waits_on, late_on = (code.replace("MER", till["merchant_id"]) for code in (waits_on, late_on))
    unmatched = await waiting(client, engine, till, now)
    path = f"/v1/sbp/unmatched-payments/{unmatched}"

    returned = await made(client, f"{path}/refund", {})
    again = await client.post(f"{path}/refund", {})
    matched = await client.post(f"{path}/match", {"order_id": await order(client, till, "A-1", 50_000)})

    assert returned["status"] == "returned"
    assert returned == (await client.get(path)).json()
    assert [answer.json()["code"] for answer in (again, matched)] == ["sbp_gateway.unmatched_payment_returned"] * 2
    assert (await balance(client, waits_on), await balance(client, late_on)) == (0, 50_000)
    async with transaction(engine) as session:
        due = await refund_rows.take_late_payments(session, now=datetime.now(UTC), lease_until=now)
        assert due == [returned["payment_id"]]
        request = await refunding.refund_late_payment(session, "ref_" + "0" * 26, due[0], now=now)
        assert await broken_proofs(session) == []
    assert (request.trx_id, request.qrc_id, request.amount) == ("T" * 32, "S" * 32, 50_000)


@pytest.mark.parametrize("is_match_first", [True, False])
async def test_money_is_matched_or_given_back_and_never_both(
    client: Client, engine: Engine, now: datetime, is_match_first: bool
) -> None:
    till = await terminal(client)
    unmatched = await waiting(client, engine, till, now)
    placed = await order(client, till, "A-1", 50_000)

    async def match(session: Session) -> UnmatchedPayment:
        return await unmatched_money.match(session, unmatched, placed, merchant_id=None, now=now)

    async def give_back(session: Session) -> UnmatchedPayment:
        return await unmatched_money.give_back(session, unmatched, merchant_id=None, now=now)

    first, second = (match, give_back) if is_match_first else (give_back, match)
    async with transaction(engine) as session:
        await first(session)
        waits = asyncio.create_task(in_transaction(engine, second))
        await asyncio.sleep(0.2)
        assert not waits.done()

    with pytest.raises(UnmatchedPaymentMatched if is_match_first else UnmatchedPaymentReturned):
        await waits
    assert await balance(client, "liability:unmatched_receipts:sbp") == 0
    assert await balance(client, "asset:sbp_settlement:100000000999") == 50_000
    async with transaction(engine) as session:
        assert await session.scalar(text("SELECT count(*) FROM sbp_payments")) == 1
        assert await broken_proofs(session) == []


@pytest.mark.parametrize("come_from", UnmatchedStatus)
@pytest.mark.parametrize("to", UnmatchedStatus)
def test_the_square_of_unmatched_money(come_from: UnmatchedStatus, to: UnmatchedStatus) -> None:
    assert (to in ALLOWED[come_from]) == ((come_from, to) in {("open", "matched"), ("open", "returned")})


async def test_a_merchant_sees_no_plate_sticker_or_money_of_another(
    out_of_reach: Client, engine: Engine, now: datetime
) -> None:
    client = out_of_reach
    till = await terminal(client)
    link = await made(client, "/v1/sbp/cash-links", {"terminal_id": till["id"]})
    unmatched = await waiting(client, engine, till, now)
    stranger = (await terminal(client))["merchant_id"]
    async with transaction(engine) as session:
        _, secret = await create_key(
            session, name="shop", scopes=["orders:read", "orders:write", "refunds:write"], mode="test", now=now,
            merchant_id=stranger,
        )  # fmt: skip
    shop = replace(client, api_key=secret.expose())

    for path in (f"cash-links/{link['id']}", f"stickers/stk_{'0' * 26}", f"unmatched-payments/{unmatched}"):
        assert (await shop.get(f"/v1/sbp/{path}")).status_code == 404
    for path in ("cash-links", "stickers", "unmatched-payments"):
        assert (await shop.get(f"/v1/sbp/{path}")).json()["items"] == []
        assert len((await client.get(f"/v1/sbp/{path}")).json()["items"]) == 1
    refused = await shop.post(f"/v1/sbp/cash-links/{link['id']}/deactivate", {})
    assert refused.json()["code"] == "sbp_gateway.cash_link_not_found"
    refused = await shop.post(f"/v1/sbp/unmatched-payments/{unmatched}/match", {"order_id": "ord_x"})
    assert refused.json()["code"] == "sbp_gateway.unmatched_payment_not_found"
    assert (await shop.post(f"/v1/sbp/unmatched-payments/{unmatched}/refund", {})).status_code == 404
