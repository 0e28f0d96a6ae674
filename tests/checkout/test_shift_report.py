"""Shift reports: what adds up, what differs, and what a till prints."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout.errors import ShiftSheetsNotInstalled, ShiftTotalsRefused
from checkout.paper import COLUMNS
from checkout.shift_report import (
    POINTS,
    OperationKind,
    Shift,
    ShiftBaskets,
    ShiftDifference,
    ShiftReport,
    ShiftTotal,
    differences_of,
    summed,
)
from checkout.shift_sheet import render_xlsx
from checkout.shift_text import render_text
from ledger.money import Kopecks

NOW = datetime(2026, 11, 22, 20, 30, tzinfo=UTC)
SALE, REFUND = OperationKind.SALE, OperationKind.REFUND
totals = st.builds(
    ShiftTotal, st.sampled_from(["sbp", "card", "dolyame", "koshelek_pay", POINTS]), st.sampled_from(OperationKind),
    st.integers(1, 9_999), st.integers(1, 10**11).map(Kopecks), st.sampled_from([None, "csr_1", "csr_2"]),
)  # fmt: skip


def report(
    *given_: ShiftTotal, reason: str | None = None, differences: tuple[ShiftDifference, ...] = ()
) -> ShiftReport:
    shift = Shift("shf_1", "ter_1", "sto_1", "mer_1", 7, "csr_1", NOW - timedelta(hours=9), "csr_1", NOW, reason)
    return ShiftReport(
        shift=shift, store_name="На Тверской", terminal_name="Касса 1", printed_at=NOW, totals=given_,
        names={"csr_1": "Иванова А. П.", "csr_2": "П" * 64},
        baskets=ShiftBaskets(Kopecks(149_990), Kopecks(10_000), Kopecks(0), Kopecks(12_000)),
        differences=differences, is_overdue=False,
    )  # fmt: skip


def test_a_z_report_is_printed_in_48_columns() -> None:
    told = report(
        ShiftTotal("sbp", SALE, 2, Kopecks(127_990), "csr_1"), ShiftTotal("sbp", REFUND, 1, Kopecks(130_000), "csr_1"),
        ShiftTotal("card", SALE, 1, Kopecks(5), None),
        reason="Чек пробит дважды",
        differences=(ShiftDifference("card", SALE, 1, Kopecks(5), 0, Kopecks(0)),),
    )  # fmt: skip

    assert render_text(told) == (
        "                  Z-ОТЧЁТ № 7\n"
        "             НЕ ФИСКАЛЬНЫЙ ДОКУМЕНТ\n"
        "На Тверской, Касса 1\n"
        "Открыта                         22.11.2026 14:30\n"
        "Закрыта                         22.11.2026 23:30\n"
        "================================================\n"
        "Карта, оплата × 1                           0.05\n"
        "СБП, оплата × 2                          1279.90\n"
        "СБП, возврат × 1                         1300.00\n"
        "------------------------------------------------\n"
        "Оплачено                                 1279.95\n"
        "Возвращено                               1300.00\n"
        "ИТОГ                                      -20.05\n"
        "------------------------------------------------\n"
        "Товары до скидок                         1499.90\n"
        "Скидки                                    100.00\n"
        "Баллы                                     120.00\n"
        "------------------------------------------------\n"
        "Иванова А. П.\n"
        "СБП, оплата × 2                          1279.90\n"
        "СБП, возврат × 1                         1300.00\n"
        "------------------------------------------------\n"
        "без кассира\n"
        "Карта, оплата × 1                           0.05\n"
        "================================================\n"
        "РАСХОЖДЕНИЕ С ИТОГАМИ КАССЫ\n"
        "Карта, оплата\n"
        "  учтено × 1                                0.05\n"
        "  касса × 0                                 0.00\n"
        "Причина: Чек пробит дважды\n"
        "================================================\n"
    )


@settings(max_examples=50)
@given(st.lists(totals, max_size=12, unique_by=lambda each: (each.rail, each.kind, each.cashier_id)))
def test_no_line_is_wider_than_the_paper_and_cashiers_add_up_to_rails(given_: list[ShiftTotal]) -> None:
    told = report(*given_, reason="р" * 300)

    for columns in COLUMNS:
        assert max(map(len, render_text(told, columns).splitlines())) <= columns
    assert sum(each.amount for each in told.by_rail) == sum(each.amount for each in given_)
    assert sum(each.operations for each in told.by_rail) == sum(each.operations for each in given_)
    money = [each for each in given_ if each.rail != POINTS]
    assert told.takings == sum(each.amount if each.kind is SALE else -each.amount for each in money)


@settings(max_examples=50)
@given(st.lists(totals, max_size=8), st.integers(0, 5))
def test_a_till_that_counted_the_same_differs_in_nothing_and_one_kopeck_is_found(
    given_: list[ShiftTotal], place: int
) -> None:
    told = list(summed(given_))

    assert differences_of(given_, told) == ()
    if told:
        off = told[place % len(told)]
        told[place % len(told)] = ShiftTotal(off.rail, off.kind, off.operations, Kopecks(off.amount + 1))
        (found,) = differences_of(given_, told)
        assert (found.rail, found.kind, found.told_amount - found.amount) == (off.rail, off.kind, 1)


def test_points_are_compared_only_with_a_till_that_counts_them() -> None:
    ours = [ShiftTotal("sbp", SALE, 1, Kopecks(5)), ShiftTotal(POINTS, REFUND, 1, Kopecks(700))]
    money = ours[:1]

    assert differences_of(ours, money) == ()
    (found,) = differences_of(ours, [*money, ShiftTotal(POINTS, REFUND, 1, Kopecks(600))])
    assert (found.rail, found.amount - found.told_amount) == (POINTS, 100)


def test_what_a_till_names_twice_is_refused() -> None:
    one = ShiftTotal("sbp", SALE, 1, Kopecks(1))

    with pytest.raises(ShiftTotalsRefused):
        differences_of([], [one, one])


def test_a_workbook_without_its_extra_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)

    with pytest.raises(ShiftSheetsNotInstalled) as refusal:
        render_xlsx(report())
    assert not refusal.value.retryable, "the same request finds no workbook tomorrow either"
