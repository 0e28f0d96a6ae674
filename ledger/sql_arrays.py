"""Arrays as PostgreSQL's own bytes: nothing in them has to be parsed, a tenth of a batch's instructions.

The form is that of ``array_send``: a head, then each element with its length before it.
Source: PostgreSQL, src/backend/utils/adt/arrayfuncs.c.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

_HEAD = struct.Struct(">iiIii").pack
_LENGTH = struct.Struct(">i").pack
_NULL = _LENGTH(-1)
_UUID_LENGTH = _LENGTH(16)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class SqlArray(bytes):
    """An array that is sent as it is; psycopg leaves its type to the statement's cast."""


class _Kind(NamedTuple):
    number: int
    """PostgreSQL's own for the type; it never changes."""
    write: Callable[[Any], bytes]
    """An element with its length."""


def instant(at: datetime) -> bytes:
    """A moment alone, to the microsecond."""
    return struct.pack(">q", (at - _EPOCH) // _MICROSECOND)


def bigint(value: int) -> bytes:
    """A number alone."""
    return struct.pack(">q", value)


def _text(value: str) -> bytes:
    written = value.encode()
    return _LENGTH(len(written)) + written


_long = struct.Struct(">iq").pack
_KINDS = {
    "int2": _Kind(21, partial(struct.Struct(">ih").pack, 2)),
    "int4": _Kind(23, partial(struct.Struct(">ii").pack, 4)),
    "int8": _Kind(20, partial(_long, 8)),
    "text": _Kind(25, _text),
    "timestamptz": _Kind(1184, lambda at: _long(8, (at - _EPOCH) // _MICROSECOND)),
    "uuid": _Kind(2950, lambda digits: _UUID_LENGTH + bytes.fromhex(digits)),
}


def array(kind: str, values: Sequence[Any]) -> SqlArray:
    """Values of one kind: numbers, texts, moments, or UUIDs by their 32 digits. None of them is missing."""
    number, write = _KINDS[kind]
    return _laid_out(number, list(map(write, values)))


def array_with_gaps(kind: str, values: Sequence[Any]) -> SqlArray:
    """The same where ``None`` is NULL."""
    number, write = _KINDS[kind]
    return _laid_out(number, [_NULL if value is None else write(value) for value in values])


def _laid_out(number: int, written: list[bytes]) -> SqlArray:
    return SqlArray(_HEAD(1, 0, number, len(written), 1) + b"".join(written))
