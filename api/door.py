"""The way in: from an ASGI request to a ``Call`` that a route works with.

Order of refusals: route, key, scope, rate, idempotency key, size, media type, JSON; then FastAPI
validates the body, and only then does the route run. None of these is ever stored under the key.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from fastapi import Depends
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, APIRouter
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api.answers import Answer
from api.balance_reads import BalanceQueue
from api.bodies import BODY_BYTES_MAX, Fingerprint, fingerprint, read_body, read_json
from api.callers import Caller, Callers
from api.errors import (
    CardNumberRefused,
    CardSecretRefused,
    FieldFault,
    IdempotencyKeyInvalid,
    IdempotencyKeyMissing,
    MediaTypeUnsupported,
    RateLimited,
    RequestInvalid,
)
from api.guessing import MISS_SECONDS_EACH, MISSES_AT_ONCE, Guesses
from api.rate_limit import Allowance, Buckets
from api.settings import Settings
from api.till_memory import TillMemory
from api.wiring import Wiring
from installments.quoting import OfferMemory
from ledger.clock import Clock, monotonic, read_offset
from ledger.database import Engine, transaction
from ledger.direct import Lines
from ledger.errors import KopeykaError
from pci.card_numbers import may_hide_in_escapes, may_hold_pan
from pci.pan_allowed import NOTHING_ALLOWED, AllowedPans, tells_pan
from pci.redaction import redact_text
from pci.sad_told import may_tell_sad, tells_sad

KEY_CHARACTERS_MIN = 16
KEY_CHARACTERS_MAX = 255
REASON_CHARACTERS_MAX = 200
ZERO = b"%00"
"""In a query."""
CALL = "kopeyka.call"
"""Where the call stands in the ASGI scope."""
HEADERS = "kopeyka.headers"
REQUEST_ID = "kopeyka.request_id"
PAN_REFUSED = "kopeyka.pan_refused"
"""In the ASGI scope of a request that was refused for a card number or a card's code in it: the log's word for it."""

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(slots=True)
class Door:
    """What one process works with."""

    settings: Settings
    engine: Engine
    clock: Clock
    callers: Callers
    buckets: Buckets
    entries: Any
    """The group commit of single entries: see ``api.entry_commit``."""
    balances: BalanceQueue
    scans: Any
    """The group commit of scans: see ``api.short_presentment``."""
    lines: Lines
    """For what one statement does."""
    wiring: Wiring
    """NSPK and the bank, as this process reaches them."""
    allowed_pans: AllowedPans = NOTHING_ALLOWED
    """Numbers that look like cards and are none: see ``Settings.allowed_pans_file``."""
    offers: OfferMemory = field(default_factory=OfferMemory)
    """What merchants sell by installments, remembered for seconds: a quote asks the database nothing."""
    guesses: Guesses = field(default_factory=Guesses)
    """Wrong codes of tills and cards: too many are not tried."""
    misses: Guesses = field(default_factory=partial(Guesses, MISSES_AT_ONCE, MISS_SECONDS_EACH))
    """Phones and numbers without a card, by key: too many are not looked for."""
    tills: TillMemory = field(default_factory=TillMemory)
    """Tills and their rails, remembered for seconds: a scan asks the database once."""
    is_draining: bool = False
    running: dict[tuple[str, str], Running] = field(default_factory=dict)
    """Requests being carried out under an idempotency key, by scope and key."""

    async def read_clock(self) -> None:
        """Learn how far the business clock is ahead of the machine's."""
        async with transaction(self.engine) as session:
            self.clock.offset = await read_offset(session)


@dataclass(slots=True)
class Call:
    """One request by a known caller, as routes see it."""

    door: Door
    caller: Caller
    request_id: str
    method: str
    route: str
    """The template of the path: ``/v1/orders/{order_id}``."""
    path: str
    query: bytes
    now: datetime
    """The business time at which all of it had come in; while it is carried out in phases, at which each began."""
    allowance: Allowance
    key: str | None = None
    """The idempotency key, without quotes."""
    reason: str | None = None
    """Why, as the header ``Reason`` says."""
    raw: bytes = b""
    body: Any = None
    """The JSON value that the client sent."""
    outcome: str | None = None
    """What idempotency made of it: new, replayed, in_progress, mismatch, expired."""
    refusal: Callable[[KopeykaError, str], Answer] | None = None
    """How a final refusal is told where the form is not ours; a problem document otherwise."""
    _fingerprint: Fingerprint | None = field(default=None)

    @property
    def engine(self) -> Engine:
        """The application's engine."""
        return self.door.engine

    @property
    def fingerprint(self) -> Fingerprint:
        """What the request asks for."""
        if self._fingerprint is None:
            self._fingerprint = fingerprint(self.method, self.route, self.path, self.query, self.body)
        return self._fingerprint

    def names_pan(self) -> bool:
        """Whether a card number stands in the key or the path: both are kept."""
        named = f"{self.key or ''}\n{self.path}"
        return may_hold_pan(named.encode()) and tells_pan(named, self.door.allowed_pans)


