"""Amounts of the wire: roubles as JSON numbers with two decimals, never by way of a float.

Clients send numbers or numeric texts; what they computed in floats comes written out in full (``2500.1399999999999``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from ledger.money import Kopecks, kopecks_of, roubles

_TEXT = re.compile(r"[0-9]{1,10}([.][0-9]{1,16})?")
_SPELLED_OUT = Decimal("0.000001")
"""A float written out in full is nearer to its kopeck than this; a wrong amount is not."""
_KOPECK = Decimal("0.01")
ROUBLES_MAX = 10**10
QUANTITY_MAX = 10**6
QUANTITY_DECIMALS_MAX = 6
"""Source: 54-FZ formats, tag 1023: a quantity has up to 6 decimals."""


def read_amount(value: Any) -> Kopecks:
    """An amount in roubles, as a JSON number or a numeric text. Raises: ValueError."""
    said = read_decimal(value)
    if not 0 <= said < ROUBLES_MAX:
        raise ValueError("an amount in roubles, such as 6700.00")
    near = said.quantize(_KOPECK, ROUND_HALF_EVEN)
    if said != near and abs(said - near) >= _SPELLED_OUT:
        raise ValueError("an amount in roubles with at most two decimals")
    return kopecks_of(str(near))


def read_quantity(value: Any) -> Decimal:
    """How many, or how much of a measure: a number or a numeric text above zero. Raises: ValueError."""
    said = read_decimal(value).normalize()
    exponent = said.as_tuple().exponent
    if not 0 < said <= QUANTITY_MAX or not isinstance(exponent, int) or -exponent > QUANTITY_DECIMALS_MAX:
        raise ValueError(f"a number above zero with at most {QUANTITY_DECIMALS_MAX} decimals")
    return said


def read_decimal(value: Any) -> Decimal:
    """A number as it stands in the body. Raises: ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError("a number, or a numeric text")
    if isinstance(value, str) and not _TEXT.fullmatch(value.strip()):
        raise ValueError("a number, or a numeric text")
    said = Decimal(value)
    if not said.is_finite() or abs(said.adjusted()) > 16:
        raise ValueError("a number of a sensible size")
    return said


def write_json(value: Any) -> bytes:
    """A JSON value: ``Kopecks`` as roubles with two decimals, ``Decimal`` as the number it is."""
    return _written(value).encode()


def _written(value: Any) -> str:
    if isinstance(value, Kopecks):
        return roubles(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | datetime):
        return json.dumps(value.isoformat())
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(name)}:{_written(each)}" for name, each in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
