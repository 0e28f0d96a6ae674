"""Rows of baskets and of the offers made with them, as values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from checkout.basket_errors import BasketMissing, PresentmentUsed
from checkout.baskets import Basket, Line, Measure, spread
from ledger.database import Session, text
from ledger.money import Kopecks


class TendersStatus(StrEnum):
    """Where promo code and points of an order stand. One end, whatever is repeated."""

    RESERVED = "reserved"
    CONFIRMED = "confirmed"
    """The order was paid. Final."""
    RELEASED = "released"
    """The order will not be paid. Final."""


@dataclass(frozen=True, slots=True)
class OrderBasket:
    """What an order is for, and what pays for it: promo code, points, the rail."""

    order_id: str
    basket: Basket
    promo: Kopecks
    promo_shares: tuple[int, ...]
    """Of the promo code, in kopecks, line by line."""
    points: int
    points_value: Kopecks
    points_shares: tuple[int, ...]
    """Of the points, counted in points, line by line."""
    offer: Kopecks
    """What the chosen rail takes off."""
    amount: Kopecks
    """What the rail brings."""
    loyalty_card_id: str | None
    presentment_id: str | None
    redemption_id: str | None
    offer_rail: str | None
    refunded: Kopecks
    points_back: int
    status: TendersStatus
    created_at: datetime
    expires_at: datetime

    @property
    def rests(self) -> tuple[int, ...]:
        """What is left of each line after promo code and points: the rail's, before its offer."""
        shares = zip(self.basket.lines, self.promo_shares, self.points_shares, strict=True)
        return tuple(int(line.amount) - promo - int(self.worth_of(points)) for line, promo, points in shares)

    def worth_of(self, points: int) -> Kopecks:
        """What so many of the order's points pay: each is worth the same whole kopecks."""
        return Kopecks(int(self.points_value) // self.points * points if self.points else 0)

    @property
    def before_offer(self) -> Kopecks:
        """What the rail would bring without an offer."""
        return Kopecks(self.amount + self.offer)

    @property
    def rail_shares(self) -> tuple[int, ...]:
        """What the rail brings for each line."""
        return spread(int(self.amount), self.rests)


@dataclass(frozen=True, slots=True)
class OrderOffer:
    """What one rail takes off one order."""

    order_id: str
    rail: str
    discount: Kopecks
    note: str
    """What the buyer reads: "по СБП дешевле на 2 %"."""


async def add_basket(session: Session, of_order: OrderBasket) -> None:
    """Keep the basket of a new order, which asks the rail for what its tenders leave. Raises: PresentmentUsed."""
    done = await session.execute(
        text("""WITH asked AS (
                    UPDATE orders SET amount_kopecks = :amount WHERE id = :order_id AND amount_kopecks <> :amount)
                INSERT INTO order_baskets (order_id, lines, gross_kopecks, discount_kopecks, promo_kopecks,
                    points_kopecks, amount_kopecks, points, loyalty_card_id, presentment_id, redemption_id,
                    created_at, expires_at)
                VALUES (:order_id, CAST(:lines AS jsonb), :gross, :discount, :promo, :points_value, :amount, :points,
                        :card, :presentment, :redemption, :created_at, :expires_at)
                ON CONFLICT (presentment_id) WHERE status <> 'released' DO NOTHING"""),
        {
            "order_id": of_order.order_id, "lines": json.dumps(lines_kept(of_order), ensure_ascii=False),
            "gross": int(of_order.basket.gross), "discount": int(of_order.basket.discount),
            "promo": int(of_order.promo), "points_value": int(of_order.points_value), "amount": int(of_order.amount),
            "points": of_order.points, "card": of_order.loyalty_card_id, "presentment": of_order.presentment_id,
            "redemption": of_order.redemption_id, "created_at": of_order.created_at,
            "expires_at": of_order.expires_at,
        },
    )  # fmt: skip
    if done.rowcount != 1:
        raise PresentmentUsed(presentment_id=of_order.presentment_id)


def lines_kept(of_order: OrderBasket) -> list[dict[str, Any]]:
    """The lines as they are kept, each with its share of promo code and points."""
    shares = zip(of_order.basket.lines, of_order.promo_shares, of_order.points_shares, strict=True)
    return [
        {
            "article": line.article, "name": line.name, "measure": line.measure.value, "quantity": line.quantity,
            "price": int(line.price), "discount": int(line.discount), "promo": promo, "points": points,
        }
        for line, promo, points in shares
    ]  # fmt: skip


async def lock_basket(session: Session, order_id: str) -> OrderBasket:
    """The order's basket, locked. Raises: BasketMissing. Locks: the basket."""
    found = await baskets_of(session, [order_id], "FOR NO KEY UPDATE")
    if order_id not in found:
        raise BasketMissing(order_id=order_id)
    return found[order_id]


async def baskets_of(session: Session, order_ids: Sequence[str], lock: str = "") -> Mapping[str, OrderBasket]:
    """The baskets of those orders that have one, by order."""
    rows = await session.execute(
        text(f"SELECT * FROM order_baskets WHERE order_id = ANY(CAST(:ids AS text[])) ORDER BY order_id {lock}"),  # noqa: S608  # our own words
        {"ids": list(order_ids)},
    )
    return {row.order_id: _basket(row) for row in rows}


async def end_tenders(
    session: Session, order_ids: Sequence[str], to: TendersStatus, *, now: datetime
) -> Mapping[str, OrderBasket]:
    """End what orders had reserved. Gives those that ended now: a repeat ends nothing. Locks: the baskets."""
    if not order_ids:
        return {}
    rows = await session.execute(
        text("""WITH locked AS (
                    SELECT order_id FROM order_baskets
                     WHERE order_id = ANY(CAST(:ids AS text[])) AND status = 'reserved'
                     ORDER BY order_id FOR NO KEY UPDATE)
                UPDATE order_baskets AS b SET status = :to, ended_at = :now
                  FROM locked AS l WHERE b.order_id = l.order_id RETURNING b.*"""),
        {"ids": list(order_ids), "to": to.value, "now": now},
    )
    return {row.order_id: _basket(row) for row in rows}


async def take_offer(session: Session, of_order: OrderBasket, attempt_id: str, rail: str, offer: Kopecks) -> None:
    """Let the rail take its offer off a locked order; the order and its new attempt ask for the rest."""
    await session.execute(
        text("""WITH taken AS (
                    UPDATE order_baskets SET offer_kopecks = :offer, offer_rail = :rail, amount_kopecks = :amount
                     WHERE order_id = :id RETURNING order_id, amount_kopecks
                ), asked AS (
                    UPDATE attempts AS a SET amount_kopecks = t.amount_kopecks FROM taken AS t WHERE a.id = :attempt
                )
                UPDATE orders AS o SET amount_kopecks = t.amount_kopecks FROM taken AS t WHERE o.id = t.order_id"""),
        {
            "id": of_order.order_id, "attempt": attempt_id, "rail": rail, "offer": int(offer),
            "amount": int(of_order.before_offer - offer),
        },
    )  # fmt: skip


async def add_order_offers(session: Session, offers: Sequence[OrderOffer]) -> None:
    """Keep what each rail takes off an order."""
    if offers:
        await session.execute(
            text("""INSERT INTO order_offers (order_id, rail, discount_kopecks, note)
                    SELECT * FROM unnest(CAST(:orders AS text[]), CAST(:rails AS text[]), CAST(:discounts AS bigint[]),
                                         CAST(:notes AS text[]))"""),
            {
                "orders": [each.order_id for each in offers], "rails": [each.rail for each in offers],
                "discounts": [int(each.discount) for each in offers], "notes": [each.note for each in offers],
            },
        )  # fmt: skip


async def offers_of(session: Session, order_ids: Sequence[str]) -> list[OrderOffer]:
    """What rails take off the orders, in no order: ``offers.listed`` gives one."""
    rows = await session.execute(
        text("SELECT * FROM order_offers WHERE order_id = ANY(CAST(:ids AS text[]))"),
        {"ids": list(order_ids)},
    )
    return [OrderOffer(row.order_id, row.rail, Kopecks(row.discount_kopecks), row.note) for row in rows]


async def expired_orders(session: Session, *, now: datetime, after: str, limit: int) -> list[str]:
    """Orders whose time to be paid is over and that nothing tries to have paid any more, from the one ``after`` on."""
    rows = await session.execute(
        text("""SELECT b.order_id FROM order_baskets AS b
                 WHERE b.status = 'reserved' AND b.expires_at <= :now
                   AND NOT EXISTS (SELECT FROM attempts AS a WHERE a.order_id = b.order_id
                                      AND a.status IN ('requested', 'waiting', 'unknown'))
                   AND (:after = '' OR (b.expires_at, b.order_id) > (
                           SELECT l.expires_at, l.order_id FROM order_baskets AS l WHERE l.order_id = :after))
                 ORDER BY b.expires_at, b.order_id LIMIT :limit"""),
        {"now": now, "after": after, "limit": limit},
    )
    return [row.order_id for row in rows]


def _basket(row: Row[Any]) -> OrderBasket:
    return OrderBasket(
        order_id=row.order_id,
        basket=Basket(lines_of(row.lines)),
        promo=Kopecks(row.promo_kopecks),
        promo_shares=tuple(line["promo"] for line in row.lines),
        points=row.points,
        points_value=Kopecks(row.points_kopecks),
        points_shares=tuple(line["points"] for line in row.lines),
        offer=Kopecks(row.offer_kopecks),
        amount=Kopecks(row.amount_kopecks),
        loyalty_card_id=row.loyalty_card_id,
        presentment_id=row.presentment_id,
        redemption_id=row.redemption_id,
        offer_rail=row.offer_rail,
        refunded=Kopecks(row.refund_kopecks),
        points_back=row.points_back,
        status=TendersStatus(row.status),
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def lines_of(kept: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    """The lines of a basket as they were sold, of what ``lines_kept`` keeps."""
    return tuple(
        Line(
            line["article"], line["name"], Measure(line["measure"]), line["quantity"], Kopecks(line["price"]),
            Kopecks(line["discount"]),
        )
        for line in kept
    )  # fmt: skip
