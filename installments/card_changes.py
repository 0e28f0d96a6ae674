"""Another card (замена карты): a plan that owes is collected by another card from now on.

The buyer agrees to it, and the new card's bank says yes to holding a rouble, which is let go at once: to that payment
the consent to later charges belongs (``is_credential_kept``). Until then the old card stays. A charge under way is not
touched and ends with the card it was begun with; what was refused is tried again soon.

Source: stored-credential frameworks of the card schemes: a card is kept with the buyer present, by a payment or by the
verification of an account, and later charges refer to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from installments import charge_rows, repository
from installments.buyer_errors import CardChangesTooOften, CardChangeUnderWay
from installments.errors import FirstPaymentBusy, NoDebtOwed
from installments.first_payments import open_first_payments
from installments.plan import CollectorName, Plan, Standing
from installments.telling import BY_ITSELF, PlanActor, tell
from ledger.database import Session, text
from ledger.money import Kopecks

HELD = Kopecks(100)
"""A rouble, never taken. Source: own decision; some acquirers do not verify with nothing."""
CHANGES_MAX = 5
"""Cards tried for one plan in a day: enough for a mistake, too few to test stolen cards."""
DAY = timedelta(days=1)
OWING = frozenset({Standing.CURRENT, Standing.OVERDUE})
NOTHING_OWED = "nothing_owed"
"""Why a card was not put in place: the plan was paid or given up meanwhile."""


class CardChangeStatus(StrEnum):
    """Where a change stands."""

    ASKED = "asked"
    """The new card's bank is being asked."""
    REPLACED = "replaced"
    """The plan is collected by the new card."""
    REFUSED = "refused"
    """The old card stays."""


@dataclass(frozen=True, slots=True)
class CardChange:
    """One change of a plan's card."""

    payment_id: str
    """The card payment that holds the rouble; ``cpy_…``. It names the change."""
    plan_id: str
    card_token: str
    consent: str
    """What the buyer agreed to, or how support knows it."""
    asked_by: str
    status: CardChangeStatus
    reason: str | None
    created_at: datetime
    ended_at: datetime | None


async def check_change(session: Session, plan_id: str, *, buyer_id: str | None, now: datetime) -> Plan:
    """The plan, if another card may be tried for it.

    Raises: PlanNotFound, NoDebtOwed, FirstPaymentBusy, CardChangeUnderWay, CardChangesTooOften. Locks: the plan.
    """
    plan = await repository.load_plan(session, plan_id, lock=True)
    if not owes(plan) or buyer_id not in (None, plan.buyer_id):
        raise NoDebtOwed(plan_id=plan.id)
    if await open_first_payments(session, plan.id):
        raise FirstPaymentBusy(plan_id=plan.id)
    changes = await list_changes(session, plan.id)
    if any(one.status is CardChangeStatus.ASKED for one in changes):
        raise CardChangeUnderWay(plan_id=plan.id)
    if sum(one.created_at > now - DAY for one in changes) >= CHANGES_MAX:
        raise CardChangesTooOften(changes_max=CHANGES_MAX)
    return plan


def owes(plan: Plan) -> bool:
    """Whether anything is left to collect."""
    return plan.standing in OWING and plan.outstanding + plan.penalty > 0


async def add_change(session: Session, plan: Plan, change: CardChange, by: PlanActor, *, now: datetime) -> None:
    """Keep that a card is being tried, with the buyer's consent."""
    await session.execute(
        text("""INSERT INTO plan_card_changes (payment_id, plan_id, card_token, consent, asked_by, created_at)
                VALUES (:payment_id, :plan_id, :card_token, :consent, :asked_by, :now)"""),
        {
            "payment_id": change.payment_id, "plan_id": plan.id, "card_token": change.card_token,
            "consent": change.consent, "asked_by": change.asked_by, "now": now,
        },
    )  # fmt: skip
    await tell(session, plan, "card_change_asked", by, now=now, facts={"payment_id": change.payment_id})


