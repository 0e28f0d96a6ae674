"""Cards over the door: a merchant's backend, the api, the vault and a buyer's browser, with real processes between."""

from __future__ import annotations

import asyncio
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
from tests.tokenization.entry_world import CVC, MIR, SHOP, VISA, seal, typed

pytestmark = pytest.mark.faults

ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
SCOPES = ("cards:read", "cards:write")


@dataclass
class Till:
    """Two merchants' backends at one door, and the vault behind it."""

    ours: Client
    others: Client
    tenant: Client
    merchant_id: str
    vault: VaultProcess

    async def open_form(self, **parts: Any) -> dict[str, Any]:
        answered = await self.ours.post("/v1/card-sessions", {"origin": SHOP, **parts})
        assert answered.status_code == 201, answered.text
        return dict(answered.json())

    async def enter(self, form: dict[str, Any], body: dict[str, Any]) -> httpx.Response:
        """What the page does in the buyer's browser."""
        async with httpx.AsyncClient(timeout=60) as browser:
            return await browser.post(f"{form['form_url']}/card", json=body, headers={"origin": self.vault.origin})


@pytest.fixture
def vault(vault_database: Any, tmp_path: Any) -> Iterator[VaultProcess]:
    with vault_process(vault_database.vault_url, tmp_path) as running:
        running.until_alive()
        yield running


@pytest_asyncio.fixture
async def till(database: Any, engine: Engine, vault: VaultProcess) -> AsyncIterator[Till]:
    app = create_app(vault.settings(database))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://k.test") as http,
    ):
        tenant = Client(http, app, await key_of(engine, None))
        merchants = [await merchant_of(tenant, name) for name in ("Кофейня", "Другая")]
        ours, others = [Client(http, app, await key_of(engine, merchant)) for merchant in merchants]
        yield Till(ours, others, tenant, merchants[0], vault)


async def merchant_of(tenant: Client, name: str) -> str:
    body = {
        "name": name, "legal_name": f"ООО «{name}»", "inn": "7707083893", "tariff_group": "standard",
        "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
    }  # fmt: skip
    return str((await tenant.post("/v1/merchants", body)).json()["id"])


async def key_of(engine: Engine, merchant_id: str | None) -> str:
    scopes = SCOPES if merchant_id else ("admin",)
    async with transaction(engine) as session:
        _, secret = await create_key(
            session, name="t", scopes=scopes, mode="test", now=datetime.now(UTC), merchant_id=merchant_id
        )
    return secret.expose()


async def test_a_buyers_card_becomes_a_token_that_the_merchant_sees_and_another_does_not(till: Till) -> None:
    form = await till.open_form(buyer_id="buyer-7")
    assert form["form_url"].startswith(till.vault.origin)

    entered = await till.enter(form, typed())

    token = entered.json()["token"]
    looked = (await till.ours.get(f"/v1/card-sessions/{form['id']}")).json()
    assert (looked["status"], looked["token"]) == ("used", token)
    card = (await till.ours.get(f"/v1/cards/{token}")).json()
    assert (card["mask"], card["scheme"], card["merchant_id"]) == ("220011******9001", "mir", till.merchant_id)
    listed = (await till.ours.get("/v1/cards?buyer_id=buyer-7")).json()
    assert [one["token"] for one in listed["items"]] == [token]
    for path in (f"/v1/cards/{token}", f"/v1/card-sessions/{form['id']}"):
        assert (await till.others.get(path)).status_code == 404
        assert (await till.others.get(f"{path}?merchant_id={till.merchant_id}")).status_code == 404
        assert (await till.tenant.get(f"{path}?merchant_id={till.merchant_id}")).status_code == 200
    assert (await till.others.send("DELETE", f"/v1/cards/{token}")).status_code == 404
    gone = await till.ours.send("DELETE", f"/v1/cards/{token}")
    assert (gone.status_code, gone.json()["status"]) == (200, "deleted")


