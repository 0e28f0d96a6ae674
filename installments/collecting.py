"""Collection (списание платежей): what is due is charged once, whatever breaks in between.

A night walks over the plans that owe something and writes a charge for each, of all that is past due and due.
At its hour a charge is begun (intent), asked for (call), and what became of it is told to the plan in the transaction
that ends the charge (outcome). While it may still take money, no other charge of the plan can exist.

    select_due ─▶ begin ─▶ Collector.ask ─▶ record_outcomes
                              ▲                 │ refused softly
                              └── begin ◀── renew ◀─ its next hour
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Protocol

from installments import charge_rows as rows
from installments import notices, recording
from installments.charge_rows import BATCH_MAX, DuePlan, DueRetry, OfPlan, Terms
from installments.charges import (
    NOTHING_DUE,
    PAUSED,
    SILENT,
    Charge,
    ChargeKind,
    ChargeOutcome,
    ChargeStatus,
)
from installments.clearing import SBP_REFERENCE
from installments.movements import Movement, MovementKind
from installments.notice_texts import Template
from installments.notices import Wish
from installments.plan import CollectorName, Standing
from installments.setbacks import Pick
from installments.timetable import first_try_at, next_try_at
from ledger import outbox
from ledger.clock import moscow_day
from ledger.database import Session
from ledger.ids import new_id, new_ids
from ledger.money import Kopecks
from ledger.outbox import Event
from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage

LEASE = timedelta(minutes=5)
"""How long charges that were begun are left to whoever began them."""
LOOK_WAIT = timedelta(seconds=2)
LOOK_WAIT_MAX = timedelta(minutes=10)
BLOCKED_WAIT = timedelta(minutes=10)
"""Before a try is looked at again that a live charge or a dispute stands in the way of."""
WALK_START = (date.min, "")
"""Where a night's walk begins."""


@dataclass(frozen=True, slots=True)
class WantedCharge:
    """A charge that is begun, and what its collector must know."""

    charge: Charge
    terms: Terms


@dataclass(frozen=True, slots=True)
class AskedCharge:
    """A charge with the outside's payment written down, or with the reason why none could be."""

    charge: Charge
    payment_id: str | None
    request: object = None
    """What the outside will be asked, in its own words."""
    refusal: str | None = None


class Collector(Protocol):
    """A way to take money from a buyer who is not there: intent, call, outcome. Fitted in ``api.plan_collectors``."""

    async def request(self, session: Session, wanted: Sequence[WantedCharge], *, now: datetime) -> list[AskedCharge]:
        """Intent: write down what will be asked, in the transaction that begins the charges."""

    async def ask(self, asked: Sequence[AskedCharge]) -> list[ChargeOutcome]:
        """Call. No session is open. Never raises for what the network does."""

    async def look(self, session: Session, charges: Sequence[Charge], *, now: datetime) -> list[ChargeOutcome]:
        """What has become of charges that were asked for before; nobody outside is asked."""


Collectors = Mapping[CollectorName, Collector]


@dataclass(frozen=True, slots=True)
class ChargesWalked:
    """One step of a night's walk."""

    charges: int
    after: tuple[date, str] | None
    """Where the next step begins; nothing when the walk is over."""


async def select_due(
    session: Session, on: date, *, now: datetime, after: tuple[date, str] = WALK_START, limit: int = BATCH_MAX,
    pick: Pick | None = None,
) -> ChargesWalked:  # fmt: skip
    """Write a charge for the next plans that owe something by the end of ``on`` and have none for it.

    Whoever else walks at the same time writes no second one: a round has one first try, a plan one live charge.
    """
    pick = pick or Pick()
    due = await rows.find_due(session, on, after=after, limit=limit, pick=pick)
    went = (due[-1].next_due_on, due[-1].plan_id) if due else None
    pick.take([plan.plan_id for plan in due], went)
    ids = new_ids("chg", now, len(due))
    await rows.add_charges(session, [_first(plan, charge_id, now) for plan, charge_id in zip(due, ids, strict=True)])
    return ChargesWalked(len(due), went)


