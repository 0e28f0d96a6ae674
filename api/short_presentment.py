"""The short road of a scan: key, card, phone and presentment in one statement, as in ``api.short_road``.

It writes all or nothing, and nothing in any case but the usual one: an unknown key, an active card of the till's
merchant, a phone that may show it, a code not scanned yet. Every refusal goes the long way, which says why.
The till and its rails come from memory, and the code is checked before the database is asked.
"""

from __future__ import annotations

from collections.abc import Callable

import psycopg
from pydantic import BaseModel

from api.answers import JSON, Answer
from api.bodies import FINGERPRINT_VERSION
from api.door import Call
from api.till_memory import KnownTill
from checkout.barcode import ReadBarcode
from checkout.presentments import Presentment, presentment_of
from ledger.ids import new_id

CARD_UNKNOWN = "lcd_?"
"""Stands in the answer until the statement puts the card's id in its place."""
SHOWN_BY_PHONE = "shw_?"
NO_PREFERENCE = '"preferred_rail":null'
"""The same of the rail that the buyer has chosen, where it is on."""


async def present_shortly(
    call: Call, till: KnownTill, read: ReadBarcode, step: int | None, show: Callable[[Presentment], BaseModel]
) -> Answer | None:
    """Take a scan down and give its answer; nothing if the case is not the usual one, or nobody knows what became."""
    if call.caller.merchant_id not in (None, till.terminal.merchant_id):
        return None
    presentment = presentment_of(
        new_id("prs", call.now), till.terminal, CARD_UNKNOWN, SHOWN_BY_PHONE if step is not None else None, step,
        till.rails, None, is_in_time=till.is_in_time, now=call.now,
    )  # fmt: skip
    body, location = show(presentment).model_dump_json(), f"/v1/presentments/{presentment.id}"
    values = [
        call.caller.idempotency_scope, call.key, read.number, till.terminal.merchant_id,
        None if read.showing_number is None else str(read.showing_number), presentment.id, till.terminal.store_id,
        till.terminal.id, None if step is None else str(step), "t" if presentment.is_payment_available else "f",
        f"{{{','.join(presentment.rails)}}}", presentment.unavailable_reason, call.now.isoformat(), body,
        f"\\x{call.fingerprint.digest.hex()}", f"\\x{call.fingerprint.fields.hex()}", call.caller.key_id,
        call.request_id, call.method, call.route, call.reason, location,
    ]  # fmt: skip
    try:
        rows = await call.door.lines.call(PRESENT, values)
    except psycopg.Error:
        return None
    if not rows:
        return None
    call.outcome = "new"
    card_id, preferred = rows[0]
    told = body.replace(CARD_UNKNOWN, card_id)
    if preferred is not None:
        told = told.replace(NO_PREFERENCE, f'"preferred_rail":"{preferred}"')
    return Answer(201, told.encode(), JSON, location, presentment.id)


PRESENT = f"""
WITH found AS MATERIALIZED (SELECT place FROM known_keys(ARRAY[$1], ARRAY[$2])),
card AS MATERIALIZED (
    SELECT c.id, s.id AS showing_id, p.rail AS preferred_rail
      FROM loyalty_cards AS c
      LEFT JOIN preferred_rails AS p ON p.loyalty_card_id = c.id AND p.rail = ANY ($11::text[])
      LEFT JOIN loyalty_showings AS s ON s.card_id = c.id AND s.number = $5::integer AND s.ended_at IS NULL
     WHERE c.number = $3 AND c.merchant_id = $4 AND c.status = 'active'
       AND ($5 IS NULL OR s.id IS NOT NULL) AND NOT EXISTS (SELECT FROM found)
), added AS (
    INSERT INTO presentments (id, merchant_id, store_id, terminal_id, loyalty_card_id, showing_id, time_step,
                              is_payment_available, rails, preferred_rail, unavailable_reason, presented_at)
    SELECT $6, $4, $7, $8, c.id, c.showing_id, $9::bigint, $10::boolean, $11::text[], c.preferred_rail, $12,
           $13::timestamptz
      FROM card AS c
    ON CONFLICT ON CONSTRAINT presentments_code_counts_once DO NOTHING RETURNING loyalty_card_id, preferred_rail
), settled AS (
    INSERT INTO idempotency_keys (
        created_at, finished_at, attempt_no, response_status, fingerprint_version, fingerprint, field_digests, scope,
        key, api_key_id, request_id, status, method, route, resource_id, reason, content_type, location, response_body)
    SELECT $13::timestamptz, $13::timestamptz, 1, 201, {FINGERPRINT_VERSION}, $15::bytea, $16::bytea, $1,
           $2, $17, $18, 'finished', $19, $20, $6, $21, '{JSON}', $22,
           convert_to(replace(replace($14, '{CARD_UNKNOWN}', a.loyalty_card_id), '{NO_PREFERENCE}',
               coalesce('"preferred_rail":"' || a.preferred_rail || '"', '{NO_PREFERENCE}')), 'UTF8')
      FROM added AS a
)
SELECT loyalty_card_id, preferred_rail FROM added"""  # noqa: S608  # our own words
"""Locks: the key's advisory lock, tried."""
