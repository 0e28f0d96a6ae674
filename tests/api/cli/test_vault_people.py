"""``kopeyka vault people``: from nobody to a reviewed list, each command by a person with both factors."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from typer.testing import CliRunner, Result

from api import logs
from api.cli import vault_people
from api.cli.main import app
from api.data_dir import StartRefused
from api.serve import listening_socket
from ledger.clock import machine_now
from ledger.database import Engine
from pci.secret import Secret
from tests.pci.access.world import PASSWORD, STEP, secret_in
from tests.tokenization.people_world import Desk, code, make_desk
from tests.vault_calls import service_client
from tokenization.app import public_app


@dataclass
class Terminal:
    """Somebody's command line, and the vault it speaks to."""

    desk: Desk
    secrets: dict[str, bytes]
    """Of authenticators, by login."""

    async def type(self, *words: str, secrets: tuple[str, ...] = (), then: str = "") -> Result:
        """Run a command; what it would ask for comes from a file descriptor."""
        given, told = os.pipe()
        os.write(told, "".join(f"{line}\n" for line in secrets).encode())
        os.close(told)
        try:
            words = ("vault", "people", *words, *(("--secrets-fd", str(given)) if secrets else ()))
            return await asyncio.to_thread(CliRunner().invoke, app, list(words), input=then)
        finally:
            os.close(given)

    async def type_as(self, login: str, *words: str) -> Result:
        """Run a command as a person, with their next code."""
        self.desk.wait(STEP)
        factors = (PASSWORD, code(self.secrets[login], self.desk.now))
        return await self.type(*words, "--as", login, secrets=factors)

    async def enrol(self, login: str, token: str) -> None:
        """What a new person does in their browser."""
        browser = self.desk.browser()
        begun = await browser.post("/vault/v1/enrolments", json={"token": token, "password": PASSWORD})
        self.secrets[login] = secret_in(Secret(begun.json()["uri"]))
        body = {"token": token, "code": code(self.secrets[login], self.desk.now)}
        assert (await browser.post("/vault/v1/enrolments/finish", json=body)).status_code == 200


@pytest_asyncio.fixture
async def terminal(vault_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Terminal]:
    logs.set_up("error")
    desk = await make_desk(vault_engine, machine_now())
    with listening_socket("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(public_app(desk.vault), log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve([listener]))
        monkeypatch.setenv("KOPEYKA_VAULT_PUBLIC_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        here = asyncio.get_running_loop()

        def as_operator(_: object, path: str, body: dict[str, Any]) -> Any:
            async def call() -> Any:
                async with service_client(desk.vault, "operator") as client:
                    answer = await client.post(path, json=body)
                if answer.status_code != 201:
                    raise StartRefused(answer.json()["detail"])
                return answer.json()

            return asyncio.run_coroutine_threadsafe(call(), here).result(20)

        monkeypatch.setattr(vault_people, "as_operator", as_operator)
        yield Terminal(desk, {})
        server.should_exit = True
        await serving


def said(result: Result) -> Any:
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


async def with_an_admin(terminal: Terminal) -> None:
    invited = said(await terminal.type("init", "root", "--name", "Иван Орлов", "--json"))
    await terminal.enrol("root", invited["enrolment_token"])


async def with_olga_and_an_officer(terminal: Terminal) -> None:
    await with_an_admin(terminal)
    officer = ("init", "vera", "--name", "Vera", "--role", "security_officer", "--json")
    await terminal.enrol("vera", said(await terminal.type(*officer))["enrolment_token"])
    words = ("add", "olga", "--name", "Olga", "--role", "support", "--reason", "hired", "--json")
    token = said(await terminal.type_as("root", *words))["enrolment_token"]
    confirmed = await terminal.type_as("vera", "confirm", "olga", "--role", "support")
    assert confirmed.stdout == "olga is confirmed: support\n", confirmed.exception
    await terminal.enrol("olga", token)


async def test_from_nobody_to_a_signed_off_review(terminal: Terminal) -> None:
    await with_olga_and_an_officer(terminal)

    changed = await terminal.type_as("root", "roles", "olga", "--role", "custodian", "--reason", "moved")
    disabled = await terminal.type_as("root", "disable", "olga", "--reason", "left")
    listed = said(await terminal.type_as("root", "list", "--json"))
    table = await terminal.type_as("vera", "review")
    signed_off = await terminal.type_as("vera", "review", "--sign-off", "second half of 2026")
    again = said(await terminal.type_as("vera", "review", "--json"))

    assert (changed.stdout, disabled.stdout) == ("olga: custodian\n", "olga is disabled.\n")
    assert [(one["login"], one["status"]) for one in listed] == [
        ("olga", "disabled"), ("root", "active"), ("vera", "active"),
    ]  # fmt: skip
    assert table.stdout.splitlines()[0].startswith("login,name,status,roles,scopes,granted,last_signed_in_at")
    assert ": second half of 2026" in signed_off.output
    assert [one["note"] for one in again["signed_off"]] == ["second half of 2026"]
    assert again["digest"] == again["signed_off"][0]["digest"]


async def test_a_lost_phone_takes_two_people(terminal: Terminal) -> None:
    await with_olga_and_an_officer(terminal)

    asked = await terminal.type_as("root", "reset-totp", "olga", "--reason", "lost her phone")
    reset_id = asked.stdout.split()[0]
    alone = await terminal.type_as("root", "approve-totp", reset_id)
    approved = said(await terminal.type_as("vera", "approve-totp", reset_id, "--json"))

    assert "do not allow" in str(alone.exception)
    old = terminal.secrets["olga"]
    await terminal.enrol("olga", approved["enrolment_token"])
    assert terminal.secrets["olga"] != old


async def test_a_second_first_administrator_is_refused(terminal: Terminal) -> None:
    await with_an_admin(terminal)

    refused = await terminal.type("init", "other", "--name", "Other")

    assert refused.exit_code == 1
    assert "already" in str(refused.exception)


async def test_enrolling_shows_the_secret_once_and_takes_secrets_from_a_descriptor(terminal: Terminal) -> None:
    token = said(await terminal.type("init", "root", "--name", "Root", "--json"))["enrolment_token"]

    shown = await terminal.type("enrol", secrets=(token, PASSWORD), then="000000\n")
    again = await terminal.type("enrol", secrets=(token, PASSWORD), then="000000\n")

    assert shown.stdout.splitlines()[0].startswith("otpauth://totp/Kopeyka%20Vault:root?")
    assert "cannot be shown again" in shown.stdout
    assert "ask for a new one" in str(shown.exception)
    assert "otpauth" not in again.output
    assert PASSWORD not in shown.output + again.output


async def test_a_descriptor_that_ends_early_is_one_line(terminal: Terminal) -> None:
    refused = await terminal.type("list", "--as", "root", secrets=("only a password",))

    assert "ended before the code" in str(refused.exception)


async def test_no_secret_is_an_argument_or_an_option() -> None:
    help_texts = [
        CliRunner().invoke(app, ["vault", "people", command, "--help"], env={"COLUMNS": "200"}).output.lower()
        for command in (
            "init",
            "enrol",
            "add",
            "confirm",
            "list",
            "roles",
            "disable",
            "reset-totp",
            "approve-totp",
            "review",
        )
    ]

    assert all("usage" in text for text in help_texts)
    assert not [text for text in help_texts if "--password" in text or "--code" in text or "--token" in text]
