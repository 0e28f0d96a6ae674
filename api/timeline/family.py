"""What belongs to one story: from one id to all rows that hang together with it, table by table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from api.contracts.outer_ids import inner_id
from api.timeline.moments import Moment, facts_of
from api.timeline.relations import RELATIONS, Relation
from ledger.database import Session, text

IDS_MAX = 1_000
"""Objects of one story: the longest plan has a few hundred."""
ROWS_MAX = 1_000
"""Rows taken of one table at a time."""
NAME_CHARACTERS_MAX = 200

NAMES = (
    "SELECT resource_id FROM idempotency_keys WHERE request_id = :name AND resource_id IS NOT NULL ORDER BY created_at",
    "SELECT object_id FROM events WHERE id = :name",
    "SELECT id FROM qr_codes WHERE qrc_id = :name",
    "SELECT id FROM sbp_payments WHERE trx_id = :name",
    "SELECT id FROM sbp_refunds WHERE trx_id = :name OR opkc_request_id = :name",
    "SELECT id FROM orders WHERE id = :order_id",
    "SELECT id FROM item_refunds WHERE id = :item_refund_id",
    "SELECT id FROM orders WHERE number = :name AND merchant_id = :merchant_id",
)
"""What else support may have in hand: a request, an event, numbers of NSPK, a slip's UUIDs, the merchant's own number
of an order."""


@dataclass(slots=True)
class Family:
    """The rows of one story while they are gathered."""

    ids: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    entries: set[Any] = field(default_factory=set)
    holds: set[Any] = field(default_factory=set)
    merchants: set[str] = field(default_factory=set)
    rows: dict[tuple[Any, ...], tuple[Relation, Mapping[str, Any]]] = field(default_factory=dict)

    @property
    def moments(self) -> list[Moment]:
        """What the rows say by themselves, in the order of their tables, by whatever id the story was begun."""
        ordered = sorted(self.rows.values(), key=lambda found: RELATIONS.index(found[0]))
        return [one for relation, row in ordered for one in moments_of(relation, row)]


def prefix_of(object_id: str) -> str:
    """What an id names."""
    return object_id.partition("_")[0]


async def find_id(session: Session, name: str, *, merchant_id: str | None) -> str | None:
    """The id of ours that a name stands for: itself, or what a request, an event, NSPK or the merchant calls so."""
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or "\0" in name:
        return None
    known = {prefix for relation in RELATIONS for prefixes in relation.keys.values() for prefix in prefixes}
    if prefix_of(name) in known:
        return name
    by_slip = {"order_id": inner_id("ord", name), "item_refund_id": inner_id("itr", name)}
    for query in NAMES:
        found = await session.scalar(text(query), {"name": name, "merchant_id": merchant_id, **by_slip})
        if found is not None:
            return str(found)
    return None


async def gather(session: Session, object_id: str, *, merchant_id: str | None) -> Family:
    """All rows that hang together with an object; of one merchant's, when it is given, and of nobody else's."""
    family, fresh = Family(), {object_id}
    while fresh and len(family.ids) < IDS_MAX:
        family.ids |= fresh
        seen: set[str] = set()
        for relation in (each for each in RELATIONS if merchant_id is None or not each.is_of_house):
            for column, prefixes in relation.keys.items():
                asked = [each for each in fresh if prefix_of(each) in prefixes]
                if asked:
                    seen |= await _take(session, family, relation, column, asked, merchant_id)
        fresh = seen - family.ids
    return family


async def _take(
    session: Session, family: Family, relation: Relation, column: str, asked: list[str], merchant_id: str | None
) -> set[str]:
    """Add the rows that name what is asked about, and say which ids they name."""
    named: set[str] = set()
    arguments = {"ids": asked, "merchant_id": merchant_id, "limit": ROWS_MAX}
    for found in await session.execute(text(_query(relation, column)), arguments):
        row: dict[str, Any] = found._asdict()
        family.rows[(relation.table, *(row[name] for name in (*relation.keys, *relation.times)))] = (relation, row)
        named |= _present(row, relation.keys)
        family.words |= _present(row, relation.words)
        family.entries |= _present(row, relation.entries)
        family.holds |= _present(row, relation.holds)
        if relation.is_of_merchant:
            family.merchants.add(row["merchant_id"])
    return named


def _present(row: Mapping[str, Any], names: Iterable[str]) -> set[Any]:
    return {row[name] for name in names if row[name] is not None}


def _query(relation: Relation, column: str) -> str:
    columns = ", ".join((*relation.columns, *(("merchant_id",) if relation.is_of_merchant else ())))
    conditions = [f"{column} = ANY(CAST(:ids AS text[]))"]
    if relation.is_of_merchant:
        conditions.append("(CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)")
    if relation.only and column != next(iter(relation.keys)):
        conditions.append(relation.only)
    return f"SELECT {columns} FROM {relation.table} WHERE {' AND '.join(conditions)} LIMIT :limit"  # noqa: S608  # our own data


def moments_of(relation: Relation, row: Mapping[str, Any]) -> list[Moment]:
    """One moment for each instant that a row knows."""
    about = row[next(iter(relation.keys))]
    return [
        Moment(
            row[column], relation.kind, what, about,
            facts_of(row, relation.time_facts.get(column, relation.facts)),
        )
        for column, what in relation.times.items()
        if row[column] is not None
    ]  # fmt: skip
