"""Bodies: strict JSON in, and the canonical form that fingerprints are taken of."""

from __future__ import annotations

import asyncio
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from starlette.types import Receive

from api.errors import BodyTimedOut, BodyTooLarge, HttpRefused, JsonInvalid

BODY_BYTES_MAX = 256 * 1024
"""An ordinary request body: an order with a long basket is a tenth of this."""
ENTRY_BATCH_BYTES_MAX = 4 * 1024 * 1024
"""A batch of 1,000 entries of a few postings with metadata."""
BODY_SECONDS_MAX = 10.0
"""How long a body may take to arrive, once its headers have."""
FINGERPRINT_VERSION = 1
UNMARKED_FIELDS = frozenset(
    {"phone", "contact_phone", "contact_email", "contact_name", "customer", "receipt", "buyer"} | {"client_info"}
)
"""Top-level fields about people: their values stand in the digest of the whole body only, never in a mark of their
own, which a guess at one short value would find."""
API_VERSION = "2026-11-22"
"""The dated version of the wire format."""


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise JsonInvalid("A name occurs twice in one object.")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise JsonInvalid("NaN and Infinity are not JSON.")


def _spelled(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not of JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_once_each, parse_constant=_no_constant)
_exact_decoder = json.JSONDecoder(object_pairs_hook=_once_each, parse_constant=_no_constant, parse_float=Decimal)
_canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_spelled).encode


def read_json(raw: bytes, *, is_exact: bool = False) -> Any:
    """The one JSON value of a body; every name once, no NaN, no text that PostgreSQL cannot keep.

    ``is_exact``: numbers with a point are ``Decimal``, for contracts whose amounts are such numbers.
    Raises: JsonInvalid, saying where and never what.
    """
    try:
        text = raw.decode("utf-8")
        value = (_exact_decoder if is_exact else _decoder).decode(text)
    except json.JSONDecodeError as error:
        raise JsonInvalid(f"The body is not JSON: see character {error.pos + 1}.") from None
    except RecursionError:
        raise JsonInvalid("The body is nested too deep.") from None
    except ValueError:
        raise JsonInvalid("The body is not UTF-8 text, or a number in it is too long.") from None
    if "\\u0000" in text or "\\ud" in text.lower():
        _refuse_bad_text(value)
    return value


def _refuse_bad_text(value: Any) -> None:
    for text in _texts(value):
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise JsonInvalid("A text holds a zero character or half of a surrogate pair.")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from _texts(part)


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], bytes_max: int) -> bytes:
    """The whole body of a request, refused as soon as it is known to be too large.

    Raises: BodyTooLarge, BodyTimedOut, HttpRefused.
    """
    try:
        declared = int(headers.get(b"content-length", b"0"))
    except ValueError:
        raise HttpRefused("Content-Length is not a number.") from None
    if declared > bytes_max:
        raise BodyTooLarge(bytes_max=bytes_max)
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            return await _read_parts(receive, bytes_max)
    except TimeoutError:
        raise BodyTimedOut(seconds_max=BODY_SECONDS_MAX) from None


async def _read_parts(receive: Receive, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HttpRefused("The connection was closed before the body had arrived.")
        part = message.get("body", b"")
        size += len(part)
        if size > bytes_max:
            raise BodyTooLarge(bytes_max=bytes_max)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a request asked for, so that a repeat can be told from another request."""

    digest: bytes
    """SHA-256 over all of it."""
    fields: bytes
    """Eight bytes for each top-level field: checksums of its name and of its value; none for ``UNMARKED_FIELDS``."""


def fingerprint(method: str, route: str, path: str, query: bytes, body: Any) -> Fingerprint:
    """Fingerprint what the client sent, not what we made of it: a release that adds a field breaks no retry.

    Source: RFC 8785 for the form (names sorted, no spaces); numbers keep Python's spelling.
    """
    fields = body if isinstance(body, dict) else {"": body}
    digest = hashlib.sha256(f"{API_VERSION}\n{method}\n{route}\n{path}\n".encode())
    digest.update(b"&".join(sorted(query.split(b"&"))) if query else b"")
    marks = bytearray()
    for name in sorted(fields):
        value = _canonical(fields[name]).encode()
        digest.update(b"\n" + name.encode() + b"\0" + value)
        if name not in UNMARKED_FIELDS:
            marks += _mark(name, value)
    return Fingerprint(digest.digest(), bytes(marks))


def _mark(name: str, value: bytes) -> bytes:
    return zlib.crc32(name.encode()).to_bytes(4, "big") + zlib.crc32(value).to_bytes(4, "big")


def differing_fields(body: Any, first: bytes) -> list[str]:
    """Names of the top-level fields that are new or other than in the first request.

    A field that only the first request had is not known by name and is left out; so are ``UNMARKED_FIELDS``.
    """
    fields = body if isinstance(body, dict) else {"": body}
    fields = {name: value for name, value in fields.items() if name not in UNMARKED_FIELDS}
    known = {first[place : place + 8] for place in range(0, len(first), 8)}
    return [name for name, value in fields.items() if _mark(name, _canonical(value).encode()) not in known]
