"""Rails that are off (отключённые способы оплаты), and what is offered instead of them, by rule.

A rail, or one provider of it, is switched off for everybody when the provider is down or has left the market. Only new
attempts ask: what was begun goes on, plans keep collecting, refunds go back by the road the money came. DECISIONS.md,
"A rail that is off".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from checkout.capabilities import capabilities, capability_of
from checkout.errors import FailoverRefused, RailOff, RailUnknown
from checkout.premises import RAILS
from checkout.repository import load_merchant
from checkout.telling import TillActor
from ledger import outbox
from ledger.database import Session, text
from ledger.outbox import Event
from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage

ASKS_NOTHING = ("sbp", "dolyame")
"""Rails that need no more than an order: the buyer scans. Only they can stand in for another."""
RULES_MAX = 200
"""Rules read at once: two levels of four rails, as often as they were changed lately."""


@dataclass(frozen=True, slots=True)
class RailSwitch:
    """From a moment on, a rail or one provider of it is on or off."""

    id: str
    rail: str
    provider: str | None
    """One of several; none: the whole rail."""
    is_on: bool
    reason: str
    switched_by: str
    switched_at: datetime

    def stops(self, rail: str, provider: str) -> bool:
        """Whether new attempts by this rail and provider may not be made."""
        return not self.is_on and self.rail == rail and self.provider in (None, provider)


@dataclass(frozen=True, slots=True)
class FailoverRule:
    """What is offered instead of a rail that is off."""

    id: str
    merchant_id: str | None
    """None: the house's, for merchants that say nothing themselves."""
    rail: str
    next_rail: str | None
    """None: nothing is offered instead."""
    decided_by: str
    created_at: datetime


def next_rail(asked: str, rules: Mapping[str, str | None], off: Collection[str]) -> str | None:
    """The rail that stands in for one that is off: rules are followed until a rail is on, or they end or turn round."""
    seen = {asked}
    rail = rules.get(asked)
    while rail is not None and rail in off and rail not in seen:
        seen.add(rail)
        rail = rules.get(rail)
    return None if rail is None or rail in seen or rail in off else rail


async def switch_rail(
    session: Session, switch_id: str, *, rail: str, provider: str | None, is_on: bool, reason: str, by: TillActor,
    now: datetime,
) -> RailSwitch:  # fmt: skip
    """Switch a rail, or one of its providers, off or on again. The only provider of a rail is the rail.

    Raises: RailUnknown, ProviderUnknown. Locks: the numbering of the rail's events.
    """
    check_rail_name(rail)
    if provider is not None and capability_of(provider).rail != rail:
        raise RailUnknown(rail=rail, provider=provider)
    of_rail = {each.provider for each in capabilities() if each.rail == rail}
    switch = RailSwitch(switch_id, rail, None if of_rail == {provider} else provider, is_on, reason, by.actor, now)
    await session.execute(
        text("""INSERT INTO rail_switches (id, rail, provider, is_on, reason, switched_by, switched_at)
                VALUES (:id, :rail, :provider, :is_on, :reason, :by, :now)"""),
        {
            "id": switch.id, "rail": switch.rail, "provider": switch.provider, "is_on": is_on, "reason": reason,
            "by": by.actor, "now": now,
        },
    )  # fmt: skip
    facts: dict[str, str | int | bool] = {"rail": rail, "provider": switch.provider or "", "reason": reason}
    await _tell(session, "rail.switched_on" if is_on else "rail.switched_off", rail, None, by, facts, now)
    return switch


async def newest_switches(session: Session) -> list[RailSwitch]:
    """How each rail and provider that was ever switched stands."""
    rows = await session.execute(
        text("""SELECT DISTINCT ON (rail, provider) id, rail, provider, is_on, reason, switched_by, switched_at
                  FROM rail_switches ORDER BY rail, provider, id DESC""")
    )
    return [RailSwitch(**row._mapping) for row in rows]


