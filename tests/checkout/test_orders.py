"""Orders and attempts walk only where their tables of statuses allow."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import product

import pytest

from checkout import attempts, orders
from checkout.attempts import LIVE, Attempt, AttemptStatus, OfOrder
from checkout.errors import AmountNotPositive, AmountTooLarge, CheckoutRejected, InvalidOrderNumber, OrderNotOpen
from checkout.orders import ORDER_KOPECKS_MAX, Order, OrderRequest, OrderStatus, check_request
from ledger.errors import InvariantBroken
from ledger.money import Kopecks


@pytest.fixture
def order(now: datetime) -> Order:
    return Order("ord_1", "mer_1", "sto_1", "ter_1", "A-1", Kopecks(100), None, OrderStatus.OPEN, now, now, None, 1)


@pytest.fixture
def attempt(now: datetime) -> Attempt:
    return Attempt("att_1", "ord_1", "sbp", Kopecks(100), AttemptStatus.REQUESTED, None, now, 1)


@pytest.mark.parametrize(("here", "to"), list(product(OrderStatus, OrderStatus)))
def test_an_order_goes_only_where_it_may(order: Order, now: datetime, here: OrderStatus, to: OrderStatus) -> None:
    order = replace(order, status=here)
    if here is OrderStatus.OPEN and to is not OrderStatus.OPEN:
        moved = orders.advance(order, to, now=now)
        assert (moved.status, moved.version) == (to, 2)
        assert (moved.paid_at is not None) == (to is OrderStatus.PAID)
    else:
        with pytest.raises(OrderNotOpen):
            orders.advance(order, to, now=now)


@pytest.mark.parametrize(("here", "to"), list(product(AttemptStatus, AttemptStatus)))
def test_an_attempt_goes_only_where_it_may(attempt: Attempt, here: AttemptStatus, to: AttemptStatus) -> None:
    attempt = replace(attempt, status=here)
    payment_id = "pay_1" if to is AttemptStatus.PAID else None
    if to in attempts.ALLOWED[here]:
        moved = attempts.advance(attempt, to, payment_id=payment_id)
        assert (moved.status, moved.version, moved.payment_id) == (to, 2, payment_id)
    else:
        with pytest.raises(InvariantBroken):
            attempts.advance(attempt, to, payment_id=payment_id)


def test_only_a_shown_attempt_can_be_paid_and_an_ended_one_stays_ended() -> None:
    assert {status for status in AttemptStatus if AttemptStatus.PAID in attempts.ALLOWED[status]} == {
        AttemptStatus.WAITING
    }
    assert {status for status in AttemptStatus if not attempts.ALLOWED[status]} == set(AttemptStatus) - LIVE


def test_a_payment_is_needed_to_be_paid(attempt: Attempt) -> None:
    with pytest.raises(InvariantBroken):
        attempts.advance(replace(attempt, status=AttemptStatus.WAITING), AttemptStatus.PAID)


@pytest.mark.parametrize(("order_status", "attempt_status"), list(product(OrderStatus, AttemptStatus)))
def test_money_pays_only_a_waiting_attempt_of_an_open_order(
    order: Order, attempt: Attempt, order_status: OrderStatus, attempt_status: AttemptStatus
) -> None:
    found = OfOrder(replace(attempt, status=attempt_status), replace(order, status=order_status), "everyday")
    assert found.is_payable == (order_status is OrderStatus.OPEN and attempt_status is AttemptStatus.WAITING)


@pytest.mark.parametrize(
    ("amount", "number", "refusal"),
    [
        pytest.param(0, "A-1", AmountNotPositive, id="nothing to pay"),
        pytest.param(-1, "A-1", AmountNotPositive, id="less than nothing"),
        pytest.param(ORDER_KOPECKS_MAX + 1, "A-1", AmountTooLarge, id="over a million roubles"),
        pytest.param(1, "", InvalidOrderNumber, id="no number"),
        pytest.param(1, "A" * 65, InvalidOrderNumber, id="a number too long"),
        pytest.param(1, " A", InvalidOrderNumber, id="a space first"),
        pytest.param(1, "A\n", InvalidOrderNumber, id="a line break"),
        pytest.param(1, "Чек", InvalidOrderNumber, id="not ASCII"),
    ],
)
def test_orders_of_wrong_form_are_refused(
    now: datetime, amount: int, number: str, refusal: type[CheckoutRejected]
) -> None:
    with pytest.raises(refusal):
        check_request(OrderRequest("ter_1", number, amount, None, now))


@pytest.mark.parametrize(("amount", "number"), [(1, "A"), (ORDER_KOPECKS_MAX, "A" * 64), (5, "A 1")])
def test_orders_at_the_limits_are_taken(now: datetime, amount: int, number: str) -> None:
    check_request(OrderRequest("ter_1", number, amount, None, now))
