"""Money that no order knows: kept with its entry and event, and given to an order or back when a person says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog

from api.paying import RAIL, bank_tariff_of, is_open, pay, payment_of
from checkout import offers
from checkout import repository as till_rows
from checkout.attempts import Attempt, AttemptStatus
from checkout.errors import AttemptLive, OrderNotOpen
from checkout.orders import OrderStatus
from ledger import outbox
from ledger.database import Session
from ledger.ids import new_id, new_uuid
from ledger.money import Kopecks
from ledger.outbox import Event
from reconciliation import repository as finance
from sbp_gateway import bookkeeping
from sbp_gateway import repository as sbp
from sbp_gateway import unmatched_repository as rows
from sbp_gateway.cash_links import SaleState
from sbp_gateway.merchants import SbpMerchant
from sbp_gateway.payments import NO_FEE, AcceptedOperation, Payment
from sbp_gateway.stickers import Sticker
from sbp_gateway.unmatched_payments import UnmatchedPayment, UnmatchedReason, UnmatchedStatus, check_match, check_open

log = structlog.get_logger("unmatched_money")


async def keep_sale(
    session: Session,
    merchant_id: str,
    cash_link_id: str,
    sale: SaleState,
    reason: UnmatchedReason,
    *,
    now: datetime,
) -> None:
    """Keep the money of a sale by a cash link. Once, however often it is told. Locks: the accounts."""
    assert sale.trx_id is not None
    await _keep(
        session, merchant_id, None, cash_link_id, reason, sale.trx_id, sale.kzo, sale.amount, sale.said_at, now=now
    )


async def keep_by_sticker(
    session: Session,
    sticker: Sticker,
    trx_id: str,
    kzo: str | None,
    amount: Kopecks,
    said_at: datetime | None,
    *,
    now: datetime,
) -> None:
    """Keep money that came by a sticker. Once, however often it is told. Locks: the accounts."""
    reason = UnmatchedReason.STICKER
    await _keep(session, sticker.merchant_id, sticker.id, None, reason, trx_id, kzo, amount, said_at, now=now)


async def keep_second(session: Session, operation: AcceptedOperation, *, now: datetime) -> None:
    """Keep the money of a dynamic code that had been paid already. Once, however often it is told.

    It came by the registration that the code was asked for by. Locks: the accounts.
    """
    assert operation.qr_id is not None
    (member,) = await sbp.merchants_of_operations(session, [operation])
    reason = UnmatchedReason.PAID_ALREADY
    await _keep(
        session, operation.merchant_id, None, None, reason, operation.trx_id, operation.kzo, operation.amount,
        operation.said_at, now=now, qr_id=operation.qr_id, member=member,
    )  # fmt: skip


async def _keep(
    session: Session,
    merchant_id: str,
    sticker_id: str | None,
    cash_link_id: str | None,
    reason: UnmatchedReason,
    trx_id: str,
    kzo: str | None,
    amount: Kopecks,
    said_at: datetime | None,
    *,
    now: datetime,
    qr_id: str | None = None,
    member: SbpMerchant | None = None,
) -> None:
    if member is None:
        member = await sbp.merchant_of_link(session, merchant_id, sticker_id=sticker_id, cash_link_id=cash_link_id)
    paid_at = said_at if said_at is not None and said_at <= now and await is_open(session, said_at, now) else now
    payment = UnmatchedPayment(
        id=new_id("ump", now),
        merchant_id=merchant_id,
        sticker_id=sticker_id,
        cash_link_id=cash_link_id,
        qr_id=qr_id,
        reason=reason,
        trx_id=trx_id,
        kzo=kzo,
        amount=amount,
        settlement_mode=member.settlement_mode,
        entry_id=new_uuid(now),
        paid_at=paid_at,
        recorded_at=now,
        registration_id=member.registration_id,
    )
    if await rows.add_unmatched(session, payment):
        if reason is UnmatchedReason.PAID_ALREADY:  # NSPK promises that it cannot be
            log.error("sbp_link_paid_twice", unmatched_payment_id=payment.id, trx_id=trx_id, qr_id=qr_id)
        await bookkeeping.open_accounts(session, member, now=now)
        await outbox.publish_all(session, [event_of(payment)], now=now)
        await bookkeeping.book_unmatched(session, payment, member.member_id, now=now)


def event_of(payment: UnmatchedPayment) -> Event:
    """What the world is told: somebody must look."""
    data = {
        "unmatched_payment_id": payment.id,
        "merchant_id": payment.merchant_id,
        "reason": payment.reason.value,
        "trx_id": payment.trx_id,
        "amount_kopecks": int(payment.amount),
        "paid_at": payment.paid_at.isoformat(),
    }
    return Event("payment.unmatched", payment.id, payment.merchant_id, data)


async def match(
    session: Session, unmatched_id: str, order_id: str, *, merchant_id: str | None, now: datetime
) -> UnmatchedPayment:
    """Give unmatched money to the order that a person names; the order is paid by it, once.

    An order with a basket costs less by the offer of the rail, as in an attempt of ours, or the whole when all of it
    was paid.

    Raises: UnmatchedPaymentNotFound, UnmatchedPaymentMatched, UnmatchedPaymentReturned, OrderNotFound,
        UnmatchedAmountDiffers, OrderNotOpen, AttemptLive if the buyer may still pay the order otherwise.
    Locks: the payment, the order, then as whoever pays it.
    """
    payment = await rows.lock_unmatched(session, unmatched_id, merchant_id=merchant_id)
    order = await till_rows.lock_order(session, order_id, merchant_id=payment.merchant_id)
    prices = await offers.prices_by(session, order, RAIL)
    check_match(payment, prices)
    if order.status is not OrderStatus.OPEN:
        raise OrderNotOpen(order_id=order.id, status=order.status.value)
    attempt = Attempt(new_id("att", now), order.id, RAIL, payment.amount, AttemptStatus.WAITING, None, now, version=1)
    if not await till_rows.add_attempt(session, attempt):
        raise AttemptLive(order_id=order.id)

    if len(prices) > 1:
        await offers.take_paid(session, order.id, attempt.id, RAIL, payment.amount)
    matched = replace(payment, status=UnmatchedStatus.MATCHED, order_id=order.id, matched_at=now)
    await rows.end(session, matched)
    await pay(session, [_operation(payment, attempt.id)], now=now)
    return await rows.load_unmatched(session, matched.id, merchant_id=None)


def _operation(payment: UnmatchedPayment, attempt_id: str | None) -> AcceptedOperation:
    return AcceptedOperation(
        attempt_id, payment.merchant_id, payment.amount, payment.trx_id, payment.kzo, payment.paid_at,
        payment.paid_at, unmatched_payment_id=payment.id,
    )  # fmt: skip


async def give_back(session: Session, unmatched_id: str, *, merchant_id: str | None, now: datetime) -> UnmatchedPayment:
    """Turn unmatched money into late money of no order, which the worker refunds by the rules of all late money.

    Raises: UnmatchedPaymentNotFound, UnmatchedPaymentMatched, UnmatchedPaymentReturned.
    Locks: the payment, the accounts.
    """
    payment = await rows.lock_unmatched(session, unmatched_id, merchant_id=merchant_id)
    check_open(payment)
    late = await _late_payment(session, payment, now)

    await rows.end(session, replace(payment, status=UnmatchedStatus.RETURNED, returned_at=now))
    await sbp.add_payments(session, [late])
    await outbox.publish_all(session, [returned_event_of(late)], now=now)
    await bookkeeping.book_payments(session, [late], now=now)
    return await rows.load_unmatched(session, payment.id, merchant_id=None)


async def _late_payment(session: Session, payment: UnmatchedPayment, now: datetime) -> Payment:
    """The late payment that unmatched money becomes: no fee of ours; the bank took its own when the buyer paid."""
    operation = _operation(payment, None)
    (member,) = await sbp.merchants_of_operations(session, [operation])
    tariffs = await finance.load_bank_tariffs(session, RAIL, {member.member_id})
    merchant = await till_rows.load_merchant(session, payment.merchant_id)
    paid_at = payment.paid_at if await is_open(session, payment.paid_at, now) else now
    charged = bank_tariff_of(member, tariffs, merchant.tariff_group, paid_at)
    return payment_of(operation, member, NO_FEE, charged, paid_at, is_late=True, now=now)


def returned_event_of(payment: Payment) -> Event:
    """What the world is told: the money goes back, and a refund of this payment will say how it ended."""
    data = {
        "unmatched_payment_id": payment.unmatched_payment_id,
        "payment_id": payment.id,
        "merchant_id": payment.merchant_id,
        "trx_id": payment.trx_id,
        "amount_kopecks": int(payment.amount),
    }
    return Event("payment.returned", payment.id, payment.merchant_id, data)
