"""``kopeyka vault``: whether it is open, how long its certificates are good, and whether its page is as we made it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import typer

from api import data_dir as data_dirs
from api.cli import vault_cards, vault_keys, vault_people
from api.cli.options import DataDirOption, JsonOption
from api.data_dir import StartRefused
from api.errors import VaultUnavailable
from api.installation import RUNTIME_FILE
from api.sandbox_certificates import ends_at
from api.settings import Settings
from api.vault_certificates import LinkCertificates, VaultCertificates
from api.vault_client import VaultClient, vault_client
from ledger.clock import machine_now
from tokenization.ids import new_id
from tokenization.page_check import BASELINE, ReceivedPage, authorised, differences, seen_of
from tokenization.routes.page_checks import DIFFERENCES_MAX

app = typer.Typer(help="The card vault.", no_args_is_help=True)
page_app = typer.Typer(help="The card form, as buyers' browsers get it.", no_args_is_help=True)
app.add_typer(page_app, name="page")
app.add_typer(vault_keys.app, name="keys")
app.add_typer(vault_cards.app, name="cards")
app.add_typer(vault_people.app, name="people")

CHECKED_ORIGIN = "https://page-check.example"
CHECKED_MERCHANT = "mer_pagecheck"
"""A merchant of nobody's: its form is opened to be looked at and takes no card."""
PAGE_SECONDS_MAX = 10
FILES_MAX = 10
"""A page of ours loads two."""
_LOADED = re.compile(r'(?:src|href)="?([^"\s>]+)')


def reach(data_dir: Path | None) -> VaultClient:
    """The vault that the settings name, or the one that runs on the data directory.

    Raises: StartRefused if there is neither.
    """
    settings = Settings()
    if settings.vault_url:
        return vault_client(settings)
    path = (data_dir or settings.data_dir or data_dirs.default_path()).expanduser()
    try:
        told = json.loads((path / RUNTIME_FILE).read_text())
    except FileNotFoundError:
        raise StartRefused(f"No vault runs on {path}: start kopeyka up, or set KOPEYKA_VAULT_URL") from None
    return VaultClient(told["urls"]["vault"], VaultCertificates(path / "vault" / "certificates").of("api"))


@app.command()
def status(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Say whether the vault is open, and how long its certificates are good. Code 1 if it is not."""
    client = reach(data_dir)
    state, ends = asyncio.run(_state(client)), certificate_ends(client.link)
    days = {name: (end - machine_now()).days for name, end in ends.items()}
    if as_json:
        typer.echo(json.dumps({"url": client.url, "state": state, "certificate_days": days}))
    else:
        typer.echo(f"{client.url}: {state}")
        for name, left in days.items():
            typer.echo(f"  {name}: good for {left} days")
    raise typer.Exit(0 if state == "ready" else 1)


def certificate_ends(link: LinkCertificates | None) -> Mapping[str, datetime]:
    """When each certificate of the link that lies here is good no longer."""
    if link is None:
        return {}
    if (link.ca.parent / "vault.pem").exists() and link.ca.name == "authority.pem":
        return VaultCertificates(link.ca.parent).ends()
    return {"authority": ends_at(link.ca), "ours": ends_at(link.certificate)}


async def _state(client: VaultClient) -> str:
    try:
        said = await client.call("GET", "/state")
    except VaultUnavailable:
        return "does not answer"
    finally:
        await client.close()
    return str(said["status"])


@page_app.command("check")
def check(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Fetch the form as a browser would and compare headers, page and scripts with the baseline. Code 1 if they differ.

    Run it weekly at least, from outside of the vault's network. What it finds is written into the vault's log.
    Source: PCI DSS 11.6.1.
    """
    found = asyncio.run(_check(reach(data_dir)))
    if as_json:
        typer.echo(json.dumps({"is_same": not found, "differences": found}))
    else:
        typer.echo("\n".join(found) if found else "The card form is as it was authorised.")
    raise typer.Exit(1 if found else 0)


@page_app.command("baseline")
def baseline() -> None:
    """Print what a new baseline would hold: to be read, committed beside the page and authorised by a review."""
    typer.echo(json.dumps(authorised(), indent=2, sort_keys=True))


async def _check(client: VaultClient) -> list[str]:
    try:
        wanted = {"merchant_id": CHECKED_MERCHANT, "origin": CHECKED_ORIGIN}
        form = await client.call("POST", "/card-sessions", wanted, idempotency_key=new_id("chk"))
        found = differences(seen_of(await receive(form)), BASELINE)
        await client.call(
            "POST", "/page-checks", {"url": form["form_url"].rpartition("/")[0], "differences": found[:DIFFERENCES_MAX]}
        )
    finally:
        await client.close()
    return found


async def receive(form: Mapping[str, Any]) -> ReceivedPage:
    """A form's page and all that it loads, over the network. Raises: VaultUnavailable."""
    timeout = aiohttp.ClientTimeout(total=PAGE_SECONDS_MAX)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as http:
            async with http.get(form["form_url"]) as got:
                html, headers = await got.text(), dict(got.headers)
            files = {}
            for path in _LOADED.findall(html)[:FILES_MAX]:
                async with http.get(urljoin(form["form_url"], path)) as got:
                    files[path] = await got.read()
    except (aiohttp.ClientError, TimeoutError):
        raise VaultUnavailable() from None
    return ReceivedPage(headers, html, files, origin=CHECKED_ORIGIN, session_id=form["id"])
