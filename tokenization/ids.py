"""Chance in the vault: ids that tell nothing, and raw bytes. Nowhere else in it is anything drawn."""

from __future__ import annotations

import secrets

from pci.card_numbers import DIGITS_AS_ZEROS

ID_BITS = 144
"""Too many to guess, whoever tries for however long."""
ID_CHARACTERS = 25
"""62^25 is just above 2^ID_BITS."""
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LETTERS = bytes(ord(_ALPHABET[byte % 62]) for byte in range(256))
_UNEVEN = bytes(range(248, 256))
"""Left out, so that each letter is as likely as any other."""
_DRAWN_BYTES, _SPARE_BYTES = 27, 13
"""More than enough for most ids, and for one alone; they are drawn by the million."""
_DIGITS_IN_A_ROW = b"0" * 9


def new_id(prefix: str) -> str:
    """A new id with its prefix: ``new_id("tok")``. Tells neither time nor order, and never looks like a card number.

    Nine digits in a row are drawn again: a search for card numbers in what was written down finds no id of ours.
    """
    (drawn,) = new_ids(prefix, 1)
    return drawn


def new_ids(prefix: str, count: int) -> list[str]:
    """Many new ids: chance is asked for all of them at once."""
    ids: list[str] = []
    while (missing := count - len(ids)) > 0:
        drawn = secrets.token_bytes(missing * _DRAWN_BYTES + _SPARE_BYTES).translate(_LETTERS, _UNEVEN).decode("ascii")
        cut = [drawn[place : place + ID_CHARACTERS] for place in range(0, missing * ID_CHARACTERS, ID_CHARACTERS)]
        are_fit = len(cut[-1]) == ID_CHARACTERS and not _looks_like_a_number(drawn)  # all of them, as nearly ever
        ids += [f"{prefix}_{tail}" for tail in (cut if are_fit else filter(_is_fit, cut))]
    return ids


def _is_fit(tail: str) -> bool:
    return len(tail) == ID_CHARACTERS and not _looks_like_a_number(tail)


def _looks_like_a_number(text: str) -> bool:
    return _DIGITS_IN_A_ROW in text.encode().translate(DIGITS_AS_ZEROS)


def is_id(prefix: str, text: str) -> bool:
    """Whether a text has the form of such an id."""
    head, _, tail = text.partition("_")
    return head == prefix and len(tail) == ID_CHARACTERS and tail.isascii() and tail.isalnum()


def random_bytes(count: int) -> bytes:
    """Bytes for keys, salts and nonces."""
    return secrets.token_bytes(count)


def new_nonce() -> str:
    """A word for one page, so that only its own script runs: 128 bits, fit for a header."""
    return secrets.token_urlsafe(16)


def random_below(limit: int) -> int:
    """A number from 0, each as likely as any other."""
    return secrets.randbelow(limit)
