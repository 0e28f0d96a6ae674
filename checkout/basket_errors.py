"""Refusals of baskets, tenders, offers and item refunds.

CheckoutRejected
├── BasketMissing, BasketEmpty, BasketMalformed, BasketMismatch, BasketTimeInvalid
├── TendersNeedBasket, PointsNeedCard, CardNotAsPresented, PresentmentUsed
├── RailOfferInvalid, RailOfferTaken, RailOfferNotFound
├── ItemsUnknown, ItemsMalformed, ItemsNotLeft, MeasureOnlyWhole, ItemRefundNotFound
└── RefundByItems
"""

from __future__ import annotations

from checkout.errors import CheckoutRejected


class BasketMissing(CheckoutRejected):
    """The order was placed without a basket."""

    code = "checkout.basket_missing"


class BasketEmpty(CheckoutRejected):
    """A basket has at least one line."""

    code = "checkout.basket_empty"


class BasketMalformed(CheckoutRejected):
    """A line of the basket is not whole, or there are too many lines."""

    code = "checkout.basket_malformed"


class BasketMismatch(CheckoutRejected):
    """The lines do not come to the sum of the order."""

    code = "checkout.basket_mismatch"


class BasketTimeInvalid(CheckoutRejected):
    """An order with a basket is kept open from a minute to three days."""

    code = "checkout.basket_time_invalid"


class TendersNeedBasket(CheckoutRejected):
    """Promo code, points and a loyalty card go with a basket."""

    code = "checkout.tenders_need_basket"


class PointsNeedCard(CheckoutRejected):
    """Points are taken from a loyalty card: name it, or its presentment."""

    code = "checkout.points_need_card"


class CardNotAsPresented(CheckoutRejected):
    """The loyalty card is not the one that was presented at this till."""

    code = "checkout.card_not_as_presented"


class PresentmentUsed(CheckoutRejected):
    """This presentment has made an order already."""

    code = "checkout.presentment_used"


class RailOfferInvalid(CheckoutRejected):
    """An offer takes off at most a half, has a note of 1 to 140 characters, and ends after it begins."""

    code = "checkout.rail_offer_invalid"


class RailOfferTaken(CheckoutRejected):
    """Another offer for this rail begins at the same instant."""

    code = "checkout.rail_offer_taken"


class RailOfferNotFound(CheckoutRejected):
    """There is no such offer."""

    code = "checkout.rail_offer_not_found"


class ItemsUnknown(CheckoutRejected):
    """The basket has no such line."""

    code = "checkout.items_unknown"


class ItemsMalformed(CheckoutRejected):
    """Each line is named once, with a whole quantity of at least one."""

    code = "checkout.items_malformed"


class ItemsNotLeft(CheckoutRejected):
    """So much of the line is not left to be given back."""

    code = "checkout.items_not_left"


class MeasureOnlyWhole(CheckoutRejected):
    """What was weighed or measured is given back whole; only pieces are given back one by one."""

    code = "checkout.measure_only_whole"


class ItemRefundNotFound(CheckoutRejected):
    """There is no such refund of items."""

    code = "checkout.item_refund_not_found"


class RefundByItems(CheckoutRejected):
    """An order with a basket is refunded by its lines: only so are points and codes given back right."""

    code = "checkout.refund_by_items"
