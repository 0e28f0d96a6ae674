"""The buyer takes a plan: named, decided about, and the first installment held.

Locks: every function here works on a plan that its caller has locked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from installments import feeds, law
from installments import repository as rows
from installments.errors import AcceptanceDiffers, PlanCanceled, PlanExpired
from installments.first_payments import TRIES_MAX, add_first_payment, count_tries, settle_first_payment
from installments.plan import CollectorName, Plan, PlanStatus, advance
from installments.schedule import Installment, build_schedule
from installments.telling import BY_ITSELF, PlanActor, tell
from ledger.clock import moscow_day
from ledger.database import Session

CARDS_REFUSED = "first_payment_refused"
"""Why a plan is rejected whose buyer has no card left to try."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What a buyer says yes to a plan with: a card, a binding, or neither yet, when only the decision is asked for."""

    buyer_id: str
    consent_id: str | None
    """The consent to the documents shown; ``csn_…``."""
    card_token: str | None = None
    binding_id: str | None = None

    @property
    def collector(self) -> CollectorName | None:
        """How installments will be collected; nothing: not named yet, only the decision is asked for."""
        assert self.card_token is None or self.binding_id is None, "a card or a binding, and not both"
        if self.card_token is None and self.binding_id is None:
            return None
        return CollectorName.SBP if self.card_token is None else CollectorName.CARD


def check_acceptance(plan: Plan, acceptance: Acceptance, *, now: datetime) -> bool:
    """Whether the plan waits for this buyer's yes or card; not if it was given before.

    Raises: PlanCanceled, AcceptanceDiffers, PlanExpired.
    """
    if plan.status is PlanStatus.CANCELED:
        raise PlanCanceled(plan_id=plan.id, reason=plan.reason)
    if plan.buyer_id not in (None, acceptance.buyer_id):
        raise AcceptanceDiffers(plan_id=plan.id)
    if plan.status not in (PlanStatus.NEW, PlanStatus.APPROVED):
        return False
    if plan.expires_at is not None and plan.expires_at <= now:
        raise PlanExpired(plan_id=plan.id)
    return True


async def name_buyer(session: Session, plan: Plan, acceptance: Acceptance, *, now: datetime) -> Plan:
    """A new plan with its buyer and the day of the contract, not decided about yet. The law of that day applies.

    Raises: LicenceNotActive, PenaltyAboveLaw, TermAboveLaw.
    """
    today = moscow_day(now)
    licence = await rows.licence_on(session, today)
    law.check_licence(licence is not None and licence.is_active, contract_on=today)
    product = await rows.load_product(session, plan.product_code, plan.product_version)
    law.check_penalty(product.penalty_basis_points, contract_on=today)
    law.check_term(today, build_schedule(plan.price, product, first_due_on=today)[-1].due_on)
    return replace(
        plan, buyer_id=acceptance.buyer_id, contract_on=today, collector=acceptance.collector,
        binding_id=acceptance.binding_id,
    )  # fmt: skip


async def approve(session: Session, plan: Plan, acceptance: Acceptance, by: PlanActor, *, now: datetime) -> Plan:
    """The decision was yes. Nothing is owed yet."""
    approved = advance(plan, PlanStatus.APPROVED)
    await rows.save_plan(session, approved)
    await tell(session, approved, "approved", by, now=now, facts={"consent_id": acceptance.consent_id or ""})
    return approved


async def reject(session: Session, plan: Plan, reason: str, by: PlanActor, *, now: datetime) -> Plan:
    """The decision was no, or there is no card left to try. Final."""
    rejected = replace(advance(plan, PlanStatus.REJECTED), reason=reason, expires_at=None, ended_at=now)
    await rows.save_plan(session, rejected)
    await tell(session, rejected, "rejected", by, now=now, facts={"reason": reason})
    await feeds.tell_of_end(session, rejected, now=now)
    return rejected


async def first_installment(session: Session, plan: Plan) -> Installment:
    """What is held at the till of an accepted plan, or taken at its commit."""
    product = await rows.load_product(session, plan.product_code, plan.product_version)
    assert plan.contract_on is not None
    return build_schedule(plan.price, product, first_due_on=plan.contract_on)[0]


async def try_card(session: Session, plan: Plan, payment_id: str, card_token: str, *, now: datetime) -> Plan:
    """An approved plan with one more card to hold the first installment on. Raises: FirstPaymentTriesSpent."""
    await add_first_payment(session, plan.id, payment_id, now=now)
    trying = replace(
        plan, first_payment_id=payment_id, card_token=card_token, collector=CollectorName.CARD, binding_id=None,
        version=plan.version + 1,
    )  # fmt: skip
    await rows.save_plan(session, trying)
    return trying


async def hold_succeeded(session: Session, plan: Plan, *, now: datetime) -> Plan:
    """The first installment is held, or will be collected by a binding: now the merchant commits."""
    product = await rows.load_product(session, plan.product_code, plan.product_version)
    waiting = replace(advance(plan, PlanStatus.WAIT_FOR_COMMIT), expires_at=now + product.hold_lifetime)
    await rows.save_plan(session, waiting)
    await tell(session, waiting, "wait_for_commit", BY_ITSELF, now=now)
    return waiting


async def hold_refused(session: Session, plan: Plan, reason: str, *, now: datetime) -> Plan:
    """The bank would not hold the first installment: the buyer may name another card, so many times."""
    assert plan.first_payment_id is not None
    await settle_first_payment(session, plan.first_payment_id, now=now)
    without = replace(plan, first_payment_id=None, version=plan.version + 1)
    if await count_tries(session, plan.id) >= TRIES_MAX:
        return await reject(session, without, CARDS_REFUSED, BY_ITSELF, now=now)
    await rows.save_plan(session, without)
    await tell(session, without, "first_payment_refused", BY_ITSELF, now=now, facts={"reason": reason})
    return without
