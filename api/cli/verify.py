"""``kopeyka verify``."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table

from api.cli.options import BookOption, DataDirOption, JsonOption, with_engine
from installments import sub_ledger
from ledger.database import Engine, Session, transaction
from ledger.journal import MAIN_BOOK
from ledger.proofs import PROOFS, BrokenProof, broken_proofs

PLANS_AGREE = "plans_agree"
ALL_PROOFS = PROOFS | {PLANS_AGREE: "Installment plans and their accounts say the same; no charge is left untold."}


def verify(book: BookOption = MAIN_BOOK, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Check every proof of the books; code 1 when one does not hold."""

    async def work(engine: Engine) -> list[BrokenProof]:
        async with transaction(engine) as session:
            return await broken_proofs(session, book=book) + (await _plans(session) if book == MAIN_BOOK else [])

    broken = with_engine(data_dir, work, statement_timeout_ms=0)  # reads every posting: as long as it takes
    if as_json:
        typer.echo(json.dumps({"book": book, "proofs": list(ALL_PROOFS), "broken": [asdict(row) for row in broken]}))
    else:
        show(broken)
    raise typer.Exit(1 if broken else 0)


def show(broken: list[BrokenProof]) -> None:
    """A table of all proofs, then each place where one does not hold."""
    table = Table("proof", "what it says", "")
    for name, meaning in ALL_PROOFS.items():
        places = sum(1 for row in broken if row.proof == name)
        table.add_row(name, meaning, f"[red]broken: {places}" if places else "[green]holds")
    console = Console()
    console.print(table)
    for row in broken:
        console.print(f"{row.proof} {row.account or ''} {json.dumps(dict(row.facts))}", markup=False, soft_wrap=True)


async def _plans(session: Session) -> list[BrokenProof]:
    return [
        BrokenProof(PLANS_AGREE, one.account, {"in_books": one.in_books, "in_plans": one.in_plans})
        for one in await sub_ledger.check(session)
    ]
