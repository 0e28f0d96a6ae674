"""Money: whole kopecks in their own type, and the two ways to divide it."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import SupportsIndex

AMOUNT_MAX = 2**63 - 1
"""The largest amount, balance or turnover the books can hold (PostgreSQL's bigint)."""

BASIS_POINTS = 10_000
"""Basis points in the whole: 40 of them are 0.4 %."""


class Kopecks(int):
    """A number of kopecks. Adds and subtracts to itself, multiplies by whole numbers, never divides."""

    __slots__ = ()

    def __new__(cls, value: int) -> Kopecks:
        if type(value) is not int and (not isinstance(value, int) or isinstance(value, bool)):
            raise TypeError(f"kopecks are whole numbers, not {type(value).__name__}")
        return int.__new__(cls, value)

    def __add__(self, other: int) -> Kopecks:
        return _whole(int.__add__(self, other), other)

    __radd__ = __add__

    def __sub__(self, other: int) -> Kopecks:
        return _whole(int.__sub__(self, other), other)

    def __rsub__(self, other: int) -> Kopecks:
        return _whole(int.__rsub__(self, other), other)

    def __mul__(self, other: int) -> Kopecks:
        return Kopecks(int(self) * other)

    __rmul__ = __mul__

    def __neg__(self) -> Kopecks:
        return Kopecks(-int(self))

    def __abs__(self) -> Kopecks:
        return Kopecks(abs(int(self)))

    def __truediv__(self, other: object) -> float:
        raise TypeError("money is not divided: use split_evenly or share_of")

    __rtruediv__ = __truediv__

    def __floordiv__(self, other: int) -> int:
        raise TypeError("money is not divided: use split_evenly or share_of")

    def __mod__(self, other: int) -> int:
        raise TypeError("money is not divided: use split_evenly or share_of")

    def __divmod__(self, other: int) -> tuple[int, int]:
        raise TypeError("money is not divided: use split_evenly or share_of")

    def __round__(self, ndigits: SupportsIndex | None = None) -> Kopecks:
        return self

    def __str__(self) -> str:
        return roubles(self)

    def __repr__(self) -> str:
        return f"Kopecks({int(self)})"


def _whole(value: int, other: object) -> Kopecks:
    """What came of adding or subtracting: ``int`` answers NotImplemented to anything that is no whole number."""
    if value is NotImplemented:
        raise TypeError(f"kopecks are whole numbers, not {type(other).__name__}")
    return int.__new__(Kopecks, value)


class Rounding(StrEnum):
    """Where the part of a kopeck goes when a share is taken."""

    DOWN = "down"
    """Cut off, as the banks' registers show SBP fees (37.516 is 37.51)."""
    HALF_UP = "half_up"
    """From half a kopeck up."""
    UP = "up"
    """Any part is a whole kopeck."""


def roubles(amount: int) -> str:
    """The amount in roubles with two decimals and a point: 149990 is ``1499.90``."""
    whole, rest = divmod(abs(int(amount)), 100)
    return f"{'-' if amount < 0 else ''}{whole}.{rest:02}"


def kopecks_of(text: str) -> Kopecks:
    """The kopecks of a decimal text with at most two decimals.

    Raises: ValueError if it is not a number of whole kopecks.
    """
    scaled = Decimal(text).scaleb(2)
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise ValueError(f"{text!r} is not a number of whole kopecks")
    return Kopecks(int(scaled))


def share_of(amount: Kopecks, basis_points: int, rounding: Rounding = Rounding.DOWN) -> Kopecks:
    """A share of ``amount``: fees and discounts. The part of a kopeck goes where ``rounding`` says."""
    if amount < 0 or basis_points < 0:
        raise ValueError("a share is taken of a positive amount")
    whole, rest = divmod(int(amount) * basis_points, BASIS_POINTS)
    if (rounding is Rounding.UP and rest > 0) or (rounding is Rounding.HALF_UP and rest * 2 >= BASIS_POINTS):
        whole += 1
    return Kopecks(whole)


def split_evenly(amount: Kopecks, count: int) -> tuple[Kopecks, ...]:
    """``count`` parts that add up to ``amount``; the odd kopecks go on the first."""
    if count < 1:
        raise ValueError("at least one part")
    part, odd = divmod(int(amount), count)
    parts = (Kopecks(part + odd), *(Kopecks(part) for _ in range(count - 1)))
    assert sum(parts) == amount
    return parts
