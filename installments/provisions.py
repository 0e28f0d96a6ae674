"""Provisions (резерв под потери): what we expect to lose of plans, by a matrix of rates, as a nightly difference.

A plan is as bad as its worst installment: one part 40 days late puts the whole of it in stage 2. Stage 1 is up to 30
days late, stage 2 from 31, stage 3 from 91.

Source: IFRS 9 5.5 (general approach; 5.5.11 and B5.5.37: 30 and 90 days); installments.md 5.3. The rates are ours:
``plan_loss_rates``, each with its source and grade.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from installments.arrears import Bucket
from installments.effects import entry_of
from installments.merchant_money import LOCK_SPACE
from ledger import chart, journal
from ledger.accounts import find_account
from ledger.database import Session, text
from ledger.money import BASIS_POINTS

STAGES: dict[Bucket, int] = {
    Bucket.NOT_DUE: 1, Bucket.DUE: 1, Bucket.DPD_1_3: 1, Bucket.DPD_4_14: 1, Bucket.DPD_15_30: 1,
    Bucket.DPD_31_60: 2, Bucket.DPD_61_90: 2, Bucket.DPD_90_PLUS: 3,
}  # fmt: skip
"""The stage of a plan by its worst bucket."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Debts of plans whose worst installment is in one bucket. Amounts: kopecks."""

    bucket: Bucket
    outstanding: int
    basis_points: int

    @property
    def stage(self) -> int:
        """1, 2 or 3."""
        return STAGES[self.bucket]

    @property
    def expected_loss(self) -> int:
        """What we expect to lose of it, the part of a kopeck up."""
        return -(-self.outstanding * self.basis_points // BASIS_POINTS)


async def exposures(session: Session, on: date) -> list[Exposure]:
    """All debts by the worst bucket of their plan, with the rates of a day, the worst last.

    Only plans with something due are looked at one by one; all others are what is left of the receivables.
    """
    rows = await session.execute(
        text("""WITH due AS (
                    SELECT i.rank, sum(p.outstanding_kopecks)::bigint AS outstanding
                      FROM (SELECT plan_id, max(array_position(CAST(:buckets AS text[]), bucket)) AS rank
                              FROM installments
                             WHERE paid_kopecks < amount_kopecks AND bucket = ANY(CAST(:due AS text[]))
                             GROUP BY plan_id) AS i
                      JOIN installment_plans AS p ON p.id = i.plan_id
                     GROUP BY i.rank)
                SELECT rank, outstanding FROM due
                 UNION ALL
                SELECT 1, coalesce(sum(a.debits_posted - a.credits_posted), 0)::bigint
                          - coalesce((SELECT sum(outstanding) FROM due), 0)::bigint
                  FROM books AS b JOIN accounts AS a ON a.book = b.number
                 WHERE b.name = 'main' AND a.code = ANY(CAST(:codes AS text[]))
                 ORDER BY 1"""),
        {
            "buckets": list(Bucket), "due": [bucket for bucket in Bucket if bucket is not Bucket.NOT_DUE],
            "codes": [chart.plan_receivable(bucket) for bucket in Bucket],
        },
    )  # fmt: skip
    rates, ranked = await loss_rates(session, on), list(Bucket)
    return [Exposure(ranked[rank - 1], outstanding, rates[ranked[rank - 1]]) for rank, outstanding in rows]


async def loss_rates(session: Session, on: date) -> dict[Bucket, int]:
    """The matrix of a day: basis points by bucket."""
    rows = await session.execute(
        text("""SELECT DISTINCT ON (bucket) bucket, basis_points FROM plan_loss_rates
                 WHERE effective_on <= :on ORDER BY bucket, effective_on DESC"""),
        {"on": on},
    )
    return {Bucket(row.bucket): row.basis_points for row in rows}


async def add_loss_rates(session: Session, rates: dict[Bucket, int], *, on: date, grade: str, source: str) -> None:
    """Expect other losses from a Moscow day on; what was said for that day is not said anew."""
    await session.execute(
        text("""INSERT INTO plan_loss_rates (effective_on, bucket, basis_points, grade, source)
                SELECT :on, r.bucket, r.basis_points, :grade, :source
                  FROM unnest(CAST(:buckets AS text[]), CAST(:rates AS int[])) AS r (bucket, basis_points)"""),
        {"on": on, "buckets": list(rates), "rates": list(rates.values()), "grade": grade, "source": source},
    )


async def provide(session: Session, on: date, *, reference: str, now: datetime) -> int:
    """Row 21: bring the allowance to what is expected; how many kopecks that took.

    Дт expense:plan_loss                  Кт asset:plan_allowance               more is expected
    Дт asset:plan_allowance               Кт expense:plan_loss                  less

    Locks: the allowance, then the accounts.
    """
    allowance = await lock_allowance(session)
    missing = sum(one.expected_loss for one in await exposures(session, on)) - allowance
    entry = entry_of(
        {chart.PLAN_LOSS: missing, chart.PLAN_ALLOWANCE: -missing},
        kind="plan.provided", reference=reference, happened_at=now, metadata={"on": on.isoformat()},
    )  # fmt: skip
    if entry is not None:
        await journal.post(session, entry, now=now)
    return missing


async def lock_allowance(session: Session) -> int:
    """Kopecks of losses that were expected, kept still until the transaction ends.

    Locks: an advisory lock; before any account.
    """
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:what, :space))"),
        {"what": chart.PLAN_ALLOWANCE, "space": LOCK_SPACE},
    )
    account = await find_account(session, chart.PLAN_ALLOWANCE)
    return 0 if account is None else account.available
