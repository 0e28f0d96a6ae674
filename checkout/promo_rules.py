"""Promo codes (промокоды): what a code gives, to whom and how many times. Rules only, no database."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from checkout.promo_errors import (
    OwnPromoCode,
    PromoBasketTooSmall,
    PromoBuyerUnknown,
    PromoCodeElsewhere,
    PromoCodeNotValid,
    PromoTermsInvalid,
)
from ledger.money import BASIS_POINTS, Kopecks, share_of

CODE_CHARACTERS_MAX = 32
DISCOUNT_KOPECKS_MAX = 1_000_000_00
"""As much as an order may cost."""
REDEMPTIONS_MAX = 1_000_000
"""What a code is counted up to; a code for everybody has no limit and is not counted."""
BUYER_REDEMPTIONS_MAX = 1_000
REFERRAL_REDEMPTIONS = 3
"""How many friends a referral is for, unless it says. Source: domain notes of the till, requirement 20: valid three
times, the fourth friend is refused."""
RAIL_KOPECKS_MIN = 1
"""What is left for the rail to bring, whatever the discount. DECISIONS.md, 11."""

_CODE = re.compile(rf"[0-9A-ZА-ЯЁ-]{{3,{CODE_CHARACTERS_MAX}}}")


class PromoKind(StrEnum):
    """What a code is for; each kind has rules of its own."""

    REFERRAL = "referral"
    """A buyer gives it to friends, and is rewarded when the last of its redemptions is confirmed."""
    TRIAL = "trial"
    """For a first purchase: a buyer takes one trial of a merchant, by whatever code."""
    DISCOUNT = "discount"
    """Anybody's, unless it is made for one buyer."""


class RedemptionStatus(StrEnum):
    """Where one use of a code stands."""

    RESERVED = "reserved"
    """The order is placed at the lower price and not paid yet: nobody else gets this use."""
    CONFIRMED = "confirmed"
    RELEASED = "released"
    """The order was not paid. Final."""
    RETURNED = "returned"
    """The order was refunded whole. Final."""


@dataclass(frozen=True, slots=True)
class PromoTerms:
    """What a merchant says of a code."""

    code: str
    kind: PromoKind
    valid_from: datetime
    discount_kopecks: int | None = None
    """So much off; or ``discount_basis_points`` of the basket, up to ``discount_kopecks_max``."""
    discount_basis_points: int | None = None
    discount_kopecks_max: int | None = None
    basket_kopecks_min: int = 0
    redemptions_max: int | None = None
    buyer_redemptions_max: int | None = None
    owner_key: str | None = None
    """Whose a referral is."""
    only_for: str | None = None
    """The one buyer who may use it."""
    reward_kopecks: int | None = None
    """What the owner's next purchase costs less, after the last redemption."""
    is_returnable: bool = True
    """Whether a whole refund gives the use back."""
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PromoCode:
    """A code of a merchant, with how many uses of it are taken."""

    id: str
    merchant_id: str
    terms: PromoTerms
    taken: int
    """Uses reserved or confirmed, when there is a limit to them."""
    confirmed: int
    reward_code_id: str | None
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Redemption:
    """One use of a code by one order."""

    id: str
    discount: Kopecks
    promo_code_id: str
    order_id: str
    status: RedemptionStatus
    reserved_at: datetime
    confirmed_at: datetime | None = None
    ended_at: datetime | None = None


def read_code(typed: str) -> str:
    """A code as it is kept: what a cashier types in small letters or with blanks around it is the same code.

    Raises: PromoTermsInvalid.
    """
    code = typed.strip().upper()
    if not _CODE.fullmatch(code):
        raise PromoTermsInvalid(field="code")
    return code


def with_usual_limits(terms: PromoTerms) -> PromoTerms:
    """The terms with what their kind says where they say nothing."""
    overall, by_buyer = terms.redemptions_max, terms.buyer_redemptions_max
    if terms.kind is PromoKind.REFERRAL:
        overall = REFERRAL_REDEMPTIONS if overall is None else overall
    if terms.kind in (PromoKind.REFERRAL, PromoKind.TRIAL) and by_buyer is None:
        by_buyer = 1
    return replace(terms, redemptions_max=overall, buyer_redemptions_max=by_buyer)


