"""Installment products (продукты рассрочки): the terms a plan is made by, as dated versions.

Nothing here is a constant of the law: what the law allows is asked of ``installments.law`` for the day of the contract.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from ledger.money import Kopecks


class Step(StrEnum):
    """What an interval between installments is counted in."""

    DAYS = "days"
    MONTHS = "months"
    """Calendar months; the 31st falls on the last day of a shorter month."""


class PartRounding(StrEnum):
    """What the installments after the first are rounded to, and so where the odd kopecks go."""

    KOPECK_FIRST = "kopeck_first"
    """Equal to the kopeck; the odd kopecks are on the first, which is paid with the amount on the screen."""
    KOPECK_LAST = "kopeck_last"
    """Equal to the kopeck; the odd kopecks are on the last."""
    ROUBLE_LAST = "rouble_last"
    """Whole roubles, half to even; the last takes the rest."""


class RefundPolicy(StrEnum):
    """What a refund of goods does to installments. What is past due is always lowered first, except by proportion."""

    PROPORTIONAL = "proportional"
    """Every installment shrinks by the same share; what shrinks below what was paid goes back to the buyer."""
    NEXT_FIRST = "next_first"
    LAST_FIRST = "last_first"
    REAMORTISE = "reamortise"
    """What is not yet due is lowered evenly, the remainder in the last; none below zero."""


@dataclass(frozen=True, slots=True)
class Product:
    """One version of a product. A plan keeps the version it was made by."""

    code: str
    version: int
    name: str
    """As buyers read it, in Russian."""
    effective_on: date
    """The first Moscow day on which plans are made by this version."""
    installments: int
    """How many, the first at the till among them."""
    step: Step
    every: int
    """Days or months between two installments."""
    first_share_basis_points: int
    """The first installment's share of the price; the others share the rest."""
    rounding: PartRounding
    price_min: Kopecks
    price_max: Kopecks
    order_lifetime: timedelta
    """How long a buyer may take to accept."""
    hold_lifetime: timedelta
    """How long the first installment waits on the card for the shop's commit."""
    refund_policy: RefundPolicy
    penalty_basis_points: int
    """A year, of the overdue part; the law has a cap."""
    penalty_grace_days: int
    is_committed_at_once: bool
    """No commit by the shop: the plan begins with the buyer's first payment."""
    is_fee_returned: bool
    """A refund gives the merchant's fee back in proportion."""


@dataclass(frozen=True, slots=True)
class MerchantTerms:
    """What one merchant pays for a product, from a day on."""

    merchant_id: str
    product_code: str
    effective_on: date
    fee_basis_points: int
    """The merchant's discount (MDR), of the price."""
    price_min: Kopecks | None
    """Above the product's; none: the product's."""
    price_max: Kopecks | None
