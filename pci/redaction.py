"""Redaction: card numbers, keys and other secrets turn into stars before anything is written down.

A run of 13 to 19 digits, with single spaces or dashes between them, that passes the Luhn check is
taken for a card number wherever it stands. What a scheme issues becomes its mask (``220011******9001``), anything else
stars: which six digits of it could be shown, nobody knows. UUIDs are let through.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pci.card_numbers import candidates, may_hold_pan
from pci.pan import Pan
from pci.schemes import mask_of
from pci.secret import STARS, Secret

PAN_STARS = "[card number]"
DEPTH_MAX = 12
"""Deeper values are cut off: nothing of ours is nested so deep."""

SECRET_WORDS = frozenset(
    {"pan", "card_number", "cardnumber", "cvc", "cvv", "cvc2", "cvv2", "pin", "track1", "track2", "cryptogram"}
    | {"authorization", "proxy-authorization", "cookie", "set-cookie", "access_token", "refresh_token"}
    | {"password", "passphrase", "secret", "api_key_secret", "private_key"}
)
"""Names of fields whose values are never shown."""

_SUSPECT = re.compile(
    r"[0-9](?:[ \t.+%\u00a0\u2007\u2009\u202f\u2010-\u2015\u2212-]{0,5}[0-9]){12}|kp_|://|(?i:bearer|basic)\s"
)
"""What any of the patterns below needs: most texts are let through after this one search."""
_API_KEY = re.compile(r"kp_(test|live)_[0-9A-Za-z]+")
_CREDENTIALS = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}")
_SAD = re.compile(
    r"(?i)\b((?:cvc2?|cvv2?|cvp2|cav2|cid|pin|pin_block|track_?[12])['\"]?\s{0,2}[:=]\s{0,2}[b'\"]{0,2})[0-9A-F%;^][^\s'\",;}]*"
)
"""A card's verification code, PIN or track in running text: ``cvc=123``, ``{'cvc': '123'}``."""
_SAD_SUSPECT = re.compile(r"(?i)cvc|cvv|cvp|cav2|cid|pin|track")
"""What ``_SAD`` needs: one search instead of a substitution that finds nothing."""
_WORD_IN_ASCII = re.compile(
    r"[BbCcPpTt](?:[Vv][CcVvPp]|[Aa][Vv]2|[Ii][DdNn]|[Rr][Aa][Cc][Kk]|[Ee][Aa][Rr]|[Aa][Ss][Ii])"
)
"""Wider than ``_SAD_SUSPECT`` and the words of ``_SUSPECT``, and faster: without ``(?i)`` a search skips ahead."""
_URL_PASSWORD = re.compile(r"(?<=://)([^:/@\s]+):[^@/\s]+@")


def redact_text(text: str) -> str:
    """The text with card numbers, API keys and credentials replaced."""
    return text if is_plain(text) else redact_thoroughly(text)


def redact_thoroughly(text: str) -> str:
    """The same without the quick looks before it, which let most texts through."""
    if _SAD_SUSPECT.search(text) is not None:
        text = _SAD.sub(rf"\1{STARS}", text)
    if _SUSPECT.search(text) is None:
        return text
    text = _hide_pans(text)
    text = _API_KEY.sub(rf"kp_\1_{STARS}", text)
    text = _URL_PASSWORD.sub(rf"\1:{STARS}@", text)
    return _CREDENTIALS.sub(rf"\1 {STARS}", text)


def is_plain(text: str) -> bool:
    """Whether nothing in the text could be secret, after quick looks: ``redact_thoroughly`` would leave it as it is."""
    if not text.isascii() or "kp_" in text or "://" in text:
        return False
    return not may_hold_pan(text.encode()) and _WORD_IN_ASCII.search(text) is None


def is_plain_line(line: Mapping[str, Any]) -> bool:
    """Whether nothing in a flat line could be secret, after one look at all of it: ``redact`` would change nothing."""
    texts = list(line)
    if any(name.lower() in SECRET_WORDS for name in texts):
        return False
    for value in line.values():
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, int):
            if not -(10**12) < value < 10**12:
                return False
        elif value is not None and not isinstance(value, float):
            return False
    return is_plain("\n".join(texts))


def redact(value: Any, depth: int = 0) -> Any:
    """The value with everything secret in it replaced: by the name of a field or by its look."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -(10**12) < value < 10**12 else _redact_number(value)
    if isinstance(value, Secret):
        return STARS
    if isinstance(value, Pan):
        return value.mask
    if depth >= DEPTH_MAX:
        return STARS
    if isinstance(value, Mapping):
        return {redact_text(str(name)): _of_field(str(name), part, depth) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact(part, depth + 1) for part in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return redact_text(bytes(value).decode("utf-8", "replace"))
    return value


def _of_field(name: str, value: Any, depth: int) -> Any:
    return STARS if name.lower() in SECRET_WORDS else redact(value, depth + 1)


def _redact_number(value: int) -> int | str:
    text = str(value)
    hidden = redact_text(text)
    return value if hidden == text else hidden


def _hide_pans(text: str) -> str:
    """The text with every candidate replaced by what may be shown of it."""
    shown, start = [], 0
    for found in candidates(text):
        shown += [text[start : found.start], PAN_STARS if found.scheme is None else mask_of(found.digits)]
        start = found.end
    return "".join([*shown, text[start:]])
