"""Cutting a sum anew: into even parts with the odd kopecks on the last, none below zero."""

from __future__ import annotations

from installments.products import PartRounding, Product

ROUBLE = 100


def unit_of(product: Product) -> int:
    """What parts are rounded to, in kopecks."""
    return ROUBLE if product.rounding is PartRounding.ROUBLE_LAST else 1


def half_even(number: int, divisor: int) -> int:
    """The nearest whole quotient; a half goes to the even one."""
    whole, rest = divmod(number, divisor)
    if rest * 2 > divisor or (rest * 2 == divisor and whole % 2):
        whole += 1
    return whole


def even_parts(total: int, count: int, *, unit: int = 1) -> list[int]:
    """``count`` parts of ``total`` in whole units, half to even; the last takes the rest, and none is below zero."""
    part = half_even(total, count * unit) * unit
    if part * (count - 1) > total:
        part = total // (count * unit) * unit
    return [part] * (count - 1) + [total - part * (count - 1)]
