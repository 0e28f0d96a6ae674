"""Rollout (внедрение) of each rail: at which places it is on, from which Moscow day. First two stores, then a city."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Row

from checkout.errors import RailNotRolledOut, RailUnknown, TerminalNotFound
from checkout.premises import RAILS, Level, RailRollout
from checkout.premises_settings import check_place
from checkout.telling import TillActor, tell
from ledger.clock import moscow_day
from ledger.database import Session, text

ROLLOUTS_MAX = 2_000
"""Rows of one merchant that are read at once."""


async def rails_on(session: Session, terminal_id: str, *, now: datetime) -> tuple[str, ...]:
    """The rails that are on at a till today, the one that its premises prefer first. Raises: TerminalNotFound.

    A rail that the merchant never rolled out is on at all of its tills: rollout begins with its first row.
    """
    row = (await session.execute(_RAILS_ON, {"id": terminal_id, "rails": list(RAILS), "day": moscow_day(now)})).first()
    if row is None:
        raise TerminalNotFound(terminal_id=terminal_id)
    return tuple(sorted(row.rails, key=lambda rail: rail != row.preferred))


_RAILS_ON = text("""
    SELECT rails_on_at(t.id, CAST(:rails AS text[]), :day) AS rails,
           (SELECT s.value #>> '{}' FROM premises_settings AS s
             WHERE s.merchant_id = t.merchant_id AND s.name = 'preferred_rail' AND s.value IS NOT NULL
               AND (s.level, s.place) IN (('merchant', t.merchant_id), ('region', p.region), ('store', t.store_id),
                                          ('terminal', t.id))
             ORDER BY array_position(ARRAY['terminal', 'store', 'region', 'merchant'], s.level) LIMIT 1) AS preferred
      FROM terminals AS t LEFT JOIN store_places AS p ON p.store_id = t.store_id WHERE t.id = :id""")


async def check_rail(session: Session, terminal_id: str, rail: str, *, now: datetime) -> None:
    """Refuse a rail that is not on at a till today. Raises: RailNotRolledOut."""
    found = await session.scalar(
        text("SELECT rails_on_at(:id, ARRAY[CAST(:rail AS text)], :day)"),
        {"id": terminal_id, "rail": rail, "day": moscow_day(now)},
    )
    if not found:
        raise RailNotRolledOut(rail=rail, terminal_id=terminal_id)


async def roll_out(
    session: Session, rollout_id: str, *, merchant_id: str, rail: str, level: Level, place: str, effective_on: date,
    is_on: bool, by: TillActor, now: datetime,
) -> RailRollout:  # fmt: skip
    """Put a rail on or off at a level from a Moscow day on; a day that has begun takes it from now on.

    Raises: RailUnknown, MerchantNotFound, StoreNotFound, TerminalNotFound.
    """
    if rail not in RAILS:
        raise RailUnknown(rail=rail, known=", ".join(RAILS))
    await check_place(session, merchant_id, level, place)
    rollout = RailRollout(rollout_id, merchant_id, rail, level, place, effective_on, is_on, now)
    await session.execute(
        text("""INSERT INTO rail_rollouts (id, merchant_id, rail, level, place, effective_on, is_on, created_at)
                VALUES (:id, :merchant_id, :rail, :level, :place, :effective_on, :is_on, :now)"""),
        {
            "id": rollout_id, "merchant_id": merchant_id, "rail": rail, "level": level.value, "place": place,
            "effective_on": effective_on, "is_on": is_on, "now": now,
        },
    )  # fmt: skip
    facts = {
        "rail": rail, "level": level.value, "place": place, "effective_on": effective_on.isoformat(), "is_on": is_on,
    }  # fmt: skip
    await tell(session, "rollout.added", rollout_id, merchant_id, by, facts, now=now)
    return rollout


async def list_rollouts(session: Session, merchant_id: str) -> list[RailRollout]:
    """A merchant's rollouts in the order in which they were written."""
    rows = await session.execute(
        text(f"SELECT * FROM rail_rollouts WHERE merchant_id = :merchant_id ORDER BY id LIMIT {ROLLOUTS_MAX}"),  # noqa: S608
        {"merchant_id": merchant_id},
    )
    return [_rollout(row) for row in rows]


def _rollout(row: Row[Any]) -> RailRollout:
    return RailRollout(
        row.id, row.merchant_id, row.rail, Level(row.level), row.place, row.effective_on, row.is_on, row.created_at
    )
