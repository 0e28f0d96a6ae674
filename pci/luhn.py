"""The check digit of card numbers.

Source: ISO/IEC 7812-1, annex B.
"""

from __future__ import annotations

_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
_ZERO = ord("0")


def passes_luhn(digits: str) -> bool:
    """Whether the last digit checks the others, as in every card number."""
    characters = digits.encode("ascii")
    total = sum(characters[-1::-2]) + sum(characters[-2::-2].translate(_DOUBLED)) - _ZERO * len(characters)
    return total % 10 == 0


def check_digit(digits: str) -> str:
    """The digit that makes ``digits`` a number which passes."""
    return next(last for last in "0123456789" if passes_luhn(digits + last))
