"""The short road of a dynamic code: nine statements of the usual case are one before NSPK's answer and one after.

Both write all or nothing, and nothing at all in any case but the usual one: an unknown key, an open order that nobody
holds and that costs the same by every rail, a merchant that may take payments and has SBP at every till; then a code
and an attempt that still wait. Everything else, every refusal included, goes the long way through the packages, which
says why. DECISIONS.md, 13.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from pydantic import BaseModel

from api.answers import JSON, Answer
from api.bodies import FINGERPRINT_VERSION
from api.door import Call
from api.idempotency import LEASE_SECONDS, Claim
from api.wiring import SbpRail
from checkout.attempts import Attempt, AttemptStatus
from checkout.rail import Offer, ShownQr, Start, StartStatus
from ledger.ids import new_id
from ledger.money import Kopecks
from sbp_gateway import registering
from sbp_gateway.nspk import Registration
from sbp_gateway.qr_codes import ANSWER_WAIT, FIRST_POLL_WAIT, PURPOSE_CHARACTERS_MAX

Intended = tuple[str, Offer | None]
"""The attempt's id and what the rail will be asked."""


@dataclass(frozen=True, slots=True)
class ShortRoad:
    """An attempt to have an order paid by a new dynamic code."""

    rail: SbpRail
    order_id: str
    show: Callable[[Attempt, ShownQr], BaseModel]

    async def begin(self, call: Call) -> tuple[Claim, Intended] | None:
        """Intent, committed: key, attempt and code. Nothing if the case is not the usual one.

        Raises: TtlOutOfRange.
        """
        registering.check_ttl(self.rail.ttl_minutes, self.rail.ttl_minutes_min)
        claim, qr_id = Claim(None, new_id("att", call.now), 1), new_id("qr", call.now)
        expires_at = call.now + timedelta(minutes=self.rail.ttl_minutes)
        row = await _one(call, BEGIN, [
            call.caller.idempotency_scope, call.key, self.order_id, call.caller.merchant_id, claim.resource_id, qr_id,
            call.now, expires_at, call.now + ANSWER_WAIT, call.fingerprint.digest, call.fingerprint.fields,
            call.caller.key_id, call.request_id, call.method, call.route, call.reason,
        ])  # fmt: skip
        if row is None:
            return None
        call.outcome = "new"
        merchant_id, amount, purpose, terminal_id, nspk_merchant_id, member_id, bank_account = row
        registration = Registration(
            nspk_merchant_id,
            member_id,
            bank_account,
            Kopecks(amount),
            self.rail.ttl_minutes,
            purpose,
            qr_id,
            expires_at,
        )
        offer = Offer(claim.resource_id, merchant_id, Kopecks(amount), purpose, qr_id, registration, terminal_id)
        return claim, (claim.resource_id, offer)

    async def finish(self, call: Call, begun_at: datetime, intended: Intended, start: Start | None) -> Answer | None:
        """Outcome and answer, committed: the link, the attempt that waits. Nothing if the case is not the usual one."""
        attempt_id, offer = intended
        if offer is None or start is None or start.status is not StartStatus.STARTED:
            return None
        assert start.link_id is not None, "what started has a link"
        assert start.payload is not None, "what started can be shown"
        waiting = Attempt(
            attempt_id, self.order_id, self.rail.name, offer.amount, AttemptStatus.WAITING, None, begun_at, version=2
        )
        body = self.show(waiting, ShownQr(offer.reference, start.link_id, start.payload)).model_dump_json().encode()
        row = await _one(call, FINISH, [
            call.caller.idempotency_scope, call.key, offer.reference, attempt_id, start.link_id, start.payload,
            call.now + FIRST_POLL_WAIT, call.now, body,
        ])  # fmt: skip
        return None if row is None else Answer(201, body, JSON, None, attempt_id)


async def _one(call: Call, statement: str, values: list[Any]) -> tuple[Any, ...] | None:
    """The row of a statement, if it wrote anything. A failure is nobody's answer: the long way will find out."""
    try:
        rows = await call.door.lines.call(statement, [_text(value) for value in values])
    except psycopg.Error:
        return None
    return rows[0] if rows else None


def _text(value: str | bytes | datetime | None) -> str | None:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    return value.isoformat() if isinstance(value, datetime) else value


