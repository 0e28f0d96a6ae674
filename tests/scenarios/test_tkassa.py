"""A merchant of a bank whose links T-Kassa registers, through real processes, beside one of NSPK's."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from ledger.database import Engine, transaction
from ledger.proofs import broken_proofs
from sbp_gateway.simulator.tkassa import MEMBER_ID, TERMINAL
from sbp_gateway.tkassa_token import token_of
from tests.scenarios.conftest import ACCOUNT, Installation

SETTLEMENT = f"asset:sbp_settlement:{MEMBER_ID}"


@pytest.fixture(autouse=True)
def through_tkassa(monkeypatch: pytest.MonkeyPatch, sockets: dict[str, socket.socket]) -> None:
    """The installation sends merchants of one bank to T-Kassa's simulator."""
    monkeypatch.setenv("KOPEYKA_TKASSA_MEMBERS", f'["{MEMBER_ID}"]')
    monkeypatch.setenv("KOPEYKA_TKASSA_URL", f"http://127.0.0.1:{sockets['simulators'].getsockname()[1]}")
    monkeypatch.setenv("KOPEYKA_TKASSA_TERMINAL_KEY", TERMINAL.key)
    monkeypatch.setenv("KOPEYKA_TKASSA_PASSWORD", TERMINAL.password.expose())


async def terminal_at_tbank(installation: Installation) -> Any:
    body = {
        "name": "Суббота", "legal_name": "ООО «Суббота»", "inn": "7707083893", "tariff_group": "government",
        "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
        "sbp": {"nspk_merchant_id": "MA0000000777", "member_id": MEMBER_ID},
    }  # fmt: skip
    merchant = await installation.made("/v1/merchants", body)
    place = {"merchant_id": merchant["id"], "name": "На Арбате", "address": "Москва, Арбат, 1"}
    store = await installation.made("/v1/stores", place)
    return await installation.made("/v1/terminals", {"store_id": store["id"], "name": "Касса 1"})


async def attempt(installation: Installation, terminal: Any, number: str, amount: int = 149_990) -> tuple[str, Any]:
    order = await installation.order(terminal, number, amount)
    path = f"/v1/orders/{order['id']}"
    await installation.made(f"{path}/attempts", {"rail": "sbp"})
    shown = await installation.until(path, lambda found: found["attempts"][0]["qr"] is not None)
    return path, shown["attempts"][0]["qr"]


async def scan(installation: Installation, qr: Any) -> None:
    """The payer scans what the QR shows: NSPK's link in both cases."""
    assert (await installation.pays(qr["payload"].removeprefix("https://qr.nspk.ru/")[:32])).status_code == 200


def is_paid(order: Any) -> bool:
    return bool(order["status"] == "paid")


async def test_an_order_is_paid_and_given_back_through_tkassa_while_another_is_paid_through_nspk(
    installation: Installation, engine: Engine
) -> None:
    at_tbank, at_nspk = await terminal_at_tbank(installation), await installation.terminal()
    path, qr = await attempt(installation, at_tbank, "T-1")
    other_path, other_qr = await attempt(installation, at_nspk, "N-1")
    assert qr["qrc_id"].startswith("TKZ")
    assert other_qr["qrc_id"].startswith("AD10")

    await scan(installation, qr)
    assert (await installation.pays(other_qr["qrc_id"])).status_code == 200
    paid = await installation.until(path, is_paid)
    await installation.until(other_path, is_paid)
    assert (await installation.get(f"/v1/ledger/accounts/{SETTLEMENT}"))["balance"] == 149_990

    refund = await installation.made("/v1/refunds", {"order_id": paid["id"], "amount_kopecks": 49_997})  # a slow one
    refund = await installation.until(f"/v1/refunds/{refund['id']}", lambda found: found["is_final"])
    assert (refund["status"], refund["amount_kopecks"]) == ("succeeded", 49_997)
    assert (await installation.get(f"/v1/ledger/accounts/{SETTLEMENT}"))["balance"] == 99_993
    async with transaction(engine) as session:
        assert await broken_proofs(session) == []


async def test_lost_answers_and_silence_end_in_one_payment(installation: Installation, engine: Engine) -> None:
    terminal = await terminal_at_tbank(installation)
    await installation.faults(lost_answer=0.4, lost_request=0.2, lost_notification=1.0, seed=7)

    path, qr = await attempt(installation, terminal, "T-2")
    await scan(installation, qr)
    await installation.until(path, is_paid)

    await installation.faults(lost_answer=0.0, lost_request=0.0, lost_notification=0.0)
    assert (await installation.get(f"/v1/ledger/accounts/{SETTLEMENT}"))["balance"] == 149_990
    async with transaction(engine) as session:
        assert await broken_proofs(session) == []


async def test_a_forged_notification_is_refused_and_a_signed_lie_pays_nothing(installation: Installation) -> None:
    path, qr = await attempt(installation, await terminal_at_tbank(installation), "T-3")
    said: dict[str, Any] = {"TerminalKey": TERMINAL.key, "PaymentId": int(qr["qrc_id"][3:]), "Status": "CONFIRMED"}

    forged = await installation.api.post("/tkassa/notification", json=said | {"Token": "0" * 64})
    assert (forged.status_code, forged.json()["code"]) == (403, "sbp_gateway.notification_unsigned")
    signed = said | {"Token": token_of(said, TERMINAL.password)}
    heard = await installation.api.post("/tkassa/notification", json=signed)
    assert (heard.status_code, heard.text) == (200, "OK")
    assert (await installation.get(path))["status"] == "open"
