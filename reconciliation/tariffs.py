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
    is_confirmed: bool = True
    """Somebody has compared it with the primary document."""


@dataclass(frozen=True, slots=True)
class BankTariff:
    """What a bank charges for payments, in force from its first day until its next rule for the group and rail."""

    member_id: str
    """The bank, by its NSPK number."""
    tariff_group: str
    rail: str
    valid_from_on: date
    basis_points: int
    cap: Kopecks | None
    rounding: Rounding
    is_withheld: bool
    """The bank keeps the fee back when it credits the money; otherwise it sends a bill."""
    is_confirmed: bool
    source: str


@dataclass(frozen=True, slots=True)
class MccGroup:
    """Merchant category codes of one tariff group, from a day on."""

    first_mcc: str
    last_mcc: str
    valid_from_on: date
    tariff_group: str
    is_confirmed: bool
    source: str

    @property
    def width(self) -> int:
        """How many codes there are between the two: the narrower range is the better answer."""
        return int(self.last_mcc) - int(self.first_mcc)


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


def bank_tariff_on(tariffs: Sequence[BankTariff], *, member_id: str, tariff_group: str, on: date) -> BankTariff | None:
    """What a bank charges on a day; nothing if it was never said. Then the bank's register will tell."""
    found = [
        tariff
        for tariff in tariffs
        if (tariff.member_id, tariff.tariff_group) == (member_id, tariff_group) and tariff.valid_from_on <= on
    ]
    return max(found, key=lambda tariff: tariff.valid_from_on, default=None)


def group_of_mcc(groups: Sequence[MccGroup], mcc: str, *, on: date) -> MccGroup:
    """The tariff group of a merchant category code: the narrowest range that holds it, by its latest rule.

    Raises: NoTariff.
    """
    found = [group for group in groups if group.first_mcc <= mcc <= group.last_mcc and group.valid_from_on <= on]
    if not found:
        raise NoTariff(mcc=mcc, on=on.isoformat())
    return min(found, key=lambda group: (group.width, -group.valid_from_on.toordinal()))


def fee_for(tariff: Tariff | BankTariff, amount: Kopecks) -> Kopecks:
    """What one payment of ``amount`` costs.

    Source: banks' registers cut SBP fees to the kopeck (37.516 roubles is 37.51).
    """
    fee = share_of(amount, tariff.basis_points, tariff.rounding)
    return fee if tariff.cap is None else min(fee, tariff.cap)
