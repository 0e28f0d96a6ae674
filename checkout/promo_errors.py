"""Refusals of promo codes.

CheckoutRejected
└── PromoRejected
    ├── PromoTermsInvalid, PromoCodeTaken, PromoCodeNotFound
    ├── PromoCodeNotValid, PromoBuyerUnknown, PromoCodeElsewhere, OwnPromoCode, PromoBasketTooSmall
    └── PromoCodeSpent, PromoBuyerLimit, PromoTrialTaken, PromoCodeAlready
"""

from __future__ import annotations

from checkout.errors import CheckoutRejected


class PromoRejected(CheckoutRejected):
    """The promo code does not work here."""

    code = "checkout.promo_rejected"


class PromoTermsInvalid(PromoRejected):
    """The terms of the promo code contradict one another or are out of range; ``field`` says which."""

    code = "checkout.promo_terms_invalid"


class PromoCodeTaken(PromoRejected):
    """The merchant already has such a promo code."""

    code = "checkout.promo_code_taken"


class PromoCodeNotFound(PromoRejected):
    """The merchant has no such promo code."""

    code = "checkout.promo_code_not_found"


class PromoCodeNotValid(PromoRejected):
    """The promo code is over, or has not begun."""

    code = "checkout.promo_code_not_valid"


class PromoBuyerUnknown(PromoRejected):
    """This promo code is counted by buyer: the buyer's loyalty card is needed."""

    code = "checkout.promo_buyer_unknown"


class PromoCodeElsewhere(PromoRejected):
    """The promo code was made for another buyer."""

    code = "checkout.promo_code_elsewhere"


class OwnPromoCode(PromoRejected):
    """A referral is for friends, not for its owner."""

    code = "checkout.own_promo_code"


class PromoBasketTooSmall(PromoRejected):
    """The basket is too small for this promo code."""

    code = "checkout.promo_basket_too_small"


class PromoCodeSpent(PromoRejected):
    """All redemptions of the promo code are taken."""

    code = "checkout.promo_code_spent"


class PromoBuyerLimit(PromoRejected):
    """This buyer has used the promo code as often as it allows."""

    code = "checkout.promo_buyer_limit"


class PromoTrialTaken(PromoRejected):
    """This buyer has had a trial of this merchant already."""

    code = "checkout.promo_trial_taken"


class PromoCodeAlready(PromoRejected):
    """The order has another promo code: one of them is used in an order."""

    code = "checkout.promo_code_already"