def check_terms(terms: PromoTerms) -> None:
    """Refuse terms that contradict themselves or leave what can be counted.

    Raises: PromoTermsInvalid, naming the field.
    """
    is_referral, is_trial = terms.kind is PromoKind.REFERRAL, terms.kind is PromoKind.TRIAL
    percent, ceiling = terms.discount_basis_points, terms.discount_kopecks_max
    faults = {
        "discount_kopecks": not _within(terms.discount_kopecks, DISCOUNT_KOPECKS_MAX),
        "discount_basis_points": (terms.discount_kopecks is None) == (percent is None)
        or not _within(percent, BASIS_POINTS),
        "discount_kopecks_max": not _within(ceiling, DISCOUNT_KOPECKS_MAX) or (ceiling is not None and percent is None),
        "basket_kopecks_min": not 0 <= terms.basket_kopecks_min <= DISCOUNT_KOPECKS_MAX,
        "redemptions_max": not _within(terms.redemptions_max, REDEMPTIONS_MAX),
        "buyer_redemptions_max": not _within(terms.buyer_redemptions_max, BUYER_REDEMPTIONS_MAX)
        or (is_trial and terms.buyer_redemptions_max != 1),
        "owner_key": is_referral != (terms.owner_key is not None),
        "only_for": terms.only_for is not None and is_referral,
        "reward_kopecks": not _within(terms.reward_kopecks, DISCOUNT_KOPECKS_MAX)
        or (terms.reward_kopecks is not None and not is_referral),
        "valid_until": terms.valid_until is not None and terms.valid_until <= terms.valid_from,
    }
    for field, is_wrong in faults.items():
        if is_wrong:
            raise PromoTermsInvalid(field=field)


def check_usable(code: PromoCode, buyer_key: str | None, basket_kopecks: Kopecks, *, now: datetime) -> None:
    """Refuse a code that this buyer may not use for this basket now, however many uses are left.

    Raises: PromoCodeNotValid, OwnPromoCode, PromoCodeElsewhere, PromoBuyerUnknown, PromoBasketTooSmall.
    """
    terms = code.terms
    if (
        code.ended_at is not None
        or now < terms.valid_from
        or (terms.valid_until is not None and now >= terms.valid_until)
    ):
        raise PromoCodeNotValid(valid_from=terms.valid_from, valid_until=code.ended_at or terms.valid_until)
    if buyer_key is None and (terms.only_for is not None or terms.buyer_redemptions_max is not None):
        raise PromoBuyerUnknown()
    if terms.only_for not in (None, buyer_key):
        raise PromoCodeElsewhere()
    if terms.owner_key is not None and terms.owner_key == buyer_key:
        raise OwnPromoCode()
    if basket_kopecks < max(terms.basket_kopecks_min, RAIL_KOPECKS_MIN + 1):
        raise PromoBasketTooSmall(basket_kopecks_min=max(terms.basket_kopecks_min, RAIL_KOPECKS_MIN + 1))


def discount_of(terms: PromoTerms, basket_kopecks: Kopecks) -> Kopecks:
    """What a code takes off a basket: parts of a kopeck are cut, and something is left for the rail.

    Amounts: kopecks. A percentage of a basket so small that it is nothing is one kopeck: a code that is used gives.
    """
    assert basket_kopecks > RAIL_KOPECKS_MIN
    if terms.discount_kopecks is not None:
        wanted = Kopecks(terms.discount_kopecks)
    else:
        assert terms.discount_basis_points is not None
        wanted = max(share_of(basket_kopecks, terms.discount_basis_points), Kopecks(1))
    if terms.discount_kopecks_max is not None:
        wanted = min(wanted, Kopecks(terms.discount_kopecks_max))
    return min(wanted, basket_kopecks - RAIL_KOPECKS_MIN)


def _within(value: int | None, limit: int) -> bool:
    return value is None or 1 <= value <= limit
