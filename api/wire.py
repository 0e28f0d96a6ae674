"""Types of the wire: how amounts, instants, days and texts look in JSON, and nothing else is let in."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from checkout.paper import FORGING, is_plain
from ledger.money import AMOUNT_MAX

SAFE_MAX = 2**53 - 1
"""The largest whole number that every JSON reader keeps; larger amounts travel as decimal text."""
YEAR_MIN = 1990
YEAR_MAX = 2200
"""Instants outside are mistakes."""

ACCOUNT_CODE = r"^(asset|liability|equity|income|expense|memo)(:[A-Za-z0-9_.-]{1,64}){1,6}$"
COMMODITY = r"^(RUB|PTS:[a-z0-9_-]{1,32})$"

_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,18})")


def read_whole(value: Any) -> int:
    """A whole number below 2^53, or as decimal text up to 2^63-1. No 1.0, no true."""
    if type(value) is int and -SAFE_MAX <= value <= SAFE_MAX:
        return value
    if type(value) is str and _WHOLE.fullmatch(value):
        return int(value)
    raise ValueError("a whole number below 2^53, or one up to 2^63-1 as text")


def show_whole(value: int) -> int | str:
    """The same the other way."""
    return value if -SAFE_MAX <= value <= SAFE_MAX else str(value)


def read_instant(value: Any) -> datetime:
    """An RFC 3339 instant with its offset, as UTC."""
    if isinstance(value, datetime):
        return value
    if type(value) is not str or not _INSTANT.fullmatch(value):
        raise ValueError("an RFC 3339 instant such as 2026-11-22T09:00:00Z")
    at = datetime.fromisoformat(value.upper())
    if not YEAR_MIN <= at.year < YEAR_MAX:
        raise ValueError(f"an instant from {YEAR_MIN} to {YEAR_MAX}")
    return at.astimezone(UTC)


@lru_cache(maxsize=64)
def show_instant(at: datetime) -> str:
    """An instant as RFC 3339 in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def read_day(value: Any) -> date:
    """A Moscow calendar day as YYYY-MM-DD."""
    if isinstance(value, date):
        return value
    if type(value) is not str or not _DAY.fullmatch(value):
        raise ValueError("a calendar day such as 2026-11-22")
    return date.fromisoformat(value)


def read_plain(value: str) -> str:
    """A text that shows what it says."""
    if not is_plain(value):
        raise ValueError("no control characters, nor signs that turn a text around")
    return value


_WHOLE_SCHEMA: dict[str, Any] = {
    "oneOf": [
        {"type": "integer", "minimum": -SAFE_MAX, "maximum": SAFE_MAX},
        {"type": "string", "pattern": "^-?(0|[1-9][0-9]{0,18})$"},
    ]
}
Whole = Annotated[
    int,
    BeforeValidator(read_whole),
    PlainSerializer(show_whole, when_used="json"),
    WithJsonSchema(_WHOLE_SCHEMA),
]
"""A whole number of smallest units, as far as the books can count."""
Amount = Annotated[
    int,
    BeforeValidator(read_whole),
    Field(ge=1, le=AMOUNT_MAX),
    PlainSerializer(show_whole, when_used="json"),
    WithJsonSchema(
        {
            "description": "Smallest units, kopecks for RUB: below 2^53 as a number, up to 2^63-1 as text.",
            "oneOf": [
                {"type": "integer", "minimum": 1, "maximum": SAFE_MAX},
                {"type": "string", "pattern": "^[1-9][0-9]{0,18}$"},
            ],
            "examples": [149990],
        }
    ),
]
"""An amount that moves: at least one smallest unit."""
Instant = Annotated[
    datetime,
    BeforeValidator(read_instant),
    PlainSerializer(show_instant, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": "^(199|20[0-9]|21[0-9])[0-9]-",
            "examples": ["2026-11-22T09:00:00Z"],
        }
    ),
]
Day = Annotated[
    date,
    BeforeValidator(read_day),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-11-22"]}),
]
_NO_CONTROLS: dict[str, Any] = {"pattern": f"^[^{FORGING}]*$"}
Text = Annotated[
    str,
    Field(strict=True, min_length=1, max_length=500, json_schema_extra=_NO_CONTROLS),
    AfterValidator(read_plain),
]
Reference = Annotated[str, Field(strict=True, pattern=r"^[!-~]([ -~]{0,126}[!-~])?$", examples=["order:1001"])]
Kind = Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z0-9_.]{0,63}$", examples=["sale"])]
AccountCode = Annotated[str, Field(strict=True, pattern=ACCOUNT_CODE, examples=["asset:cash:till_1"])]
Commodity = Annotated[str, Field(strict=True, pattern=COMMODITY, examples=["RUB"])]
Flag = Annotated[bool, Field(strict=True)]


class Body(BaseModel):
    """What a client sends: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class View(BaseModel):
    """What we answer."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
