"""``kopeyka sbp registers``: banks' files in, our own out, and what comparing them shows."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.cli.options import DataDirOption, JsonOption, with_engine
from api.data_dir import StartRefused
from api.routes.sbp_registers import RegisterDifferenceView, RegisterView
from ledger.clock import machine_now
from ledger.database import Engine, transaction
from ledger.ids import new_id
from ledger.money import roubles
from sbp_gateway.registers import checking, exporting, intake, repository
from sbp_gateway.registers.intake import RegisterArrival
from sbp_gateway.registers.profile import load_profile, profile_names
from sbp_gateway.registers.register import (
    BookTotal,
    CheckVerdict,
    Register,
    RegisterCheck,
    RegisterDifference,
    RegisterScope,
)

app = typer.Typer(help="Registers of banks against our operations.", no_args_is_help=True)

STATEMENT_SECONDS_MAX = 900
"""A register of millions of lines takes its time, and nobody waits for an answer over HTTP."""
SHOWN_MAX = 50
"""Differences shown on the screen; the API lists them all."""

ProfileOption = Annotated[str, typer.Option(help=f"One of: {', '.join(profile_names())}.")]
DayOption = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The Moscow day of the register.")]
MerchantOption = Annotated[str | None, typer.Option(help="Of one merchant; of all when not given.")]
MemberOption = Annotated[str | None, typer.Option(help="Of one bank, by NSPK's number of it.")]


@app.command("import")
def import_register(
    profile: ProfileOption,
    day: DayOption,
    file: Annotated[Path | None, typer.Argument(help="The bank's file.", exists=True, dir_okay=False)] = None,
    absent: Annotated[bool, typer.Option("--absent", help="The bank sent no file for this day.")] = False,
    merchant: MerchantOption = None,
    member: MemberOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a bank's file in, whole or not at all, and compare it."""
    if (file is None) != absent:
        raise StartRefused("Give the bank's FILE, or say --absent")
    form, scope = load_profile(profile), RegisterScope(member, merchant)

    async def work(engine: Engine) -> Report:
        now = machine_now()
        arrival = RegisterArrival(new_id("reg", now), form, day.date(), scope)
        async with transaction(engine) as session:
            if file is None:
                await intake.record_absence(session, arrival, now=now)
            else:
                with file.open("rb") as source:
                    await intake.take_in(session, arrival, source, now=now)
        return await _check(engine, arrival.id)

    _show(with_engine(data_dir, work, statement_timeout_ms=STATEMENT_SECONDS_MAX * 1000), as_json=as_json)


@app.command()
def check(register_id: str, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Compare a register again with our operations of its day."""

    async def work(engine: Engine) -> Report:
        return await _check(engine, register_id)

    _show(with_engine(data_dir, work, statement_timeout_ms=STATEMENT_SECONDS_MAX * 1000), as_json=as_json)


@app.command()
def write(
    profile: ProfileOption,
    day: DayOption,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    merchant: MerchantOption = None,
    member: MemberOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Write our operations of a day as a bank would."""
    form, scope = load_profile(profile), RegisterScope(member, merchant)

    async def work(engine: Engine) -> int:
        with out.open("wb") as file:
            return await exporting.write_day(engine, form, day.date(), scope, file)

    written = with_engine(data_dir, work)
    Console(stderr=True, highlight=False).print(f"{written} lines written to {out}", soft_wrap=True)


Report = tuple[Register, RegisterCheck, list[RegisterDifference]]


async def _check(engine: Engine, register_id: str) -> Report:
    async with transaction(engine) as session:
        done = await checking.check_three_sides(session, register_id, now=machine_now())
        register = await repository.load_register(session, register_id)
        found, _ = await repository.list_differences(
            session, register, check_number=done.number, after=0, limit=SHOWN_MAX
        )
    return register, done, found


def _show(report: Report, *, as_json: bool) -> None:
    register, done, found = report
    if as_json:
        shown = RegisterView.of(register, done).model_dump(mode="json")
        shown["differences"] = [RegisterDifferenceView.of(one).model_dump(mode="json") for one in found]
        typer.echo(json.dumps(shown, ensure_ascii=False))
        return
    console = Console(highlight=False)
    console.print(_headline(register), soft_wrap=True)
    totals = Table(box=None)
    for heading in ("verdict", "lines", "register, RUB", "ours", "ours, RUB"):
        totals.add_column(heading, justify="left" if heading == "verdict" else "right")
    for total in done.totals:
        totals.add_row(
            total.verdict.value, str(total.lines), roubles(total.line_amount), str(total.operations),
            roubles(total.operation_amount),
        )  # fmt: skip
    console.print(totals)
    for side in done.books:
        console.print(_three_sides(side), soft_wrap=True)
    for one in found:
        console.print(_difference(one), soft_wrap=True)


def _headline(register: Register) -> str:
    day: date = register.day_on
    paid = roubles(register.totals.payments)
    return (
        f"{register.id}: {register.profile}, {day}, {register.totals.lines} lines, {paid} RUB, footer {register.footer}"
    )


def _three_sides(total: BookTotal) -> str:
    sums = (
        f"{total.kind}s: register {total.line_amount}, ours {total.operation_amount}, books {total.book_amount} kopecks"
    )
    return f"{sums}; register less ours {total.register_less_ours}, ours less books {total.ours_less_books}"


def _difference(one: RegisterDifference) -> str:
    line = f"line {one.line_number}: {roubles(one.line_amount)}" if one.line_amount is not None else "no line"
    ours = f"{one.operation_id}: {roubles(one.operation_amount)}" if one.operation_amount is not None else "nothing"
    if one.verdict is CheckVerdict.DIFFERS_FROM_BOOKS:
        line = "no entry" if one.book_amount is None else f"the books: {roubles(one.book_amount)}"
    return f"  {one.verdict.value}: {line}; with us {ours}; {one.trx_id or one.qrc_id or ''}"
