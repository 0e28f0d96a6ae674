"""The whole of Кошелёк Pay by the vault's own routes, down to an acquirer on a real port."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio

from ledger.database import Engine
from pci.errors import PciError
from tests.conftest import VaultDatabase
from tests.tokenization.charges.charge_world import MERCHANT, PAN, ChargeWorld, charge_world
from tests.vault_calls import service_client
from tokenization.acquirer_simulator.host import AcquirerHost
from tokenization.charges.messages import CONTACTLESS, E_COMMERCE, Message
from tokenization.ids import new_id
from tokenization.koshelek_pay import errors as device_errors
from tokenization.koshelek_pay.de55 import write_de55
from tokenization.koshelek_pay.phone import Phone, payment_fields
from tokenization.problems import STATUS, every_error
from tokenization.settings import VaultSettings
from tokenization.sweeping import sweep_device_payments

BUYER = "+79161234567"


@pytest_asyncio.fixture
async def charges(vault_engine: Engine, now: datetime) -> AsyncIterator[ChargeWorld]:
    async with charge_world(vault_engine, now) as world:
        yield world


@pytest_asyncio.fixture
async def api(charges: ChargeWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with service_client(replace(charges.desk.vault, acquirer=charges.desk.link)) as client:
        yield client


async def ask(api: httpx.AsyncClient, path: str, *, status: int = 200, **body: Any) -> Any:
    answered = await api.post(path, json={"merchant_id": MERCHANT, **body})
    assert answered.status_code == status, answered.text
    return answered.json()


async def register(api: httpx.AsyncClient) -> str:
    made = await ask(
        api, "/v1/token-requestors", status=201, name="Кошелёк", channels=["contactless", "ecom"],
        amount_kopecks_max=500_000_00,
    )  # fmt: skip
    return str(made["trid"])


async def put_on(api: httpx.AsyncClient, device_held: Phone, charges: ChargeWorld, **terms: Any) -> Any:
    device = {
        "installation_id": device_held.installation_id, "public_jwk": device_held.public_jwk,
        "attestation": device_held.attestation, "verdict": "trusted",
    }  # fmt: skip
    body = {"trid": await register(api), "card_token": charges.token, "channels": ["contactless"], "phone": BUYER}
    return await ask(api, "/v1/device-tokens", **{"status": 201, "device": device} | body | terms)


async def activate(api: httpx.AsyncClient, phone: Phone, token: Any, now: datetime) -> Any:
    text = (await api.get("/v1/sandbox/sms", params={"phone": BUYER})).json()["text"]
    code = re.search("[0-9]{6}", text)
    assert code
    await ask(api, f"/v1/device-tokens/{token['id']}/code", code=code.group())
    keys = await ask(api, f"/v1/device-tokens/{token['id']}/keys", request=phone.key_request(token["id"], now))
    phone.take_keys(keys["jwe"])
    return keys["device_token"]


def payment(token: Any, de55: str, amount: int = 149_990) -> dict[str, Any]:
    return {
        "id": new_id("att"), "device_token": token["id"], "trid": token["trid"], "mcc": "5411",
        "channel": "contactless", "amount_kopecks": amount, "de55": de55,
    }  # fmt: skip


async def test_a_card_is_put_on_a_phone_and_pays(api: httpx.AsyncClient, charges: ChargeWorld, now: datetime) -> None:
    phone = Phone()

    token = await put_on(api, phone, charges)
    assert (token["status"], token["decision"]) == ("awaiting_code", "yellow")
    assert token["findings"] == [{"rule": "card_is_new_here", "colour": "yellow", "reason": "Карта введена только что"}]
    token = await activate(api, phone, token, now)
    assert (token["status"], token["assurance"], token["is_payable"]) == ("active", "code", True)
    asked = payment(token, phone.pay(token["id"], 149_990, now))
    paid = await ask(api, "/v1/device-payments", status=201, **asked)

    assert (paid["status"], paid["response_code"], paid["atc"]) == ("approved", "00", 1)
    assert re.fullmatch("910A[0-9A-F]{16}3030", paid["issuer_data"])
    charge = await charges.read(asked["id"])
    assert (str(charge.status), charge.amount_kopecks, charge.card_token) == ("captured", 149_990, charges.token)
    seen = await api.get(f"/v1/device-payments/{asked['id']}", params={"merchant_id": MERCHANT})
    assert seen.json() == paid
    foreign = await api.get(f"/v1/device-payments/{asked['id']}", params={"merchant_id": "mer_other"})
    assert foreign.status_code == 404


async def test_a_payment_at_a_till_reaches_the_acquirer_as_one_by_a_chip(
    api: httpx.AsyncClient, charges: ChargeWorld, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = listen(monkeypatch)
    phone = Phone()
    token = await activate(api, phone, await put_on(api, phone, charges), now)
    chip = phone.pay(token["id"], 149_990, now)
    await ask(api, "/v1/device-payments", status=201, **payment(token, chip))

    (request,) = [message for message in heard if message.kind == "0200"]
    assert (request.fields["22"], request.fields["55"]) == (CONTACTLESS, chip)


async def test_a_payment_in_an_application_reaches_the_acquirer_as_e_commerce(
    api: httpx.AsyncClient, charges: ChargeWorld, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = listen(monkeypatch)
    phone = Phone()
    requestor = await ask(
        api, "/v1/token-requestors", status=201, name="Касса", channels=["ecom"], amount_kopecks_max=500_000_00
    )
    token = await put_on(api, phone, charges, trid=requestor["trid"], channels=["ecom"])
    token = await activate(api, phone, token, now)
    asked = payment(token, phone.pay(token["id"], 149_990, now)) | {"channel": "ecom"}
    await ask(api, "/v1/device-payments", status=201, **asked)

    (request,) = [message for message in heard if message.kind == "0200"]
    assert (request.fields["22"], request.fields.get("55")) == (E_COMMERCE, None)


def listen(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """What the acquirer hears from now on."""
    heard: list[Message] = []
    carry_out = AcquirerHost.carry_out

    def hearing(host: AcquirerHost, message: Message) -> Message:
        heard.append(message)
        return carry_out(host, message)

    monkeypatch.setattr(AcquirerHost, "carry_out", hearing)
    return heard


async def test_the_acquirers_no_is_the_devices_no(api: httpx.AsyncClient, charges: ChargeWorld, now: datetime) -> None:
    phone = Phone()
    token = await activate(api, phone, await put_on(api, phone, charges), now)
    asked = payment(token, phone.pay(token["id"], 9_900_51, now), 9_900_51)  # the simulator's sum for 51
    paid = await ask(api, "/v1/device-payments", status=201, **asked)

    assert (paid["status"], paid["response_code"]) == ("declined", "51")
    assert paid["issuer_data"].endswith("3531")


async def test_a_lost_answer_is_unknown_and_then_declined(
    api: httpx.AsyncClient, charges: ChargeWorld, now: datetime
) -> None:
    phone = Phone()
    token = await activate(api, phone, await put_on(api, phone, charges), now)
    charges.script("lost_answer")
    asked = payment(token, phone.pay(token["id"], 149_990, now))

    first = await ask(api, "/v1/device-payments", status=201, **asked)
    await charges.settle()
    second = await ask(api, f"/v1/device-payments/{asked['id']}/find-out")

    assert (first["status"], first["issuer_data"]) == ("unknown", None)
    assert (second["status"], second["response_code"], second["charge_status"]) == ("declined", "91", "reversed")
    assert await ask(api, "/v1/device-payments", status=201, **asked) == second
    never = await ask(api, f"/v1/device-payments/{new_id('att')}/find-out", status=404)
    assert never["code"] == "vault.device_payment_not_found"


async def test_a_payment_nobody_came_back_for_is_found_out_about(
    api: httpx.AsyncClient, charges: ChargeWorld, now: datetime
) -> None:
    phone = Phone()
    token = await activate(api, phone, await put_on(api, phone, charges), now)
    charges.script("lost_answer")
    asked = payment(token, phone.pay(token["id"], 149_990, now))
    await ask(api, "/v1/device-payments", status=201, **asked)
    await charges.settle()
    vault = replace(charges.desk.vault, acquirer=charges.desk.link)

    assert await sweep_device_payments(charges.desk.vault) == 0  # no acquirer, nobody to ask
    charges.clock.pass_by(minutes=3)
    assert (await sweep_device_payments(vault), await sweep_device_payments(vault)) == (1, 0)
    seen = await api.get(f"/v1/device-payments/{asked['id']}", params={"merchant_id": MERCHANT})
    assert (seen.json()["status"], seen.json()["response_code"]) == ("declined", "91")


async def test_the_number_that_the_terminal_saw_finds_the_token(
    api: httpx.AsyncClient, charges: ChargeWorld, now: datetime
) -> None:
    phone = Phone()
    token = await activate(api, phone, await put_on(api, phone, charges), now)
    asked = payment(token, phone.pay(token["id"], 149_990, now)) | {"device_token": phone.number_of(token["id"])}

    assert (await ask(api, "/v1/device-payments", status=201, **asked))["device_token"] == token["id"]
    foreign = asked | {"id": new_id("att"), "merchant_id": "mer_other"}
    assert (await ask(api, "/v1/device-payments", status=404, **foreign))["code"] == "vault.device_token_not_found"


async def test_every_denied_attempt_is_one_line_of_the_log(
    api: httpx.AsyncClient, charges: ChargeWorld, now: datetime, vault_database: VaultDatabase
) -> None:
    phone = Phone()
    token = await put_on(api, phone, charges)
    path = f"/v1/device-tokens/{token['id']}"
    text = (await api.get("/v1/sandbox/sms", params={"phone": BUYER})).json()["text"]
    code = re.search("[0-9]{6}", text)
    assert code
    wrong = f"{(int(code.group()) + 1) % 1_000_000:06d}"

    await ask(api, f"{path}/code", status=422, code=wrong)
    await ask(api, f"{path}/keys", status=403, request=Phone().key_request(token["id"], now))
    await ask(api, f"{path}/resume", status=409, suspender="buyer")
    await ask(api, f"{path}/code/resend", status=422, phone="+4912345")
    await ask(api, "/v1/device-payments", status=409, **payment(token, chip_of(1)))
    await ask(api, f"{path}/delete", status=404, merchant_id="mer_other")

    with psycopg.connect(vault_database.superuser_url) as connection:
        rows = connection.execute(
            "SELECT convert_from(event, 'UTF8')::jsonb FROM audit_events"
            " WHERE convert_from(event, 'UTF8')::jsonb ->> 'outcome' = 'refused' ORDER BY id"
        ).fetchall()
    assert [(row[0]["action"], row[0]["facts"].get("code")) for row in rows] == [
        ("device_token.code_refused", None),
        ("device_token.refused", "vault.device_signature_refused"),
        ("device_token.refused", "vault.device_suspension_not_yours"),
        ("device_token.refused", "vault.device_phone_refused"),
        ("device_token.payment_refused", "vault.device_token_not_active"),
        ("device_token.refused", "vault.device_token_not_found"),
    ]


def chip_of(atc: int) -> str:
    """Chip data of nobody's."""
    fields = payment_fields(149_990, atc, datetime(2026, 11, 22, 9, tzinfo=UTC))
    return write_de55({"9F26": bytes(8), **fields})


