"""The way in: a partner's address, Basic authentication, ``requestId``, errors in the contract's form.

The login is the partner's name of the address, the password an API key of ours bound to its merchant. Source: the
wallet's developer pages, Pay API: HTTP Basic, a base URL per partner.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from api.callers import Caller
from api.contracts.koshelek_pay.error_objects import error_answer, internal_error
from api.contracts.koshelek_pay.errors import ParameterInvalid, PartnerUnknown
from api.contracts.koshelek_pay.partners import merchant_of
from api.door import HEADERS, Call, Door, DoorRoute
from api.errors import KeyMissing
from api.problems import as_ours
from api.wire import show_instant
from ledger.database import transaction
from ledger.errors import KopeykaError
from ledger.ids import new_id

BASE = "/pos/v1"
"""A partner's base URL is our address, this, and the partner's name."""
PREFIX = BASE + "/{partner}/api/v1/merchant"
CREDENTIALS_CHARACTERS_MAX = 500
REQUEST_ID_CHARACTERS_MAX = 64
CANCEL = "cancel"
COMPAT = "x-contract-compat"
TIME = "x-server-time"
"""Our time of the answer: by it a till sets the clock that its one-time codes are made by."""
PARTIAL = "partial"
"""Said with every answer: the public pages do not tell all fields."""

log = structlog.get_logger("koshelek_pay")


class KoshelekPayRoute(DoorRoute):
    """A route of the contract: whatever it raises leaves in the contract's form."""

    is_exact = True
    refusal = staticmethod(error_answer)

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.operation = path.removeprefix(PREFIX).strip("/").partition("/")[0]

    async def caller_of(self, scope: Scope, now: datetime) -> Caller:
        """The partner that calls. Raises: KeyMissing, KeyUnknown, KeyExpired, PartnerUnknown."""
        login, secret = read_credentials(scope[HEADERS].get(b"authorization"))
        if login != partner_in(scope["path"]):
            raise PartnerUnknown()
        door: Door = scope["app"].state.door
        caller = await door.callers.identify(b"Bearer " + secret, now)
        return await partner_caller(door, caller, login)

    def key_of(self, headers: Mapping[bytes, bytes], method: str) -> str | None:  # noqa: ARG002  # it is in the body
        """None yet: ``requestId`` stands in the body."""
        return None

    async def prepare(self, scope: Scope, receive: Receive) -> None:
        call = await self.open_call(scope, receive)
        call.key = key_in(self.operation, call.body) or new_id("req", call.now)

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                response: Response = await handle(request)
            except Exception as error:
                response = tell(error)
            response.headers[COMPAT] = PARTIAL
            response.headers[TIME] = show_instant(request.app.state.door.clock.now())
            return response

        return handler


def tell(error: Exception) -> Response:
    """Any exception as the contract tells it. A bug is written down here, for nobody above sees it."""
    ours = as_ours(error)
    if ours is None:
        log.error("koshelek_pay_request", code="api.internal", exc_info=error)
        return internal_error().response()
    response = error_answer(ours, "").response()
    _add_headers(response, ours)
    return response


def _add_headers(response: Response, error: KopeykaError) -> None:
    if response.status_code == 401:
        response.headers["www-authenticate"] = 'Basic realm="partner name and key"'
    elif response.status_code == 429:
        response.headers["retry-after"] = str(error.facts.get("retry_after_seconds", 1))
    elif response.status_code == 500:
        log.warning("koshelek_pay_request", code=error.code)


def partner_in(path: str) -> str:
    """The partner's name in an address of ours."""
    return path.removeprefix(BASE).lstrip("/").partition("/")[0]


def read_credentials(authorization: bytes | None) -> tuple[str, bytes]:
    """Partner's name and key of a ``Basic`` header. Raises: KeyMissing."""
    kind, _, given = (authorization or b"").partition(b" ")
    if kind.lower() != b"basic" or not 0 < len(given) <= CREDENTIALS_CHARACTERS_MAX:
        raise KeyMissing("Authenticate by HTTP Basic: the partner's name and its key.")
    try:
        login, colon, secret = base64.b64decode(given.strip(), validate=True).partition(b":")
        if not colon or not login or not secret:
            raise KeyMissing("Authenticate by HTTP Basic: the partner's name and its key.")
        return login.decode("ascii"), secret
    except (binascii.Error, UnicodeDecodeError):
        raise KeyMissing("The Basic credentials are not Base64 of name, colon and key.") from None


async def partner_caller(door: Door, caller: Caller, partner: str) -> Caller:
    """The caller as one partner. Raises: PartnerUnknown."""
    async with transaction(door.engine) as session:
        merchant_id = await merchant_of(session, partner)
    if merchant_id is None or not caller.sees(merchant_id):
        raise PartnerUnknown()
    scope = f"{merchant_id}/{caller.mode}/koshelek_pay"
    return replace(caller, merchant_id=merchant_id, idempotency_scope=scope)


def key_in(operation: str, body: Any) -> str | None:
    """``requestId`` as an idempotency key of this call; without one the body itself is the key.

    A cancel without one has none: what stood in its way a second ago may be over. Raises: ParameterInvalid.
    """
    if not isinstance(body, dict):
        return None  # what is wrong with it is said by the route
    given = body.get("requestId")
    if given is None and operation == CANCEL:
        return None
    if given is None:
        spelled = json.dumps(body, sort_keys=True, default=str, ensure_ascii=False)
        return f"{operation}:body:{hashlib.sha256(spelled.encode()).hexdigest()}"
    is_text = isinstance(given, str) and 0 < len(given) <= REQUEST_ID_CHARACTERS_MAX
    if not is_text or not given.isascii() or not given.isprintable():
        raise ParameterInvalid("1 to 64 printable ASCII characters.", parameter="requestId")
    return f"{operation}:{given}"


def contract_router(tag: str) -> APIRouter:
    """A router of the contract. Its routes are described by the other side's documents, not by ours."""
    return APIRouter(prefix=PREFIX, tags=[tag], route_class=KoshelekPayRoute, include_in_schema=False)


def merchant_id_of(call: Call) -> str:
    """The merchant whose tills call."""
    assert call.caller.merchant_id is not None, "every caller of the contract is one partner"
    return call.caller.merchant_id
