"""One address cannot fill the log or keep everybody else from signing in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest

from ledger.database import Engine
from pci.access.passwords import HASHES_WAITING_MAX
from tests.conftest import VaultDatabase
from tests.tokenization.entry_world import entry_world
from tokenization import address_buckets
from tokenization.address_buckets import SIZES, AddressBuckets, Errand, network_of
from tokenization.app import public_app
from tokenization.errors import TooManyRequests
from tokenization.sign_in_cookie import COOKIE

SIGN_IN = {"login": "nobody", "password": "x", "code": "000000"}


def browser_of(app: Any, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 5_000))
    return httpx.AsyncClient(
        transport=transport, base_url="https://vault.test", headers={"origin": "https://vault.test"}
    )


def leaves(database: VaultDatabase) -> int:
    with psycopg.connect(database.superuser_url) as connection:
        row = connection.execute("SELECT count(*) FROM audit_events").fetchone()
        assert row is not None
        return int(row[0])


async def test_who_shows_no_cookie_leaves_no_line_in_the_log(
    vault_engine: Engine, vault_database: VaultDatabase, now: datetime
) -> None:
    app = public_app((await entry_world(vault_engine, now)).vault)
    before = leaves(vault_database)

    async with browser_of(app, "192.0.2.7") as browser:
        answers = [await browser.get("/vault/v1/people") for _ in range(10)]
        tried = await browser.get("/vault/v1/people", headers={"cookie": f"{COOKIE}=guessed"})

    assert {answer.status_code for answer in (*answers, tried)} == {401}
    assert leaves(vault_database) == before + 1, "a guess is an attempt"


async def test_one_address_waits_and_another_goes_on(
    vault_engine: Engine, vault_database: VaultDatabase, now: datetime
) -> None:
    app, before = public_app((await entry_world(vault_engine, now)).vault), leaves(vault_database)

    async with browser_of(app, "192.0.2.7") as flood, browser_of(app, "192.0.2.8") as other:
        reports = [await flood.post("/csp-reports", content=b"x") for _ in range(SIZES[Errand.REPORT].burst + 1)]
        elsewhere = await other.post("/csp-reports", content=b"x")
        page = await flood.get("/people")

    assert [answer.status_code for answer in reports] == [204] * SIZES[Errand.REPORT].burst + [429]
    assert reports[-1].json()["code"] == "vault.too_many_requests"
    assert 1 <= int(reports[-1].headers["retry-after"]) <= 11
    assert (elsewhere.status_code, page.status_code) == (204, 200)
    assert leaves(vault_database) == before


@pytest.mark.parametrize("errand", Errand)
def test_a_bucket_empties_and_fills_again(errand: Errand) -> None:
    at = [100.0]
    buckets, size = AddressBuckets(lambda: at[0]), SIZES[errand]
    paths = {Errand.PAGE: "/people", Errand.SIGN_IN: "/vault/v1/enrolments/finish", Errand.REPORT: "/csp-reports"}
    path = paths[errand]

    for _ in range(size.burst):
        buckets.take("192.0.2.7", "POST", path)
    with pytest.raises(TooManyRequests) as refused:
        buckets.take("192.0.2.7", "POST", path)
    at[0] += float(str(refused.value.facts["wait_seconds"]))
    buckets.take("192.0.2.7", "POST", path)


def test_one_address_cannot_take_all_the_turns_of_passwords() -> None:
    assert SIZES[Errand.SIGN_IN].burst < HASHES_WAITING_MAX


def test_addresses_of_one_network_share_a_bucket_and_the_silent_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:192.0.2.7") == network_of("192.0.2.7") == "192.0.2.7"
    assert network_of("testclient") == "unknown"
    monkeypatch.setattr(address_buckets, "ADDRESSES_MAX", 2)
    buckets = AddressBuckets(lambda: 0.0)
    for number in range(5):
        buckets.take(f"192.0.2.{number}", "GET", "/people")
    assert len(buckets._kept) == 2
