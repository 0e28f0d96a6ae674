"""Tokens that look like numbers, for systems that take nothing else.

As long as the card's number, under a prefix that no scheme has and no issuer can get, and failing the Luhn check: they
pass for a card nowhere, and our own searches for card numbers do not find them.
"""

from __future__ import annotations

from pci.luhn import passes_luhn
from pci.schemes import PAN_DIGITS_MAX, PAN_DIGITS_MIN
from tokenization.ids import random_below

PREFIX = "9999"
"""Source: ISO/IEC 7812-1: 9 and a country's code of ISO 3166-1 is for national use, and 999 is nobody's country."""


def new_digits_token(digits: int) -> str:
    """A token of so many digits. Random: not a digit of it is the card's."""
    assert PAN_DIGITS_MIN <= digits <= PAN_DIGITS_MAX
    free = digits - len(PREFIX) - 1
    body = f"{PREFIX}{random_below(10**free):0{free}}"
    wrong = [check for check in "0123456789" if not passes_luhn(body + check)]
    return body + wrong[random_below(len(wrong))]


def is_digits_token(text: str) -> bool:
    """Whether a text has the form of such a token."""
    is_form = text.isascii() and text.isdigit() and PAN_DIGITS_MIN <= len(text) <= PAN_DIGITS_MAX
    return is_form and text.startswith(PREFIX) and not passes_luhn(text)
