"""Rows as PostgreSQL's own bytes: an array of a composite type is one value, and nothing in it has to be parsed.

The form is that of ``array_send`` and ``record_send``: each field with its type's number, its length and its bytes.
Source: PostgreSQL, src/backend/utils/adt/arrayfuncs.c and rowtypes.c.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

_HEAD = struct.Struct(">Ii").pack
_ROW = struct.Struct(">ii").pack
_ARRAY = struct.Struct(">iiIii").pack
_NULL = -1
"""The length of what is not there."""
_COUNT_BYTES, _HEAD_BYTES = 4, 8
SHAPES_MAX = 1_024
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
    """What a ``writer`` made, as an array of the composite type that has this number."""
    return _ARRAY(1, 0, type_number, len(rows), 1) + b"".join(rows)


def writer(kinds: Sequence[Kind]) -> Callable[[Iterable[Any]], bytes]:
    """What writes one element of an array: its fields in the order of the composite type.

    Rows whose fields are as long as another's have the same bytes between them: those are made once.
    """
    numbers = [kind.number for kind in kinds]
    writers = [kind.write for kind in kinds]

    @lru_cache(maxsize=SHAPES_MAX)
    def frame(lengths: tuple[int, ...]) -> bytes:
        size = _COUNT_BYTES + sum(_HEAD_BYTES + max(length, 0) for length in lengths)
        heads = [_ROW(size, len(kinds)), *map(_HEAD, numbers, lengths)]
        places = [b"", *(b"" if length == _NULL else b"%b" for length in lengths)]
        return b"".join(head.replace(b"%", b"%%") + place for head, place in zip(heads, places, strict=True))

    def row(values: Iterable[Any]) -> bytes:
        written = [None if value is None else write(value) for write, value in zip(writers, values, strict=True)]
        lengths = tuple([_NULL if field is None else len(field) for field in written])
        return frame(lengths) % tuple([field for field in written if field is not None])

    return row
