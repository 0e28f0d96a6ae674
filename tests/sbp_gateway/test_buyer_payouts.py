"""Payouts to buyers as values: phones, limits, the square of statuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from ledger.errors import InvariantBroken
from ledger.money import Kopecks
from sbp_gateway.buyer_payouts import (
    ALLOWED,
    AT_ONCE,
    FORGOTTEN_AFTER,
    OPEN,
    BuyerPayout,
    BuyerPayoutStatus,
    advance,
    check_amount,
    is_forgotten,
    read_phone,
    wait_before_try,
)
from sbp_gateway.errors import BuyerPayoutOutOfRange, InvalidBuyerPhone

FINAL = {BuyerPayoutStatus.SENT, BuyerPayoutStatus.REJECTED}
ENTRY = uuid4()


@pytest.fixture
def payout(now: datetime) -> BuyerPayout:
    return BuyerPayout(
        "bpo_1", "mer_1", "100000000999", "79123456789", "0079******89", "100000000004", Kopecks(149_990), "p",
        BuyerPayoutStatus.REQUESTED, uuid4(), None, 1, now, None, now, None,
    )  # fmt: skip


@pytest.mark.parametrize("written", ["+7 912 345-67-89", "79123456789", "8 (912) 345-67-89", "+79123456789"])
def test_a_mobile_number_is_read_however_it_is_written(written: str) -> None:
    assert read_phone(written) == "79123456789"


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("", id="nothing"),
        pytest.param("9123456789", id="without the country"),
        pytest.param("+7 495 123-45-67", id="a land line"),
        pytest.param("+7 912 345-67-8", id="a digit short"),
        pytest.param("+7 912 345-67-890", id="a digit long"),
        pytest.param("+375 29 123-45-67", id="another country"),
        pytest.param("+7 912 345-67-8x", id="a letter"),
        pytest.param("٧٩١٢٣٤٥٦٧٨٩", id="digits of another script"),
        pytest.param("+8 912 345-67-89", id="plus eight"),
    ],
)
def test_anything_else_is_refused_without_repeating_it(written: str) -> None:
    with pytest.raises(InvalidBuyerPhone) as refusal:
        read_phone(written)

    assert refusal.value.facts == {}


@pytest.mark.parametrize("amount", [100, 50_000_000])
def test_a_rouble_and_half_a_million_are_paid(amount: int) -> None:
    assert check_amount(amount, AT_ONCE) == amount


@pytest.mark.parametrize("amount", [-1, 0, 99, 50_000_001, 100_000_001])
def test_less_and_more_is_refused(amount: int) -> None:
    with pytest.raises(BuyerPayoutOutOfRange) as refusal:
        check_amount(amount, AT_ONCE)

    assert refusal.value.facts["amount_kopecks_max"] == 50_000_000


def test_every_status_is_in_the_table_and_final_ones_lead_nowhere() -> None:
    assert set(ALLOWED) == set(BuyerPayoutStatus)
    assert set(BuyerPayoutStatus) - OPEN == FINAL


@pytest.mark.parametrize("to", BuyerPayoutStatus)
@pytest.mark.parametrize("start", BuyerPayoutStatus)
def test_the_square_of_statuses(
    payout: BuyerPayout, now: datetime, start: BuyerPayoutStatus, to: BuyerPayoutStatus
) -> None:
    entry_id = ENTRY if to is BuyerPayoutStatus.SENT else None
    if to not in ALLOWED[start]:
        with pytest.raises(InvariantBroken):
            advance(replace(payout, status=start), to, now=now, entry_id=entry_id)
        return

    moved = advance(replace(payout, status=start), to, now=now, entry_id=entry_id)

    assert moved.status is to
    assert (moved.phone is None, moved.finished_at is not None) == (to in FINAL, to in FINAL)


def test_nothing_is_sent_without_an_entry_and_nothing_else_has_one(payout: BuyerPayout, now: datetime) -> None:
    for to, entry_id in ((BuyerPayoutStatus.SENT, None), (BuyerPayoutStatus.REJECTED, ENTRY)):
        with pytest.raises(InvariantBroken):
            advance(payout, to, now=now, entry_id=entry_id)


def test_a_bank_that_does_not_know_a_payout_is_believed_after_a_minute(payout: BuyerPayout, now: datetime) -> None:
    assert not is_forgotten(payout, now + FORGOTTEN_AFTER - timedelta(seconds=1))
    assert is_forgotten(payout, now + FORGOTTEN_AFTER)
    assert is_forgotten(replace(payout, asked_at=None), now)


@pytest.mark.parametrize(("tries", "seconds"), [(0, 1), (1, 2), (5, 32), (12, 600), (100, 600)])
def test_the_bank_is_asked_less_and_less_often(tries: int, seconds: int) -> None:
    assert wait_before_try(tries) == timedelta(seconds=seconds)
