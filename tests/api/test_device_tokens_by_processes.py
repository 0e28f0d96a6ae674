"""Кошелёк Pay with a real vault process behind mutual TLS: it dies, comes back, and knows the same keys."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio

from api.app import create_app
from api.callers import create_key
from checkout.bank_details import BankAccount, account_with_key
from ledger.clock import machine_now
from ledger.database import Engine, transaction
from tests.api.conftest import Client
from tests.api.vault_process import VaultProcess, vault_process
from tests.tokenization.entry_world import MIR, seal
from tokenization.koshelek_pay.phone import Phone

pytestmark = pytest.mark.faults

ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
BUYER = "+79161234567"


@dataclass
class Bank:
    """A caller for all merchants, and the vault behind the door."""

    api: Client
    vault: VaultProcess
    merchant_id: str

    async def made(self, path: str, body: Any, status: int = 201) -> Any:
        answered = await self.api.post(path, {"merchant_id": self.merchant_id, **body})
        assert answered.status_code == status, answered.text
        return answered.json()


@pytest.fixture
def vault(vault_database: Any, tmp_path: Any) -> Iterator[VaultProcess]:
    with vault_process(vault_database.vault_url, tmp_path) as running:
        running.until_alive()
        yield running


@pytest_asyncio.fixture
async def bank(database: Any, engine: Engine, vault: VaultProcess) -> AsyncIterator[Bank]:
    app = create_app(vault.settings(database))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://k.test") as http,
    ):
        async with transaction(engine) as session:
            _, secret = await create_key(session, name="b", scopes=("admin",), mode="test", now=datetime.now(UTC))
        api = Client(http, app, secret.expose())
        body = {
            "name": "Банк", "legal_name": "ООО «Банк»", "inn": "7707083893", "tariff_group": "standard",
            "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
        }  # fmt: skip
        yield Bank(api, vault, str((await api.post("/v1/merchants", body)).json()["id"]))


async def test_a_phone_gets_its_keys_from_a_vault_that_died_meanwhile(bank: Bank, vault_database: Any) -> None:
    phone = Phone()
    token = await put_on(bank, phone)
    with bank.vault.client() as link:
        text = link.get("/v1/sandbox/sms", params={"phone": BUYER}).json()["text"]
    code = re.search("[0-9]{6}", text)
    assert code
    path = f"/v1/device-tokens/{token['id']}"
    await bank.made(f"{path}/code", {"code": code.group()}, 200)
    name = {"request_id": "the-same-request"}
    await keys(bank, phone, path, token, **name)
    before = dict(phone._tokens[token["id"]].keys)
    assert len(before) == 10

    bank.vault.kill()
    bank.vault.start()
    bank.vault.until_alive()
    phone._tokens.clear()
    await keys(bank, phone, path, token, **name)

    assert phone._tokens[token["id"]].keys == before
    number = phone.number_of(token["id"])
    for secret in (MIR, BUYER, code.group(), number, *(key.hex() for key in before.values())):
        assert secret not in bank.vault.log()
    with psycopg.connect(vault_database.superuser_url) as connection:
        tables = [
            row[0]
            for row in connection.execute("SELECT relname FROM pg_class WHERE relname ~ '^(device_|token_|audit_)'"
                                          " AND relkind IN ('r', 'p')").fetchall()
        ]  # fmt: skip
        kept = "".join(str(connection.execute(f"SELECT t::text FROM {table} AS t").fetchall()) for table in tables)
    assert len(tables) > 8
    for secret in (MIR, BUYER, *(key.hex() for key in before.values())):
        assert secret not in kept


async def put_on(bank: Bank, phone: Phone) -> Any:
    answered = await bank.api.get("/v1/card-keys")
    sealed = seal(answered.json(), machine_now(), merchant_id=bank.merchant_id)
    card = await bank.made("/v1/cards", {"sealed_card": sealed})
    wallet = await bank.made(
        "/v1/token-requestors", {"name": "Кошелёк", "channels": ["contactless"], "amount_kopecks_max": 100_000_00}
    )
    device = {"installation_id": phone.installation_id, "public_jwk": phone.public_jwk}
    token = await bank.made("/v1/device-tokens", {
        "trid": wallet["trid"], "card_token": card["token"], "device": device, "channels": ["contactless"],
        "phone": BUYER,
    })  # fmt: skip
    assert {finding["rule"] for finding in token["findings"]} == {"key_is_not_attested", "card_is_new_here"}
    return token


async def keys(bank: Bank, phone: Phone, path: str, token: Any, **name: Any) -> None:
    signed = phone.key_request(token["id"], machine_now(), **name)
    said = await bank.made(f"{path}/keys", {"request": signed}, 200)
    phone.take_keys(said["jwe"])
