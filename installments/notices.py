"""Notices (уведомления) to buyers: an outbox with two lanes, so that news to many never hold up what one must know.

A notice is written in the transaction of what it tells of. It holds facts and no text, no phone and no name: the text
is made and the phone is read when it is sent. Its id is the message's id at the gateway, which sends an id once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import IntEnum

from installments.contact_caps import in_hours
from installments.law import law_on
from installments.notice_texts import Language, Template
from ledger.clock import MOSCOW, moscow_day
from ledger.database import Session, text
from ledger.ids import new_ids

NOTICES_MAX = 1_000
"""Written in one call."""
CLAIM_MAX = 50
"""Sent in one round: what a gateway takes well within a lease."""
LEASE = timedelta(minutes=1)
TRIES_MAX = 8
WAITS = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 1_800, 7_200, 21_600, 43_200))
QUIET_FROM, QUIET_UNTIL = time(21), time(9)
"""Between them nobody is disturbed about a debt.

Source: own decision, of whatever is not about arrears; those have the hours and caps of 230-FZ (``contact_caps``).
"""


class Lane(IntEnum):
    """Who goes first."""

    TRANSACTIONAL = 0
    MASS = 1
    DUNNING = 2
    """About what is late: by the law's hours and caps (``dunning_lane``)."""


LANE_OF: dict[Template, Lane] = dict.fromkeys(Template, Lane.TRANSACTIONAL) | {
    Template.NEWS: Lane.MASS,
    Template.OVERDUE_SOFT: Lane.DUNNING,
    Template.OVERDUE_FIRM: Lane.DUNNING,
    Template.OVERDUE_LAST: Lane.DUNNING,
    Template.CHARGE_FAILED: Lane.DUNNING,
    Template.CHARGE_GIVEN_UP: Lane.DUNNING,
}
"""What a buyer is told of money that was not got counts as collection; reminders before its day and receipts do not."""
UNCAPPED = (Lane.TRANSACTIONAL, Lane.MASS)
AT_ANY_HOUR = frozenset({Template.CHARGE_DONE, Template.REPAID, Template.REFUND})
"""Answers to what has just happened; all others wait for the morning."""
COST_KOPECKS = {"sms": 250, "push": 0}
"""What one message costs us. Source: own assumption, to be replaced by the gateway's contract."""


encode_facts = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Wish:
    """Something a buyer is to be told."""

    template: Template
    plan_id: str
    buyer_id: str
    stage: str
    """What it is about, beside the plan and the installment: the same is told once."""
    facts: Mapping[str, int | str] = field(default_factory=dict)
    installment_number: int = 0
    """0: of the whole plan."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice claimed to be sent."""

    id: str
    plan_id: str
    buyer_id: str
    template: Template
    language: Language
    channel: str
    facts: Mapping[str, int | str]
    tries: int
    """This one among them."""


def is_quiet(now: datetime) -> bool:
    """Whether nobody is to be disturbed about a debt now."""
    return not QUIET_UNTIL <= now.astimezone(MOSCOW).time() < QUIET_FROM


def send_at(template: Template, now: datetime) -> datetime:
    """When a notice may be sent: at once, or in the morning if it would disturb."""
    if LANE_OF[template] is Lane.DUNNING:
        return in_hours(now, law_on(moscow_day(now)))
    if template in AT_ANY_HOUR or not is_quiet(now):
        return now
    at = now.astimezone(MOSCOW)
    morning = at if at.time() < QUIET_UNTIL else at + timedelta(days=1)
    return morning.replace(hour=QUIET_UNTIL.hour, minute=0, second=0, microsecond=0)


