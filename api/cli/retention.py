"""``kopeyka retention``: how long the vault keeps what, and what its purges found."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from api.cli.options import DataDirOption
from api.cli.vault_database import command_origin, in_vault, operator
from ledger.clock import machine_now
from pci.database import Session
from pci.evidence import retention

app = typer.Typer(help="How long the vault keeps what, and its purges.", no_args_is_help=True)

NEEDED_FOR = "retention is the vault's"

_REPORT = text(
    "SELECT p.data_class, p.merchant_id, p.days, p.legal_basis, max(u.ran_at) AS last_run,"
    " coalesce(sum(u.rows_purged), 0) AS purged,"
    " (SELECT l.rows_left FROM purges l WHERE l.policy_id = p.id ORDER BY l.ran_at DESC LIMIT 1) AS rows_left"
    " FROM retention_policies p LEFT JOIN purges u ON u.policy_id = p.id WHERE p.ended_at IS NULL"
    " GROUP BY p.id, p.data_class, p.merchant_id, p.days, p.legal_basis ORDER BY 1, 2"
)


@app.command("list")
def show(data_dir: DataDirOption = None) -> None:
    """Policies in force, when each was last carried out, and what was left past it."""

    async def work(session: Session) -> list[Any]:
        return list((await session.execute(_REPORT)).all())

    table = Table("data", "merchant", "days", "basis", "last purge", "purged", "left")
    for row in in_vault(data_dir, work, needed_for=NEEDED_FOR):
        table.add_row(*("—" if value is None else str(value) for value in row))
    Console().print(table)


@app.command("set")
def put_in_force(
    data_class: Annotated[str, typer.Argument(help="expired_card, card_session or sad.")],
    days: Annotated[int, typer.Option("--days", min=0)],
    basis: Annotated[str, typer.Option("--basis", help="The contract or law it rests on.")],
    because: Annotated[str, typer.Option("--because", help="Why no shorter.")],
    merchant: Annotated[str, typer.Option("--merchant", help="One merchant's own, no longer than the house's.")] = "",
    data_dir: DataDirOption = None,
) -> None:
    """Put a policy in force; the one before it ends, and the log is told."""

    async def work(session: Session) -> retention.RetentionPolicy:
        return await retention.set_policy(
            session, merchant_id=merchant, data_class=data_class, days=days, legal_basis=basis, justification=because,
            actor=operator(), origin=command_origin(), now=machine_now(),
        )  # fmt: skip

    policy = in_vault(data_dir, work, needed_for=NEEDED_FOR)
    typer.echo(f"retention_policy {policy.id}: {policy.data_class} is kept {policy.days} days")
