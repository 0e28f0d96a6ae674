"""The moment an order is paid: till, rail, tariff, events and books in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from checkout import repository as till_rows
from checkout import till
from checkout.attempts import AttemptStatus, OfOrder
from ledger import outbox, periods
from ledger.clock import moscow_day
from ledger.database import Session
from ledger.ids import new_id, new_uuid
from ledger.money import Kopecks
from ledger.outbox import Event
from reconciliation import repository as finance
from reconciliation.tariffs import BankTariff, Tariff, bank_tariff_on, fee_for, tariff_on
from sbp_gateway import bookkeeping, late_watches
from sbp_gateway import repository as sbp
from sbp_gateway.merchants import SbpMerchant, SettlementMode
from sbp_gateway.payments import NO_FEE, AcceptedOperation, Payment, paid_at_of
from sbp_gateway.qr_codes import QrCode, QrStatus

RAIL = "sbp"


async def pay(session: Session, accepted: Sequence[AcceptedOperation], *, now: datetime) -> None:
    """Pay the orders whose money NSPK says has moved. Their codes and activations are locked and not paid yet.

    Money for an attempt already over is kept for the buyer and told as ``payment.late``.
    Raises: EntryRejected if the books refuse; NoTariff. Locks: orders, attempts, accounts.
    """
    if not accepted:
        return
    found = await till_rows.lock_with_orders(session, [_attempt_of(operation) for operation in accepted])
    tariffs = await finance.load_tariffs(session, RAIL)
    members = await sbp.merchants_of_operations(session, accepted)
    bank_tariffs = await finance.load_bank_tariffs(session, RAIL, {member.member_id for member in members})
    payments: list[tuple[Payment, OfOrder]] = []
    for operation, member in zip(accepted, members, strict=True):
        paid_at = paid_at_of(operation, now)
        if not await is_open(session, paid_at, now):
            paid_at = now  # its day is closed: the books take it on the day we learnt
        of_order = found[_attempt_of(operation)]
        fee = fee_of(of_order, tariffs, paid_at)
        charged = bank_tariff_of(member, bank_tariffs, of_order.tariff_group, paid_at)
        is_late = not of_order.is_payable
        payments.append((payment_of(operation, member, fee, charged, paid_at, is_late=is_late, now=now), of_order))

    await sbp.add_payments(session, [payment for payment, _ in payments])
    in_time = [(of_order, payment.id) for payment, of_order in payments if not payment.is_late]
    await till.pay_orders(session, in_time, now=now)
    await outbox.publish_all(session, [event_of(payment, of_order) for payment, of_order in payments], now=now)
    await bookkeeping.book_payments(session, [payment for payment, _ in payments], now=now)


def _attempt_of(operation: AcceptedOperation) -> str:
    assert operation.attempt_id is not None, "money that belongs to no order pays none"
    return operation.attempt_id


async def is_open(session: Session, at: datetime, now: datetime) -> bool:
    """Whether the books still take what happened at ``at``. The present day cannot be closed."""
    if moscow_day(at) == moscow_day(now):
        return True
    open_from = await periods.open_from(session)
    return open_from is None or moscow_day(at) >= open_from


def fee_of(of_order: OfOrder, tariffs: Sequence[Tariff], paid_at: datetime) -> Kopecks:
    """Our fee for a payment by the tariff of its day; none for money that came too late."""
    if not of_order.is_payable:
        return Kopecks(0)
    tariff = tariff_on(tariffs, tariff_group=of_order.tariff_group, rail=RAIL, on=moscow_day(paid_at))
    return fee_for(tariff, of_order.attempt.amount)


def bank_tariff_of(
    member: SbpMerchant, tariffs: Sequence[BankTariff], tariff_group: str, paid_at: datetime
) -> BankTariff | None:
    """What the bank charges us for a payment, late or not; nothing when the money is the merchant's own."""
    if member.settlement_mode is SettlementMode.DIRECT:
        return None
    group = member.tariff_group or tariff_group
    return bank_tariff_on(tariffs, member_id=member.member_id, tariff_group=group, on=moscow_day(paid_at))


def payment_of(
    operation: AcceptedOperation, member: SbpMerchant, fee: Kopecks, charged: BankTariff | None, paid_at: datetime, *,
    is_late: bool, now: datetime,
) -> Payment:  # fmt: skip
    """The payment that an operation is, with our fee and the bank's."""
    return Payment(
        id=new_id("pay", now),
        qr_id=operation.qr_id,
        attempt_id=operation.attempt_id,
        merchant_id=operation.merchant_id,
        member_id=member.member_id,
        trx_id=operation.trx_id,
        kzo=operation.kzo,
        amount=operation.amount,
        fee=fee,
        registration_id=member.registration_id,
        bank_fee=NO_FEE if charged is None else fee_for(charged, operation.amount),
        is_bank_fee_withheld=charged is None or charged.is_withheld,
        is_late=is_late,
        entry_id=new_uuid(now),
        paid_at=paid_at,
        recorded_at=now,
        settlement_mode=member.settlement_mode,
        activation_id=operation.activation_id,
        unmatched_payment_id=operation.unmatched_payment_id,
        payer_mask=operation.payer_mask,
    )


def event_of(payment: Payment, of_order: OfOrder) -> Event:
    """What the world is told about a payment."""
    order = of_order.order
    data = {
        "order_id": order.id,
        "order_number": order.number,
        "merchant_id": order.merchant_id,
        "attempt_id": payment.attempt_id,
        "payment_id": payment.id,
        "trx_id": payment.trx_id,
        "amount_kopecks": int(payment.amount),
        "fee_kopecks": int(payment.fee),
        "settlement_mode": payment.settlement_mode.value,
        "paid_at": payment.paid_at.isoformat(),
    }
    name = "payment.late" if payment.is_late else "order.paid"
    return Event(name, payment.id if payment.is_late else order.id, order.merchant_id, data)


async def reject(session: Session, codes: Sequence[QrCode]) -> None:
    """End the attempts whose operation was rejected. Their links may still be paid until they expire: late then."""
    if codes:
        await till.close_attempts(session, [qr.attempt_id for qr in codes], AttemptStatus.REJECTED)


async def close_silent(session: Session, codes: Sequence[QrCode], *, now: datetime) -> None:
    """End codes whose time and grace have passed without a payment, and their attempts."""
    over = [qr for qr in codes if qr.status is QrStatus.REGISTERED and now >= qr.is_over_at]
    if over:
        await sbp.expire_codes(session, [qr.id for qr in over])
        await late_watches.begin(session, qr_ids=[qr.id for qr in over], now=now)
        await till.close_attempts(session, [qr.attempt_id for qr in over], AttemptStatus.EXPIRED)
