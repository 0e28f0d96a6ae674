"""Refunds on their way: asked for, asked about, begun for late money. Calls between transactions, never inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from api.one_by_one import one_by_one
from api.refund_outcomes import record_refund_answer
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction, transaction
from ledger.ids import new_id
from sbp_gateway import refund_rows as rows
from sbp_gateway import refunding
from sbp_gateway.cash_links import SaleState
from sbp_gateway.errors import NspkRefused, NspkUnavailable, NspkUnknown
from sbp_gateway.nspk import LinkStatus, Nspk, OperationStatus
from sbp_gateway.nspk_cash_links import NspkCashLinks
from sbp_gateway.nspk_refunds import DecisionCode, NspkRefunds, RefundRequest, RefundState
from sbp_gateway.payments import is_trx_id
from sbp_gateway.phones import masked
from sbp_gateway.refunds import (
    ANSWER_WAIT,
    KZO_WAIT_MAX,
    LOOK_WAIT_MAX,
    NO_KZO,
    Refund,
    RefundAnswer,
    RefundNews,
    RefundStatus,
)

log = structlog.get_logger("refund_calls")

CALLS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class RefundCalls:
    """What refunds need of the outside world."""

    engine: Engine
    nspk: Nspk
    refunds: NspkRefunds
    clock: Clock
    sales: NspkCashLinks | None = None
    """Where plates are asked about; nothing where there are none."""

    async def ask(self, request: RefundRequest, of_try: int) -> RefundAnswer:
        """Call: ask NSPK for a refund. Never raises for what the network does."""
        try:
            request = await self._with_kzo(request)
            if request.kzo is None:
                return RefundAnswer(RefundNews.NOT_SENT, code=NO_KZO, of_try=of_try)
            opkc_request_id = await self.refunds.ask(request)
        except NspkUnavailable:
            return RefundAnswer(RefundNews.NOT_SENT, kzo=request.kzo, of_try=of_try)
        except NspkUnknown:
            return RefundAnswer(RefundNews.SILENT, kzo=request.kzo, of_try=of_try)
        except NspkRefused as refused:
            code, message = str(refused.facts.get("nspk_code")), str(refused.facts.get("nspk_message"))
            return RefundAnswer(RefundNews.REFUSED, code=code, message=message, kzo=request.kzo, of_try=of_try)
        return RefundAnswer(RefundNews.TAKEN, opkc_request_id, kzo=request.kzo, of_try=of_try)

    async def _with_kzo(self, request: RefundRequest) -> RefundRequest:
        """The request with its payment's control value, which NSPK repeats when it did not come with the payment."""
        if request.kzo is not None:
            return request
        try:
            if request.params_id is not None and self.sales is not None:
                said: Sequence[SaleState | LinkStatus] = [
                    await self.sales.sale_state(request.qrc_id, request.params_id)
                ]
            else:
                said = await self.nspk.statuses([request.qrc_id])
        except (NspkUnknown, NspkRefused):
            return request
        found = [answer.kzo for answer in said if answer.trx_id == request.trx_id]
        return replace(request, kzo=found[0]) if found else request

    async def look(self, refund: Refund) -> RefundAnswer:
        """Call: ask NSPK what became of a refund. Never raises for what the network does."""
        payment = await self._payment_of(refund)
        try:
            if refund.opkc_request_id is None:
                found = await self.refunds.find(payment, refund.agent_request_id)
                return RefundAnswer(RefundNews.TAKEN, found) if found else RefundAnswer(RefundNews.UNHEARD)
            state = await self.refunds.read(payment, refund.opkc_request_id)
            if state.may_be_earlier and await self._has_earlier(refund):
                return RefundAnswer(RefundNews.SILENT)
            return _news_of(refund, state)
        except (NspkUnknown, NspkUnavailable):
            return RefundAnswer(RefundNews.SILENT)

    async def _has_earlier(self, refund: Refund) -> bool:
        """Whether good news may be of an earlier refund, and nothing has shown this one at work."""
        if refund.status is RefundStatus.APPROVED:
            return False
        async with transaction(self.engine) as session:
            others = await rows.refunds_of_payment(session, refund.payment_id)
        return any(each.status is RefundStatus.SUCCEEDED for each in others if each.id != refund.id)

    async def _payment_of(self, refund: Refund) -> str:
        async with transaction(self.engine) as session:
            return (await rows.load_payment(session, refund.payment_id)).trx_id

    async def record(self, refund_id: str, answer: RefundAnswer) -> Refund:
        """Outcome: what NSPK said, in one transaction."""
        return await in_transaction(
            self.engine,
            lambda session: record_refund_answer(session, refund_id, answer, now=self.clock.now()),
        )

    async def carry_on(self, refund: Refund) -> Refund:
        """Bring a refund one step further: ask NSPK again if it never heard us, else ask what became of it."""
        if refund.status is not RefundStatus.REQUESTED or refund.asked_at is not None:
            return await self.record(refund.id, await self.look(refund))
        begun = await in_transaction(
            self.engine, lambda session: refunding.begin_try(session, refund.id, now=self.clock.now())
        )
        if begun is None:
            return refund
        asked, request = begun
        answer = await self.ask(request, asked.tries)
        if answer.code == NO_KZO and self.clock.now() >= refund.created_at + KZO_WAIT_MAX:
            answer = replace(answer, news=RefundNews.REFUSED, message="NSPK repeats no control value of the payment")
        return await self.record(refund.id, answer)

    async def take_hint(self, agent_request_id: str) -> bool:
        """Somebody says that a refund has moved: look until NSPK says nothing new. False if it is not ours."""
        async with transaction(self.engine) as session:
            refund = await rows.find_by_request(session, agent_request_id)
        if refund is None:
            return False
        is_told = False
        while not refund.is_final and not is_told:
            before, refund = refund.status, await self.carry_on(refund)
            is_told = refund.status is before
        return True


