"""Moments (события хронологии): what happened when, to what, and how we know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ledger.ids import show
from pci.redaction import redact_text

MOMENTS_MAX = 2_000
"""What a person can still read; of a longer story its beginning and its end are shown."""


class MomentKind(StrEnum):
    """How we know of it."""

    REQUEST = "request"
    """Somebody asked us, under a request id."""
    OBJECT = "object"
    """What our own rows say."""
    RAIL = "rail"
    """What was asked of a rail, or what it told us."""
    ENTRY = "entry"
    """What was booked."""
    HOLD = "hold"
    """What was set aside in the books, moved or let go."""
    EVENT = "event"
    """What was published."""
    WEBHOOK = "webhook"
    """Whom we told, and what they answered."""
    LEAF = "leaf"
    """A line of the audit log."""


ORDER_OF_CAUSES = tuple(MomentKind)
"""Of one instant: first what was asked, then what it did, then who was told of it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened."""

    at: datetime
    """When we learnt of it."""
    kind: MomentKind
    what: str
    """A stable code: ``order.placed``, ``sbp.payment``, ``POST /v1/orders``."""
    about: str
    """The object's id."""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timeline:
    """All moments of an object and of what belongs to it."""

    id: str
    """What was asked about."""
    objects: tuple[str, ...]
    """Every id whose moments these are."""
    moments: tuple[Moment, ...]
    moments_found: int
    """More than are shown when the story is too long."""


def in_order(moments: Sequence[Moment]) -> tuple[Moment, ...]:
    """Moments by time, of one instant causes before what came of them; the middle of a very long story left out.

    What is alike in both stays as it was found: an order before its basket, its basket before its attempts.
    """
    ordered = sorted(moments, key=lambda one: (one.at, ORDER_OF_CAUSES.index(one.kind)))
    if len(ordered) > MOMENTS_MAX:
        ordered = ordered[: MOMENTS_MAX // 2] + ordered[-MOMENTS_MAX // 2 :]
    return tuple(ordered)


def facts_of(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The facts that a row has: nothing empty, texts without card numbers."""
    return {name: shown(row[name]) for name in names if row[name] is not None}


def shown(value: Any) -> Any:
    """A fact as it may be shown."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bool | int | dict | list):
        return value
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else str(value)


def shown_entry(entry_id: Any) -> str:
    """An entry's id as people see it."""
    return show("ent", entry_id)
