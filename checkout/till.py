"""What happens at the till: orders are placed, tried, paid, canceled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from checkout import offers, repository, rollout, shift_operations, tenders
from checkout.attempts import ALLOWED, LIVE, Attempt, AttemptStatus, OfOrder
from checkout.attempts import advance as advance_attempt
from checkout.basket_rows import OrderBasket, OrderOffer
from checkout.errors import AttemptLive, OrderNotOpen
from checkout.orders import Order, OrderRequest, OrderStatus, check_request
from checkout.orders import advance as advance_order
from checkout.rail import Offer, Rail, Start, StartStatus
from checkout.tenders import TendersWish
from ledger.database import Session


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order just placed with its basket, and what rails take off."""

    order: Order
    basket: OrderBasket
    offers: Sequence[OrderOffer]


async def place_order(
    session: Session, order_id: str, request: OrderRequest, *, merchant_id: str | None, now: datetime,
    wish: TendersWish | None = None,
) -> Order:  # fmt: skip
    """Write down an order for a terminal, of ``merchant_id`` when the caller speaks for one.

    Raises: what ``check_request`` refuses; TerminalNotFound; OrderNumberTaken; with a basket as ``place_basket``.
    """
    if wish is not None:
        return (await place_basket(session, order_id, request, wish, merchant_id=merchant_id, now=now)).order
    check_request(request)
    return await repository.add_order(session, order_id, request, merchant_id=merchant_id, now=now)


async def place_basket(
    session: Session, order_id: str, request: OrderRequest, wish: TendersWish, *, merchant_id: str | None, now: datetime
) -> PlacedOrder:
    """Write down an order with its basket: promo code and points are set aside, and the rail is asked for the rest.

    Raises: what ``check_request`` and ``tenders.reserve`` refuse; TerminalNotFound; OrderNumberTaken.
    Locks: as ``tenders.reserve``.
    """
    check_request(request)
    order = await repository.add_order(session, order_id, request, merchant_id=merchant_id, now=now)
    of_order, made = await tenders.reserve(session, order, wish, now=now)
    return PlacedOrder(replace(order, amount=of_order.amount), of_order, made)


async def cancel_order(session: Session, order_id: str, *, merchant_id: str | None, now: datetime) -> Order:
    """Close an order that nothing is trying to have paid; ``withdraw_attempts`` ends what is. Its tenders are let go.

    Raises: OrderNotFound, OrderNotOpen, AttemptLive. Locks: the order, then as ``tenders.release``.
    """
    order = await repository.lock_order(session, order_id, merchant_id=merchant_id)
    canceled = advance_order(order, OrderStatus.CANCELED, now=now)
    if await repository.has_live_attempt(session, order_id):
        raise AttemptLive(order_id=order_id)
    if await repository.save_orders(session, [canceled]):
        await tenders.release(session, [canceled], now=now)
    return canceled


async def close_unpaid(session: Session, order_id: str, *, now: datetime) -> bool:
    """Close an order whose time to be paid is over, and let its tenders go; not while money may still come.

    Locks: as ``cancel_order``.
    """
    order = await repository.lock_order(session, order_id)
    if order.status is not OrderStatus.OPEN or await repository.has_live_attempt(session, order_id):
        return False
    await cancel_order(session, order_id, merchant_id=None, now=now)
    return True


async def withdraw_attempts(session: Session, order: Order) -> list[Attempt]:
    """End the live attempts of a locked order: the till no longer waits for their money.

    What the buyer was shown may be paid all the same; that money comes late and goes back. DECISIONS.md, 2.
    Locks: the attempts.
    """
    found = await repository.attempts_of_orders(session, [order.id])
    return await close_attempts(
        session, [attempt.id for attempt in found if attempt.status in LIVE], AttemptStatus.EXPIRED
    )


async def begin_attempt(
    session: Session, rail: Rail, attempt_id: str, *, order_id: str, merchant_id: str | None, now: datetime
) -> tuple[Attempt, Offer]:
    """Write down an attempt and what will be asked of the rail. The call itself comes after the commit.

    Raises: OrderNotFound, OrderNotOpen, AttemptLive, RailNotRolledOut, or the rail's refusal. Locks: the order.
    """
    order, is_added, has_offers = await repository.begin_attempt(
        session, attempt_id, rail.name, order_id=order_id, merchant_id=merchant_id, now=now
    )
    if order.status is not OrderStatus.OPEN:
        raise OrderNotOpen(order_id=order.id, status=order.status.value)
    if not is_added:
        raise AttemptLive(order_id=order.id)
    await rollout.check_rail(session, order.terminal_id, rail.name, now=now)
    if has_offers:
        order = replace(order, amount=await offers.choose(session, order.id, attempt_id, rail.name))
    attempt = Attempt(attempt_id, order.id, rail.name, order.amount, AttemptStatus.REQUESTED, None, now, version=1)
    purpose = order.description or f"Order {order.number}"
    offer = Offer(attempt.id, order.merchant_id, order.amount, purpose, terminal_id=order.terminal_id)
    return attempt, await rail.offer(session, offer, now=now)


async def record_start(session: Session, rail: Rail, offer: Offer, start: Start, *, now: datetime) -> Attempt:
    """Write down how the call to the rail went. An answer to an offer given up meanwhile counts for nothing.

    Locks: what the rail keeps of the offer, then the attempt.
    """
    to = STATUS_AFTER[start.status]
    if await rail.record_start(session, offer, start, now=now):
        come_from = [status for status in AttemptStatus if to in ALLOWED[status]]
        moved = await repository.move_attempt(session, offer.attempt_id, to, come_from)
        if moved is not None:
            return moved
    attempt = await repository.load_attempt(session, offer.attempt_id)
    assert attempt is not None
    return attempt


STATUS_AFTER = {
    StartStatus.STARTED: AttemptStatus.WAITING,
    StartStatus.REFUSED: AttemptStatus.REJECTED,
    StartStatus.UNKNOWN: AttemptStatus.UNKNOWN,
}


async def pay_orders(
    session: Session, paid: Sequence[tuple[OfOrder, str]], *, now: datetime
) -> list[tuple[Attempt, Order]]:
    """Mark attempts and their orders paid by the payments named. All of them are payable and locked.

    Their promo codes and points are taken, and they go into the shifts of their tills, in the same transaction.
    Locks: as ``tenders.confirm``, then the shifts.
    """
    assert all(found.is_payable for found, _ in paid)
    done = [
        (
            advance_attempt(found.attempt, AttemptStatus.PAID, payment_id=payment_id),
            advance_order(found.order, OrderStatus.PAID, now=now),
        )
        for found, payment_id in paid
    ]
    await repository.save_attempts(session, [attempt for attempt, _ in done])
    with_basket = await repository.save_orders(session, [order for _, order in done])
    await tenders.confirm(session, [order for _, order in done if order.id in with_basket], now=now)
    await shift_operations.note_sales(session, done, now=now)
    return done


async def close_attempts(session: Session, attempt_ids: Sequence[str], to: AttemptStatus) -> list[Attempt]:
    """Bring attempts to ``to`` where the table of statuses allows it; the others stay as they are.

    Gives the attempts that moved. Locks: the attempts, in the order of their ids.
    """
    found = await repository.lock_attempts(session, attempt_ids)
    moved = [advance_attempt(attempt, to) for attempt in found if to in ALLOWED[attempt.status]]
    await repository.save_attempts(session, moved)
    return moved
