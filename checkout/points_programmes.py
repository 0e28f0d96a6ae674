"""Programmes of points (программы баллов): opened with their first rule, changed by rules of later days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from checkout import points_rows, repository
from checkout.errors import PointsRuleOfPast
from checkout.points_rules import Programme, Rule, check_programme, check_rule
from checkout.points_vouchers import open_programme_accounts
from checkout.telling import Fact, TillActor, tell
from ledger import accounts, chart
from ledger.clock import moscow_day
from ledger.database import Session


@dataclass(frozen=True, slots=True)
class ProgrammeLiability:
    """What a programme has promised."""

    points: int
    amount_kopecks: int


async def open_programme(session: Session, programme: Programme, rule: Rule, *, by: TillActor, now: datetime) -> None:
    """Open a programme with the rule that counts from its first day on.

    Raises: InvalidPointsProgramme, InvalidPointsRule, MerchantNotFound, PointsProgrammeTaken.
    """
    check_programme(programme)
    check_rule(rule)
    await repository.load_merchant(session, programme.merchant_id)
    await points_rows.add_programme(session, programme)
    await points_rows.add_rule(session, rule, now=now)
    await open_programme_accounts(session, programme, now=now)
    facts: dict[str, Fact] = {"name": programme.name, "point_kopecks": programme.point_kopecks, "rule_id": rule.id}
    await tell(session, "points_programme.opened", programme.code, programme.merchant_id, by, facts, now=now)


async def publish_rule(session: Session, programme: Programme, rule: Rule, *, by: TillActor, now: datetime) -> None:
    """Publish a rule for a later day: what was promised today holds today.

    Raises: InvalidPointsRule, PointsRuleOfPast, PointsRuleTaken.
    """
    check_rule(rule)
    today = moscow_day(now)
    if rule.valid_from_on <= today:
        raise PointsRuleOfPast(valid_from_on=rule.valid_from_on.isoformat(), today=today.isoformat())
    await points_rows.add_rule(session, rule, now=now)
    facts = {"rule_id": rule.id, "valid_from_on": rule.valid_from_on.isoformat()}
    await tell(session, "points_rule.published", programme.code, programme.merchant_id, by, facts, now=now)


async def liability_of(session: Session, programme: Programme) -> ProgrammeLiability:
    """Points that are out and what they are worth, as the books say."""
    issued = await accounts.find_account(session, chart.points_issued(programme.code))
    worth = await accounts.find_account(session, chart.points_worth(programme.code))
    assert issued is not None
    assert worth is not None
    return ProgrammeLiability(issued.balance, worth.balance)
