"""Loyalty cards and their presentment over the door: two merchants, their tills, phones and plastic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pydantic import SecretStr

from api import till_memory
from api.app import create_app
from api.callers import create_key
from api.guessing import WRONG_AT_ONCE
from api.settings import Settings
from checkout.bank_details import BankAccount, account_with_key
from checkout.barcode import ean_check_digit, number_of
from checkout.time_codes import step_of
from ledger.clock import machine_now
from ledger.database import Engine, transaction
from pci.secret import Secret
from tests.api.conftest import Client, new_key
from tests.api.installment_world import licensed, today_plus
from tests.ledger.waiting import is_waiting_for_a_lock

ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
SCOPES = ("loyalty:read", "loyalty:write", "orders:read", "orders:write")


@dataclass
class Tills:
    """Two merchants with a till each; the first has a card that a phone shows."""

    app: FastAPI
    ours: Client
    others: Client
    tenant: Client
    merchant_id: str
    terminal_id: str
    other_terminal_id: str
    card: dict[str, Any]
    showing_id: str

    async def shown(self) -> str:
        path = f"/v1/loyalty-cards/{self.card['id']}/showings/{self.showing_id}/barcode"
        return str((await self.ours.get(path)).json()["text"])

    async def wait(self, seconds: int) -> None:
        """Time passes, by the sandbox's own clock."""
        assert (await self.tenant.post("/v1/clock/advance", {"seconds": seconds})).status_code in (200, 201)
        await self.app.state.door.read_clock()

    async def scan(self, barcode: str, *, by: Client | None = None, **options: Any) -> httpx.Response:
        body = {"terminal_id": options.pop("terminal_id", self.terminal_id), "barcode": barcode}
        return await (by or self.ours).post("/v1/presentments", body, **options)


@pytest_asyncio.fixture
async def tills(database: Any, engine: Engine) -> AsyncIterator[Tills]:
    app = create_app(Settings(database_url=SecretStr(database.app_url), log_level="error"))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://k.test") as http,
    ):
        tenant = Client(http, app, await key_of(engine, None))
        merchants, terminals = [], []
        for name in ("Кофейня", "Другая"):
            merchant = await made(tenant, "/v1/merchants", {
                "name": name, "legal_name": f"ООО «{name}»", "inn": "7707083893", "tariff_group": "standard",
                "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
            })  # fmt: skip
            merchants.append(merchant["id"])
            place = {"merchant_id": merchant["id"], "name": "На углу", "address": "Ленина, 1"}
            store = await made(tenant, "/v1/stores", place)
            terminal = await made(tenant, "/v1/terminals", {"store_id": store["id"], "name": "Касса 1"})
            terminals.append(terminal["id"])
        ours, others = [Client(http, app, await key_of(engine, merchant)) for merchant in merchants]
        card = await made(ours, "/v1/loyalty-cards", {"programme": "kofeinya", "phone": "8 (916) 123-45-67"})
        showing = await made(ours, f"/v1/loyalty-cards/{card['id']}/showings")
        yield Tills(app, ours, others, tenant, merchants[0], *terminals, card, showing["id"])


async def key_of(engine: Engine, merchant_id: str | None) -> str:
    scopes = ["admin"] if merchant_id is None else SCOPES
    async with transaction(engine) as session:
        _, secret = await create_key(
            session, name="t", scopes=scopes, mode="test", now=machine_now(), merchant_id=merchant_id
        )
    return secret.expose()


async def made(client: Client, path: str, body: Any = None) -> dict[str, Any]:
    answered = await client.post(path, body)
    assert answered.status_code == 201, answered.text
    return dict(answered.json())


def code_of(answered: httpx.Response) -> str:
    assert answered.json()["cashier_tip"], answered.text
    return str(answered.json()["code"])


