"""The breaker opens on an outage, tries the way with one call, and never forgets which calls count."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbp_gateway.breaker import (
    ALLOWED,
    CALLS_MIN,
    OPEN_MS,
    WINDOW_MS,
    Breaker,
    BreakerState,
    advance,
    ask,
    report,
)

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def failing(calls: int, *, of: int | None = None) -> Breaker:
    """A breaker after so many calls, ``calls`` of which failed, at the time 0."""
    breaker = Breaker()
    for number in range(of or calls):
        breaker = report(breaker, breaker.term, 0, failed=number < calls)
    return breaker


@pytest.mark.parametrize(("before", "to"), list(product(BreakerState, BreakerState)))
def test_only_the_ways_of_the_table_lead_from_state_to_state(before: BreakerState, to: BreakerState) -> None:
    breaker = Breaker(state=before, term=7)

    if to in ALLOWED[before]:
        assert advance(breaker, to, 5) == Breaker(state=to, since_ms=5, term=8)
    else:
        with pytest.raises(AssertionError):
            advance(breaker, to, 5)


def test_an_outage_opens_it() -> None:
    assert failing(CALLS_MIN).state is OPEN


@pytest.mark.parametrize(("failures", "calls"), [(CALLS_MIN - 1, CALLS_MIN - 1), (300, 1_000)])
def test_few_calls_or_few_failures_do_not(failures: int, calls: int) -> None:
    failures_last = Breaker()
    for number in range(calls):
        failures_last = report(failures_last, 0, 0, failed=number % 10 < failures * 10 // calls)
    assert failures_last.state is CLOSED


def test_open_it_lets_nothing_out_until_its_time_is_over() -> None:
    breaker = failing(CALLS_MIN)

    assert ask(breaker, OPEN_MS - 1) == (breaker, False)
    tried, may = ask(breaker, OPEN_MS)
    assert (tried.state, may) == (HALF_OPEN, True)


def test_half_open_it_lets_one_call_out() -> None:
    tried, _ = ask(failing(CALLS_MIN), OPEN_MS)

    assert ask(tried, OPEN_MS)[1] is False
    assert report(tried, tried.term, OPEN_MS, failed=False).state is CLOSED
    assert report(tried, tried.term, OPEN_MS, failed=True).state is OPEN


def test_a_probe_given_up_makes_room_for_another() -> None:
    tried, _ = ask(failing(CALLS_MIN), OPEN_MS)

    assert ask(report(tried, tried.term, OPEN_MS, failed=None), OPEN_MS)[1] is True


def test_a_late_report_of_an_earlier_term_counts_for_nothing() -> None:
    tried, _ = ask(failing(CALLS_MIN), OPEN_MS)

    assert report(tried, 0, OPEN_MS, failed=True) == tried


def test_each_window_counts_anew() -> None:
    breaker, _ = ask(failing(CALLS_MIN - 1), WINDOW_MS)

    assert report(breaker, breaker.term, WINDOW_MS, failed=True).state is CLOSED


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4_000), st.sampled_from([True, False, None])), max_size=200))
def test_whatever_comes_it_heals_when_calls_succeed(story: list[tuple[int, bool | None]]) -> None:
    breaker, now = Breaker(), 0
    for wait, failed in story:
        now += wait
        before = breaker.state
        breaker, may = ask(breaker, now)
        assert may is (breaker.state is not OPEN)  # each call is reported at once: a probe is never still out
        if may:
            breaker = report(breaker, breaker.term, now, failed=failed)
        assert breaker.state is before or breaker.state in ALLOWED[before] | {CLOSED, OPEN}

    breaker, may = ask(breaker, now + OPEN_MS)
    assert may
    assert report(breaker, breaker.term, now + OPEN_MS, failed=False).state is CLOSED
