"""The sub-ledger of plans (аналитический учёт): the plans and the books say the same, to the kopeck.

``check`` compares them in one statement, so in one moment: whatever is recorded meanwhile is in both or in neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from installments import repository
from installments.arrears import Bucket
from installments.clearing import clearing_accounts
from installments.overpayments import REFUSED_BY_CARDS
from ledger import chart
from ledger.database import Session, text


@dataclass(frozen=True, slots=True)
class Difference:
    """One account that says other than the plans. Amounts: kopecks."""

    account: str
    in_books: int
    in_plans: int


_CHECK = f"""
WITH owed AS (
    SELECT bucket, sum(amount_kopecks - paid_kopecks)::bigint AS kopecks
      FROM installments WHERE paid_kopecks < amount_kopecks GROUP BY bucket),
plans AS (
    SELECT sum(overpaid_kopecks)::bigint AS overpaid, sum(penalty_kopecks)::bigint AS penalty,
           sum(fee_kopecks)::bigint AS fee, sum(outstanding_kopecks)::bigint AS outstanding
      FROM installment_plans WHERE standing <> 'none'),
kept AS (
    SELECT sum(held_kopecks)::bigint AS held, sum(fee_recognised_kopecks)::bigint AS recognised,
           sum(recovered_kopecks)::bigint AS recovered,
           sum(penalty_accrued_kopecks - penalty_waived_kopecks)::bigint AS penalty_charged
      FROM plan_books),
reserved AS (
    SELECT p.merchant_id, sum(b.reserved_kopecks)::bigint AS kopecks
      FROM plan_books AS b JOIN installment_plans AS p ON p.id = b.plan_id
     WHERE b.reserved_kopecks > 0 GROUP BY p.merchant_id),
refused AS ({REFUSED_BY_CARDS} GROUP BY m.plan_id),
said (account, kopecks) AS (
    SELECT 'asset:plan_receivable:' || bucket, kopecks FROM owed
    UNION ALL SELECT :penalties, penalty FROM plans
    UNION ALL SELECT :overpayments, overpaid FROM plans
    UNION ALL SELECT :refused, sum(kopecks)::bigint FROM refused
    UNION ALL SELECT :deferred, plans.fee - kept.recognised FROM plans, kept
    UNION ALL SELECT :holds, held FROM kept
    UNION ALL SELECT :earned, recognised FROM kept
    UNION ALL SELECT :recoveries, recovered FROM kept
    UNION ALL SELECT :penalty_income, penalty_charged FROM kept
    UNION ALL SELECT 'liability:plan_reserve:' || merchant_id, kopecks FROM reserved
    UNION ALL SELECT 'plans: their installments', outstanding FROM plans),
booked (account, kopecks) AS (
    SELECT a.code, CASE a.normal_side WHEN 'debit' THEN a.debits_posted - a.credits_posted
                                      ELSE a.credits_posted - a.debits_posted END
      FROM books AS b JOIN accounts AS a ON a.book = b.number
     WHERE b.name = 'main' AND (a.code = ANY(CAST(:codes AS text[])) OR starts_with(a.code, 'liability:plan_reserve:'))
    UNION ALL SELECT a.code, a.credits_posted - a.debits_posted - a.debits_held
      FROM books AS b JOIN accounts AS a ON a.book = b.number
     WHERE b.name = 'main' AND a.code = ANY(CAST(:clearing AS text[]))
    UNION ALL SELECT 'plans: their installments', sum(kopecks)::bigint FROM owed)
SELECT coalesce(s.account, k.account) AS account, coalesce(k.kopecks, 0) AS booked, coalesce(s.kopecks, 0) AS said
  FROM said AS s FULL JOIN booked AS k ON k.account = s.account
 WHERE coalesce(k.kopecks, 0) <> coalesce(s.kopecks, 0)
 ORDER BY 1
"""  # noqa: S608  # our own words


async def check(session: Session) -> list[Difference]:
    """Every account of plans that differs from the sum of the plans; none is what one wants to see.

    Installments by bucket, penalty, overpayment, what cards refused to take of it, fees deferred and earned, holds,
    reserves and recoveries; the clearing holds nothing that no plan was told of; and each plan owes what its
    installments do. Reads every open installment.
    """
    operator_id = await repository.operator_merchant(session)
    single = {
        "penalties": chart.PLAN_PENALTY_RECEIVABLE, "overpayments": chart.PLAN_OVERPAYMENT,
        "refused": chart.PLAN_REFUND_PAYABLE, "deferred": chart.PLAN_DEFERRED_FEE, "holds": chart.PLAN_HOLD,
        "earned": chart.PLAN_FEE, "recoveries": chart.PLAN_RECOVERY, "penalty_income": chart.PLAN_PENALTY,
    }  # fmt: skip
    rows = await session.execute(
        text(_CHECK),
        {
            **single, "codes": [*single.values(), *(chart.plan_receivable(bucket) for bucket in Bucket)],
            "clearing": list(clearing_accounts(operator_id)) if operator_id else [],
        },
    )  # fmt: skip
    return [Difference(row.account, row.booked, row.said) for row in rows]
