"""People over the wire: every route for every role, cookies, foreign pages, and what is never said or written."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.routing import Route

from ledger.database import Engine
from pci.access.roles import Role
from tests.conftest import VaultDatabase
from tests.pci.access.world import PASSWORD, events, secret_in
from tests.tokenization.people_world import MIR, STEP, Desk, Secret, code, make_desk, terms
from tokenization.app import public_routes
from tokenization.problems import STATUS, every_error
from tokenization.routes import card_form, health
from tokenization.sign_in_cookie import COOKIE

SOME = "per_" + "a" * 26
OFFICER, ADMIN, SUPPORT, AUDITOR, CUSTODIAN = (
    Role.SECURITY_OFFICER, Role.ADMIN, Role.SUPPORT, Role.AUDITOR, Role.CUSTODIAN,
)  # fmt: skip
EVERYBODY = frozenset(Role)
REASON = {"reason": "because"}
Body = dict[str, Any] | None

MATRIX: dict[tuple[str, str], tuple[frozenset[Role], Body]] = {
    ("GET", "/vault/v1/sign-ins/current"): (EVERYBODY, None),
    ("GET", "/vault/v1/people"): (frozenset({ADMIN, OFFICER, AUDITOR}), None),
    ("POST", "/vault/v1/people"): (frozenset({ADMIN}), {"login": "x", "name": "X", "roles": []} | REASON),
    ("PUT", "/vault/v1/people/{person_id}/roles"): (frozenset({ADMIN}), {"roles": []} | REASON),
    ("POST", "/vault/v1/people/{person_id}/confirmations"): (frozenset({OFFICER}), {"roles": []}),
    ("POST", "/vault/v1/people/{person_id}/disable"): (frozenset({ADMIN}), REASON),
    ("POST", "/vault/v1/people/{person_id}/unlock"): (frozenset({ADMIN}), REASON),
    ("POST", "/vault/v1/people/{person_id}/invite"): (frozenset({ADMIN}), REASON),
    ("POST", "/vault/v1/people/{person_id}/reset-password"): (frozenset({ADMIN}), REASON),
    ("POST", "/vault/v1/people/{person_id}/sign-out"): (frozenset({ADMIN}), REASON),
    ("GET", "/vault/v1/totp-resets"): (frozenset({ADMIN, OFFICER, AUDITOR}), None),
    ("POST", "/vault/v1/totp-resets"): (frozenset({ADMIN}), {"person_id": SOME} | REASON),
    ("POST", "/vault/v1/totp-resets/{reset_id}/approvals"): (frozenset({OFFICER}), None),
    ("GET", "/vault/v1/access-review"): (frozenset({OFFICER, AUDITOR}), None),
    ("POST", "/vault/v1/access-review"): (frozenset({OFFICER, AUDITOR}), {"digest": "0" * 64, "note": "half"}),
    ("GET", "/vault/v1/key-register"): (frozenset({OFFICER, CUSTODIAN, AUDITOR}), None),
    ("POST", "/vault/v1/card-searches"): (frozenset({SUPPORT, OFFICER}), {"token": "tok_" + "a" * 25}),
    ("POST", "/vault/v1/reveals"): (frozenset({SUPPORT}), terms("tok_" + "a" * 25)),
    ("GET", "/vault/v1/reveals"): (frozenset({SUPPORT, OFFICER, AUDITOR}), None),
    ("POST", "/vault/v1/reveal-requests"): (frozenset({SUPPORT}), terms("tok_" + "a" * 25)),
    ("GET", "/vault/v1/reveal-requests"): (frozenset({SUPPORT, OFFICER}), None),
    ("POST", "/vault/v1/reveal-requests/{request_id}/approvals"): (frozenset({OFFICER}), None),
    ("POST", "/vault/v1/reveal-requests/{request_id}/refusals"): (frozenset({OFFICER}), None),
    ("GET", "/vault/v1/card-exports"): (frozenset({OFFICER}), None),
    ("POST", "/vault/v1/card-exports/{export_id}/approvals"): (frozenset({OFFICER}), None),
    ("GET", "/vault/v1/rollback-acceptances"): (frozenset({CUSTODIAN}), None),
    ("POST", "/vault/v1/rollback-acceptances"): (frozenset({CUSTODIAN}), REASON),
    ("PUT", "/vault/v1/password"): (EVERYBODY, {"present": "x", "new": "y"}),
    ("DELETE", "/vault/v1/sign-ins/current"): (EVERYBODY, None),
    ("DELETE", "/vault/v1/sign-ins"): (EVERYBODY, None),
}
"""Who may ask what. A route that is not here, or a role that is not in its line, is refused."""
OPEN = {
    ("GET", "/people"), ("POST", "/vault/v1/sign-ins"), ("POST", "/vault/v1/enrolments"),
    ("POST", "/vault/v1/enrolments/finish"),
}  # fmt: skip
"""What needs no sign-in: it is how one is begun."""


@pytest_asyncio.fixture
async def desk(vault_engine: Engine, now: datetime) -> Desk:
    return await make_desk(vault_engine, now)


async def ask(browser: httpx.AsyncClient, method: str, path: str, body: Body) -> httpx.Response:
    for name, value in {"person_id": SOME, "reset_id": "rst_" + "a" * 26, "request_id": "rvr_" + "a" * 26}.items():
        path = path.replace("{" + name + "}", value)
    return await browser.request(method, path, json=body) if body is not None else await browser.request(method, path)


async def test_every_route_of_the_vaults_origin_is_in_the_matrix_or_open(desk: Desk) -> None:
    buyers = {
        route.path
        for route in (*health.public_routes(desk.vault), *card_form.routes(desk.vault))
        if isinstance(route, Route)
    }
    routes = [route for route in public_routes(desk.vault) if getattr(route, "path", "") not in buyers]
    found = {
        (method, route.path)
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }

    assert found == MATRIX.keys() | OPEN


@pytest.mark.parametrize("role", Role)
async def test_every_route_for_every_role(desk: Desk, vault_database: VaultDatabase, role: Role) -> None:
    browser = await desk.sign_in("somebody", [role])
    cookie = browser.cookies[COOKIE]
    wrong = []

    for (method, path), (allowed, body) in MATRIX.items():
        browser.cookies.set(COOKIE, cookie, domain="vault.test")
        answer = await ask(browser, method, path, body)
        is_refused = answer.status_code == 403 and answer.json()["code"] == "access.scope_missing"
        if path == "/vault/v1/sign-ins/current" and method == "DELETE":
            break
        if is_refused == (role in allowed) or answer.status_code >= 500:
            wrong.append((method, path, answer.status_code))
        if is_refused:
            last = events(vault_database.superuser_url)[-1]
            assert (last["outcome"], last["facts"]["code"]) == ("refused", "access.scope_missing")

    assert wrong == []


async def test_nobody_signed_in_gets_nothing(desk: Desk) -> None:
    browser = desk.browser()

    answers = [(await ask(browser, method, path, body)).status_code for (method, path), (_, body) in MATRIX.items()]

    assert set(answers) == {401}


async def test_a_person_without_roles_may_do_nothing_but_sign_out(desk: Desk) -> None:
    browser = await desk.sign_in("somebody", [])

    for (method, path), (allowed, body) in MATRIX.items():
        if allowed != EVERYBODY:
            assert (await ask(browser, method, path, body)).status_code == 403, path


async def test_the_cookie_is_for_this_host_over_tls_and_no_script(desk: Desk) -> None:
    browser = await desk.sign_in("olga", ["support"])
    set_again = await browser.delete("/vault/v1/sign-ins/current")

    assert COOKIE.startswith("__Host-")
    for attribute in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=0"):
        assert attribute in set_again.headers["set-cookie"]
    assert (await browser.get("/vault/v1/sign-ins/current")).status_code == 401


FOREIGN = {
    "another site's page": {"origin": "https://evil.example"},
    "a page without an origin": {"origin": "null"},
    "what the browser calls another site": {"sec-fetch-site": "cross-site"},
    "a neighbouring host": {"sec-fetch-site": "same-site"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
async def test_foreign_pages_are_refused(desk: Desk, headers: dict[str, str]) -> None:
    browser, token = await desk.sign_in("olga", ["support"]), await desk.card()

    for method, path, body in (
        ("POST", "/vault/v1/reveals", terms(token)),
        ("POST", "/vault/v1/sign-ins", {"login": "olga", "password": PASSWORD, "code": "000000"}),
        ("POST", "/vault/v1/enrolments", {"token": "x", "password": "y"}),
        ("GET", "/vault/v1/reveals", None),
    ):
        answer = await browser.request(method, path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "access.page_foreign")


async def test_a_form_that_is_not_json_is_refused(desk: Desk) -> None:
    browser, token = await desk.sign_in("olga", ["support"]), await desk.card()

    answer = await browser.post("/vault/v1/reveals", data=terms(token))

    assert answer.status_code == 415
    assert MIR not in answer.text


async def invited(desk: Desk) -> tuple[httpx.AsyncClient, str]:
    admin = await desk.sign_in("root", ["admin"])
    body = {"login": "petr", "name": "Пётр", "roles": ["support"], "reason": "hired"}
    answer = await admin.post("/vault/v1/people", json=body)
    assert answer.status_code == 201, answer.text
    return admin, answer.json()["enrolment_token"]


async def found(browser: httpx.AsyncClient, login: str) -> dict[str, Any]:
    (person,) = [one for one in (await browser.get("/vault/v1/people")).json()["people"] if one["login"] == login]
    return dict(person)


async def test_an_invitation_becomes_a_person_who_signs_in(desk: Desk) -> None:
    _, token = await invited(desk)
    browser, officer = desk.browser(), await desk.sign_in("vera", ["security_officer"])
    password = "fresh horse 5 battery"

    waits = await browser.post("/vault/v1/enrolments", json={"token": token, "password": password})
    petr = await found(officer, "petr")
    path = f"/vault/v1/people/{petr['id']}/confirmations"
    other = await officer.post(path, json={"roles": ["custodian"]})
    confirmed = await officer.post(path, json={"roles": petr["roles"]})
    twice = await officer.post(path, json={"roles": petr["roles"]})
    assert (waits.status_code, waits.json()["code"]) == (403, "access.enrolment_waits")
    assert (petr["is_waiting"], other.status_code, twice.status_code) == (True, 422, 409)
    assert (confirmed.status_code, confirmed.json()["is_waiting"]) == (200, False)

    begun = await browser.post("/vault/v1/enrolments", json={"token": token, "password": password})
    secret = secret_in(Secret(begun.json()["uri"]))
    finished = await browser.post("/vault/v1/enrolments/finish", json={"token": token, "code": code(secret, desk.now)})
    desk.wait(STEP)
    body = {"login": "petr", "password": password, "code": code(secret, desk.now)}
    signed_in = await browser.post("/vault/v1/sign-ins", json=body)

    assert (begun.status_code, begun.json()["picture"][:19]) == (201, "data:image/svg+xml;")
    assert begun.headers["cache-control"] == "no-store"
    assert finished.json() == {"login": "petr"}
    assert (signed_in.status_code, signed_in.json()["scopes"]) == (201, ["cards:reveal", "cards:search"])


async def test_a_lost_phone_takes_an_admin_an_officer_and_the_password(desk: Desk) -> None:
    await desk.sign_in("olga", ["support"])
    admin, officer = await desk.sign_in("root", ["admin"]), await desk.sign_in("vera", ["security_officer"])
    body = {"person_id": desk.people["olga"], "reason": "lost her phone"}

    reset = (await admin.post("/vault/v1/totp-resets", json=body)).json()
    assert [one["id"] for one in (await officer.get("/vault/v1/totp-resets")).json()["totp_resets"]] == [reset["id"]]
    approved = await officer.post(f"/vault/v1/totp-resets/{reset['id']}/approvals")
    token = approved.json()["enrolment_token"]
    browser = desk.browser()
    assert (
        await browser.post("/vault/v1/enrolments", json={"token": token, "password": "guess 123456"})
    ).status_code == 403
    begun = await browser.post("/vault/v1/enrolments", json={"token": token, "password": PASSWORD})
    assert (begun.status_code, begun.json()["kind"]) == (201, "totp")


async def test_admins_change_lock_and_disable_and_auditors_sign_off(desk: Desk) -> None:
    await desk.sign_in("olga", ["support", "custodian"])
    admin, auditor = await desk.sign_in("root", ["admin"]), await desk.sign_in("anna", ["auditor"])
    olga = f"/vault/v1/people/{desk.people['olga']}"

    assert (await admin.put(f"{olga}/roles", json={"roles": ["custodian"]} | REASON)).json()["roles"] == ["custodian"]
    assert (await admin.post(f"{olga}/unlock", json=REASON)).json()["is_locked"] is False
    assert (await admin.post(f"{olga}/sign-out", json=REASON)).json() == {"ended": 1}
    assert "enrolment_token" in (await admin.post(f"{olga}/reset-password", json=REASON)).json()
    assert (await admin.post(f"{olga}/disable", json=REASON)).json()["status"] == "disabled"
    assert "enrolment_token" in (await admin.post(f"{olga}/invite", json=REASON)).json()
    found = (await auditor.get("/vault/v1/access-review")).json()
    assert [line["login"] for line in found["lines"]] == ["anna", "olga", "root"]
    sign_off = {"digest": found["digest"], "note": "second half of 2026"}
    assert (await auditor.post("/vault/v1/access-review", json=sign_off)).status_code == 204
    kept = (await auditor.get("/vault/v1/access-review")).json()["signed_off"]
    assert [one["note"] for one in kept] == ["second half of 2026"]


def test_every_refusal_of_people_and_reveals_has_its_status() -> None:
    codes = {
        error.code for error in every_error() if error.__module__.startswith(("pci.access", "tokenization.reveal"))
    }

    assert len(codes) > 20
    assert codes <= set(STATUS)


async def test_nothing_secret_is_logged(
    desk: Desk, vault_database: VaultDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    _, token = await invited(desk)
    officer = await desk.sign_in("vera", ["security_officer"])
    petr = await found(officer, "petr")
    await officer.post(f"/vault/v1/people/{petr['id']}/confirmations", json={"roles": petr["roles"]})
    card, olga = await desk.card(), await desk.sign_in("olga", ["support"])
    begun = await desk.browser().post("/vault/v1/enrolments", json={"token": token, "password": "fresh horse 5 bat"})
    await olga.post("/vault/v1/reveals", json=terms(card))
    await olga.post("/vault/v1/card-searches", json={"token": MIR})
    wrong = {"login": MIR, "password": "wrong horse 5 bat", "code": "123987"}
    await desk.browser().post("/vault/v1/sign-ins", json=wrong)

    written = "".join(capsys.readouterr()) + json.dumps(events(vault_database.superuser_url))

    secrets: list[Callable[[], str]] = [
        lambda: MIR, lambda: PASSWORD, lambda: token, lambda: olga.cookies[COOKIE], lambda: "123987",
        lambda: "horse 5 bat", lambda: begun.json()["uri"].partition("secret=")[2][:32],
    ]  # fmt: skip
    assert "/vault/v1/reveals" in written
    assert [secret() for secret in secrets if secret() in written] == []


async def test_eight_hours_and_fifteen_minutes_end_a_browsers_sign_in(desk: Desk) -> None:
    browser = await desk.sign_in("olga", ["support"])

    desk.wait(timedelta(minutes=14))
    assert (await browser.get("/vault/v1/sign-ins/current")).status_code == 200
    desk.wait(timedelta(minutes=15))
    over = await browser.get("/vault/v1/sign-ins/current")

    assert (over.status_code, over.json()["code"]) == (401, "access.sign_in_needed")
