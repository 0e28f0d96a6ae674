"""Phones of loyalty cards: one form for all ways to write a number, and a keyed digest in its place."""

from __future__ import annotations

import hmac
import re

from checkout.loyalty_errors import LoyaltyPhoneMalformed
from pci.secret import Secret

_SEPARATORS = re.compile(r"[\s().\u00a0\u2010-\u2015-]")
_E164 = re.compile(r"\+[1-9][0-9]{9,14}")
"""Source: ITU-T E.164, 6.2: at most 15 digits; shorter than ten are no mobile numbers."""
_RUSSIAN = re.compile(r"[78]?(9[0-9]{9})")
_DOMAIN = "kopeyka/loyalty-phone/v1|"


def normalised_phone(text: str) -> Secret:
    """``8 (916) 123-45-67``, ``9161234567`` and ``+79161234567`` are one number. Raises: LoyaltyPhoneMalformed."""
    digits = _SEPARATORS.sub("", text)
    if russian := _RUSSIAN.fullmatch(digits):
        digits = f"+7{russian[1]}"
    if not _E164.fullmatch(digits):
        raise LoyaltyPhoneMalformed()
    return Secret(digits)


def phone_digest(key: Secret, merchant_id: str, phone: Secret) -> bytes:
    """What a card keeps of its phone. Another for each merchant: two of them cannot compare their cards."""
    said = f"{_DOMAIN}{merchant_id}|{phone.expose()}"
    return hmac.digest(key.expose().encode(), said.encode(), "sha256")
