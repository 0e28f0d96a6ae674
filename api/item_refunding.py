"""Goods on their way back: intent with the rail's own refund, the rail's call, its word. The call is in no transaction.

``begin`` and ``record`` are for the door's transactions, ``ask`` is for between them. What the rail says later comes
by the workers that carry refunds on; they end in ``record_refund_answer`` and in ``checkout.card_refunding``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api import plan_acts
from api.card_calls import CardCalls
from api.plan_rail import RAIL as PLAN_RAIL
from api.refund_calls import RefundCalls
from api.refund_outcomes import record_refund_answer
from checkout import card_refunding, item_refund_rows, item_refunds, repository
from checkout.attempts import Attempt, AttemptStatus
from checkout.card_payments import CardRefund
from checkout.card_refunding import CardRefundAnswer
from checkout.item_refund_rows import ItemRefund, Returned
from installments.refunding import RefundRequest as PlanRefundRequest
from installments.telling import PlanActor
from ledger.database import Session, text
from sbp_gateway import refunding
from sbp_gateway.nspk_refunds import RefundRequest
from sbp_gateway.refunding import RefundWish
from sbp_gateway.refunds import RefundAnswer

Money = RefundRequest | CardRefund | None
"""What the rail is asked; nothing where it is done already."""


@dataclass(frozen=True, slots=True)
class Returner:
    """Who gives goods back: a caller at the door, for its merchant."""

    merchant_id: str | None
    key_id: str
    plan_actor: PlanActor
    is_fee_returned: bool


async def begin(
    session: Session, item_refund_id: str, order_id: str, wanted: Sequence[Returned], by: Returner, *,
    reason: str | None, now: datetime,
) -> tuple[ItemRefund, Money]:  # fmt: skip
    """Intent: goods and their money are set aside. Of a plan all is done at once: nobody is asked.

    Raises: as ``item_refunds.request`` and the rail's own refund. Locks: the basket, then the payment or the plan.
    """
    made = await item_refunds.request(
        session, item_refund_id, order_id, wanted, reason=reason, merchant_id=by.merchant_id, now=now
    )
    if made.refund_id is None:
        return made, None
    paid = await _paid_by(session, order_id)
    assert paid.payment_id is not None
    if paid.rail == PLAN_RAIL:
        await item_refunds.settle(session, made.refund_id, is_given=True, now=now)
        request = PlanRefundRequest(made.refund_id, made.amount)
        await plan_acts.refund(session, paid.payment_id, request, by.plan_actor, merchant_id=by.merchant_id, now=now)
        return await item_refund_rows.load_item_refund(session, made.id), None
    if paid.rail != "sbp":
        return made, await card_refunding.request_refund(
            session, made.refund_id, paid.payment_id, amount_kopecks=int(made.amount), reason=reason,
            merchant_id=by.merchant_id, now=now,
        )  # fmt: skip
    wish = RefundWish(paid.payment_id, int(made.amount), reason, is_fee_returned=by.is_fee_returned)
    _, asked = await refunding.request_refund(session, made.refund_id, wish, merchant_id=by.merchant_id, now=now)
    return made, asked


async def ask(
    refunds: RefundCalls, cards: CardCalls, money: Money, key_id: str
) -> RefundAnswer | CardRefundAnswer | None:
    """Call: the rail is asked. Never raises for what the network does."""
    if isinstance(money, CardRefund):
        return await cards.ask_refund(money, key_id)
    return None if money is None else await refunds.ask(money, of_try=1)


async def record(
    session: Session, item_refund_id: str, answer: RefundAnswer | CardRefundAnswer | None, *, now: datetime
) -> ItemRefund:
    """Outcome: the rail's word; points and code follow the money if it has moved already."""
    known = await item_refund_rows.load_item_refund(session, item_refund_id)
    if known.refund_id is None or answer is None:
        return known
    if isinstance(answer, CardRefundAnswer):
        await card_refunding.record_refund(session, known.refund_id, answer, now=now)
    else:
        await record_refund_answer(session, known.refund_id, answer, now=now)
    return await item_refund_rows.load_item_refund(session, item_refund_id)


async def _paid_by(session: Session, order_id: str) -> Attempt:
    found = await repository.attempts_of_orders(session, [order_id])
    return next(each for each in found if each.status is AttemptStatus.PAID)


async def refuse_plan_of_basket(session: Session, plan_id: str) -> None:
    """Goods of an order with a basket come back by its lines, whatever paid for them. Raises: RefundByItems."""
    order_id: str | None = await session.scalar(
        text("""SELECT a.order_id FROM plan_attempts AS t JOIN attempts AS a ON a.id = t.attempt_id
                 WHERE t.plan_id = :plan_id AND a.payment_id = t.plan_id"""),
        {"plan_id": plan_id},
    )
    await item_refunds.refuse_other(session, [] if order_id is None else [order_id])
