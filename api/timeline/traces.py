"""What other tables know of a story's objects: requests, the books, events, those who were told, the audit log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from api.timeline.family import Family
from api.timeline.moments import Moment, MomentKind, shown, shown_entry
from api.timeline.relations import REFERENCES, REPEATED_REFERENCES
from ledger.database import Session, text
from ledger.money import roubles

REQUEST_SECONDS = 5
"""How far from a moment of an object the request that made it may have been written down."""
ROWS_MAX = 1_000
LINES_MAX = 500


async def requests(
    session: Session, family: Family, instants: Iterable[datetime], merchant_id: str | None
) -> list[Moment]:
    """Requests whose answer was one of the objects; of the merchant's own keys, when a merchant asks.

    Requests are found by their time, which has an index, and kept when they are about one of the objects.
    """
    spans = merged(sorted(set(instants)), timedelta(seconds=REQUEST_SECONDS))
    rows = await session.execute(
        text("""
            SELECT DISTINCT r.created_at, r.finished_at, r.method, r.route, r.request_id, r.resource_id, r.reason,
                   r.response_status, r.attempt_no, k.name AS caller
              FROM unnest(CAST(:since AS timestamptz[]), CAST(:until AS timestamptz[])) AS s (since, until)
              JOIN idempotency_keys AS r ON r.created_at BETWEEN s.since AND s.until
              LEFT JOIN api_keys AS k ON k.id = r.api_key_id
             WHERE r.resource_id = ANY(CAST(:ids AS text[]))
               AND (CAST(:merchant_id AS text) IS NULL OR k.merchant_id = :merchant_id)
             LIMIT :limit
        """),
        {
            "since": [since for since, _ in spans], "until": [until for _, until in spans], "ids": sorted(family.ids),
            "merchant_id": merchant_id, "limit": ROWS_MAX,
        },
    )  # fmt: skip
    names = ("request_id", "response_status", "caller", "attempt_no", "reason")
    return [
        Moment(
            row.created_at, MomentKind.REQUEST, f"{row.method} {row.route}", row.resource_id,
            {name: shown(getattr(row, name)) for name in names if getattr(row, name) is not None},
        )
        for row in rows
    ]  # fmt: skip


def merged(instants: Sequence[datetime], margin: timedelta) -> list[tuple[datetime, datetime]]:
    """Spans of time around instants in order, those that touch as one."""
    spans: list[tuple[datetime, datetime]] = []
    for at in instants:
        since, until = at - margin, at + margin
        if spans and since <= spans[-1][1]:
            spans[-1] = (spans[-1][0], until)
        else:
            spans.append((since, until))
    return spans


async def entries(session: Session, family: Family) -> list[Moment]:
    """What was booked: entries that rows name or that are booked under their objects, each with its leaf in the log."""
    rows = await session.execute(
        text("""
            WITH found AS MATERIALIZED (
                SELECT book, entry_id FROM postings
                 WHERE book = ANY (SELECT number FROM books) AND reference = ANY(CAST(:references AS text[]))
                   AND number = 1
                UNION
                SELECT p.book, p.entry_id
                  FROM unnest(CAST(:repeated AS text[])) AS r (reference), books AS b, postings AS p
                 WHERE p.book = b.number AND p.number = 1
                   AND p.reference > r.reference || ':' AND p.reference < r.reference || ';'
                UNION
                SELECT b.number, e.entry_id FROM books AS b, unnest(CAST(:entries AS uuid[])) AS e (entry_id)
            )
            SELECT f.entry_id, p.number, p.amount, p.commodity, p.kind, p.reference, p.happened_at, p.recorded_at,
                   d.code AS debit, c.code AS credit, l.idx
              FROM found AS f
              JOIN postings AS p ON p.book = f.book AND p.entry_id = f.entry_id
              JOIN accounts AS d ON d.book = p.book AND d.number = p.debit
              JOIN accounts AS c ON c.book = p.book AND c.number = p.credit
              LEFT JOIN audit_leaves AS l ON l.book = f.book AND l.entry_id = f.entry_id
             ORDER BY p.book, p.entry_id, p.number LIMIT :limit
        """),
        {
            "references": references(family, REFERENCES),
            "repeated": references(family, REPEATED_REFERENCES),
            "entries": sorted(family.entries),
            "limit": ROWS_MAX,
        },
    )
    found: dict[Any, list[Any]] = {}
    for row in rows:
        found.setdefault(row.entry_id, []).append(row)
    return [_entry(entry_id, legs) for entry_id, legs in found.items()]


def references(family: Family, names: Sequence[str]) -> list[str]:
    """Under what references entries and holds of the story may be booked by these names."""
    return [f"{name}:{key}" for key in sorted(family.ids | family.words) for name in names]


def _entry(entry_id: Any, legs: Sequence[Any]) -> Moment:
    first = legs[0]
    facts = {
        "reference": first.reference, "happened_at": shown(first.happened_at),
        "postings": [
            {"debit": leg.debit, "credit": leg.credit, "amount": leg.amount, "commodity": leg.commodity} for leg in legs
        ],
    }  # fmt: skip
    if first.idx is not None:
        facts["leaf"] = first.idx
    return Moment(first.recorded_at, MomentKind.ENTRY, first.kind, shown_entry(entry_id), facts)


async def holds(session: Session, family: Family) -> list[Moment]:
    """What was set aside, and what became of it."""
    rows = await session.execute(
        text("""
            SELECT h.kind, h.reference AS placed_as, e.what, e.amount, e.reference, e.happened_at, d.code AS debit,
                   c.code AS credit, h.commodity
              FROM holds AS h JOIN hold_events AS e ON e.book = h.book AND e.hold_id = h.id
              JOIN accounts AS d ON d.book = h.book AND d.number = h.debit
              JOIN accounts AS c ON c.book = h.book AND c.number = h.credit
             WHERE h.book = ANY (SELECT number FROM books)
               AND (h.id = ANY(CAST(:holds AS uuid[])) OR h.reference = ANY(CAST(:references AS text[])))
             ORDER BY e.happened_at, e.number LIMIT :limit
        """),
        {"holds": sorted(family.holds), "references": references(family, REFERENCES), "limit": ROWS_MAX},
    )
    names = ("debit", "credit", "reference")
    return [
        Moment(
            row.happened_at, MomentKind.HOLD, f"{row.kind}: {row.what}", row.placed_as,
            {"amount_kopecks" if row.commodity == "RUB" else f"amount {row.commodity}": row.amount}
            | {name: getattr(row, name) for name in names},
        )
        for row in rows
    ]  # fmt: skip


async def events(session: Session, family: Family, merchant_id: str | None) -> list[Moment]:
    """What was published of the objects."""
    rows = await session.execute(
        text("""SELECT id, type, object_id, sequence, data, created_at FROM events
                 WHERE object_id = ANY(CAST(:ids AS text[]))
                   AND (CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)
                 ORDER BY created_at, id LIMIT :limit"""),
        {"ids": sorted(family.ids), "merchant_id": merchant_id, "limit": ROWS_MAX},
    )
    return [
        Moment(
            row.created_at, MomentKind.EVENT, row.type, row.object_id,
            {"event_id": row.id, "sequence": row.sequence}
            | {name: shown(value) for name, value in row.data.items() if value is not None},
        )
        for row in rows
    ]  # fmt: skip


async def deliveries(session: Session, told: Sequence[Moment], merchant_id: str | None) -> list[Moment]:
    """Whom we told of the events, and how it went: each try of a webhook, and how every other delivery stands."""
    arguments = {
        "events": [one.facts["event_id"] for one in told], "merchant_id": merchant_id, "limit": ROWS_MAX,
    }  # fmt: skip
    tries = await session.execute(
        text("""SELECT t.webhook_id, t.event_id, t.number, t.tried_at, t.http_status, t.error, t.milliseconds
                  FROM webhooks AS w JOIN delivery_tries AS t ON t.webhook_id = w.id
                 WHERE t.event_id = ANY(CAST(:events AS text[]))
                   AND (CAST(:merchant_id AS text) IS NULL OR w.merchant_id = :merchant_id)
                 ORDER BY t.tried_at, t.number LIMIT :limit"""),
        arguments,
    )
    names = ("event_id", "number", "http_status", "error", "milliseconds")
    found = [
        Moment(
            row.tried_at, MomentKind.WEBHOOK, "webhook.called", row.webhook_id,
            {name: shown(getattr(row, name)) for name in names if getattr(row, name) is not None},
        )
        for row in tries
    ]  # fmt: skip
    if merchant_id is None:
        found += await _other_deliveries(session, arguments)
    return found


async def _other_deliveries(session: Session, arguments: dict[str, Any]) -> list[Moment]:
    """By contracts and to the house itself: they keep no log of tries, only how they stand."""
    rows = await session.execute(
        text("""SELECT d.event_id, d.destination, d.state, d.attempts, d.last_error,
                       COALESCE(d.delivered_at, e.created_at) AS at
                  FROM deliveries AS d JOIN events AS e ON e.id = d.event_id
                 WHERE d.event_id = ANY(CAST(:events AS text[])) AND d.destination NOT LIKE 'webhook:%'
                 ORDER BY d.event_id LIMIT :limit"""),
        arguments,
    )
    names = ("event_id", "attempts", "last_error")
    return [
        Moment(
            row.at, MomentKind.WEBHOOK, f"delivery.{row.state}", row.destination,
            {name: shown(getattr(row, name)) for name in names if getattr(row, name) is not None},
        )
        for row in rows
    ]  # fmt: skip


async def leaves(session: Session, family: Family, since: datetime) -> list[Moment]:
    """The lines of the audit log that name one of the objects, with their places in the tree once they are sealed."""
    rows = await session.execute(
        text("""SELECT l.event, l.idx
                  FROM business_clock AS c,
                       audit_lines_about(CAST(:ids AS text[]), CAST(:since AS timestamptz) - INTERVAL '1 day'
                                         - make_interval(secs => greatest(c.offset_seconds, 0)), :limit) AS l"""),
        {"ids": sorted(each for each in family.ids if "_" in each), "since": since, "limit": LINES_MAX},
    )
    return [_leaf(json.loads(bytes(row.event)), row.idx) for row in rows]


def _leaf(line: dict[str, Any], idx: int | None) -> Moment:
    names = ("actor", "origin", "outcome")
    facts = {name: line[name] for name in names} | {k: shown(v) for k, v in line["facts"].items()}
    if idx is not None:
        facts["leaf"] = idx
    return Moment(datetime.fromisoformat(line["at"]), MomentKind.LEAF, line["action"], line["subject"], facts)


def posting_text(posting: dict[str, Any]) -> str:
    """A posting in a line: Дт, Кт, how much."""
    money = roubles(posting["amount"]) if posting["commodity"] == "RUB" else str(posting["amount"])
    return f"Дт {posting['debit']} Кт {posting['credit']} {money} {posting['commodity']}"
