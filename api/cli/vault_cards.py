"""``kopeyka vault cards``: files of cards taken in and given out, and a merchant's cards shredded. Never a number."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.options import DataDirOption, JsonOption
from api.cli.vault_keys import operators_client
from api.cli.vault_people import Asking, LoginOption, SecretsOption, as_person
from api.people_client import PeopleClient

app = typer.Typer(help="Cards by the file: taken in, given out, shredded.", no_args_is_help=True)

MerchantOption = Annotated[str, typer.Option("--merchant", help="Whose cards.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why: it goes into the log.")]
LOOK_SECONDS = 1


@app.command("import")
def take_in(
    file: Annotated[str, typer.Argument(help="A name in the vault's folder for files (KOPEYKA_VAULT_FILES_DIR).")],
    merchant: MerchantOption,
    scope: Annotated[str, typer.Option(help="A part of the merchant's cards.")] = "",
    digits: Annotated[bool, typer.Option("--digits", help="Also a token that looks like a number.")] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a CSV or JSONL of cards in (pan, expires_on, holder_name, reference), gzipped or not, and wait for its end.

    Killed or broken off, the same command goes on where it stopped. The mapping of references to tokens is written
    beside the file. The file holds numbers in clear: it must have come encrypted; destroy it when this is done.
    """
    body = {"file": file, "scope": scope, "wants_digits": digits}
    told = ask(data_dir, "POST", f"/merchants/{merchant}/card-imports", body)
    while told["is_running"]:
        asyncio.run(asyncio.sleep(LOOK_SECONDS))
        told = ask(data_dir, "GET", f"/merchants/{merchant}/card-imports/{told['id']}")
        if not as_json:
            typer.echo(f"{told['lines_done']} lines done", err=True)
    typer.echo(json.dumps(told) if as_json else _import_report(told))
    raise typer.Exit(0 if told["status"] == "finished" else 1)


@app.command("refused")
def refused(import_id: str, merchant: MerchantOption, after: int = 0, data_dir: DataDirOption = None) -> None:
    """Lines of an import that were not taken: number, code, mask; a thousand at a time."""
    path = f"/merchants/{merchant}/card-imports/{import_id}/refused"
    for line in ask(data_dir, "GET", path, query={"after": str(after)})["items"]:
        typer.echo(f"{line['line']}\t{line['code']}\t{line['mask'] or ''}")


@app.command("export-request")
def export_request(
    recipient_key: Annotated[Path, typer.Argument(help="The receiving vault's public P-256 key, a JWK.")],
    merchant: MerchantOption,
    reason: ReasonOption,
    data_dir: DataDirOption = None,
) -> None:
    """Ask that a merchant's cards be given out. A security officer must agree."""
    body = {"recipient_key": json.loads(recipient_key.read_text()), "reason": reason}
    typer.echo(ask(data_dir, "POST", f"/merchants/{merchant}/card-exports", body)["id"])


@app.command("export-approve")
def export_approve(
    export_id: str, own: LoginOption, data_dir: DataDirOption = None, secrets_fd: SecretsOption = None
) -> None:
    """Agree to an export, as a security officer who signs in with both factors."""

    async def work(client: PeopleClient) -> Any:
        waiting = (await client.call("GET", "/card-exports"))["exports"]
        for one in (one for one in waiting if one["id"] == export_id):
            typer.echo(
                f"{one['merchant_id']} to key {one['recipient']}, asked by {one['requested_by']}: {one['reason']}"
            )
        return await client.call("POST", f"/card-exports/{export_id}/approvals")

    told = as_person(data_dir, own, Asking(secrets_fd), work)
    typer.echo(f"{told['id']} is {told['status']}, agreed to by {own}")


@app.command("export")
def export(export_id: str, merchant: MerchantOption, data_dir: DataDirOption = None) -> None:
    """Write the file of an export that was agreed to, or go on with it, and wait for its end."""
    path = f"/merchants/{merchant}/card-exports/{export_id}/run"
    told = ask(data_dir, "POST", path)
    while told["is_running"]:
        asyncio.run(asyncio.sleep(LOOK_SECONDS))
        told = ask(data_dir, "GET", path.removesuffix("/run"))
    typer.echo(f"{told['id']} is {told['status']}: {told['cards_done']} cards, {told['skipped']} left out")
    raise typer.Exit(0 if told["status"] == "finished" else 1)


@app.command("shred")
def shred(merchant: MerchantOption, reason: ReasonOption, data_dir: DataDirOption = None) -> None:
    """Destroy a merchant's keys: its cards are unreadable for ever, in every copy and backup too."""
    typer.confirm(f"All cards of {merchant} become unreadable for ever. Go on?", abort=True)
    told = ask(data_dir, "POST", f"/merchants/{merchant}/cards/shred", {"reason": reason})
    typer.echo(f"The keys are destroyed, {told['cards']} cards emptied.")


def _import_report(told: Mapping[str, Any]) -> str:
    lines = [f"{told['id']} is {told['status']}: {told['cards_new']} new, {told['cards_known']} known"]
    return "\n".join(lines + [f"{count} refused: {code}" for code, count in told["refused_by_code"].items()])


def ask(
    data_dir: Path | None,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
) -> Any:
    """What the running vault answers its operator. Raises: VaultRefused, VaultUnavailable; StartRefused."""
    signed = None if method == "GET" else {**(body or {}), "operator": getpass.getuser()}

    async def call() -> Any:
        client = operators_client(data_dir)
        try:
            return await client.call(method, path, signed, query=query)
        finally:
            await client.close()

    return asyncio.run(call())
