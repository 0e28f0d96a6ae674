"""Baskets of orders on the wire: what a till sends, and how lines, tenders and offers are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, StrictInt

from api.wire import Body, Instant, Text, View
from checkout import basket_rows, offers
from checkout.basket_errors import TendersNeedBasket
from checkout.basket_rows import OrderBasket, OrderOffer, TendersStatus
from checkout.baskets import (
    ARTICLE_CHARACTERS_MAX,
    LINES_MAX,
    NAME_CHARACTERS_MAX,
    PRICE_KOPECKS_MAX,
    QUANTITY_MAX,
    Basket,
    Line,
    Measure,
    check_basket,
)
from checkout.points_rules import POINTS_MAX
from checkout.tenders import OPEN_MINUTES_MAX, TendersWish
from ledger.database import Session
from ledger.money import Kopecks

Id = Annotated[str, Field(strict=True, max_length=40)]


class LineBody(Body):
    """One line of a basket."""

    article: Annotated[str, Field(strict=True, max_length=ARTICLE_CHARACTERS_MAX, examples=["10-4501"])]
    name: Annotated[Text, Field(max_length=NAME_CHARACTERS_MAX, examples=["Сыр российский"])]
    measure: Measure = Measure.PIECE
    quantity: Annotated[StrictInt, Field(ge=1, le=QUANTITY_MAX, examples=[1125])] = 1
    """A whole number of the measure: 1.125 kg is 1125 grams."""
    price_kopecks: Annotated[StrictInt, Field(ge=0, le=PRICE_KOPECKS_MAX, examples=[64990])]
    """Of a piece, a kilogram, a metre, a litre: grams, centimetres and millilitres are priced as on the shelf."""
    discount_kopecks: Annotated[StrictInt, Field(ge=0, le=PRICE_KOPECKS_MAX)] = 0
    """What the till itself takes off the whole line."""

    def line(self) -> Line:
        """The line as a value."""
        return Line(
            self.article, self.name, self.measure, self.quantity, Kopecks(self.price_kopecks),
            Kopecks(self.discount_kopecks),
        )  # fmt: skip


class BasketBody(Body):
    """What an order is for."""

    lines: Annotated[list[LineBody], Field(max_length=LINES_MAX)]


class TendersBody(Body):
    """What goes with an order that has a basket."""

    basket: BasketBody | None = None
    presentment_id: Id | None = None
    """The scan of the buyer's loyalty card at this till."""
    loyalty_card_id: Id | None = None
    """The same card by its id, when it was not scanned."""
    promo_code: Annotated[str, Field(strict=True, min_length=1, max_length=64, examples=["SVOI-2026"])] | None = None
    points: Annotated[StrictInt, Field(ge=1, le=POINTS_MAX, examples=[120])] | None = None
    """So many points at most; the rule of the day may let fewer pay."""
    open_minutes: Annotated[StrictInt, Field(ge=1, le=OPEN_MINUTES_MAX)] | None = None
    """How long the order keeps its code and points when nobody pays; an hour when not said."""

    def wish(self, amount_kopecks: int | None) -> TendersWish | None:
        """What is asked for besides the rail, checked against the till's own sum; nothing without a basket.

        Raises: TendersNeedBasket, BasketMalformed, BasketMismatch.
        """
        if self.basket is None:
            told = (self.presentment_id, self.loyalty_card_id, self.promo_code, self.points, self.open_minutes)
            if any(each is not None for each in told):
                raise TendersNeedBasket()
            return None
        basket = Basket(tuple(line.line() for line in self.basket.lines))
        check_basket(basket, amount_kopecks)
        return TendersWish(
            basket, self.presentment_id, self.loyalty_card_id, self.promo_code, self.points, self.open_minutes
        )


class LineView(View):
    """One line and who pays for it."""

    line: int
    """From 1: by this number it is refunded."""
    article: str
    name: str
    measure: Measure
    quantity: int
    price_kopecks: int
    gross_kopecks: int
    discount_kopecks: int
    promo_kopecks: int
    points: int
    rail_kopecks: int
    """What the rail brings for it."""


class OfferView(View):
    """What the order costs by one rail."""

    rail: str
    discount_kopecks: int
    amount_kopecks: int
    note: str


class TendersView(View):
    """What pays for an order: gross = discount + promo code + points + offer + what the rail brings."""

    status: TendersStatus
    gross_kopecks: int
    discount_kopecks: int
    promo_kopecks: int
    points: int
    points_kopecks: int
    offer_kopecks: int
    offer_rail: str | None
    amount_kopecks: int
    amount_refunded_kopecks: int
    points_back: int
    loyalty_card_id: str | None
    presentment_id: str | None
    redemption_id: str | None
    expires_at: Instant
    lines: list[LineView]
    offers: list[OfferView]

    @classmethod
    def of(cls, kept: OrderBasket, made: Sequence[OrderOffer]) -> TendersView:
        """Basket, tenders and offers as they are shown."""
        asked = offers.totals(kept, made)
        return cls(
            status=kept.status, gross_kopecks=int(kept.basket.gross), discount_kopecks=int(kept.basket.discount),
            promo_kopecks=int(kept.promo), points=kept.points, points_kopecks=int(kept.points_value),
            offer_kopecks=int(kept.offer), offer_rail=kept.offer_rail, amount_kopecks=int(kept.amount),
            amount_refunded_kopecks=int(kept.refunded), points_back=kept.points_back,
            loyalty_card_id=kept.loyalty_card_id, presentment_id=kept.presentment_id,
            redemption_id=kept.redemption_id, expires_at=kept.expires_at, lines=_line_views(kept),
            offers=[
                OfferView(
                    rail=each.rail, discount_kopecks=int(each.discount), amount_kopecks=int(asked[each.rail]),
                    note=each.note,
                )
                for each in made
            ],
        )  # fmt: skip


def _line_views(kept: OrderBasket) -> list[LineView]:
    shares = zip(kept.basket.lines, kept.promo_shares, kept.points_shares, kept.rail_shares, strict=True)
    return [
        LineView(
            line=number, article=line.article, name=line.name, measure=line.measure, quantity=line.quantity,
            price_kopecks=int(line.price), gross_kopecks=int(line.gross), discount_kopecks=int(line.discount),
            promo_kopecks=promo, points=points, rail_kopecks=rail,
        )
        for number, (line, promo, points, rail) in enumerate(shares, 1)
    ]  # fmt: skip


async def tenders_views(session: Session, order_ids: Sequence[str]) -> Mapping[str, TendersView]:
    """What pays for those orders that have a basket."""
    kept = await basket_rows.baskets_of(session, order_ids)
    made = await basket_rows.offers_of(session, list(kept)) if kept else []
    return {
        order_id: TendersView.of(each, offers.listed(offer for offer in made if offer.order_id == order_id))
        for order_id, each in kept.items()
    }
