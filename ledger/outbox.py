"""Events: what happened, kept in the same transaction as its effect, and relayed by the worker.

``publish`` writes events; the table is append-only. The relay turns events into *deliveries*, one
for each event and destination. It reads only rows below the horizon of running transactions, in
the order of their transactions, so that an event that commits late is never passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from ledger.database import Session, text
from ledger.ids import new_ids

PUBLISH_MAX = 1_000
"""Events published in one call."""
RELAY_BATCH_MAX = 1_000
"""Events turned into deliveries in one transaction."""
CLAIM_MAX = 100
"""Deliveries one worker holds at once: what it can send well within a lease."""
LEASE = timedelta(seconds=30)
"""How long a claimed delivery is left to its worker."""
PAGE_MAX = 200
"""Events on one page."""
WAITS_SECONDS = (1, 5, 15, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000)
"""Between tries, about two days in all; then a delivery is parked."""
ERROR_CHARACTERS_MAX = 500


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an object of ours."""

    type: str
    """What: ``order.paid``."""
    object_id: str
    """To what; events of one object are numbered 1, 2, 3 and delivered in that order."""
    merchant_id: str | None
    """Whose it is; empty when it concerns the house alone."""
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Published:
    """An event as the outbox keeps it."""

    id: str
    type: str
    object_id: str
    merchant_id: str | None
    sequence: int
    data: Mapping[str, Any]
    created_at: datetime
    cursor: str
    """Where a reader of the list goes on after this event."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event claimed for one destination."""

    event: Published
    destination: str
    attempt: int
    """From 1; an outcome is taken only from the latest attempt."""
    tries: int
    """The same since the delivery was asked for again: by this the next wait is chosen."""


async def publish(session: Session, event: Event, *, now: datetime) -> None:
    """Publish one event together with the effect that the session commits.

    Locks: the numbering of the event's object until the transaction ends.
    """
    await publish_all(session, [event], now=now)


async def publish_all(
    session: Session, events: Sequence[Event], *, now: datetime, ids: Sequence[str] | None = None
) -> None:
    """Publish events in one round trip, under ids of the caller's own where it must find them again.

    Locks: the numbering of their objects, in the order of their ids.
    """
    assert len(events) <= PUBLISH_MAX
    if not events:
        return
    await session.execute(
        text("""SELECT publish_events(CAST(:ids AS text[]), CAST(:types AS text[]), CAST(:objects AS text[]),
                       CAST(:merchants AS text[]), CAST(:data AS text[]), :now)"""),
        {
            "ids": new_ids("evt", now, len(events)) if ids is None else list(ids),
            "types": [event.type for event in events],
            "objects": [event.object_id for event in events],
            "merchants": [event.merchant_id for event in events],
            "data": [_encode(event.data) for event in events],
            "now": now,
        },
    )


_encode = json.JSONEncoder(ensure_ascii=False).encode
_COLUMNS = "e.id, e.type, e.object_id, e.merchant_id, e.sequence, e.data, e.created_at, e.xid::text AS xid"


async def list_events(
    session: Session,
    *,
    type_: str | None = None,
    merchant_id: str | None = None,
    after: str = "",
    limit: int = PAGE_MAX,
) -> tuple[list[Published], bool]:
    """Events in the order in which they became final, and whether there are more.

    Only events below the horizon are shown, so a reader who keeps the last cursor misses none.
    Raises: ValueError if ``after`` is not a cursor of ours.
    """
    assert 1 <= limit <= PAGE_MAX
    xid, event_id = _position(after)
    rows = await session.execute(
        text(f"""SELECT {_COLUMNS} FROM events AS e
                  WHERE (e.xid, e.id) > (CAST(:xid AS xid8), :event_id)
                    AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
                    AND (CAST(:type AS text) IS NULL OR e.type = :type)
                    AND (CAST(:merchant_id AS text) IS NULL OR e.merchant_id = :merchant_id)
                  ORDER BY e.xid, e.id LIMIT :limit"""),  # noqa: S608  # our own column list
        {"xid": xid, "event_id": event_id, "type": type_, "merchant_id": merchant_id, "limit": limit + 1},
    )
    found = [_published(row) for row in rows]
    return found[:limit], len(found) > limit