async def test_a_sealed_card_passes_through_the_door_unread(till: Till, database: Any, vault_database: Any) -> None:
    answered = await till.ours.get("/v1/card-keys")
    assert answered.headers["cache-control"] == "private, max-age=3600"
    sealed = seal(answered.json(), machine_now(), merchant_id=till.merchant_id, cvc=CVC)

    first = await till.ours.post("/v1/cards", {"sealed_card": sealed}, key="the-same-key-0001")
    again = await till.ours.post("/v1/cards", {"sealed_card": sealed}, key="the-same-key-0001")
    copied = await till.ours.post("/v1/cards", {"sealed_card": sealed})

    assert (first.status_code, first.json()["mask"], first.json()["is_new"]) == (201, "220011******9001", True)
    assert first.headers["location"] == f"/v1/cards/{first.json()['token']}"
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert (copied.status_code, copied.json()["code"]) == (409, "vault.sealed_card_replayed")
    for url in (database.superuser_url, vault_database.superuser_url):
        assert MIR not in whole_of(url)
    assert MIR not in till.vault.log()


def whole_of(url: str) -> str:
    """Every row of every table, as text."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT quote_ident(relname) FROM pg_class"
            " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        rows = [connection.execute(f"SELECT t::text FROM {name} AS t").fetchall() for (name,) in tables]
    text = str(rows)
    return text + bytes.fromhex("".join(part for part in text.split("\\\\x")[1:2])[:0]).decode()


REFUSED = [
    ({"origin": "https://shop.example/x"}, "vault.origin_refused"),
    ({"origin": SHOP, "extra": 1}, "api.request_invalid"),
    ({"origin": SHOP, "buyer_id": "a b"}, "api.request_invalid"),
    ({"origin": SHOP, "terms": {"days": 0}}, "api.request_invalid"),
    ({"origin": SHOP, "terms": {"restrictions": {"channels": ["ЩЩ"]}}}, "vault.restrictions_malformed"),
]


async def test_a_form_that_cannot_be_is_refused(till: Till) -> None:
    for body, code in REFUSED:
        refused = await till.ours.post("/v1/card-sessions", body)

        assert (refused.status_code, refused.json()["code"]) == (422, code), body
        assert refused.headers["content-type"] == "application/problem+json"


async def test_a_key_of_all_merchants_says_which_and_an_unknown_one_is_not_found(till: Till) -> None:
    unsaid = await till.tenant.post("/v1/card-sessions", {"origin": SHOP})
    unknown = await till.tenant.post("/v1/card-sessions", {"origin": SHOP, "merchant_id": "mer_" + "0" * 26})
    foreign = await till.others.post("/v1/card-sessions", {"origin": SHOP, "merchant_id": till.merchant_id})

    assert (unsaid.status_code, unsaid.json()["errors"][0]["pointer"]) == (422, "/merchant_id")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "checkout.merchant_not_found")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "api.resource_unknown")


async def test_what_is_no_token_is_not_found_and_never_asked_for_as_an_address(till: Till) -> None:
    for id_ in ("tok_x", "..%2fcards", "tok_" + "a" * 25, "%2e%2e", VISA + "x"):
        assert (await till.ours.get(f"/v1/cards/{id_}")).status_code == 404


async def test_the_door_says_503_while_the_vault_is_away_and_the_same_key_works_after(till: Till) -> None:
    till.vault.kill()

    away = await till.ours.post("/v1/card-sessions", {"origin": SHOP}, key="the-same-key-0002")
    read = await till.ours.get("/v1/card-keys")
    till.vault.start()
    await asyncio.to_thread(till.vault.until_alive)
    back = await till.ours.post("/v1/card-sessions", {"origin": SHOP}, key="the-same-key-0002")

    assert (away.status_code, away.json()["retryable"]) == (503, True)
    assert away.json()["code"] in ("vault.unavailable", "vault.unknown")
    assert away.headers["retry-after"] == "1"
    assert read.status_code == 503
    assert back.status_code == 201
    assert (await till.ours.get("/v1/orders")).status_code == 403  # a key for cards is for cards


async def test_an_installation_without_a_vault_takes_no_cards(client: Client) -> None:
    refused = await client.get("/v1/card-keys")

    assert (refused.status_code, refused.json()["code"]) == (503, "vault.not_named")
