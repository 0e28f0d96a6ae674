"""Payers' phones: kept only in NSPK's masked form, ``0079******12``."""

from __future__ import annotations

import re

_MASKED = re.compile(r"[0-9]{0,4}\*{4,16}[0-9]{0,2}")
_OPEN_AT_THE_START = 4
_OPEN_AT_THE_END = 2
_HIDDEN_MAX = 16
HIDDEN_WHOLLY = "*" * 12
"""What is kept of a text too short to show any part of."""


def masked(said: str | None) -> str | None:
    """What may be kept of a payer's id: NSPK's mask as it is, anything else only after masking it here.

    Source: NSPK agent API, ``payerId`` and ``payeeId`` are masked phones; personal data is never stored whole.
    """
    if said is None or not said.strip():
        return None
    if _MASKED.fullmatch(said):
        return said
    digits = re.sub(r"\D", "", said)
    hidden = len(digits) - _OPEN_AT_THE_START - _OPEN_AT_THE_END
    if not 4 <= hidden <= _HIDDEN_MAX:
        return HIDDEN_WHOLLY
    return digits[:_OPEN_AT_THE_START] + "*" * hidden + digits[-_OPEN_AT_THE_END:]
