"""Offers of rails (предложения по способам оплаты): "by SBP 2 % cheaper", as dated rules of a merchant.

What a rail takes off is fixed when the order is placed and taken when the buyer chooses the rail. A plan never costs
more than the cheapest of the other ways: the law wants the same price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Row

from checkout import basket_rows
from checkout.basket_errors import RailOfferInvalid, RailOfferNotFound, RailOfferTaken
from checkout.basket_rows import OrderBasket, OrderOffer
from checkout.baskets import NOTHING
from checkout.orders import Order
from checkout.telling import Fact, TillActor, tell
from ledger.database import Session, text
from ledger.money import Kopecks, share_of

BASIS_POINTS_MAX = 5_000
NOTE_CHARACTERS_MAX = 140
PAGE_MAX = 200
MOMENT = timedelta(microseconds=1)
"""An offer that is ended before it began never counts."""
RAILS = ("sbp", "card", "koshelek_pay", "dolyame")
"""In the order in which a till lists them."""
NEVER_DEARER = frozenset({"dolyame"})
"""Rails that cost no more than any other. Source: 284-FZ and the law on consumer rights (installments/law.yaml,
``is_price_same``): goods in installments cost what they cost otherwise."""


@dataclass(frozen=True, slots=True)
class RailOffer:
    """What a merchant takes off when the buyer pays by one rail, from an instant on."""

    id: str
    merchant_id: str
    rail: str
    basis_points: int
    """Of what the rail would bring; 0 ends an earlier offer."""
    note: str
    """What the buyer reads."""
    valid_from: datetime
    valid_until: datetime | None
    created_at: datetime


def check_offer(offer: RailOffer) -> None:
    """Refuse an offer that breaks a rule of form. Raises: RailOfferInvalid."""
    faults = {
        "rail": offer.rail not in RAILS,
        "basis_points": not 0 <= offer.basis_points <= BASIS_POINTS_MAX,
        "note": not 1 <= len(offer.note) <= NOTE_CHARACTERS_MAX,
        "valid_until": offer.valid_until is not None and offer.valid_until <= offer.valid_from,
    }
    for field, is_wrong in faults.items():
        if is_wrong:
            raise RailOfferInvalid(field=field)


def offers_for(order_id: str, amount: Kopecks, rules: Sequence[RailOffer]) -> list[OrderOffer]:
    """What each rail takes off an order that asks ``amount`` of it. One kopeck is always left to pay.

    Amounts: parts of a kopeck stay with the merchant.
    """
    most = Kopecks(amount - 1)
    made = [
        OrderOffer(order_id, rail, min(share_of(amount, rule.basis_points), most), rule.note)
        for rail, rule in by_rail(rules).items()
    ]
    return listed([offer for offer in made if offer.discount > 0])


def by_rail(rules: Sequence[RailOffer]) -> dict[str, RailOffer]:
    """What counts for each rail of the merchant's offers: its own, and for a plan the best of all."""
    counts = {rule.rail: rule for rule in rules if rule.basis_points > 0}
    best = max(counts.values(), key=lambda rule: rule.basis_points, default=None)
    return counts if best is None else counts | {rail: replace(best, rail=rail) for rail in NEVER_DEARER}


def listed(made: Iterable[OrderOffer]) -> list[OrderOffer]:
    """Offers of an order as a till lists them, before the payment and after it."""
    return sorted(made, key=lambda offer: RAILS.index(offer.rail))


async def make(session: Session, order: Order, of_order: OrderBasket, *, now: datetime) -> list[OrderOffer]:
    """Keep what each rail takes off a new order by the merchant's offers of now. Gives them."""
    made = offers_for(order.id, of_order.amount, await rules_on(session, order.merchant_id, now=now))
    await basket_rows.add_order_offers(session, made)
    return made


async def prices_by(session: Session, order: Order, rail: str) -> tuple[Kopecks, ...]:
    """What a locked order may have been paid with by this rail: less the rail's offer, or all of it. Locks: the basket.

    Money that came beside an attempt was not asked for by us: who was told the whole price paid the whole price.
    """
    of_order = (await basket_rows.baskets_of(session, [order.id], "FOR NO KEY UPDATE")).get(order.id)
    if of_order is None:
        return (order.amount,)
    made = {offer.rail: offer.discount for offer in await basket_rows.offers_of(session, [order.id])}
    return Kopecks(of_order.before_offer - made.get(rail, NOTHING)), of_order.before_offer


async def take_paid(session: Session, order_id: str, attempt_id: str, rail: str, paid: Kopecks) -> None:
    """Let an order with a basket cost what was paid by this rail, one of ``prices_by``. Locks: the basket."""
    of_order = await basket_rows.lock_basket(session, order_id)
    await basket_rows.take_offer(session, of_order, attempt_id, rail, Kopecks(of_order.before_offer - paid))


