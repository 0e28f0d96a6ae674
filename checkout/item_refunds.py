"""Refunds by items (возврат товаров): what goes back by the rail, in points and of the promo code.

Each line keeps who paid for it, so that its pieces give back exactly that, however they come: after the last piece
everything has gone back and not a kopeck more. What was weighed goes back whole. Money goes by the rail's own refund;
points and code follow in the transaction that books it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from checkout import basket_rows, item_refund_rows, points, points_rows, promo_codes, repository, shift_operations
from checkout.basket_errors import ItemsMalformed, ItemsNotLeft, ItemsUnknown, MeasureOnlyWhole, RefundByItems
from checkout.basket_rows import OrderBasket
from checkout.baskets import Measure, part_up_to
from checkout.errors import OrderNotPaid
from checkout.item_refund_rows import ItemRefund, ItemRefundStatus, Returned, quantities
from checkout.orders import OrderStatus
from checkout.points_rules import earned_back
from checkout.telling import Fact, TillActor, tell
from ledger.database import Session
from ledger.ids import new_id
from ledger.money import Kopecks

BY_RAIL = TillActor("system:till", "refund")
"""What follows from a rail's word on a refund."""


async def request(
    session: Session, item_refund_id: str, order_id: str, wanted: Sequence[Returned], *, reason: str | None,
    merchant_id: str | None, now: datetime,
) -> ItemRefund:  # fmt: skip
    """Set goods of a paid order aside to be given back; all that is left when no line is named.

    Where no money goes back, all is done at once. Otherwise the caller asks the rail for ``refund_id``.
    Raises: OrderNotFound, OrderNotPaid, BasketMissing, ItemsUnknown, ItemsMalformed, ItemsNotLeft, MeasureOnlyWhole.
    Locks: the basket.
    """
    order = await repository.load_order(session, order_id, merchant_id=merchant_id)
    if order.status is not OrderStatus.PAID:
        raise OrderNotPaid(order_id=order_id, status=order.status.value)
    of_order = await basket_rows.lock_basket(session, order_id)
    live = [
        each
        for each in await item_refund_rows.of_order(session, order_id)
        if each.status is not ItemRefundStatus.REFUSED
    ]
    before = quantities(live)
    lines = what_goes_back(of_order, items_back(of_order, wanted, before), live)
    amount, points_back = Kopecks(sum(each.amount for each in lines)), sum(each.points for each in lines)
    refund = ItemRefund(
        id=item_refund_id, order_id=order_id, merchant_id=order.merchant_id,
        refund_id=new_id("ref", now) if amount > 0 else None, lines=lines, amount=amount, points_back=points_back,
        reason=reason, status=ItemRefundStatus.REQUESTED, created_at=now, ended_at=None,
    )  # fmt: skip
    await item_refund_rows.add_item_refund(session, refund)
    return refund if amount > 0 else await _give_back(session, of_order, refund, now=now)


def items_back(of_order: OrderBasket, wanted: Sequence[Returned], before: dict[int, int]) -> tuple[Returned, ...]:
    """The goods that go back, checked against what is left of each line.

    Raises: ItemsMalformed, ItemsUnknown, ItemsNotLeft, MeasureOnlyWhole.
    """
    sold = dict(enumerate(of_order.basket.lines, 1))
    if not wanted:
        wanted = [
            Returned(number, line.quantity - before.get(number, 0))
            for number, line in sold.items()
            if line.quantity > before.get(number, 0)
        ]
        if not wanted:
            raise ItemsNotLeft(order_id=of_order.order_id)
    if len({each.line for each in wanted}) < len(wanted) or any(each.quantity < 1 for each in wanted):
        raise ItemsMalformed()
    for each in wanted:
        if each.line not in sold:
            raise ItemsUnknown(line=each.line, lines=len(sold))
        line, gone = sold[each.line], before.get(each.line, 0)
        if each.quantity > line.quantity - gone:
            raise ItemsNotLeft(line=each.line, quantity_left=line.quantity - gone)
        if line.measure is not Measure.PIECE and each.quantity != line.quantity:
            raise MeasureOnlyWhole(line=each.line, measure=line.measure.value, quantity=line.quantity)
    return tuple(sorted(wanted, key=lambda each: each.line))


