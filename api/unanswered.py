"""Attempts given up by themselves: their rail kept silent as often as the till's setting allows.

The order stays open, so the cashier may go on by another rail at once. Whatever the rail did hear all the same comes
late: it is let go or given back, as for any attempt that is over.
"""

from __future__ import annotations

from datetime import datetime

from checkout import repository as till_rows
from checkout import till
from checkout.attempts import AttemptStatus
from checkout.premises_settings import setting_of
from checkout.telling import BY_ITSELF, Fact, tell
from ledger.database import Session, text

SETTING = "cancel_after_retries"
SILENT = frozenset({AttemptStatus.REQUESTED, AttemptStatus.UNKNOWN})


async def give_up_if_spent(session: Session, attempt_id: str, retries: int, *, now: datetime) -> bool:
    """End an attempt whose rail was asked again ``retries`` times and never answered, if its till allows no more.

    Locks: the order, the attempt, the numbering of its events.
    """
    of_order = (await till_rows.lock_with_orders(session, [attempt_id]))[attempt_id]
    if of_order.attempt.status not in SILENT:
        return False
    allowed = await setting_of(session, of_order.order.terminal_id, SETTING)
    assert isinstance(allowed, int), "the setting is a number"
    if retries < allowed:
        return False
    await till.close_attempts(session, [attempt_id], AttemptStatus.EXPIRED)
    await session.execute(
        text("INSERT INTO unanswered_attempts (attempt_id, tries, ended_at) VALUES (:id, :tries, :now)"),
        {"id": attempt_id, "tries": retries + 1, "now": now},
    )
    facts: dict[str, Fact] = {"order_id": of_order.order.id, "rail": of_order.attempt.rail, "tries": retries + 1}
    await tell(session, "attempt.unanswered", attempt_id, of_order.order.merchant_id, BY_ITSELF, facts, now=now)
    return True


async def code_retries(session: Session, attempt_id: str) -> int:
    """How often a dynamic code was asked for again, when one more has just been written down."""
    codes: int | None = await session.scalar(
        text("SELECT count(*) FROM qr_codes WHERE attempt_id = :id"), {"id": attempt_id}
    )
    return max(int(codes or 0) - 2, 0)