async def relay(session: Session, destination: str, *, now: datetime, limit: int = RELAY_BATCH_MAX) -> int:
    """Make deliveries of the next events for a destination, and say how many were made.

    Locks: the destination's position; a second relay of it at the same time does nothing.
    """
    await session.execute(
        text("INSERT INTO relay_positions (destination) VALUES (:destination) ON CONFLICT DO NOTHING"),
        {"destination": destination},
    )
    made = await session.scalar(
        text("""
            WITH held AS MATERIALIZED (
                SELECT passed_xid, passed_event FROM relay_positions
                 WHERE destination = :destination FOR UPDATE SKIP LOCKED
            ), next AS MATERIALIZED (
                SELECT e.id, e.xid, e.object_id, e.sequence FROM held, events AS e
                 WHERE (e.xid, e.id) > (held.passed_xid, held.passed_event)
                   AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
                 ORDER BY e.xid, e.id LIMIT :limit
            ), made AS (
                INSERT INTO deliveries (event_id, destination, object_id, sequence, next_attempt_at)
                SELECT id, :destination, object_id, sequence, :now FROM next
            ), moved AS (
                UPDATE relay_positions AS p SET passed_xid = l.xid, passed_event = l.id
                  FROM (SELECT xid, id FROM next ORDER BY xid DESC, id DESC LIMIT 1) AS l
                 WHERE p.destination = :destination
            )
            SELECT count(*) FROM next
        """),
        {"destination": destination, "limit": limit, "now": now},
    )
    return int(made or 0)


async def read_next(session: Session, reader: str, *, limit: int = RELAY_BATCH_MAX) -> list[Published]:
    """The next events for a reader that itself chooses who gets them; its position moves past them.

    Locks: the reader's position; a second reading at the same time finds nothing.
    """
    await session.execute(
        text("INSERT INTO relay_positions (destination) VALUES (:reader) ON CONFLICT DO NOTHING"), {"reader": reader}
    )
    rows = await session.execute(
        text(f"""
            WITH held AS MATERIALIZED (
                SELECT passed_xid, passed_event FROM relay_positions
                 WHERE destination = :reader FOR UPDATE SKIP LOCKED
            ), next AS MATERIALIZED (
                SELECT e.* FROM held, events AS e
                 WHERE (e.xid, e.id) > (held.passed_xid, held.passed_event)
                   AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
                 ORDER BY e.xid, e.id LIMIT :limit
            ), moved AS (
                UPDATE relay_positions AS p SET passed_xid = l.xid, passed_event = l.id
                  FROM (SELECT xid, id FROM next ORDER BY xid DESC, id DESC LIMIT 1) AS l
                 WHERE p.destination = :reader
            )
            SELECT {_COLUMNS} FROM next AS e ORDER BY e.xid, e.id
        """),  # noqa: S608  # our own column list
        {"reader": reader, "limit": limit},
    )
    return [_published(row) for row in rows]


async def add_deliveries(session: Session, chosen: Sequence[tuple[Published, str]], *, now: datetime) -> None:
    """Make deliveries of events to the destinations chosen for them, in the transaction that read the events.

    A delivery that was asked for before its event was read stays the one.
    """
    if chosen:
        await session.execute(
            text("""INSERT INTO deliveries (event_id, destination, object_id, sequence, next_attempt_at)
                    SELECT n.*, CAST(:now AS timestamptz)
                      FROM unnest(CAST(:events AS text[]), CAST(:destinations AS text[]), CAST(:objects AS text[]),
                                  CAST(:sequences AS bigint[])) AS n
                    ON CONFLICT (event_id, destination) DO NOTHING"""),
            {
                "now": now,
                "events": [event.id for event, _ in chosen],
                "destinations": [destination for _, destination in chosen],
                "objects": [event.object_id for event, _ in chosen],
                "sequences": [event.sequence for event, _ in chosen],
            },
        )