async def test_a_scanned_phone_may_pay_once_and_its_repeat_is_the_same_answer(tills: Tills) -> None:
    barcode, key = await tills.shown(), new_key()
    first = await tills.scan(barcode, key=key)
    again = await tills.scan(barcode, key=key)
    replayed = await tills.scan(barcode)

    assert first.status_code == 201
    said = first.json()
    assert said["loyalty_card_id"] == tills.card["id"]
    assert (said["merchant_id"], said["terminal_id"]) == (tills.merchant_id, tills.terminal_id)
    assert said["is_payment_available"]
    assert "sbp" in said["rails"]
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert (replayed.status_code, code_of(replayed)) == (409, "checkout.barcode_used")
    assert (await tills.ours.get(first.headers["location"])).json() == said
    assert [one["id"] for one in (await tills.ours.get("/v1/presentments")).json()["items"]] == [said["id"]]


async def test_of_many_tills_that_scan_one_barcode_one_gets_it(tills: Tills) -> None:
    barcode = await tills.shown()
    answered = await asyncio.gather(*(tills.scan(barcode) for _ in range(12)))

    assert sorted(one.status_code for one in answered) == [201] + [409] * 11


async def test_of_scans_taken_down_together_each_has_its_own_answer(tills: Tills) -> None:
    phone, plastic, nobodys, key = await tills.shown(), tills.card["number"], number_of("000000000"), new_key()
    blocked = await made(tills.ours, "/v1/loyalty-cards", {"programme": "kofeinya"})
    assert (await tills.ours.post(f"/v1/loyalty-cards/{blocked['id']}/block", {"reason": "Потеряна"})).is_success
    scanned = (phone, plastic, nobodys, blocked["number"], plastic)

    answered = await asyncio.gather(
        *(tills.scan(barcode) for barcode in scanned),
        *(tills.scan(plastic, key=key) for _ in range(3)),
    )

    own, same = answered[: len(scanned)], answered[len(scanned) :]
    assert [one.status_code for one in own] == [201, 201, 404, 422, 201]
    assert [one.json().get("is_payment_available") for one in own] == [True, False, None, None, False]
    assert len({one.json()["id"] for one in (own[0], own[1], own[4], same[0])}) == 4
    assert {(one.status_code, one.content) for one in same} == {(201, same[0].content)}
    for one in (own[0], own[1], own[4], same[0]):
        assert (await tills.ours.get(one.headers["location"])).json() == one.json()
    assert len((await tills.ours.get("/v1/presentments")).json()["items"]) == 4


async def test_scans_whose_key_was_answered_since_they_looked_go_the_long_way(
    tills: Tills, engine: Engine, database: Any
) -> None:
    key, plastic = new_key(), tills.card["number"]
    first = await tills.scan(plastic)
    copied = """INSERT INTO idempotency_keys
        SELECT (jsonb_populate_record(k, jsonb_build_object('key', %s::text))).*
          FROM idempotency_keys AS k WHERE resource_id = %s"""
    async with await psycopg.AsyncConnection.connect(database.superuser_url) as other:
        await other.execute(copied, [key, first.json()["id"]])
        scans = [asyncio.create_task(tills.scan(plastic, key=each)) for each in (key, new_key(), new_key())]
        await is_waiting_for_a_lock(engine)
    answered = await asyncio.gather(*scans)

    assert answered[0].content == first.content
    assert [one.status_code for one in answered] == [201, 201, 201]
    assert len((await tills.ours.get("/v1/presentments")).json()["items"]) == 3


@pytest.mark.parametrize("with_check_digit", [True, False])
async def test_plastic_is_good_for_loyalty_alone_however_often(tills: Tills, *, with_check_digit: bool) -> None:
    number = tills.card["number"]
    text = number + ean_check_digit(number) if with_check_digit else number
    answered = [await tills.scan(text) for _ in range(2)]

    for one in answered:
        assert one.status_code == 201, one.text
        said = one.json()
        assert said["loyalty_card_id"] == tills.card["id"]
        assert (said["is_payment_available"], said["rails"]) == (False, [])
        assert said["unavailable_reason"] == "static_barcode"
    assert answered[0].json()["id"] != answered[1].json()["id"]


