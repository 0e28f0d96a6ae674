"""What each kind of movement does, in kopecks, and which facts cannot be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from installments.arrears import Bucket, bucket_of, days_past_due
from installments.errors import (
    ChargebackAboveRest,
    ClockWentBack,
    MovementBeforePlan,
    MovementRejected,
    ReAgeNotPossible,
    SnoozeNotPossible,
    SnoozeSpent,
    TermAboveLaw,
    UndoneMovementChargedBack,
    UndoneMovementUnknown,
)
from installments.movements import Movement, MovementKind
from installments.plan import Standing
from installments.products import PartRounding, Product, RefundPolicy
from installments.replay import check_clock, replay
from installments.rescheduling import check_reschedule
from installments.schedule import build_schedule
from installments.state import PlanState
from ledger.money import Kopecks
from tests.installments.fineract import LP2

START = date(2026, 11, 2)
"""A Monday; then 16.11, 30.11 and 14.12."""
DOLYAME = replace(
    LP2,
    every=14,
    rounding=PartRounding.KOPECK_FIRST,
    refund_policy=RefundPolicy.PROPORTIONAL,
    penalty_basis_points=2000,
)


def happened(number: int, day: date, kind: MovementKind, amount: int = 0, **more: Any) -> Movement:
    at = datetime(day.year, day.month, day.day, 9, number, tzinfo=UTC)
    return Movement(f"mov_{number}", "pln", kind, Kopecks(amount), at, f"{number:03}", **more)


def on(day: int, month: int = 11, year: int = 2026) -> date:
    return date(year, month, day)


def state_of(price: int, *movements: Movement, day: date, product: Product = DOLYAME) -> PlanState:
    schedule = build_schedule(Kopecks(price), product, first_due_on=START)
    return replay(schedule, movements, product, on=day)


def amounts(state: PlanState) -> list[tuple[int, int]]:
    return [(int(part.amount), int(part.paid)) for part in state.installments]


def test_a_refund_by_proportion_makes_every_part_smaller() -> None:
    """The worked example of the facts: 10 000.56, two of four paid, 3 000.00 of goods come back."""
    state = state_of(
        1_000_056,
        happened(1, START, MovementKind.DOWN_PAYMENT, 250_014),
        happened(2, on(16), MovementKind.INSTALLMENT_PAYMENT, 250_014),
        happened(3, on(20), MovementKind.MERCHANT_REFUND, 300_000),
        day=on(20),
    )

    assert amounts(state) == [(175_014, 175_014), (175_014, 175_014), (175_014, 0), (175_014, 0)]
    assert (state.overpaid, state.outstanding, state.refunded) == (150_000, 350_028, 300_000)
    assert state.allocations[-1].principal == ((3, 75_000), (4, 75_000))
    assert state.allocations[-1].overpaid == 150_000


def test_what_division_leaves_is_on_the_last_unpaid_part() -> None:
    state = state_of(
        1_000_056,
        happened(1, START, MovementKind.DOWN_PAYMENT, 250_014),
        happened(2, on(3), MovementKind.MERCHANT_REFUND, 100_001),
        day=on(3),
    )

    assert [amount for amount, _ in amounts(state)] == [225_013, 225_013, 225_013, 225_016]
    assert state.overpaid == 250_014 - 225_013


def test_a_refund_before_anything_was_paid_lowers_the_debt_only() -> None:
    state = state_of(400_000, happened(1, START, MovementKind.MERCHANT_REFUND, 400_000), day=START)

    assert amounts(state) == [(0, 0)] * 4
    assert (state.overpaid, state.standing) == (0, Standing.REPAID)


@pytest.mark.parametrize(
    ("policy", "unpaid"),
    [
        pytest.param(RefundPolicy.NEXT_FIRST, [0, 50_000, 100_000, 100_000], id="next first"),
        pytest.param(RefundPolicy.LAST_FIRST, [0, 100_000, 100_000, 50_000], id="last first"),
        pytest.param(RefundPolicy.REAMORTISE, [0, 83_333, 83_333, 83_334], id="evenly"),
        pytest.param(RefundPolicy.PROPORTIONAL, [0, 87_500, 87_500, 87_500], id="by proportion"),
    ],
)
def test_a_refund_may_name_its_policy(policy: RefundPolicy, unpaid: list[int]) -> None:
    state = state_of(
        400_000,
        happened(1, START, MovementKind.DOWN_PAYMENT, 100_000),
        happened(2, on(3), MovementKind.MERCHANT_REFUND, 50_000, policy=policy),
        day=on(3),
    )

    assert [part.unpaid for part in state.installments] == unpaid
    assert state.overpaid == (12_500 if policy is RefundPolicy.PROPORTIONAL else 0)


def test_penalty_of_a_thousand_roubles_for_ten_days() -> None:
    """1 000 × 20 % × 10 / 365 = 5.479…, rounded down."""
    down = happened(1, START, MovementKind.DOWN_PAYMENT, 100_000)

    assert state_of(400_000, down, day=on(16)).penalty == 0
    assert state_of(400_000, down, day=on(17)).penalty == 54
    assert state_of(400_000, down, day=on(26)).penalty == 547


def test_a_leap_year_has_cheaper_days() -> None:
    schedule = build_schedule(Kopecks(400_000), DOLYAME, first_due_on=date(2028, 1, 1))
    state = replay(schedule, (), DOLYAME, on=date(2028, 1, 11))

    assert state.penalty == 100_000 * 10 * 2000 // (366 * 10_000) == 546


def test_grace_days_are_free_and_payment_stops_the_penalty() -> None:
    down = happened(1, START, MovementKind.DOWN_PAYMENT, 100_000)
    paid = happened(2, on(21), MovementKind.INSTALLMENT_PAYMENT, 100_000)

    graced = state_of(400_000, down, day=on(21), product=replace(DOLYAME, penalty_grace_days=3))
    assert graced.penalty == 100_000 * 2 * 2000 // 3_650_000
    assert state_of(400_000, down, paid, day=on(29)).penalty_accrued == 100_000 * 5 * 2000 // 3_650_000


def test_penalty_waits_behind_what_is_due_and_stands_before_what_is_next() -> None:
    late = [
        happened(1, START, MovementKind.DOWN_PAYMENT, 100_000),
        happened(2, on(26), MovementKind.INSTALLMENT_PAYMENT, 150_000),
    ]
    state = state_of(400_000, *late, day=on(26))

    assert (state.penalty_paid, state.penalty) == (547, 0)
    assert [part.unpaid for part in state.installments] == [0, 0, 100_000 - 50_000 + 547, 100_000]
    assert state.allocations[-1].penalty == 547


def test_a_waiver_forgives_no_more_than_there_is() -> None:
    state = state_of(400_000, happened(1, on(12), MovementKind.WAIVER, 10_000), day=on(12))

    assert (state.penalty_waived, state.penalty) == (547, 0)


def test_a_chargeback_of_a_payment_brings_its_penalty_back_last() -> None:
    movements = [
        happened(1, on(12), MovementKind.INSTALLMENT_PAYMENT, 100_547),
        happened(2, on(13), MovementKind.CHARGEBACK, 100_000, undoes="mov_1"),
    ]
    assert state_of(400_000, *movements, day=on(13)).penalty == 0

    whole = [movements[0], replace(movements[1], amount=Kopecks(100_547))]
    state = state_of(400_000, *whole, day=on(13))
    assert (state.penalty, state.penalty_paid) == (547, 0)
    assert state.allocations[-1].penalty == -547
    assert [part.unpaid for part in state.installments] == [0, 200_000, 100_000, 100_000]


@pytest.mark.parametrize(("amount", "unpaid", "overpaid"), [
    (400_000, [0, 0, 0, 0], 100_000),
    (200_000, [0, 0, 50_000, 50_000], 0),
])  # fmt: skip
def test_goods_that_come_back_pay_what_a_bank_took_back_before(amount: int, unpaid: list[int], overpaid: int) -> None:
    paid = happened(2, on(15), MovementKind.INSTALLMENT_PAYMENT, 100_000)
    state = state_of(
        400_000,
        happened(1, START, MovementKind.DOWN_PAYMENT, 100_000),
        paid,
        happened(3, on(16), MovementKind.CHARGEBACK, 100_000, undoes=paid.id),
        happened(4, on(17), MovementKind.MERCHANT_REFUND, amount),
        day=on(17),
    )

    assert [int(part.unpaid) for part in state.installments] == unpaid
    assert state.overpaid == overpaid


def test_what_is_owed_again_is_no_goods_after_a_re_age_either() -> None:
    paid = happened(2, on(15), MovementKind.INSTALLMENT_PAYMENT, 100_000)
    state = state_of(
        400_000,
        happened(1, START, MovementKind.DOWN_PAYMENT, 100_000),
        paid,
        happened(3, on(16), MovementKind.CHARGEBACK, 100_000, undoes=paid.id),
        happened(4, on(17), MovementKind.RE_AGE, new_due_on=on(20), count=2),
        happened(5, on(18), MovementKind.MERCHANT_REFUND, 400_000),
        day=on(18),
    )

    assert (state.outstanding, state.overpaid) == (0, 100_000)


@settings(deadline=None, max_examples=200)
@given(price=st.integers(400, 1_000_000), refund=st.integers(1, 1_000_000), paid=st.integers(0, 1_000_000))
def test_no_part_grows_by_a_refund_in_proportion(price: int, refund: int, paid: int) -> None:
    money = [happened(1, START, MovementKind.DOWN_PAYMENT, paid)] if paid else []
    before = state_of(price, *money, day=START)
    after = state_of(price, *money, happened(2, START, MovementKind.MERCHANT_REFUND, min(refund, price)), day=START)

    pairs = zip(before.installments, after.installments, strict=True)
    assert all(new.amount <= old.amount and new.unpaid <= old.unpaid for old, new in pairs)
    assert sum(int(part.amount) for part in after.installments) == price - min(refund, price)


def test_after_a_write_off_money_is_a_recovery_and_the_rest_is_the_buyers() -> None:
    lost = [
        happened(1, START, MovementKind.DOWN_PAYMENT, 100_000),
        happened(2, on(1, 12), MovementKind.WRITE_OFF, 300_000),
    ]
    state = state_of(400_000, *lost, day=on(1, 12))
    assert (state.written_off, state.outstanding, state.standing) == (300_000, 0, Standing.WRITTEN_OFF)
    assert state.next_due_on is None

    paid = happened(3, on(2, 12), MovementKind.RECOVERY, 310_000)
    state = state_of(400_000, *lost, paid, day=on(2, 12))
    assert state.recovered == 300_000
    assert state.allocations[-1].recovered == 300_000
    assert state.penalty_paid + state.overpaid == 10_000

    back = happened(4, on(3, 12), MovementKind.CHARGEBACK, 310_000 - int(state.penalty_paid), undoes="mov_3")
    state = state_of(400_000, *lost, paid, back, day=on(3, 12))
    assert (state.recovered, state.overpaid, state.written_off) == (0, 0, 300_000)


def test_a_write_off_leaves_no_penalty_and_its_undo_brings_it_back() -> None:
    lost = [
        happened(1, START, MovementKind.DOWN_PAYMENT, 100_000),
        happened(2, on(1, 12), MovementKind.WRITE_OFF, 300_000),
    ]
    owed = state_of(400_000, lost[0], day=on(1, 12)).penalty
    state = state_of(400_000, *lost, day=on(5, 12))
    assert owed > 0
    assert (state.penalty, state.penalty_waived, state.allocations[-1].penalty) == (0, owed, owed)

    undone = happened(3, on(2, 12), MovementKind.UNDO, undoes="mov_2")
    assert state_of(400_000, *lost, undone, day=on(1, 12)).penalty == 0
    assert state_of(400_000, *lost, undone, day=on(2, 12)).penalty > owed


def test_goods_that_come_back_after_a_write_off_make_the_loss_smaller() -> None:
    lost = [
        happened(1, START, MovementKind.DOWN_PAYMENT, 100_000),
        happened(2, on(1, 12), MovementKind.WRITE_OFF, 300_000),
        happened(3, on(2, 12), MovementKind.MERCHANT_REFUND, 400_000),
    ]
    state = state_of(400_000, *lost, day=on(2, 12))

    assert (state.written_off, state.overpaid) == (0, 100_000)
    assert amounts(state) == [(0, 0)] * 4


def test_a_snoozed_part_is_paid_after_the_ones_before_its_new_day() -> None:
    state = state_of(
        400_000,
        happened(1, START, MovementKind.DOWN_PAYMENT, 100_000),
        happened(2, on(10), MovementKind.SNOOZE, installment_number=2, new_due_on=on(7, 12)),
        happened(3, on(11), MovementKind.EARLY_PAYMENT, 100_000),
        day=on(7, 12),
    )

    assert [part.unpaid for part in state.installments] == [0, 100_000, 0, 100_000]
    assert (state.next_due_on, state.standing, state.penalty) == (on(7, 12), Standing.CURRENT, 0)


def test_a_movement_of_a_later_day_is_not_looked_at_yet() -> None:
    movements = [
        happened(1, START, MovementKind.DOWN_PAYMENT, 100_000),
        happened(2, on(16), MovementKind.UNDO, undoes="mov_1"),
    ]

    assert state_of(400_000, *movements, day=on(15)).outstanding == 300_000
    assert state_of(400_000, *movements, day=on(16)).outstanding == 400_000


def test_an_undo_may_be_undone() -> None:
    state = state_of(
        400_000,
        happened(1, START, MovementKind.DOWN_PAYMENT, 100_000),
        happened(2, on(3), MovementKind.UNDO, undoes="mov_1"),
        happened(3, on(4), MovementKind.UNDO, undoes="mov_2"),
        day=on(4),
    )

    assert state.outstanding == 300_000


def test_of_undos_of_one_moment_each_takes_back_what_it_names() -> None:
    paid = happened(1, START, MovementKind.DOWN_PAYMENT, 100_000)
    undo = replace(happened(2, on(3), MovementKind.UNDO, undoes="mov_1"), reference="ref-9")
    again = replace(undo, id="mov_3", reference="ref-10", undoes="mov_2")

    assert state_of(400_000, paid, undo, day=on(4)).outstanding == 400_000
    assert state_of(400_000, paid, undo, again, day=on(4)).outstanding == 300_000


def test_the_moscow_day_counts() -> None:
    """21:00 in London on the 16th is midnight of the 17th in Moscow: a day late."""
    late = replace(
        happened(1, on(16), MovementKind.INSTALLMENT_PAYMENT, 210_000),
        happened_at=datetime(2026, 11, 16, 21, tzinfo=UTC),
    )
    state = state_of(400_000, late, day=on(17))

    assert state.penalty_paid == 100_000 * 15 * 2000 // 3_650_000 + 100_000 * 2000 // 3_650_000


PAID = happened(1, on(3), MovementKind.EARLY_PAYMENT, 1000)
K = MovementKind


def back(number: int, amount: int, payment: str = "mov_1") -> Movement:
    return happened(number, on(4), K.CHARGEBACK, amount, undoes=payment)


def re_aged(count: int, start: date) -> Movement:
    return happened(1, on(3), K.RE_AGE, count=count, new_due_on=start)


SNOOZES = [happened(n, on(3), K.SNOOZE, installment_number=n, new_due_on=on(20, 12)) for n in (2, 3)]
IMPOSSIBLE: dict[str, tuple[list[Movement], type[MovementRejected]]] = {
    "before the plan": ([happened(1, on(1), K.EARLY_PAYMENT, 1)], MovementBeforePlan),
    "an undo of nothing": ([happened(1, on(3), K.UNDO, undoes="mov_9")], UndoneMovementUnknown),
    "a chargeback of no payment": ([back(1, 1, "mov_9")], UndoneMovementUnknown),
    "a chargeback a kopeck above": ([PAID, back(2, 1001)], ChargebackAboveRest),
    "two chargebacks together above": ([PAID, back(2, 600), back(3, 600)], ChargebackAboveRest),
    "an undo of what a bank took back": (
        [PAID, back(2, 600), happened(3, on(5), K.UNDO, undoes="mov_1")],
        UndoneMovementChargedBack,
    ),
    "a second snooze": (SNOOZES, SnoozeSpent),
    "a snooze of nothing": ([happened(1, on(3), K.SNOOZE)], SnoozeNotPossible),
    "a re-age into too many": ([re_aged(25, on(4))], ReAgeNotPossible),
    "a re-age from yesterday": ([re_aged(2, on(2))], ReAgeNotPossible),
}


@pytest.mark.parametrize(("movements", "refusal"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_what_cannot_have_happened_is_refused(movements: list[Movement], refusal: type[MovementRejected]) -> None:
    with pytest.raises(refusal):
        state_of(400_000, *movements, day=on(20))


def test_the_clock_does_not_go_back() -> None:
    check_clock(None, on(3))
    check_clock(on(3), on(3))

    with pytest.raises(ClockWentBack):
        check_clock(on(3), on(2))


@pytest.mark.parametrize(
    ("new_due_on", "is_allowed"),
    [pytest.param(on(2, 5, 2027), True, id="the last day"), pytest.param(on(3, 5, 2027), False, id="the first out")],
)
def test_a_reschedule_ends_within_the_law_of_the_contract(new_due_on: date, is_allowed: bool) -> None:
    snooze = happened(1, on(3), MovementKind.SNOOZE, installment_number=4, new_due_on=new_due_on)
    before, after = state_of(400_000, day=on(3)), state_of(400_000, snooze, day=on(3))

    if is_allowed:
        check_reschedule(before, after, snooze, contract_on=START)
    else:
        with pytest.raises(TermAboveLaw):
            check_reschedule(before, after, snooze, contract_on=START)


def test_a_reschedule_that_does_nothing_is_refused() -> None:
    snooze = happened(1, on(3), MovementKind.SNOOZE, installment_number=4, new_due_on=on(4))
    before, after = state_of(400_000, day=on(3)), state_of(400_000, snooze, day=on(3))

    with pytest.raises(SnoozeNotPossible):
        check_reschedule(before, after, snooze, contract_on=START)


@pytest.mark.parametrize(
    ("days", "bucket"),
    [
        (-1, Bucket.NOT_DUE), (0, Bucket.DUE), (1, Bucket.DPD_1_3), (3, Bucket.DPD_1_3), (4, Bucket.DPD_4_14),
        (14, Bucket.DPD_4_14), (15, Bucket.DPD_15_30), (30, Bucket.DPD_15_30), (31, Bucket.DPD_31_60),
        (60, Bucket.DPD_31_60), (61, Bucket.DPD_61_90), (90, Bucket.DPD_61_90), (91, Bucket.DPD_90_PLUS),
    ],
)  # fmt: skip
def test_a_bucket_begins_and_ends_on_its_day(days: int, bucket: Bucket) -> None:
    day = date.fromordinal(START.toordinal() + days)

    assert bucket_of(START, on=day) is bucket
    assert days_past_due(START, on=day) == max(days, 0)
