"""Deciding about a plan: rules in a fixed row, each with its verdict kept, so that a no can be explained later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from installments import buyer_news
from installments import buyer_rows as buyers
from installments.buyer import Buyer, age_on
from installments.buyer_errors import (
    ArrearsRecent,
    BirthDateMissing,
    BuyerFrozen,
    LimitExceeded,
    PhoneNotVerified,
    ScoringRejected,
    StopListed,
    UnderAge,
)
from installments.buyer_rows import BuyerStanding
from installments.decision_policies import DecisionPolicy, policy_on
from installments.errors import BureauReportRequired, InstallmentsRejected
from installments.law import needs_bureau
from installments.plan import Plan
from installments.scoring import SCORINGS, Assessment, ScoringFacts
from ledger.clock import moscow_day
from ledger.database import Session, text
from ledger.ids import new_id
from ledger.money import Kopecks
from pci.audit_log.event import AuditOutcome


class DecisionOutcome(StrEnum):
    """Yes or no."""

    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class DecisionFacts:
    """All that a decision is made of. Tells nobody who the buyer is."""

    contract_on: date
    buyer_id: str
    price: Kopecks
    limit: Kopecks
    used: Kopecks
    """Principal owed, and prices of plans that are approved or held."""
    is_of_age: bool
    stop_lists: tuple[str, ...]
    """The sources of the lines in force that name the buyer."""
    is_frozen: bool
    """By a person. Why is words of theirs, and stays with the buyer."""
    days_overdue: int
    """Of the oldest unpaid installment of any plan; 0: nothing is past due."""
    days_since_arrears: int | None
    identification: str
    plans_open: int
    plans_repaid: int
    plans_written_off: int
    needs_bureau: bool
    """By the law, debt and price together are to be reported."""
    is_bureau_ready: bool


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What one rule said."""

    rule: str
    reason: str | None
    """The code of the refusal; none: it lets pass."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A yes or no about one plan, with everything it was made of."""

    id: str
    plan_id: str
    buyer_id: str
    policy: str
    policy_version: int
    outcome: DecisionOutcome
    reasons: tuple[str, ...]
    """Codes of refusals, in the order of the rules: the first is what the buyer is told."""
    score: int | None
    facts: Mapping[str, Any]
    verdicts: tuple[RuleVerdict, ...]
    needs_bureau: bool
    """The credit bureau is told before the plan begins."""
    price: Kopecks
    used: Kopecks
    limit: Kopecks
    made_at: datetime

    @property
    def is_approved(self) -> bool:
        """Whether the buyer may have the plan."""
        return self.outcome is DecisionOutcome.APPROVED


async def decide(session: Session, plan: Plan, buyer: Buyer, *, now: datetime) -> Decision:
    """Decide about a plan, once: again gives the first decision. Save the plan as approved in the same transaction.

    The buyer's row is held until the transaction ends, so that another plan of the same buyer waits and then sees
    this one. The plan itself was locked before.
    Raises: BirthDateMissing, PhoneNotVerified (nothing is decided yet). Locks: the buyer.
    """
    buyer = await buyers.load_buyer(session, buyer.id, lock=True)
    if (known := await find_decision(session, plan.id)) is not None and known.buyer_id == buyer.id:
        return known
    if buyer.details.born_on is None:
        raise BirthDateMissing()
    if buyer.phone_verified_at is None:
        raise PhoneNotVerified()
    on = plan.contract_on or moscow_day(now)
    policy = await policy_on(session, on)
    standing = await buyers.load_standing(session, buyer.id, on=on, besides=plan.id)
    decision = conclude(plan, policy, facts_of(standing, plan.price, policy, on=on), now=now)
    await _add(session, decision)
    await _log(session, decision, plan, now)
    return decision


def facts_of(standing: BuyerStanding, price: Kopecks, policy: DecisionPolicy, *, on: date) -> DecisionFacts:
    """The facts about a buyer and a price, on the day of the contract. An age that is not known is asked for first."""
    buyer, counts = standing.buyer, standing.counts
    born_on, seen_on = buyer.details.born_on, buyer.arrears_seen_on
    return DecisionFacts(
        contract_on=on,
        buyer_id=buyer.id,
        price=price,
        limit=buyer.limit,
        used=counts.used,
        is_of_age=born_on is None or age_on(born_on, on) >= policy.age_min,
        stop_lists=standing.stop_lists,
        is_frozen=buyer.frozen_at is not None,
        days_overdue=0 if counts.overdue_since is None else (on - counts.overdue_since).days,
        days_since_arrears=None if seen_on is None else max(0, (on - seen_on).days),
        identification=buyer.identification.value,
        plans_open=counts.open,
        plans_repaid=counts.repaid,
        plans_written_off=counts.written_off,
        needs_bureau=needs_bureau(counts.used, price, contract_on=on),
        is_bureau_ready=standing.is_bureau_ready,
    )


