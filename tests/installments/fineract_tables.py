"""Apache Fineract's public schedule tables as lines of text: each part with what is due, paid, in advance and late.

Blocks of ``data/fineract_*.txt``, parted by empty lines: the feature file, the scenario's id and a word of ours; the
heading and the events of ``fineract``; and after ``=`` the table that the scenario publishes then, a part a word:

    250            due, nothing paid of it            250*   paid on its day
    250+           paid in advance                    250-   paid late
    250/150+100-25 of 250 are paid 150, 100 of them in advance and 25 late

After ``@`` stand the due days of all parts. ``look`` is a day on which nothing happens. A table that is another by our
terms goes on with ``ours`` and what we say, ``because`` and a key of ``DIFFERENT``: both are checked, and that they
differ. Goods that came back make parts smaller with us and pay them with Fineract, so they are shown as paid here.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from installments.movements import Movement, MovementKind
from installments.products import Product
from installments.replay import replay
from installments.schedule import Installment, build_schedule
from installments.state import PlanState
from ledger.clock import moscow_day
from ledger.money import roubles
from tests.installments.fineract import day_of, movement_of, read_heading

DIFFERENT = {
    "buyers_money": "what a buyer pays in advance goes to the next part, always; with Fineract a product may send it "
    "to the last or spread it. The rule itself is checked with goods, which have it here",
    "kopecks_down": "parts of a price are cut down to the kopeck, and the last is the greatest; Fineract goes to the "
    "nearest, and the last may be the smallest",
    "paid_goods": "goods that were paid for leave no paid part behind: it shrinks, and the money is overpaid; Fineract "
    "keeps the part as paid. What is owed and overpaid is the same",
    "overpaid_first": "what a bank takes back uses up what was overpaid, and the rest is owed again; Fineract lends it "
    "all and pays it from what was overpaid. What is owed is the same",
    "emptied_parts": "parts that a re-age empties keep their numbers and days, with nothing due; Fineract takes away "
    "those that were to come and puts one on the day of the re-age. What is owed is the same",
}
"""Why a table of ours is another: the words after ``because``."""
LEFT_OUT = {
    "a second disbursement": (
        "C2819 C2833 C2834 C2922 C3063 C3064 C3065 C3105 C3109 C3114 C3134 C4051 C4060 C4324 C4596 C2938 C2939"
    ),
    "fees and penalties": (
        "C2446 C2547 C2612 C2636 C2637 C2814 C2818 C2940 C2946 C2947 C2959 C3058 C3073 C3076 C3077 C3082 C3110 C3115 "
        "C3223 C3243 C4039 C4044 C4045 C4050 C4068 C4069 C4070 C4072 C4073 C4080 C4081"
    ),
    "days of the order or of all parts moved": "C2937 C3129 C3133",
    "a part of nothing": "C4354",
}
"""Scenarios without interest that were read and are not here, or only with their tables that have none of this: a plan
is paid out once, penalty is no charge of a day, a snooze moves one part, no part is empty."""
FOLDER = Path(__file__).parent / "data"
PAYS = frozenset(
    {
        MovementKind.DOWN_PAYMENT, MovementKind.INSTALLMENT_PAYMENT, MovementKind.EARLY_PAYMENT,
        MovementKind.PAYOUT_REFUND, MovementKind.GOODWILL, MovementKind.MERCHANT_REFUND,
    }
)  # fmt: skip
LINE = re.compile(r"(\d\d\.\d\d(?:\.\d{4})?) (\S+)([^=|]*)(?:([=|]) (.*))?")
PART = re.compile(r"([\d.]+)(?:([*+-])|/([\d.]+)(?:\+([\d.]+))?(?:-([\d.]+))?)?")
TABLE = re.compile(r"(.*?)(?: ours (.*?) because (\S+))?")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One published scenario: where it stands, and its lines."""

    feature: str
    id: str
    title: str
    heading: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.feature} {self.id}, {self.title}"


@dataclass(frozen=True, slots=True)
class Table:
    """What a scenario publishes after a line, what we should say, and what replay says."""

    line: str
    is_published: bool
    """Or a figure of ours, by money that has the published rule with us."""
    published: str
    expected: str
    said: str
    because: str | None


def scenarios() -> Iterator[Scenario]:
    """All of them, file by file."""
    for path in sorted(FOLDER.glob("fineract_*.txt")):
        for block in path.read_text("utf-8").strip().split("\n\n"):
            title, heading, *lines = block.splitlines()
            feature, name, words = title.split(" ", 2)
            yield Scenario(feature, name, words, heading, tuple(lines))


