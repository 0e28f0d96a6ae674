"""No card number passes this door: refused on the way in, stopped on the way out.

The api and its database are to stay outside of what PCI DSS looks at, so a caller that puts a card number into an
order's description is refused before anything is kept, and an answer with one in it becomes a 500. Either is told to
the log as an event, without the number. Looked at are idempotency keys, paths and texts of JSON bodies: amounts are
numbers, files and notifications of the rail are others' business. Almost every body is let through after one pass
over its bytes.

Source: PCI DSS 3.4.2, 3.5.1, 12.10.7. The reasons for refusing at the entrance: pci/DECISIONS.md, 23.
"""

from __future__ import annotations

import json

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import meters
from api.door import CALL, PAN_REFUSED, REQUEST_ID, Door
from api.errors import CardNumberStopped
from ledger.database import transaction
from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from pci.card_numbers import may_hold_pan
from pci.pan_allowed import AllowedPans, tells_pan

BODY_BYTES_MAX = 64 * 1024
"""Longer answers are documents of ours; no view is so large."""
_JSON = (b"application/json", b"application/problem+json")

log = structlog.get_logger("api")


class CardNumberWall:
    """Holds each answer back until its body was looked at."""

    def __init__(self, app: ASGIApp, allowed: AllowedPans) -> None:
        self.app = app
        self.allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message | None = None

        async def send_checked(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body = message.get("body", b"")
            if may_hold_pan(body) and start is not None and holds_pan(start, body, self.allowed):
                start = None
                await tell(scope, "card_number.stopped", AuditOutcome.FAILED)
                raise CardNumberStopped()
            if start is not None:
                begun, start = start, None
                await send(begun)
            await send(message)

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send_checked)
        finally:
            if PAN_REFUSED in scope:
                await tell(scope, scope[PAN_REFUSED], AuditOutcome.REFUSED)


def holds_pan(start: Message, body: bytes, allowed: AllowedPans) -> bool:
    """Whether a JSON answer shows a card number."""
    kind = dict(start.get("headers", ())).get(b"content-type", b"").partition(b";")[0]
    if kind not in _JSON or len(body) > BODY_BYTES_MAX:
        return False
    try:
        return tells_pan(json.loads(body), allowed)
    except ValueError:  # a part of a longer body
        return tells_pan(body.decode("utf-8", "replace"), allowed)


async def tell(scope: Scope, action: str, outcome: AuditOutcome) -> None:
    """Put an incident into the log, the meters and the log lines. It never hides that the wall has stood.

    Source: PCI DSS 12.10.7: card numbers found where they are not expected.
    """
    route = getattr(scope.get("route"), "path", "unmatched")
    call = scope.get(CALL)
    meters.card_numbers.labels(action.partition(".")[2]).inc()
    log.error(action, route=route)
    door: Door = scope["app"].state.door
    event = AuditEvent(
        action,
        actor=f"caller:{call.caller.key_id}" if call is not None else "caller:unknown",
        origin=scope.get(REQUEST_ID, "unknown"),
        subject=f"route:{route}",
        happened_at=door.clock.now(),
        outcome=outcome,
        merchant_id=(call.caller.merchant_id or "") if call is not None else "",
        facts={"method": scope["method"]},
    )
    try:
        async with transaction(door.engine) as session:
            await stage(session, [event])
    except Exception:
        log.exception("incident_not_logged", action=action)
