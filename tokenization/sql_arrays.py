"""Arrays as PostgreSQL's own text: PostgreSQL reads them faster than Python lays out typed lists."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any


def numbers(values: Iterable[int | None]) -> str:
    """Whole numbers."""
    return _array(["NULL" if value is None else str(value) for value in values])


def texts(values: Iterable[str | None]) -> str:
    """Any texts."""
    listed = list(values)
    whole = "".join([value for value in listed if value is not None])
    if '"' in whole or "\\" in whole:
        return _array(["NULL" if value is None else _quoted(value) for value in listed])
    return _array(["NULL" if value is None else f'"{value}"' for value in listed])


def blobs(values: Iterable[bytes | None]) -> str:
    """Bytes."""
    return _array(["NULL" if value is None else f'"\\\\x{value.hex()}"' for value in values])


def instants(values: Iterable[datetime | None]) -> str:
    """Moments."""
    return texts(None if value is None else value.isoformat() for value in values)


def objects(values: Iterable[Mapping[str, Any] | None]) -> str:
    """JSON objects."""
    return texts(None if value is None else json.dumps(value) for value in values)


def _array(written: list[str]) -> str:
    return "{" + ",".join(written) + "}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