async def choose(session: Session, order_id: str, attempt_id: str, rail: str) -> Kopecks:
    """The buyer pays by this rail: the order and its new attempt ask for what the rail's offer leaves. Gives that.

    The order is locked and open, and nothing but this attempt tries to have it paid. Locks: the basket.
    """
    made = {offer.rail: offer.discount for offer in await basket_rows.offers_of(session, [order_id])}
    of_order = await basket_rows.lock_basket(session, order_id)
    wanted = made.get(rail, NOTHING)
    if of_order.offer != wanted or of_order.offer_rail != rail:
        await basket_rows.take_offer(session, of_order, attempt_id, rail, wanted)
    return Kopecks(of_order.before_offer - wanted)


async def add_rule(session: Session, offer: RailOffer, *, by: TillActor, now: datetime) -> None:
    """Keep a new offer of a merchant. Raises: RailOfferInvalid, RailOfferTaken."""
    check_offer(offer)
    done = await session.execute(
        text("""INSERT INTO rail_offers (id, merchant_id, rail, basis_points, note, valid_from, valid_until, created_at)
                VALUES (:id, :merchant_id, :rail, :basis_points, :note, :valid_from, :valid_until, :created_at)
                ON CONFLICT ON CONSTRAINT rail_offers_from_key DO NOTHING"""),
        {
            "id": offer.id, "merchant_id": offer.merchant_id, "rail": offer.rail, "basis_points": offer.basis_points,
            "note": offer.note, "valid_from": offer.valid_from, "valid_until": offer.valid_until,
            "created_at": offer.created_at,
        },
    )  # fmt: skip
    if done.rowcount != 1:
        raise RailOfferTaken(rail=offer.rail, valid_from=offer.valid_from)
    facts: dict[str, Fact] = {"rail": offer.rail, "basis_points": offer.basis_points}
    await tell(session, "rail_offer.made", offer.id, offer.merchant_id, by, facts, now=now)


async def end_rule(
    session: Session, offer_id: str, *, merchant_id: str | None, by: TillActor, now: datetime
) -> RailOffer:
    """Let an offer count no more from now on. Ending it again changes nothing.

    Raises: RailOfferNotFound. Locks: the offer.
    """
    row = (
        await session.execute(
            text("SELECT * FROM rail_offers WHERE id = :id FOR NO KEY UPDATE"), {"id": offer_id}
        )
    ).first()  # fmt: skip
    if row is None or merchant_id not in (None, row.merchant_id):
        raise RailOfferNotFound(rail_offer_id=offer_id)
    offer = _rule(row)
    ends_at = max(now, offer.valid_from + MOMENT)
    if offer.valid_until is not None and offer.valid_until <= ends_at:
        return offer
    await session.execute(
        text("UPDATE rail_offers SET valid_until = :ends_at WHERE id = :id"), {"id": offer_id, "ends_at": ends_at}
    )
    await tell(session, "rail_offer.ended", offer.id, offer.merchant_id, by, {"rail": offer.rail}, now=now)
    return replace(offer, valid_until=ends_at)


async def rules_on(session: Session, merchant_id: str, *, now: datetime) -> list[RailOffer]:
    """The merchant's offers of now: of each rail the one that began last."""
    rows = await session.execute(
        text("""SELECT DISTINCT ON (rail) * FROM rail_offers
                 WHERE merchant_id = :merchant_id AND valid_from <= :now
                   AND (valid_until IS NULL OR valid_until > :now)
                 ORDER BY rail, valid_from DESC"""),
        {"merchant_id": merchant_id, "now": now},
    )
    return [_rule(row) for row in rows]


async def list_rules(
    session: Session, *, merchant_id: str | None, after: str = "", limit: int = PAGE_MAX
) -> tuple[list[RailOffer], bool]:
    """Offers by id, and whether there are more."""
    rows = await session.execute(
        text("""SELECT * FROM rail_offers
                 WHERE id > :after AND (CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)
                 ORDER BY id LIMIT :limit"""),
        {"after": after, "merchant_id": merchant_id, "limit": limit + 1},
    )
    found = [_rule(row) for row in rows]
    return found[:limit], len(found) > limit


def totals(of_order: OrderBasket, offers: Sequence[OrderOffer]) -> Mapping[str, Kopecks]:
    """What the order costs by each rail."""
    made = {offer.rail: offer.discount for offer in offers}
    return {rail: Kopecks(of_order.before_offer - made.get(rail, NOTHING)) for rail in RAILS}


def _rule(row: Row[tuple[object, ...]]) -> RailOffer:
    return RailOffer(**row._mapping)