async def test_refusals_have_codes_and_repeat_nothing(
    api: httpx.AsyncClient, charges: ChargeWorld, now: datetime
) -> None:
    phone = Phone()
    token = await activate(api, phone, await put_on(api, phone, charges), now)
    de55 = phone.pay(token["id"], 149_990, now)
    bodies: list[tuple[dict[str, Any], str, int]] = [
        ({"de55": de55[:-2]}, "vault.de55_malformed", 422),
        ({"trid": "64300000000"}, "vault.device_requestor_differs", 422),
        ({"amount_kopecks": 1}, "vault.device_amount_differs", 422),
        ({"channel": "ecom"}, "vault.device_domain_refused", 422),
        ({"device_token": "dtk_unknown"}, "vault.device_token_not_found", 404),
        ({"pan": PAN}, "vault.request_invalid", 422),
    ]

    for changed, code, status in bodies:
        refused = await ask(api, "/v1/device-payments", status=status, **payment(token, de55) | changed)
        assert refused["code"] == code
        assert de55[20:60] not in str(refused)
        assert PAN not in str(refused)


async def test_a_token_is_held_back_let_go_and_deleted(
    api: httpx.AsyncClient, charges: ChargeWorld, now: datetime
) -> None:
    phone = Phone()
    token = await put_on(api, phone, charges)
    path = f"/v1/device-tokens/{token['id']}"

    held = await ask(api, f"{path}/suspend", suspender="buyer", reason="потерял")
    assert [one["suspender"] for one in held["suspensions"]] == ["buyer"]
    refused = await ask(api, f"{path}/resume", status=409, suspender="issuer")
    assert refused["code"] == "vault.device_suspension_not_yours"
    assert (await ask(api, f"{path}/resume", suspender="buyer"))["suspensions"] == []
    assert (await ask(api, f"{path}/delete"))["status"] == "deleted"
    refused = await ask(api, f"{path}/suspend", status=409, suspender="buyer", reason="потерял")
    assert refused["code"] == "vault.device_token_state_refused"
    assert (await api.get(path, params={"merchant_id": MERCHANT})).json()["status"] == "deleted"


