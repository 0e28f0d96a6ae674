"""What tests of plans over HTTP begin with: a licence, merchants with terms, keys of one merchant."""

from __future__ import annotations

import itertools
from datetime import timedelta

from api.callers import create_key
from checkout.bank_details import BankAccount, account_with_key
from ledger.clock import machine_now, moscow_day
from ledger.database import transaction
from tests.api.conftest import Client

numbers = itertools.count(1)
ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))


def today_plus(days: int) -> str:
    """A Moscow day from now, as JSON has it."""
    return (moscow_day(machine_now()) + timedelta(days=days)).isoformat()


async def merchant(client: Client) -> str:
    """A merchant, by its id."""
    body = {
        "name": f"Лавка {next(numbers)}", "legal_name": "ООО Лавка", "inn": "7707083893", "tariff_group": "standard",
        "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
    }  # fmt: skip
    answer = await client.post("/v1/merchants", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def api_key_of(client: Client, merchant_id: str | None, *scopes: str) -> Client:
    """A caller with these scopes, bound to one merchant unless it is none's."""
    wanted = scopes or ("installments:read", "installments:write")
    async with transaction(client.app.state.door.engine) as session:
        _, secret = await create_key(
            session, name="shop", scopes=wanted, mode="test", now=machine_now(), merchant_id=merchant_id
        )
    return Client(client.http, client.app, secret.expose())


async def licensed(client: Client) -> None:
    """Our entry in the register is active."""
    entry = {"effective_on": "2026-01-01", "register_number": "26-0001", "is_active": True, "capital_kopecks": 10**9}
    assert (await client.post("/v1/installments/licences", entry)).status_code == 201


async def merchant_with_terms(client: Client, fee_basis_points: int = 690) -> str:
    """A merchant that sells by installments."""
    merchant_id = await merchant(client)
    await agree_terms(client, merchant_id, fee_basis_points)
    return merchant_id


async def agree_terms(client: Client, merchant_id: str, fee_basis_points: int = 690) -> None:
    """A merchant may sell by installments from today."""
    body = {
        "merchant_id": merchant_id, "product_code": "dolyame", "effective_on": today_plus(0),
        "fee_basis_points": fee_basis_points,
    }  # fmt: skip
    assert (await client.post("/v1/installments/merchant-terms", body)).status_code == 201
