"""Narrow paper: how a name and a value, a long name and a heading are set out in a line of so many characters."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

COLUMNS = (32, 42, 48)
"""Characters in a line: paper of 58 mm, of 76 mm, of 80 mm."""
RAILS = {"sbp": "СБП", "dolyame": "Долями", "card": "Карта", "koshelek_pay": "Кошелёк Pay"}
"""Rails as buyers know them."""


FORGING = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
"""Signs by which a text shows other than it says, as the inside of a class of a pattern: they end a line, command a
terminal, or turn the text around it. Source: Unicode, chapter 23.1 (C0, delete, C1), UAX 14 (line and paragraph
separators), UAX 9 (embeddings, overrides, isolates)."""
_FORGING = re.compile(f"[{FORGING}]")


def is_plain(said: str) -> bool:
    """Whether a text shows what it says, on a slip as in a log."""
    return _FORGING.search(said) is None


def pair(left: str, right: str, columns: int) -> str:
    """A name and a value at the two ends of a line; a name too long is cut, a value never."""
    room = columns - len(right) - 1
    return f"{left[:room]:<{room}} {right}"


def named(name: str, value: str, columns: int) -> Iterator[str]:
    """A name and a value that must be read whole: in one line, or the value below in as many as it takes."""
    if len(name) + 1 + len(value) <= columns:
        yield pair(name, value, columns)
        return
    yield name[:columns]
    for start in range(0, len(value), columns):
        yield value[start : start + columns]


def wrapped(said: str, columns: int) -> Iterator[str]:
    """A text in as many lines as it takes; a word longer than a line is cut into lines."""
    yield from textwrap.wrap(said, columns) or [""]


def centered(said: str, columns: int) -> Iterator[str]:
    """The same in the middle of the paper."""
    for line in wrapped(said, columns):
        yield line.center(columns).rstrip()
