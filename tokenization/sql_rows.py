"""Rows as PostgreSQL's own bytes: an array of a composite type is one value, and nothing in it has to be parsed.

The form is that of ``array_send`` and ``record_send``: each field with its type's number, its length and its bytes.
Source: PostgreSQL, src/backend/utils/adt/arrayfuncs.c and rowtypes.c.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

_HEAD = struct.Struct(">Ii").pack
_ROW = struct.Struct(">ii").pack
_ARRAY = struct.Struct(">iiIii").pack
_NULL = -1
"""The length of what is not there."""
_COUNT_BYTES = 4
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Kind(NamedTuple):
    """A type of PostgreSQL's own, whose number never changes."""

    number: int
    write: Callable[[Any], bytes]


KINDS: Mapping[str, Kind] = {
    "bytea": Kind(17, bytes),
    "smallint": Kind(21, struct.Struct(">h").pack),
    "integer": Kind(23, struct.Struct(">i").pack),
    "text": Kind(25, str.encode),
    "timestamptz": Kind(1184, lambda at: struct.pack(">q", (at - _EPOCH) // _MICROSECOND)),
    "jsonb": Kind(3802, lambda value: b"\x01" + json.dumps(value).encode()),
}


def array(type_number: int, rows: Sequence[bytes]) -> bytes:
    """What ``row`` made, as an array of the composite type that has this number."""
    return _ARRAY(1, 0, type_number, len(rows), 1) + b"".join(rows)


def row(kinds: Sequence[Kind], values: Iterable[Any]) -> bytes:
    """One element of an array: its fields in the order of the composite type."""
    fields = b"".join(
        [
            _HEAD(number, _NULL) if value is None else _HEAD(number, len(written := write(value))) + written
            for (number, write), value in zip(kinds, values, strict=True)
        ]
    )
    return _ROW(_COUNT_BYTES + len(fields), len(kinds)) + fields
