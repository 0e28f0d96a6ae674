"""How installments are collected: a stored card, or an account binding, charged for the operator of plans.

The operator is a merchant of our own house, so all that holds for payments by card and by SBP holds for these: a
payment charges once, whatever answers are lost, and its money is booked with its capture. What is added here is that
its plan is told, in a transaction of its own: if we die before that, ``tell_plans`` finds it untold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from api.bindings import BindingRail
from api.card_calls import CALLS_AT_ONCE, CardCalls
from api.card_paying import carry_out
from api.card_rail import CardTerms, request_payment
from api.wiring import SbpRail
from checkout import card_payment_rows as card_rows
from checkout import repository as till_rows
from checkout import till
from checkout.attempts import LIVE as ATTEMPT_LIVE
from checkout.attempts import AttemptStatus
from checkout.card_payments import ENDED, CardPayment, CardPaymentStatus, Initiator
from checkout.orders import OrderRequest, OrderStatus
from checkout.rail import Offer, Start, StartStatus
from installments import collecting
from installments.charges import Charge, ChargeOutcome, ChargeStatus
from installments.clearing import operator_of
from installments.collecting import AskedCharge, Collector, Collectors, WantedCharge
from installments.plan import CollectorName
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction
from ledger.errors import KopeykaError, Rejected
from ledger.ids import new_id
from sbp_gateway import binding_repository
from sbp_gateway.bindings import NO_CONSENT
from tokenization.charges.response_codes import MAY_TRY_AGAIN

log = structlog.get_logger("plan_collectors")

COLLECT_MAX = 64
"""Charges begun at once: what is asked within the time that a card payment is left to its asker."""
LOOK_MAX = 200
TERMINAL_MISSING = "no_terminal"
CONSENT_MISSING = "no_binding"


@dataclass(frozen=True, slots=True)
class CardCollector:
    """By the card of the plan's first payment, at which the buyer agreed to the later ones."""

    calls: CardCalls

    async def request(self, session: Session, wanted: Sequence[WantedCharge], *, now: datetime) -> list[AskedCharge]:
        """Intent: a card payment of the operator for each. What the till refuses is a refusal of the charge."""
        operator_id = await operator_of(session)
        return [await self._request(session, one, operator_id, now) for one in wanted]

    async def _request(self, session: Session, wanted: WantedCharge, operator_id: str, now: datetime) -> AskedCharge:
        terms = CardTerms(
            wanted.terms.card_token or "", initiator=Initiator.MERCHANT, first_payment_id=wanted.terms.first_payment_id
        )
        try:
            payment = await request_payment(
                session, new_id("cpy", now), operator_id, wanted.charge.amount, terms, now=now
            )
        except Rejected as refused:
            return AskedCharge(wanted.charge, None, refusal=refused.code)
        return AskedCharge(wanted.charge, payment.id, payment)

    async def ask(self, asked: Sequence[AskedCharge]) -> list[ChargeOutcome]:
        """Call: charge the cards, a few at once, and book what was captured."""
        return await _a_few_at_once(asked, self._ask)

    async def _ask(self, asked: AskedCharge) -> ChargeOutcome:
        assert isinstance(asked.request, CardPayment)
        payment, answer = asked.request, await self.calls.ask(asked.request)
        after = await in_transaction(
            self.calls.engine, lambda session: carry_out(session, payment, answer, now=self.calls.clock.now())
        )
        return outcome_of_card(asked.charge.id, after)

    async def look(self, session: Session, charges: Sequence[Charge], *, now: datetime) -> list[ChargeOutcome]:
        """What the payments have become; whoever is unsure of one asks the vault about it by itself."""
        del now
        found = [(charge.id, await card_rows.load_payment(session, charge.payment_id or "")) for charge in charges]
        return [outcome_of_card(charge_id, payment) for charge_id, payment in found]