async def add_claimed(session: Session, event: Published, destination: str, *, now: datetime) -> Delivery:
    """Make a delivery that its maker sends at once, past the order of the event's object."""
    await session.execute(
        text("""INSERT INTO deliveries (event_id, destination, object_id, sequence, attempts, next_attempt_at,
                                        lease_until)
                VALUES (:event, :destination, :object, :sequence, 1, :now, :lease_until)"""),
        {
            "event": event.id, "destination": destination, "object": event.object_id, "sequence": event.sequence,
            "now": now, "lease_until": now + LEASE,
        },
    )  # fmt: skip
    return Delivery(event, destination, 1, 1)


async def redeliver(session: Session, destination: str, event_ids: Sequence[str], *, now: datetime) -> int:
    """Have events sent to a destination, again or for the first time; how many were not on their way already.

    Locks: their deliveries.
    """
    made = await session.execute(
        text("""INSERT INTO deliveries AS d (event_id, destination, object_id, sequence, next_attempt_at)
                SELECT e.id, :destination, e.object_id, e.sequence, CAST(:now AS timestamptz) FROM events AS e
                 WHERE e.id = ANY(CAST(:ids AS text[])) ORDER BY e.id
                ON CONFLICT (event_id, destination) DO UPDATE
                   SET state = 'pending', next_attempt_at = excluded.next_attempt_at, lease_until = NULL,
                       delivered_at = NULL, replayed_after = d.attempts
                 WHERE d.state <> 'pending'"""),
        {"destination": destination, "ids": list(event_ids), "now": now},
    )
    return int(made.rowcount)


async def load_events(session: Session, event_ids: Sequence[str]) -> list[Published]:
    """Events by their ids, in that order; unknown ones are left out."""
    rows = await session.execute(
        text(f"SELECT {_COLUMNS} FROM events AS e WHERE e.id = ANY(CAST(:ids AS text[])) ORDER BY e.id"),  # noqa: S608
        {"ids": list(event_ids)},
    )
    return [_published(row) for row in rows]


async def due_destinations(session: Session, prefix: str, *, now: datetime, limit: int) -> list[str]:
    """Destinations whose names begin with ``prefix`` and that wait for a delivery, the longest waiting first."""
    rows = await session.scalars(
        text("""SELECT destination FROM deliveries
                 WHERE state = 'pending' AND next_attempt_at <= :now AND starts_with(destination, :prefix)
                   AND (lease_until IS NULL OR lease_until <= :now)
                 GROUP BY destination ORDER BY min(next_attempt_at) LIMIT :limit"""),
        {"now": now, "prefix": prefix, "limit": limit},
    )
    return list(rows)


async def close_destination(session: Session, destination: str, reason: str) -> None:
    """Park what still waits for a destination that is no more. Locks: its deliveries."""
    await session.execute(
        text("""UPDATE deliveries SET state = 'parked', lease_until = NULL, last_error = :reason
                 WHERE destination = :destination AND state = 'pending'"""),
        {"destination": destination, "reason": reason},
    )


