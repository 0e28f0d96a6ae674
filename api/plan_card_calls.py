"""A plan's new card on its way outside: a rouble is held on it and let go, and the card is put in place between.

Every function follows from how the change and its payment stand, so anybody may repeat it at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from api.card_calls import CardCalls
from api.card_paying import carry_out
from api.card_rail import CardTerms, request_payment
from checkout import card_payment_rows as cards
from checkout.card_payments import UNSURE, VOID_REFUSED, CardPayment, CardPaymentStatus, Initiator, advance
from installments import card_changes, clearing
from installments.buyer_errors import CardOfAnother
from installments.card_changes import HELD, CardChange, CardChangeStatus
from installments.telling import PlanActor
from ledger.database import Session, in_transaction

ROUNDS_MAX = 4
"""Held, let go, settled: no change has more to be done in a row."""


@dataclass(frozen=True, slots=True)
class WantedCard:
    """Which card a plan is to be collected by, and the buyer's consent to it."""

    plan_id: str
    payment_id: str
    card_token: str
    consent: str
    by: PlanActor
    buyer_id: str | None = None
    is_of_buyer: bool = True
    """Whether the vault keeps it for the plan's buyer."""


async def ask(session: Session, wanted: WantedCard, *, now: datetime) -> CardChange:
    """Intent: a rouble is to be held on the card. The same payment again is the same change.

    Raises: CardOfAnother, as ``card_changes.check_change``, and ``request_payment``. Locks: the plan.
    """
    if (known := await card_changes.find_change(session, wanted.plan_id, wanted.payment_id)) is not None:
        return known
    if not wanted.is_of_buyer:
        raise CardOfAnother(plan_id=wanted.plan_id)
    plan = await card_changes.check_change(session, wanted.plan_id, buyer_id=wanted.buyer_id, now=now)
    terms = CardTerms(wanted.card_token, False, Initiator.BUYER, True)
    operator_id = await clearing.operator_of(session)
    await request_payment(session, wanted.payment_id, operator_id, HELD, terms, now=now)
    change = CardChange(
        wanted.payment_id, plan.id, wanted.card_token, wanted.consent, wanted.by.actor, CardChangeStatus.ASKED, None,
        now, None,
    )  # fmt: skip
    await card_changes.add_change(session, plan, change, wanted.by, now=now)
    return change


async def carry_on(calls: CardCalls, plan_id: str, acting_for: str = "") -> None:
    """Do whatever the changes of a plan's card wait for. Never raises for what the network does."""
    asked: set[tuple[str, int]] = set()
    for _ in range(ROUNDS_MAX):
        waiting = await in_transaction(calls.engine, lambda session: follow(session, plan_id, now=calls.clock.now()))
        fresh = [payment for payment in waiting if (payment.id, payment.version) not in asked]
        asked |= {(payment.id, payment.version) for payment in fresh}
        for payment in fresh:
            await _ask(calls, payment, acting_for)
        if not fresh:
            return


async def _ask(calls: CardCalls, payment: CardPayment, acting_for: str) -> None:
    answer = await calls.ask(payment, acting_for)
    await in_transaction(calls.engine, lambda session: carry_out(session, payment, answer, now=calls.clock.now()))


async def follow(session: Session, plan_id: str, *, now: datetime) -> Sequence[CardPayment]:
    """What follows from how payments of changes stand; gives those the vault is to be asked about.

    Locks: the changes, the plan's charges, the plan, the payments.
    """
    waiting = []
    for change in await card_changes.lock_open(session, plan_id):
        payment = await cards.load_payment(session, change.payment_id)
        if payment.status not in UNSURE:
            payment = await _follow_one(session, change, payment, now)
        if payment.status in UNSURE:
            waiting.append(payment)
    return waiting


async def _follow_one(session: Session, change: CardChange, payment: CardPayment, now: datetime) -> CardPayment:
    is_held = payment.status is CardPaymentStatus.AUTHORISED
    if change.status is CardChangeStatus.ASKED:
        if is_held:
            await card_changes.put_in_place(session, change, now=now)
        else:
            await card_changes.refuse(session, change, payment.reason or payment.status.value, now=now)
    if not is_held or payment.reason == VOID_REFUSED:  # what the acquirer will not let go ends by itself
        await card_changes.settle_change(session, payment.id, now=now)
        return payment
    held = await cards.load_payment(session, payment.id, lock=True)
    if held.status is not CardPaymentStatus.AUTHORISED:
        return held
    voiding = replace(advance(held, CardPaymentStatus.VOIDING, now=now), next_look_at=now)
    await cards.save_payment(session, voiding)
    return voiding