@dataclass(slots=True, eq=False)
class Running:
    """A request that is being carried out; its repeats wait for it."""

    call: Call
    answer: Answer | None = None
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    since: float = field(default_factory=monotonic)
    """Seconds of a clock that never goes back."""


def needs(scope: str) -> Any:
    """A dependency that gives the ``Call`` of a caller with this scope; ``""`` means any caller.

    ``call: Annotated[Call, needs("orders:write")]``
    """

    async def call_of(request: Request) -> Call:
        call: Call = request.scope[CALL]
        return call

    call_of.__dict__["scope"] = scope
    return Depends(call_of)


def takes_body(*, bytes_max: int) -> Callable[[Endpoint], Endpoint]:
    """Let one route take a larger (or only a smaller) body than ``BODY_BYTES_MAX``."""

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.__dict__["body_bytes_max"] = bytes_max
        return endpoint

    return mark


class _ReadRequest(Request):
    """A request whose body the door has read and parsed already."""

    async def body(self) -> bytes:
        raw: bytes = self.scope["kopeyka.raw"]
        return raw

    async def json(self) -> Any:
        return self.scope["kopeyka.json"]


class OpenRoute(APIRoute):
    """A route without an API key: health, documents, notifications. Its body is strict JSON too."""

    is_exact = False
    """Whether numbers with a point are read as ``Decimal``: contracts in another's form may send amounts so."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.body_bytes_max: int = getattr(endpoint, "body_bytes_max", BODY_BYTES_MAX)
        super().__init__(path, endpoint, **options)

    async def prepare(self, scope: Scope, receive: Receive) -> None:
        """Read what the route needs before FastAPI looks at it."""
        scope["kopeyka.raw"], scope["kopeyka.json"] = await self.read(scope, receive)

    async def read(self, scope: Scope, receive: Receive) -> tuple[bytes, Any]:
        """The body and its JSON value, if the route takes one."""
        if scope["method"] in ("GET", "HEAD", "DELETE", "OPTIONS"):
            return b"", None
        headers: Mapping[bytes, bytes] = scope[HEADERS]
        raw = await read_body(receive, headers, self.body_bytes_max)
        if not raw:
            return raw, None
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json" or headers.get(b"content-encoding", b"identity") != b"identity":
            raise MediaTypeUnsupported()
        return raw, read_json(raw, is_exact=self.is_exact)

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            await self.prepare(request.scope, request.receive)
            return await handle(_ReadRequest(request.scope, request.receive))

        return handler


class DoorRoute(OpenRoute):
    """A route that needs an API key with the scope its endpoint names by ``needs``."""

    refusal: Callable[[KopeykaError, str], Answer] | None = None
    """See ``Call.refusal``; routes of a contract in another's form set it."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.scopes = [
            scope for part in self.dependant.dependencies if (scope := getattr(part.call, "scope", None)) is not None
        ]
        assert len(self.scopes) == 1, f"{path} must say which scope it needs, once"
        self.is_write = bool((self.methods or set()) & {"POST", "PATCH", "PUT", "DELETE"})

    async def prepare(self, scope: Scope, receive: Receive) -> None:
        await self.open_call(scope, receive)

    async def caller_of(self, scope: Scope, now: datetime) -> Caller:
        """Who calls, by all that is known of the connection. Raises: CallRejected."""
        return await self.identify(scope["app"].state.door, scope[HEADERS], now)

    async def identify(self, door: Door, headers: Mapping[bytes, bytes], now: datetime) -> Caller:
        """Who calls. Raises: CallRejected."""
        return await door.callers.identify(headers.get(b"authorization"), now)

    def key_of(self, headers: Mapping[bytes, bytes], method: str) -> str | None:
        """The idempotency key of a write. Raises: IdempotencyRejected."""
        return read_key(headers, is_needed=method in ("POST", "PATCH"))

    async def open_call(self, scope: Scope, receive: Receive) -> Call:
        """The call behind a request.

        Raises: CallRejected (CardNumberRefused among them), RequestInvalid, IdempotencyRejected, KopeykaError of the
        database.
        """
        headers: Mapping[bytes, bytes] = scope[HEADERS]
        door: Door = scope["app"].state.door
        now = door.clock.now()
        caller = await self.caller_of(scope, now)
        allowance = door.buckets.take(caller.key_id, "writes" if self.is_write else "reads")
        call = Call(
            door=door, caller=caller, request_id=scope[REQUEST_ID], method=scope["method"], route=self.path,
            path=scope["path"], query=scope["query_string"], now=now, allowance=allowance,
            refusal=self.refusal,
        )  # fmt: skip
        scope[CALL] = call
        if self.scopes[0]:
            caller.require(self.scopes[0])
        if not allowance.is_granted:
            raise RateLimited(retry_after_seconds=allowance.reset_seconds)
        if "\0" in call.path or ZERO in call.query:  # PostgreSQL keeps no such text
            raise RequestInvalid((FieldFault("path", "no zero characters in an address"),))
        if self.is_write:
            call.key = self.key_of(headers, call.method)
            call.reason = read_reason(headers)
            if call.names_pan():
                scope[PAN_REFUSED] = "card_number.refused"
                raise CardNumberRefused()
            call.raw, call.body = await self.read(scope, receive)
            is_escaped = may_hide_in_escapes(call.raw)
            if (is_escaped or may_hold_pan(call.raw)) and tells_pan(call.body, door.allowed_pans):
                scope[PAN_REFUSED] = "card_number.refused"
                raise CardNumberRefused()
            if (is_escaped or may_tell_sad(call.raw)) and tells_sad(call.body):
                scope[PAN_REFUSED] = "card_secret.refused"
                raise CardSecretRefused()
            call.now = door.clock.now()  # what waits for an answer counts from here, not from the first header
        scope["kopeyka.raw"], scope["kopeyka.json"] = call.raw, call.body
        return call


