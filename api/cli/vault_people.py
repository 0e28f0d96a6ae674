"""``kopeyka vault people``: the vault's people, by a person who signs in with both factors for each command.

Passwords, codes and tokens come from a prompt or from a file descriptor (``--secrets-fd``, one a line), never from the
command line, which others on the machine can read.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import segno
import typer
from rich.console import Console
from rich.table import Table

from api import data_dir as data_dirs
from api.cli.options import DataDirOption, JsonOption
from api.cli.vault_keys import operators_client
from api.data_dir import StartRefused
from api.installation import RUNTIME_FILE
from api.people_client import PeopleClient
from api.settings import Settings
from ledger.clock import machine_now
from pci.access.review import table_of
from pci.access.roles import Role
from pci.secret import Secret
from tokenization.settings import VaultSettings

T = TypeVar("T")

app = typer.Typer(help="The vault's people: who may do what, and since when.", no_args_is_help=True)

LoginOption = Annotated[str, typer.Option("--as", help="Your own login.", prompt="Your login")]
SecretsOption = Annotated[
    int | None,
    typer.Option("--secrets-fd", help="A file descriptor with what would be asked, one a line.", show_default=False),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why: it is written into the log.", prompt="Reason")]
PersonArgument = Annotated[str, typer.Argument(help="The person's login.")]
RoleOption = Annotated[list[Role], typer.Option("--role", help="A role; may be repeated.")]


class Asking:
    """Where secrets come from: a terminal, or the lines of a file descriptor."""

    def __init__(self, descriptor: int | None) -> None:
        self._lines: Iterator[str] | None = None
        if descriptor is not None:
            with os.fdopen(os.dup(descriptor), encoding="utf-8") as given:
                self._lines = iter(given.read().splitlines())

    def ask(self, what: str) -> Secret:
        """The next secret. Raises: StartRefused when there is none."""
        if self._lines is None:
            return Secret(getpass.getpass(f"{what}: "))
        line = next(self._lines, None)
        if line is None:
            raise StartRefused(f"The descriptor ended before the {what.lower()}")
        return Secret(line)


def origin_of_vault(data_dir: Path | None) -> str:
    """The vault's own origin: as the settings say, or of the one that runs on the data directory.

    Raises: StartRefused.
    """
    if public_url := VaultSettings().public_url:
        return public_url.rstrip("/")
    path = (data_dir or Settings().data_dir or data_dirs.default_path()).expanduser()
    try:
        told = json.loads((path / RUNTIME_FILE).read_text())
        return str(told["urls"]["card_form"]).rstrip("/")
    except (FileNotFoundError, KeyError):
        raise StartRefused(f"No vault runs on {path}: start kopeyka up, or set KOPEYKA_VAULT_PUBLIC_URL") from None


def as_person(
    data_dir: Path | None, login: str, asking: Asking, work: Callable[[PeopleClient], Awaitable[T]]
) -> T:  # fmt: skip
    """Sign in, do one thing, sign out."""
    client = PeopleClient(origin_of_vault(data_dir))
    password, code = asking.ask("Password"), asking.ask("Code")

    async def run() -> T:
        await client.sign_in(login, password, code)
        try:
            return await work(client)
        finally:
            await client.sign_out()

    return asyncio.run(run())


def as_operator(data_dir: Path | None, path: str, body: Mapping[str, Any]) -> Any:
    """Ask the running vault something as whoever runs it. Raises: VaultRefused, VaultUnavailable; StartRefused."""

    async def call() -> Any:
        client = operators_client(data_dir)
        try:
            return await client.call("POST", path, body)
        finally:
            await client.close()

    return asyncio.run(call())


@app.command()
def init(
    login: Annotated[str, typer.Argument(help="The login of the first of them.")],
    name: Annotated[str, typer.Option(help="Their name.", prompt="Name")],
    role: Annotated[Role, typer.Option(help="admin gives rights, security_officer confirms them.")] = Role.ADMIN,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Invite the first administrator, then the first security officer: two people. Needs the operator's certificate."""

    body = {"operator": getpass.getuser(), "login": login, "name": name, "role": str(role)}
    _show_token(login, as_operator(data_dir, "/people/first", body)["enrolment_token"], as_json=as_json)
    if role is Role.ADMIN and not as_json:
        typer.echo("Next: kopeyka vault people init LOGIN --role security_officer, for who confirms what they do.")


