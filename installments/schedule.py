"""The schedule (график платежей): a price cut into installments with their Moscow days, to the kopeck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from installments.errors import PartsMismatch, PriceTooSmall, TooManyInstallments
from installments.months import add_months
from installments.products import PartRounding, Product, Step
from installments.splitting import ROUBLE, half_even
from ledger.money import BASIS_POINTS, Kopecks

INSTALLMENTS_MAX = 24
"""Two a month for a year: more than the law's term can hold at any step we sell."""


@dataclass(frozen=True, slots=True)
class Installment:
    """One part of the price and the day it is due."""

    number: int
    """From 1."""
    due_on: date
    amount: Kopecks


def build_schedule(price: Kopecks, product: Product, *, first_due_on: date) -> tuple[Installment, ...]:
    """The price cut by the product's terms: the parts add up to it to the kopeck and none is empty.

    Whether its last day is within the law is asked of ``law.check_term``.

    Raises: TooManyInstallments; PriceTooSmall if a part would be empty.
    """
    count = product.installments
    if not 1 <= count <= INSTALLMENTS_MAX:
        raise TooManyInstallments(installments=count, installments_max=INSTALLMENTS_MAX)
    amounts = _amounts(int(price), product)
    if min(amounts) <= 0:
        raise PriceTooSmall(price=int(price), installments=count)
    return tuple(
        [
            Installment(number, due_on, Kopecks(amount))
            for number, due_on, amount in zip(
                range(1, count + 1), _days(first_due_on, product, count), amounts, strict=True
            )
        ]
    )


def due_days(first_due_on: date, count: int, *, step: Step, every: int) -> list[date]:
    """``count`` days, ``every`` days or months apart. Months are counted from the first, so the 31st comes back."""
    if step is Step.DAYS:
        return [first_due_on + timedelta(every * index) for index in range(count)]
    return [add_months(first_due_on, every * index) for index in range(count)]


def check_parts(price: Kopecks, parts: Sequence[Installment]) -> None:
    """Installments that someone else cut are those of this price, in order of days, none empty.

    Raises: PartsMismatch; TooManyInstallments; PriceTooSmall.
    """
    if not 1 <= len(parts) <= INSTALLMENTS_MAX:
        raise TooManyInstallments(installments=len(parts), installments_max=INSTALLMENTS_MAX)
    if any(part.amount <= 0 for part in parts):
        raise PriceTooSmall(price=int(price), installments=len(parts))
    total = sum(int(part.amount) for part in parts)
    is_in_order = all(one.due_on < next_one.due_on for one, next_one in pairwise(parts))
    if total != price or not is_in_order or [part.number for part in parts] != list(range(1, len(parts) + 1)):
        raise PartsMismatch(price=int(price), parts=total)


def _days(first_due_on: date, product: Product, count: int) -> list[date]:
    return due_days(first_due_on, count, step=product.step, every=product.every)


def _amounts(price: int, product: Product) -> list[int]:
    """The parts; what rounding leaves is where ``product.rounding`` says."""
    count, share = product.installments, product.first_share_basis_points
    if count == 1:
        return [price]
    if product.rounding is PartRounding.ROUBLE_LAST:
        first = half_even(price * share, BASIS_POINTS * ROUBLE) * ROUBLE if share else 0
        others = count - 1 if share else count
        part = half_even(price - first, others * ROUBLE) * ROUBLE
        start = [first] if share else []
        return [*start, *[part] * (others - 1), price - first - part * (others - 1)]
    if share:
        part = price * (BASIS_POINTS - share) // (BASIS_POINTS * (count - 1))
        first = price * share // BASIS_POINTS
    else:
        first = part = price // count
    if product.rounding is PartRounding.KOPECK_FIRST:
        return [price - part * (count - 1), *[part] * (count - 1)]
    return [first, *[part] * (count - 2), price - first - part * (count - 2)]
