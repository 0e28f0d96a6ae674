"""What the scanner lets lie: published test numbers and ranges of device tokens, as a file names them.

# one entry a line; what follows is said of it
4242424242424242   published by Visa for tests
2200 9900 *        our own device tokens: everything that begins so
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from pci.card_numbers import issued
from pci.errors import Rejected


class AllowListMalformed(Rejected):
    """A line of the allow-list is neither a number nor the beginning of one with a star."""

    code = "pci.allow_list_malformed"


@dataclass(frozen=True, slots=True, repr=False)
class AllowedPans:
    """Numbers that are no finding."""

    numbers: frozenset[str] = frozenset()
    beginnings: tuple[str, ...] = ()

    def holds(self, digits: str) -> bool:
        """Whether a number may lie about."""
        return digits in self.numbers or digits.startswith(self.beginnings)

    @classmethod
    def read(cls, text: str) -> Self:
        """Read an allow-list. Raises: AllowListMalformed, saying which line and not what."""
        numbers, beginnings = set(), []
        for place, line in enumerate(text.splitlines(), 1):
            entry = _entry_of(line)
            if entry.endswith("*") and entry[:-1].isdigit() and len(entry) > BEGINNING_DIGITS_MIN:
                beginnings.append(entry[:-1])
            elif entry.isdigit():
                numbers.add(entry)
            elif entry:
                raise AllowListMalformed(line=place)
        return cls(frozenset(numbers), tuple(beginnings))


NOTHING_ALLOWED = AllowedPans()


def tells_pan(value: Any, allowed: AllowedPans) -> bool:
    """Whether a card number stands in any text of a JSON value. Numbers are amounts and counters."""
    return any(not allowed.holds(found.digits) for text in _texts(value) for found in issued(text))


BEGINNING_DIGITS_MIN = 6
"""A shorter beginning would let whole schemes lie."""


def _entry_of(line: str) -> str:
    """The digits in front of a line, with a star perhaps; spaces and dashes between them do not count."""
    said = line.partition("#")[0].strip()
    end = next((place for place, character in enumerate(said) if character not in "0123456789 -*"), len(said))
    if said and not end:
        return said
    return said[:end].replace(" ", "").replace("-", "")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from _texts(part)