@app.command()
def enrol(data_dir: DataDirOption = None, secrets_fd: SecretsOption = None) -> None:
    """Set your own factors with the token you were given: token, password, then the first code."""
    asking, client = Asking(secrets_fd), PeopleClient(origin_of_vault(data_dir))
    token, password = asking.ask("Token"), asking.ask("Password")
    if secrets_fd is None and asking.ask("Password again") != password:
        raise StartRefused("The passwords differ")
    body = {"token": token.expose(), "password": password.expose()}
    begun = asyncio.run(client.call("POST", "/enrolments", body))
    if begun["uri"]:
        _show_once(begun["uri"])
    code = asking.ask("Code") if secrets_fd is None else Secret(sys.stdin.readline().strip())
    body = {"token": token.expose(), "code": code.expose()}
    done = asyncio.run(client.call("POST", "/enrolments/finish", body))
    typer.echo(f"{done['login']} may sign in, with the next code.")


def _show_once(uri: str) -> None:
    """The secret for the authenticator: as a picture for people, as a line for machines."""
    if sys.stdout.isatty():
        segno.make(uri, error="l").terminal(compact=True)
    typer.echo(uri)
    typer.echo("Scan it now: it cannot be shown again.")


@app.command("add")
def add(
    login: PersonArgument,
    name: Annotated[str, typer.Option(help="Their name.", prompt="Name")],
    role: RoleOption,
    reason: ReasonOption,
    own: LoginOption,
    data_dir: DataDirOption = None,
    secrets_fd: SecretsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Invite a person. The token is shown once, and works when a security officer has confirmed them."""
    body = {"login": login, "name": name, "roles": list(map(str, role)), "reason": reason}

    async def work(client: PeopleClient) -> Any:
        return await client.call("POST", "/people", body)

    invitation = as_person(data_dir, own, Asking(secrets_fd), work)
    _show_token(login, invitation["enrolment_token"], as_json=as_json)


@app.command("list")
def list_people(
    own: LoginOption, data_dir: DataDirOption = None, secrets_fd: SecretsOption = None, as_json: JsonOption = False
) -> None:
    """Everybody there is or was."""

    async def work(client: PeopleClient) -> Any:
        return await client.call("GET", "/people")

    found = as_person(data_dir, own, Asking(secrets_fd), work)["people"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    table = Table("login", "name", "status", "roles", "last signed in")
    for one in found:
        status = "locked" if one["is_locked"] else one["status"]
        status = f"{status}, waits for an officer" if one["is_waiting"] else status
        table.add_row(one["login"], one["name"], status, " ".join(one["roles"]), one["last_signed_in_at"] or "never")
    Console().print(table)


@app.command("roles")
def roles(
    login: PersonArgument,
    reason: ReasonOption,
    own: LoginOption,
    role: RoleOption = [],  # noqa: B006  # typer copies it
    data_dir: DataDirOption = None,
    secrets_fd: SecretsOption = None,
) -> None:
    """Give a person these roles and no others; with a role more, they are out until an officer confirms it."""

    async def work(client: PeopleClient) -> Any:
        path = f"/people/{await _id_of(client, login)}/roles"
        return await client.call("PUT", path, {"roles": list(map(str, role)), "reason": reason})

    changed = as_person(data_dir, own, Asking(secrets_fd), work)
    typer.echo(f"{login}: {' '.join(changed['roles']) or 'no roles'}")


@app.command("confirm")
def confirm(
    login: PersonArgument,
    own: LoginOption,
    role: RoleOption = [],  # noqa: B006  # typer copies it
    data_dir: DataDirOption = None,
    secrets_fd: SecretsOption = None,
) -> None:
    """Agree, as a security officer, that a person is who they say and has just these roles."""

    async def work(client: PeopleClient) -> Any:
        path = f"/people/{await _id_of(client, login)}/confirmations"
        return await client.call("POST", path, {"roles": list(map(str, role))})

    confirmed = as_person(data_dir, own, Asking(secrets_fd), work)
    typer.echo(f"{login} is confirmed: {' '.join(confirmed['roles']) or 'no roles'}")


def _command(verb: str, done: str) -> Callable[..., None]:
    """A command that does one thing to one person, for a reason."""

    def command(
        login: PersonArgument,
        reason: ReasonOption,
        own: LoginOption,
        data_dir: DataDirOption = None,
        secrets_fd: SecretsOption = None,
        as_json: JsonOption = False,
    ) -> None:
        async def work(client: PeopleClient) -> Any:
            return await client.call("POST", f"/people/{await _id_of(client, login)}/{verb}", {"reason": reason})

        found = as_person(data_dir, own, Asking(secrets_fd), work)
        if "enrolment_token" in found:
            _show_token(login, found["enrolment_token"], as_json=as_json)
        else:
            typer.echo(json.dumps(found, ensure_ascii=False) if as_json else f"{login} {done}.")

    return command


app.command("disable", help="Put a person out at once.")(_command("disable", "is disabled"))
app.command("unlock", help="Let a locked person try again.")(_command("unlock", "may try again"))
app.command("sign-out", help="End everything a person has open.")(_command("sign-out", "is signed out"))
app.command("invite", help="Let a disabled person back with new factors, or an invited one whose token is lost.")(
    _command("invite", "is invited")
)
app.command("reset-password", help="Let a person choose a new password; their code is still asked for.")(
    _command("reset-password", "may choose a password")
)


@app.command("reset-totp")
def reset_totp(
    login: PersonArgument,
    reason: ReasonOption,
    own: LoginOption,
    data_dir: DataDirOption = None,
    secrets_fd: SecretsOption = None,
) -> None:
    """Ask that a person may set their second factor anew; a security officer approves it."""

    async def work(client: PeopleClient) -> Any:
        body = {"person_id": await _id_of(client, login), "reason": reason}
        return await client.call("POST", "/totp-resets", body)

    reset = as_person(data_dir, own, Asking(secrets_fd), work)
    typer.echo(f"{reset['id']} waits for a second person: kopeyka vault people approve-totp {reset['id']}")


@app.command("approve-totp")
def approve_totp(
    reset_id: Annotated[str, typer.Argument(help="The reset (rst_…).")],
    own: LoginOption,
    data_dir: DataDirOption = None,
    secrets_fd: SecretsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve a reset that another asked for. The token opens nothing without the person's password."""

    async def work(client: PeopleClient) -> Any:
        return await client.call("POST", f"/totp-resets/{reset_id}/approvals")

    found = as_person(data_dir, own, Asking(secrets_fd), work)
    _show_token(found["person_id"], found["enrolment_token"], as_json=as_json)


@app.command("review")
def review(
    own: LoginOption,
    data_dir: DataDirOption = None,
    secrets_fd: SecretsOption = None,
    as_json: JsonOption = False,
    idle_days: Annotated[int, typer.Option(min=0, help="Only people who did not come for so many days.")] = 0,
    sign_off: Annotated[
        str | None, typer.Option("--sign-off", help="Say that it is as it should be, with this note.")
    ] = None,
) -> None:
    """Export who may do what, who gave it and when they last came: CSV, or JSON; and sign it off."""

    async def work(client: PeopleClient) -> Any:
        found = await client.call("GET", "/access-review")
        if sign_off is not None:
            await client.call("POST", "/access-review", {"digest": found["digest"], "note": sign_off})
        return found

    found = as_person(data_dir, own, Asking(secrets_fd), work)
    found["lines"] = [line for line in found["lines"] if line["idle_days"] >= idle_days]
    typer.echo(json.dumps(found, ensure_ascii=False) if as_json else table_of(found["lines"]), nl=as_json)
    if sign_off is not None:
        typer.echo(f"Reviewed by {own} on {machine_now():%Y-%m-%d}: {sign_off}", err=True)


async def _id_of(client: PeopleClient, login: str) -> str:
    """The id of the person with this login. Raises: StartRefused."""
    found = (await client.call("GET", "/people"))["people"]
    for person in found:
        if person["login"] == login:
            return str(person["id"])
    raise StartRefused(f"There is no person {login}")


def _show_token(login: str, token: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"login": login, "enrolment_token": token}))
    else:
        typer.echo(f"{token}\nFor {login} and nobody else, once, within 24 hours:")
        typer.echo("kopeyka vault people enrol, or the vault's page /people.")
