"""What a slip says, read from wherever it is kept: the till, the rail that paid, the basket, the refund."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from checkout import basket_rows, card_payment_rows, item_refund_rows, repository
from checkout.attempts import Attempt, AttemptStatus
from checkout.basket_errors import ItemRefundNotFound
from checkout.errors import OrderNotPaid, SlipIssuesSpent
from checkout.item_refund_rows import ItemRefundStatus
from checkout.orders import Order, OrderStatus
from checkout.slips import ISSUES_MAX, Slip, SlipCopy, SlipPayment, SlipPlace, SlipRefund, SlipTenders, slip_of
from installments.movement_rows import load_installments
from ledger.database import Session, text
from ledger.money import Kopecks


async def read_slip(
    session: Session, order_id: str, *, merchant_id: str | None, copy: SlipCopy = SlipCopy.BUYER,
    refund_id: str | None = None,
) -> Slip:  # fmt: skip
    """The slip of a paid order, or of one of its refunds, as often issued as it was.

    Raises: OrderNotFound, OrderNotPaid, ItemRefundNotFound.
    """
    order = await repository.load_order(session, order_id, merchant_id=merchant_id)
    if order.status is not OrderStatus.PAID:
        raise OrderNotPaid(order_id=order.id, status=order.status.value)
    attempts = await repository.attempts_of_orders(session, [order.id])
    paid = next(each for each in attempts if each.status is AttemptStatus.PAID)
    assert paid.payment_id is not None
    refund = None if refund_id is None else await _refund(session, order, paid.payment_id, refund_id)
    return slip_of(
        await _place(session, order), order, await _tenders(session, order), await _payment(session, paid), copy=copy,
        issue=await _issues(session, order.id), refund=refund,
    )  # fmt: skip


async def issue_slip(
    session: Session, order_id: str, *, merchant_id: str | None, issued_by: str, copy: SlipCopy = SlipCopy.BUYER,
    now: datetime,
) -> Slip:  # fmt: skip
    """Write down that a slip was handed out, and give it: the first is the slip, all others are copies.

    Raises: OrderNotFound, OrderNotPaid, SlipIssuesSpent. Locks: the order.
    """
    await repository.lock_order(session, order_id, merchant_id=merchant_id)
    slip = await read_slip(session, order_id, merchant_id=merchant_id, copy=copy)
    if slip.issue >= ISSUES_MAX:
        raise SlipIssuesSpent(order_id=order_id, issues_max=ISSUES_MAX)
    await session.execute(
        text("""INSERT INTO slip_issues (order_id, issue, issued_by, issued_at)
                VALUES (:order_id, :issue, :issued_by, :now)"""),
        {"order_id": order_id, "issue": slip.issue + 1, "issued_by": issued_by, "now": now},
    )
    return await read_slip(session, order_id, merchant_id=merchant_id, copy=copy)


async def _issues(session: Session, order_id: str) -> int:
    issue: int | None = await session.scalar(
        text("SELECT max(issue) FROM slip_issues WHERE order_id = :id"), {"id": order_id}
    )
    return issue or 0


async def _place(session: Session, order: Order) -> SlipPlace:
    merchant = await repository.load_merchant(session, order.merchant_id)
    store = await repository.load_store(session, order.store_id)
    terminal = await repository.load_terminal(session, order.terminal_id)
    return SlipPlace(merchant.name, merchant.legal_name, merchant.inn, store.name, store.address, terminal.name)


async def _tenders(session: Session, order: Order) -> SlipTenders:
    of_order = (await basket_rows.baskets_of(session, [order.id])).get(order.id)
    if of_order is None:
        return SlipTenders()
    return SlipTenders(
        of_order.basket.lines, of_order.basket.discount, of_order.promo, of_order.points, of_order.points_value,
        of_order.offer,
    )  # fmt: skip


async def _payment(session: Session, paid: Attempt) -> SlipPayment:
    assert paid.payment_id is not None
    return await PAYMENTS[paid.rail](session, paid, paid.payment_id)


async def _by_sbp(session: Session, paid: Attempt, payment_id: str) -> SlipPayment:
    row = (
        await session.execute(
            text("""SELECT p.trx_id, p.kzo, coalesce(q.qrc_id, a.qrc_id) AS qrc_id FROM sbp_payments AS p
                      LEFT JOIN qr_codes AS q ON q.id = p.qr_id
                      LEFT JOIN cash_link_activations AS v ON v.id = p.activation_id
                      LEFT JOIN cash_links AS a ON a.id = v.cash_link_id
                     WHERE p.id = :id"""),
            {"id": payment_id},
        )
    ).one()
    return SlipPayment(paid.rail, qrc_id=row.qrc_id, kzo=row.kzo, trx_id=row.trx_id)


async def _by_card(session: Session, paid: Attempt, payment_id: str) -> SlipPayment:
    payment = await card_payment_rows.load_payment(session, payment_id)
    return SlipPayment(
        paid.rail, card_mask=payment.card_mask, rrn=payment.rrn, approval_code=payment.approval_code
    )  # fmt: skip


async def _by_plan(session: Session, paid: Attempt, payment_id: str) -> SlipPayment:
    parts = (await load_installments(session, [payment_id])).get(payment_id, ())
    return SlipPayment(paid.rail, parts=tuple((part.due_on, part.amount) for part in parts))


PAYMENTS: Mapping[str, Callable[[Session, Attempt, str], Awaitable[SlipPayment]]] = {
    "sbp": _by_sbp, "card": _by_card, "koshelek_pay": _by_card, "dolyame": _by_plan,
}  # fmt: skip


async def _refund(session: Session, order: Order, payment_id: str, refund_id: str) -> SlipRefund:
    """A refund by items, or one of money alone, of this very order. Raises: ItemRefundNotFound."""
    of_items = await item_refund_rows.find_item_refund(session, refund_id)
    if of_items is not None and of_items.order_id == order.id:
        is_done = of_items.status is ItemRefundStatus.SUCCEEDED
        return SlipRefund(of_items.id, of_items.amount, of_items.points_back, is_done, of_items.created_at)
    row: Any = (
        await session.execute(
            text("""SELECT id, amount_kopecks, status = 'succeeded' AS is_done, created_at FROM sbp_refunds
                     WHERE id = :id AND payment_id = :payment_id
                     UNION ALL
                    SELECT id, amount_kopecks, status = 'succeeded', created_at FROM card_refunds
                     WHERE id = :id AND payment_id = :payment_id
                     UNION ALL
                    SELECT refund_id, amount_kopecks, true, created_at FROM plan_refunds
                     WHERE refund_id = :id AND plan_id = :payment_id"""),
            {"id": refund_id, "payment_id": payment_id},
        )
    ).first()
    if row is None:
        raise ItemRefundNotFound(refund_id=refund_id)
    return SlipRefund(row.id, Kopecks(row.amount_kopecks), 0, row.is_done, row.created_at)
