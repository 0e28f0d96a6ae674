"""What the whole API is tried with: calls made of its own description, and a small world that they can name.

Random ids name nothing, so a merchant with a till is set up first, and most generated calls are fitted to it.
"""

from __future__ import annotations

import itertools
import os
import random
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import schemathesis
from schemathesis import checks

from tests.contracts.conftest import ACCOUNT, Installation

SHOWN = re.compile(r"[a-z]{3}_[0-9a-z]{26}")
LEFT_ALONE = 10
"""One call of so many keeps what was generated."""
NOT_TRIED = "^/v1/clock"
"""Moving the clock of an installation that others share."""
UNAVAILABLE = 503
"""Said of others that are away, with a code, and that the call may be repeated. Anything else above 499 is ours."""
keys = itertools.count(1)
chance = random.Random(6)


def breaks_nothing(_context: Any, response: Any, _case: Any) -> None:
    """No call breaks us: what a server says of itself is that somebody else is away, by a code."""
    if response.status_code >= 500:
        assert response.status_code == UNAVAILABLE, response.text
        assert response.json()["retryable"], response.text


CHECKS = (
    breaks_nothing, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_headers_conformance, checks.response_schema_conformance, checks.use_after_free,
)  # fmt: skip


def set_up(installation: Installation) -> dict[str, Any]:
    """A merchant with a till and whatever the description's own examples make; names by which calls ask for them."""
    merchant = installation.shop().id
    store = installation.made("/v1/stores", {"merchant_id": merchant, "name": "На Сретенке", "address": "Москва"})["id"]
    terminal = installation.made("/v1/terminals", {"store_id": store, "name": "Касса 1"})["id"]
    now = installation.now()
    world: dict[str, Any] = {
        "merchant_id": merchant, "store_id": store, "terminal_id": terminal, "inn": "7707083893", "bik": ACCOUNT.bik,
        "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number}, "tariff_group": "everyday",
        "phone": "+79993334444", "url": "https://shop.example/hook", "event_types": ["order.*"],
        "since": (now - timedelta(days=1)).isoformat().replace("+00:00", "Z"),
        "until": now.isoformat().replace("+00:00", "Z"),
    }  # fmt: skip
    told = installation.native.get("/openapi.json").json()
    for path, item in told["paths"].items():
        if "post" in item and "{" not in path and not re.search(NOT_TRIED, path):
            make_by_example(installation, path, item["post"], world)
    return world


def make_by_example(installation: Installation, path: str, operation: Mapping[str, Any], world: dict[str, Any]) -> None:
    """Call an operation with its example, fitted to the world, and remember what it made by the links it names."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    links = operation["responses"].get("201", {}).get("links", {})
    if not links or "example" not in content:
        return
    answer = installation.native.post(path, json=_fitted(content["example"], world), headers=_fresh_key())
    assert answer.status_code < 500 or answer.status_code == UNAVAILABLE, (path, answer.text)
    for link in links.values() if answer.status_code == 201 else ():
        for name, source in link["parameters"].items():
            world.setdefault(name, answer.json()[source.rpartition("/")[2]])


def _key_of(case: Any) -> str:
    """The key that was generated: one of a wrong length is to be refused, and stays."""
    return str((case.headers or {}).get("Idempotency-Key", ""))


def _fresh_key() -> dict[str, str]:
    return {"idempotency-key": f"whole-api-{os.getpid()}-{next(keys):012}"}


def fit(case: Any, world: Mapping[str, Any]) -> None:
    """Give a call a fresh idempotency key, and let most calls name what is there."""
    if case.method.upper() in ("POST", "PATCH") and 16 <= len(_key_of(case)) <= 255:
        case.headers["Idempotency-Key"] = _fresh_key()["idempotency-key"]
    if chance.randrange(LEFT_ALONE) == 0:
        return
    case.body = _fitted(case.body, world)
    for name, value in dict(case.path_parameters or {}).items():
        if name in world and not SHOWN.fullmatch(str(value)):
            case.path_parameters[name] = world[name]
    for name in (case.query or {}).keys() & world.keys():
        if isinstance(case.query[name], str):
            case.query[name] = world[name]


def _fitted(body: Any, world: Mapping[str, Any]) -> Any:
    if isinstance(body, list):
        return [_fitted(each, world) for each in body]
    if not isinstance(body, dict):
        return body
    return {
        name: world[name] if name in world and isinstance(value, type(world[name])) else _fitted(value, world)
        for name, value in body.items()
    }


def state_machine(installation: Installation, world: Mapping[str, Any]) -> Any:
    """Sequences of calls, each following a link of an answer before it."""
    told = installation.native.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(told)
    schema.config.update(base_url=installation.url)
    schema.config.generation.update(modes=[schemathesis.GenerationMode.POSITIVE])
    machine: Any = schema.exclude(path_regex=NOT_TRIED).as_state_machine()

    class WholeApi(machine):  # type: ignore[misc]
        def before_call(self, case: Any) -> None:
            fit(case, world)

        def get_call_kwargs(self, _case: Any) -> dict[str, Any]:
            return {"headers": dict(installation.native.headers), "verify": installation.ca}

        def validate_response(self, response: Any, case: Any, additional_checks: Any = None, **how: Any) -> None:
            case.validate_response(response, checks=[*CHECKS, *(additional_checks or ())], transport_kwargs=how)

    return WholeApi
