"""How each bank writes money, and kopecks: the only place where the two meet. No float ever.

NSPK writes kopecks as text in requests and as numbers in notifications, T-Bank kopecks as numbers, Raiffeisen roubles
as JSON numbers, YooKassa roubles as text with two decimals.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ledger.money import AMOUNT_MAX, Kopecks, roubles
from sbp_gateway.errors import MoneyUnreadable

DIGITS_MAX = 20
"""No sum that fits is longer, before the point or behind it."""
_ROUBLES = re.compile(r"(0|[1-9][0-9]{0,16})(?:\.([0-9]{1,2}))?")
_KOPECKS = re.compile(r"0|[1-9][0-9]{0,18}")


class MoneyUnit(StrEnum):
    """A way to write money."""

    KOPECKS_TEXT = "kopecks_text"
    """``"149990"``"""
    KOPECKS_NUMBER = "kopecks_number"
    """``149990``"""
    ROUBLES_NUMBER = "roubles_number"
    """``1499.9`` in JSON; read as the text that it is, never as a float."""
    ROUBLES_TEXT = "roubles_text"
    """``"1499.90"``"""


def write(amount: Kopecks, unit: MoneyUnit) -> str | int | Decimal:
    """The sum as the bank wants it. A Decimal goes into JSON by ``to_json``. Amounts: kopecks."""
    assert 0 <= amount <= AMOUNT_MAX
    forms: dict[MoneyUnit, str | int | Decimal] = {
        MoneyUnit.KOPECKS_TEXT: str(int(amount)),
        MoneyUnit.KOPECKS_NUMBER: int(amount),
        MoneyUnit.ROUBLES_NUMBER: Decimal(roubles(amount)),
        MoneyUnit.ROUBLES_TEXT: roubles(amount),
    }
    return forms[unit]


def read(value: object, unit: MoneyUnit) -> Kopecks:
    """Kopecks of what a bank wrote. Raises: MoneyUnreadable for another form, a sign, or a part of a kopeck."""
    text = _text_of(value, unit)
    if text is None or len(text) > DIGITS_MAX or not text.isascii():
        raise MoneyUnreadable(unit=unit.value)
    in_kopecks = unit in (MoneyUnit.KOPECKS_TEXT, MoneyUnit.KOPECKS_NUMBER)
    found = (_KOPECKS if in_kopecks else _ROUBLES).fullmatch(text)
    if found is None:
        raise MoneyUnreadable(unit=unit.value)
    kopecks = int(text) if in_kopecks else int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))
    if kopecks > AMOUNT_MAX:
        raise MoneyUnreadable(unit=unit.value)
    return Kopecks(kopecks)


def _text_of(value: object, unit: MoneyUnit) -> str | None:
    """The digits of a value of the right JSON type; a number's trailing zeros behind the point mean nothing."""
    if unit in (MoneyUnit.KOPECKS_TEXT, MoneyUnit.ROUBLES_TEXT):
        return value if isinstance(value, str) else None
    if type(value) is int:
        return str(value) if abs(value) <= AMOUNT_MAX else None
    if unit is MoneyUnit.KOPECKS_NUMBER or not isinstance(value, Decimal) or not value.is_finite():
        return None
    if abs(value.adjusted()) > DIGITS_MAX or len(value.as_tuple().digits) > DIGITS_MAX:
        return None
    return f"{value.normalize():f}"


def from_json(text: str | bytes) -> Any:
    """A bank's JSON, its numbers with a point as decimals. Raises: ValueError."""
    return json.loads(text, parse_float=Decimal, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def to_json(value: Any) -> str:
    """JSON in which decimals are numbers written digit by digit."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(name))}:{to_json(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(to_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
