"""The parts of a plan while it is replayed: whole numbers in lists, because a night replays seventy thousand plans.

Nothing here leaves ``replay``: its values are frozen in ``state``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from installments.schedule import Installment

Takes = list[tuple[int, int]]
"""What went where: the index of a part and kopecks."""


class Parts:
    """Installments by number, with everything that lies beside them. Amounts: kopecks."""

    __slots__ = (
        "again", "amount", "due_on", "extra", "order", "overpaid", "paid", "recovered", "refunded", "weight",
        "written_off",
    )  # fmt: skip

    def __init__(self, schedule: Sequence[Installment]) -> None:
        self.due_on = [part.due_on for part in schedule]
        self.amount = [int(part.amount) for part in schedule]
        self.paid = [0] * len(schedule)
        self.again = [0] * len(schedule)
        """How much of ``amount`` is no price of goods but money that went back and is owed again."""
        self.weight = [0] * len(schedule)
        """Kopecks times days past due, in the units of ``penalties``."""
        self.order: Sequence[int] = range(len(schedule))
        """Indexes by day, then number."""
        self.extra: int | None = None
        """The part added after the last day, for what is owed again then."""
        self.overpaid = 0
        self.written_off: int | None = None
        """None before a write-off."""
        self.recovered = 0
        self.refunded = 0

    def unpaid(self, index: int) -> int:
        """What is owed of one part."""
        return self.amount[index] - self.paid[index]

    def is_due(self, index: int, day: date) -> bool:
        """Whether the part is due on that day or past due."""
        return self.due_on[index] <= day

    def by_day(self) -> None:
        """Put the parts in the order of their days again, after one was moved or added."""
        self.order = sorted(range(len(self.due_on)), key=lambda index: (self.due_on[index], index))

    def add(self, due_on: date, amount: int) -> int:
        """One more part, with the next number."""
        self.due_on.append(due_on)
        self.amount.append(amount)
        self.paid.append(0)
        self.again.append(0)
        self.weight.append(0)
        self.by_day()
        return len(self.due_on) - 1

    def pay(self, indexes: Iterable[int], left: int, takes: Takes) -> int:
        """Pay these parts one after another; what is left over."""
        amount, paid = self.amount, self.paid
        for index in indexes:
            unpaid = amount[index] - paid[index]
            if unpaid > 0:
                take = unpaid if unpaid < left else left
                paid[index] += take
                takes.append((index, take))
                left -= take
                if not left:
                    break
        return left

    def lower(self, indexes: Iterable[int], left: int, takes: Takes) -> int:
        """Make these parts smaller, not below what is paid of them; what is left over."""
        amount, paid = self.amount, self.paid
        for index in indexes:
            unpaid = amount[index] - paid[index]
            if unpaid > 0:
                take = unpaid if unpaid < left else left
                amount[index] -= take
                takes.append((index, take))
                left -= take
                if not left:
                    break
        return left

    def owe_again(self, day: date, amount: int) -> Takes:
        """New principal: in the first part after that day, and after the last day in a part of its own, due at once.

        Source: Apache Fineract, credit balance refund and chargeback: the current installment, or one more (N+1).
        """
        index = self._current(day)
        if index is None:
            self.extra = index = self.add(day, 0)
        if index == self.extra and self.due_on[index] < day:
            self.due_on[index] = day
            self.by_day()
        self.amount[index] += amount
        self.again[index] += amount
        return [(index, -amount)]

    def clear(self, index: int) -> tuple[int, int]:
        """Take what is unpaid off a part, to be owed elsewhere; how much, and how much of it was owed again."""
        unpaid = self.unpaid(index)
        again = min(self.again[index], unpaid)
        self.amount[index] -= unpaid
        self.again[index] -= again
        return unpaid, again

    def mark_again(self, indexes: Iterable[int], left: int) -> None:
        """Say of so much in these parts that it is owed again."""
        for index in indexes:
            more = min(left, self.unpaid(index) - self.again[index])
            self.again[index] += more
            left -= more

    def _current(self, day: date) -> int | None:
        later = (index for index in self.order if index != self.extra and self.due_on[index] > day)
        if (index := next(later, None)) is not None:
            return index
        if self.extra is None and self.due_on[self.order[-1]] == day:
            return self.order[-1]
        return self.extra
