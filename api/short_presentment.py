"""The short road of a scan: keys, cards, phones and presentments of all scans that wait in one statement.

It writes all or nothing of each scan, and nothing in any case but the usual one: an unknown key, an active card of the
till's merchant, a phone that may show it, a code not scanned yet. Every refusal goes the long way, which says why.
The till and its rails come from memory, and the code is checked before the database is asked. DECISIONS.md, 21.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from pydantic import BaseModel

from api.answers import JSON, Answer
from api.bodies import FINGERPRINT_VERSION
from api.door import Call
from api.till_memory import KnownTill
from checkout.barcode import ReadBarcode
from checkout.presentments import Presentment, presentment_of
from ledger.database import array_of
from ledger.direct import BY_KEYS, Line
from ledger.errors import KopeykaError
from ledger.group_commit import GroupCommit
from ledger.ids import new_id

CARD_UNKNOWN = "lcd_?"
"""Stands in the answer until the statement puts the card's id in its place."""
SHOWN_BY_PHONE = "shw_?"
NO_PREFERENCE = '"preferred_rail":null'
"""The same of the rail that the buyer has chosen, where it is on."""
SCAN_WEIGHT = 4
"""A batch weighs at most 1,000, so it locks at most 250 keys, as in ``api.entry_commit``."""

Taken = tuple[str, str | None]
"""The card's id, and the rail that its buyer has chosen."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan that waits to be taken down."""

    call: Call
    number: str
    """Of the loyalty card."""
    showing_number: int | None
    presentment: Presentment
    body: str
    """The answer, but for the card and the buyer's rail."""


ScanQueue = GroupCommit[Scan, Taken | None]


def open_queue(url: str, *, queue_max: int) -> ScanQueue:
    """The queue of a process. Each writer opens its line when it is first needed."""

    async def connect(url: str) -> Line:
        return await Line.open(url, BY_KEYS)

    return GroupCommit(url, take_down, weigh=lambda _scan: SCAN_WEIGHT, connect=connect, queue_max=queue_max)


async def present_shortly(
    call: Call, till: KnownTill, read: ReadBarcode, step: int | None, show: Callable[[Presentment], BaseModel]
) -> Answer | None:
    """Take a scan down and give its answer; nothing if the case is not the usual one, or nobody knows what became.

    Raises: LedgerBusy if too many scans wait.
    """
    if call.caller.merchant_id not in (None, till.terminal.merchant_id):
        return None
    presentment = presentment_of(
        new_id("prs", call.now), till.terminal, CARD_UNKNOWN, SHOWN_BY_PHONE if step is not None else None, step,
        till.rails, None, is_in_time=till.is_in_time, now=call.now,
    )  # fmt: skip
    body = show(presentment).model_dump_json()
    try:
        taken = await call.door.scans.submit(Scan(call, read.number, read.showing_number, presentment, body))
    except psycopg.Error:
        return None
    if taken is None:
        return None
    call.outcome = "new"
    card_id, preferred = taken
    told = body.replace(CARD_UNKNOWN, card_id)
    if preferred is not None:
        told = told.replace(NO_PREFERENCE, f'"preferred_rail":"{preferred}"')
    return Answer(201, told.encode(), JSON, f"/v1/presentments/{presentment.id}", presentment.id)


async def take_down(line: Line, scans: Sequence[Scan]) -> list[Taken | KopeykaError | None]:
    """Carry a batch out in one statement; nothing for scans that are not the usual case.

    Of two scans with one key the second has nothing: the long way finds what the first was answered.
    """
    first = {(scan.call.caller.idempotency_scope, scan.call.key): scan for scan in reversed(scans)}
    rows = await line.call(PRESENT, _columns([*first.values()]))
    taken = {presentment_id: (card_id, preferred) for presentment_id, card_id, preferred in rows}
    return [taken.get(scan.presentment.id) for scan in scans]