async def test_devices_are_lost_found_and_wiped(api: httpx.AsyncClient, charges: ChargeWorld) -> None:
    token = await put_on(api, Phone(), charges)
    path = f"/v1/token-devices/{token['device_id']}"

    (held,) = (await ask(api, f"{path}/lose"))["items"]
    assert [one["suspender"] for one in held["suspensions"]] == ["buyer"]
    assert len((await ask(api, f"{path}/find"))["items"]) == 1
    (ended,) = (await ask(api, f"{path}/wipe"))["items"]
    assert ended["status"] == "deleted"
    listed = await api.get(f"{path}/tokens", params={"merchant_id": MERCHANT})
    assert [one["id"] for one in listed.json()["items"]] == [token["id"]]


async def test_eligibility_and_another_code(api: httpx.AsyncClient, charges: ChargeWorld) -> None:
    trid = await register(api)
    answer = await ask(api, "/v1/device-tokens/eligibility", trid=trid, card_token=charges.token)
    assert answer == {"scheme": "mir", "range_id": "mir_test"}
    listed = await api.get("/v1/token-requestors", params={"merchant_id": MERCHANT})
    assert [one["trid"] for one in listed.json()["items"]] == [trid]

    token = await put_on(api, Phone(), charges, phone=None)
    assert (await api.get("/v1/sandbox/sms", params={"phone": BUYER})).json() == {"text": None}
    await ask(api, f"/v1/device-tokens/{token['id']}/code/resend", phone=BUYER)
    assert (await api.get("/v1/sandbox/sms", params={"phone": BUYER})).json()["text"].startswith("Код ")


async def test_production_keeps_no_texts(charges: ChargeWorld) -> None:
    settings = VaultSettings(mode="production")
    async with service_client(replace(charges.desk.vault, settings=settings)) as api:
        answered = await api.get("/v1/sandbox/sms", params={"phone": BUYER})

    assert answered.json()["code"] == "vault.sms_box_absent"


def test_every_refusal_has_its_status() -> None:
    ours = [error for error in every_error(PciError) if error.__module__.startswith("tokenization.koshelek_pay")]

    assert device_errors.CryptogramWrong in ours
    assert [error.code for error in ours if error.code not in STATUS] == []
    codes = [error.code for error in ours]
    assert len(codes) == len(set(codes))