def _first(plan: DuePlan, charge_id: str, now: datetime) -> Charge:
    return new_charge(
        plan.plan_id, ChargeKind.INSTALLMENT_PAYMENT, plan.round_on, plan.amount, plan.collector, now=now,
        at=first_try_at(plan.plan_id, plan.round_on, now=now), charge_id=charge_id,
    )  # fmt: skip


def new_charge(
    plan_id: str, kind: ChargeKind, due_on: date, amount: Kopecks, collector: CollectorName, *, now: datetime,
    at: datetime, tries: int = 1, charge_id: str | None = None,
) -> Charge:  # fmt: skip
    """A charge to be made at an hour."""
    return Charge(
        charge_id or new_id("chg", now), plan_id, kind, due_on, tries, amount, collector, ChargeStatus.REQUESTED, None,
        Kopecks(0), None, 0, at, now, None,
    )  # fmt: skip


async def renew(session: Session, *, now: datetime, limit: int = BATCH_MAX) -> int:
    """Write the next tries whose hours have come, each for what is due now. Gives how many hours had come.

    A try whose debt is gone, or that a newer round has overtaken, falls away. Locks: the refused charges.
    """
    due = await rows.lock_retries(session, on=moscow_day(now), now=now, limit=limit)
    wanted = {retry.charge.id: _again(retry, now) for retry in due if retry.amount and not retry.is_blocked}
    added = await rows.add_charges(session, list(wanted.values()))
    await rows.save_charges(
        session,
        [
            replace(retry.charge, next_try_at=now + BLOCKED_WAIT if _waits(retry, wanted, added) else None)
            for retry in due
        ],
    )
    return len(due)


def _waits(retry: DueRetry, wanted: Mapping[str, Charge], added: set[str]) -> bool:
    """Whether its debt is still there and something stood in the way of the next try."""
    return retry.amount > 0 and (retry.charge.id not in wanted or wanted[retry.charge.id].id not in added)


def _again(retry: DueRetry, now: datetime) -> Charge:
    charge = retry.charge
    return new_charge(
        charge.plan_id, charge.kind, charge.due_on, retry.amount, retry.collector, now=now, at=now,
        tries=charge.tries + 1,
    )  # fmt: skip


async def begin(
    session: Session, collectors: Collectors, *, now: datetime, limit: int = BATCH_MAX
) -> list[AskedCharge]:
    """Begin the charges whose hour has come: their outside payments are written down, and only then asked for.

    A charge is never above what is due now; one that nothing is due for ends. Locks: the charges, skipping others'.
    """
    taken = await rows.lock_requested(session, now=now, collectors=list(collectors), limit=limit)
    return await begin_these(session, collectors, taken, now=now)


async def begin_these(
    session: Session, collectors: Collectors, taken: Sequence[Charge], *, now: datetime
) -> list[AskedCharge]:
    """Begin charges that the session has locked, or that nobody else knows of. Nobody looks at them for a while."""
    if not taken:
        return []
    known = await rows.terms_of(session, [charge.id for charge in taken], on=moscow_day(now))
    wanted, over = _sort(taken, known, now)
    asked = [
        answer
        for name, collector in collectors.items()
        for answer in await _request(session, collector, [one for one in wanted if one.charge.collector is name], now)
    ]
    await rows.save_charges(session, over)
    begun = [(one.charge, one.payment_id) for one in asked if one.payment_id is not None]
    await rows.begin_charges(session, begun, looked_at=now + LEASE)
    if over:
        await announce(session, over, await rows.plans_of(session, [charge.id for charge in over]), now=now)
    await _refuse(session, [one for one in asked if one.payment_id is None], now)
    return [one for one in asked if one.payment_id is not None]


