"""``kopeyka sbp``: NSPK's list of banks, and links looked at."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.cli import registers
from api.cli.options import DataDirOption, JsonOption, with_engine
from api.data_dir import StartRefused
from ledger.clock import machine_now
from ledger.database import Engine, transaction
from sbp_gateway import bank_list
from sbp_gateway.banks import Bank, find_banks, read_banks
from sbp_gateway.errors import InvalidPayload
from sbp_gateway.payload import Link, parse, parse_leniently
from sbp_gateway.payload_flaws import EXPLAINED, flaws_of

app = typer.Typer(help="The SBP rail.", no_args_is_help=True)
banks_app = typer.Typer(help="The banks that pay by SBP links.", no_args_is_help=True)
links_app = typer.Typer(help="Functional links: what stands in a QR.", no_args_is_help=True)
app.add_typer(banks_app, name="banks")
app.add_typer(links_app, name="links")
app.add_typer(registers.app, name="registers")

NAMES_MAX = 20
"""Banks named one by one after an import."""


@banks_app.command("import")
def import_banks(
    file: Annotated[
        Path | None, typer.Argument(help="NSPK's c2bmembers.json or its normalised copy; else the bundled list.")
    ] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the list of banks in, whole. The same list again changes nothing."""
    banks = read_banks(_text_of(file)) if file is not None else bank_list.bundled_banks()

    async def work(engine: Engine) -> bank_list.BankImport:
        async with transaction(engine) as session:
            return await bank_list.import_banks(session, banks, now=machine_now())

    done = with_engine(data_dir, work)
    if as_json:
        typer.echo(json.dumps(asdict(done), ensure_ascii=False))
        return
    typer.echo(
        f"{len(banks)} banks: {len(done.added)} added, {len(done.changed)} changed, {len(done.gone)} gone, "
        f"{done.unchanged} as before."
    )
    for word, names in (("changed", done.changed), ("gone", done.gone)):
        if names:
            typer.echo(f"{word}: {', '.join(names[:NAMES_MAX])}{' …' if len(names) > NAMES_MAX else ''}")


@banks_app.command("list")
def list_banks(
    search: Annotated[str | None, typer.Option(help="Words of the name.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Banks in NSPK's order."""

    async def work(engine: Engine) -> list[Bank]:
        async with transaction(engine) as session:
            return await bank_list.list_banks(session)

    banks = find_banks(with_engine(data_dir, work), search)
    if as_json:
        typer.echo(json.dumps([asdict(bank) for bank in banks], ensure_ascii=False))
        return
    table = Table("id", "name", "package", "web client")
    for bank in banks:
        table.add_row(bank.id, bank.name, bank.package or "", bank.web_client_url if bank.is_web_client_active else "")
    Console().print(table)


@links_app.command()
def check(
    payload: Annotated[str, typer.Argument(help="The text behind a QR.")],
    lenient: Annotated[bool, typer.Option("--lenient", help="As a sandbox reads it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a link is, or everything that is wrong with it (and end with code 1)."""
    try:
        link = parse_leniently(payload) if lenient else parse(payload)
    except InvalidPayload:
        flaws = {flaw.value: EXPLAINED[flaw] for flaw in flaws_of(payload)}
        if as_json:
            typer.echo(json.dumps({"valid": False, "flaws": flaws}))
        else:
            typer.echo("\n".join(f"{flaw}: {meaning}" for flaw, meaning in flaws.items()))
        raise typer.Exit(1) from None
    typer.echo(json.dumps({"valid": True, **_told(link)}) if as_json else _described(link))


def _told(link: Link) -> dict[str, object]:
    return {
        "qrc_id": link.qrc_id,
        "kind": None if link.kind is None else link.kind.name.lower(),
        "member_id": link.member_id,
        "amount_kopecks": None if link.amount is None else int(link.amount),
        "flaws": [flaw.value for flaw in link.flaws],
    }


def _described(link: Link) -> str:
    kind = "short form" if link.kind is None else link.kind.name.lower()
    parts = [f"{kind} link {link.qrc_id}"]
    if link.member_id is not None:
        parts.append(f"to the bank {link.member_id}")
    if link.amount is not None:
        parts.append(f"for {link.amount}")
    if link.kind is None:
        parts.append("without a check sum")
    return ", ".join(parts) + "".join(f"\nforgiven: {EXPLAINED[flaw]}" for flaw in link.flaws)


def _text_of(file: Path) -> str:
    """Raises: StartRefused if the file cannot be read."""
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StartRefused(f"{file} cannot be read: {type(error).__name__}") from None
