"""The states of an activation, whose a sale is, and when we ask."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product

import pytest

from ledger.money import Kopecks
from sbp_gateway.bindings import ALLOWED as BINDINGS_ALLOWED
from sbp_gateway.bindings import BindingStatus
from sbp_gateway.cash_links import (
    ALLOWED,
    LIVE,
    Activation,
    ActivationStatus,
    LinkState,
    SaleState,
    is_of,
    wait_before_poll,
)
from sbp_gateway.nspk import LinkStatus, OperationStatus
from sbp_gateway.stickers import SaidOperation, Sticker, confirmed_amount

NEXT = {
    "requested": "waiting deactivating refused",
    "waiting": "deactivating deactivated paid",
    "deactivating": "waiting deactivated paid",
    "deactivated": "paid",
    "paid": "",
    "refused": "",
}


@pytest.fixture
def activation(now: datetime) -> Activation:
    return Activation(
        "acv_1", "csh_1", "C" * 32, "https://…", "att_1", "mer_1", Kopecks(100), "Order 1", ActivationStatus.WAITING,
        "p1", now, now + timedelta(minutes=5), 0,
    )  # fmt: skip


@pytest.mark.parametrize(("come_from", "to"), list(product(ActivationStatus, ActivationStatus)))
def test_the_square_of_states(come_from: ActivationStatus, to: ActivationStatus) -> None:
    assert (to in ALLOWED[come_from]) == (to.value in NEXT[come_from.value].split())


def test_a_link_is_taken_as_long_as_its_activation_lives() -> None:
    assert {status for status in ActivationStatus if ALLOWED[status] - {ActivationStatus.PAID}} == LIVE


@pytest.mark.parametrize(("polls", "seconds"), [(0, 5), (1, 10), (2, 20), (3, 40), (4, 60)])
def test_we_ask_less_and_less_often(activation: Activation, now: datetime, polls: int, seconds: int) -> None:
    assert wait_before_poll(replace(activation, polls=polls), now) == timedelta(seconds=seconds)


def test_the_link_is_looked_at_when_its_time_is_over(activation: Activation, now: datetime) -> None:
    almost = activation.expires_at - timedelta(seconds=3)
    assert wait_before_poll(replace(activation, polls=9), almost) == timedelta(seconds=3)


PAID, ASKED = OperationStatus.ACCEPTED, OperationStatus.NOT_STARTED


@pytest.mark.parametrize(
    ("params_id", "arms", "amount", "status", "minutes", "is_ours"),
    [
        pytest.param("p2", 1, 999, PAID, -9, True, id="its name says so, whatever the sum"),
        pytest.param("p1", 1, 100, PAID, 1, False, id="another name"),
        pytest.param(None, 1, 100, ASKED, 0, True, id="no name yet, and its sum"),
        pytest.param(None, 1, 100, PAID, 1, True, id="no name yet, paid since it was asked for"),
        pytest.param(None, 1, 100, PAID, -1, False, id="paid before it was asked for"),
        pytest.param(None, 1, 999, PAID, 1, False, id="another sum"),
        pytest.param("p1", 2, 100, PAID, 1, True, id="armed twice, the first one was paid"),
        pytest.param("p1", 2, 100, ASKED, 1, False, id="armed twice, the first one is not paid"),
        pytest.param("p1", 2, 999, PAID, 1, False, id="armed twice, another sum"),
    ],
)
def test_whose_a_sale_is(
    activation: Activation, now: datetime, params_id: str | None, arms: int, amount: int, status: OperationStatus,
    minutes: int, is_ours: bool,
) -> None:  # fmt: skip
    sale = SaleState(LinkState.INACTIVATED, status, "T" * 32, Kopecks(amount), now + timedelta(minutes=minutes), "9F2C")
    assert is_of(replace(activation, params_id=params_id, arms=arms), "p2", sale) is is_ours


def test_an_activation_that_is_over_takes_a_sale_by_its_sum_only_if_it_was_given_up_nameless(
    activation: Activation, now: datetime
) -> None:
    sale = SaleState(LinkState.INACTIVATED, PAID, "T" * 32, Kopecks(100), now, "9F2C")
    over = replace(activation, status=ActivationStatus.DEACTIVATED)
    assert not is_of(over, "p2", sale)
    assert not is_of(replace(over, status=ActivationStatus.REFUSED, params_id=None), "p2", sale)
    assert is_of(replace(over, params_id=None), "p2", sale)


@pytest.mark.parametrize(
    ("fixed", "trx_id", "kzo", "status", "amount"),
    [
        pytest.param(500, None, None, PAID, 500, id="a fixed sum is the sticker's own"),
        pytest.param(None, "T" * 32, "9F2C", PAID, 777, id="a typed sum with NSPK's control value"),
        pytest.param(None, "T" * 32, "0000", PAID, None, id="a forged control value"),
        pytest.param(None, "T" * 32, None, PAID, None, id="no control value"),
        pytest.param(None, "U" * 32, "9F2C", PAID, None, id="an earlier operation"),
        pytest.param(None, None, None, PAID, None, id="nobody said how much"),
        pytest.param(500, None, None, OperationStatus.RECEIVED, None, id="not paid yet"),
    ],
)
def test_how_much_a_sticker_was_paid(
    now: datetime, fixed: int | None, trx_id: str | None, kzo: str | None, status: OperationStatus, amount: int | None
) -> None:
    sticker = Sticker(
        "stk_1", "mer_1", "sto_1", "ter_1", None if fixed is None else Kopecks(fixed), "p", "S" * 32, "https://…", now
    )
    said = None if trx_id is None else SaidOperation(trx_id, Kopecks(777), now, kzo)
    answer = LinkStatus("S" * 32, "RQ00000", status, "T" * 32, "9F2C")
    assert confirmed_amount(sticker, answer, said) == amount


@pytest.mark.parametrize(("come_from", "to"), list(product(BindingStatus, BindingStatus)))
def test_the_square_of_a_binding(come_from: BindingStatus, to: BindingStatus) -> None:
    allowed = {("waiting", "bound"), ("waiting", "expired"), ("bound", "ended")}
    assert (to in BINDINGS_ALLOWED[come_from]) == ((come_from.value, to.value) in allowed)
