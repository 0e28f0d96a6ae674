"""Payment schemes: whose card it is, by the first digits of its number, and how long its numbers are.

One table for all who ask: the ``Pan`` type takes only what stands in it, redaction and the scanner look for it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

PAN_DIGITS_MIN: Final = 13
PAN_DIGITS_MAX: Final = 19
"""Source: ISO/IEC 7812-1: up to 19 digits; nothing that a scheme of ours issues today has fewer than 13."""


class Scheme(StrEnum):
    """A payment scheme."""

    MIR = "mir"
    MASTERCARD = "mastercard"
    VISA = "visa"
    AMEX = "amex"
    JCB = "jcb"
    UNIONPAY = "unionpay"
    """Also cards of Mir and UnionPay in one: their number is UnionPay's."""
    MAESTRO = "maestro"
    HUMO = "humo"
    UZCARD = "uzcard"
    BELCARD = "belcard"
    DINERS = "diners"
    """Looked for and never taken."""
    DISCOVER = "discover"
    """Looked for and never taken."""


LOOKED_FOR_ONLY: Final = frozenset({Scheme.DINERS, Scheme.DISCOVER})
"""Their cards are not charged here, and must not lie about all the same."""

_FROM_16: Final = frozenset(range(16, 20))
_14: Final = frozenset({14})
_16: Final = frozenset({16})

# The first row that fits wins: narrower ranges stand before the wide one of Maestro. Lengths are those of cards that
# are issued today: Visa's 13 digits and Maestro's 12 to 15 died out, and they are the lengths of barcodes (EAN-13,
# 460…) and of legal persons' registration numbers (ОГРН, 50…), of which one in ten would pass for a card.
# Source: the ranges that the schemes publish: Mir, "Правила платежной системы «Мир»" (2200 to 2204); Visa (4),
# Mastercard (51 to 55, 2221 to 2720), American Express (34, 37), JCB (3528 to 3589), UnionPay (62), Maestro (50, 56 to
# 69), Humo (9860), UzCard (8600), BelCard (9112), Diners Club (300 to 305, 36, 38), Discover (6011, 644 to 649, 65).
_ROWS: Final[tuple[tuple[Scheme, str, str, frozenset[int]], ...]] = (
    (Scheme.MIR, "2200", "2204", _FROM_16),
    (Scheme.MASTERCARD, "2221", "2720", _16),
    (Scheme.MASTERCARD, "51", "55", _16),
    (Scheme.VISA, "4", "4", frozenset({16, 18, 19})),
    (Scheme.AMEX, "34", "34", frozenset({15})),
    (Scheme.AMEX, "37", "37", frozenset({15})),
    (Scheme.JCB, "3528", "3589", _FROM_16),
    (Scheme.UNIONPAY, "62", "62", _FROM_16),
    (Scheme.DISCOVER, "6011", "6011", _FROM_16),
    (Scheme.DISCOVER, "644", "649", _FROM_16),
    (Scheme.DISCOVER, "65", "65", _FROM_16),
    (Scheme.MAESTRO, "50", "50", _FROM_16),
    (Scheme.MAESTRO, "56", "69", _FROM_16),
    (Scheme.DINERS, "300", "305", _14),
    (Scheme.DINERS, "36", "36", _14),
    (Scheme.DINERS, "38", "38", _14),
    (Scheme.HUMO, "9860", "9860", _16),
    (Scheme.UZCARD, "8600", "8600", _16),
    (Scheme.BELCARD, "9112", "9112", _16),
)


def _by_first_four() -> dict[str, tuple[Scheme, frozenset[int]]]:
    return {
        f"{number:04}": (scheme, lengths)
        for scheme, low, high, lengths in reversed(_ROWS)  # of two that fit, the earlier row stays
        for number in range(int(low.ljust(4, "0")), int(high.ljust(4, "9")) + 1)
    }


_TABLE: Final = _by_first_four()


def scheme_of(digits: str) -> Scheme | None:
    """Whose card a number is by its first digits alone; None when nobody's we know."""
    row = _TABLE.get(digits[:4])
    return row[0] if row else None


def has_length_of_its_scheme(digits: str) -> bool:
    """Whether the scheme issues numbers of this length."""
    row = _TABLE.get(digits[:4])
    return row is not None and len(digits) in row[1]


def mask_of(digits: str) -> str:
    """First six and last four digits, stars between.

    Source: PCI DSS 3.4.1: the BIN and the last four digits at most; one form everywhere, so that no two differ.
    """
    return f"{digits[:6]}{'*' * (len(digits) - 10)}{digits[-4:]}"
