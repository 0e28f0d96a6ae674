"""Setbacks (отложенные планы): plans that a step of the night could not work on, put aside so they hold up no other.

A step takes a ``Pick`` and says in it of whom its batch is. When the batch fails, the door works on halves of it, and
whoever fails alone is put aside: left out of that step until it is tried again, alone, and goes through.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from ledger.database import Session, text

AGAIN_AFTER = timedelta(minutes=30)
"""How long a plan is left before it is tried again."""
SETBACKS_MAX = 100
"""Of one step: more is no plan's own fault, and the step fails for all until somebody has looked."""
LISTED_MAX = 1_000
"""All steps together stay far below."""


@dataclass(slots=True)
class Pick:
    """Of whom a batch of a step may be, and, when the step has chosen, of whom it was."""

    step: str = ""
    aside: Mapping[str, Collection[str]] = field(default_factory=dict)
    """By step, who is left out."""
    only: Sequence[str] | None = None
    """Nobody else."""
    taken: list[str] = field(default_factory=list)
    last: tuple[date, str] = (date.min, "")
    """Where a walk goes on after them."""

    def take(self, plan_ids: Iterable[str], last: tuple[date, str] | None = None) -> None:
        """Say of whom the batch is, before anything is done."""
        self.taken[:] = plan_ids
        self.last = last or (date.min, self.taken[-1] if self.taken else "")

    def where(self, plan_id: str) -> str:
        """What narrows a query down to the pick; nothing in a night without trouble."""
        only = f" AND {plan_id} = ANY(CAST(:only AS text[]))" if self.only is not None else ""
        return only + (f" AND {plan_id} <> ALL(CAST(:aside AS text[]))" if self._left_out() else "")

    def facts(self) -> dict[str, Any]:
        """What ``where`` is to be told."""
        only = {"only": list(self.only)} if self.only is not None else {}
        return only | ({"aside": sorted(self._left_out())} if self._left_out() else {})

    def _left_out(self) -> Collection[str]:
        return self.aside.get(self.step, ()) if self.only is None else ()


@dataclass(frozen=True, slots=True)
class Setback:
    """A plan that a step could not work on."""

    step: str
    plan_id: str
    code: str
    """What stood in the way, as in the log."""
    tries: int
    first_at: datetime
    last_at: datetime

    def is_due(self, now: datetime) -> bool:
        """Whether it is time to try again."""
        return now >= self.last_at + AGAIN_AFTER


async def put_aside(session: Session, step: str, plan_id: str, code: str, *, now: datetime) -> bool:
    """Leave a plan out of a step until it goes through; false if so many are left out that it cannot be the plans."""
    others = await session.scalar(
        text("""SELECT count(*) FROM plan_setbacks
                 WHERE step = :step AND plan_id <> :plan_id AND settled_at IS NULL"""),
        {"step": step, "plan_id": plan_id},
    )
    if (others or 0) >= SETBACKS_MAX:
        return False
    await session.execute(
        text("""INSERT INTO plan_setbacks AS s (step, plan_id, code, first_at, last_at)
                VALUES (:step, :plan_id, :code, :now, :now)
                ON CONFLICT (step, plan_id) DO UPDATE
                   SET code = :code, last_at = :now, settled_at = NULL,
                       tries = CASE WHEN s.settled_at IS NULL THEN s.tries + 1 ELSE 1 END,
                       first_at = CASE WHEN s.settled_at IS NULL THEN s.first_at ELSE :now END"""),
        {"step": step, "plan_id": plan_id, "code": code, "now": now},
    )
    return True


async def settle(session: Session, step: str, plan_id: str, *, now: datetime) -> None:
    """The plan went through, or nothing is left to do for it."""
    await session.execute(
        text("UPDATE plan_setbacks SET settled_at = :now WHERE step = :step AND plan_id = :plan_id"),
        {"step": step, "plan_id": plan_id, "now": now},
    )


async def list_setbacks(session: Session, steps: Sequence[str] | None = None) -> list[Setback]:
    """Plans that are left out now, by step and plan."""
    rows = await session.execute(
        text("""SELECT step, plan_id, code, tries, first_at, last_at FROM plan_setbacks
                 WHERE settled_at IS NULL AND (CAST(:steps AS text[]) IS NULL OR step = ANY(CAST(:steps AS text[])))
                 ORDER BY step, plan_id LIMIT :limit"""),
        {"steps": None if steps is None else list(steps), "limit": LISTED_MAX},
    )
    return [Setback(*row) for row in rows]


def by_step(setbacks: Iterable[Setback]) -> dict[str, frozenset[str]]:
    """Who is left out of each step."""
    found: dict[str, set[str]] = {}
    for one in setbacks:
        found.setdefault(one.step, set()).add(one.plan_id)
    return {step: frozenset(ids) for step, ids in found.items()}
