"""``kopeyka explain``: the whole story of an order, payment, plan, refund or payout, in order of time."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from api.cli.options import DataDirOption, JsonOption, with_engine
from api.cli.vault_database import command_origin, operator
from api.timeline.moments import Moment, Timeline
from api.timeline.telling import Reader, by_day, tell_timeline
from api.timeline.traces import posting_text
from ledger.clock import machine_now
from ledger.database import Engine, transaction
from ledger.money import roubles

KIND_COLUMNS = 9
"""The longest kind of moment and two spaces."""
FACTS_COLUMN = 24
"""Where facts begin: behind time and kind."""


def explain(
    object_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Any id of ours, of a request or an event, or NSPK's number of a link or an operation.",
        ),
    ],
    with_log: Annotated[bool, typer.Option("--log", help="Also the audit log's lines; that is logged itself.")] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what happened to an order, payment, plan, refund or payout: who asked, what was booked, who was told."""

    async def work(engine: Engine) -> Timeline:
        reader = Reader(operator(), command_origin(), None, is_auditor=with_log)
        async with transaction(engine) as session:
            return await tell_timeline(session, object_id, reader, now=machine_now())

    timeline = with_engine(data_dir, work)
    if as_json:
        typer.echo(json.dumps(as_plain(timeline), ensure_ascii=False))
        return
    console = Console(soft_wrap=True, highlight=False)
    for day, moments in by_day(timeline.moments).items():
        console.print(f"\n{day}", style="bold", markup=False)
        for moment in moments:
            console.print(moment_text(moment))
    left_out = timeline.moments_found - len(timeline.moments)
    console.print(f"{timeline.moments_found} moments of {len(timeline.objects)} objects", markup=False)
    if left_out:
        console.print(f"{left_out} in the middle are left out", markup=False)


def as_plain(timeline: Timeline) -> dict[str, Any]:
    """The timeline as the route gives it."""
    return {
        "id": timeline.id, "objects": list(timeline.objects), "moments_found": timeline.moments_found,
        "moments": [
            {"at": one.at.isoformat().replace("+00:00", "Z"), "kind": one.kind.value, "what": one.what,
             "about": one.about, "facts": dict(one.facts)}
            for one in timeline.moments
        ],
    }  # fmt: skip


def moment_text(moment: Moment) -> Text:
    """A moment as lines that no terminal folds: an id cut in two is found by nobody."""
    head = Text.assemble(
        f" {moment.at:%H:%M:%S.%f}"[:-3], (f"  {moment.kind.value:<{KIND_COLUMNS}}", "cyan"), (moment.what, "bold"),
        (f"  {moment.about}", "dim"),
    )  # fmt: skip
    indent = " " * FACTS_COLUMN
    return Text("\n").join([head, *(Text(indent + line) for line in lines_of(moment))])


def lines_of(moment: Moment) -> list[str]:
    """The facts of a moment as lines of text: postings each on its own, the rest together."""
    postings = moment.facts.get("postings", ())
    rest = [
        f"{name.removesuffix('_kopecks')} {roubles(value)} RUB" if _is_money(name, value) else f"{name} {value}"
        for name, value in moment.facts.items()
        if name != "postings"
    ]
    return [*map(posting_text, postings), *([", ".join(rest)] if rest else [])]


def _is_money(name: str, value: object) -> bool:
    return name.endswith("_kopecks") and isinstance(value, int)