def tables(scenario: Scenario) -> list[Table]:
    """Every published table of a scenario beside ours."""
    price, product, start, first_due_on = read_heading(scenario.heading)
    play = _Play(build_schedule(price, product, first_due_on=first_due_on), product, start)
    read, latest = [], start
    for number, line in enumerate(scenario.lines, start=1):
        found = LINE.fullmatch(line)
        assert found, f"not a line of a scenario: {line!r}"
        day, verb, rest, sign, published = found.groups()
        latest = max(latest, day_of(day, latest))
        if verb != "look":
            play.movements.append(movement_of(number, day_of(day, latest), verb, rest.strip()))
        if published:
            read.append(_table(line, sign == "=", published, play, latest))
    return read


class _Play:
    """A scenario as far as it is played."""

    def __init__(self, schedule: Sequence[Installment], product: Product, contract_on: date) -> None:
        self.schedule = schedule
        self.product = product
        self.contract_on = contract_on
        self.movements: list[Movement] = []

    def state(self, movements: Sequence[Movement], on: date) -> PlanState:
        """What replay says of these."""
        return replay(self.schedule, movements, self.product, on=on, contract_on=self.contract_on)

    def kept(self, state: PlanState) -> list[Movement]:
        """The movements that count, in their order."""
        known = {movement.id: movement for movement in self.movements}
        return [known[allocation.movement_id] for allocation in state.allocations]


def _table(line: str, is_published: bool, published: str, play: _Play, on: date) -> Table:
    found = TABLE.fullmatch(published)
    assert found, f"not a table: {published!r}"
    theirs, ours, because = found.groups()
    state = play.state(play.movements, on)
    said = _figures(play, state)
    if "overpaid" in theirs:
        said += f" overpaid {_short(state.overpaid)}"
    if "@" in theirs:
        said += f" @ {' '.join(part.due_on.strftime('%d.%m') for part in state.installments)}"
    return Table(line, is_published, _spelled(theirs), _spelled(ours or theirs), said, because)


def _figures(play: _Play, state: PlanState) -> str:
    """Our state in Fineract's columns. Money is in advance or late by the days as they were when it came."""
    count, kept = len(state.installments), play.kept(state)
    goods, ahead, late = [0] * count, [0] * count, [0] * count
    for place, (movement, allocation) in enumerate(zip(kept, state.allocations, strict=True), start=1):
        if movement.kind not in PAYS:
            continue
        day = moscow_day(movement.happened_at)
        due_on = [part.due_on for part in play.state(kept[:place], day).installments]
        for number, amount in allocation.principal:
            index = number - 1
            ahead[index] += amount if day < due_on[index] else 0
            late[index] += amount if day > due_on[index] else 0
            goods[index] += amount if movement.kind is MovementKind.MERCHANT_REFUND else 0
    return " ".join(
        _part(part.amount + back, part.paid + back, before, after)
        for part, back, before, after in zip(state.installments, goods, ahead, late, strict=True)
    )


def _part(due: int, paid: int, ahead: int, late: int) -> str:
    said = f"{_short(due)}/{_short(paid)}"
    return f"{said}{f'+{_short(ahead)}' if ahead else ''}{f'-{_short(late)}' if late else ''}"


def _spelled(table: str) -> str:
    """A table's short words in full."""
    figures, at, days = table.partition("@")
    parts, over, overpaid = figures.partition("overpaid")
    words = [_full(word) for word in parts.split()]
    return " ".join([*words, *([over, overpaid.strip()] if over else []), *([at, *days.split()] if at else [])])


def owed(table: str) -> list[str]:
    """What is left to pay of a table in full words, part by part: those that owe nothing left out."""
    figures = table.partition("@")[0].partition("overpaid")[0]
    left = [Decimal(due) - Decimal(paid) for due, paid, *_ in (re.split("[/+-]", word) for word in figures.split())]
    return [f"{amount:.2f}" for amount in left if amount]


def _full(word: str) -> str:
    found = PART.fullmatch(word)
    assert found, f"not a part of a table: {word!r}"
    due, sign, paid, ahead, late = found.groups()
    if sign:
        return f"{due}/{due}{'' if sign == '*' else sign + due}"
    return f"{due}/{paid or 0}{f'+{ahead}' if ahead else ''}{f'-{late}' if late else ''}"


def _short(amount: int) -> str:
    return roubles(amount).removesuffix(".00")


def counts() -> str:
    """What is checked, in the README's words."""
    read = [each for scenario in scenarios() for each in tables(scenario) if each.is_published]
    of = {(each.feature, each.id) for each in scenarios()}
    different = Counter(each.because for each in read if each.because)
    other = ", ".join(f"{reason} {different[reason]}" for reason in sorted(different))
    left = ", ".join(f"{reason} {len(ids.split())}" for reason, ids in LEFT_OUT.items())
    return (
        f"{len(read)} tables of {len(of)} scenarios in {len({feature for feature, _ in of})} files; "
        f"{different.total()} are others by our terms ({other}); read and left out, whole or in part: {left}"
    )


if __name__ == "__main__":
    sys.stdout.write(f"{counts()}\n")
