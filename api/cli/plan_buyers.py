"""``kopeyka plans stop-list``, ``find-buyer``, ``erase-buyer``: who gets no plan, and who is to be forgotten.

Phones and documents are read from a file or the keyboard, never from the command line: shells remember those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import SecretStr

from api import installation
from api.buyer_key import buyers_key, required_key
from api.cli.options import DataDirOption
from api.data_dir import StartRefused
from api.settings import Settings
from installments import buyer_rows, buyers, stop_lists
from installments.buyer import read_phone
from installments.buyer_errors import PhoneMalformed
from installments.stop_lists import LINES_MAX, StopListKind, StopListLine
from ledger.clock import Clock, moscow_day, read_offset
from ledger.database import Session, create_engine, in_transaction, text
from pci.secret import Secret

BY = "operator:cli"
KEPT_YEARS = 5
"""After the last movement of money. Source: 115-FZ, art. 7, p. 4: five years from the end of the relations."""
T = TypeVar("T")
Work = Callable[[Session, Secret, datetime], Awaitable[T]]

stop_list = typer.Typer(help="Phones and documents to which no plan is given.", no_args_is_help=True)

KindOption = Annotated[StopListKind, typer.Option("--kind", help="What is named.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; names nobody.")]
SourceOption = Annotated[str, typer.Option("--source", help="Who said so: police, court, own.")]


@stop_list.command("add")
def add_to_stop_list(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A phone or document a line.")],
    reason: ReasonOption,
    source: SourceOption,
    kind: KindOption = StopListKind.PHONE,
    data_dir: DataDirOption = None,
) -> None:
    """Put what a file names on the list. Digests are kept; the file itself is yours to destroy."""
    values = _read(file, kind)

    async def work(session: Session, key: Secret, now: datetime) -> int:
        digests = [stop_lists.digest_of(key, kind, value) for value in values]
        portions = [digests[first : first + LINES_MAX] for first in range(0, len(digests), LINES_MAX)]
        return sum(
            [
                await stop_lists.add_lines(session, kind, portion, reason=reason, source=source, by=BY, now=now)
                for portion in portions
            ]
        )

    typer.echo(f"{in_books(data_dir, work)} of {len(values)} are new on the list")


@stop_list.command("find")
def find_on_stop_list(kind: KindOption = StopListKind.PHONE, data_dir: DataDirOption = None) -> None:
    """Look one phone or document up; it is asked for and not shown."""
    value = _named(kind, typer.prompt(kind.value, hide_input=True))

    async def work(session: Session, key: Secret, _now: datetime) -> list[StopListLine]:
        digest = stop_lists.digest_of(key, kind, value)
        is_phone = kind is StopListKind.PHONE
        return await stop_lists.find_lines(
            session, phone=digest if is_phone else None, document=None if is_phone else digest
        )

    found = in_books(data_dir, work)
    for line in found:
        typer.echo(f"{line.id}  {line.kind}  since {moscow_day(line.added_at)}  {line.source}: {line.reason}")
    if not found:
        typer.echo("not on the list")


@stop_list.command("remove")
def remove_from_stop_list(line_id: str, data_dir: DataDirOption = None) -> None:
    """Take a line off by its id: stp_… It stays to be read that it was there."""

    async def work(session: Session, _key: Secret, now: datetime) -> None:
        await stop_lists.remove_line(session, line_id, by=BY, now=now)

    in_books(data_dir, work)
    typer.echo(f"{line_id} is off the list")


def find_buyer(data_dir: DataDirOption = None) -> None:
    """The id of the buyer of a phone; it is asked for and not shown."""
    phone = _named(StopListKind.PHONE, typer.prompt("phone", hide_input=True))

    async def work(session: Session, _key: Secret, _now: datetime) -> str | None:
        found = await buyer_rows.find_by_phone(session, phone)
        return None if found is None else found.id

    typer.echo(in_books(data_dir, work) or "there is no such buyer")


def erase_buyer(
    buyer_id: str,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDirOption = None,
) -> None:
    """Remove what is personal of a buyer whose plans are over, five years after the last of them moved. For ever."""

    async def work(session: Session, _key: Secret, now: datetime) -> None:
        await _refuse_too_early(session, buyer_id, now)
        await buyers.erase_buyer(session, buyer_id, by=BY, now=now)

    if not yes:
        typer.confirm(f"Erase all that is personal of {buyer_id}, for ever?", abort=True)
    in_books(data_dir, work)
    typer.echo(f"{buyer_id} is erased; plans, books and decisions stay under the id")


async def _refuse_too_early(session: Session, buyer_id: str, now: datetime) -> None:
    """Raises: StartRefused while the law wants it kept."""
    until = await session.scalar(
        text("""SELECT max(m.happened_at) + make_interval(years => :years)
                  FROM plan_movements AS m JOIN installment_plans AS p ON p.id = m.plan_id
                 WHERE p.buyer_id = :buyer_id"""),
        {"buyer_id": buyer_id, "years": KEPT_YEARS},
    )
    if until is not None and until > now:
        raise StartRefused(f"{buyer_id} is kept until {moscow_day(until)}: {KEPT_YEARS} years by 115-FZ")


def in_books(data_dir: Path | None, work: Work[T]) -> T:
    """Do something in one transaction, at the business time, with the key of buyers' digests."""
    settings = Settings()

    async def run(url: str) -> T:
        key = required_key(buyers_key(settings.model_copy(update={"database_url": SecretStr(url)})))
        engine = create_engine(url)
        try:
            offset = await in_transaction(engine, read_offset)
            return await in_transaction(engine, lambda session: work(session, key, Clock(offset).now()))
        finally:
            await engine.dispose()

    with installation.databases(settings, data_dir) as databases:
        return asyncio.run(run(databases.app))


def _read(file: Path, kind: StopListKind) -> list[Secret]:
    """What a file names, a line each. Raises: StartRefused with the number of a wrong line, and nothing of it."""
    values = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        try:
            values += [_named(kind, line)] if line.strip() else []
        except PhoneMalformed:
            raise StartRefused(f"line {number} of {file} is no phone with its country; nothing was added") from None
    return values


def _named(kind: StopListKind, given: str) -> Secret:
    """A phone as all are kept, or a document as it is written. Raises: PhoneMalformed."""
    return read_phone(given) if kind is StopListKind.PHONE else Secret(given)
