"""The outermost layer of the vault's applications: request ids, errors of every kind, one log line, headers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic_ns
from typing import Any
from urllib.parse import unquote_plus

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pci.redaction import redact_text
from tokenization.address_buckets import AddressBuckets
from tokenization.errors import AddressUnknown, FieldFault, PeerUnknown, RequestInvalid
from tokenization.ids import new_id
from tokenization.problems import as_ours, problem
from tokenization.vault import is_repairing
from tokenization.wire import PEER, REQUEST_ID, peer_of

Headers = Sequence[tuple[bytes, bytes]]

SERVICE_HEADERS: Headers = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
PUBLIC_HEADERS: Headers = (
    *SERVICE_HEADERS,
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
)
"""A page of ours that needs more sets its own; then ours stays away."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Everything else writes or reveals."""
REPAIRS = ("/vault/v1/sign-ins", "/vault/v1/rollback-acceptances", "/keys/shares")
"""What custodians need to accept a log that was rolled back; it goes on meanwhile."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{8,64}")
_LONG_DIGITS = re.compile(r"[0-9]{13}")


class VaultDoor:
    """Wraps a whole application of the vault."""

    def __init__(
        self,
        app: ASGIApp,
        headers: Headers,
        *,
        needs_peer: bool,
        refuse_writes: Callable[[], None] = lambda: None,
        tell_of_stranger: Callable[[str], Awaitable[None]] | None = None,
        buckets: AddressBuckets | None = None,
    ) -> None:
        self.app, self.headers, self.needs_peer, self.refuse_writes = app, headers, needs_peer, refuse_writes
        self.tell_of_stranger, self.buckets = tell_of_stranger, buckets
        self.log = structlog.get_logger("vault").bind(listener="service" if needs_peer else "public")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        scope["app"] = self  # starlette then raises what it would answer by itself
        request_id = scope[REQUEST_ID] = _request_id(Request(scope))
        started, status = monotonic_ns(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                there = {name for name, _ in message.setdefault("headers", [])}
                added = [header for header in self.headers if header[0] not in there]
                message["headers"] = [*message["headers"], *added, (b"request-id", request_id.encode())]
            await send(message)

        fault: Exception | None = None
        repairing = None
        try:
            if self.buckets is not None:
                self.buckets.take((scope.get("client") or ("unknown",))[0], scope["method"], scope["path"])
            if self.needs_peer:
                await self._check_peer(scope)
            refuse_strange_address(scope)
            if scope["path"].startswith(REPAIRS):
                repairing = is_repairing.set(True)
            elif scope["method"] not in READING:
                self.refuse_writes()
            await self.app(scope, receive, send_with_headers)
        except Exception as error:
            fault = error
            if status:
                raise
            await problem(as_ours(error), request_id)(scope, receive, send_with_headers)
        finally:
            if repairing is not None:
                is_repairing.reset(repairing)
            self._write_down(scope, status, (monotonic_ns() - started) // 1_000, fault)

    async def _check_peer(self, scope: Scope) -> None:
        """Let nobody in whose certificate names no role; the log hears of who tried. Raises: PeerUnknown."""
        try:
            peer_of(Request(scope))
        except PeerUnknown:
            if self.tell_of_stranger is not None:
                await self.tell_of_stranger(scope[REQUEST_ID])
            raise

    def _write_down(self, scope: Scope, status: int, micros: int, fault: Exception | None) -> None:
        """The one line of this request. The route is a template: no token, no session, no card number."""
        line: dict[str, Any] = {
            "method": scope["method"] if scope["method"] in METHODS else "other",
            "route": getattr(scope.get("route"), "path", "unmatched"),
            "status": status,
            "us": micros,
            "request_id": scope[REQUEST_ID],
        }
        if self.needs_peer:
            line["peer"] = scope.get(PEER)
        ours = as_ours(fault) if fault is not None else None
        if ours is not None:
            line["code"] = ours.code
        if fault is not None and status >= 500:
            self.log.error("request", exc_info=fault if ours is None or status == 500 else None, **line)
        else:
            self.log.info("request", **line)


def refuse_strange_address(scope: Scope) -> None:
    """Ours have neither control characters nor digits of other scripts. Raises: AddressUnknown, RequestInvalid."""
    if not scope["path"].isprintable():
        raise AddressUnknown()
    asked = unquote_plus(scope["query_string"].decode("latin-1"))
    if not (asked.isascii() and asked.isprintable()):
        raise RequestInvalid((FieldFault("query", "printable ASCII characters only"),))


def _request_id(request: Request) -> str:
    """The caller's own id if it is 8 to 64 plain characters and no card number, or a new one."""
    given = request.headers.get("request-id", "")
    is_plain = _REQUEST_ID.fullmatch(given) and not _LONG_DIGITS.search(given) and redact_text(given) == given
    return given if is_plain else new_id("req")
