"""Decision policies (политики решений): what plans are decided by, as dated versions kept in the database."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row

from installments import buyer_news
from installments.buyer_errors import PolicyNotFound, PolicyRefused
from installments.scoring import SCORINGS
from ledger import outbox
from ledger.clock import moscow_day
from ledger.database import Session, text
from ledger.errors import InvariantBroken
from ledger.money import Kopecks
from ledger.outbox import Event
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage

POLICIES_MAX = 1_000
"""Versions shown at once: a house has dozens."""


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
    return _policy(row)


async def list_policies(session: Session) -> list[DecisionPolicy]:
    """All versions, by number."""
    rows = await session.execute(
        text("SELECT * FROM decision_policies ORDER BY version LIMIT :limit"), {"limit": POLICIES_MAX}
    )
    return [_policy(row) for row in rows]


async def last_policy(session: Session) -> DecisionPolicy:
    """The newest version, whether its day has come or not: the first is made with the tables."""
    rows = await session.execute(text("SELECT * FROM decision_policies ORDER BY version DESC LIMIT 1"))
    return _policy(rows.one())


async def load_policy(session: Session, version: int) -> DecisionPolicy:
    """One version. Raises: PolicyNotFound."""
    rows = await session.execute(text("SELECT * FROM decision_policies WHERE version = :version"), {"version": version})
    if (row := rows.first()) is None:
        raise PolicyNotFound(version=version)
    return _policy(row)


async def publish_policy(
    session: Session, policy: DecisionPolicy, *, actor: str, origin: str, now: datetime
) -> DecisionPolicy:
    """Keep the next version, from its day on; its number is the next one. Nothing that was decided is decided anew.

    Raises: PolicyRefused if its day is over, or not after that of the last version, or nobody wrote its scoring.
    Locks: the policies, until the end of the transaction.
    """
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('decision_policies'))"))
    last = await last_policy(session)
    is_late = policy.effective_on < moscow_day(now) or policy.effective_on <= last.effective_on
    if is_late or policy.scoring not in SCORINGS:
        raise PolicyRefused(effective_after=last.effective_on.isoformat(), scorings=sorted(SCORINGS))
    policy = replace(policy, version=last.version + 1)
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
    subject = f"policy:{policy.version}"
    await outbox.publish(session, Event("decision_policy.published", subject, None, facts), now=now)
    leaf = AuditEvent(
        "decision_policy.published", actor=actor, origin=origin, subject=subject, happened_at=now, facts=facts
    )
    await stage(session, [leaf])
    return policy


def _policy(row: Row[Any]) -> DecisionPolicy:
    return DecisionPolicy(
        row.name, row.version, row.effective_on, row.scoring, row.age_min, row.freeze_days_overdue,
        row.freeze_days_after, row.plans_max, Kopecks(row.first_plan_max_kopecks),
        row.share_after_arrears_basis_points,
    )  # fmt: skip


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
