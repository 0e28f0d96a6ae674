"""How the vault is spoken to: strict JSON in, views out, and who speaks. What was sent is never repeated."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from pci.redaction import redact_text
from tokenization.errors import (
    BodyNotJson,
    BodyTooLarge,
    BodyTooSlow,
    FieldFault,
    JsonInvalid,
    PeerUnknown,
    RequestInvalid,
)

BODY_BYTES_MAX = 64 * 1024
"""A card with its terms is 1 KB; a body of card data in JWE 2 KB."""
BODY_SECONDS_MAX = 10
FAULTS_MAX = 20
"""Wrong fields told of at once."""
JSON = "application/json"
PEER = "kopeyka.peer"
"""Where the other side's role stands in the ASGI scope, as its certificate says."""
REQUEST_ID = "kopeyka.request_id"
ROLES = frozenset({"api", "worker", "operator"})
"""Who may call the service listener. The operator is whoever runs the vault: see DECISIONS 1."""


class Body(BaseModel):
    """What is sent to the vault: unknown fields are refused, other types are not guessed, nothing is echoed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class View(BaseModel):
    """What the vault answers: tokens, masks and results."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks: a process of ours, by its certificate, and for whom."""

    role: str
    """``api``, ``worker`` or ``operator``: see ``ROLES``."""
    actor: str
    """For the log: ``caller:key_…`` when the api passes on a merchant's call, or ``service:api``."""
    origin: str
    """For the log: the id of the request."""


M = TypeVar("M", bound=BaseModel)


def peer_of(request: Request) -> Peer:
    """Who asks on the service listener. Raises: PeerUnknown."""
    role = request.scope.get(PEER)
    if role not in ROLES:
        raise PeerUnknown()
    for_whom = request.headers.get("acting-for", "")
    is_named = for_whom.startswith(("key_", "per_")) and for_whom.isascii() and len(for_whom) <= 64
    return Peer(role, f"caller:{for_whom}" if is_named else f"service:{role}", request_id_of(request))


def request_id_of(request: Request) -> str:
    """The id of the request, which the outermost layer has chosen."""
    found: str = request.scope.get(REQUEST_ID, "")
    return found


def idempotency_key_of(request: Request) -> str | None:
    """The caller's name of the operation, if it has given one. Raises: RequestInvalid for a card number."""
    key = request.headers.get("idempotency-key")
    if key is not None and redact_text(key) != key:
        raise RequestInvalid((FieldFault("header/idempotency-key", "holds what may not be kept"),))
    return key


async def read(request: Request, model: type[M], *, bytes_max: int = BODY_BYTES_MAX) -> M:
    """The body as the model says.

    Raises: BodyNotJson, BodyTooLarge, BodyTooSlow, JsonInvalid; RequestInvalid, which names fields and
    repeats no value.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise BodyNotJson()
    if request.headers.get("content-encoding", "identity") != "identity":
        raise BodyNotJson()
    return checked(model, read_json(await read_bytes(request, bytes_max)))


async def read_bytes(request: Request, bytes_max: int) -> bytes:
    """The body as it came. Raises: BodyTooLarge, BodyTooSlow, JsonInvalid if it was cut off."""
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            return await _bytes_of(request, bytes_max)
    except TimeoutError:
        raise BodyTooSlow() from None
    except ClientDisconnect:
        raise JsonInvalid("The connection was closed before the body had arrived.") from None


def checked(model: type[M], value: Any) -> M:
    """The value as the model says. Raises: RequestInvalid."""
    try:
        return model.model_validate_json(json.dumps(value))  # in JSON mode strict types still read dates from text
    except ValidationError as invalid:
        found = invalid.errors(include_url=False, include_context=False, include_input=False)
    raise RequestInvalid(tuple(_fault(error) for error in found[:FAULTS_MAX]))


def read_json(raw: bytes) -> Any:
    """The one JSON value of a body, every name once. Raises: JsonInvalid."""
    try:
        value = _decoder.decode(raw.decode("utf-8"))
    except (ValueError, RecursionError):  # both the decoder's and the text's; their messages quote the input
        value = None
    else:
        if "\\u0000" not in raw.decode("utf-8"):
            return value
    raise JsonInvalid()


def answer(view: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A view on its way out."""
    return Response(view.model_dump_json(), status, headers, JSON)


async def _bytes_of(request: Request, bytes_max: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > bytes_max:
            raise BodyTooLarge(bytes_max=bytes_max)
        parts.append(part)
    return b"".join(parts)


def _fault(error: Any) -> FieldFault:
    place = error["loc"][:-1] if error["type"] == "extra_forbidden" else error["loc"]
    path = "".join(f"/{redact_text(str(part))[:64]}" for part in place)
    said = "Value error" if error["type"] == "value_error" else redact_text(str(error["msg"]))
    return FieldFault(path, said)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_once_each, parse_constant=_no_constant)
