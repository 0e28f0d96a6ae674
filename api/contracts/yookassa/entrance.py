"""The way in: Basic authentication by shop id and secret key, ``Idempotence-Key``, errors in the contract's form.

The secret key is an API key of ours. The shop id is the merchant's id, or the id of a key bound to
that merchant; a key of the house names the merchant it speaks for.
Source: YooKassa API v3, "Authentication", "Idempotence", "Response format".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.callers import Caller
from api.contracts.yookassa.error_objects import PROCESSING, RETRY_AFTER_MS, error_answer, internal_error
from api.door import REQUEST_ID, Door, DoorRoute
from api.errors import IdempotencyKeyInvalid, IdempotencyKeyMissing, KeyMissing, KeyUnknown, ScopeMissing
from api.problems import as_ours
from checkout import repository as till_rows
from checkout.errors import MerchantNotFound
from ledger.database import transaction

PREFIX = "/contracts/yookassa/v3"
"""What a client is given as its ``api_url``, after our address."""
KEY_CHARACTERS_MAX = 64
CREDENTIALS_CHARACTERS_MAX = 500

log = structlog.get_logger("yookassa")


class YookassaRoute(DoorRoute):
    """A route of the contract: whatever it raises leaves in the contract's form."""

    refusal = staticmethod(error_answer)

    async def identify(self, door: Door, headers: Mapping[bytes, bytes], now: datetime) -> Caller:
        """The shop that calls. Raises: KeyMissing, KeyUnknown, KeyExpired, ScopeMissing."""
        shop_id, secret = read_credentials(headers.get(b"authorization"))
        caller = await door.callers.identify(b"Bearer " + secret, now)
        return await shop_of(door, caller, shop_id)

    def key_of(self, headers: Mapping[bytes, bytes], method: str) -> str | None:
        """The ``Idempotence-Key``: 1 to 64 printable characters, needed to create. Raises: IdempotencyRejected."""
        raw = headers.get(b"idempotence-key", b"")
        if not raw and method == "POST":
            raise IdempotencyKeyMissing("Idempotence-Key is needed to create anything.")
        if len(raw) > KEY_CHARACTERS_MAX or not raw.isascii() or not raw.decode("ascii").isprintable():
            raise IdempotencyKeyInvalid("An Idempotence-Key has 1 to 64 printable ASCII characters.")
        return raw.decode("ascii") or None

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                response: Response = await handle(request)
            except Exception as error:
                return tell(error, request.scope[REQUEST_ID])
            return response

        return handler


def tell(error: Exception, request_id: str) -> Response:
    """Any exception as the contract tells it. A bug is written down here, for nobody above sees it."""
    ours = as_ours(error)
    if ours is None:
        log.error("yookassa_request", code="api.internal", exc_info=error)
        return internal_error(request_id).response()
    response = error_answer(ours, request_id).response()
    if isinstance(ours, PROCESSING):
        response.headers["retry-after"] = str(RETRY_AFTER_MS // 1000)
    elif response.status_code == 500:
        log.warning("yookassa_request", code=ours.code)
    elif response.status_code == 401:
        response.headers["www-authenticate"] = 'Basic realm="shop id and secret key"'
    return response


def read_credentials(authorization: bytes | None) -> tuple[str | None, bytes]:
    """Shop id and secret key of a ``Basic`` header; of ``Bearer`` the key alone.

    Raises: KeyMissing.
    """
    kind, _, given = (authorization or b"").partition(b" ")
    if kind.lower() == b"bearer" and given:
        return None, given.strip()
    if kind.lower() != b"basic" or len(given) > CREDENTIALS_CHARACTERS_MAX:
        raise KeyMissing("Authenticate by HTTP Basic: the shop id and its secret key.")
    try:
        shop_id, colon, secret = base64.b64decode(given.strip(), validate=True).partition(b":")
        if not colon or not secret:
            raise KeyMissing("Authenticate by HTTP Basic: the shop id and its secret key.")
        return shop_id.decode("ascii"), secret
    except (binascii.Error, UnicodeDecodeError):
        raise KeyMissing("The Basic credentials are not Base64 of shop id, colon and secret key.") from None


async def shop_of(door: Door, caller: Caller, shop_id: str | None) -> Caller:
    """The caller as one shop: bound to its merchant from here on.

    Raises: KeyUnknown if the shop id does not belong to the key; ScopeMissing if the key is of no shop.
    """
    if caller.merchant_id is not None:
        if shop_id not in (None, caller.merchant_id, caller.key_id):
            raise KeyUnknown("The shop id and the secret key do not belong together.")
        return caller
    if shop_id is None:
        raise ScopeMissing("This key is of no shop: authenticate by shop id and secret key.", scope="orders:write")
    try:
        async with transaction(door.engine) as session:
            await till_rows.load_merchant(session, shop_id)
    except MerchantNotFound:
        raise KeyUnknown("The shop id is unknown.") from None
    return replace(caller, merchant_id=shop_id, idempotency_scope=f"{shop_id}/{caller.mode}")


def contract_router(tag: str) -> APIRouter:
    """A router of the contract. Its routes are described by the other side's documents, not by ours."""
    return APIRouter(prefix=PREFIX, tags=[tag], route_class=YookassaRoute, include_in_schema=False)


def shop_id_of(caller: Caller) -> str:
    """The merchant whose shop calls."""
    assert caller.merchant_id is not None, "every caller of the contract is one shop"
    return caller.merchant_id
