"""A price cut into installments: the figures, the days and the refusals."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from installments.errors import PartsMismatch, PriceTooSmall, ScheduleRejected, TooManyInstallments
from installments.months import add_months
from installments.products import PartRounding, Product, Step
from installments.schedule import Installment, build_schedule, check_parts
from ledger.money import Kopecks
from tests.installments.fineract import LP2

START = date(2026, 8, 31)
DOLYAME = replace(LP2, every=14, rounding=PartRounding.KOPECK_FIRST)
LAST = replace(DOLYAME, rounding=PartRounding.KOPECK_LAST)


@pytest.mark.parametrize(
    ("price", "product", "parts"),
    [
        pytest.param(1_000_056, DOLYAME, [250_014] * 4, id="even"),
        pytest.param(10_003, DOLYAME, [2503, 2500, 2500, 2500], id="odd kopecks on the first"),
        pytest.param(10_003, LAST, [2500, 2500, 2500, 2503], id="odd kopecks on the last"),
        pytest.param(4, DOLYAME, [1, 1, 1, 1], id="a kopeck each"),
        pytest.param(125_000, LP2, [31_200, 31_300, 31_300, 31_200], id="whole roubles, half to even"),
        pytest.param(
            100_000, replace(LP2, installments=6, first_share_basis_points=0), [16_700] * 5 + [16_500], id="six"
        ),
        pytest.param(9_999, replace(DOLYAME, installments=1), [9_999], id="one part"),
        pytest.param(
            100_000,
            replace(DOLYAME, installments=3, first_share_basis_points=5000),
            [50_000, 25_000, 25_000],
            id="half",
        ),
    ],
)
def test_parts_are_as_the_product_rounds_them(price: int, product: Product, parts: list[int]) -> None:
    schedule = build_schedule(Kopecks(price), product, first_due_on=START)

    assert [part.amount for part in schedule] == parts


def test_a_fortnight_and_a_month_between_parts() -> None:
    fortnights = build_schedule(Kopecks(400), DOLYAME, first_due_on=START)
    months = build_schedule(
        Kopecks(700), replace(DOLYAME, installments=7, step=Step.MONTHS, every=1), first_due_on=START
    )

    assert [part.due_on.isoformat() for part in fortnights] == ["2026-08-31", "2026-09-14", "2026-09-28", "2026-10-12"]
    assert [(part.due_on.month, part.due_on.day) for part in months] == [
        (8, 31), (9, 30), (10, 31), (11, 30), (12, 31), (1, 31), (2, 28),
    ]  # fmt: skip
    assert add_months(date(2026, 1, 15), 0) == date(2026, 1, 15)


@pytest.mark.parametrize(
    ("price", "product", "refusal"),
    [
        pytest.param(3, DOLYAME, PriceTooSmall, id="less than a kopeck each"),
        pytest.param(0, DOLYAME, PriceTooSmall, id="nothing to pay"),
        pytest.param(-400, DOLYAME, PriceTooSmall, id="a negative price"),
        pytest.param(250, replace(LP2, installments=6), PriceTooSmall, id="the last whole rouble is not there"),
        pytest.param(400, replace(DOLYAME, installments=25), TooManyInstallments, id="too many"),
        pytest.param(400, replace(DOLYAME, installments=0), TooManyInstallments, id="none"),
    ],
)
def test_a_price_that_cannot_be_cut_is_refused(price: int, product: Product, refusal: type[ScheduleRejected]) -> None:
    with pytest.raises(refusal):
        build_schedule(Kopecks(price), product, first_due_on=START)


def _parts(*amounts: int) -> list[Installment]:
    return [Installment(number, date(2026, 9, number), Kopecks(each)) for number, each in enumerate(amounts, start=1)]


@pytest.mark.parametrize(
    ("parts", "refusal"),
    [
        pytest.param(_parts(100, 100, 100, 99), PartsMismatch, id="a kopeck less"),
        pytest.param(_parts(100, 100, 100, 101), PartsMismatch, id="a kopeck more: a fee in disguise"),
        pytest.param(_parts(200, 200)[::-1], PartsMismatch, id="out of order"),
        pytest.param(_parts(400, 0), PriceTooSmall, id="an empty part"),
        pytest.param(_parts(500, -100), PriceTooSmall, id="a negative part"),
        pytest.param([], TooManyInstallments, id="none"),
        pytest.param(_parts(*[16] * 25), TooManyInstallments, id="too many"),
    ],
)
def test_parts_that_are_not_the_price_are_refused(parts: list[Installment], refusal: type[ScheduleRejected]) -> None:
    check_parts(Kopecks(400), _parts(100, 100, 100, 100))

    with pytest.raises(refusal):
        check_parts(Kopecks(400), parts)