def what_goes_back(
    of_order: OrderBasket, goods: Sequence[Returned], live: Sequence[ItemRefund]
) -> tuple[Returned, ...]:
    """The goods with what the rail and points give back for each, after ``live`` refunds that did not come to nothing.

    What a line has given back is looked up and not computed anew: a refund before it may have been refused since, and
    of uneven pieces another one would have taken its kopeck.
    """
    rail, points = of_order.rail_shares, of_order.points_shares
    done = [each for refund in live for each in refund.lines]

    def back(each: Returned) -> Returned:
        of_line = [one for one in done if one.line == each.line]
        quantity = of_order.basket.lines[each.line - 1].quantity
        gone = sum(one.quantity for one in of_line) + each.quantity
        amount = part_up_to(rail[each.line - 1], quantity, gone) - sum(one.amount for one in of_line)
        counted = part_up_to(points[each.line - 1], quantity, gone) - sum(one.points for one in of_line)
        return replace(each, amount=Kopecks(max(amount, 0)), points=max(counted, 0))

    return tuple(back(each) for each in goods)


async def hold(session: Session, refund_id: str) -> bool:
    """Whether a refund of money is of goods; then their basket is locked before the refund. Locks: the basket."""
    found = await item_refund_rows.of_money(session, refund_id)
    if found is not None:
        await basket_rows.lock_basket(session, found.order_id)
    return found is not None


async def settle(session: Session, refund_id: str, *, is_given: bool, now: datetime) -> None:
    """The rail's refund has ended: points and code follow the money, or the goods are the buyer's as before.

    A refund that is of no items, or was settled before, changes nothing. The money is booked after it: whoever pays an
    order locks in the same order. Locks: the basket, the code, points, then the shift.
    """
    found = await item_refund_rows.of_money(session, refund_id)
    if found is None:
        return
    of_order = await basket_rows.lock_basket(session, found.order_id)
    refund = await item_refund_rows.load_item_refund(session, found.id)
    if refund.status is not ItemRefundStatus.REQUESTED:
        return
    if is_given:
        await _give_back(session, of_order, refund, now=now)
        return
    await item_refund_rows.end_item_refund(session, refund, ItemRefundStatus.REFUSED, now=now)
    facts: dict[str, Fact] = {
        "order_id": refund.order_id, "refund_id": refund_id, "amount_kopecks": int(refund.amount),
    }  # fmt: skip
    await tell(session, "item_refund.refused", refund.id, refund.merchant_id, BY_RAIL, facts, now=now)


async def _give_back(session: Session, of_order: OrderBasket, refund: ItemRefund, *, now: datetime) -> ItemRefund:
    others = [
        each
        for each in await item_refund_rows.of_order(session, refund.order_id)
        if each.status is ItemRefundStatus.SUCCEEDED
    ]
    await item_refund_rows.end_item_refund(session, refund, ItemRefundStatus.SUCCEEDED, now=now)
    earned = (await points_rows.earned_by_orders(session, [refund.order_id])).get(refund.order_id, 0)
    before = Kopecks(sum(each.amount for each in others))
    accrued_back = earned_back(earned, of_order.amount, before, refund.amount)
    is_whole = is_all(of_order, quantities([*others, refund]))
    if is_whole and of_order.redemption_id is not None:
        await promo_codes.give_back_redemption(session, refund.order_id, now=now)
    if refund.points_back or accrued_back:
        await points.give_back(session, refund.order_id, refund.id, refund.points_back, accrued_back, now=now)
    if refund.points_back:
        worth = of_order.worth_of(refund.points_back)
        await shift_operations.note_points_back(session, refund.id, refund.order_id, worth, now=now)
    facts: dict[str, Fact] = {
        "order_id": refund.order_id, "refund_id": refund.refund_id or "", "amount_kopecks": int(refund.amount),
        "points_back": refund.points_back, "accrued_back": accrued_back, "is_whole": is_whole,
    }  # fmt: skip
    await tell(session, "item_refund.succeeded", refund.id, refund.merchant_id, BY_RAIL, facts, now=now)
    return await item_refund_rows.load_item_refund(session, refund.id)


def is_all(of_order: OrderBasket, gone: dict[int, int]) -> bool:
    """Whether nothing of the basket is left with the buyer."""
    return all(line.quantity == gone.get(number, 0) for number, line in enumerate(of_order.basket.lines, 1))


async def refuse_other(session: Session, order_ids: Sequence[str]) -> None:
    """Refuse a refund by sum alone of orders with a basket. Raises: RefundByItems."""
    if with_basket := await basket_rows.baskets_of(session, order_ids):
        raise RefundByItems(order_id=next(iter(with_basket)))
