"""Cells: what the text of a whole column means, and how our writer prints it.

A column is read at once by operations on one long text, and only if something is wrong with it line by
line, to say where. Readers raise ``ValueError`` with what they expected and never with what they saw.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from ledger.clock import MOSCOW
from ledger.money import roubles
from sbp_gateway.phones import masked_as_printed
from sbp_gateway.registers.lines import LineKind, LineRail
from sbp_gateway.registers.profile import TIME_PARTS, AmountForm, Profile

MEMO_MAX = 100_000
"""Distinct texts remembered in a column: the minutes of two months."""
ROUBLES_DIGITS_MAX = 12
"""A trillion roubles in one line is a mistake."""

Cells = Sequence[str]
Value = TypeVar("Value")


class Memo(dict[str, Value]):
    """What texts mean, each worked out once."""

    def __init__(self, read: Callable[[str], Value]) -> None:
        self.read = read

    def __missing__(self, text: str) -> Value:
        value = self.read(text)
        if len(self) >= MEMO_MAX:
            self.clear()
        self[text] = value
        return value

    def column(self, cells: Cells) -> list[Value]:
        """What each cell means."""
        return list(map(self.__getitem__, cells))


def amounts(form: AmountForm) -> Callable[[Cells], list[int]]:
    """A reader of amounts as kopecks; negative ones keep their sign."""
    mark = re.escape(form.decimal_mark)
    digits = rf"-?[0-9]{{1,{ROUBLES_DIGITS_MAX}}}"
    exact = re.compile(rf"(?:{digits}{mark}[0-9]{{2}}\n)*" if form.unit == "roubles" else rf"(?:{digits}\n)*")
    loose = re.compile(rf"({digits})(?:{mark}([0-9]{{1,2}}))?")

    def read(cells: Cells) -> list[int]:
        text = "\n".join(cells) + "\n"
        if exact.fullmatch(text):
            return list(map(int, text.replace(form.decimal_mark, "").split()))
        if form.unit == "kopecks" or form.decimals == "exactly_2":
            raise ValueError(f"an amount such as {amount_text(form, 149990)}")
        return [_kopecks(loose.fullmatch(cell.strip()), form) for cell in cells]

    return read


def _kopecks(found: re.Match[str] | None, form: AmountForm) -> int:
    if found is None:
        raise ValueError(f"an amount such as {amount_text(form, 149990)}, with at most two decimals")
    return int(found[1] + (found[2] or "").ljust(2, "0"))


def amount_text(form: AmountForm, kopecks: int, thousands: str = "") -> str:
    """An amount as the bank prints it."""
    if form.unit == "kopecks":
        return str(kopecks)
    whole, rest = roubles(abs(kopecks)).split(".")
    if thousands:
        whole = f"{int(whole):,}".replace(",", thousands)
    return f"{'-' if kopecks < 0 else ''}{whole}{form.decimal_mark}{rest}"


def optional_amounts(form: AmountForm) -> Callable[[Cells], list[int | None]]:
    """A reader of amounts that may be missing."""
    every = amounts(form)

    def read(cells: Cells) -> list[int | None]:
        if "" not in cells:
            return list(every(cells))
        known = iter(every([cell for cell in cells if cell]))
        return [next(known) if cell else None for cell in cells]

    return read


def texts(cells: Cells) -> list[str | None]:
    """Ids, numbers and other short texts; an empty cell says nothing."""
    joined = "".join(cells)
    if not joined:
        return [None] * len(cells)
    if not joined.isprintable():
        raise ValueError("printable characters")
    if " " in joined:
        cells = [cell.strip() for cell in cells]
    return [cell or None for cell in cells] if "" in cells else list(cells)


def masks() -> Callable[[Cells], list[str | None]]:
    """Phones and cards with the middle hidden; what the bank does not hide, we do."""
    return Memo(_mask).column


def _mask(text: str) -> str | None:
    (shown,) = texts((text,))
    return masked_as_printed(shown)


def instants(profile: Profile) -> Callable[[Cells], list[datetime]]:
    """A reader of Moscow times. ``strptime`` would take longer than all the rest of a register."""
    shape = re.escape(profile.time_form)
    for part, digits in TIME_PARTS.items():
        shape = shape.replace(part, f"(?P<{part[1:]}>{digits})")
    pattern = re.compile(shape)

    def read(text: str) -> datetime:
        found = pattern.fullmatch(text.strip())
        try:
            if found is None:
                raise ValueError
            parts = {name: int(digits) for name, digits in found.groupdict("0").items()}
            at = datetime(
                parts["Y"], parts["m"], parts["d"], parts["H"], parts["M"], parts.get("S", 0), tzinfo=MOSCOW
            )  # fmt: skip
        except ValueError:
            raise ValueError(f"a time in the form {profile.time_form}") from None
        return at.astimezone(UTC)

    return Memo(read).column


def instant_text(profile: Profile, at: datetime) -> str:
    """A Moscow time as the bank prints it."""
    local = at.astimezone(MOSCOW)
    form = profile.time_form if profile.hour_is_padded else profile.time_form.replace("%H", str(local.hour))
    return local.strftime(form)


def kinds(profile: Profile) -> Callable[[Cells], list[LineKind]]:
    """A reader of the bank's words for kinds of operations."""
    known = {word.casefold(): kind for word, kind in profile.kinds.items()}

    def read(text: str) -> LineKind:
        kind = known.get(text.strip().casefold())
        if kind is None:
            raise ValueError(f"one of {', '.join(profile.kinds)}")
        return kind

    return Memo(read).column


def rails(profile: Profile) -> Callable[[Cells], list[LineRail]]:
    """A reader of the bank's words for rails; a strange word is another rail."""
    known = {word.casefold(): rail for word, rail in profile.rails.items()}
    return Memo(lambda text: known.get(text.strip().casefold(), LineRail.OTHER)).column


def word_of(words: dict[str, Any], meaning: object) -> str:
    """The bank's word that our writer uses.

    Raises: ValueError if the bank has none.
    """
    for word, meant in words.items():
        if meant is meaning:
            return word
    raise ValueError(f"this register has no word for {meaning}")
