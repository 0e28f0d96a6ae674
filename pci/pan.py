"""Card numbers have a type: it prints a mask, is never pickled, and leaves by ``expose()`` only."""

from __future__ import annotations

import hmac
from typing import NoReturn

from pci.errors import Rejected
from pci.redaction import passes_luhn

PAN_DIGITS_MIN = 13
PAN_DIGITS_MAX = 19
"""Source: ISO/IEC 7812-1: up to 19 digits; no scheme of ours has fewer than 13."""


class PanMalformed(Rejected):
    """This is not a card number."""

    code = "vault.pan_malformed"


class Pan:
    """One card number. Shown only as its first six and last four digits."""

    __slots__ = ("_digits",)

    def __init__(self, text: str) -> None:
        """Read a number with or without single spaces and dashes. Raises: PanMalformed, which never echoes it."""
        digits = text.replace(" ", "").replace("-", "")
        if not digits.isascii() or not digits.isdigit():
            raise PanMalformed(reason="digits only")
        if not PAN_DIGITS_MIN <= len(digits) <= PAN_DIGITS_MAX:
            raise PanMalformed(reason="length")
        if not passes_luhn(digits) or not digits.strip("0"):
            raise PanMalformed(reason="check digit")
        self._digits = digits

    def expose(self) -> str:
        """The digits themselves: each call of this is a place to look at."""
        return self._digits

    @property
    def first6(self) -> str:
        """The issuer's number, as far as it is ever shown."""
        return self._digits[:6]

    @property
    def last4(self) -> str:
        """What the buyer knows the card by."""
        return self._digits[-4:]

    @property
    def mask(self) -> str:
        """First six and last four digits, stars between.

        Source: PCI DSS 3.4.1: BIN and last four at most.
        """
        return f"{self.first6}{'*' * (len(self._digits) - 10)}{self.last4}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pan) and hmac.compare_digest(self._digits, other._digits)

    def __hash__(self) -> int:
        return hash(("Pan", self._digits))

    def __repr__(self) -> str:
        return f"Pan({self.mask})"

    def __str__(self) -> str:
        return self.mask

    def __format__(self, _spec: str) -> str:
        return self.mask

    def __reduce__(self) -> NoReturn:
        raise TypeError("a card number is not pickled")