def outcome_of_card(charge_id: str, payment: CardPayment) -> ChargeOutcome:
    """What a card payment means to its charge."""
    if payment.status is CardPaymentStatus.CAPTURED:
        return ChargeOutcome(charge_id, ChargeStatus.CAPTURED, payment.captured, happened_at=payment.captured_at)
    if payment.status in ENDED:
        reason = payment.reason or payment.status.value
        return ChargeOutcome(
            charge_id, ChargeStatus.REFUSED, reason=reason, may_try_again=payment.reason in MAY_TRY_AGAIN
        )
    return ChargeOutcome(charge_id, ChargeStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class SbpCollector:
    """By an account binding: an order of the operator's own terminal, with a code that NSPK takes the sum of."""

    engine: Engine
    sbp: SbpRail
    clock: Clock

    async def request(self, session: Session, wanted: Sequence[WantedCharge], *, now: datetime) -> list[AskedCharge]:
        """Intent: an order, an attempt and a code for each."""
        operator_id = await operator_of(session)
        terminals, _ = await till_rows.list_terminals(
            session, merchant_id=operator_id, store_id=None, after="", limit=1
        )
        if not terminals:
            return [AskedCharge(one.charge, None, refusal=TERMINAL_MISSING) for one in wanted]
        return [await self._request(session, one, operator_id, terminals[0].id, now) for one in wanted]

    async def _request(
        self, session: Session, wanted: WantedCharge, operator_id: str, terminal_id: str, now: datetime
    ) -> AskedCharge:
        charge = wanted.charge
        if wanted.terms.binding_id is None:
            return AskedCharge(charge, None, refusal=CONSENT_MISSING)
        rail = BindingRail(self.sbp, wanted.terms.binding_id)
        order = OrderRequest(terminal_id, charge.id, int(charge.amount), "Платёж по рассрочке", now)
        try:
            async with session.begin_nested():  # what is refused leaves nothing behind
                placed = await till.place_order(session, new_id("ord", now), order, merchant_id=operator_id, now=now)
                attempt, offer = await till.begin_attempt(
                    session, rail, new_id("att", now), order_id=placed.id, merchant_id=operator_id, now=now
                )
        except Rejected as refused:
            return AskedCharge(charge, None, refusal=refused.code)
        return AskedCharge(charge, attempt.id, (rail, offer))

    async def ask(self, asked: Sequence[AskedCharge]) -> list[ChargeOutcome]:
        """Call: register the codes. The worker has them charged, and NSPK says later how that went."""
        return await _a_few_at_once(asked, self._ask)

    async def _ask(self, asked: AskedCharge) -> ChargeOutcome:
        request: Any = asked.request
        rail, offer = request
        start = await rail.start(offer)
        await in_transaction(self.engine, lambda session: self._started(session, rail, offer, start))
        is_refused = start.status is StartStatus.REFUSED
        return ChargeOutcome(
            asked.charge.id, ChargeStatus.REFUSED if is_refused else ChargeStatus.UNKNOWN, reason=start.reason
        )

    async def _started(self, session: Session, rail: BindingRail, offer: Offer, start: Start) -> None:
        await till.record_start(session, rail, offer, start, now=self.clock.now())

    async def look(self, session: Session, charges: Sequence[Charge], *, now: datetime) -> list[ChargeOutcome]:
        """What the attempts have become. A code that nobody took in its time is a refusal."""
        return [await self._look(session, charge, now) for charge in charges]

    async def _look(self, session: Session, charge: Charge, now: datetime) -> ChargeOutcome:
        attempt = await till_rows.load_attempt(session, charge.payment_id or "")
        assert attempt is not None
        if attempt.status in ATTEMPT_LIVE:
            return ChargeOutcome(charge.id, ChargeStatus.UNKNOWN)
        order = await till_rows.load_order(session, attempt.order_id)
        if attempt.status is AttemptStatus.PAID:
            return ChargeOutcome(charge.id, ChargeStatus.CAPTURED, attempt.amount, happened_at=order.paid_at)
        if order.status is OrderStatus.OPEN:
            await till.cancel_order(session, order.id, merchant_id=order.merchant_id, now=now)
        refusal = await binding_repository.refusal_of(session, attempt.id)
        return ChargeOutcome(
            charge.id, ChargeStatus.REFUSED, reason=refusal or attempt.status.value, may_try_again=refusal != NO_CONSENT
        )


async def _a_few_at_once(asked: Sequence[AskedCharge], ask: Any) -> list[ChargeOutcome]:
    """Ask about each; what fails here is unknown, and looked at later."""
    places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def one(item: AskedCharge) -> ChargeOutcome:
        async with places:
            try:
                found: ChargeOutcome = await ask(item)
                return found
            except KopeykaError as error:
                log.warning("charge_not_carried_out", charge_id=item.charge.id, code=error.code)
                return ChargeOutcome(item.charge.id, ChargeStatus.UNKNOWN)

    return list(await asyncio.gather(*(one(item) for item in asked)))


def collectors_of(engine: Engine, cards: CardCalls, sbp: SbpRail, clock: Clock) -> Collectors:
    """All ways to collect."""
    return {CollectorName.CARD: CardCollector(cards), CollectorName.SBP: SbpCollector(engine, sbp, clock)}


async def collect_due(engine: Engine, collectors: Collectors, clock: Clock, *, limit: int = COLLECT_MAX) -> int:
    """Make the charges whose hour has come: begun, asked for, told to their plans. Gives how many were asked for."""
    asked = await in_transaction(
        engine, lambda session: collecting.begin(session, collectors, now=clock.now(), limit=limit)
    )
    for name, collector in collectors.items():
        own = [one for one in asked if one.charge.collector is name]
        if own:
            await _tell(engine, await collector.ask(own), clock)
    return len(asked)


async def _tell(engine: Engine, outcomes: Sequence[ChargeOutcome], clock: Clock) -> None:
    """Tell plans at once; those that cannot be told are looked at one by one when their lease ends."""
    try:
        await in_transaction(engine, lambda session: collecting.record_outcomes(session, outcomes, now=clock.now()))
    except KopeykaError as error:
        log.warning("charges_not_told", charges=len(outcomes), code=error.code)


async def renew_charges(engine: Engine, clock: Clock) -> int:
    """Write the tries down whose hours have come again."""
    return await in_transaction(engine, lambda session: collecting.renew(session, now=clock.now()))


async def tell_plans(engine: Engine, collectors: Collectors, clock: Clock) -> int:
    """Tell plans of charges whose outcome nobody told them."""
    untold = await in_transaction(
        engine, lambda session: collecting.take_untold(session, now=clock.now(), limit=LOOK_MAX)
    )
    for name, collector in collectors.items():
        await _look(engine, collector, [charge for charge in untold if charge.collector is name], clock)
    return len(untold)


async def _look(engine: Engine, collector: Collector, charges: Sequence[Charge], clock: Clock) -> None:
    """Tell of all at once, or of each half: one that cannot be told keeps no other from it, and is looked at again."""
    if not charges:
        return
    try:
        await in_transaction(engine, lambda session: collecting.look(session, collector, charges, now=clock.now()))
    except KopeykaError as error:
        if len(charges) == 1:
            log.error("charge_not_told", charge_id=charges[0].id, code=error.code)
            return
        middle = len(charges) // 2
        for half in (charges[:middle], charges[middle:]):
            await _look(engine, collector, half, clock)