def judge(facts: DecisionFacts, policy: DecisionPolicy) -> tuple[tuple[RuleVerdict, ...], Assessment]:
    """The verdict of every rule, in the order in which refusals are told, and what the scoring says."""
    days = facts.days_since_arrears
    is_in_arrears = facts.days_overdue >= policy.freeze_days_overdue
    was_in_arrears = days is not None and days <= policy.freeze_days_after
    rules: list[tuple[str, bool, type[InstallmentsRejected]]] = [
        ("age", not facts.is_of_age, UnderAge),
        ("stop_lists", bool(facts.stop_lists), StopListed),
        ("frozen", facts.is_frozen, BuyerFrozen),
        ("arrears", is_in_arrears or was_in_arrears, ArrearsRecent),
        ("limit", facts.used + facts.price > facts.limit, LimitExceeded),
        ("bureau", facts.needs_bureau and not facts.is_bureau_ready, BureauReportRequired),
    ]
    assessment = SCORINGS[policy.scoring].assess(_scored(facts, policy))
    verdicts = [RuleVerdict(rule, reason.code if is_broken else None) for rule, is_broken, reason in rules]
    reasons = assessment.reasons or (() if assessment.is_passed else (ScoringRejected,))
    scored = [RuleVerdict("scoring", reason.code) for reason in reasons] or [RuleVerdict("scoring", None)]
    return (*verdicts, *scored), assessment


def _scored(facts: DecisionFacts, policy: DecisionPolicy) -> ScoringFacts:
    return ScoringFacts(
        facts.price, facts.limit, facts.used, facts.plans_open, facts.plans_repaid, facts.plans_written_off,
        facts.days_since_arrears, policy.plans_max, policy.first_plan_max, policy.share_after_arrears_basis_points,
    )  # fmt: skip


def conclude(plan: Plan, policy: DecisionPolicy, facts: DecisionFacts, *, now: datetime) -> Decision:
    """The decision that these facts make."""
    verdicts, assessment = judge(facts, policy)
    reasons = tuple(verdict.reason for verdict in verdicts if verdict.reason is not None)
    scoring = SCORINGS[policy.scoring]
    told = shown_facts(facts) | {"scoring": f"{scoring.name}/{scoring.version}"}
    return Decision(
        new_id("dec", now), plan.id, facts.buyer_id, policy.name, policy.version,
        DecisionOutcome.REJECTED if reasons else DecisionOutcome.APPROVED, reasons, assessment.score, told, verdicts,
        facts.needs_bureau, facts.price, facts.used, facts.limit, now,
    )  # fmt: skip


def shown_facts(facts: DecisionFacts) -> dict[str, Any]:
    """Facts as they are kept: sums by name of their unit, days as text."""
    money = ("price", "limit", "used")
    plain = {name: getattr(facts, name) for name in DecisionFacts.__slots__ if name not in (*money, "buyer_id")}
    sums = {f"{name}_kopecks": int(getattr(facts, name)) for name in money}
    return plain | sums | {"contract_on": facts.contract_on.isoformat(), "stop_lists": list(facts.stop_lists)}


async def _add(session: Session, made: Decision) -> None:
    await session.execute(
        text("""INSERT INTO plan_decisions (id, plan_id, buyer_id, policy, policy_version, outcome, reason, score,
                       facts, verdicts, needs_bureau, price_kopecks, used_kopecks, limit_kopecks, made_at)
                VALUES (:id, :plan_id, :buyer_id, :policy, :policy_version, :outcome, :reason, :score,
                        CAST(:facts AS jsonb), CAST(:verdicts AS jsonb), :needs_bureau, :price, :used, :limit, :made_at)
        """),
        {
            "id": made.id, "plan_id": made.plan_id, "buyer_id": made.buyer_id, "policy": made.policy,
            "policy_version": made.policy_version, "outcome": made.outcome.value,
            "reason": made.reasons[0] if made.reasons else None, "score": made.score, "facts": json.dumps(made.facts),
            "verdicts": json.dumps([{"rule": each.rule, "reason": each.reason} for each in made.verdicts]),
            "needs_bureau": made.needs_bureau, "price": int(made.price), "used": int(made.used),
            "limit": int(made.limit), "made_at": made.made_at,
        },
    )  # fmt: skip


async def _log(session: Session, made: Decision, plan: Plan, now: datetime) -> None:
    facts: dict[str, str | int | bool] = {
        "plan_id": plan.id, "decision_id": made.id, "policy_version": made.policy_version,
        "reasons": ",".join(made.reasons), "needs_bureau": made.needs_bureau,
    }  # fmt: skip
    outcome = AuditOutcome.DONE if made.is_approved else AuditOutcome.REFUSED
    await buyer_news.log(session, "plan.decided", f"buyer:{made.buyer_id}", now=now, facts=facts, outcome=outcome)


async def find_decision(session: Session, plan_id: str) -> Decision | None:
    """The decision about a plan."""
    rows = await session.execute(text("SELECT * FROM plan_decisions WHERE plan_id = :id"), {"id": plan_id})
    row = rows.first()
    return None if row is None else _decision(row)


def _decision(row: Row[Any]) -> Decision:
    verdicts: Sequence[Mapping[str, Any]] = row.verdicts
    kept = tuple(RuleVerdict(each["rule"], each["reason"]) for each in verdicts)
    return Decision(
        row.id, row.plan_id, row.buyer_id, row.policy, row.policy_version, DecisionOutcome(row.outcome),
        tuple(each.reason for each in kept if each.reason is not None), row.score, row.facts, kept, row.needs_bureau,
        Kopecks(row.price_kopecks), Kopecks(row.used_kopecks), Kopecks(row.limit_kopecks), row.made_at,
    )  # fmt: skip
