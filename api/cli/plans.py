"""``kopeyka plans``: what plans are made by, how one stands, the night, arrears, registers, the bureau's stream."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from api.cli import plan_buyers, plan_overpayments, plan_policies
from api.cli.options import DataDirOption, JsonOption, with_engine
from api.data_dir import StartRefused
from api.plan_night import night_of, run_night
from api.plan_views import PlanLineView, installment_views, installments_of, movement_views
from api.routes.installment_products import LicenceView, MerchantTermsView, ProductView
from api.routes.installment_reports import ArrearsLineView
from installments import offering, regulator, setbacks
from installments import repository as rows
from installments.bureau import export_lines
from installments.merchant_register import RegisterPeriod, make_register
from installments.products import MerchantTerms
from installments.repository import Licence
from ledger.clock import Clock, moscow_day, read_offset
from ledger.database import Engine, Session, text, transaction
from ledger.money import Kopecks, kopecks_of, roubles

app = typer.Typer(help="Plans: paying in parts.", no_args_is_help=True)
licence = typer.Typer(help="Our own entry in the register of operators.", no_args_is_help=True)
terms = typer.Typer(help="What merchants pay for a product.", no_args_is_help=True)
app.add_typer(licence, name="licence")
app.add_typer(terms, name="terms")
app.command("overpaid")(plan_overpayments.overpaid)
app.command("return-overpaid")(plan_overpayments.return_overpaid)
app.add_typer(plan_buyers.stop_list, name="stop-list")
app.add_typer(plan_policies.app, name="policies")
app.command("find-buyer")(plan_buyers.find_buyer)
app.command("erase-buyer")(plan_buyers.erase_buyer)

STATEMENT_SECONDS_MAX = 900
"""A night of a million plans takes its time."""
ACTOR = {"actor": "operator:cli", "origin": "kopeyka plans"}
T = TypeVar("T")

DayOption = Annotated[datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="A Moscow day; today if none.")]
FromOption = Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first Moscow day.")]
MerchantOption = Annotated[str, typer.Option("--merchant", help="Its id: mer_…")]


@app.command()
def products(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """All versions of all products."""

    async def work(session: Session, _now: datetime) -> list[Any]:
        return [ProductView.of(product).model_dump(mode="json") for product in await offering.list_products(session)]

    columns = ("code", "version", "effective_on", "installments", "every", "step", "first_share_basis_points",
               "price_min_kopecks", "price_max_kopecks", "refund_policy", "penalty_basis_points")  # fmt: skip
    show(in_books(data_dir, work), columns, as_json=as_json)


@terms.command("list")
def list_terms(
    merchant: Annotated[str | None, typer.Option("--merchant", help="Of one merchant; of all if none.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """What merchants have agreed to, by merchant, product and day."""

    async def work(session: Session, _now: datetime) -> list[Any]:
        found = await offering.list_terms(session, merchant_id=merchant)
        return [MerchantTermsView.of(one).model_dump(mode="json") for one in found]

    columns = ("merchant_id", "product_code", "effective_on", "fee_basis_points", "price_min_kopecks",
               "price_max_kopecks")  # fmt: skip
    show(in_books(data_dir, work), columns, as_json=as_json)


@terms.command("set")
def set_terms(
    merchant: MerchantOption,
    fee: Annotated[int, typer.Option("--fee", min=0, max=9_999, help="Basis points of the price: 690 is 6.9 %.")],
    product: Annotated[str, typer.Option("--product", help="Its code.")] = "dolyame",
    on: DayOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Write down what a merchant pays from a day on. Plans committed before keep their fee."""

    async def work(session: Session, now: datetime) -> str:
        agreed = MerchantTerms(merchant, product, on.date() if on else moscow_day(now), fee, None, None)
        await offering.agree_terms(session, agreed, **ACTOR, now=now)
        return f"{merchant} pays {fee / 100:g} % for {product} from {agreed.effective_on} on"

    typer.echo(in_books(data_dir, work))