def _news_of(refund: Refund, state: RefundState) -> RefundAnswer:
    """NSPK's state of a request in our words; an answer that cannot be about this refund is no answer."""
    if state.agent_request_id not in (None, refund.agent_request_id):
        return RefundAnswer(RefundNews.SILENT)
    if state.trx_status is OperationStatus.ACCEPTED:
        if state.amount != refund.amount or not is_trx_id(state.trx_id):
            log.error("refund_differs", refund_id=refund.id, amount_kopecks=state.amount)
            return RefundAnswer(RefundNews.SILENT)
        return RefundAnswer(RefundNews.MOVED, trx_id=state.trx_id, payee_mask=masked(state.payee_id))
    if state.trx_status is OperationStatus.REJECTED:
        return RefundAnswer(RefundNews.NOT_MOVED, code=state.code)
    if state.is_refused:
        return RefundAnswer(RefundNews.DECLINED, code=state.code)
    return RefundAnswer(RefundNews.APPROVED if state.code == DecisionCode.AGREED else RefundNews.UNDECIDED)


async def carry_on_refunds(calls: RefundCalls) -> int:
    """Bring refunds that are due one step further."""
    now = calls.clock.now()
    async with transaction(calls.engine) as session:
        due = await rows.take_due_refunds(session, now=now, lease_until=now + ANSWER_WAIT)
    return await one_by_one(
        "carry_on_refunds", due, calls.carry_on, name=lambda refund: refund.id, at_once=CALLS_AT_ONCE
    )


async def refund_late_money(calls: RefundCalls) -> int:
    """Begin the refunds of payments that came too late."""
    now = calls.clock.now()
    async with transaction(calls.engine) as session:
        due = await rows.take_late_payments(session, now=now, lease_until=now + LOOK_WAIT_MAX)

    async def begin(payment_id: str) -> None:
        await _begin_late_refund(calls, payment_id, calls.clock.now())

    return await one_by_one("refund_late_money", due, begin, at_once=CALLS_AT_ONCE)


async def _begin_late_refund(calls: RefundCalls, payment_id: str, now: datetime) -> None:
    refund_id = new_id("ref", now)

    async def intent(session: Session) -> RefundRequest:
        return await refunding.refund_late_payment(session, refund_id, payment_id, now=now)

    request = await in_transaction(calls.engine, intent)
    await calls.record(refund_id, await calls.ask(request, of_try=1))
