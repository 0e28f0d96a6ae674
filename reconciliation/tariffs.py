"""Tariffs (тарифы): dated fee rules for a group of merchants and a rail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from ledger.money import Kopecks, Rounding, share_of
from reconciliation.errors import NoTariff


@dataclass(frozen=True, slots=True)
class Tariff:
    """A fee rule, in force from its first day until a later rule of the same group and rail begins."""

    tariff_group: str
    rail: str
    valid_from_on: date
    """The first Moscow day of payment it is for."""
    basis_points: int
    """40 is 0.4 %."""
    cap: Kopecks | None
    """The most one payment costs."""
    rounding: Rounding
    source: str
    """Where the rule comes from."""


def tariff_on(tariffs: Sequence[Tariff], *, tariff_group: str, rail: str, on: date) -> Tariff:
    """The tariff in force on a day.

    Raises: NoTariff.
    """
    found = [
        tariff
        for tariff in tariffs
        if tariff.tariff_group == tariff_group and tariff.rail == rail and tariff.valid_from_on <= on
    ]
    if not found:
        raise NoTariff(tariff_group=tariff_group, rail=rail, on=on.isoformat())
    return max(found, key=lambda tariff: tariff.valid_from_on)


def fee_for(tariff: Tariff, amount: Kopecks) -> Kopecks:
    """What one payment of ``amount`` costs the merchant.

    Source: banks' registers cut SBP fees to the kopeck (37.516 roubles is 37.51).
    """
    fee = share_of(amount, tariff.basis_points, tariff.rounding)
    return fee if tariff.cap is None else min(fee, tariff.cap)
