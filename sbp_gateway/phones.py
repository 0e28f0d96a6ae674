"""Phones: kept only in NSPK's masked form, ``0079******12``. The one place where anything of the rail is masked."""

from __future__ import annotations

import re

_MASKED = re.compile(r"[0-9]{0,4}\*{4,16}[0-9]{0,2}")
_CARD = re.compile(r"(?=.{13,19}\Z)[0-9]{0,6}\*{4,16}[0-9]{0,4}")
"""A card as banks print it: at most the first six and the last four digits. Source: PCI DSS 4.0, 3.4.1."""
_MOBILE = re.compile(r"79[0-9]{9}")
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


def mask_phone(phone: str) -> str:
    """The eleven digits of a mobile number as NSPK shows it: the operator's first digit, six stars, two digits."""
    return f"00{phone[:2]}{'*' * 6}{phone[-2:]}" if _MOBILE.fullmatch(phone) else HIDDEN_WHOLLY


def masked_as_printed(said: str | None) -> str | None:
    """What a bank's file says of a payer: its own mask of a phone or a card as it is, anything else masked here."""
    return said if said is not None and _CARD.fullmatch(said) else masked(said)