async def test_a_scan_names_the_rail_that_the_buyer_has_chosen(tills: Tills, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/v1/loyalty-cards/{tills.card['id']}/preferred-rail"
    assert (await tills.ours.post(path, {"rail": "card"})).status_code == 200
    key, barcode = new_key(), await tills.shown()
    short = await tills.scan(barcode, key=key)
    again = await tills.scan(barcode, key=key)
    monkeypatch.setattr("api.routes.presentments.present_shortly", _no_short_way)
    await tills.wait(60)
    long = await tills.scan(await tills.shown())

    assert again.content == short.content
    assert short.json()["preferred_rail"] == long.json()["preferred_rail"] == "card"
    assert (await tills.ours.get(short.headers["location"])).json() == short.json()
    assert (await tills.scan(tills.card["number"])).json()["preferred_rail"] is None


async def test_a_till_without_rails_is_good_for_loyalty_alone(
    tills: Tills, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    for rail in (await tills.scan(await tills.shown())).json()["rails"]:
        await made(tills.tenant, "/v1/premises/rollouts", {
            "merchant_id": tills.merchant_id, "rail": rail, "level": "terminal", "place": tills.terminal_id,
            "effective_on": "2020-01-01", "is_on": False,
        })  # fmt: skip
    tills.app.state.door.tills.forget()
    await tills.wait(60)

    said = (await tills.scan(await tills.shown())).json()

    assert (said["is_payment_available"], said["unavailable_reason"]) == (False, "no_rails")


async def test_plans_are_offered_when_the_merchant_has_terms_and_we_a_licence(tills: Tills) -> None:
    async def rails() -> list[str]:
        tills.app.state.door.tills.forget()
        await tills.wait(60)
        return list((await tills.scan(await tills.shown())).json()["rails"])

    before = await rails()
    terms = {"merchant_id": tills.merchant_id, "product_code": "dolyame", "fee_basis_points": 690}
    await made(tills.tenant, "/v1/installments/merchant-terms", {**terms, "effective_on": today_plus(0)})
    without_licence = await rails()
    await licensed(tills.tenant)

    assert before == without_licence == ["sbp", "card", "koshelek_pay"]
    assert await rails() == ["sbp", "dolyame", "card", "koshelek_pay"]


async def test_a_scan_does_not_wait_for_rails_that_are_slow_to_be_told(
    tills: Tills, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any, **__: Any) -> tuple[str, ...]:
        await asyncio.sleep(60)
        return ()

    monkeypatch.setattr(till_memory, "open_rails", never)
    monkeypatch.setattr(till_memory, "RAILS_SECONDS_MAX", 0.01)
    said = (await tills.scan(await tills.shown())).json()

    assert said["loyalty_card_id"] == tills.card["id"]
    assert (said["is_payment_available"], said["unavailable_reason"]) == (False, "not_known_in_time")


async def test_the_long_way_says_the_same_as_the_short(tills: Tills, monkeypatch: pytest.MonkeyPatch) -> None:
    short = (await tills.scan(await tills.shown())).json()
    monkeypatch.setattr("api.routes.presentments.present_shortly", _no_short_way)
    await tills.wait(60)
    long = (await tills.scan(await tills.shown())).json()

    changing = {"id", "presented_at"}
    assert {name: value for name, value in long.items() if name not in changing} == {
        name: value for name, value in short.items() if name not in changing
    }


async def _no_short_way(*_: Any) -> None:
    return None


@pytest.mark.parametrize(
    ("barcode", "status", "code"),
    [
        ("4006381333931", 422, "checkout.barcode_unreadable"),
        ("K1291234567893S000112345678", 422, "checkout.barcode_unreadable"),
        (number_of("000000000"), 404, "checkout.loyalty_card_not_found"),
        ("\x00", 400, "api.json_invalid"),
        ("9" * 65, 422, "api.request_invalid"),
    ],
)
async def test_what_is_no_card_of_the_till_is_refused_with_a_tip(
    tills: Tills, barcode: str, status: int, code: str
) -> None:
    answered = await tills.scan(barcode)

    assert (answered.status_code, answered.json()["code"]) == (status, code)


async def test_an_old_barcode_an_ended_phone_and_a_blocked_card_are_refused(tills: Tills) -> None:
    card = f"/v1/loyalty-cards/{tills.card['id']}"
    old = await tills.shown()
    await tills.wait(120)
    assert code_of(await tills.scan(old)) == "checkout.barcode_not_of_now"

    ended = await tills.shown()
    assert (await tills.ours.post(f"{card}/showings/{tills.showing_id}/close")).json()["ended_at"]
    assert code_of(await tills.scan(ended)) == "checkout.showing_ended"
    assert code_of(await tills.ours.get(f"{card}/showings/{tills.showing_id}/barcode")) == "checkout.showing_ended"

    blocked = await tills.ours.post(f"{card}/block", {"reason": "Потеряна"})
    assert (blocked.json()["status"], blocked.json()["version"]) == ("blocked", 2)
    assert (await tills.ours.post(f"{card}/block", {"reason": "Ещё раз"})).json() == blocked.json()
    assert code_of(await tills.scan(tills.card["number"])) == "checkout.loyalty_card_blocked"
    assert code_of(await tills.ours.post(f"{card}/showings")) == "checkout.loyalty_card_blocked"
    assert (await tills.ours.post(f"{card}/resume")).json()["status"] == "active"
    assert (await tills.scan(tills.card["number"])).status_code == 201


async def test_a_card_is_found_by_its_phone_however_it_is_written(tills: Tills) -> None:
    for phone in ("+79161234567", "89161234567", "9161234567", "7 916 123 45 67"):
        found = await tills.ours.post("/v1/loyalty-cards/find", {"phone": phone})
        assert [card["id"] for card in found.json()["items"]] == [tills.card["id"]]
        assert "9161234567" not in found.text.replace("-", "")
    by_number = await tills.ours.post("/v1/loyalty-cards/find", {"number": tills.card["number"]})
    assert by_number.json()["items"][0]["id"] == tills.card["id"]

    assert code_of(await tills.ours.post("/v1/loyalty-cards/find", {"phone": "12"})) == (
        "checkout.loyalty_phone_malformed"
    )
    assert (await tills.ours.post("/v1/loyalty-cards/find", {"phone": "+79990000000"})).status_code == 404
    assert (await tills.ours.post("/v1/loyalty-cards/find", {})).status_code == 422


async def test_an_anonymous_card_becomes_somebodys_and_a_phone_has_one_card(tills: Tills) -> None:
    anonymous = await made(tills.ours, "/v1/loyalty-cards", {"programme": "kofeinya"})
    assert anonymous["is_anonymous"]
    path = f"/v1/loyalty-cards/{anonymous['id']}/phone"

    taken = await tills.ours.post(path, {"phone": "+79161234567"})
    assert (taken.status_code, code_of(taken)) == (409, "checkout.loyalty_phone_taken")
    assert taken.json()["facts"]["loyalty_card_id"] == tills.card["id"]
    known = (await tills.ours.post(path, {"phone": "+79031112233"})).json()
    assert (known["is_anonymous"], known["version"]) == (False, 2)
    assert (await tills.ours.post(path, {"phone": "89031112233"})).json()["version"] == 2

    again = await tills.ours.post("/v1/loyalty-cards", {"programme": "kofeinya", "phone": "9031112233"})
    assert code_of(again) == "checkout.loyalty_phone_taken"
    await made(tills.ours, "/v1/loyalty-cards", {"programme": "another", "phone": "9031112233"})
    found = await tills.ours.post("/v1/loyalty-cards/find", {"phone": "9031112233"})
    assert len(found.json()["items"]) == 2


async def test_another_merchant_sees_no_card_no_phone_and_no_scan(tills: Tills) -> None:
    scan = (await tills.scan(await tills.shown())).json()
    await tills.wait(60)
    card, others = f"/v1/loyalty-cards/{tills.card['id']}", tills.others

    for path in (card, f"{card}/barcode", f"{card}/showings", f"{card}/showings/{tills.showing_id}/secret",
                 f"{card}/showings/{tills.showing_id}/image", f"/v1/presentments/{scan['id']}"):  # fmt: skip
        assert (await others.get(path)).status_code == 404, path
    for path, body in ((f"{card}/block", {"reason": "x"}), (f"{card}/phone", {"phone": "+79990000000"}),
                       (f"{card}/showings", None), (f"{card}/resume", None)):  # fmt: skip
        assert (await others.post(path, body)).status_code == 404, path
    assert (await others.get("/v1/loyalty-cards")).json()["items"] == []
    assert (await others.get(f"/v1/presentments?merchant_id={tills.merchant_id}")).json()["items"] == []
    assert (await others.post("/v1/loyalty-cards/find", {"phone": "+79161234567"})).status_code == 404
    foreign = {"programme": "x", "merchant_id": tills.merchant_id}
    assert (await others.post("/v1/loyalty-cards", foreign)).status_code == 404

    at_theirs = await tills.scan(await tills.shown(), by=others, terminal_id=tills.other_terminal_id)
    at_ours = await tills.scan(await tills.shown(), by=others)
    assert {at_theirs.status_code, at_ours.status_code} == {404}
    assert (await tills.scan(await tills.shown())).status_code == 201  # and their tries spent nothing


@pytest.mark.parametrize("is_phone", [True, False], ids=["a phone's code", "plastic"])
async def test_anothers_till_is_told_like_one_that_is_not_there(tills: Tills, *, is_phone: bool) -> None:
    barcode = await tills.shown() if is_phone else tills.card["number"]

    theirs = await tills.scan(barcode, terminal_id=tills.other_terminal_id)
    nobodys = await tills.scan(barcode, terminal_id="ter_00000000000000000000000000")

    same = ("status", "code", "title", "detail", "retryable", "cashier_tip")
    assert code_of(theirs) == "checkout.terminal_not_found"
    assert [theirs.json()[name] for name in same] == [nobodys.json()[name] for name in same]
    assert theirs.json()["facts"].keys() == nobodys.json()["facts"].keys()


async def test_a_phone_with_the_secret_makes_the_same_barcodes_without_a_network(tills: Tills) -> None:
    import pyotp

    path = f"/v1/loyalty-cards/{tills.card['id']}/showings/{tills.showing_id}"
    answered = await tills.ours.get(f"{path}/secret")
    told = answered.json()
    now = tills.app.state.door.clock.now()
    import hashlib

    phone = pyotp.TOTP(told["secret_base32"], digits=told["digits"], digest=hashlib.sha256)

    assert answered.headers["cache-control"] == "no-store"
    assert (await tills.scan(told["barcode_prefix"] + phone.at(now))).status_code == 201
    assert step_of(now) > 0


@pytest.mark.parametrize("kind", ["ean_13", "code_128", "qr_code"])
async def test_barcodes_are_drawn(tills: Tills, kind: str) -> None:
    card = f"/v1/loyalty-cards/{tills.card['id']}"
    plastic = await tills.ours.get(f"{card}/barcode?kind={kind}")
    shown = await tills.ours.get(f"{card}/showings/{tills.showing_id}/image?kind={kind}")

    assert plastic.headers["content-type"] == "image/svg+xml"
    assert plastic.text.startswith("<svg")
    if kind == "ean_13":
        assert code_of(shown) == "checkout.barcode_unreadable"
    else:
        assert shown.text.startswith("<svg")


async def test_cards_are_listed_by_programme_and_page(tills: Tills) -> None:
    for _ in range(2):
        await made(tills.ours, "/v1/loyalty-cards", {"programme": "another"})
    first = (await tills.ours.get("/v1/loyalty-cards?programme=another&limit=1")).json()
    second = (await tills.ours.get(f"/v1/loyalty-cards?programme=another&limit=1&after={first['next']}")).json()

    assert (first["has_more"], second["has_more"]) == (True, False)
    assert first["items"][0]["id"] < second["items"][0]["id"]


async def test_a_house_without_a_key_sells_without_cards(tills: Tills, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.loyalty_key.buyers_key", _no_key)

    assert (await tills.scan(number_of("000000000"))).json()["code"] == "checkout.loyalty_key_missing"


def _no_key(_settings: Settings) -> Secret | None:
    return None


async def test_what_is_done_to_a_card_is_told_and_holds_no_phone(tills: Tills) -> None:
    events = (await tills.tenant.get("/v1/events?limit=200")).json()["items"]
    mine = [event for event in events if event["object_id"] == tills.card["id"]]

    assert [event["type"] for event in mine] == ["loyalty_card.issued", "loyalty_card.shown"]
    assert "9161234567" not in str(events)


async def test_of_codes_that_are_guessed_few_are_looked_at(tills: Tills) -> None:
    shown = await tills.shown()
    stem = shown[:-8]
    guesses = [f"{stem}{code:08d}" for code in range(WRONG_AT_ONCE + 1) if f"{code:08d}" != shown[-8:]]
    theirs = [code_of(await tills.scan(guess, by=tills.others)) for guess in guesses[:WRONG_AT_ONCE]]
    tried = [await tills.scan(guess) for guess in guesses[:WRONG_AT_ONCE]]
    right = await tills.scan(shown)
    plastic = await tills.scan(tills.card["number"])
    waited = passes(tills.app, minutes=1)
    late = await tills.scan(await tills.shown())

    assert set(theirs) == {code_of(one) for one in tried} == {"checkout.barcode_not_of_now"}
    assert (right.status_code, code_of(right)) == (429, "api.rate_limited")
    assert 1 <= int(right.headers["retry-after"]) <= 30
    assert plastic.status_code == 201
    assert waited
    assert late.status_code == 201, late.text


async def test_of_phones_that_are_tried_few_are_looked_for(tills: Tills) -> None:
    misses = tills.app.state.door.misses
    misses.at_once = 3
    path, ours = "/v1/loyalty-cards/find", {"merchant_id": tills.merchant_id, "number": tills.card["number"]}
    nobodys = [{"phone": "9160000001"}, {"phone": "9160000002"}, {"number": "290000000000"}]

    found = [await tills.ours.post(path, ours) for _ in range(5)]
    missed = [await tills.ours.post(path, {"merchant_id": tills.merchant_id, **each}) for each in nobodys]
    refused = await tills.ours.post(path, ours)
    other = await tills.tenant.post(path, ours)
    misses._wrong = {name: (wrong, at - misses.seconds_each) for name, (wrong, at) in misses._wrong.items()}
    late = await tills.ours.post(path, ours)

    assert {one.status_code for one in (*found, other, late)} == {200}
    assert {code_of(one) for one in missed} == {"checkout.loyalty_card_not_found"}
    assert (refused.status_code, code_of(refused)) == (429, "api.rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 10


def passes(app: FastAPI, *, minutes: int) -> bool:
    """So many minutes pass for what was guessed."""
    kept = app.state.door.guesses._wrong
    kept.update({name: (wrong, at - 60 * minutes) for name, (wrong, at) in kept.items()})
    return bool(kept)
