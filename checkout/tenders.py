"""Tenders (средства оплаты) of an order: promo code, then points, then one rail.

What is set aside with the order is taken by its payment, or let go when it is canceled or nobody pays. One end of
the two, whatever is repeated: the row of the basket says which. The rail always brings a kopeck at least.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from checkout import basket_rows, loyalty_cards, offers, points, presentments, promo_codes
from checkout.basket_errors import BasketTimeInvalid, CardNotAsPresented, PointsNeedCard
from checkout.basket_rows import OrderBasket, OrderOffer, TendersStatus
from checkout.baskets import NOTHING, Basket, Line, spread
from checkout.errors import AmountNotPositive, PointsProgrammeNotFound
from checkout.loyalty_cards import LoyaltyCardStatus
from checkout.loyalty_errors import LoyaltyCardBlocked
from checkout.orders import Order
from checkout.points_rules import Rule, earned, spendable
from checkout.promo_rules import Redemption
from ledger import outbox
from ledger.database import Session
from ledger.money import Kopecks, share_of
from ledger.outbox import Event

OPEN_USUAL = timedelta(minutes=60)
"""How long an order keeps its code and points: a till is paid in minutes, a buyer may go back for the purse."""
OPEN_MINUTES_MAX = 3 * 24 * 60
"""As long as a dynamic SBP code lives when nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class TendersWish:
    """What an order is for and what the buyer wants to pay with besides the rail."""

    basket: Basket
    presentment_id: str | None = None
    loyalty_card_id: str | None = None
    promo_code: str | None = None
    points: int | None = None
    """So many points, or as many as the rule of today lets pay for this basket."""
    open_minutes: int | None = None

    def expires_at(self, now: datetime) -> datetime:
        """Until when the order keeps code and points. Raises: BasketTimeInvalid."""
        if self.open_minutes is None:
            return now + OPEN_USUAL
        if not 1 <= self.open_minutes <= OPEN_MINUTES_MAX:
            raise BasketTimeInvalid(open_minutes_max=OPEN_MINUTES_MAX)
        return now + timedelta(minutes=self.open_minutes)


async def reserve(
    session: Session, order: Order, wish: TendersWish, *, now: datetime
) -> tuple[OrderBasket, list[OrderOffer]]:
    """Set aside promo code and points for an order just placed, and keep its basket and what rails take off.

    Raises: BasketTimeInvalid, AmountNotPositive, CardNotAsPresented, PresentmentUsed, PointsNeedCard; the refusals
    of presentments, loyalty cards, promo codes and points. Locks: the promo code, the card's points.
    """
    basket, expires_at = wish.basket, wish.expires_at(now)
    if basket.subtotal < 1:
        raise AmountNotPositive(amount_kopecks=int(basket.subtotal))
    card_id = await card_of(session, order, wish)
    redemption = await _redeem(session, order, wish, card_id, now)
    promo = NOTHING if redemption is None else redemption.discount
    promo_shares = spread(int(promo), [int(line.amount) for line in basket.lines])
    left = lines_after(basket, promo_shares)
    shares, value = await _set_points_aside(session, order, wish, card_id, left, now)
    of_order = OrderBasket(
        order_id=order.id, basket=basket, promo=promo, promo_shares=promo_shares, points=sum(shares),
        points_value=value, points_shares=shares, offer=NOTHING,
        amount=Kopecks(basket.subtotal - promo - value), loyalty_card_id=card_id,
        presentment_id=wish.presentment_id, redemption_id=None if redemption is None else redemption.id,
        offer_rail=None, refunded=NOTHING, points_back=0, status=TendersStatus.RESERVED, created_at=now,
        expires_at=expires_at,
    )  # fmt: skip
    await basket_rows.add_basket(session, of_order)
    return of_order, await offers.make(session, order, of_order, now=now)


async def card_of(session: Session, order: Order, wish: TendersWish) -> str | None:
    """The loyalty card that was presented at this till, or is named. Raises: CardNotAsPresented, LoyaltyCardBlocked."""
    card_id = wish.loyalty_card_id
    if wish.presentment_id is not None:
        seen = await presentments.load_presentment(session, wish.presentment_id, merchant_id=order.merchant_id)
        if seen.terminal_id != order.terminal_id or card_id not in (None, seen.loyalty_card_id):
            raise CardNotAsPresented(presentment_id=seen.id)
        card_id = seen.loyalty_card_id
    if card_id is not None:
        card = await loyalty_cards.load_card(session, card_id, merchant_id=order.merchant_id)
        if card.status is LoyaltyCardStatus.BLOCKED:
            raise LoyaltyCardBlocked(loyalty_card_id=card_id)
    return card_id


