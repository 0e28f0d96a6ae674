from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installments.timetable import FIRST, GAP_MIN, RETRIES, TRIES_MAX, at_hour, first_try_at, next_try_at
from ledger.clock import MOSCOW, moscow_day
from tests.installments.collection_world import at

DUE_ON = date(2026, 12, 6)
PLAN = "pln_" + "0" * 26


@given(number=st.integers(0, 10**6), hour=st.sampled_from((FIRST, *RETRIES)))
def test_every_hour_is_one_when_buyers_are_awake_and_the_same_when_asked_again(number: int, hour: object) -> None:
    plan_id = f"pln_{number:026}"

    found = at_hour(plan_id, DUE_ON, hour)  # type: ignore[arg-type]

    assert found == at_hour(plan_id, DUE_ON, hour)  # type: ignore[arg-type]
    assert 10 <= found.astimezone(MOSCOW).hour < 21


def test_hours_of_a_night_are_spread() -> None:
    found = {at_hour(f"pln_{number:026}", DUE_ON, FIRST).astimezone(MOSCOW).hour for number in range(200)}
    assert found == {10, 11, 12, 13}


def test_a_night_worked_late_charges_at_once() -> None:
    assert first_try_at(PLAN, DUE_ON, now=at(DUE_ON, 20)) == at(DUE_ON, 20)
    assert first_try_at(PLAN, DUE_ON, now=at(DUE_ON, 1)) == at_hour(PLAN, DUE_ON, FIRST)


@given(minutes=st.integers(0, 70 * 24 * 60), tries=st.integers(1, TRIES_MAX + 2), gap=st.none() | st.integers(1, 60))
def test_a_next_try_is_later_rare_and_never_on_the_next_installments_day(
    minutes: int, tries: int, gap: int | None
) -> None:
    now = at(DUE_ON, 10) + timedelta(minutes=minutes)
    next_due_on = None if gap is None else DUE_ON + timedelta(days=gap)

    found = next_try_at(PLAN, DUE_ON, tries, next_due_on=next_due_on, now=now)

    if found is not None:
        assert tries < TRIES_MAX
        assert found >= now + GAP_MIN
        assert next_due_on is None or moscow_day(found) < next_due_on


@pytest.mark.parametrize(
    ("next_due_on", "expected"),
    [(DUE_ON + timedelta(days=14), [0, 1, 3, 7]), (None, [0, 1, 3, 7, 14, 30, 60])],
    ids=["merged into the next installment after a week", "the last installment is tried for two months"],
)
def test_the_days_of_tries(next_due_on: date | None, expected: list[int]) -> None:
    days, now, tries = [], at(DUE_ON, 14), 1
    while (found := next_try_at(PLAN, DUE_ON, tries, next_due_on=next_due_on, now=now)) is not None:
        days.append((moscow_day(found) - DUE_ON).days)
        now, tries = found, tries + 1
    assert days == expected