async def claim(session: Session, destination: str, *, now: datetime, limit: int = CLAIM_MAX) -> list[Delivery]:
    """Take deliveries that are due, for the length of a lease.

    The first undelivered event of each object only: the next one waits for it, unless it was parked.
    Locks: the deliveries it takes, skipping those that another worker takes at this moment.
    """
    rows = await session.execute(
        text(f"""
            WITH due AS MATERIALIZED (
                SELECT d.event_id FROM deliveries AS d
                 WHERE d.destination = :destination AND d.state = 'pending' AND d.next_attempt_at <= :now
                   AND (d.lease_until IS NULL OR d.lease_until <= :now)
                   AND NOT EXISTS (SELECT 1 FROM deliveries AS b
                                    WHERE b.destination = d.destination AND b.object_id = d.object_id
                                      AND b.sequence < d.sequence AND b.state = 'pending')
                 ORDER BY d.next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
            ), taken AS (
                UPDATE deliveries AS d SET attempts = attempts + 1, lease_until = :lease_until
                  FROM due WHERE d.event_id = due.event_id AND d.destination = :destination
                RETURNING d.event_id, d.attempts, d.attempts - d.replayed_after AS tries
            )
            SELECT {_COLUMNS}, taken.attempts, taken.tries FROM taken JOIN events AS e ON e.id = taken.event_id
             ORDER BY e.xid, e.id
        """),  # noqa: S608  # our own column list
        {"destination": destination, "now": now, "lease_until": now + LEASE, "limit": limit},
    )
    return [Delivery(_published(row), destination, row.attempts, row.tries) for row in rows]


async def settle(
    session: Session, destination: str, outcomes: Sequence[tuple[Delivery, str | None]], *, now: datetime,
    waits: Sequence[int] = WAITS_SECONDS,
) -> None:  # fmt: skip
    """Write down how claimed deliveries went: no error means delivered, an error is tried again later.

    When all ``waits`` are used up a delivery is parked with its error and no longer holds up its object.
    An outcome of an attempt that lost its lease to a later one is ignored.
    """
    await session.execute(
        text("""
            UPDATE deliveries AS d
               SET state = o.state, lease_until = NULL, last_error = o.error, next_attempt_at = o.next_attempt_at,
                   delivered_at = CASE o.state WHEN 'delivered' THEN CAST(:now AS timestamptz) END
              FROM unnest(CAST(:ids AS text[]), CAST(:attempts AS int[]), CAST(:states AS text[]),
                          CAST(:errors AS text[]), CAST(:nexts AS timestamptz[]))
                   AS o (event_id, attempt, state, error, next_attempt_at)
             WHERE d.event_id = o.event_id AND d.destination = :destination
               AND d.attempts = o.attempt AND d.state = 'pending'
        """),
        {
            "destination": destination,
            "now": now,
            "ids": [delivery.event.id for delivery, _ in outcomes],
            "attempts": [delivery.attempt for delivery, _ in outcomes],
            "states": [_state_after(delivery, error, waits) for delivery, error in outcomes],
            "errors": [None if error is None else error[:ERROR_CHARACTERS_MAX] for _, error in outcomes],
            "nexts": [now + wait_after(delivery.tries, waits) for delivery, _ in outcomes],
        },
    )


def wait_after(tries: int, waits: Sequence[int] = WAITS_SECONDS) -> timedelta:
    """How long a delivery waits after its failed try number ``tries``; nothing where it is not tried again."""
    return timedelta(seconds=waits[min(tries, len(waits)) - 1] if waits else 0)


def is_last_try(delivery: Delivery, waits: Sequence[int] = WAITS_SECONDS) -> bool:
    """Whether a delivery that fails now is tried no more."""
    return delivery.tries > len(waits)


def _state_after(delivery: Delivery, error: str | None, waits: Sequence[int]) -> str:
    if error is None:
        return "delivered"
    return "parked" if is_last_try(delivery, waits) else "pending"


def _position(cursor: str) -> tuple[str, str]:
    if not cursor:
        return "0", ""
    xid, _, event_id = cursor.partition("-")
    if not (xid.isascii() and xid.isdigit() and event_id.startswith("evt_")):
        raise ValueError("not a cursor of the list of events")
    return xid, event_id


def _published(row: Row[Any]) -> Published:
    return Published(
        id=row.id, type=row.type, object_id=row.object_id, merchant_id=row.merchant_id, sequence=row.sequence,
        data=row.data, created_at=row.created_at, cursor=f"{row.xid}-{row.id}",
    )  # fmt: skip
