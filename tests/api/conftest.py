"""The real application against a real database, called over HTTP without a socket."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from api.callers import create_key
from api.rate_limit import Buckets
from api.routes import till_pages
from api.settings import Settings
from ledger.accounts import AccountTerms, open_account
from ledger.database import Engine, transaction

keys = itertools.count(1)


def new_key() -> str:
    return f"test-key-{next(keys):012}"


@dataclass
class Client:
    """Calls the application with an API key, and a fresh idempotency key on every write."""

    http: httpx.AsyncClient
    app: FastAPI
    api_key: str
    headers: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.send("GET", path, **options)

    async def post(self, path: str, body: Any = None, *, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"idempotency-key": key or new_key(), **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        return await self.send("POST", path, headers=headers, **options)

    async def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.api_key}", **self.headers, **options.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **options)


@pytest.fixture(autouse=True)
def each_test_opens_tills_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's tills are opened once a second from one address, and all tests have one."""
    monkeypatch.setattr(till_pages, "openings", Buckets(till_pages.OPENED_PER_SECOND, burst_seconds=10))


@pytest_asyncio.fixture
async def client(database: Any, engine: Engine) -> AsyncIterator[Client]:
    """A caller that may do everything."""
    app = create_app(Settings(database_url=SecretStr(database.app_url), log_level="error"))
    async with transaction(engine) as session:
        _, secret = await create_key(session, name="tests", scopes=["admin"], mode="test", now=datetime.now(UTC))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://kopeyka.test") as http,
    ):
        yield Client(http, app, secret.expose())


@pytest_asyncio.fixture
async def accounts(engine: Engine, now: datetime) -> tuple[str, str]:
    """Two accounts: cash that may be overdrawn, and sales."""
    async with transaction(engine) as session:
        cash = await open_account(session, AccountTerms("asset:cash:till"), now=now)
        sales = await open_account(session, AccountTerms("income:sales:goods"), now=now)
    return cash.code, sales.code


def sale(accounts: tuple[str, str], reference: str = "order:1", amount: Any = 149_990) -> dict[str, Any]:
    """An entry to book."""
    return {
        "reference": reference,
        "kind": "sale",
        "happened_at": "2026-11-22T09:00:00Z",
        "postings": [{"debit": accounts[0], "credit": accounts[1], "amount": amount}],
    }
