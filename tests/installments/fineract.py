"""Apache Fineract's zero-interest scenarios as lines of text, so that one more table is a minute's work.

A case is a heading and a line for each event, with what is unpaid of every part after it:

    500 in 4 every 15 days from 01.01.2023
    01.01 pay 125                 | 0 125 125 125
    16.01 refund 200              | 0 0 25 25      overpaid 0

Events: ``pay``, ``early``, ``refund`` (by re-amortisation; ``refund/next``, ``/last``, ``/proportional``), ``payout``,
``goodwill``, ``chargeback 125 of 1``, ``credit`` (credit-balance refund), ``undo 2``, ``re-amortise``,
``re-age 6 from 01.03.2024 every 1 months``, ``write-off``, ``recovery``. Numbers after ``of`` and ``undo`` are lines.
The day may have a year. What follows the bar is checked; a line without a bar is only done.

A Fineract schedule (LP2) is cut in whole units with the odd ones in the last part, and re-amortised in cents, so the
product is ``rouble_last`` with 25 % first; penalties are none. ``due 31.01.2023`` in the heading is the first part's
day when it is not the day of the contract. A line of an earlier day than the last is told late: what is
said is as of the latest day so far.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from installments.movements import Movement, MovementKind
from installments.products import PartRounding, Product, RefundPolicy, Step
from installments.replay import replay
from installments.schedule import build_schedule
from installments.state import PlanState
from ledger.money import Kopecks, kopecks_of, roubles

LP2 = Product(
    "lp2", 1, "Four parts", date(2020, 1, 1), 4, Step.DAYS, 15, 2500, PartRounding.ROUBLE_LAST, Kopecks(100),
    Kopecks(100_000_000), timedelta(hours=6), timedelta(days=5), RefundPolicy.REAMORTISE, 0, 0, False, True,
)  # fmt: skip

HEADING = re.compile(
    r"([\d.]+) in (\d+) every (\d+) (days|months) from (\S+)"
    r"(?: due (\S+))?(?: first (\d+)%)?(?: to the (kopeck))?"
)
LINE = re.compile(r"(\d\d\.\d\d(?:\.\d{4})?) (\S+)(?: ([^|]*?))?\s*(?:\|(.*))?$")
RE_AGE = re.compile(r"(\d+) from (\S+) every (\d+) (days|months)")
VERBS = {
    "down": MovementKind.DOWN_PAYMENT,
    "pay": MovementKind.INSTALLMENT_PAYMENT,
    "early": MovementKind.EARLY_PAYMENT,
    "refund": MovementKind.MERCHANT_REFUND,
    "payout": MovementKind.PAYOUT_REFUND,
    "goodwill": MovementKind.GOODWILL,
    "chargeback": MovementKind.CHARGEBACK,
    "credit": MovementKind.CREDIT_REFUND,
    "undo": MovementKind.UNDO,
    "re-amortise": MovementKind.RE_AMORTISE,
    "re-age": MovementKind.RE_AGE,
    "write-off": MovementKind.WRITE_OFF,
    "recovery": MovementKind.RECOVERY,
}
POLICIES = {
    "next": RefundPolicy.NEXT_FIRST,
    "last": RefundPolicy.LAST_FIRST,
    "proportional": RefundPolicy.PROPORTIONAL,
    "reamortise": RefundPolicy.REAMORTISE,
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a line expects and what replay says."""

    line: str
    expected: str
    said: str


def play(text: str) -> list[Told]:
    """Every checked line of a case, with what replay says after it."""
    heading, *lines = [line.strip() for line in text.strip().splitlines()]
    price, product, start, first_due_on = read_heading(heading)
    schedule = build_schedule(price, product, first_due_on=first_due_on)
    movements: list[Movement] = []
    told, latest = [], start
    for number, line in enumerate(lines, start=1):
        found = LINE.match(line)
        assert found, f"not a line of a case: {line!r}"
        day, verb, rest, expected = found.groups()
        latest = max(latest, day_of(day, start))
        movements.append(movement_of(number, day_of(day, start), verb, rest or ""))
        if expected is not None:
            state = replay(schedule, movements, product, on=latest, contract_on=start)
            told.append(Told(line, " ".join(expected.split()), _said(state, expected)))
    return told


def read_heading(heading: str) -> tuple[Kopecks, Product, date, date]:
    """The price, the product by which it is cut, the day of the contract and the first part's day."""
    found = HEADING.fullmatch(heading)
    assert found, f"not a heading of a case: {heading!r}"
    price, count, every, step, begins, first, share, kopeck = found.groups()
    start = day_of(begins, date.min)
    product = replace(
        LP2, installments=int(count), every=int(every), step=Step(step),
        first_share_basis_points=2500 if share is None else int(share) * 100,
        rounding=PartRounding.KOPECK_LAST if kopeck else LP2.rounding,
    )  # fmt: skip
    return kopecks_of(price), product, start, day_of(first, start) if first else start


def day_of(text: str, near: date) -> date:
    """A day, of the year of ``near`` when it has none."""
    day, month, *year = (int(each) for each in text.split("."))
    return date(year[0] if year else near.year, month, day)


def movement_of(number: int, day: date, verb: str, rest: str) -> Movement:
    """The event of a line."""
    verb, _, policy = verb.partition("/")
    kind = VERBS[verb]
    made = Movement(
        f"mov_{number}", "pln", kind, Kopecks(0), datetime(day.year, day.month, day.day, 9, number, tzinfo=UTC),
        f"{number:03}", policy=POLICIES[policy] if policy else None,
    )  # fmt: skip
    if kind is MovementKind.UNDO:
        return replace(made, undoes=f"mov_{rest}")
    if kind is MovementKind.RE_AGE:
        found = RE_AGE.fullmatch(rest)
        assert found, f"not a re-age: {rest!r}"
        count, start, every, step = found.groups()
        return replace(made, count=int(count), new_due_on=day_of(start, day), step=Step(step), every=int(every))
    if kind is MovementKind.RE_AMORTISE:
        return made
    amount, _, of = rest.partition(" of ")
    return replace(made, amount=kopecks_of(amount), undoes=f"mov_{of}" if of else None)


def _said(state: PlanState, expected: str) -> str:
    said = " ".join(_short(part.unpaid) for part in state.installments)
    return f"{said} overpaid {_short(state.overpaid)}" if "overpaid" in expected else said


def _short(amount: int) -> str:
    return roubles(amount).removesuffix(".00")
