"""What a shift has taken: X reports while it is open, the Z report that ends it, and what a till counted otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from checkout.errors import ShiftTotalsRefused
from ledger.money import Kopecks

POINTS = "points"
"""The row of what refunds gave back in points: no rail, and no money. Its kopecks are what the points are worth."""


class OperationKind(StrEnum):
    """Which way money goes over a till."""

    SALE = "sale"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Shift:
    """The time between two Z reports of a till."""

    id: str
    terminal_id: str
    store_id: str
    merchant_id: str
    number: int
    """Of the till, from 1 and without gaps; the Z report bears it."""
    opened_by: str
    opened_at: datetime
    closed_by: str | None = None
    closed_at: datetime | None = None
    difference_reason: str | None = None
    """Why the till counted otherwise, in its people's words."""


@dataclass(frozen=True, slots=True)
class ShiftTotal:
    """How many operations of one kind went by one rail, and for how much, with one cashier."""

    rail: str
    kind: OperationKind
    operations: int
    amount: Kopecks
    cashier_id: str | None = None
    """None: nobody stood at the till, as when money comes between two shifts."""


@dataclass(frozen=True, slots=True)
class ShiftDifference:
    """A rail and a kind of operation that the till counted otherwise."""

    rail: str
    kind: OperationKind
    operations: int
    amount: Kopecks
    told: int
    told_amount: Kopecks


@dataclass(frozen=True, slots=True)
class ShiftBaskets:
    """What baskets of a shift's sales cost, and who paid for them besides the rails."""

    gross: Kopecks
    discounts: Kopecks
    """By lines, and taken off by the rail's offer."""
    promo_codes: Kopecks
    points: Kopecks


@dataclass(frozen=True, slots=True)
class ShiftReport:
    """X while the shift is open, Z when it is closed."""

    shift: Shift
    store_name: str
    terminal_name: str
    printed_at: datetime
    totals: tuple[ShiftTotal, ...]
    """By rail, kind and cashier."""
    names: Mapping[str, str]
    """Cashiers' names, by their ids."""
    baskets: ShiftBaskets
    differences: tuple[ShiftDifference, ...]
    is_overdue: bool
    """The shift lasts longer than the till may keep one open."""

    @property
    def is_final(self) -> bool:
        """Whether this is the Z report."""
        return self.shift.closed_at is not None

    @property
    def by_rail(self) -> tuple[ShiftTotal, ...]:
        """The totals of all cashiers together."""
        return summed(self.totals)

    def of_kind(self, kind: OperationKind) -> Kopecks:
        """The money of all operations of a kind; points are none."""
        return Kopecks(sum(total.amount for total in self.totals if total.kind is kind and total.rail != POINTS))

    @property
    def takings(self) -> int:
        """Sales less refunds, in kopecks; below zero when more went back than came."""
        return int(self.of_kind(OperationKind.SALE)) - int(self.of_kind(OperationKind.REFUND))


def summed(totals: Iterable[ShiftTotal]) -> tuple[ShiftTotal, ...]:
    """Totals of all cashiers together, by rail and kind."""
    found: dict[tuple[str, OperationKind], tuple[int, int]] = {}
    for total in totals:
        count, amount = found.get((total.rail, total.kind), (0, 0))
        found[total.rail, total.kind] = (count + total.operations, amount + int(total.amount))
    order = sorted(found, key=lambda each: (each[0] == POINTS, each[0], each[1] is OperationKind.REFUND))
    return tuple(ShiftTotal(rail, kind, found[rail, kind][0], Kopecks(found[rail, kind][1])) for rail, kind in order)


def differences_of(ours: Sequence[ShiftTotal], told: Sequence[ShiftTotal]) -> tuple[ShiftDifference, ...]:
    """Where a till counted otherwise; what it does not name it counted as nothing.

    But points: a till that names none counts money alone.
    Raises: ShiftTotalsRefused if it names a rail and kind twice.
    """
    by_till = {(total.rail, total.kind): total for total in told}
    counts_points = any(total.rail == POINTS for total in told)
    by_us = {(each.rail, each.kind): each for each in summed(ours) if counts_points or each.rail != POINTS}
    if len(by_till) < len(told):
        raise ShiftTotalsRefused("A rail and kind of operation is named once.")
    nothing = ShiftTotal("", OperationKind.SALE, 0, Kopecks(0))
    differences = []
    for rail, kind in sorted(by_us.keys() | by_till.keys()):
        mine, its = by_us.get((rail, kind), nothing), by_till.get((rail, kind), nothing)
        if (mine.operations, mine.amount) != (its.operations, its.amount):
            differences.append(ShiftDifference(rail, kind, mine.operations, mine.amount, its.operations, its.amount))
    return tuple(differences)
