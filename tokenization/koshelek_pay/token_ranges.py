"""Token ranges: whose numbers device tokens have, and how one is drawn.

A number passes the Luhn check, because terminals look at that; it is no card's, because no scheme issues cards under
9643. ``Pan`` refuses it and the scanner does not report it.
Source: ISO/IEC 7812-1: 9 and a country (643 is Russia) is for its national standards body to assign.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pci.luhn import passes_luhn
from tokenization.koshelek_pay.emv import EmvFamily

PRIVATE_PREFIX = "9643"
SERIAL_DIGITS = 7
"""Of a number's 16: eight are the range's and one checks the others."""
DRAWS_MAX = 20
"""Numbers that are taken already, one after another: the range is as good as full."""


@dataclass(frozen=True, slots=True)
class TokenRange:
    """Numbers for device tokens of one scheme's cards."""

    id: str
    scheme: str
    first8: str
    family: EmvFamily
    """For which cipher the keys of its tokens are."""


def draw_number(token_range: TokenRange, random_below: Callable[[int], int]) -> str:
    """A random number of the range. Ten million of them tell nothing of each other."""
    body = f"{token_range.first8}{random_below(10**SERIAL_DIGITS):0{SERIAL_DIGITS}d}"
    return next(number for digit in range(10) if passes_luhn(number := f"{body}{digit}"))


def is_token_number(digits: str) -> bool:
    """Whether a number is a device token's, and no card's."""
    return len(digits) == 16 and digits.isascii() and digits.isdigit() and digits.startswith(PRIVATE_PREFIX)
