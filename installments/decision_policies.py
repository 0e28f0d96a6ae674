"""Decision policies (политики решений): what plans are decided by, as dated versions kept in the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from installments import buyer_news
from installments.buyer_errors import PolicyRefused
from installments.scoring import SCORINGS
from ledger.clock import moscow_day
from ledger.database import Session, text
from ledger.errors import InvariantBroken
from ledger.money import Kopecks


@dataclass(frozen=True, slots=True)
class DecisionPolicy:
    """One version. A decision keeps the name and version it was made by."""

    name: str
    version: int
    effective_on: date
    scoring: str
    """Which of ``scoring.SCORINGS``."""
    age_min: int
    """Source: art. 21 of the Civil Code: full capacity at 18."""
    freeze_days_overdue: int
    """From so many days past due on, no new plan."""
    freeze_days_after: int
    """And for so many days after the arrears were last seen."""
    plans_max: int
    first_plan_max: Kopecks
    share_after_arrears_basis_points: int
    """Of the limit, for whoever was ever in such arrears."""


async def policy_on(session: Session, on: date) -> DecisionPolicy:
    """The policy of a Moscow day. Raises: InvariantBroken if there is none: the first is made with the tables."""
    rows = await session.execute(
        text("SELECT * FROM decision_policies WHERE effective_on <= :on ORDER BY effective_on DESC LIMIT 1"), {"on": on}
    )
    if (row := rows.first()) is None:
        raise InvariantBroken(f"no decision policy on {on}")
    return DecisionPolicy(
        row.name, row.version, row.effective_on, row.scoring, row.age_min, row.freeze_days_overdue,
        row.freeze_days_after, row.plans_max, Kopecks(row.first_plan_max_kopecks),
        row.share_after_arrears_basis_points,
    )  # fmt: skip


async def add_policy(session: Session, policy: DecisionPolicy, *, by: str, now: datetime) -> None:
    """Keep a new version, from its day on. Nothing that was decided is decided anew. Raises: PolicyRefused."""
    latest = await session.scalar(text("SELECT max(version) FROM decision_policies"))
    taken = await session.scalar(
        text("SELECT true FROM decision_policies WHERE effective_on = :on"), {"on": policy.effective_on}
    )
    is_late = policy.effective_on < moscow_day(now)
    if taken or is_late or policy.version != latest + 1 or policy.scoring not in SCORINGS:
        raise PolicyRefused(version_next=latest + 1, scorings=sorted(SCORINGS))
    await session.execute(
        text("""INSERT INTO decision_policies (name, version, effective_on, scoring, age_min, freeze_days_overdue,
                       freeze_days_after, plans_max, first_plan_max_kopecks, share_after_arrears_basis_points)
                VALUES (:name, :version, :effective_on, :scoring, :age_min, :freeze_days_overdue, :freeze_days_after,
                        :plans_max, :first_plan_max, :share_after_arrears_basis_points)"""),
        {name: getattr(policy, name) for name in DecisionPolicy.__slots__}
        | {"first_plan_max": int(policy.first_plan_max)},
    )
    facts: dict[str, str | int | bool] = {
        "version": policy.version, "effective_on": policy.effective_on.isoformat(), "scoring": policy.scoring,
    }  # fmt: skip
    await buyer_news.log(session, "decision_policy.added", f"policy:{policy.version}", now=now, by=by, facts=facts)


async def note_bureau(session: Session, is_ready: bool, *, is_told_of_all: bool = False, now: datetime) -> bool:
    """Write down whether a bureau takes our reports; whether that is news."""
    changed = await session.scalar(
        text("""UPDATE plan_bureau SET is_ready = :is_ready, is_told_of_all = :is_told_of_all, noted_at = :now
                 WHERE (is_ready, is_told_of_all) <> (:is_ready, :is_told_of_all) RETURNING true"""),
        {"is_ready": is_ready, "is_told_of_all": is_told_of_all, "now": now},
    )
    if changed:
        await buyer_news.log(session, "plan_bureau.noted", "plan_bureau:only", now=now, facts={"is_ready": is_ready})
    return bool(changed)
