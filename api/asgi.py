"""The outermost layer: request ids, errors of every kind, one log line, metrics, headers.

Pure ASGI and the only layer: what FastAPI and Starlette would answer by themselves (404, 405, 422,
500) comes here as an exception and leaves as a problem document.
"""

from __future__ import annotations

import re
from typing import Any

import structlog
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import meters
from api.door import CALL, HEADERS, REQUEST_ID, Call
from api.problems import PROBLEM_JSON, as_ours, internal_bytes, problem_bytes, retry_after, status_of
from ledger.clock import machine_now, monotonic
from ledger.ids import new_id

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=31536000"),
]
"""A page of ours that needs more (the documents) sets its own ``Content-Security-Policy``."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECURITY_NAMES = {name for name, _ in SECURITY_HEADERS}
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:-]{8,64}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_LONG_DIGITS = re.compile(rb"[0-9]{13}")


class Outermost:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.log = structlog.get_logger("api").bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = monotonic()
        headers = scope[HEADERS] = dict(scope["headers"])
        request_id = scope[REQUEST_ID] = request_id_of(headers)
        trace = headers.get(b"traceparent")
        if trace is not None and not _TRACEPARENT.fullmatch(trace):
            trace = None
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_added(scope, message, request_id, trace)]
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=request_id)
        meters.in_flight.inc()
        fault: BaseException | None = None
        try:
            await self.app(scope, receive, send_with_headers)
        except Exception as error:
            fault = error
            if status == 0:
                await _send_problem(error, scope, request_id, send_with_headers)
            else:
                raise
        finally:
            meters.in_flight.dec()
            _write_down(self.log, scope, status, monotonic() - started, fault, trace)
            structlog.contextvars.unbind_contextvars("request_id")


def request_id_of(headers: dict[bytes, bytes]) -> str:
    """The client's own ``Request-Id`` if it is 8 to 64 plain characters and no card number, or a new one."""
    given = headers.get(b"request-id")
    if given is not None and _REQUEST_ID.fullmatch(given) and not _LONG_DIGITS.search(given):
        return given.decode("ascii")
    return new_id("req", machine_now())


def _methods_of(scope: Scope) -> set[str]:
    """What an address takes, whichever routes of ours take it: Starlette tells of the first alone."""
    return {
        method
        for route in scope["app"].routes
        if route.matches(scope)[0] is not Match.NONE
        for method in getattr(route, "methods", None) or ()
    }


async def _send_problem(error: Exception, scope: Scope, request_id: str, send: Send) -> None:
    ours = as_ours(error)
    headers = [(b"content-type", PROBLEM_JSON.encode())]
    if ours is None:
        status, body = 500, internal_bytes(request_id)
    else:
        status = status_of(ours)
        body = problem_bytes(ours, request_id, status)
        if (seconds := retry_after(ours, status)) is not None:
            headers.append((b"retry-after", b"%d" % seconds))
    if status == 405:
        headers.append((b"allow", ", ".join(sorted(_methods_of(scope))).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _added(scope: Scope, message: Message, request_id: str, trace: bytes | None) -> list[tuple[bytes, bytes]]:
    """Headers that every answer carries, unless the route has set them."""
    there = {name for name, _ in message.get("headers", ())} & _SECURITY_NAMES
    added = [header for header in SECURITY_HEADERS if header[0] not in there] if there else list(SECURITY_HEADERS)
    added.append((b"request-id", request_id.encode()))
    if trace is not None:
        added.append((b"traceparent", trace))
    call: Call | None = scope.get(CALL)
    if call is not None:
        added += call.allowance.headers()
    return added


def _write_down(
    log: Any, scope: Scope, status: int, duration: float, fault: BaseException | None, trace: bytes | None
) -> None:
    """The one line of this request, and its metrics. The route is a template: no id, no card number."""
    route = getattr(scope.get("route"), "path", "unmatched")
    call: Call | None = scope.get(CALL)
    outcome = call.outcome if call is not None else None
    method = scope["method"] if scope["method"] in METHODS else "other"
    meters.observe(method, route, status, duration, outcome)
    line: dict[str, Any] = {
        "method": method,
        "route": route,
        "status": status,
        "ms": round(duration * 1000, 2),
    }
    if call is not None:
        line |= {"api_key": call.caller.key_id, "idempotency": outcome}
    if trace is not None:
        line["traceparent"] = trace.decode()
    if fault is not None and status >= 500:
        ours = as_ours(fault)
        line["code"] = ours.code if ours is not None else "api.internal"
        log.error("request", exc_info=fault if ours is None or status == 500 else None, **line)
    else:
        log.info("request", **line)
