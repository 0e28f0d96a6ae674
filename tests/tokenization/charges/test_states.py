"""The square of statuses: what the table does not allow does not happen, here and in the vault's database."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime

import pytest

from pci.errors import InvariantBroken
from tokenization.charges.authorising import is_expired, new_charge
from tokenization.charges.states import (
    ALLOWED,
    FINAL,
    REFUND_ALLOWED,
    UNSURE,
    ChargeRefund,
    ChargeRequest,
    ChargeStatus,
    RefundStatus,
    advance,
    advance_refund,
    wait_before_look,
)


@pytest.mark.parametrize(("start", "to"), list(itertools.product(ChargeStatus, ChargeStatus)))
def test_a_charge_goes_only_where_the_table_says(start: ChargeStatus, to: ChargeStatus, now: datetime) -> None:
    charge = replace(new_charge(ChargeRequest("cpy_1", "mer_1", "tok_1", 100), "220000******0004", now), status=start)

    if to not in ALLOWED[start]:
        with pytest.raises(InvariantBroken):
            advance(charge, to, now=now)
        return
    moved = advance(charge, to, now=now)
    assert (moved.status, moved.version) == (to, 2)
    assert (moved.next_look_at is not None) == (to in UNSURE)


@pytest.mark.parametrize(("start", "to"), list(itertools.product(RefundStatus, RefundStatus)))
def test_a_refund_goes_only_where_the_table_says(start: RefundStatus, to: RefundStatus, now: datetime) -> None:
    refund = ChargeRefund("ref_1", "cpy_1", 100, start, None, None, None, 3, now, now, now)

    if to not in REFUND_ALLOWED[start]:
        with pytest.raises(InvariantBroken):
            advance_refund(refund, to, now=now)
        return
    assert advance_refund(refund, to, now=now).status is to


def test_whoever_is_unsure_is_never_final() -> None:
    assert not FINAL & UNSURE
    assert {ChargeStatus.VOIDED, ChargeStatus.REFUSED, ChargeStatus.REVERSED} == FINAL


def test_waits_grow_to_five_minutes() -> None:
    waits = [wait_before_look(looks).total_seconds() for looks in range(20)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (1, 300)


@pytest.mark.parametrize(
    ("expires", "is_over"), [("2026-10", True), ("2026-11", False), ("2026-12", False), ("2025-12", True)]
)
def test_a_card_is_good_to_the_end_of_its_month(expires: str, is_over: bool, now: datetime) -> None:
    assert is_expired(expires, now) is is_over
