"""The demo must notice what does not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from api.demo.checking import Check, Expected, Found, compare, duplicates, fee_of
from ledger.money import Kopecks

EXPECTED = Expected(orders=10, refused=1, turnover=Kopecks(1_000_00), fees=Kopecks(4_00))
FOUND = Found(
    orders=10, distinct_orders=10, paid_orders=10, payments=10, open_attempts=0, turnover=1_000_00, entries=10,
    booked=1_000_00, fees=4_00, paid_out=996_00, owed=0, debits=2_000_00, credits=2_000_00, lines=[],
    broken_proofs=[], proofs=7, sent_payouts=2, payouts=2, sent_kopecks=996_00,
)  # fmt: skip
SIMULATOR: dict[str, Any] = {
    "paid": 10, "paid_kopecks": 1_000_00, "payouts": 2, "payouts_kopecks": 996_00,
    "events": {"types": {"order.paid": 10, "payout.sent": 2}, "out_of_order": 0},
}  # fmt: skip


def failing(found: Found = FOUND, simulator: dict[str, Any] = SIMULATOR, refused: int = 1) -> list[Check]:
    return [check for check in compare(EXPECTED, found, simulator, refused) if not check.holds]


def test_a_run_without_fault_fits() -> None:
    assert failing() == []
    assert duplicates(EXPECTED, FOUND, SIMULATOR, told_twice=0) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"orders": 11}, {"distinct_orders": 9}, {"paid_orders": 9}, {"payments": 11}, {"open_attempts": 1},
        {"turnover": 999_99}, {"entries": 11}, {"booked": 1_000_01}, {"fees": 4_01}, {"paid_out": 995_99},
        {"owed": 1}, {"debits": 2_000_01}, {"sent_payouts": 1}, {"sent_kopecks": 1}, {"broken_proofs": [{}]},
    ],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_one_wrong_figure_is_enough_to_fail(wrong: dict[str, Any]) -> None:
    assert failing(replace(FOUND, **wrong))


@pytest.mark.parametrize("name", ["paid", "paid_kopecks", "payouts", "payouts_kopecks"])
def test_the_other_side_must_agree(name: str) -> None:
    assert failing(simulator=SIMULATOR | {name: SIMULATOR[name] + 1})


def test_a_row_that_was_neither_sold_nor_refused_is_noticed() -> None:
    assert failing(refused=0)


@pytest.mark.parametrize("wrong", [{"orders": 11}, {"payments": 11}, {"entries": 11}])
def test_duplicates_are_counted(wrong: dict[str, int]) -> None:
    assert duplicates(EXPECTED, replace(FOUND, **wrong), SIMULATOR, told_twice=0) == 1


@pytest.mark.parametrize(
    ("amount", "group", "fee"),
    [
        (25_000, "everyday", 100),
        (117_700, "standard", 823),
        (50_000_000, "standard", 150_000),
        (117_700, "government", 0),
    ],
)
def test_fees_are_cut_to_the_kopeck_and_capped(amount: int, group: str, fee: int) -> None:
    assert fee_of(amount, group) == fee
