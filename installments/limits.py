"""The spending limit (лимит рассрочки): revolving, so repaid principal may be used again.

What counts against it is principal owed by all plans, and the whole price of plans that are approved or held but not
committed. Whoever decides holds the buyer's row, so two plans accepted at once do not pass it together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from installments import buyer_news
from installments import buyer_rows as rows
from installments.buyer import Buyer, checked_limit
from installments.decision_policies import policy_on
from installments.setbacks import Pick
from ledger.clock import moscow_day
from ledger.database import Session
from ledger.money import Kopecks


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How much of a limit is used."""

    limit: Kopecks
    used: Kopecks

    @property
    def free(self) -> Kopecks:
        """What may still be bought; nothing when a lowered limit is overused."""
        return Kopecks(max(0, self.limit - self.used))


async def limit_use(session: Session, buyer_id: str, *, now: datetime) -> LimitUse:
    """How much of the buyer's limit is used. Raises: BuyerNotFound."""
    standing = await rows.load_standing(session, buyer_id, on=moscow_day(now))
    return LimitUse(standing.buyer.limit, standing.counts.used)


async def set_limit(session: Session, buyer_id: str, kopecks: int, *, reason: str, by: str, now: datetime) -> Buyer:
    """Give the buyer another limit, and keep who did it and why. What is owed above a lower one stays owed.

    Raises: BuyerNotFound, LimitOutOfRange. Locks: the buyer.
    """
    limit = checked_limit(kopecks)
    buyer = await rows.load_buyer(session, buyer_id, lock=True)
    if limit == buyer.limit:
        return buyer
    await rows.add_limit_change(session, buyer_id, buyer.limit, limit, reason, by, now=now)
    changed = replace(buyer, limit=limit, version=buyer.version + 1)
    await rows.save_standing(session, changed)
    facts = {"before_kopecks": int(buyer.limit), "limit_kopecks": int(limit)}
    await buyer_news.tell(session, "limit_changed", buyer_id, now=now, by=by, facts=facts, reason=reason)
    return changed


async def note_arrears(session: Session, *, on: date, after: str = "", pick: Pick | None = None) -> str | None:
    """A batch of the night: write down who is late by enough days to be frozen, so that a freeze outlasts the arrears.

    Gives the plan to go on after, or nothing when done. Locks: the buyers of the batch.
    """
    overdue_by = on - timedelta(days=(await policy_on(session, on)).freeze_days_overdue)
    limit, pick = rows.ARREARS_BATCH_MAX, pick or Pick()
    late = await rows.late_plans(session, overdue_by, after=after, limit=limit, pick=pick)
    pick.take(late)
    await rows.note_arrears(session, late, on=on)
    return late[-1] if len(late) == limit else None