async def set_failover_rule(
    session: Session, rule_id: str, *, merchant_id: str | None, rail: str, next_rail: str | None, by: TillActor,
    now: datetime,
) -> FailoverRule:  # fmt: skip
    """Say what is offered instead of a rail: for one merchant, or by the house for all.

    Raises: RailUnknown, FailoverRefused, MerchantNotFound. Locks: the numbering of the rail's events.
    """
    check_rail_name(rail)
    if next_rail is not None and (next_rail not in ASKS_NOTHING or next_rail == rail):
        raise FailoverRefused(rail=rail, next_rail=next_rail, may_be=", ".join(ASKS_NOTHING))
    if merchant_id is not None:
        await load_merchant(session, merchant_id)
    rule = FailoverRule(rule_id, merchant_id, rail, next_rail, by.actor, now)
    await session.execute(
        text("""INSERT INTO failover_rules (id, merchant_id, rail, next_rail, decided_by, created_at)
                VALUES (:id, :merchant_id, :rail, :next_rail, :by, :now)"""),
        {"id": rule.id, "merchant_id": merchant_id, "rail": rail, "next_rail": next_rail, "by": by.actor, "now": now},
    )
    facts: dict[str, str | int | bool] = {"rail": rail, "next_rail": next_rail or ""}
    await _tell(session, "rail.failover_changed", rail, merchant_id, by, facts, now)
    return rule


async def list_failover_rules(session: Session, *, merchant_id: str | None) -> list[FailoverRule]:
    """Rules that hold now: the house's, and the merchant's own or, without one, everybody's."""
    rows = await session.execute(
        text(f"""SELECT DISTINCT ON (rail, merchant_id) id, merchant_id, rail, next_rail, decided_by, created_at
                   FROM failover_rules
                  WHERE merchant_id IS NULL OR CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id
                  ORDER BY rail, merchant_id NULLS FIRST, id DESC LIMIT {RULES_MAX}"""),  # noqa: S608  # our own number
        {"merchant_id": merchant_id},
    )
    return [_rule(row) for row in rows]


async def rules_of(session: Session, merchant_id: str) -> dict[str, str | None]:
    """What stands in for each rail at a merchant: its own word, else the house's."""
    rules = await list_failover_rules(session, merchant_id=merchant_id)
    return {rule.rail: rule.next_rail for rule in sorted(rules, key=lambda rule: rule.merchant_id is not None)}


async def stand_in(
    session: Session, asked: str, switch: RailSwitch, off: Sequence[RailSwitch], merchant_id: str,
    open_rails: Collection[str],
) -> str:  # fmt: skip
    """The rail that a merchant's rules name instead of one that ``switch`` stops, of those open at the till.

    Raises: RailOff.
    """
    closed = {each.rail for each in off if each.provider is None} | {asked} | (set(RAILS) - set(open_rails))
    rail = next_rail(asked, await rules_of(session, merchant_id), closed)
    if rail is None:
        raise RailOff(rail=asked, reason=switch.reason, since=switch.switched_at.isoformat())
    return rail


async def keep_failover(
    session: Session, attempt_id: str, merchant_id: str, *, asked: str, rail: str, switch_id: str, by: TillActor,
    now: datetime,
) -> None:  # fmt: skip
    """Write down that an attempt goes by another rail than was asked for. Locks: the numbering of its events."""
    await session.execute(
        text("""INSERT INTO attempt_failovers (attempt_id, asked_rail, rail, switch_id, created_at)
                VALUES (:attempt_id, :asked, :rail, :switch_id, :now)"""),
        {"attempt_id": attempt_id, "asked": asked, "rail": rail, "switch_id": switch_id, "now": now},
    )
    facts: dict[str, str | int | bool] = {"asked_rail": asked, "rail": rail, "switch_id": switch_id}
    await _tell(session, "attempt.failed_over", attempt_id, merchant_id, by, facts, now)


def check_rail_name(rail: str) -> None:
    """Refuse a word that is no rail of ours. Raises: RailUnknown."""
    if rail not in RAILS:
        raise RailUnknown(rail=rail)


def _rule(row: Row[Any]) -> FailoverRule:
    return FailoverRule(**row._mapping)


async def _tell(
    session: Session, what: str, object_id: str, merchant_id: str | None, by: TillActor,
    facts: Mapping[str, str | int | bool], now: datetime,
) -> None:  # fmt: skip
    data = {"merchant_id": merchant_id, **facts}
    await outbox.publish(session, Event(what, object_id, merchant_id, data), now=now)
    subject = f"{what.partition('.')[0]}:{object_id}"
    await stage(
        session, [AuditEvent(what, by.actor, by.origin, subject, now, merchant_id=merchant_id or "", facts=dict(facts))]
    )
