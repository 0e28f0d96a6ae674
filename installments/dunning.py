"""Dunning (напоминания и взыскание): reminders before a charge, and the stages that arrears go through, as data.

Both are walked once a night over all plans, in batches. A reminder and a stage are told once, however often a night is
walked: the notice has its unique name, the stage its row. New plans are closed to a buyer in arrears by the decision
policy, which reads the plans' standing; nothing here decides that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row

from installments.arrears import days_past_due
from installments.notice_texts import Template
from installments.notices import Wish, add_notices
from installments.setbacks import Pick
from ledger import outbox
from ledger.database import Session, text
from ledger.outbox import Event
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage

REMIND_DAYS = 2
"""Before an installment's day. Source: own decision; services remind before each charge (installments.md 1.8)."""
WALK_MAX = 500
"""Plans in one step of a walk."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How far dunning has come with a plan."""

    days: int
    """Past due, from which it holds."""
    template: Template


STAGES = (
    Stage(1, Template.OVERDUE_SOFT),
    Stage(3, Template.OVERDUE_SOFT),
    Stage(7, Template.OVERDUE_FIRM),
    Stage(14, Template.OVERDUE_FIRM),
    Stage(30, Template.OVERDUE_FIRM),
    Stage(60, Template.OVERDUE_LAST),
    Stage(90, Template.OVERDUE_LAST),
)
"""Source: own decision (installments/DECISIONS.md), along the buckets of arrears."""
_TEMPLATE_OF = {stage.days: stage.template for stage in STAGES}


async def remind(
    session: Session, on: date, *, now: datetime, after: str = "", limit: int = WALK_MAX, pick: Pick | None = None
) -> str | None:
    """Tell the next buyers that an installment of theirs is charged soon. Gives where to go on, if at all."""
    due_on, pick = on + timedelta(days=REMIND_DAYS), pick or Pick()
    found = await session.execute(
        text(f"""SELECT i.plan_id, i.number, p.buyer_id,
                       (SELECT CAST(sum(a.amount_kopecks - a.paid_kopecks) AS bigint) FROM installments AS a
                         WHERE a.plan_id = p.id AND a.due_on <= :due_on) + p.penalty_kopecks AS amount
                  FROM installments AS i JOIN installment_plans AS p ON p.id = i.plan_id
                 WHERE i.bucket = 'not_due' AND i.due_on = :due_on AND i.paid_kopecks < i.amount_kopecks
                   AND i.plan_id > :after AND NOT p.is_paused{pick.where("i.plan_id")}
                 ORDER BY i.plan_id LIMIT :limit"""),  # noqa: S608  # our own words
        {"due_on": due_on, "after": after, "limit": limit} | pick.facts(),
    )
    rows = found.all()
    pick.take(row.plan_id for row in rows)
    facts = {"on": due_on.isoformat()}
    await add_notices(
        session,
        [
            Wish(
                Template.REMINDER, row.plan_id, row.buyer_id or "", due_on.isoformat(), facts | {"amount": row.amount},
                row.number,
            )
            for row in rows
        ],
        now=now,
    )  # fmt: skip
    return rows[-1].plan_id if len(rows) == limit else None


_LATE = """
SELECT p.id, p.merchant_id, p.buyer_id, p.next_due_on, s.stage,
       (SELECT CAST(sum(i.amount_kopecks - i.paid_kopecks) AS bigint) FROM installments AS i
         WHERE i.plan_id = p.id AND i.due_on < :on) + p.penalty_kopecks AS amount
  FROM installments AS u
  JOIN installment_plans AS p ON p.id = u.plan_id AND p.next_due_on = u.due_on
 CROSS JOIN LATERAL (SELECT max(each) AS stage FROM unnest(CAST(:stages AS int[])) AS each
                      WHERE each <= :on - p.next_due_on) AS s
 WHERE u.paid_kopecks < u.amount_kopecks AND u.due_on < :on AND NOT p.is_paused{pick}
   AND (u.due_on, u.plan_id) > (:after_on, :after_id)
   AND NOT EXISTS (SELECT FROM plan_dunning_stages AS d
                    WHERE d.plan_id = p.id AND d.overdue_since = p.next_due_on AND d.stage = s.stage)
 ORDER BY u.due_on, u.plan_id LIMIT :limit"""


async def move_stages(
    session: Session, on: date, *, now: datetime, after: tuple[date, str] = (date.min, ""), limit: int = WALK_MAX,
    pick: Pick | None = None,
) -> tuple[date, str] | None:  # fmt: skip
    """Move the next late plans to the stage of the day, once each, and tell buyers. Gives where to go on, if at all.

    A stage that was slept through is not told afterwards: only the latest is.
    """
    stages, pick = [stage.days for stage in STAGES], pick or Pick()
    asked = {"on": on, "stages": stages, "after_on": after[0], "after_id": after[1], "limit": limit} | pick.facts()
    late = (await session.execute(text(_LATE.format(pick=pick.where("p.id"))), asked)).all()
    went = (late[-1].next_due_on, late[-1].id) if late else None
    pick.take([row.id for row in late], went)
    moved = await _add_stages(session, late, on)
    told = [row for row in late if row.id in moved]
    await add_notices(session, [_wish(row, on) for row in told], now=now)
    await outbox.publish_all(session, [_event(row, on) for row in told], now=now)
    await stage(session, [_leaf(row, on, now) for row in told])
    return went if len(late) == limit else None


async def _add_stages(session: Session, late: Sequence[Row[Any]], on: date) -> set[str]:
    if not late:
        return set()
    found = await session.execute(
        text("""INSERT INTO plan_dunning_stages (plan_id, overdue_since, stage, reached_on)
                SELECT n.plan_id, n.since, n.stage, :on
                  FROM unnest(CAST(:plans AS text[]), CAST(:since AS date[]), CAST(:stages AS int[]))
                       AS n (plan_id, since, stage)
                ON CONFLICT DO NOTHING RETURNING plan_id"""),
        {
            "plans": [row.id for row in late], "since": [row.next_due_on for row in late],
            "stages": [row.stage for row in late], "on": on,
        },
    )  # fmt: skip
    return {row.plan_id for row in found}


def _wish(row: Row[Any], on: date) -> Wish:
    facts = {"amount": row.amount, "days": days_past_due(row.next_due_on, on=on)}
    name = f"{row.next_due_on.isoformat()}:{row.stage}"
    return Wish(_TEMPLATE_OF[row.stage], row.id, row.buyer_id or "", name, facts)


def _event(row: Row[Any], on: date) -> Event:
    data = {
        "plan_id": row.id, "merchant_id": row.merchant_id, "buyer_id": row.buyer_id, "stage": row.stage,
        "overdue_since": row.next_due_on.isoformat(), "days_past_due": days_past_due(row.next_due_on, on=on),
        "amount_kopecks": row.amount,
    }  # fmt: skip
    return Event("plan.dunning_stage_reached", row.id, None, data)  # merchants are not told how the house collects


def _leaf(row: Row[Any], on: date, now: datetime) -> AuditEvent:
    facts = {"stage": row.stage, "days_past_due": days_past_due(row.next_due_on, on=on)}
    return AuditEvent(
        "plan.dunning_stage_reached", "system:plans", "worker", f"plan:{row.id}", now, merchant_id=row.merchant_id,
        facts=facts,
    )  # fmt: skip
