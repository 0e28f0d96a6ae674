"""The buyer (покупатель) of plans: who it is, how well known, and the rules of phone, name and age.

Personal data prints as stars and leaves by ``expose()`` or by name, never by ``repr``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from installments.buyer_errors import DetailsMalformed, LimitOutOfRange, PhoneMalformed
from ledger.money import Kopecks
from pci.secret import Secret

LIMIT_MAX = Kopecks(100_000_000)
"""The largest price of a plan: more could not be used by one purchase."""
LIMIT_AT_FIRST = Kopecks(10_000_000)
"""What a new buyer may owe at most. Source: our own choice; peers start between 50,000 and 150,000 roubles."""
NAME_CHARACTERS_MAX = 100
EMAIL_CHARACTERS_MAX = 254
"""Source: RFC 5321 4.5.3.1.3 leaves 254 characters to an address."""
BORN_MIN = date(1900, 1, 1)
_PHONE = re.compile(r"\+[1-9][0-9]{9,14}")
_SEPARATORS = re.compile(r"[\s().\u00a0\u2010-\u2015-]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


class Identification(StrEnum):
    """How well it is known who a buyer is. Source: 115-FZ art. 7: simplified and full identification."""

    NONE = "none"
    """By phone alone."""
    SIMPLIFIED = "simplified"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class PersonalDetails:
    """What a buyer says of themselves, as far as it was said."""

    first_name: str | None = field(default=None, repr=False)
    last_name: str | None = field(default=None, repr=False)
    middle_name: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    born_on: date | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Buyer:
    """One buyer as known now."""

    id: str
    """``byr_…``"""
    phone: Secret | None
    """As ``+79161234567``; none once erased."""
    details: PersonalDetails
    phone_digest: bytes | None = field(repr=False)
    """A keyed digest of the phone, to find it on stop lists; there since the first code was made."""
    document_digest: bytes | None = field(repr=False)
    """A keyed digest of a document's number, to find it on stop lists."""
    phone_verified_at: datetime | None
    identification: Identification
    identified_by: str | None
    """Who identified the buyer, and how: ``bank:044525974``, ``esia``."""
    identified_at: datetime | None
    limit: Kopecks
    """What the buyer may owe at most; repaid principal may be used again."""
    frozen_at: datetime | None
    frozen_reason: str | None
    arrears_seen_on: date | None
    """The last night that saw a plan of the buyer overdue for long enough to freeze."""
    erased_at: datetime | None
    created_at: datetime
    version: int


def read_phone(text: str) -> Secret:
    """A phone as people write it, with ``8`` or ``7`` for Russia, as ``+79161234567``. Raises: PhoneMalformed."""
    digits = _SEPARATORS.sub("", text)
    if re.fullmatch(r"8[0-9]{10}", digits):
        digits = f"+7{digits[1:]}"
    elif re.fullmatch(r"7[0-9]{10}", digits):
        digits = f"+{digits}"
    if not _PHONE.fullmatch(digits):
        raise PhoneMalformed()
    return Secret(digits)


def phone_mask(phone: Secret) -> str:
    """A phone with its middle hidden: ``+7******4567``. Only for the buyer's own eyes."""
    shown = phone.expose()
    return f"{shown[:2]}******{shown[-4:]}"


def checked_details(details: PersonalDetails, *, on: date) -> PersonalDetails:
    """What was said, without spaces at ends and empty texts. Raises: DetailsMalformed."""
    texts = {name: _trimmed(getattr(details, name)) for name in ("first_name", "last_name", "middle_name", "email")}
    names = [text for name, text in texts.items() if name != "email" and text is not None]
    if any(len(name) > NAME_CHARACTERS_MAX or "\x00" in name for name in names):
        raise DetailsMalformed(field="name")
    email = texts["email"]
    if email is not None and (len(email) > EMAIL_CHARACTERS_MAX or not _EMAIL.fullmatch(email) or "\x00" in email):
        raise DetailsMalformed(field="email")
    if details.born_on is not None and not BORN_MIN <= details.born_on <= on:
        raise DetailsMalformed(field="born_on")
    return PersonalDetails(**texts, born_on=details.born_on)


def _trimmed(text: str | None) -> str | None:
    return (text.strip() or None) if text is not None else None


def age_on(born_on: date, on: date) -> int:
    """Whole years on a day. Whoever is born on 29 February is a year older on 1 March of other years.

    Source: art. 191 of the Civil Code, as courts read it: an age is reached on the day after the birthday only for
    criminal law; for contracts the birthday itself counts.
    """
    had_birthday = (on.month, on.day) >= (born_on.month, born_on.day)
    return on.year - born_on.year - (0 if had_birthday else 1)


def checked_limit(kopecks: int) -> Kopecks:
    """A spending limit. Raises: LimitOutOfRange."""
    if not 0 <= kopecks <= LIMIT_MAX:
        raise LimitOutOfRange(limit_kopecks=kopecks, limit_kopecks_max=int(LIMIT_MAX))
    return Kopecks(kopecks)
