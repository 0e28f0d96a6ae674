"""The law on installment services (283-FZ) as plain questions; its rules and their days are in ``law.yaml``.

The law of the contract's day applies to a plan for its whole life, so a reschedule of 2028 is judged by a contract of
2027. Contracts made before 1 April 2026 are outside: every check lets them through.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from pathlib import Path

import yaml

from installments.errors import (
    BureauReportRequired,
    LicenceNotActive,
    NotConsumer,
    PenaltyAboveLaw,
    PriceDiffers,
    TermAboveLaw,
)
from installments.months import add_months
from ledger.errors import InvariantBroken
from ledger.money import BASIS_POINTS, Kopecks

FILE = Path(__file__).with_name("law.yaml")
DAYS_KEPT = 4096
"""Contract days whose law is remembered: eleven years of them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule from a contract day on, with where it was read."""

    rule: str
    value: int | bool | str
    contract_from: date
    source: str
    grade: str
    """``P``: an official or reference text; ``2``: the press; ``A``: our own reading."""


@dataclass(frozen=True, slots=True)
class Law:
    """What holds for a contract of one day. None or false: the law asks for nothing."""

    term_months_max: int | None
    """Calendar months from the contract to the last installment."""
    penalty_basis_points_max: int
    """A year, of the overdue part. Before the law: the whole part, a bound that no product reaches."""
    is_penalty_simple: bool
    day_basis: str
    """``actual``: a year's rate by the days of that year."""
    bureau_threshold: Kopecks | None
    """Above this debt, with the new contract, a credit bureau is told."""
    capital_min: Kopecks | None
    is_licence_needed: bool
    is_consumer_only: bool
    is_price_same: bool
    is_early_payment_free: bool
    messages_day_max: int | None = None
    """To a buyer in arrears, about it, in all: by the day of the message and not of the contract, as the next ones."""
    messages_week_max: int | None = None
    messages_month_max: int | None = None
    contact_from_hour: int = 0
    contact_until_hour: int = 23
    """By the buyer's time."""

    @property
    def is_in_force(self) -> bool:
        """Whether the law is there at all for this contract."""
        return self.term_months_max is not None


OUTSIDE = Law(None, BASIS_POINTS, True, "actual", None, None, False, False, False, True)
"""Before the law. Early payment stays free: it is our own promise too."""
SUMS = ("bureau_threshold", "capital_min")


@lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """Every rule, the earliest first. Raises: InvariantBroken if the file names one that nobody asks."""
    known = {field.name for field in fields(Law)}
    read = tuple(Rule(**each) for each in yaml.safe_load(FILE.read_text(encoding="utf-8")))
    if strange := {each.rule for each in read} - known:
        raise InvariantBroken(f"law.yaml names {sorted(strange)}")
    return tuple(sorted(read, key=lambda each: (each.contract_from, each.rule)))


@lru_cache(maxsize=DAYS_KEPT)
def law_on(contract_on: date) -> Law:
    """The law for contracts made on this Moscow day."""
    held = {field.name: getattr(OUTSIDE, field.name) for field in fields(Law)}
    for each in rules():
        if each.contract_from <= contract_on:
            held[each.rule] = Kopecks(int(each.value)) if each.rule in SUMS else each.value
    return Law(**held)


def last_day_allowed(contract_on: date) -> date | None:
    """The last day on which an installment may be due; none: any."""
    months = law_on(contract_on).term_months_max
    return None if months is None else add_months(contract_on, months)


def check_term(contract_on: date, last_due_on: date) -> None:
    """The last installment, as made or as moved, is due within the term. Raises: TermAboveLaw."""
    last_day = last_day_allowed(contract_on)
    if last_day is not None and last_due_on > last_day:
        raise TermAboveLaw(last_due_on=last_due_on.isoformat(), last_day_allowed=last_day.isoformat())


def check_price(price: Kopecks, full_payment_price: Kopecks, *, contract_on: date) -> None:
    """Goods cost the same by installments as at once, to the kopeck. Raises: PriceDiffers."""
    if law_on(contract_on).is_price_same and price != full_payment_price:
        raise PriceDiffers(price=int(price), full_payment_price=int(full_payment_price))


def check_consumer(is_consumer: bool, *, contract_on: date) -> None:
    """The buyer buys for personal or family needs. Raises: NotConsumer."""
    if law_on(contract_on).is_consumer_only and not is_consumer:
        raise NotConsumer


def check_penalty(basis_points: int, *, contract_on: date) -> None:
    """A product's penalty is within the cap. Raises: PenaltyAboveLaw."""
    cap = law_on(contract_on).penalty_basis_points_max
    if basis_points > cap:
        raise PenaltyAboveLaw(penalty_basis_points=basis_points, penalty_basis_points_max=cap)


def needs_bureau(exposure_before: Kopecks, price: Kopecks, *, contract_on: date) -> bool:
    """Whether this contract must be told to a credit bureau: existing debt and the price are above the threshold."""
    threshold = law_on(contract_on).bureau_threshold
    return threshold is not None and exposure_before + price > threshold


def check_bureau(exposure_before: Kopecks, price: Kopecks, *, is_reporting: bool, contract_on: date) -> None:
    """A contract that must be told to a bureau is made only if one takes our reports. Raises: BureauReportRequired."""
    if not is_reporting and needs_bureau(exposure_before, price, contract_on=contract_on):
        raise BureauReportRequired(exposure_before=int(exposure_before), price=int(price))


def check_licence(is_active: bool, *, contract_on: date) -> None:
    """Our own entry in the register of operators is active on that day. Raises: LicenceNotActive."""
    if law_on(contract_on).is_licence_needed and not is_active:
        raise LicenceNotActive


def is_capital_enough(capital: Kopecks, *, on: date) -> bool:
    """Whether own funds are at what the law asks; watched and shown, a contract is not refused for it."""
    least = law_on(on).capital_min
    return least is None or capital >= least
