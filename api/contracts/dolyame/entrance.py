"""The way in: a client certificate, Basic authentication, ``X-Correlation-ID``, errors in the contract's form.

All three must belong together: the certificate that the TLS listener has checked is the one the login's password goes
with. Source: the public clients of the partner API v1; see README.md.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Any
from uuid import UUID

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from api.callers import Caller
from api.contracts.dolyame.error_objects import RETRY_SECONDS, error_answer, internal_error, with_retry_after
from api.contracts.dolyame.errors import CertificateForeign, CorrelationMalformed, CorrelationMissing
from api.contracts.dolyame.shops import PEER_FINGERPRINT, PREFIX, DolyameShop, find_known
from api.door import HEADERS, REQUEST_ID, Call, Door, DoorRoute
from api.errors import KeyMissing, KeyUnknown
from api.problems import as_ours
from ledger import ids
from ledger.database import transaction

CREDENTIALS_CHARACTERS_MAX = 500
CORRELATION = b"x-correlation-id"

log = structlog.get_logger("dolyame")


@dataclass(frozen=True, slots=True)
class ShopCaller(Caller):
    """A shop that calls."""

    shop: DolyameShop


class DolyameRoute(DoorRoute):
    """A route of the contract: whatever it raises leaves in the contract's form."""

    is_exact = True

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.operation = path.rsplit("/", 1)[1]
        self.is_write = True  # one limit for all calls of a shop, and every call has its correlation id

    async def caller_of(self, scope: Scope, now: datetime) -> Caller:
        """The shop that calls. Raises: KeyMissing, KeyUnknown, CertificateForeign."""
        login, password = read_credentials(scope[HEADERS].get(b"authorization"))
        return await shop_caller(scope["app"].state.door, login, password, scope.get(PEER_FINGERPRINT, b""), now)

    def key_of(self, headers: Mapping[bytes, bytes], method: str) -> str | None:  # noqa: ARG002  # for every method
        """The correlation id as an idempotency key of this operation.

        Raises: CorrelationMissing, CorrelationMalformed.
        """
        return f"{self.operation}:{ids.show('cor', read_correlation(headers))}"

    async def prepare(self, scope: Scope, receive: Receive) -> None:
        call = await self.open_call(scope, receive)
        call.refusal = functools.partial(_refusal, correlation_of(scope))

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                response: Response = await handle(request)
            except Exception as error:
                return tell(error, correlation_of(request.scope))
            return response

        return handler


def _refusal(correlation_id: str, error: Any, _request_id: str) -> Any:
    return error_answer(error, correlation_id)


def tell(error: Exception, correlation_id: str) -> Response:
    """Any exception as the contract tells it. A bug is written down here, for nobody above sees it."""
    ours = as_ours(error)
    if ours is None:
        log.error("dolyame_request", code="api.internal", exc_info=error)
        return internal_error(correlation_id).response()
    response = error_answer(ours, correlation_id).response()
    if response.status_code == 401:
        response.headers["www-authenticate"] = 'Basic realm="login and password"'
    elif response.status_code == 429:
        with_retry_after(response, int(ours.facts.get("retry_after_seconds", RETRY_SECONDS)))
    elif response.status_code == 500:
        log.warning("dolyame_request", code=ours.code)
        with_retry_after(response, RETRY_SECONDS)
    return response


def correlation_of(scope: Scope) -> str:
    """The caller's id of this request, or ours when it has none that can be repeated."""
    try:
        return str(read_correlation(scope[HEADERS]))
    except (CorrelationMissing, CorrelationMalformed):
        return str(scope[REQUEST_ID])


def read_correlation(headers: Mapping[bytes, bytes]) -> UUID:
    """``X-Correlation-ID``: a UUID in its usual form. Raises: CorrelationMissing, CorrelationMalformed."""
    given = headers.get(CORRELATION, b"").strip()
    if not given:
        raise CorrelationMissing()
    try:
        read = UUID(given.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        raise CorrelationMalformed() from None
    if str(read) != given.decode("ascii").lower():
        raise CorrelationMalformed()
    return read


def read_credentials(authorization: bytes | None) -> tuple[str, bytes]:
    """Login and password of a ``Basic`` header; Base64 with or without its padding. Raises: KeyMissing."""
    kind, _, given = (authorization or b"").partition(b" ")
    given = given.strip()
    if kind.lower() != b"basic" or not 0 < len(given) <= CREDENTIALS_CHARACTERS_MAX:
        raise KeyMissing("Authenticate by HTTP Basic: login and password.")
    bare = given.rstrip(b"=")
    try:
        login, colon, password = base64.b64decode(bare + b"=" * (-len(bare) % 4), validate=True).partition(b":")
        if not colon or not login or not password:
            raise KeyMissing("Authenticate by HTTP Basic: login and password.")
        return login.decode("ascii"), password
    except (binascii.Error, UnicodeDecodeError):
        raise KeyMissing("The Basic credentials are not Base64 of login, colon and password.") from None


async def shop_caller(door: Door, login: str, password: bytes, peer: bytes, now: datetime) -> ShopCaller:
    """The shop with this login, password and certificate.

    Raises: KeyUnknown; CertificateForeign when another certificate is shown than the password goes with.
    """
    async with transaction(door.engine) as session:
        known = await find_known(session, login, password, now=now)
    if known is None:
        raise KeyUnknown("The login or the password is wrong.")
    if not compare_digest(known.credentials.certificate_fingerprint, peer):
        raise CertificateForeign()
    shop, mode = known.shop, door.callers.mode
    return ShopCaller(
        key_id=f"dolyame:{login}", name=known.credentials.id, merchant_id=shop.merchant_id, mode=mode,
        scopes=frozenset(), expires_at=known.credentials.expires_at,
        idempotency_scope=f"{shop.merchant_id}/{mode}/dolyame", shop=shop,
    )  # fmt: skip


def contract_router(tag: str) -> APIRouter:
    """A router of the contract. Its routes are described by the other side's documents, not by ours."""
    return APIRouter(prefix=PREFIX, tags=[tag], route_class=DolyameRoute, include_in_schema=False)


def shop_of(call: Call) -> DolyameShop:
    """The shop that calls."""
    assert isinstance(call.caller, ShopCaller), "every caller of the contract is a shop"
    return call.caller.shop
