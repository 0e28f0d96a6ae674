"""The lane of messages about arrears (очередь взыскания): whom they reach, and when, is the law's.

Messages of all plans of a buyer count together, from the moment they were first handed to the gateway. One above the
cap waits for its time; one that a newer message of the same plan has come after, or of a debt that is late no more, is
``overtaken`` and its reason says by what. What is late is read anew when a message goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row

from installments.contact_caps import MONTH, in_hours, may_write_at
from installments.law import Law, law_on
from installments.notice_texts import Language, Template
from installments.notices import LEASE, Lane, Notice, encode_facts
from ledger.clock import moscow_day
from ledger.database import Session, text

LOCK_SPACE = 19286
"""Of the advisory locks of buyers whose messages are counted."""
OVERDUE = frozenset({Template.OVERDUE_SOFT, Template.OVERDUE_FIRM, Template.OVERDUE_LAST})
PAUSED = "paused"
"""A dispute was opened meanwhile."""
NOTHING_DUE = "nothing_due"
TOO_LATE = "too_late"
"""The next try that it promised is over."""


@dataclass(frozen=True, slots=True)
class NoticeChoice:
    """What becomes of a message now: sent, when it is to be looked at again, or why it never goes."""

    row: Row[Any]
    facts: Mapping[str, int | str]
    wait_until: datetime | None = None
    overtaken_by: str | None = None


async def claim_dunning(session: Session, *, now: datetime, limit: int) -> list[Notice]:
    """The messages about arrears that may go now; of the others is kept when, or why never.

    Locks: the messages, skipping those that another worker takes at this moment; their buyers (advisory).
    """
    law = law_on(moscow_day(now))
    if in_hours(now, law) != now:
        return []
    due = await _due(session, now, limit)
    contacts = await _contacts(session, sorted({row.buyer_id for row in due}), now)
    choices = [_choose(row, contacts.setdefault(row.buyer_id, []), law, now) for row in due]
    await _keep(session, choices, now)
    return [_notice(each) for each in choices if each.wait_until is None and each.overtaken_by is None]


def _choose(row: Row[Any], contacts: list[datetime], law: Law, now: datetime) -> NoticeChoice:
    """Locks nothing, and counts the message among its buyer's when it goes."""
    template, today = Template(row.template), moscow_day(now)
    is_repeat = row.contacted_at is not None  # the gateway sends an id once: it is the same contact
    if not is_repeat and (reason := _why_never(template, row, today)) is not None:
        return NoticeChoice(row, row.facts, overtaken_by=reason)
    facts = row.facts
    if template in OVERDUE and not is_repeat:
        facts = dict(row.facts) | {"amount": row.late_amount, "days": (today - row.next_due_on).days}
    at = now if is_repeat else may_write_at(contacts, now, law)
    if at > now:
        return NoticeChoice(row, facts, wait_until=at)
    if not is_repeat:
        contacts.append(now)
    return NoticeChoice(row, facts)


def _why_never(template: Template, row: Row[Any], today: date) -> str | None:
    if row.is_paused:
        return PAUSED
    last_day = today - timedelta(days=1) if template in OVERDUE else today
    if row.next_due_on is None or row.next_due_on > last_day:
        return NOTHING_DUE
    on = row.facts.get("on")
    if on is not None and date.fromisoformat(on) < today:
        return TOO_LATE
    return None if row.newer_id is None else str(row.newer_id)


async def _due(session: Session, now: datetime, limit: int) -> Sequence[Row[Any]]:
    found = await session.execute(
        text("""SELECT n.id, n.plan_id, n.buyer_id, n.template, n.language, n.channel, n.facts, n.tries, n.contacted_at,
                       p.next_due_on, p.is_paused, p.penalty_kopecks
                           + (SELECT CAST(coalesce(sum(i.amount_kopecks - i.paid_kopecks), 0) AS bigint)
                                FROM installments AS i WHERE i.plan_id = p.id AND i.due_on < :on) AS late_amount,
                       (SELECT max(w.id) FROM plan_notices AS w
                         WHERE w.plan_id = n.plan_id AND w.lane = n.lane AND w.status = 'waiting' AND w.id > n.id
                           AND (w.template = ANY(CAST(:overdue AS text[]))
                                OR n.template <> ALL(CAST(:overdue AS text[]))))
                           AS newer_id
                  FROM plan_notices AS n JOIN installment_plans AS p ON p.id = n.plan_id
                 WHERE n.lane = :lane AND n.next_try_at <= :now
                 ORDER BY n.next_try_at, n.id LIMIT :limit FOR NO KEY UPDATE OF n SKIP LOCKED"""),
        {"lane": int(Lane.DUNNING), "now": now, "on": moscow_day(now), "limit": limit,
         "overdue": sorted(OVERDUE)},
    )  # fmt: skip
    return found.all()


async def _contacts(session: Session, buyer_ids: Sequence[str], now: datetime) -> dict[str, list[datetime]]:
    """When these buyers were written to within a month, kept still until the transaction ends."""
    for buyer_id in buyer_ids:
        await session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:buyer_id, :space))"),
            {"buyer_id": buyer_id, "space": LOCK_SPACE},
        )
    rows = await session.execute(
        text("""SELECT buyer_id, contacted_at FROM plan_notices
                 WHERE buyer_id = ANY(CAST(:ids AS text[])) AND contacted_at > :since"""),
        {"ids": list(buyer_ids), "since": now - MONTH},
    )
    found: dict[str, list[datetime]] = {}
    for row in rows:
        found.setdefault(row.buyer_id, []).append(row.contacted_at)
    return found


async def _keep(session: Session, choices: Sequence[NoticeChoice], now: datetime) -> None:
    if not choices:
        return
    await session.execute(
        text("""UPDATE plan_notices AS n
                   SET status = CASE WHEN c.by IS NULL THEN n.status ELSE 'overtaken' END,
                       reason = coalesce(c.by, n.reason),
                       ended_at = CASE WHEN c.by IS NOT NULL THEN CAST(:now AS timestamptz) END,
                       next_try_at = CASE WHEN c.by IS NULL THEN coalesce(c.until, :lease_until) END,
                       tries = n.tries + CASE WHEN c.by IS NULL AND c.until IS NULL THEN 1 ELSE 0 END,
                       contacted_at = CASE WHEN c.by IS NULL AND c.until IS NULL
                                           THEN coalesce(n.contacted_at, :now) ELSE n.contacted_at END,
                       facts = CAST(c.facts AS jsonb)
                  FROM unnest(CAST(:ids AS text[]), CAST(:bys AS text[]), CAST(:untils AS timestamptz[]),
                              CAST(:facts AS text[])) AS c (id, by, until, facts)
                 WHERE n.id = c.id"""),
        {
            "ids": [each.row.id for each in choices], "bys": [each.overtaken_by for each in choices],
            "untils": [each.wait_until for each in choices],
            "facts": [encode_facts(dict(each.facts)) for each in choices], "now": now, "lease_until": now + LEASE,
        },
    )  # fmt: skip


def _notice(choice: NoticeChoice) -> Notice:
    row = choice.row
    return Notice(
        row.id, row.plan_id, row.buyer_id, Template(row.template), Language(row.language), row.channel, choice.facts,
        row.tries + 1,
    )  # fmt: skip