async def add_notices(session: Session, wishes: Sequence[Wish], *, now: datetime) -> int:
    """Write notices in the transaction of what they tell of; gives how many had not been told before."""
    assert len(wishes) <= NOTICES_MAX
    told = [wish for wish in wishes if wish.buyer_id]
    if not told:
        return 0
    written = await session.execute(
        text("""INSERT INTO plan_notices (id, plan_id, buyer_id, template, installment_number, stage, lane, facts,
                                          next_try_at, created_at)
                SELECT n.*, CAST(:now AS timestamptz) FROM unnest(
                    CAST(:ids AS text[]), CAST(:plans AS text[]), CAST(:buyers AS text[]), CAST(:templates AS text[]),
                    CAST(:numbers AS int[]), CAST(:stages AS text[]), CAST(:lanes AS int[]), CAST(:facts AS jsonb[]),
                    CAST(:at AS timestamptz[])) AS n
                ON CONFLICT ON CONSTRAINT plan_notices_once_key DO NOTHING"""),
        {
            "ids": new_ids("ntc", now, len(told)), "plans": [wish.plan_id for wish in told],
            "buyers": [wish.buyer_id for wish in told], "templates": [wish.template.value for wish in told],
            "numbers": [wish.installment_number for wish in told], "stages": [wish.stage for wish in told],
            "lanes": [int(LANE_OF[wish.template]) for wish in told],
            "facts": [encode_facts(dict(wish.facts)) for wish in told],
            "at": [send_at(wish.template, now) for wish in told], "now": now,
        },
    )  # fmt: skip
    return int(written.rowcount)


async def claim_notices(
    session: Session, *, now: datetime, lanes: Sequence[Lane] = UNCAPPED, limit: int = CLAIM_MAX
) -> list[Notice]:
    """The notices of the first two lanes to be sent now: of the later only when the earlier leaves room.

    In the quiet hours only what is sent at any hour: also a repeat, or what a worker that was away has left, waits.
    Locks: those it takes, skipping those that another worker takes at this moment.
    """
    claimed: list[Notice] = []
    for lane in sorted(set(lanes) & set(UNCAPPED)):
        if len(claimed) < limit:
            claimed += await _claim(session, lane, now, limit - len(claimed))
    return claimed


async def _claim(session: Session, lane: Lane, now: datetime, limit: int) -> list[Notice]:
    found = await session.execute(
        text("""UPDATE plan_notices AS n SET tries = n.tries + 1, next_try_at = :lease_until
                 WHERE n.id IN (SELECT id FROM plan_notices WHERE lane = :lane AND next_try_at <= :now
                                   AND (template = ANY(CAST(:at_any_hour AS text[])) OR NOT :is_quiet)
                                 ORDER BY next_try_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
             RETURNING n.id, n.plan_id, n.buyer_id, n.template, n.language, n.channel, n.facts, n.tries"""),
        {
            "lane": int(lane), "now": now, "lease_until": now + LEASE, "limit": limit, "is_quiet": is_quiet(now),
            "at_any_hour": [template.value for template in AT_ANY_HOUR],
        },
    )  # fmt: skip
    return [
        Notice(
            row.id, row.plan_id, row.buyer_id, Template(row.template), Language(row.language), row.channel, row.facts,
            row.tries,
        )
        for row in found
    ]  # fmt: skip


async def end_notice(
    session: Session, notice: Notice, *, reason: str | None, now: datetime, was_refused: bool = False
) -> None:
    """Keep that a notice was sent, with what it cost, or that it never will be and why.

    ``was_refused``: it surely reached nobody, so it is no contact; without a word of the gateway it may have.
    """
    await session.execute(
        text("""UPDATE plan_notices SET status = :status, reason = :reason, cost_kopecks = :cost, next_try_at = NULL,
                       contacted_at = CASE WHEN :was_refused THEN NULL ELSE contacted_at END,
                       ended_at = :now WHERE id = :id AND status = 'waiting'"""),
        {
            "id": notice.id, "status": "sent" if reason is None else "failed", "reason": reason, "now": now,
            "cost": COST_KOPECKS[notice.channel] if reason is None else 0, "was_refused": was_refused,
        },
    )  # fmt: skip


async def retry_notice(session: Session, notice: Notice, *, reason: str, now: datetime) -> None:
    """Keep that a notice is to be sent again, later and later; in the end it is given up."""
    if notice.tries >= TRIES_MAX:
        await end_notice(session, notice, reason=reason, now=now)
        return
    await session.execute(
        text("UPDATE plan_notices SET next_try_at = :at, reason = :reason WHERE id = :id AND status = 'waiting'"),
        {"id": notice.id, "at": now + WAITS[min(notice.tries, len(WAITS)) - 1], "reason": reason},
    )
