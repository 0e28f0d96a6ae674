"""``kopeyka plans overpaid``: money of buyers that no card can take back, so a person returns it."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console

from api.cli.options import DataDirOption, JsonOption, with_engine
from installments.overpayments import list_overpaid
from ledger.database import Engine, transaction
from ledger.money import roubles


def overpaid(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Plans that owe their buyers money which came by SBP or bank, for a person to return."""

    async def work(engine: Engine) -> list[dict[str, Any]]:
        async with transaction(engine) as session:
            found = await list_overpaid(session)
        return [
            {"plan_id": one.plan_id, "buyer_id": one.buyer_id, "overpaid_kopecks": int(one.amount)} for one in found
        ]

    told = with_engine(data_dir, work)
    if as_json:
        typer.echo(json.dumps(told))
        return
    for one in told:
        Console(highlight=False).print(
            f"{one['plan_id']}  {one['buyer_id']}  {roubles(one['overpaid_kopecks'])}", soft_wrap=True
        )