async def _redeem(
    session: Session, order: Order, wish: TendersWish, card_id: str | None, now: datetime
) -> Redemption | None:
    if wish.promo_code is None:
        return None
    return await promo_codes.reserve(session, wish.promo_code, order.id, card_id, wish.basket, now=now)


async def _set_points_aside(
    session: Session, order: Order, wish: TendersWish, card_id: str | None, lines: Sequence[Line], now: datetime
) -> tuple[tuple[int, ...], Kopecks]:
    """How many points pay for each line, and what they are worth together. Never more than the rule of today lets."""
    nothing = tuple(0 for _ in lines), NOTHING
    if wish.points is None:
        return nothing
    if card_id is None:
        raise PointsNeedCard()
    _, rule = await points.rule_of(session, card_id, now=now)
    caps = points_caps(lines, rule)
    wanted = min(wish.points, sum(caps), spendable(lines, rule))
    if wanted == 0 < wish.points:
        return nothing
    spending = await points.reserve_points(session, card_id, order.id, wanted, now=now)
    return spread(spending.points, caps), Kopecks(spending.amount_kopecks)


def points_caps(lines: Sequence[Line], rule: Rule) -> tuple[int, ...]:
    """How many whole points may pay for each line."""
    return tuple(
        0 if line.article in rule.excluded_articles
        else int(share_of(line.amount, rule.line_basis_points)) // rule.point_kopecks
        for line in lines
    )  # fmt: skip


async def points_terms(session: Session, of_order: OrderBasket, *, now: datetime) -> tuple[int, int]:
    """How many points may pay for this basket by the rule of today, and how many the order will earn."""
    if of_order.loyalty_card_id is None:
        return 0, 0
    try:
        _, rule = await points.rule_of(session, of_order.loyalty_card_id, now=now)
    except PointsProgrammeNotFound:  # a card for prices alone
        return 0, 0
    lines = lines_after(of_order.basket, of_order.promo_shares)
    most = min(sum(points_caps(lines, rule)), spendable(lines, rule))
    return most, earned(of_order.basket.lines, rule, of_order.amount)


def lines_after(basket: Basket, promo_shares: Sequence[int]) -> list[Line]:
    """The lines as a promo code leaves them."""
    return [
        replace(line, discount=Kopecks(line.discount + share))
        for line, share in zip(basket.lines, promo_shares, strict=True)
    ]


async def confirm(session: Session, orders: Sequence[Order], *, now: datetime) -> None:
    """Orders are paid: their codes are redeemed, their points spent, and what they earn is given.

    Orders without a basket, and those confirmed before, are none of ours. Locks: baskets, redemptions, codes, then
    the points of the cards; the orders are locked.
    """
    ended = await basket_rows.end_tenders(
        session, [order.id for order in orders], TendersStatus.CONFIRMED, now=now
    )  # fmt: skip
    if not ended:
        return
    await promo_codes.confirm_redemptions(session, _redeemed(ended), now=now)
    await points.confirm_points(session, list(ended.values()), now=now)


async def release(session: Session, orders: Sequence[Order], *, now: datetime) -> None:
    """Orders will not be paid: their codes and points are let go, and the world is told.

    Locks: as ``confirm``; the orders are locked.
    """
    ended = await basket_rows.end_tenders(session, [order.id for order in orders], TendersStatus.RELEASED, now=now)
    if not ended:
        return
    await promo_codes.release_redemptions(session, _redeemed(ended), now=now)
    await points.release_points(session, [each.order_id for each in ended.values() if each.points], now=now)
    events = [canceled_event(order, ended[order.id]) for order in orders if order.id in ended]
    await outbox.publish_all(session, events, now=now)


def _redeemed(ended: Mapping[str, OrderBasket]) -> list[str]:
    return [each.order_id for each in ended.values() if each.redemption_id is not None]


def canceled_event(order: Order, of_order: OrderBasket) -> Event:
    """What the world is told of an order with a basket that will not be paid."""
    data = {
        "order_id": order.id, "order_number": order.number, "merchant_id": order.merchant_id,
        "promo_kopecks": int(of_order.promo), "points": of_order.points,
    }  # fmt: skip
    return Event("order.canceled", order.id, order.merchant_id, data)
