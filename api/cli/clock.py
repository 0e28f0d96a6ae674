"""``kopeyka clock``: the sandbox's business clock."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated

import typer

from api.cli.options import DataDirOption, with_engine
from api.data_dir import StartRefused
from api.settings import Mode, Settings
from ledger.clock import MOSCOW, machine_now, read_offset, set_offset
from ledger.database import Engine, transaction

app = typer.Typer(help="The business clock of a sandbox; production has the machine's.", no_args_is_help=True)

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
OFFSET_MAX = timedelta(days=3_650)
"""Ten years ahead show every plan to its end; more is a slip of the finger."""


@app.command()
def show(data_dir: DataDirOption = None) -> None:
    """What time it is for the business."""

    async def work(engine: Engine) -> timedelta:
        async with transaction(engine) as session:
            return await read_offset(session)

    tell(with_engine(data_dir, work))


@app.command()
def advance(
    by: Annotated[str, typer.Argument(help="How far: 90s, 15m, 3h, 14d, 2w.")], data_dir: DataDirOption = None
) -> None:
    """Move the clock ahead."""
    step = duration(by)
    tell(move(data_dir, lambda offset: offset + step))


@app.command("set")
def set_clock(
    at: Annotated[str, typer.Argument(help="An instant: 2026-12-31T21:00:00Z; Moscow time without a zone.")],
    data_dir: DataDirOption = None,
) -> None:
    """Move the clock to an instant ahead."""
    try:
        instant = datetime.fromisoformat(at)
    except ValueError:
        raise StartRefused(f"{at} is not an instant: write 2026-12-31T21:00:00Z") from None
    instant = instant if instant.tzinfo else instant.replace(tzinfo=MOSCOW)
    tell(move(data_dir, lambda _offset: instant - machine_now()))


def move(data_dir: DataDirOption, to: Callable[[timedelta], timedelta]) -> timedelta:
    """Give the clock another offset, later than the present one: the books never go back."""
    if Settings().mode is Mode.PRODUCTION:
        raise StartRefused("Production time is not moved: only a sandbox's clock is.")

    async def work(engine: Engine) -> timedelta:
        async with transaction(engine) as session:
            offset = await read_offset(session)
            wanted = to(offset)
            if not offset <= wanted <= OFFSET_MAX:
                raise StartRefused("The clock only moves ahead, at most ten years in all.")
            await set_offset(session, wanted)
            return wanted

    return with_engine(data_dir, work)


def duration(said: str) -> timedelta:
    """What ``14d`` means."""
    found = re.fullmatch(r"([0-9]{1,9})([smhdw]?)", said)
    if found is None:
        raise StartRefused(f"{said} is not a duration: write 90s, 15m, 3h, 14d or 2w")
    return timedelta(seconds=int(found[1]) * UNITS[found[2] or "s"])


def tell(offset: timedelta) -> None:
    """The business time in Moscow, and how far ahead it is."""
    at = (machine_now() + offset).astimezone(MOSCOW)
    ahead = f", {offset} ahead of the machine" if offset else ""
    typer.echo(f"{at.isoformat(timespec='seconds')}{ahead}")
