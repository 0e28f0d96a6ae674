"""Lists of the contract: newest first, by cursor, filtered by instants and status.

Source: YooKassa API v3, "Payments list", "Lists".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from api.contracts.yookassa.errors import ParameterInvalid
from api.cursors import cursor_of, read_cursor
from api.wire import read_instant

LIMIT_USUAL = 10
LIMIT_MAX = 100
BOUNDS = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<"}
"""How a bound is written in a query, and in SQL."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a list is asked for."""

    limit: int
    below: str | None
    """The id after which the page begins, going down."""
    bounds: Mapping[str, tuple[str, datetime]] = field(default_factory=dict)
    """By parameter: the column and the instant."""
    exact: Mapping[str, str] = field(default_factory=dict)


def read_query(kind: str, given: Mapping[str, str], *, instants: Mapping[str, str], exact: frozenset[str]) -> ListQuery:
    """The query of a list; ``instants`` says which column each field means.

    Raises: ParameterInvalid, CursorUnknown.
    """
    return ListQuery(
        limit=_limit(given.get("limit")),
        below=read_cursor(kind, given.get("cursor")),
        bounds={
            name: (column, _instant(name, given[name]))
            for word, column in instants.items()
            for name in (f"{word}.{bound}" for bound in BOUNDS)
            if given.get(name)
        },
        exact={name: given[name] for name in exact if given.get(name)},
    )


def sql_of(query: ListQuery) -> tuple[str, dict[str, Any]]:
    """The bounds as conditions, and their arguments."""
    conditions, arguments = [], {}
    for place, (name, (column, at)) in enumerate(sorted(query.bounds.items())):
        conditions.append(f"AND {column} {BOUNDS[name.rpartition('.')[2]]} :bound_{place}")
        arguments[f"bound_{place}"] = at
    return "\n".join(conditions), arguments


def list_object(kind: str, items: list[dict[str, Any]], last_id: str | None, *, has_more: bool) -> dict[str, Any]:
    """A page as it goes out."""
    said: dict[str, Any] = {"type": "list", "items": items}
    return {**said, "next_cursor": cursor_of(kind, last_id)} if has_more and last_id is not None else said


def _limit(given: str | None) -> int:
    if not given:
        return LIMIT_USUAL
    if not (given.isascii() and given.isdigit() and len(given) <= 4 and 1 <= int(given) <= LIMIT_MAX):
        raise ParameterInvalid(f"A limit is a number from 1 to {LIMIT_MAX}.", parameter="limit")
    return int(given)


def _instant(name: str, given: str) -> datetime:
    try:
        return read_instant(given)
    except ValueError as error:
        raise ParameterInvalid(f"Give {error}.", parameter=name) from None
