"""Every code of an error that the contract documents, provoked once, and always in the contract's form."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from api.app import create_app
from api.contracts.yookassa.entrance import PREFIX
from api.settings import Settings
from tests.contracts.conftest import Installation, Shop, until
from tests.contracts.test_yookassa import QR


@pytest.fixture(scope="module")
def a_shop(installation: Installation) -> Shop:
    return installation.shop()


@pytest.fixture(scope="module")
def http(installation: Installation, a_shop: Shop) -> Iterator[httpx.Client]:
    with installation.client(a_shop) as client:
        yield client


def key() -> dict[str, str]:
    return {"idempotence-key": str(uuid.uuid4())}


def code_of(answer: httpx.Response) -> str:
    """The error's code; whatever goes wrong, the form is the contract's and never a problem document."""
    said = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert said["type"] == "error"
    assert said["id"]
    assert said["description"]
    return str(said["code"])


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        pytest.param("GET", "/payments/not-an-id", {}, 404, "not_found", id="an id that is none"),
        pytest.param("GET", f"/payments/{uuid.uuid4()}", {}, 404, "not_found", id="an unknown payment"),
        pytest.param("GET", f"/refunds/{uuid.uuid4()}", {}, 404, "not_found", id="an unknown refund"),
        pytest.param("DELETE", f"/webhooks/wh-{uuid.uuid4()}", {}, 404, "not_found", id="an unknown webhook"),
        pytest.param("GET", "/invoices", {}, 404, "not_found", id="a resource we do not have"),
        pytest.param("PUT", "/payments", {"headers": key()}, 405, "invalid_request", id="a wrong method"),
        pytest.param("POST", "/payments", {"json": QR}, 400, "invalid_request", id="no key"),
        pytest.param(
            "POST", "/payments", {"json": QR, "headers": {"idempotence-key": "k" * 65}}, 400, "invalid_request",
            id="a key too long",
        ),
        pytest.param(
            "POST", "/payments", {"content": b"{", "headers": {**key(), "content-type": "application/json"}}, 400,
            "invalid_request", id="no JSON",
        ),
        pytest.param(
            "POST", "/payments", {"content": b"<a/>", "headers": {**key(), "content-type": "text/xml"}}, 415,
            "invalid_request", id="another media type",
        ),
        pytest.param("GET", "/payments?limit=101", {}, 400, "invalid_request", id="too long a page"),
        pytest.param("GET", "/payments?cursor=xyz", {}, 400, "invalid_request", id="a strange cursor"),
        pytest.param("GET", "/payments?status=paid", {}, 400, "invalid_request", id="a strange status"),
        pytest.param("GET", "/payments?created_at.gt=today", {}, 400, "invalid_request", id="a strange instant"),
    ],
)  # fmt: skip
def test_errors_have_the_contracts_form(
    method: str, path: str, options: dict[str, Any], status: int, code: str, http: httpx.Client
) -> None:
    answer = http.request(method, path, **options)

    assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.parametrize("value", ["0.00", "1499.9", "1499", "-1.00", "1e3", "1499,90", "01.00", 1499.9])
def test_an_amount_is_positive_and_has_two_decimals(value: Any, http: httpx.Client) -> None:
    answer = http.post("/payments", json={**QR, "amount": {"value": value, "currency": "RUB"}}, headers=key())

    assert (code_of(answer), answer.json()["parameter"]) == ("invalid_request", "amount.value")


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/plain",
        "https://10.0.0.1/inside",
        "https://[::ffff:169.254.169.254]/latest",
        "https://user:secret@shop.example/",
        "https://shop.example:8080/",
        "https://printer.local/",
        "ftp://shop.example/",
        "https:///nobody",
    ],
)
def test_a_webhook_goes_to_public_hosts_only(url: str, http: httpx.Client) -> None:
    answer = http.post("/webhooks", json={"event": "payment.succeeded", "url": url}, headers=key())

    assert (code_of(answer), answer.json()["parameter"]) == ("invalid_request", "url")


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12) | st.sampled_from(["1.00", "RUB", "qr", "sbp", "\ud800", "4111111111111111", "a" * 3000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
PLACES = st.sampled_from([
    ("amount",), ("amount", "value"), ("amount", "currency"), ("capture",), ("payment_method_data",),
    ("payment_method_data", "type"), ("confirmation",), ("confirmation", "type"), ("confirmation", "return_url"),
    ("pos_link",), ("recipient",), ("recipient", "gateway_id"), ("description",), ("metadata",), ("receipt",),
    ("merchant_customer_id",),
])  # fmt: skip


@given(PLACES, ODD)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_odd_value_breaks_anything(http: httpx.Client, place: tuple[str, ...], odd: Any) -> None:
    body: dict[str, Any] = json.loads(json.dumps(QR))
    inside = body
    for name in place[:-1]:
        inside = inside.setdefault(name, {})
    inside[place[-1]] = odd
    headers = {**key(), "content-type": "application/json"}

    answer = http.post("/payments", content=json.dumps(body), headers=headers)

    if answer.status_code != 200:
        assert (answer.status_code, code_of(answer)) == (400, "invalid_request")
        assert "4111111111111111" not in answer.text


async def called(chosen: Settings, path: str, auth: tuple[str, str], times: int) -> httpx.Response:
    """The last answer of an application of its own, called without a socket."""
    app = create_app(chosen)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://kopeyka.test", auth=auth) as client,
    ):
        for _ in range(times):
            answer = await client.get(PREFIX + path)
    return answer


@pytest.mark.usefixtures("buckets_stay_empty")
async def test_too_many_requests_are_told_when_to_come_back(installation: Installation, a_shop: Shop) -> None:
    narrow = Settings(database_url=SecretStr(installation.database_url), rate_limit_per_second=1, log_level="critical")

    answer = await called(narrow, "/payments", (a_shop.id, a_shop.secret), 4)

    assert (answer.status_code, code_of(answer)) == (429, "too_many_requests")
    assert answer.json()["retry_after"] >= 1000


async def test_a_database_that_is_away_is_an_internal_server_error() -> None:
    nowhere = Settings(database_url=SecretStr("postgresql://x@127.0.0.1:1/x"), log_level="critical")

    answer = await called(nowhere, "/payments", ("mer_1", "kp_test_x"), 1)

    assert (answer.status_code, code_of(answer)) == (500, "internal_server_error")


def test_no_credentials_are_invalid_credentials(installation: Installation, http: httpx.Client) -> None:
    answer = http.get("/payments", headers={"authorization": "Basic !!!"}, auth=None)

    assert (answer.status_code, code_of(answer)) == (401, "invalid_credentials")
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_a_key_of_the_house_speaks_for_the_shop_it_names(installation: Installation, a_shop: Shop) -> None:
    house = installation.native.headers["authorization"].removeprefix("Bearer ")

    with installation.client(Shop(a_shop.id, house)) as client:
        assert client.get("/payments").status_code == 200
    with installation.client(Shop("mer_nobody", house)) as client:
        assert code_of(client.get("/payments")) == "invalid_credentials"
    with installation.client(a_shop) as client:
        client.auth = None
        assert code_of(client.get("/payments", headers={"authorization": f"Bearer {house}"})) == "forbidden"
        assert client.get("/payments", headers={"authorization": f"Bearer {a_shop.secret}"}).status_code == 200


def test_the_same_key_at_once_makes_one_payment(http: httpx.Client) -> None:
    same = key()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: http.post("/payments", json=QR, headers=same), range(6)))

    assert {answer.status_code for answer in answers} <= {200, 202}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 200}) == 1


def test_a_lost_answer_is_202_with_the_time_to_come_back(installation: Installation, http: httpx.Client) -> None:
    same = key()
    installation.faults(lost_answer=1.0, seed=1)
    try:
        answer = http.post("/payments", json=QR, headers=same)
    finally:
        installation.faults()

    assert (answer.status_code, answer.json()["type"]) == (202, "processing")
    assert (answer.json()["retry_after"], answer.headers["retry-after"]) == (1000, "1")
    made = until(lambda: http.post("/payments", json=QR, headers=same), lambda again: again.status_code == 200)
    assert made.json()["confirmation"]["confirmation_data"].startswith("https://qr.nspk.ru/")
    again = http.post("/payments", json=QR, headers=same)
    assert (again.content, again.headers["idempotent-replayed"]) == (made.content, "true")