class DirectRoute(DoorRoute):
    """A hot route: FastAPI documents it and does nothing else.

    Its endpoint takes ``call``, ``body`` and the parameters of its path, and answers a ``Response``; the body's
    model is compiled once.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        model = self.body_field.field_info.annotation if self.body_field is not None else None
        assert model is not None, "a direct route has a body"
        self.adapter: TypeAdapter[Any] = TypeAdapter(model)

    async def answer(self, scope: Scope, receive: Receive, parameters: Mapping[str, str]) -> Response:
        """The answer to a request, without the dependency machinery."""
        call = await self.open_call(scope, receive)
        try:
            body = self.adapter.validate_python(call.body)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in faults]) from None
        response: Response = await self.endpoint(**parameters, call=call, body=body)
        return response


DirectRead = Callable[["Call", str], Awaitable[Response]]


def reads_directly(read: DirectRead) -> Callable[[Endpoint], Endpoint]:
    """Answer a GET of one path parameter and no query by ``read``, without the dependency machinery.

    With a query, or a parameter of another form, the endpoint itself answers.
    """

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.__dict__["direct_read"] = read
        return endpoint

    return mark


class HotRoutes:
    """Answers direct routes before any other pattern is tried: writes by exact path or shape, reads by shape."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self.app = app
        self.writes = {
            (method, route.path): route
            for route in routes
            if isinstance(route, DirectRoute)
            for method in route.methods or ()
        }
        self.shaped_writes = [
            (method, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[A-Za-z0-9_.:-]+)", path)), route)
            for (method, path), route in self.writes.items()
            if "{" in path
        ]
        self.reads = [
            (re.compile("([A-Za-z0-9_.:-]+)".join(re.split(r"{\w+}", route.path))), route)
            for route in routes
            if isinstance(route, DoorRoute) and hasattr(route.endpoint, "direct_read")
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            write, parameters = self.find_write(scope["method"], scope["path"])
            if write is not None:
                scope["route"] = write
                response = await write.answer(scope, receive, parameters)
                await response(scope, receive, send)
                return
            if scope["method"] == "GET" and not scope["query_string"]:
                for shape, route in self.reads:
                    if match := shape.fullmatch(scope["path"]):
                        scope["route"] = route
                        call = await route.open_call(scope, receive)
                        response = await route.endpoint.direct_read(call, match[1])  # type: ignore[attr-defined]
                        await response(scope, receive, send)
                        return
        await self.app(scope, receive, send)

    def find_write(self, method: str, path: str) -> tuple[DirectRoute | None, Mapping[str, str]]:
        """The direct route of a write, and the parameters in its path."""
        route = self.writes.get((method, path))
        if route is None:
            for its_method, shape, shaped in self.shaped_writes:
                if method == its_method and (match := shape.fullmatch(path)):
                    return shaped, match.groupdict()
        return route, {}


def read_key(headers: Mapping[bytes, bytes], *, is_needed: bool) -> str | None:
    """The idempotency key: bare and quoted are the same key.

    Raises: IdempotencyKeyMissing, IdempotencyKeyInvalid.
    """
    raw = headers.get(b"idempotency-key")
    if raw is None:
        if is_needed:
            raise IdempotencyKeyMissing()
        return None
    if len(raw) > 1 and raw[:1] == raw[-1:] == b'"':
        raw = raw[1:-1]
    if not (KEY_CHARACTERS_MIN <= len(raw) <= KEY_CHARACTERS_MAX and raw.isascii()):
        raise IdempotencyKeyInvalid()
    key = raw.decode("ascii")
    if not key.isprintable():
        raise IdempotencyKeyInvalid()
    return key


def read_reason(headers: Mapping[bytes, bytes]) -> str | None:
    """Why the caller does this, in its own words and without card numbers."""
    given = headers.get(b"reason")
    return redact_text(given.decode("utf-8", "replace"))[:REASON_CHARACTERS_MAX] if given else None


def door_router(prefix: str, tag: str) -> APIRouter:
    """A router whose routes need an API key."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=DoorRoute)


def open_router(prefix: str, tag: str) -> APIRouter:
    """A router whose routes need none."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=OpenRoute)
