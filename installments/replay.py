"""Replay (пересчёт): a schedule and everything that happened since, in the order of time, make a plan's state.

The order in which facts became known does not matter: each time all are replayed by ``order_key``, and an undone one
is left out as if it had never been. Facts are told of their Moscow day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from operator import attrgetter

from installments import rescheduling
from installments.errors import ChargebackAboveRest, ClockWentBack, MovementBeforePlan, UndoneMovementUnknown
from installments.movements import Movement, MovementKind
from installments.parts import Parts, Takes
from installments.penalties import PenaltyMeter
from installments.products import Product
from installments.refund_allocation import parted, refund
from installments.schedule import Installment
from installments.state import Allocation, InstallmentState, PlanState
from installments.undoing import without_undone
from ledger.clock import moscow_day
from ledger.money import Kopecks

PAYMENTS = frozenset(
    {
        MovementKind.DOWN_PAYMENT,
        MovementKind.INSTALLMENT_PAYMENT,
        MovementKind.EARLY_PAYMENT,
        MovementKind.RECOVERY,
    }
)
"""The buyer's own money: what a bank may take back."""
_ORDER = attrgetter("order_key")


def replay(
    schedule: Sequence[Installment],
    movements: Iterable[Movement],
    product: Product,
    *,
    on: date,
    contract_on: date | None = None,
) -> PlanState:
    """The plan as of the end of the Moscow day ``on``: movements of later days are not looked at.

    ``contract_on`` is the day of the contract, by default that of the first installment.

    Raises: MovementBeforePlan; UndoneMovementUnknown; UndoneMovementChargedBack; ChargebackAboveRest; SnoozeSpent.
    """
    start = contract_on or schedule[0].due_on
    known = sorted(movements, key=_ORDER)
    days = {movement.id: moscow_day(movement.happened_at) for movement in known}
    if known and (first := days[known[0].id]) < start:
        raise MovementBeforePlan(happened_on=first.isoformat(), contract_on=start.isoformat())
    kept = without_undone([movement for movement in known if days[movement.id] <= on])
    rescheduling.check_once(kept)
    replayed = _Replay(schedule, product, start)
    for movement in kept:
        replayed.take(movement, days[movement.id])
    return replayed.state(on)


def check_clock(previous_on: date | None, on: date) -> None:
    """A day's work is not done for an earlier day than before. Raises: ClockWentBack."""
    if previous_on is not None and on < previous_on:
        raise ClockWentBack(previous_on=previous_on.isoformat(), on=on.isoformat())


