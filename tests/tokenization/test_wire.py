"""The vault's door: what it refuses, and that it never repeats what it was sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.vault_calls import _client, public_client, service_client
from tokenization.app import _router
from tokenization.outermost import SERVICE_HEADERS, VaultDoor
from tokenization.settings import VaultSettings
from tokenization.vault import Vault
from tokenization.wire import PEER, Body, answer, peer_of, read

PAN = "2200111753579001"


class CardBody(Body):
    pan: str
    expires_on: date
    count: int = 0


@dataclass
class SealedRing:
    state: str = "sealed"


def vault() -> Vault:
    return Vault(cast(Any, None), cast(Any, None), cast(Any, SealedRing()), VaultSettings())


def echo() -> Any:
    async def take(request: Request) -> Response:
        peer = peer_of(request)
        body = await read(request, CardBody, bytes_max=1_000)
        return answer(body.model_copy(update={"pan": peer.actor}))

    async def break_down(_request: Request) -> Response:
        raise ValueError(PAN)

    app = VaultDoor(
        _router([Route("/cards", take, methods=["POST"]), Route("/bug", break_down)]), SERVICE_HEADERS, needs_peer=True
    )

    async def as_api(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, PEER: "api"}, receive, send)

    return _client(as_api, {"acting-for": "key_1", "content-type": "application/json"})


GOOD = f'{{"pan": "{PAN}", "expires_on": "2027-01-31"}}'
REFUSALS = [
    pytest.param("", "vault.json_invalid", 400, id="nothing"),
    pytest.param(f'{{"pan": "{PAN}"', "vault.json_invalid", 400, id="cut off"),
    pytest.param(f'{{"pan": "{PAN}", "pan": "1"}}', "vault.json_invalid", 400, id="a name twice"),
    pytest.param('{"pan": NaN}', "vault.json_invalid", 400, id="not a number"),
    pytest.param('{"pan": "a\\u0000"}', "vault.json_invalid", 400, id="a zero character"),
    pytest.param("[" * 900, "vault.json_invalid", 400, id="nested deep"),
    pytest.param(f'{{"pan": {PAN}, "expires_on": "2027-01-31"}}', "vault.request_invalid", 422, id="a number for text"),
    pytest.param(GOOD[:-1] + f', "{PAN}": 1}}', "vault.request_invalid", 422, id="an unknown field"),
    pytest.param(GOOD[:-1] + ', "count": 1.0}', "vault.request_invalid", 422, id="a fraction"),
    pytest.param(GOOD[:-1] + ', "count": true}', "vault.request_invalid", 422, id="a truth for a number"),
    pytest.param(f'"{PAN}"', "vault.request_invalid", 422, id="no object"),
    pytest.param(GOOD + " " * 1_000, "vault.body_too_large", 413, id="too large"),
]


@pytest.mark.parametrize(("sent", "code", "status"), REFUSALS)
async def test_a_body_of_another_form_is_refused_and_not_repeated(sent: str, code: str, status: int) -> None:
    async with echo() as client:
        refused = await client.post("/cards", content=sent)

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert PAN not in refused.text


async def test_a_good_body_is_read_and_the_caller_named() -> None:
    async with echo() as client:
        taken = await client.post("/cards", content=GOOD, headers={"request-id": "request-1"})

    assert taken.json() == {"pan": "caller:key_1", "expires_on": "2027-01-31", "count": 0}
    assert taken.headers["request-id"] == "request-1"
    assert taken.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("/nothing", "GET", {}, 404),
        ("/cards", "PUT", {}, 405),
        ("/cards", "POST", {"content-type": "text/plain"}, 415),
        ("/cards", "POST", {"content-encoding": "gzip"}, 415),
        ("/bug", "GET", {}, 500),
    ],
)
async def test_every_refusal_is_a_problem_document(path: str, method: str, headers: Any, status: int) -> None:
    async with echo() as client:
        refused = await client.request(method, path, headers=headers)

    assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")
    assert refused.json()["request_id"] == refused.headers["request-id"]
    assert PAN not in refused.text


async def test_a_card_number_is_no_request_id() -> None:
    async with echo() as client:
        answered = await client.get("/nothing", headers={"request-id": PAN})

    assert answered.headers["request-id"].startswith("req_")


async def test_a_sealed_vault_says_so_to_our_processes_and_only_lives_for_others() -> None:
    async with service_client(vault(), "worker") as client:
        asked = await client.get("/readyz")
    async with public_client(vault()) as client:
        assert (await client.get("/readyz")).status_code == 404
        assert (await client.get("/livez")).status_code == 200

    assert (asked.status_code, asked.json()) == (503, {"status": "sealed"})