@licence.command("list")
def list_licences(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """What the register has said of us, by day."""

    async def work(session: Session, _now: datetime) -> list[Any]:
        return [LicenceView.of(one).model_dump(mode="json") for one in await offering.list_licences(session)]

    columns = ("effective_on", "register_number", "is_active", "capital_kopecks")
    show(in_books(data_dir, work), columns, as_json=as_json)


@licence.command("set")
def set_licence(
    number: Annotated[str, typer.Option("--number", help="In the Bank of Russia's register.")],
    capital: Annotated[str, typer.Option("--capital", help="Own funds in roubles: 5000000.00")],
    active: Annotated[
        bool, typer.Option("--active/--inactive", help="Without an active entry no plan is made.")
    ] = True,
    on: DayOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Write down what the register says of us from a day on."""
    try:
        funds = Kopecks(kopecks_of(capital))
    except (ValueError, ArithmeticError):
        raise StartRefused("--capital is roubles, such as 5000000.00") from None

    async def work(session: Session, now: datetime) -> str:
        entry = Licence(on.date() if on else moscow_day(now), number, active, funds)
        await offering.record_licence(session, entry, **ACTOR, now=now)
        return f"{number} is {'active' if active else 'not active'} from {entry.effective_on} on"

    typer.echo(in_books(data_dir, work))


@app.command("show")
def show_plan(plan_id: str, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """One plan: its installments, its movements, and what the books say of each."""

    async def work(session: Session, now: datetime) -> dict[str, Any]:
        plan, today = await rows.load_plan(session, plan_id), moscow_day(now)
        parts = installment_views(plan, await installments_of(session, plan, on=today), on=today)
        return {
            "plan": PlanLineView.of(plan).model_dump(mode="json"),
            "installments": [part.model_dump(mode="json") for part in parts],
            "movements": [one.model_dump(mode="json") for one in await movement_views(session, plan.id)],
            "vouchers": await vouchers_of(session, plan.id),
        }  # fmt: skip

    told = in_books(data_dir, work)
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    plan = told["plan"]
    console = Console(highlight=False)
    console.print(
        f"{plan['id']}  order {plan['order_number']}  {plan['status']}, {plan['standing']}  "
        f"price {roubles(plan['price_kopecks'])}, owed {roubles(plan['outstanding_kopecks'])}, "
        f"penalty {roubles(plan['penalty_kopecks'])}, fee {roubles(plan['fee_kopecks'])}",
        soft_wrap=True,
    )
    show(told["installments"], ("number", "due_on", "amount_kopecks", "paid_kopecks", "status"))
    show(told["movements"], ("happened_at", "kind", "amount_kopecks", "reference", "is_undone"))
    show(told["vouchers"], ("happened_at", "kind", "debit", "credit", "amount_kopecks"))


@app.command()
def night(data_dir: DataDirOption = None) -> None:
    """Work through what is left of this night: arrears rolled, penalty, fees, provisions, charges, reminders."""

    async def work(engine: Engine) -> str:
        clock = await business_clock(engine)
        await run_night(engine, clock)
        return f"the night of {night_of(clock.now())} is done"

    typer.echo(with_engine(data_dir, work, statement_timeout_ms=STATEMENT_SECONDS_MAX * 1000))


@app.command("setbacks")
def list_setbacks(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Plans that a step of the night could not work on and leaves out until they go through: a person should look."""

    async def work(session: Session, _now: datetime) -> list[Any]:
        return [asdict(one) | {"first_at": one.first_at.isoformat(), "last_at": one.last_at.isoformat()}
                for one in await setbacks.list_setbacks(session)]  # fmt: skip

    show(in_books(data_dir, work), ("step", "plan_id", "code", "tries", "first_at", "last_at"), as_json=as_json)


@app.command()
def arrears(on: DayOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """The portfolio by days past due: of a day that is over as it was kept, of today as plans stand."""

    async def work(session: Session, now: datetime) -> list[Any]:
        today = moscow_day(now)
        report = await regulator.portfolio_report(session, on.date() if on else today, today=today)
        return [ArrearsLineView.of(line).model_dump(mode="json") for line in report.lines]

    columns = ("bucket", "plans", "price_kopecks", "outstanding_kopecks", "penalty_kopecks", "average_term_days")
    show(in_books(data_dir, work), columns, as_json=as_json)


@app.command()
def register(
    merchant: MerchantOption,
    day: FromOption,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    month: Annotated[bool, typer.Option("--month", help="Of the month that begins on that day.")] = False,
    data_dir: DataDirOption = None,
) -> None:
    """Write a merchant's register of a day or month that is over: the same bytes each time."""

    async def work(session: Session, now: datetime) -> tuple[int, bytes]:
        period = RegisterPeriod.MONTH if month else RegisterPeriod.DAY
        made = await make_register(session, merchant, period, day.date(), now=now)
        return made.lines, made.content

    lines, content = in_books(data_dir, work)
    out.write_bytes(content)
    Console(stderr=True, highlight=False).print(f"{lines} lines written to {out}", soft_wrap=True)


@app.command()
def bureau(
    first: FromOption,
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last Moscow day, over by now.")],
    out: Annotated[Path, typer.Option(help="The file to write: a line of JSON for each event.")],
    data_dir: DataDirOption = None,
) -> None:
    """Write what the credit bureau was to be told in these days: the same bytes each time."""

    async def work(session: Session, now: datetime) -> int:
        lines = 0
        with out.open("wb") as file:
            async for line in export_lines(session, first.date(), last.date(), now=now):
                file.write(line)
                lines += 1
        return lines

    Console(stderr=True, highlight=False).print(f"{in_books(data_dir, work)} events written to {out}", soft_wrap=True)


def in_books(data_dir: Path | None, work: Callable[[Session, datetime], Awaitable[T]]) -> T:
    """Do something in one transaction, at the business time."""

    async def run(engine: Engine) -> T:
        now = (await business_clock(engine)).now()
        async with transaction(engine) as session:
            return await work(session, now)

    return with_engine(data_dir, run, statement_timeout_ms=STATEMENT_SECONDS_MAX * 1000)


async def business_clock(engine: Engine) -> Clock:
    """The clock that all processes go by."""
    async with transaction(engine) as session:
        return Clock(await read_offset(session))


async def vouchers_of(session: Session, plan_id: str) -> list[dict[str, Any]]:
    """What was booked for a plan, posting by posting, in the order of the books."""
    found = await session.execute(
        text("""SELECT h.happened_at, h.kind, d.code AS debit, c.code AS credit, p.amount
                  FROM postings AS h
                  JOIN postings AS p ON p.book = h.book AND p.entry_id = h.entry_id
                  JOIN accounts AS d ON d.book = p.book AND d.number = p.debit
                  JOIN accounts AS c ON c.book = p.book AND c.number = p.credit
                 WHERE h.number = 1 AND h.metadata->>'plan_id' = :plan_id
                 ORDER BY h.happened_at, h.entry_id, p.number"""),
        {"plan_id": plan_id},
    )
    return [
        {"happened_at": row.happened_at.isoformat(), "kind": row.kind, "debit": row.debit, "credit": row.credit,
         "amount_kopecks": row.amount}
        for row in found
    ]  # fmt: skip


def show(told: Sequence[dict[str, Any]], columns: Sequence[str], *, as_json: bool = False) -> None:
    """A table of what was found, amounts in roubles; or JSON, amounts in kopecks."""
    if as_json:
        typer.echo(json.dumps(list(told), ensure_ascii=False))
        return
    table = Table(box=None)
    for name in columns:
        is_amount = name.endswith("_kopecks")
        heading = f"{name.removesuffix('_kopecks')}, RUB" if is_amount else name
        table.add_column(heading.replace("_", " "), justify="right" if is_amount else "left", overflow="fold")
    for one in told:
        table.add_row(*(_cell(name, one[name]) for name in columns))
    Console(highlight=False).print(table)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    return roubles(value) if name.endswith("_kopecks") else str(value)