class _Replay:
    """A plan being replayed. Amounts: kopecks as plain numbers; frozen in ``state``."""

    __slots__ = ("allocations", "meter", "parts", "payments", "product")

    def __init__(self, schedule: Sequence[Installment], product: Product, contract_on: date) -> None:
        self.parts = Parts(schedule)
        self.product = product
        self.meter = PenaltyMeter(product, contract_on)
        self.allocations: list[Allocation] = []
        self.payments: dict[str, list[int]] = {}
        """Of each payment: what it did beside penalty, and the penalty; a chargeback takes from it in this order."""

    def take(self, movement: Movement, day: date) -> None:
        """One movement, on its day."""
        parts, meter = self.parts, self.meter
        meter.reach(parts, day)
        overpaid, penalty, recovered = parts.overpaid, meter.paid + meter.waived, parts.recovered
        takes = VERBS[movement.kind](self, movement, day)
        penalty = meter.paid + meter.waived - penalty
        if movement.kind in PAYMENTS:
            self.payments[movement.id] = [int(movement.amount) - penalty, penalty]
        self.allocations.append(
            Allocation(
                movement.id,
                tuple([(index + 1, Kopecks(take)) for index, take in takes]),
                Kopecks(penalty),
                Kopecks(parts.overpaid - overpaid),
                Kopecks(parts.recovered - recovered),
            )
        )

    def state(self, on: date) -> PlanState:
        """Everything as frozen values."""
        parts, meter = self.parts, self.meter
        meter.reach(parts, on)
        installments = [
            InstallmentState(number, due_on, Kopecks(amount), Kopecks(paid))
            for number, (due_on, amount, paid) in enumerate(
                zip(parts.due_on, parts.amount, parts.paid, strict=True), start=1
            )
        ]
        return PlanState(
            on,
            tuple(installments),
            Kopecks(parts.overpaid),
            Kopecks(meter.accrued(parts)),
            Kopecks(meter.waived),
            Kopecks(meter.paid),
            Kopecks(parts.written_off or 0),
            Kopecks(parts.recovered),
            Kopecks(parts.refunded),
            tuple(self.allocations),
        )

    def pay(self, movement: Movement, day: date) -> Takes:
        """The buyer's money: past due, due, penalty, then next; the rest is overpaid."""
        takes: Takes = []
        parts, left = self.parts, int(movement.amount)
        if parts.written_off is None:
            late, ahead = parted(parts, day)
            left = parts.pay(late, left, takes)
            left = left and self._pay_penalty(left)
            left = left and parts.pay(ahead, left, takes)
        self._settle(left)
        return takes

    def credit(self, movement: Movement, day: date) -> Takes:
        """Money or forgiveness that is not the buyer's: all principal before penalty, goodwill from the end."""
        takes: Takes = []
        parts, left = self.parts, int(movement.amount)
        if parts.written_off is None:
            late, ahead = parted(parts, day)
            if movement.kind is MovementKind.GOODWILL:
                ahead.reverse()
            left = parts.pay(late + ahead, left, takes)
        self._settle(left)
        return takes

    def _pay_penalty(self, left: int) -> int:
        paid = min(left, self.meter.owed(self.parts))
        self.meter.paid += paid
        return left - paid

    def _settle(self, left: int) -> None:
        """What no installment took: a loss made good, then penalty, then it is the buyer's."""
        parts = self.parts
        if left and parts.written_off is not None:
            back = min(left, parts.written_off - parts.recovered)
            parts.recovered += back
            left -= back
        if left:
            parts.overpaid += self._pay_penalty(left)

    def refund(self, movement: Movement, day: date) -> Takes:
        """Goods came back."""
        takes: Takes = []
        refund(self.parts, int(movement.amount), movement.policy or self.product.refund_policy, day, takes)
        return takes

    def charge_back(self, movement: Movement, day: date) -> Takes:
        """A bank took a payment back: what it paid is owed again, its penalty last."""
        payment = self.payments.get(movement.undoes or "")
        if payment is None:
            raise UndoneMovementUnknown(undoes=movement.undoes)
        amount = min(int(movement.amount), payment[0])
        penalty = int(movement.amount) - amount
        if penalty > payment[1]:
            raise ChargebackAboveRest(amount=int(movement.amount), rest=sum(payment))
        payment[0] -= amount
        payment[1] -= penalty
        self.meter.paid -= penalty
        return self._owe_again(amount, day)

    def credit_refund(self, movement: Movement, day: date) -> Takes:
        """What was overpaid goes back; anything above it is lent again."""
        return self._owe_again(int(movement.amount), day)

    def _owe_again(self, amount: int, day: date) -> Takes:
        """The buyer's own money first, then new principal; after a write-off a new loss."""
        parts = self.parts
        absorbed = min(parts.overpaid, amount)
        parts.overpaid -= absorbed
        amount -= absorbed
        if parts.written_off is None:
            return parts.owe_again(day, amount) if amount else []
        lost_again = min(parts.recovered, amount)
        parts.recovered -= lost_again
        parts.written_off += amount - lost_again
        return []

    def waive(self, movement: Movement, _: date) -> Takes:
        """Penalty forgiven, as far as there is any."""
        self.meter.waived += min(int(movement.amount), self.meter.owed(self.parts))
        return []

    def re_age(self, movement: Movement, day: date) -> Takes:
        """A new schedule for all that is unpaid."""
        rescheduling.re_age(self.parts, movement, self.product, day)
        return []

    def re_amortise(self, _: Movement, day: date) -> Takes:
        """What is late is spread over what is to come."""
        rescheduling.re_amortise(self.parts, self.product, day)
        return []

    def snooze(self, movement: Movement, _: date) -> Takes:
        """One day moves."""
        rescheduling.snooze(self.parts, movement)
        return []

    def write_off(self, _: Movement, __: date) -> Takes:
        """All that is unpaid is a loss, whatever it was thought to be when it was written down; no penalty stays."""
        parts, takes = self.parts, []
        self.meter.waived += self.meter.owed(parts)
        for index in parts.order:
            if unpaid := parts.unpaid(index):
                parts.amount[index] -= unpaid
                takes.append((index, unpaid))
        parts.written_off = (parts.written_off or 0) + sum(take for _, take in takes)
        return takes


Verb = Callable[[_Replay, Movement, date], Takes]
VERBS: dict[MovementKind, Verb] = {
    MovementKind.DOWN_PAYMENT: _Replay.pay,
    MovementKind.INSTALLMENT_PAYMENT: _Replay.pay,
    MovementKind.EARLY_PAYMENT: _Replay.pay,
    MovementKind.RECOVERY: _Replay.pay,
    MovementKind.PAYOUT_REFUND: _Replay.credit,
    MovementKind.GOODWILL: _Replay.credit,
    MovementKind.MERCHANT_REFUND: _Replay.refund,
    MovementKind.CHARGEBACK: _Replay.charge_back,
    MovementKind.CREDIT_REFUND: _Replay.credit_refund,
    MovementKind.WAIVER: _Replay.waive,
    MovementKind.RE_AGE: _Replay.re_age,
    MovementKind.RE_AMORTISE: _Replay.re_amortise,
    MovementKind.SNOOZE: _Replay.snooze,
    MovementKind.WRITE_OFF: _Replay.write_off,
}
