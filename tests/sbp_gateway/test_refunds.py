"""The rules of refunds: where news bring them, when NSPK may be asked again, what of a fee goes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvariantBroken
from ledger.money import Kopecks
from sbp_gateway.merchants import SettlementMode
from sbp_gateway.refunds import (
    ALLOWED,
    ANSWER_WAIT,
    FINAL,
    LOOK_WAIT_MAX,
    Refund,
    RefundablePayment,
    RefundAnswer,
    RefundNews,
    RefundStatus,
    RefundTry,
    advance,
    fee_to_return,
    is_old,
    next_allowed_at,
    status_after,
    wait_before_late_refund,
    wait_before_look,
)

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
R, U, A, P, S, N, F = (RefundStatus(word) for word in (
    "requested", "unknown", "asked", "approved", "succeeded", "refused", "failed",
))  # fmt: skip
MAY_GO = {(R, U), (R, A), (R, N), (U, R), (U, A), (U, N), (A, P), (A, N), (A, S), (A, F), (P, S), (P, F)}


def refund(status: RefundStatus = R, **fields: object) -> Refund:
    found = Refund(
        id="ref_1", payment_id="pay_1", merchant_id="mer_1", amount=Kopecks(100), fee_returned=Kopecks(0),
        fee_billed=Kopecks(0), reason=None, is_automatic=False, status=status,
        agent_request_id="0" * 32, opkc_request_id=None, trx_id=None,
        payee_mask=None, refusal_code=None, refusal_message=None, hold_id=None, fee_hold_id=None, entry_id=None,
        tries=1, looks=3, asked_at=NOW, created_at=NOW, ended_at=None,
    )  # fmt: skip
    return replace(found, **fields)  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize(("before", "after"), list(product(RefundStatus, RefundStatus)))
def test_a_refund_goes_only_where_the_table_says(before: RefundStatus, after: RefundStatus) -> None:
    assert (after in ALLOWED[before]) == ((before, after) in MAY_GO)
    if (before, after) in MAY_GO:
        moved = advance(refund(before), after, now=NOW)
        assert (moved.status, moved.looks, moved.ended_at) == (
            after, 3 if after is R else 0, NOW if after in FINAL else None,
        )  # fmt: skip
    else:
        with pytest.raises(InvariantBroken):
            advance(refund(before), after, now=NOW)


WHERE_NEWS_LEAD = {
    RefundNews.TAKEN: {R: A, U: A},
    RefundNews.REFUSED: {R: N, U: N},
    RefundNews.UNHEARD: {R: U},
    RefundNews.NOT_SENT: {U: R},
    RefundNews.SILENT: {R: U},
    RefundNews.UNDECIDED: {},
    RefundNews.APPROVED: {A: P},
    RefundNews.DECLINED: {A: N, P: F},
    RefundNews.MOVED: {A: S, P: S},
    RefundNews.NOT_MOVED: {A: F, P: F},
}
"""Just after the first request. Where nothing is said, news change nothing."""


@pytest.mark.parametrize(("news", "before"), list(product(RefundNews, RefundStatus)))
def test_news_lead_where_they_should_and_never_out_of_an_end(news: RefundNews, before: RefundStatus) -> None:
    known = None if before in (R, U) else "AR1"
    found = status_after(refund(before, opkc_request_id=known), RefundAnswer(news), now=NOW)
    assert found is WHERE_NEWS_LEAD[news].get(before, before)


def test_never_heard_is_believed_only_when_the_request_cannot_be_on_its_way() -> None:
    unheard, later = RefundAnswer(RefundNews.UNHEARD), NOW + ANSWER_WAIT
    assert status_after(refund(U), unheard, now=later - timedelta(microseconds=1)) is U
    assert status_after(refund(U), unheard, now=later) is R


def test_a_refusal_of_a_repeated_request_is_believed_only_when_nspk_knows_no_request() -> None:
    refused = RefundAnswer(RefundNews.REFUSED, code="RQ05040")
    assert status_after(refund(R, tries=2), refused, now=NOW) is U
    unheard, later = RefundAnswer(RefundNews.UNHEARD), NOW + ANSWER_WAIT
    assert status_after(refund(U, tries=2, refusal_code="RQ05040"), unheard, now=later) is N
    assert status_after(refund(U, tries=2, refusal_code="RQ05040"), RefundAnswer(RefundNews.TAKEN), now=NOW) is A


def test_news_of_an_overtaken_request_and_of_an_ended_refund_are_old() -> None:
    assert is_old(refund(tries=2), RefundAnswer(RefundNews.REFUSED, of_try=1))
    assert not is_old(refund(tries=2), RefundAnswer(RefundNews.REFUSED, of_try=2))
    assert not is_old(refund(tries=2), RefundAnswer(RefundNews.MOVED))
    assert all(is_old(refund(status), RefundAnswer(RefundNews.MOVED)) for status in FINAL)


def tried(*minutes_ago: int, unheard: bool = False) -> list[RefundTry]:
    return [RefundTry(NOW - timedelta(minutes=each), unheard) for each in minutes_ago]


@pytest.mark.parametrize(
    ("tries", "seconds"),
    [
        pytest.param([], 0, id="never asked"),
        pytest.param(tried(0), 3610, id="just asked"),
        pytest.param(tried(59), 70, id="almost an hour ago"),
        pytest.param(tried(60), 10, id="an hour ago by our clock, less by NSPK's"),
        pytest.param(tried(61), 0, id="over an hour ago"),
        pytest.param(tried(0, unheard=True), 0, id="never heard does not count for the hour"),
        pytest.param(tried(300, 240, 180, 120, 61), (24 * 60 - 300) * 60 + 10, id="five a day"),
        pytest.param(tried(5, 4, 3, 2, 1, unheard=True), 0, id="never heard does not count for the day"),
        pytest.param([*tried(300, 240, 180, 120), *tried(61, 5, unheard=True)], 0, id="four of a day and two unheard"),
        pytest.param(tried(24 * 60 + 1, 240, 180, 120, 61), 0, id="a day is over"),
        pytest.param([*tried(10), *tried(5, unheard=True)], 3010, id="heard before unheard"),
    ],
)
def test_nspk_is_asked_once_an_hour_and_five_times_a_day(tries: list[RefundTry], seconds: int) -> None:
    assert next_allowed_at(tries, NOW) == NOW + timedelta(seconds=seconds)


def payment(amount: int, fee: int, refunded: int = 0) -> RefundablePayment:
    return RefundablePayment(
        "pay_1", "att_1", "mer_1", "MA0000000001", "100000000999", "A" * 32, "A" * 32, "9F2C", Kopecks(amount),
        Kopecks(fee), False, SettlementMode.COLLECTED, Kopecks(refunded),
    )  # fmt: skip


@given(st.integers(1, 10**8), st.integers(0, 700), st.lists(st.integers(1, 10**8), max_size=6))
def test_parts_of_a_fee_add_up_to_the_fee_when_all_is_refunded(
    amount: int, basis_points: int, parts: list[int]
) -> None:
    fee = amount * basis_points // 10_000
    refunded = returned = 0
    for part in [*parts, amount]:
        taken = min(part, amount - refunded)
        if taken == 0:
            break
        share = fee_to_return(payment(amount, fee, refunded), Kopecks(taken), Kopecks(returned))
        assert 0 <= share <= taken
        refunded, returned = refunded + taken, returned + share

    assert (refunded, returned) == (amount, fee)


def test_waits_grow_up_to_a_bound() -> None:
    assert [wait_before_look(looks).total_seconds() for looks in range(5)] == [2, 4, 8, 16, 32]
    assert wait_before_look(50) == LOOK_WAIT_MAX
    assert [wait_before_late_refund(refunds) // timedelta(hours=1) for refunds in (1, 2, 3, 4)] == [1, 4, 16, 64]