BEGIN = f"""
WITH taken AS MATERIALIZED (SELECT take_key($1, $2) AS is_ours),
locked AS MATERIALIZED (
    SELECT id, merchant_id, terminal_id, amount_kopecks,
           left(coalesce(nullif(description, ''), 'Order ' || number), {PURPOSE_CHARACTERS_MAX}) AS purpose
      FROM orders
     WHERE id = $3 AND ($4::text IS NULL OR merchant_id = $4) AND status = 'open' AND (SELECT is_ours FROM taken)
       AND NOT EXISTS (SELECT FROM idempotency_keys WHERE scope = $1 AND key = $2)
       AND NOT EXISTS (SELECT FROM order_offers WHERE order_id = $3)
       AND NOT EXISTS (SELECT FROM rail_rollouts AS r WHERE r.merchant_id = orders.merchant_id AND r.rail = 'sbp')
       FOR NO KEY UPDATE SKIP LOCKED
), merchant AS MATERIALIZED (
    SELECT m.merchant_id, m.nspk_merchant_id, m.member_id, m.bank_account, m.registration_id
      FROM sbp_merchants AS m JOIN locked AS l ON m.merchant_id = l.merchant_id WHERE m.is_live
), tried AS (
    INSERT INTO attempts (id, order_id, rail, amount_kopecks, status, created_at)
    SELECT $5, l.id, 'sbp', l.amount_kopecks, 'requested', $7::timestamptz FROM locked AS l, merchant
    ON CONFLICT DO NOTHING RETURNING id
), coded AS (
    INSERT INTO qr_codes (id, attempt_id, merchant_id, amount_kopecks, purpose, requested_at, expires_at, next_poll_at,
                          registration_id)
    SELECT $6, t.id, m.merchant_id, l.amount_kopecks, l.purpose, $7::timestamptz, $8::timestamptz, $9::timestamptz,
           m.registration_id
      FROM locked AS l, merchant AS m, tried AS t
), started AS (
    INSERT INTO idempotency_keys (
        created_at, lease_until, attempt_no, fingerprint_version, fingerprint, field_digests, scope, key, api_key_id,
        request_id, status, method, route, resource_id, reason)
    SELECT $7::timestamptz, clock_timestamp() + interval '{LEASE_SECONDS} s', 1, {FINGERPRINT_VERSION}, $10::bytea,
           $11::bytea, $1, $2, $12, $13, 'started', $14, $15, t.id, $16 FROM tried AS t
)
SELECT l.merchant_id, l.amount_kopecks, l.purpose, l.terminal_id, m.nspk_merchant_id, m.member_id, m.bank_account
  FROM locked AS l, merchant AS m, tried"""  # noqa: S608  # our own numbers
"""Locks: the key's advisory lock, tried; the order, passed by if somebody holds it. A key that was kept since we looked
is refused by its unique key, and nothing is written."""

FINISH = """
WITH ours AS MATERIALIZED (
    SELECT status = 'started' AND attempt_no = 1 AS is_ours FROM idempotency_keys
     WHERE scope = $1 AND key = $2 FOR NO KEY UPDATE SKIP LOCKED
), code AS MATERIALIZED (
    SELECT status FROM qr_codes WHERE id = $3 FOR NO KEY UPDATE SKIP LOCKED
), tried AS MATERIALIZED (
    SELECT status, version FROM attempts WHERE id = $4 FOR NO KEY UPDATE SKIP LOCKED
), usual AS MATERIALIZED (
    SELECT FROM ours, code, tried
     WHERE ours.is_ours AND code.status = 'requested' AND tried.status = 'requested' AND tried.version = 1
), registered AS (
    UPDATE qr_codes SET status = 'registered', qrc_id = $5, payload = $6, polls = 0,
           next_poll_at = greatest($7::timestamptz,
               (SELECT max(through_at) + interval '1 microsecond' FROM sbp_poll_windows))
     WHERE id = $3 AND EXISTS (SELECT FROM usual)
), moved AS (
    UPDATE attempts SET status = 'waiting', version = 2 WHERE id = $4 AND EXISTS (SELECT FROM usual)
), settled AS (
    UPDATE idempotency_keys
       SET finished_at = $8::timestamptz, response_status = 201, status = 'finished', resource_id = $4,
           content_type = 'application/json', response_body = $9::bytea, lease_until = NULL
     WHERE scope = $1 AND key = $2 AND EXISTS (SELECT FROM usual)
)
SELECT 1 FROM usual"""
"""Locks: the key, the code, the attempt; each passed by if somebody holds it."""
