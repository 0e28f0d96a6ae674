"""``kopeyka plans overpaid``, ``return-overpaid``: buyers' money that no card can take back; a person returns it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from api.cli.options import DataDirOption, JsonOption, with_engine
from api.data_dir import StartRefused
from api.plan_bank_news import record_bank_return
from installments.overpayments import BankReturn, list_overpaid, refused_by_cards
from installments.telling import PlanActor
from ledger.clock import Clock, read_offset
from ledger.database import Engine, Session, in_transaction, transaction
from ledger.money import Kopecks, kopecks_of, roubles

BY = PlanActor("operator:cli", "kopeyka plans return-overpaid")


def overpaid(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Plans that owe their buyers money which came by SBP or bank, or which cards refused, for a person to return."""

    async def work(engine: Engine) -> list[dict[str, Any]]:
        async with transaction(engine) as session:
            found = await list_overpaid(session)
        return [
            {
                "plan_id": one.plan_id,
                "buyer_id": one.buyer_id,
                "overpaid_kopecks": int(one.amount),
                "refused_kopecks": int(one.refused),
            }
            for one in found
        ]

    told = with_engine(data_dir, work)
    if as_json:
        typer.echo(json.dumps(told))
        return
    for one in told:
        Console(highlight=False).print(
            f"{one['plan_id']}  {one['buyer_id']}  {roubles(one['overpaid_kopecks'])}", soft_wrap=True
        )


def return_overpaid(
    plan_id: str,
    amount: Annotated[str, typer.Option("--amount", help="Roubles that left our bank account: 12.34")],
    reference: Annotated[str, typer.Option("--reference", help="The bank's own name of the transfer.")],
    data_dir: DataDirOption = None,
) -> None:
    """Write down that a buyer's overpayment was sent back by a transfer; the same reference is booked once."""
    try:
        back = BankReturn(plan_id, Kopecks(kopecks_of(amount)), reference)
    except (ValueError, ArithmeticError):
        raise StartRefused("--amount is roubles, such as 12.34") from None
    if not re.fullmatch(r"[!-~]{1,64}", reference):
        raise StartRefused("--reference is at most 64 characters of ASCII without spaces")

    async def work(engine: Engine) -> int:
        async with transaction(engine) as session:
            clock = Clock(await read_offset(session))
        return await in_transaction(engine, lambda session: returned(session, clock.now()))

    async def returned(session: Session, now: datetime) -> int:
        plan = await record_bank_return(session, back, BY, now=now)
        return int(plan.overpaid + await refused_by_cards(session, plan.id))

    typer.echo(f"{plan_id}: {roubles(with_engine(data_dir, work))} is left to return")
