"""Retention: what is kept how long and why, and the nightly purge with its proof.

A policy is in force until another of the same merchant and data class is set. A merchant's own policy comes before the
house's. A run takes away what is past each policy, counts what is left past it, and is written down with that count, in
the log too: four quarters of such rows are what an assessor asks for.
Source: PCI DSS 3.2.1: limit storage and retention; verify at least every three months that what exceeds it is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import text

from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session, Transactions
from pci.evidence.errors import RetentionPolicyRefused

PURGE_BATCH = 1_000
"""Rows in one transaction: locks are held for milliseconds."""
BATCHES_MAX = 100_000
DAYS_MAX = 3_650


class PurgeMethod(StrEnum):
    """What happens to a row."""

    DELETED = "deleted"
    EMPTIED = "emptied"
    """What was sealed is gone; the row stays with its mask, so that old charges can still be told apart."""


@dataclass(frozen=True, slots=True)
class RetainedData:
    """A class of data with an end: whoever keeps it says how it is found and taken away.

    Both statements may name ``:cutoff_at``, ``:now`` and ``:merchant_id`` ('' is everybody but ``:others``).
    """

    data_class: str
    method: PurgeMethod
    purge: str
    """Takes away at most ``:limit`` rows."""
    count: str
    """How many rows are past the cutoff."""


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long one class of data is kept, for whom and why."""

    id: int
    merchant_id: str
    data_class: str
    days: int
    legal_basis: str
    justification: str


@dataclass(frozen=True, slots=True)
class Purge:
    """One run of one policy."""

    policy: RetentionPolicy
    cutoff_at: datetime
    rows_purged: int
    rows_left: int


async def set_policy(
    session: Session,
    *,
    merchant_id: str,
    data_class: str,
    days: int,
    legal_basis: str,
    justification: str,
    actor: str,
    origin: str,
    now: datetime,
) -> RetentionPolicy:
    """Put a policy in force; the one before it ends. Raises: RetentionPolicyRefused."""
    house = await _policy(session, "", data_class)
    if not 0 <= days <= DAYS_MAX or min(len(legal_basis.strip()), len(justification.strip())) < 3:
        raise RetentionPolicyRefused(data_class=data_class)
    if house is None or (merchant_id and days > house.days):
        raise RetentionPolicyRefused(data_class=data_class, days_max=house.days if house else 0)
    said = {"merchant_id": merchant_id, "data_class": data_class, "now": now}
    await session.execute(_END, said)
    terms = said | {"days": days, "legal_basis": legal_basis, "justification": justification, "actor": actor}
    made = int((await session.execute(_SET, terms)).scalar_one())
    facts: dict[str, str | int | bool] = {"data_class": data_class, "days": days, "legal_basis": legal_basis}
    await stage(
        session,
        [
            AuditEvent(
                "retention.set", actor, origin, f"retention_policy:{made}", now, merchant_id=merchant_id, facts=facts
            )
        ],
    )
    return RetentionPolicy(made, merchant_id, data_class, days, legal_basis, justification)


async def policies(session: Session) -> list[RetentionPolicy]:
    """Every policy in force, the house's first."""
    return [RetentionPolicy(*row) for row in await session.execute(_IN_FORCE)]


async def purge_due(
    transactions: Transactions, retained: Sequence[RetainedData], *, now: datetime, origin: str
) -> list[Purge]:
    """Take away what is past each policy in force, and write down that nothing is left."""
    async with transactions() as session:
        in_force = await policies(session)
    known = {data.data_class: data for data in retained}
    return [
        await _purge(transactions, known[policy.data_class], policy, _others(in_force, policy), now=now, origin=origin)
        for policy in in_force
        if policy.data_class in known
    ]


async def _purge(
    transactions: Transactions,
    data: RetainedData,
    policy: RetentionPolicy,
    others: list[str],
    *,
    now: datetime,
    origin: str,
) -> Purge:
    cutoff = now - timedelta(days=policy.days)
    who = {"cutoff_at": cutoff, "now": now, "merchant_id": policy.merchant_id, "others": others}
    purged = 0
    for _ in range(BATCHES_MAX):
        async with transactions() as session:
            taken = (await session.execute(text(data.purge), who | {"limit": PURGE_BATCH})).rowcount
        purged += taken
        if taken < PURGE_BATCH:
            break
    async with transactions() as session:
        left = int((await session.execute(text(data.count), who)).scalar_one())
        purge = Purge(policy, cutoff, purged, left)
        await _write_down(session, purge, data.method, now=now, origin=origin)
    return purge


async def _write_down(session: Session, purge: Purge, method: PurgeMethod, *, now: datetime, origin: str) -> None:
    row = {"policy_id": purge.policy.id, "cutoff_at": purge.cutoff_at, "now": now, "method": method}
    await session.execute(_WRITE, row | {"purged": purge.rows_purged, "left": purge.rows_left})
    event = AuditEvent(
        "retention.purged",
        "system:purge",
        origin,
        f"retention_policy:{purge.policy.id}",
        now,
        AuditOutcome.FAILED if purge.rows_left else AuditOutcome.DONE,
        purge.policy.merchant_id,
        {"data_class": purge.policy.data_class, "rows_purged": purge.rows_purged, "rows_left": purge.rows_left},
    )
    await stage(session, [event])


async def was_purged_since(session: Session, since: datetime) -> bool:
    """Whether a run was written down since then."""
    return bool((await session.execute(text("SELECT EXISTS (SELECT FROM purges WHERE ran_at > :since)"),
                                       {"since": since})).scalar_one())  # fmt: skip


def _others(in_force: Sequence[RetentionPolicy], policy: RetentionPolicy) -> list[str]:
    """Merchants that a policy of the house leaves to policies of their own."""
    same = (other for other in in_force if other.data_class == policy.data_class)
    return [] if policy.merchant_id else [other.merchant_id for other in same if other.merchant_id]


async def _policy(session: Session, merchant_id: str, data_class: str) -> RetentionPolicy | None:
    found = [one for one in await policies(session) if (one.merchant_id, one.data_class) == (merchant_id, data_class)]
    return found[0] if found else None


_IN_FORCE = text(
    "SELECT id, merchant_id, data_class, days, legal_basis, justification FROM retention_policies"
    " WHERE ended_at IS NULL ORDER BY data_class, merchant_id"
)
_END = text(
    "UPDATE retention_policies SET ended_at = :now"
    " WHERE merchant_id = :merchant_id AND data_class = :data_class AND ended_at IS NULL"
)
_SET = text(
    "INSERT INTO retention_policies (merchant_id, data_class, days, legal_basis, justification, set_by, set_at)"
    " VALUES (:merchant_id, :data_class, :days, :legal_basis, :justification, :actor, :now) RETURNING id"
)
_WRITE = text(
    "INSERT INTO purges (policy_id, cutoff_at, ran_at, rows_purged, rows_left, method)"
    " VALUES (:policy_id, :cutoff_at, :now, :purged, :left, :method)"
)
