"""Cards come in by a form or sealed; a form takes one card, a sealed card is taken once, and no number stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import text

from api.postgres import Server
from ledger.database import Engine, transaction
from pci.keys.key import KeyPurpose
from tests.conftest import VaultDatabase
from tests.tokenization.entry_world import (
    CVC,
    MERCHANT,
    MIR,
    OTHER,
    SHOP,
    VISA,
    EntryWorld,
    entry_world,
    seal,
    typed,
    wanted,
)
from tests.vault_calls import public_client, service_client
from tokenization import sad, sweeping


@pytest_asyncio.fixture
async def world(vault_engine: Engine, now: datetime) -> EntryWorld:
    return await entry_world(vault_engine, now, card_session_attempts=3)


@pytest_asyncio.fixture
async def service(world: EntryWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with service_client(world.vault) as client:
        yield client


@pytest_asyncio.fixture
async def browser(world: EntryWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with public_client(world.vault) as client:
        yield client


async def open_form(service: httpx.AsyncClient, key: str = "order-1", **parts: Any) -> dict[str, Any]:
    answered = await service.post("/card-sessions", json=wanted(**parts), headers={"idempotency-key": key})
    assert answered.status_code == 201, answered.text
    return dict(answered.json())


async def enter(browser: httpx.AsyncClient, form: dict[str, Any], body: dict[str, Any]) -> httpx.Response:
    return await browser.post(f"/card-forms/{form['id']}/card", json=body)


def events(database: VaultDatabase) -> list[str]:
    """The lines of the log, which the vault itself may write and not read."""
    with psycopg.connect(database.superuser_url) as connection:
        rows = connection.execute("SELECT convert_from(event, 'UTF8') FROM audit_events ORDER BY 1").fetchall()
        return [str(row[0]) for row in rows]


async def kept_cvcs(world: EntryWorld) -> int:
    async with transaction(world.engine) as session:
        return int(await session.scalar(text("SELECT count(*) FROM sad_volatile")) or 0)


async def test_a_typed_card_becomes_a_token_with_its_cvc_laid_aside(
    world: EntryWorld, service: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    form = await open_form(service, buyer_id="buyer-7")
    assert form["form_url"] == f"https://vault.test/card-forms/{form['id']}"

    entered = await enter(browser, form, typed("2200 1117 5357 9001"))

    assert entered.status_code == 201
    assert (entered.json()["mask"], entered.json()["scheme"]) == ("220011******9001", "mir")
    token = entered.json()["token"]
    looked = (await service.get(f"/merchants/{MERCHANT}/card-sessions/{form['id']}")).json()
    assert (looked["status"], looked["token"]) == ("used", token)
    listed = (await service.get(f"/merchants/{MERCHANT}/cards", params={"buyer_id": "buyer-7"})).json()
    assert [card["token"] for card in listed["items"]] == [token]
    await world.ring.ensure(KeyPurpose.SAD, sad.SCOPE, world.clock.at)
    async with transaction(world.engine) as session:
        cvc = await sad.read(session, world.ring, token, now=world.clock.at)
        assert cvc is not None
        assert cvc.expose() == CVC
        sealed = await session.scalar(text("SELECT sealed FROM sad_volatile"))
        assert CVC.encode() not in bytes(sealed)
        assert await sad.forget(session, token)
    assert await kept_cvcs(world) == 0


async def test_what_is_typed_is_nowhere_in_the_log_of_events(
    vault_database: VaultDatabase, service: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    form = await open_form(service)
    await enter(browser, form, typed(MIR[:-1] + "2"))
    await enter(browser, form, typed())

    told = events(vault_database)

    actions = [action for line in told if (action := line.split('"')[3]).startswith("card")]
    assert sorted(actions) == ["card.entry_refused", "card.tokenized", "card_session.opened", "card_session.used"]
    assert not [line for line in told if MIR in line or MIR[:-1] + "2" in line or f'"{CVC}"' in line]


BAD = [
    pytest.param({"pan": MIR[:-1] + "2"}, "vault.pan_malformed", id="a wrong check digit"),
    pytest.param({"pan": "4111"}, "vault.pan_malformed", id="too short"),
    pytest.param({"pan": "<script>"}, "vault.pan_malformed", id="no number"),
    pytest.param({"expires_on": "2026-10"}, "vault.card_expired", id="over"),
    pytest.param({"expires_on": "2029-13"}, "vault.expiry_malformed", id="no such month"),
    pytest.param({"expires_on": "2099-01"}, "vault.expiry_malformed", id="a year that was mistyped"),
    pytest.param({"cvc": "12"}, "vault.cvc_malformed", id="a short code"),
    pytest.param({"cvc": "12a"}, "vault.cvc_malformed", id="a code with a letter"),
    pytest.param({"cvc": None}, "vault.cvc_missing", id="no code"),
]


@pytest.mark.parametrize(("wrong", "code"), BAD)
async def test_a_card_that_cannot_be_one_is_refused_counted_and_not_echoed(
    service: httpx.AsyncClient, browser: httpx.AsyncClient, wrong: dict[str, Any], code: str
) -> None:
    form = await open_form(service)

    refused = await enter(browser, form, typed(**wrong))

    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert MIR not in refused.text
    assert (await enter(browser, form, typed())).status_code == 201


async def test_a_form_closes_after_too_many_numbers(
    vault_database: VaultDatabase, service: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    form = await open_form(service)
    for _ in range(3):
        assert (await enter(browser, form, typed("4242424242424241"))).status_code == 422

    refused = await enter(browser, form, typed())

    assert (refused.status_code, refused.json()["code"]) == (409, "vault.card_session_blocked")
    assert any("card_session.blocked" in line for line in events(vault_database))
    looked = await service.get(f"/merchants/{MERCHANT}/card-sessions/{form['id']}")
    assert looked.json()["status"] == "blocked"


async def test_a_form_takes_one_card_even_from_two_at_once(
    service: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    form = await open_form(service)

    answers = await asyncio.gather(enter(browser, form, typed()), enter(browser, form, typed(VISA)))

    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert (await enter(browser, form, typed())).json()["code"] == "vault.card_session_used"
    listed = (await service.get(f"/merchants/{MERCHANT}/cards")).json()
    assert len(listed["items"]) == 1


async def test_a_form_is_over_after_its_time(
    world: EntryWorld, vault_database: VaultDatabase, service: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    form = await open_form(service)
    world.clock.pass_(minutes=15)

    refused = await enter(browser, form, typed())

    assert (refused.status_code, refused.json()["code"]) == (409, "vault.card_session_over")
    assert any('"code":"vault.card_session_over"' in line for line in events(vault_database))
    looked = await service.get(f"/merchants/{MERCHANT}/card-sessions/{form['id']}")
    assert looked.json()["status"] == "expired"
    world.clock.pass_(days=31)
    assert await sweeping.sweep_card_entry(world.vault) == 1
    assert (await service.get(f"/merchants/{MERCHANT}/card-sessions/{form['id']}")).status_code == 404


async def test_the_same_request_opens_one_form_and_other_terms_are_refused(service: httpx.AsyncClient) -> None:
    first = await open_form(service, "order-1")

    assert await open_form(service, "order-1") == first
    assert (await open_form(service, "order-2"))["id"] != first["id"]
    taken = await service.post(
        "/card-sessions", json=wanted(origin="https://other.example"), headers={"idempotency-key": "order-1"}
    )
    assert (taken.status_code, taken.json()["code"]) == (409, "vault.card_session_taken")


async def test_a_form_is_not_found_by_another_merchant(service: httpx.AsyncClient) -> None:
    form = await open_form(service)

    looked = await service.get(f"/merchants/{OTHER}/card-sessions/{form['id']}")

    assert (looked.status_code, looked.json()["code"]) == (404, "vault.card_session_not_found")


@pytest.mark.parametrize(
    "origin",
    [
        "http://shop.example",
        "https://shop.example/path",
        "https://shop.example;",
        "*",
        "javascript:x",
        "https://a b",
    ],
)
async def test_only_an_origin_may_show_a_form(service: httpx.AsyncClient, origin: str) -> None:
    refused = await service.post("/card-sessions", json=wanted(origin=origin), headers={"idempotency-key": "1"})

    assert (refused.status_code, refused.json()["code"]) == (422, "vault.origin_refused")


@pytest.mark.parametrize(
    "headers",
    [{"origin": SHOP}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {"origin": "https://vault.test.evil"}],
)
async def test_only_our_own_page_posts_a_card(
    service: httpx.AsyncClient, browser: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    form = await open_form(service)

    refused = await browser.post(f"/card-forms/{form['id']}/card", json=typed(), headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (403, "vault.origin_foreign")


async def test_the_terms_of_a_form_are_the_tokens(service: httpx.AsyncClient, browser: httpx.AsyncClient) -> None:
    terms = {"days": 10, "restrictions": {"channels": ["recurring"], "amount_max_kopecks": 5_000_00}}
    form = await open_form(service, terms=terms, wants_cvc=False)

    entered = await enter(browser, form, {"pan": VISA, "expires_on": "2029-12"})

    card = (await service.get(f"/merchants/{MERCHANT}/cards/{entered.json()['token']}")).json()
    assert card["restrictions"] == {"channels": ["recurring"], "amount_max_kopecks": 5_000_00}
    assert card["expires_at"].startswith("2026-12-02")


async def test_a_sealed_card_becomes_a_token_and_the_same_request_gets_it_again(
    world: EntryWorld, service: httpx.AsyncClient
) -> None:
    keys = (await service.get("/card-keys")).json()
    assert set(keys["keys"][0]) >= {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert "d" not in keys["keys"][0]
    body = {"merchant_id": MERCHANT, "sealed_card": seal(keys, world.clock.at, cvc=CVC), "buyer_id": "b"}

    first = await service.post("/sealed-cards", json=body, headers={"idempotency-key": "k1"})
    again = await service.post("/sealed-cards", json=body, headers={"idempotency-key": "k1"})

    assert (first.status_code, first.json()["is_new"], first.json()["mask"]) == (201, True, "220011******9001")
    assert (again.status_code, again.json()["token"]) == (201, first.json()["token"])
    assert await kept_cvcs(world) == 1


async def test_a_copy_of_a_sealed_card_is_no_card(
    world: EntryWorld, vault_database: VaultDatabase, service: httpx.AsyncClient
) -> None:
    keys = (await service.get("/card-keys")).json()
    sealed = seal(keys, world.clock.at)
    body = {"merchant_id": MERCHANT, "sealed_card": sealed}
    assert (await service.post("/sealed-cards", json=body, headers={"idempotency-key": "k1"})).status_code == 201

    copied = await service.post("/sealed-cards", json=body, headers={"idempotency-key": "k2"})
    another = {"merchant_id": MERCHANT, "sealed_card": seal(keys, world.clock.at)}
    swapped = await service.post("/sealed-cards", json=another, headers={"idempotency-key": "k1"})

    assert (copied.status_code, copied.json()["code"]) == (409, "vault.sealed_card_replayed")
    assert (swapped.status_code, swapped.json()["code"]) == (409, "vault.sealed_card_replayed")
    assert sum("card.entry_refused" in line for line in events(vault_database)) == 2


def _swap(sealed: str, place: int, part: str) -> str:
    parts = sealed.split(".")
    parts[place] = part
    return ".".join(parts)


SEALED_BADLY = [
    pytest.param({"iat": -601}, None, "vault.sealed_card_expired", id="ten minutes old"),
    pytest.param({"iat": 61}, None, "vault.sealed_card_expired", id="from the future"),
    pytest.param({"merchant_id": OTHER}, None, "vault.sealed_card_foreign", id="for another merchant"),
    pytest.param({"pan": "4242424242424241"}, None, "vault.pan_malformed", id="a wrong check digit"),
    pytest.param({"jti": "short"}, None, "vault.request_invalid", id="a short name"),
    pytest.param({"extra": 1}, None, "vault.request_invalid", id="an unknown field"),
    pytest.param({}, lambda s: _swap(s, 3, "AAAA"), "vault.sealed_card_refused", id="another ciphertext"),
    pytest.param({}, lambda s: _swap(s, 4, "A" * 22), "vault.sealed_card_refused", id="another tag"),
    pytest.param({}, lambda s: _swap(s, 1, ""), "vault.sealed_card_refused", id="no wrapped key"),
    pytest.param({}, lambda s: s[:-30], "vault.sealed_card_refused", id="cut off"),
    pytest.param({}, lambda _s: "a.b.c.d.e", "vault.sealed_card_refused", id="no JWE"),
    pytest.param({}, lambda _s: MIR, "vault.sealed_card_refused", id="a bare number"),
    pytest.param({}, lambda s: _swap(s, 0, HEADER_OF_ANOTHER_KEY), "vault.sealed_card_key_unknown", id="no such key"),
    pytest.param({}, lambda s: _swap(s, 0, HEADER_WITHOUT_KEY), "vault.sealed_card_key_unknown", id="no key named"),
]
HEADER_OF_ANOTHER_KEY = "eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkEyNTZHQ00iLCJraWQiOiJqd2VfOTk5In0"
HEADER_WITHOUT_KEY = "eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkEyNTZHQ00ifQ"


@pytest.mark.parametrize(("parts", "spoil", "code"), SEALED_BADLY)
async def test_a_sealed_card_that_is_not_right_is_refused_by_name(
    world: EntryWorld, service: httpx.AsyncClient, parts: dict[str, Any], spoil: Any, code: str
) -> None:
    keys = (await service.get("/card-keys")).json()
    if "iat" in parts:
        parts = {"iat": int(world.clock.at.timestamp()) + parts["iat"]}
    sealed = seal(keys, world.clock.at, **parts)
    body = {"merchant_id": MERCHANT, "sealed_card": spoil(sealed) if spoil else sealed}

    refused = await service.post("/sealed-cards", json=body, headers={"idempotency-key": "k"})

    assert refused.json()["code"] == code
    assert refused.status_code in (422, 409)
    assert MIR not in refused.text


async def test_a_key_of_another_purpose_opens_no_sealed_card(world: EntryWorld, service: httpx.AsyncClient) -> None:
    other = await world.ring.ensure(KeyPurpose.SAD, sad.SCOPE, world.clock.at)
    keys = (await service.get("/card-keys")).json()
    keys["keys"][0]["kid"] = f"jwe_{other.number}"
    body = {"merchant_id": MERCHANT, "sealed_card": seal(keys, world.clock.at)}

    refused = await service.post("/sealed-cards", json=body, headers={"idempotency-key": "k"})

    assert refused.json()["code"] == "vault.sealed_card_key_unknown"


async def test_a_key_that_was_renewed_still_opens_what_it_closed(world: EntryWorld, service: httpx.AsyncClient) -> None:
    old = (await service.get("/card-keys")).json()
    await world.ring.renew(KeyPurpose.JWE, "all", world.clock.at)
    body = {"merchant_id": MERCHANT, "sealed_card": seal(old, world.clock.at)}

    assert (await service.get("/card-keys")).json()["keys"][0]["kid"] != old["keys"][0]["kid"]
    assert (await service.post("/sealed-cards", json=body, headers={"idempotency-key": "k"})).status_code == 201


async def test_a_cvc_that_nobody_charged_is_swept_within_the_hour(
    world: EntryWorld, service: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    form = await open_form(service)
    token = (await enter(browser, form, typed())).json()["token"]
    world.clock.pass_(minutes=59)
    assert await sweeping.sweep_sad(world.vault) == 0
    world.clock.pass_(minutes=1)

    async with transaction(world.engine) as session:
        assert await sad.read(session, world.ring, token, now=world.clock.at) is None
    assert await sweeping.sweep_sad(world.vault) == 1
    assert await kept_cvcs(world) == 0


async def test_a_list_is_cut_where_the_caller_says(service: httpx.AsyncClient, browser: httpx.AsyncClient) -> None:
    for number, pan in enumerate((MIR, VISA, "5555555555554444")):
        await enter(browser, await open_form(service, f"order-{number}"), typed(pan))

    first = (await service.get(f"/merchants/{MERCHANT}/cards", params={"limit": 2})).json()
    rest = (
        await service.get(f"/merchants/{MERCHANT}/cards", params={"limit": 2, "after": first["items"][-1]["token"]})
    ).json()

    assert [card["scheme"] for card in first["items"] + rest["items"]] == ["mir", "visa", "mastercard"]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert (await service.get(f"/merchants/{OTHER}/cards")).json()["items"] == []
    assert (await service.get(f"/merchants/{MERCHANT}/cards", params={"limit": "many"})).status_code == 422


async def test_a_deleted_card_loses_its_cvc_too_and_is_not_listed(
    world: EntryWorld, service: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    token = (await enter(browser, await open_form(service), typed())).json()["token"]

    foreign = await service.delete(f"/merchants/{OTHER}/cards/{token}")
    gone = await service.delete(f"/merchants/{MERCHANT}/cards/{token}")

    assert (foreign.status_code, foreign.json()["code"]) == (404, "vault.token_not_found")
    assert (gone.status_code, gone.json()["status"]) == (200, "deleted")
    assert await kept_cvcs(world) == 0
    assert (await service.get(f"/merchants/{MERCHANT}/cards")).json()["items"] == []


async def test_a_cvc_is_in_no_write_ahead_log_though_its_card_is(
    world: EntryWorld,
    vault_database: VaultDatabase,
    server: Server,
    service: httpx.AsyncClient,
    browser: httpx.AsyncClient,
) -> None:
    await enter(browser, await open_form(service), typed())
    with psycopg.connect(vault_database.superuser_url, autocommit=True) as connection:
        (cvc,) = connection.execute("SELECT sealed FROM sad_volatile").fetchone() or (b"",)
        (pan,) = connection.execute("SELECT pan_sealed FROM cards").fetchone() or (b"",)
        connection.execute("SELECT pg_switch_wal()")

    written = b"".join(path.read_bytes() for path in (server.place.cluster / "pg_wal").glob("0*"))

    assert pan in written
    assert len(cvc) > 30
    assert cvc not in written


async def test_whoever_is_not_of_ours_gets_nothing_and_the_log_hears_of_it(
    world: EntryWorld, vault_database: VaultDatabase
) -> None:
    for role in ("", "vault", "stranger"):
        async with service_client(world.vault, role) as client:
            refused = await client.get(f"/merchants/{MERCHANT}/cards")

        assert (refused.status_code, refused.json()["code"]) == (403, "vault.peer_unknown")

    assert sum("peer.refused" in line for line in events(vault_database)) == 3


@pytest.mark.parametrize("key", [MIR, f"order {MIR}", "2200-1117-5357-9001"])
async def test_a_card_number_as_an_idempotency_key_is_refused_and_kept_nowhere(
    key: str, world: EntryWorld, service: httpx.AsyncClient
) -> None:
    answered = await service.post("/card-sessions", json=wanted(), headers={"idempotency-key": key})

    assert (answered.status_code, answered.json()["code"]) == (422, "vault.request_invalid")
    async with transaction(world.engine) as session:
        assert await session.scalar(text("SELECT count(*) FROM card_sessions")) == 0


@pytest.mark.parametrize("given", [MIR, "2200-1117-5357-9001", "req.2200-1117-5357-9001"])
async def test_a_request_id_that_is_a_card_number_is_not_taken(given: str, browser: httpx.AsyncClient) -> None:
    answered = await browser.get("/card-forms/unknown", headers={"request-id": given})

    assert answered.headers["request-id"].startswith("req_")


async def test_a_sealed_card_sent_twice_at_once_gets_one_card_and_no_refusal(
    world: EntryWorld, vault_database: VaultDatabase, service: httpx.AsyncClient
) -> None:
    body = {"merchant_id": MERCHANT, "sealed_card": seal((await service.get("/card-keys")).json(), world.clock.at)}

    async def send() -> httpx.Response:
        return await service.post("/sealed-cards", json=body, headers={"idempotency-key": "k1"})

    answers = await asyncio.gather(*(send() for _ in range(4)))

    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.json()["token"] for answer in answers}) == 1
    assert not any("card.entry_refused" in line for line in events(vault_database))


@pytest.mark.parametrize("buyer_id", ["1234567890123", "id:12345678901234567890", "2200-1117-5357-9001"])
async def test_a_buyer_named_by_a_long_number_is_refused_before_the_database_does(
    buyer_id: str, service: httpx.AsyncClient
) -> None:
    for path, more in (("/card-sessions", {"origin": SHOP}), ("/sealed-cards", {"sealed_card": "x"})):
        body = {"merchant_id": MERCHANT, "buyer_id": buyer_id, **more}
        answered = await service.post(path, json=body, headers={"idempotency-key": "k"})
        assert (answered.status_code, answered.json()["code"]) == (422, "vault.request_invalid"), answered.text
        assert buyer_id not in answered.text


async def test_a_buyer_may_be_named_by_a_uuid(service: httpx.AsyncClient) -> None:
    await open_form(service, buyer_id="019aab3e-1234-7123-8123-123456789012")


@pytest.mark.parametrize(
    "origin",
    ["https://[::1", "https://..", "https://shop.example:99999", "https://shop.example:0", "https://-a.example",
     "https://" + "a" * 64 + ".example", "https://" + "a." * 127 + "aa"],
)  # fmt: skip
async def test_an_origin_that_is_none_is_refused(origin: str, service: httpx.AsyncClient) -> None:
    answered = await service.post("/card-sessions", json=wanted(origin=origin), headers={"idempotency-key": "k"})

    assert (answered.status_code, answered.json()["code"]) == (422, "vault.origin_refused"), answered.text


async def test_addresses_with_zeros_or_digits_of_other_scripts_are_refused(
    service: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    zero = await browser.post("/card-forms/%00abc/card", json=typed())
    strange = [
        (await service.get(path)).status_code
        for path in ("/merchants/%00/cards", f"/merchants/{MERCHANT}/cards?after=%00",
                     f"/merchants/{MERCHANT}/cards?limit=%C2%B2", f"/merchants/{MERCHANT}/cards?limit={'1' * 5000}",
                     f"/merchants/{MERCHANT}/cards?limit=1000000001")
    ]  # fmt: skip

    assert zero.status_code == 404
    assert strange == [404, 422, 422, 422, 422]
    foreign = await browser.post("/vault/v1/sign-ins", json={}, headers={"origin": "http://[::1"})
    assert (foreign.status_code, foreign.json()["code"]) == (403, "access.page_foreign")
