"""The roll of arrears: unpaid installments whose bucket is behind their day move to the one they belong to.

One entry for a whole batch of plans: the sums that went from bucket to bucket.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from installments.arrears import LAST_DAYS, Bucket
from installments.effects import entry_of, total
from installments.plan import Standing
from installments.recording_told import standing_event_of, standing_line
from installments.setbacks import Pick
from ledger import chart, journal, outbox
from ledger.database import Session, text
from ledger.outbox import PUBLISH_MAX
from pci.audit_log.staging import stage

PLANS_MAX = 2_000
"""Plans in one batch: well under a second."""

_BUCKET = (
    "CASE "
    + " ".join(f"WHEN CAST(:on AS date) - i.due_on <= {days} THEN '{bucket.value}'" for days, bucket in LAST_DAYS)
    + f" ELSE '{Bucket.DPD_90_PLUS.value}' END"
)


async def roll(
    session: Session, on: date, *, reference: str, now: datetime, pick: Pick | None = None
) -> tuple[int, int]:
    """Row 10: move up to ``PLANS_MAX`` plans; how many, and kopecks that moved. None left: zero.

    Дт asset:plan_receivable:<later>      Кт asset:plan_receivable:<earlier>    what is unpaid, bucket by bucket

    Locks: the plans in the order of their ids, then the accounts.
    """
    pick = pick or Pick()
    plan_ids = await _behind(session, on, pick)
    pick.take(plan_ids)
    if not plan_ids:
        return 0, 0
    moved = await _move(session, plan_ids, on)
    await _tell_overdue(session, plan_ids, on, now)
    effect = total(
        {chart.plan_receivable(later): kopecks, chart.plan_receivable(earlier): -kopecks}
        for earlier, later, kopecks in moved
    )
    entry = entry_of(
        effect, kind="plan.arrears", reference=reference, happened_at=now,
        metadata={"on": on.isoformat(), "plans": len(plan_ids)},
    )  # fmt: skip
    if entry is not None:
        await journal.post(session, entry, now=now)
    return len(plan_ids), sum(kopecks for _, _, kopecks in moved)


async def _behind(session: Session, on: date, pick: Pick) -> list[str]:
    """Plans with installments behind their day, locked. A range of the index for each bucket."""
    rows = await session.execute(
        text(f"""SELECT id FROM installment_plans
                 WHERE id IN (SELECT i.plan_id
                                FROM unnest(CAST(:buckets AS text[]), CAST(:days AS date[])) AS b (bucket, before)
                                JOIN installments AS i ON i.bucket = b.bucket AND i.due_on < b.before
                                 AND i.paid_kopecks < i.amount_kopecks{pick.where("i.plan_id")}
                               LIMIT :limit)
                 ORDER BY id FOR NO KEY UPDATE"""),  # noqa: S608  # our own words
        {
            "buckets": [bucket for _, bucket in LAST_DAYS],
            "days": [on - timedelta(days=last) for last, _ in LAST_DAYS], "limit": PLANS_MAX,
        } | pick.facts(),
    )  # fmt: skip
    return [row.id for row in rows]


async def _move(session: Session, plan_ids: list[str], on: date) -> list[tuple[str, str, int]]:
    """Kopecks by earlier and later bucket."""
    rows = await session.execute(
        text(f"""WITH late AS (
                     SELECT i.plan_id, i.number, i.bucket AS earlier, {_BUCKET} AS later
                       FROM installments AS i
                      WHERE i.plan_id = ANY(CAST(:ids AS text[])) AND i.paid_kopecks < i.amount_kopecks),
                 moved AS (
                     UPDATE installments AS i SET bucket = l.later
                       FROM late AS l
                      WHERE i.plan_id = l.plan_id AND i.number = l.number
                        AND array_position(CAST(:ranks AS text[]), l.later)
                            > array_position(CAST(:ranks AS text[]), l.earlier)
                     RETURNING l.earlier, l.later, i.amount_kopecks - i.paid_kopecks AS unpaid)
                 SELECT earlier, later, sum(unpaid)::bigint AS kopecks FROM moved
                  GROUP BY earlier, later ORDER BY earlier, later"""),  # noqa: S608  # buckets of ours
        {"ids": plan_ids, "on": on, "ranks": list(Bucket)},
    )
    return [(row.earlier, row.later, row.kopecks) for row in rows]


async def _tell_overdue(session: Session, plan_ids: list[str], on: date, now: datetime) -> None:
    """Debts that were current and are overdue from this day."""
    rows = await session.execute(
        text("""UPDATE installment_plans SET standing = 'overdue', version = version + 1
                 WHERE id = ANY(CAST(:ids AS text[])) AND standing = 'current' AND next_due_on < :on
                RETURNING id, merchant_id, outstanding_kopecks, overpaid_kopecks, penalty_kopecks, refunded_kopecks,
                          next_due_on"""),
        {"ids": plan_ids, "on": on},
    )
    overdue = sorted((dict(row._mapping) for row in rows), key=lambda row: str(row["id"]))
    events = [standing_event_of(Standing.OVERDUE, row) for row in overdue]
    for start in range(0, len(events), PUBLISH_MAX):
        await outbox.publish_all(session, events[start : start + PUBLISH_MAX], now=now)
    await stage(session, [standing_line(Standing.OVERDUE, row, now) for row in overdue])