def _sort(
    taken: Sequence[Charge], known: Mapping[str, tuple[Terms, Kopecks, bool]], now: datetime
) -> tuple[list[WantedCharge], list[Charge]]:
    """The charges that are still wanted, for no more than is owed, and those that are over."""
    wanted: list[WantedCharge] = []
    over: list[Charge] = []
    for charge in taken:
        terms, owed, is_paused = known[charge.id]
        amount = Kopecks(min(charge.amount, owed))
        is_broken_off = is_paused and charge.kind is ChargeKind.INSTALLMENT_PAYMENT
        if is_broken_off or amount == 0:
            reason = PAUSED if is_broken_off else NOTHING_DUE
            over.append(replace(charge, status=ChargeStatus.REFUSED, reason=reason, next_try_at=None, ended_at=now))
        else:
            wanted.append(WantedCharge(charge if amount == charge.amount else replace(charge, amount=amount), terms))
    return wanted, over


async def _request(
    session: Session, collector: Collector, wanted: list[WantedCharge], now: datetime
) -> list[AskedCharge]:
    return await collector.request(session, wanted, now=now) if wanted else []


async def _refuse(session: Session, asked: Sequence[AskedCharge], now: datetime) -> None:
    """What could not even be asked for is refused, and not tried with the same card or account."""
    outcomes = [
        ChargeOutcome(one.charge.id, ChargeStatus.REFUSED, reason=one.refusal or "refused", may_try_again=False)
        for one in asked
    ]
    await record_outcomes(session, outcomes, now=now)


async def take_untold(session: Session, *, now: datetime, limit: int = BATCH_MAX) -> list[Charge]:
    """Charges whose outcome nobody told: their teller died, or the answer was lost. Nobody else looks for a while.

    Locks: them, skipping others'.
    """
    return await rows.take_watched(session, now=now, lease_until=now + LEASE, limit=limit)


async def look(session: Session, collector: Collector, charges: Sequence[Charge], *, now: datetime) -> int:
    """Tell plans what has become of charges of one collector; how many ended. Locks: the charges, then their plans."""
    return await record_outcomes(session, await collector.look(session, charges, now=now), now=now)


async def record_outcomes(session: Session, outcomes: Sequence[ChargeOutcome], *, now: datetime) -> int:
    """End charges as their collectors say, and tell their plans in the same transaction. Gives how many ended.

    What was captured becomes a movement whose reference is its payment, so it counts once; more than the debt is
    the buyer's overpayment. An outcome of a charge that has ended says nothing new. Amounts: kopecks.
    Locks: the charges, then their plans, accounts.
    """
    assert len(outcomes) <= BATCH_MAX
    if not outcomes:
        return 0
    of = {outcome.charge_id: outcome for outcome in outcomes}
    live = await rows.lock_live(session, list(of))
    if not live:
        return 0
    plans = await rows.plans_of(session, [charge.id for charge in live])
    for_good = [one.charge_id for one in outcomes if one.status is ChargeStatus.REFUSED and not one.may_try_again]
    by_another = await rows.collected_otherwise(session, for_good)
    after = [_after(charge, of[charge.id], plans[charge.id], now, by_another) for charge in live]
    await _tell_plans(session, after, of, plans, now)
    await rows.save_charges(session, after)
    ended = [charge for charge in after if charge.ended_at is not None]
    await announce(session, ended, plans, now=now)
    return len(ended)


async def announce(session: Session, ended: Sequence[Charge], plans: Mapping[str, OfPlan], *, now: datetime) -> None:
    """Tell the world, the log and the buyer how charges have ended.

    Of those that took their money the plan's own event and line tell: ``plan.installment_payment`` with the charge's
    payment as reference.
    """
    refused = [charge for charge in ended if charge.status is ChargeStatus.REFUSED]
    await outbox.publish_all(session, [_event(charge, plans[charge.id]) for charge in refused], now=now)
    await stage(session, [_leaf(charge, plans[charge.id], now) for charge in refused])
    wishes = [_wish(charge, plans[charge.id].buyer_id) for charge in ended if charge.reason not in SILENT]
    await notices.add_notices(session, wishes, now=now)


