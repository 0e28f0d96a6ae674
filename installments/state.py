"""What a plan is on a day: its installments with what is paid, and everything beside them. Made by ``replay`` only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from installments.plan import Standing
from ledger.money import Kopecks


@dataclass(frozen=True, slots=True)
class InstallmentState:
    """One installment on a day."""

    number: int
    due_on: date
    amount: Kopecks
    """What it is now: less what came back as goods, more what is owed again."""
    paid: Kopecks

    @property
    def unpaid(self) -> Kopecks:
        """What is still owed of it."""
        return self.amount - self.paid


@dataclass(frozen=True, slots=True)
class Allocation:
    """What one movement did."""

    movement_id: str
    principal: tuple[tuple[int, Kopecks], ...]
    """By installment number, how much less is owed of it; negative where more is owed. A re-age, a re-amortisation and
    a snooze move what is owed between installments and days, and are not told here."""
    penalty: Kopecks
    """Penalty that it paid or waived; negative where a chargeback took such a payment back."""
    overpaid: Kopecks
    """What it added to the buyer's money above the debt; negative where it used or returned it."""
    recovered: Kopecks
    """What it brought of a debt that was written off; negative where it was taken back."""


@dataclass(frozen=True, slots=True)
class PlanState:
    """A plan on the day ``on``, as all movements up to that day make it."""

    on: date
    installments: tuple[InstallmentState, ...]
    """By number. A re-age adds new ones; the old stay with what was paid of them."""
    overpaid: Kopecks
    """The buyer's money above the debt, owed back: a payment too much, or paid parts of goods that came back."""
    penalty_accrued: Kopecks
    """All penalty up to ``on``, before waivers and payments."""
    penalty_waived: Kopecks
    penalty_paid: Kopecks
    written_off: Kopecks
    """Principal that we stopped expecting."""
    recovered: Kopecks
    """Of it, what came after all."""
    refunded: Kopecks
    """Goods that came back, at the price of the plan."""
    allocations: tuple[Allocation, ...]
    """By ``order_key``; undone movements and undos have none."""

    @property
    def outstanding(self) -> Kopecks:
        """Principal still owed."""
        return Kopecks(sum([int(part.amount) - int(part.paid) for part in self.installments]))

    @property
    def penalty(self) -> Kopecks:
        """Penalty owed now."""
        return Kopecks(int(self.penalty_accrued) - int(self.penalty_waived) - int(self.penalty_paid))

    @property
    def next_due_on(self) -> date | None:
        """The earliest day of an unpaid installment."""
        return min([part.due_on for part in self.installments if part.amount > part.paid], default=None)

    @property
    def overdue_since(self) -> date | None:
        """The day of the oldest installment that is past due."""
        earliest = self.next_due_on
        return earliest if earliest is not None and earliest < self.on else None

    @property
    def standing(self) -> Standing:
        """How the debt stands. Who owes nothing but penalty is not in arrears and not done."""
        earliest = self.next_due_on
        if earliest is not None:
            return Standing.OVERDUE if earliest < self.on else Standing.CURRENT
        if self.written_off > 0:
            return Standing.WRITTEN_OFF
        return Standing.REPAID if self.penalty == 0 else Standing.CURRENT
