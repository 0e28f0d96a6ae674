"""Card numbers have a type: it prints a mask, is never pickled or copied, and leaves by ``expose()`` or ``open()``."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from pci.errors import Rejected
from pci.luhn import passes_luhn
from pci.schemes import (
    LOOKED_FOR_ONLY,
    PAN_DIGITS_MAX,
    PAN_DIGITS_MIN,
    Scheme,
    has_length_of_its_scheme,
    mask_of,
    scheme_of,
)

TEXT_CHARACTERS_MAX = 2 * PAN_DIGITS_MAX
"""Digits with as many separators; anything longer is not even looked at."""


class PanMalformed(Rejected):
    """This is not a card number."""

    code = "vault.pan_malformed"


class SchemeUnknown(Rejected):
    """Cards of this scheme are not taken."""

    code = "vault.scheme_unknown"


class Pan:
    """One card number. Shown only as its first six and last four digits.

    The digits are kept in a bytearray of our own and wiped when the value dies. What ``expose()`` gave out is
    Python's to forget: a ``str`` cannot be wiped, so whoever can works on ``open()``.
    """

    __slots__ = ("_digits",)

    def __init__(self, text: str) -> None:
        """Read a number with or without single spaces and dashes.

        Raises: PanMalformed, SchemeUnknown; neither echoes it.
        """
        digits = read_digits(text)
        self._digits = bytearray(digits, "ascii")

    @classmethod
    def of_sealed(cls, digits: bytes) -> Pan:
        """A number that was read once before it was sealed, and whose seal has just held: it is not read again."""
        pan = cls.__new__(cls)
        pan._digits = bytearray(digits)
        return pan

    def expose(self) -> str:
        """The digits themselves: each call of this is a place to look at."""
        return self._digits.decode("ascii")

    @contextmanager
    def open(self) -> Iterator[bytearray]:
        """The digits (ASCII) in a buffer that is wiped when the block ends."""
        digits = bytearray(self._digits)
        try:
            yield digits
        finally:
            wipe(digits)

    @property
    def scheme(self) -> Scheme:
        """Whose card it is."""
        scheme = scheme_of(self._digits[:4].decode("ascii"))
        assert scheme is not None, "a number of no scheme was refused"
        return scheme

    @property
    def first6(self) -> str:
        """The issuer's number, as far as it is ever shown."""
        return self._digits[:6].decode("ascii")

    @property
    def last4(self) -> str:
        """What the buyer knows the card by."""
        return self._digits[-4:].decode("ascii")

    @property
    def mask(self) -> str:
        """First six and last four digits, stars between."""
        return mask_of(self._digits.decode("ascii"))

    def __len__(self) -> int:
        return len(self._digits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pan) and hmac.compare_digest(self._digits, other._digits)

    def __hash__(self) -> int:
        return hash(("Pan", bytes(self._digits)))

    def __repr__(self) -> str:
        return f"Pan({self.mask})"

    def __str__(self) -> str:
        return self.mask

    def __format__(self, _spec: str) -> str:
        return self.mask

    def __reduce__(self) -> NoReturn:
        raise TypeError("a card number is not pickled or copied")

    def __del__(self) -> None:
        if hasattr(self, "_digits"):
            wipe(self._digits)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> NoReturn:
        """A model's errors repeat what came in, so a card number is no field of one: its reader calls ``Pan(text)``."""
        raise TypeError("a card number is not a field of a model")


def read_digits(text: str) -> str:
    """The digits of a card number as a person or a program writes it.

    Raises: PanMalformed, SchemeUnknown.
    """
    digits = text.replace(" ", "").replace("-", "") if len(text) <= TEXT_CHARACTERS_MAX else ""
    if not digits.isascii() or not digits.isdigit():
        raise PanMalformed(reason="digits only")
    if not PAN_DIGITS_MIN <= len(digits) <= PAN_DIGITS_MAX:
        raise PanMalformed(reason="length")
    if not passes_luhn(digits) or not digits.strip("0"):
        raise PanMalformed(reason="check digit")
    scheme = scheme_of(digits)
    if scheme is None or scheme in LOOKED_FOR_ONLY:
        raise SchemeUnknown()
    if not has_length_of_its_scheme(digits):
        raise PanMalformed(reason="length")
    return digits


def wipe(buffer: bytearray) -> None:
    """Write zeros over a buffer."""
    buffer[:] = bytes(len(buffer))