def _wish(charge: Charge, buyer_id: str) -> Wish:
    """What the buyer is told of a charge: that it was done, or that it was not and when it is tried again."""
    if charge.status is ChargeStatus.CAPTURED:
        return Wish(Template.CHARGE_DONE, charge.plan_id, buyer_id, charge.id, {"amount": int(charge.captured)})
    facts: dict[str, int | str] = {"amount": int(charge.amount)}
    if charge.next_try_at is None:
        return Wish(Template.CHARGE_GIVEN_UP, charge.plan_id, buyer_id, charge.id, facts)
    facts["on"] = moscow_day(charge.next_try_at).isoformat()
    return Wish(Template.CHARGE_FAILED, charge.plan_id, buyer_id, charge.id, facts)


def _after(
    charge: Charge, outcome: ChargeOutcome, plan: OfPlan, now: datetime, by_another: Collection[str]
) -> Charge:  # fmt: skip
    """The charge as its outcome leaves it. ``by_another``: whose plan has another card by now."""
    if outcome.status is ChargeStatus.CAPTURED:
        return replace(
            charge, status=ChargeStatus.CAPTURED, captured=outcome.amount, next_try_at=None, reason=None, ended_at=now
        )
    if outcome.status is ChargeStatus.REFUSED:
        at = now if charge.id in by_another else _next_hour(charge, outcome, plan, now)
        return replace(charge, status=ChargeStatus.REFUSED, reason=outcome.reason, next_try_at=at, ended_at=now)
    wait = min(LOOK_WAIT * (1 << min(charge.looks, 10)), LOOK_WAIT_MAX)
    return replace(charge, status=ChargeStatus.UNKNOWN, next_try_at=now + wait)


def _next_hour(charge: Charge, outcome: ChargeOutcome, plan: OfPlan, now: datetime) -> datetime | None:
    if charge.kind is ChargeKind.EARLY_PAYMENT or not outcome.may_try_again:
        return None
    return next_try_at(charge.plan_id, charge.due_on, charge.tries, next_due_on=plan.next_due_on, now=now)


async def _tell_plans(
    session: Session, charges: Sequence[Charge], of: Mapping[str, ChargeOutcome], plans: Mapping[str, OfPlan],
    now: datetime,
) -> None:  # fmt: skip
    captured = [charge for charge in charges if charge.status is ChargeStatus.CAPTURED]
    movements = [
        Movement(
            movement_id, charge.plan_id, _kind(charge, plans[charge.id]), charge.captured,
            of[charge.id].happened_at or now, reference_of(charge),
        )
        for movement_id, charge in zip(new_ids("mov", now, len(captured)), captured, strict=True)
    ]  # fmt: skip
    if movements:
        await recording.record_all(session, movements, now=now)


def reference_of(charge: Charge) -> str:
    """What a charge's movement is known by, once and for all: its payment, which also says where the money is."""
    assert charge.payment_id is not None
    return f"{SBP_REFERENCE}:{charge.payment_id}" if charge.collector is CollectorName.SBP else charge.payment_id


def _kind(charge: Charge, plan: OfPlan) -> MovementKind:
    is_written_off = plan.standing is Standing.WRITTEN_OFF
    return MovementKind.RECOVERY if is_written_off else MovementKind(charge.kind.value)


def _event(charge: Charge, plan: OfPlan) -> Event:
    data = {
        "charge_id": charge.id, "plan_id": charge.plan_id, "merchant_id": plan.merchant_id, "kind": charge.kind.value,
        "due_on": charge.due_on.isoformat(), "try": charge.tries, "amount_kopecks": int(charge.amount),
        "captured_kopecks": int(charge.captured), "reason": charge.reason,
        "next_try_at": None if charge.next_try_at is None else charge.next_try_at.isoformat(),
    }  # fmt: skip
    return Event(f"plan_charge.{charge.status}", charge.id, None, data)  # merchants are not told how the house collects


def _leaf(charge: Charge, plan: OfPlan, now: datetime) -> AuditEvent:
    return AuditEvent(
        f"plan_charge.{charge.status}", "system:collection", "worker", f"plan:{charge.plan_id}",
        now, AuditOutcome.REFUSED, plan.merchant_id,
        {"charge_id": charge.id, "amount_kopecks": int(charge.amount), "try": charge.tries,
         "reason": charge.reason or ""},
    )  # fmt: skip
