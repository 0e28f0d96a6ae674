"""Whether a body tells what must never be kept: a card's code, a PIN, a track.

A name that says so with a value that can be one, or the two in a running text. Digits must be of the right length:
``pin`` is a word too. ``cid`` never counts: it is everybody's abbreviation for a client.
Source: PCI DSS 3.3.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

_CODE: Final = re.compile(r"\s*[0-9]{3,4}\s*")
_PIN: Final = re.compile(r"\s*[0-9]{4,12}\s*")
_BLOCK: Final = re.compile(r"\s*[0-9A-Fa-f]{16}(?:[0-9A-Fa-f]{16})?\s*")
_TRACK: Final = re.compile(r"[%;BM]?[0-9]{12,19}[=^D]|[0-9]{13}")
_SHAPES: Final = {
    **dict.fromkeys(("cvc", "cvc2", "cvv", "cvv2", "cvp", "cvp2", "cav2", "csc", "securitycode"), _CODE),
    **dict.fromkeys(("pin", "pincode", "cardpin"), _PIN),
    "pinblock": _BLOCK,
    **dict.fromkeys(("track1", "track2", "trackdata", "track1data", "track2data"), _TRACK),
}
_TOLD: Final = re.compile(
    r"(?i)(?<![a-z0-9])(?:(?:cvc2?|cvv2?|cvp2|cav2)['\"]?\s{0,2}[:=]?\s{0,2}['\"]?[0-9]{3,4}(?![0-9])"
    r"|pin['\"]?\s{0,2}[:=]\s{0,2}['\"]?[0-9]{4,12}(?![0-9])"
    r"|track_?[12]['\"]?\s{0,2}[:=]\s{0,2}['\"]?[%;B]{0,2}[0-9]{12,19})"
)
_WORDS: Final = (b"cvc", b"cvv", b"cvp", b"cav2", b"csc", b"pin", b"track", b"security")
_NOT_LETTERS: Final = re.compile(r"[^a-z0-9]")


def may_tell_sad(raw: bytes) -> bool:
    """Whether any word for it stands in the bytes: a cheap look before the thorough one."""
    lower = raw.lower()
    return any(word in lower for word in _WORDS)


def tells_sad(value: Any) -> bool:
    """Whether a JSON value tells a card's code, PIN or track."""
    return any(_is_told(name, part) for name, part in _fields("", value))


def _is_told(name: str, part: Any) -> bool:
    if isinstance(part, bool) or not isinstance(part, (str, int)):
        return False
    shape = _SHAPES.get(_NOT_LETTERS.sub("", name.lower()))
    said = str(part)
    if shape is not None and (shape.search(said) if shape is _TRACK else shape.fullmatch(said)):
        return True
    return isinstance(part, str) and _TOLD.search(said) is not None


def _fields(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every value with the name it stands under; names are values too."""
    if isinstance(value, dict):
        for inner, part in value.items():
            yield "", inner
            yield from _fields(inner, part)
    elif isinstance(value, list):
        for part in value:
            yield from _fields(name, part)
    else:
        yield name, value