async def put_in_place(session: Session, change: CardChange, *, now: datetime) -> CardChange:
    """The bank has said yes: the plan is collected by this card, and what was refused is tried again soon.

    A plan that owes nothing any more keeps its old card. Locks: the plan's charges, then the plan.
    """
    await charge_rows.lock_unpaid(session, change.plan_id)
    plan = await repository.load_plan(session, change.plan_id, lock=True)
    if not owes(plan):
        return await refuse(session, change, NOTHING_OWED, now=now)
    await charge_rows.bring_forward(session, plan.id, now=now)
    await charge_rows.hand_to_card(session, plan.id)
    changed = replace(
        plan, card_token=change.card_token, first_payment_id=change.payment_id, collector=CollectorName.CARD,
        binding_id=None, version=plan.version + 1,
    )  # fmt: skip
    await repository.save_plan(session, changed)
    await _end(session, change, CardChangeStatus.REPLACED, None, now)
    await tell(session, changed, "card_replaced", BY_ITSELF, now=now, facts={"payment_id": change.payment_id})
    return replace(change, status=CardChangeStatus.REPLACED, ended_at=now)


async def refuse(session: Session, change: CardChange, reason: str, *, now: datetime) -> CardChange:
    """The old card stays."""
    plan = await repository.load_plan(session, change.plan_id, lock=True)
    await _end(session, change, CardChangeStatus.REFUSED, reason, now)
    facts = {"payment_id": change.payment_id, "refusal": reason}
    await tell(session, plan, "card_change_refused", BY_ITSELF, now=now, facts=facts)
    return replace(change, status=CardChangeStatus.REFUSED, reason=reason, ended_at=now)


async def _end(
    session: Session, change: CardChange, status: CardChangeStatus, reason: str | None, now: datetime
) -> None:
    await session.execute(
        text("""UPDATE plan_card_changes SET status = :status, reason = :reason, ended_at = :now
                 WHERE payment_id = :id AND status = 'asked'"""),
        {"id": change.payment_id, "status": status.value, "reason": reason, "now": now},
    )


async def settle_change(session: Session, payment_id: str, *, now: datetime) -> None:
    """Nothing more comes of its payment: the rouble was let go, or never held."""
    await session.execute(
        text("UPDATE plan_card_changes SET settled_at = :now WHERE payment_id = :id AND settled_at IS NULL"),
        {"id": payment_id, "now": now},
    )


async def list_changes(session: Session, plan_id: str) -> list[CardChange]:
    """The changes of a plan's card, oldest first."""
    return await _read(session, plan_id)


async def lock_open(session: Session, plan_id: str) -> list[CardChange]:
    """The changes of whose payments something may still come: whoever waited sees what the other has made of them.

    Locks: them, before the plan and its charges.
    """
    return await _read(session, plan_id, " AND settled_at IS NULL", " FOR NO KEY UPDATE")


async def _read(session: Session, plan_id: str, narrowed: str = "", lock: str = "") -> list[CardChange]:
    rows = await session.execute(
        text(f"""SELECT payment_id, plan_id, card_token, consent, asked_by, status, reason, created_at, ended_at
                  FROM plan_card_changes WHERE plan_id = :plan_id{narrowed}
                 ORDER BY created_at, payment_id{lock}"""),  # noqa: S608  # our own words
        {"plan_id": plan_id},
    )
    return [
        CardChange(
            row.payment_id, row.plan_id, row.card_token, row.consent, row.asked_by, CardChangeStatus(row.status),
            row.reason, row.created_at, row.ended_at,
        )
        for row in rows
    ]  # fmt: skip


async def find_change(session: Session, plan_id: str, payment_id: str) -> CardChange | None:
    """One change of a plan's card."""
    found = await list_changes(session, plan_id)
    return next((one for one in found if one.payment_id == payment_id), None)


async def changes_to_carry_on(session: Session, *, limit: int) -> Sequence[str]:
    """Plans whose new card's bank has answered, and nobody has done what follows."""
    found = await session.scalars(
        text("""SELECT DISTINCT h.plan_id FROM plan_card_changes AS h JOIN card_payments AS c ON c.id = h.payment_id
                 WHERE h.settled_at IS NULL AND c.status IN ('authorised', 'captured', 'refused', 'voided')
                 LIMIT :limit"""),
        {"limit": limit},
    )
    return list(found)
