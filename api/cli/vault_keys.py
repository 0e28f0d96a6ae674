"""``kopeyka vault keys``: the register, unsealing, rotations. Never a byte of a key."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from api import data_dir as data_dirs
from api.cli import vault_ceremony
from api.cli.options import DataDirOption, JsonOption
from api.data_dir import StartRefused
from api.installation import RUNTIME_FILE
from api.settings import Settings
from api.vault_certificates import VaultCertificates
from api.vault_client import VaultClient, vault_client

OPERATOR = "operator"
WIDTH_MIN = 120
"""A merchant's id is long; a narrow terminal wraps lines, a pipe does not."""

app = typer.Typer(help="The vault's keys: register, ceremony, unsealing, rotation.", no_args_is_help=True)
app.command()(vault_ceremony.init)
app.command()(vault_ceremony.reshare)
ReasonOption = Annotated[str, typer.Option("--reason", help="Why: it goes into the log.")]


@app.command("list")
def list_keys(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """The register: every key's purpose, state, period and uses, and how far rotations are."""
    shown = ask(data_dir, "GET", "")
    if as_json:
        print(json.dumps({name: value for name, value in shown.items() if name != "architecture"}, ensure_ascii=False))
        return
    console = Console(width=max(WIDTH_MIN, Console().width), highlight=False)
    console.print(f"The vault is {shown['seal']['status']}. {kek_line(shown['kek'])}")
    console.print(register_table(shown["keys"]))
    for one in shown["rotations"]:
        console.print(f"{one['id']}: {one['kind']} of {one['scope']} is {one['status']}, {one['percent']} %")
    for name in shown["must_be_split_again"]:
        console.print(f"{name} is no custodian any more: make new shares", style="red")


@app.command()
def doc(data_dir: DataDirOption = None) -> None:
    """The crypto-architecture paper (PCI DSS 3.6.1.1), written from the register, in Markdown."""
    print(ask(data_dir, "GET", "")["architecture"], end="")


@app.command()
def unseal(data_dir: DataDirOption = None) -> None:
    """Give one custodian's share to the sealed vault. Each custodian does this alone."""
    body = {
        "custodian": typer.prompt("Custodian"),
        "passphrase": typer.prompt("Passphrase", hide_input=True),
        "share": typer.prompt("Share", hide_input=True),
    }
    print(ask(data_dir, "POST", "/shares", body)["status"])


@app.command()
def rotate(
    kind: Annotated[str, typer.Argument(help="kek, card or fingerprint.")],
    scope: Annotated[str, typer.Option(help="A merchant's id; of the KEK, all.")] = "all",
    data_dir: DataDirOption = None,
) -> None:
    """Renew the KEK, or a merchant's key, and go over everything under the old one while the vault works."""
    begun = ask(data_dir, "POST", "/rotations", {"kind": kind, "scope": scope})
    print(f"{begun['id']} is {begun['status']}: {begun['rows_total']} to do")


@app.command()
def renew(purpose: str, scope: str, reason: ReasonOption, data_dir: DataDirOption = None) -> None:
    """A new key closes from now on; the old one only opens."""
    key = ask(data_dir, "POST", "/renew", {"purpose": purpose, "scope": scope, "reason": reason})
    print(f"key {key['number']} ({key['purpose']} of {key['scope']}, version {key['version']}) is {key['state']}")


@app.command()
def pause(rotation_id: str, data_dir: DataDirOption = None) -> None:
    """Stop a rotation after the batch under way."""
    told(ask(data_dir, "POST", f"/rotations/{rotation_id}/pause"))


@app.command()
def resume(rotation_id: str, data_dir: DataDirOption = None) -> None:
    """Let a paused rotation go on where it stopped."""
    told(ask(data_dir, "POST", f"/rotations/{rotation_id}/resume"))


@app.command()
def move(
    number: int,
    to: Annotated[str, typer.Argument(help="decrypt_only, suspended, compromised or destroyed.")],
    reason: ReasonOption,
    data_dir: DataDirOption = None,
) -> None:
    """Retire, suspend or destroy a key. What a destroyed key closed is gone for ever."""
    if to == "destroyed":
        typer.confirm(f"Everything that key {number} closed becomes unreadable for ever. Go on?", abort=True)
    key = ask(data_dir, "POST", f"/{number}/move", {"to": to, "reason": reason})
    print(f"key {number} is {key['state']}")


@app.command()
def forget(version: str, reason: ReasonOption, data_dir: DataDirOption = None) -> None:
    """Destroy an old KEK under which nothing is wrapped any more; copies of the database under it become unreadable."""
    kek = ask(data_dir, "POST", "/kek/forget", {"version": version, "reason": reason})["kek"]
    print(f"the KEK wraps with version {kek['version']} and opens with {', '.join(kek['versions'])}")


@app.command()
def dismiss(name: str, data_dir: DataDirOption = None) -> None:
    """Let a custodian go. New shares must be made then: kopeyka vault keys reshare."""
    shown = ask(data_dir, "POST", "/custodians/deactivate", {"name": name})
    print("Make new shares: " + ", ".join(shown["must_be_split_again"]) if shown["must_be_split_again"] else "Done.")


def told(one: Mapping[str, Any]) -> None:
    print(f"{one['id']} is {one['status']}: {one['rows_done']} of {one['rows_total']}, {one['percent']} %")


def kek_line(kek: Mapping[str, Any] | None) -> str:
    if kek is None:
        return "Its KEK cannot be asked now."
    warning = "" if kek["is_for_production"] else " Not for production."
    return f"KEK: {kek['provider']}, {kek['storage_form']}, wraps with version {kek['version']}.{warning}"


def register_table(keys: Sequence[Mapping[str, Any]]) -> Table:
    """The register as people read it."""
    table = Table("key", "purpose", "scope", "version", "state", "algorithm", "KEK", "uses", "period ends", box=None)
    for key in keys:
        ends = str(key["expires_at"] or "")[:10] + (" DUE" if key["is_due"] else "")
        table.add_row(
            str(key["number"]), key["purpose"], key["scope"], str(key["version"]), key["state"], key["algorithm"],
            f"{key['kek_provider']}/{key['kek_version']}", str(key["encryptions"]), ends,
        )  # fmt: skip
    return table


def ask(data_dir: Path | None, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """What the running vault answers its operator. Raises: VaultRefused, VaultUnavailable; StartRefused."""
    signed = None if method == "GET" else {**(body or {}), "operator": getpass.getuser()}

    async def call() -> Any:
        client = operators_client(data_dir)
        try:
            return await client.call(method, f"/keys{path}", signed)
        finally:
            await client.close()

    return asyncio.run(call())


def operators_client(data_dir: Path | None) -> VaultClient:
    """The way to the vault with the operator's certificate: the settings', or that of the sandbox that runs here."""
    settings = Settings()
    if settings.vault_url:
        return vault_client(settings)
    path = (data_dir or settings.data_dir or data_dirs.default_path()).expanduser()
    try:
        url = json.loads((path / RUNTIME_FILE).read_text())["urls"]["vault"]
    except (FileNotFoundError, KeyError):
        raise StartRefused(f"No vault runs on {path}: start kopeyka up, or set KOPEYKA_VAULT_URL") from None
    return VaultClient(url, VaultCertificates(path / "vault" / "certificates").of(OPERATOR))
