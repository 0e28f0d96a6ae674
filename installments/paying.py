"""Paying early (досрочное погашение): the buyer pays a part or all of what is left, when they like and at no charge.

The same machinery as any charge: one live charge of a plan, an outside payment that charges once, a movement with the
charge's id. Source: 283-FZ by way of installments.md 3.2, rule 6: accepted at any time, free.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from installments import charge_rows as rows
from installments import repository
from installments.charges import OVERTAKEN, Charge, ChargeKind, ChargeStatus
from installments.collecting import LEASE, AskedCharge, Collectors, announce, begin_these, new_charge
from installments.errors import ChargeUnderWay, EarlyPaymentOutOfRange, NoCollectorKnown, NoDebtOwed
from installments.plan import Plan, Standing
from installments.telling import PlanActor, tell
from ledger.clock import moscow_day
from ledger.database import Session
from ledger.money import Kopecks

OPEN = frozenset({Standing.CURRENT, Standing.OVERDUE})


async def begin_early_payment(
    session: Session, collectors: Collectors, plan_id: str, amount: Kopecks | None, by: PlanActor, *, charge_id: str,
    now: datetime, buyer_id: str | None = None,
) -> AskedCharge | None:  # fmt: skip
    """Intent: a charge of ``amount``, or of all that is left, by the plan's card or binding, to be asked for at once.

    A charge of the night that has not been begun makes room, and comes back at its hour for what is left then. The same
    ``charge_id`` again begins nothing. Gives what is to be asked; nothing when there is nothing to ask: the charge is
    there and says how it stands.

    Raises: PlanNotFound, NoDebtOwed, NoCollectorKnown, EarlyPaymentOutOfRange, ChargeUnderWay.
    Locks: the plan's live charge, then the plan.
    """
    if await rows.find_charge(session, charge_id) is not None:
        return None
    waiting = await rows.lock_live_of_plan(session, plan_id)
    plan = await repository.load_plan(session, plan_id, lock=True)
    total = _refuse(plan, buyer_id)
    wanted = total if amount is None else amount
    if not 1 <= wanted <= total:
        raise EarlyPaymentOutOfRange(amount_kopecks=int(wanted), amount_kopecks_max=int(total))
    if waiting is not None:
        await _make_room(session, waiting, now)
    assert plan.collector is not None
    charge = new_charge(
        plan.id, ChargeKind.EARLY_PAYMENT, moscow_day(now), wanted, plan.collector, now=now, at=now + LEASE,
        charge_id=charge_id,
    )  # fmt: skip
    if not await rows.add_charges(session, [charge]):
        raise ChargeUnderWay(plan_id=plan.id)
    await tell(session, plan, "early_payment_requested", by, now=now, facts={"amount_kopecks": int(wanted)})
    asked = await begin_these(session, collectors, [charge], now=now)
    return asked[0] if asked else None


def _refuse(plan: Plan, buyer_id: str | None) -> Kopecks:
    """All that is left to pay, with penalty."""
    total = Kopecks(plan.outstanding + plan.penalty)
    if plan.standing not in OPEN or total == 0 or buyer_id not in (None, plan.buyer_id):
        raise NoDebtOwed(plan_id=plan.id)
    if plan.collector is None:
        raise NoCollectorKnown(plan_id=plan.id)
    return total


async def _make_room(session: Session, waiting: Charge, now: datetime) -> None:
    """End a charge that nobody has begun; it comes back at its hour, if anything is due then."""
    if waiting.payment_id is not None or waiting.status is not ChargeStatus.REQUESTED:
        raise ChargeUnderWay(plan_id=waiting.plan_id)
    back_at = waiting.next_try_at if waiting.kind is ChargeKind.INSTALLMENT_PAYMENT else None
    ended = replace(waiting, status=ChargeStatus.REFUSED, reason=OVERTAKEN, next_try_at=back_at, ended_at=now)
    await rows.save_charges(session, [ended])
    await announce(session, [ended], await rows.plans_of(session, [ended.id]), now=now)
