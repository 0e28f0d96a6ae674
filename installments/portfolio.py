"""How the portfolio moves: snapshots of plans, roll rates between two of them, vintages by month of contract.

    while await take_snapshot(session, on): ...           # each open plan's bucket at the end of a day, in pages
    cells = await roll_rates(session, from_on, to_on)     # of what stood there, where it stands now
    rows = await vintages(session, on)                    # by month of contract: what was sold, owed, late

Amounts: kopecks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from installments.arrears import LAST_DAYS, Bucket
from installments.regulator import PLACE_SQL
from installments.setbacks import Pick
from ledger.database import Session, text
from ledger.money import Kopecks

REPAID = "repaid"
"""Where a plan rolls to when nothing is owed any more."""
WRITTEN_OFF = "written_off"
PAGE_MAX = 5_000
"""Plans that one transaction of a snapshot keeps: well under a second."""
SNAPSHOT_LOCK = 19285
"""The advisory lock of whoever takes a snapshot."""


@dataclass(frozen=True, slots=True)
class RollRate:
    """What stood in one bucket on the first day, and where it stood on the second."""

    of: Bucket
    to: str
    """A bucket, ``repaid`` or ``written_off``."""
    plans: int
    amount: Kopecks
    """Principal owed on the first day."""


@dataclass(frozen=True, slots=True)
class Vintage:
    """Plans of one month of contract, as they stood on a snapshot's day."""

    month_on: date
    """The first day of the month."""
    plans: int
    sold: Kopecks
    """Their prices at the commit."""
    outstanding: Kopecks
    late: Kopecks
    """Principal of those more than the asked number of days past due."""
    written_off: Kopecks


_NAMES = "(ARRAY[{}])".format(", ".join(f"'{b}'" for b in (*(b for _, b in LAST_DAYS), Bucket.DPD_90_PLUS)))


async def take_snapshot(session: Session, on: date, *, limit: int = PAGE_MAX, pick: Pick | None = None) -> int:
    """Keep bucket and debt, as of the day, of the next plans that owe; how many. None left: zero.

    Goes on after the last plan that is kept of the day, whoever has kept it.
    Locks: the snapshot; who else takes it waits, and then finds what is left.
    """
    pick = pick or Pick()
    await session.execute(text("SELECT pg_advisory_xact_lock(:snapshot)"), {"snapshot": SNAPSHOT_LOCK})
    plan_ids = await _next_of_snapshot(session, on, limit, pick)
    pick.take(plan_ids)
    await session.execute(
        text(f"""INSERT INTO portfolio_snapshots (day_on, plan_id, bucket, outstanding_kopecks)
                 SELECT :on, p.id, {_NAMES}[{PLACE_SQL} + 1], p.outstanding_kopecks
                   FROM installment_plans AS p
                  WHERE p.id = ANY(CAST(:ids AS text[])) AND p.next_due_on IS NOT NULL
                 ON CONFLICT DO NOTHING"""),  # noqa: S608  # our own words only
        {"on": on, "ids": plan_ids},
    )
    return len(plan_ids)


async def _next_of_snapshot(session: Session, on: date, limit: int, pick: Pick) -> list[str]:
    if pick.only is not None:
        return list(pick.only)
    rows = await session.scalars(
        text(f"""SELECT p.id FROM installment_plans AS p
                  WHERE p.next_due_on IS NOT NULL{pick.where("p.id")}
                    AND p.id > (SELECT coalesce(max(plan_id), '') FROM portfolio_snapshots WHERE day_on = :on)
                  ORDER BY p.id LIMIT :limit"""),  # noqa: S608  # our own words
        {"on": on, "limit": limit} | pick.facts(),
    )
    return list(rows)


async def roll_rates(session: Session, from_on: date, to_on: date) -> list[RollRate]:
    """Where the debt of one snapshot stood at a later one, by bucket. Empty if there is no such snapshot."""
    rows = await session.execute(
        text("""SELECT s.bucket, coalesce(l.bucket, CASE p.standing WHEN 'written_off' THEN 'written_off'
                                                     ELSE 'repaid' END) AS ends,
                       count(*) AS plans, sum(s.outstanding_kopecks)::bigint AS amount
                  FROM portfolio_snapshots AS s
                  JOIN installment_plans AS p ON p.id = s.plan_id
                  LEFT JOIN portfolio_snapshots AS l ON l.day_on = :to_on AND l.plan_id = s.plan_id
                 WHERE s.day_on = :from_on AND EXISTS (SELECT 1 FROM portfolio_snapshots WHERE day_on = :to_on)
                 GROUP BY 1, 2 ORDER BY 1, 2"""),
        {"from_on": from_on, "to_on": to_on},
    )
    cells = [RollRate(Bucket(row.bucket), row.ends, row.plans, Kopecks(row.amount)) for row in rows]
    order = [*Bucket, REPAID, WRITTEN_OFF]
    return sorted(cells, key=lambda cell: (order.index(cell.of), order.index(cell.to)))


async def vintages(session: Session, on: date, *, late_after_days: int = 30) -> list[Vintage]:
    """By month of contract: what was sold, and what of it is owed, late and written off as of the snapshot of a day.

    Only plans with a contract by that day count; a written-off plan counts with what was owed at its last snapshot.
    """
    buckets = [bucket for last, bucket in LAST_DAYS if last > late_after_days] + [Bucket.DPD_90_PLUS]
    rows = await session.execute(
        text("""SELECT date_trunc('month', p.contract_on)::date AS month_on, count(*) AS plans,
                       sum(p.price_kopecks)::bigint AS sold,
                       coalesce(sum(s.outstanding_kopecks), 0)::bigint AS outstanding,
                       coalesce(sum(s.outstanding_kopecks) FILTER (WHERE s.bucket = ANY(:late)), 0)::bigint AS late,
                       coalesce(sum(w.outstanding_kopecks) FILTER (WHERE p.standing = 'written_off'), 0)::bigint AS gone
                  FROM installment_plans AS p
                  LEFT JOIN portfolio_snapshots AS s ON s.day_on = :on AND s.plan_id = p.id
                  LEFT JOIN LATERAL (
                      SELECT outstanding_kopecks FROM portfolio_snapshots
                       WHERE p.standing = 'written_off' AND plan_id = p.id AND day_on < :on
                       ORDER BY day_on DESC LIMIT 1) AS w ON true
                 WHERE p.committed_at IS NOT NULL AND p.contract_on <= :on
                 GROUP BY 1 ORDER BY 1"""),
        {"on": on, "late": [bucket.value for bucket in buckets]},
    )
    return [
        Vintage(
            row.month_on, row.plans, Kopecks(row.sold), Kopecks(row.outstanding), Kopecks(row.late), Kopecks(row.gone)
        )
        for row in rows
    ]