def _columns(scans: Sequence[Scan]) -> list[str | None]:
    """What is written of each scan, as arrays in PostgreSQL's own text."""
    calls, said = [scan.call for scan in scans], [scan.presentment for scan in scans]
    columns: list[list[Any]] = [
        [call.caller.idempotency_scope for call in calls],
        [call.key for call in calls],
        [scan.number for scan in scans],
        [one.merchant_id for one in said],
        [scan.showing_number for scan in scans],
        [one.id for one in said],
        [one.store_id for one in said],
        [one.terminal_id for one in said],
        [one.time_step for one in said],
        [f"{{{','.join(one.rails)}}}" for one in said],
        [one.unavailable_reason and one.unavailable_reason.value for one in said],
        [call.now for call in calls],
        [scan.body for scan in scans],
        [call.fingerprint.digest for call in calls],
        [call.fingerprint.fields for call in calls],
        [call.caller.key_id for call in calls],
        [call.request_id for call in calls],
        [call.reason for call in calls],
    ]
    return [array_of(column) for column in columns] + [calls[0].method, calls[0].route]


PRESENT = f"""
WITH asked AS MATERIALIZED (
    SELECT u.*, take_key(u.scope, u.key) AS is_ours
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::text[], $7::text[], $8::text[],
                  $9::bigint[], $10::text[], $11::text[], $12::timestamptz[], $13::text[], $14::bytea[], $15::bytea[],
                  $16::text[], $17::text[], $18::text[])
        AS u(scope, key, number, merchant_id, showing_number, id, store_id, terminal_id, step, rails, unavailable, now,
             body, digest, fields, api_key_id, request_id, reason)
), card AS MATERIALIZED (
    SELECT a.*, c.id AS card_id, s.id AS showing_id, p.rail AS preferred_rail
      FROM asked AS a
      JOIN loyalty_cards AS c ON c.number = a.number AND c.merchant_id = a.merchant_id AND c.status = 'active'
      LEFT JOIN preferred_rails AS p ON p.loyalty_card_id = c.id AND p.rail = ANY (a.rails::text[])
      LEFT JOIN loyalty_showings AS s ON s.card_id = c.id AND s.number = a.showing_number AND s.ended_at IS NULL
     WHERE a.is_ours AND (a.showing_number IS NULL OR s.id IS NOT NULL)
       AND NOT EXISTS (SELECT FROM idempotency_keys AS k WHERE k.scope = a.scope AND k.key = a.key)
), added AS (
    INSERT INTO presentments (id, merchant_id, store_id, terminal_id, loyalty_card_id, showing_id, time_step,
                              is_payment_available, rails, preferred_rail, unavailable_reason, presented_at)
    SELECT id, merchant_id, store_id, terminal_id, card_id, showing_id, step, unavailable IS NULL, rails::text[],
           preferred_rail, unavailable, now
      FROM card
     ORDER BY showing_id, step
    ON CONFLICT ON CONSTRAINT presentments_code_counts_once DO NOTHING RETURNING id, loyalty_card_id, preferred_rail
), settled AS (
    INSERT INTO idempotency_keys (
        created_at, finished_at, attempt_no, response_status, fingerprint_version, fingerprint, field_digests, scope,
        key, api_key_id, request_id, status, method, route, resource_id, reason, content_type, location, response_body)
    SELECT c.now, c.now, 1, 201, {FINGERPRINT_VERSION}, c.digest, c.fields, c.scope,
           c.key, c.api_key_id, c.request_id, 'finished', $19, $20, c.id, c.reason, '{JSON}',
           '/v1/presentments/' || c.id,
           convert_to(replace(replace(c.body, '{CARD_UNKNOWN}', c.card_id), '{NO_PREFERENCE}',
               coalesce('"preferred_rail":"' || c.preferred_rail || '"', '{NO_PREFERENCE}')), 'UTF8')
      FROM added AS a JOIN card AS c ON c.id = a.id
)
SELECT id, loyalty_card_id, preferred_rail FROM added"""  # noqa: S608  # our own words
"""Locks: the keys' advisory locks, tried; codes by phone and step, so that two processes that meet the same ones wait
for each other in one order. An answer that another transaction has kept since we looked makes the whole batch nothing,
by the unique key."""
