"""What a loyalty barcode says: our own open format, and the plain number of a plastic card.

``K1`` number of the card (12 digits) ``S`` number of the phone's showing (4) and its time code (8):

    K1291234567899S000112345678

The letters keep the digits apart, so that no barcode can be taken for the number of a payment card. EAN-13 has no
room for a time code: it says the card's number and its own check digit, and is good for loyalty alone.

Source: our own format (DECISIONS.md); numbers 20 to 29 in front of an EAN-13 are for use inside a shop
(GS1 General Specifications, 1.4: restricted circulation numbers).
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import datetime

from checkout.loyalty_errors import BarcodeNotOfNow, BarcodeUnreadable
from checkout.time_codes import STEP_SECONDS, step_of, step_that_shows, time_code
from pci.luhn import check_digit
from pci.secret import Secret

PREFIX = "K1"
"""Kopeyka, version 1 of the format."""
IN_SHOP = "29"
"""How every card number begins."""
NUMBER_DIGITS = 12
CODE_DIGITS = 8
SHOWING_NUMBER_MAX = 9_999
"""Phones that ever showed one card: four digits."""
_TIMED = re.compile(r"K1(29[0-9]{10})S([0-9]{4})([0-9]{8})")
_PLAIN = re.compile(r"(29[0-9]{10})([0-9]?)")
_DOMAIN = b"kopeyka/loyalty-showing/v1|"


@dataclass(frozen=True, slots=True)
class ReadBarcode:
    """What a till has read."""

    number: str
    """Of the loyalty card."""
    showing_number: int | None
    """Which phone of the card's shows it; none on plastic."""
    code: str | None


@dataclass(frozen=True, slots=True)
class ShownBarcode:
    """What a phone shows, and until when it is worth showing."""

    text: str
    step: int
    renews_at: datetime


def number_of(random_digits: str) -> str:
    """A card number of nine random digits: its last digit is five off that of payment cards, so it never is one.

    Every mistaken digit and nearly every swap of two neighbours is noticed, as with payment cards.
    Source: ISO/IEC 7812-1, annex B.
    """
    digits = IN_SHOP + random_digits
    return digits + str((int(check_digit(digits)) + 5) % 10)


def is_number(digits: str) -> bool:
    """Whether a text is a card number that we could have given out."""
    return bool(re.fullmatch(r"29[0-9]{10}", digits)) and number_of(digits[2:-1]) == digits


def ean_check_digit(digits: str) -> str:
    """The thirteenth digit. Source: GS1 General Specifications, 7.9.1."""
    return str(-sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10)


def read_barcode(text: str) -> ReadBarcode:
    """What the till's scanner gave. Raises: BarcodeUnreadable."""
    if timed := _TIMED.fullmatch(text):
        number, showing_number, code = timed[1], int(timed[2]), timed[3]
    elif (plain := _PLAIN.fullmatch(text)) and plain[2] in ("", ean_check_digit(plain[1])):
        number, showing_number, code = plain[1], None, None
    else:
        raise BarcodeUnreadable()
    if not is_number(number) or showing_number == 0:
        raise BarcodeUnreadable()
    return ReadBarcode(number, showing_number, code)


def showing_secret(key: Secret, number: str, showing_number: int) -> bytes:
    """What the codes of one phone are made of: of the house's key, so that it is kept nowhere."""
    return hmac.digest(key.expose().encode(), _DOMAIN + f"{number}|{showing_number}".encode(), "sha256")


def shown_barcode(secret: bytes, number: str, showing_number: int, *, now: datetime) -> ShownBarcode:
    """What the phone shows now."""
    step = step_of(now)
    code = time_code(secret, step, digits=CODE_DIGITS, hash_name="sha256")
    renews_at = datetime.fromtimestamp((step + 1) * STEP_SECONDS, tz=now.tzinfo)
    return ShownBarcode(f"{PREFIX}{number}S{showing_number:04}{code}", step, renews_at)


def step_shown(read: ReadBarcode, key: Secret, *, now: datetime) -> int | None:
    """The step whose code was scanned; none for plastic. Raises: BarcodeNotOfNow."""
    if read.showing_number is None or read.code is None:
        return None
    secret = showing_secret(key, read.number, read.showing_number)
    step = step_that_shows(secret, read.code, now, hash_name="sha256")
    if step is None:
        raise BarcodeNotOfNow()
    return step
