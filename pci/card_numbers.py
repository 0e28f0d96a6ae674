"""Card numbers in running text: where they stand, and whose they are.

A candidate is a run of 13 to 19 digits with at most one space or dash between two of them, that passes the Luhn
check. UUIDs are no candidates. Wider gaps (two spaces, dots, tabs, a dash with spaces round it, ``%20``) hide a number
only if it stands in the groups that cards are printed in and a scheme issues it: dates, amounts and addresses have
dots and dashes too. What a log line must not show is every candidate; what is a finding is one that a
scheme issues.
Two forms hide a number inside longer runs, and are seen: leading zeros, and the two digits of length in front that
ISO 8583 writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pci.luhn import passes_luhn
from pci.schemes import PAN_DIGITS_MAX, PAN_DIGITS_MIN, Scheme, has_length_of_its_scheme, scheme_of

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_UUID_CHARACTERS: Final = 36
_RUN: Final = re.compile(r"(?<![0-9])[0-9](?:[ \u00a0\u2007\u2009\u202f-]?[0-9]){12,}(?![0-9])")
_GAP: Final = r"((?:[ \t.+\u00a0\u2007\u2009\u202f\u2010-\u2015\u2212-]|%20){1,5})"
_WIDE: Final = re.compile(
    rf"(?<![0-9])(?:([0-9]{{4}}){_GAP}([0-9]{{4}}){_GAP}([0-9]{{4}}){_GAP}([0-9]{{2,4}})(?:{_GAP}([0-9]{{2,3}}))?"
    rf"|([0-9]{{4}}){_GAP}([0-9]{{6}}){_GAP}([0-9]{{4,5}}))(?![0-9])"
)
"""Groups as cards are printed: fours, with what is left; 4-6-5 and 4-6-4."""
_LONG: Final = re.compile(r"[0-9]{13}")
_GROUP: Final = re.compile(r"[0-9]+")
_LENGTH: Final = re.compile(r"(?=(1[3-9]))")
"""Source: ISO 8583-1:1987, field 2: two digits of length, then as many of the number."""
_FRACTION: Final = re.compile(r"[0-9]\.$")
_DIGEST: Final = re.compile(r"[0-9a-fA-F]*\Z")
_REST_OF_DIGEST: Final = re.compile(r"[0-9a-fA-F]*")
_NSPK_ID: Final = re.compile(r"(?<![0-9A-Za-z])[A-Z][0-9A-Z]{31}(?![0-9A-Za-z])")
"""An operation or a link of SBP: its digits tell the time and chance. Source: NSPK C2B, trxId and qrcId."""
DIGEST_CHARACTERS_MIN: Final = 32
"""A word of hexadecimal digits this long is a digest or a key, whatever digits stand in it."""

DIGITS_AS_ZEROS: Final = bytes(ord("0") if 48 <= byte <= 57 else byte for byte in range(256))
"""For ``translate``: digits in a row are then found as zeros, faster than by a pattern."""
_THIRTEEN: Final = b"0" * PAN_DIGITS_MIN
_WIDE_SPACES: Final = "\u00a0\u2007\u2009\u202f\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_SEPARATORS: Final = b" \t.+-%" + bytes(sorted(set(_WIDE_SPACES.encode())))
"""Every byte of a gap; the digits of ``%20`` are digits to the cheap look."""


@dataclass(frozen=True, slots=True)
class FoundPan:
    """A run of digits that may be a card number."""

    start: int
    end: int
    digits: str
    """Without separators: never to be shown."""
    scheme: Scheme | None
    """Who issues such numbers; None when nobody we know."""

    def __repr__(self) -> str:
        return f"FoundPan({self.start}:{self.end})"


def may_hold_pan(raw: bytes, passed_over: bytes = _SEPARATORS) -> bool:
    """Whether 13 digits stand in a row anywhere: a cheap look before the thorough one. Answers no for most texts."""
    return _THIRTEEN in raw.translate(DIGITS_AS_ZEROS, passed_over)


def may_hide_in_escapes(raw: bytes) -> bool:
    """Whether JSON writes digits, letters or spaces by their numbers, so that its bytes tell little."""
    return b"\\u00" in raw or b"\\u20" in raw or b"\\t" in raw


def without_long_number(word: str) -> str:
    """A word of somebody else's for something, if no card number can stand in it.

    Raises: ValueError, which does not repeat it.
    """
    if _LONG.search(word) or any(candidates(word)):
        raise ValueError("13 digits in a row may be a card number")
    return word


def candidates(text: str) -> Iterator[FoundPan]:
    """Every run of digits that passes the check, from left to right; of two that overlap, the first and longest."""
    grouped = list(_in_wide_groups(text))
    if not grouped:
        return _in_runs(text)
    others = [found for found in _in_runs(text) if not any(_overlap(found, one) for one in grouped)]
    return iter(sorted([*grouped, *others], key=lambda found: found.start))


def _overlap(one: FoundPan, other: FoundPan) -> bool:
    return one.start < other.end and other.start < one.end


def _in_wide_groups(text: str) -> Iterator[FoundPan]:
    """Numbers that are issued, in the groups of cards and with gaps that a plain run has not."""
    place = 0
    while (match := _WIDE.search(text, place)) is not None:
        place = match.end(1) if match[1] else match.end(9 + 1)
        found = next(_of_groups(match), None)
        if found is not None:
            yield found
            place = found.end


def _of_groups(match: re.Match[str]) -> Iterator[FoundPan]:
    groups = [place for place in range(1, match.re.groups + 1) if match[place] and match[place].isdigit()]
    gaps = {match[place] for place in range(1, match.re.groups + 1) if match[place]} - {match[one] for one in groups}
    for last in (len(groups), len(groups) - 1):
        digits = "".join(match[group] for group in groups[:last])
        is_one = last >= 3 and has_length_of_its_scheme(digits) and passes_luhn(digits)
        if is_one and not gaps <= _PLAIN_GAPS:
            yield FoundPan(match.start(), match.end(groups[last - 1]), digits, scheme_of(digits))


_PLAIN_GAPS: Final = frozenset(" -\u00a0\u2007\u2009\u202f")


def _in_runs(text: str) -> Iterator[FoundPan]:
    place = 0
    while (run := _RUN.search(text, place)) is not None:
        start, end = run.span()
        uuid = _uuid_over(text, start, end) if "-" in run.group() else None
        if uuid is None:
            yield from _of_run(run.group(), start)
            place = end
            continue
        for before in _RUN.finditer(text, start, max(start, uuid.start())):
            yield from _of_run(before.group(), before.start())
        place = uuid.end()


def _uuid_over(text: str, start: int, end: int) -> re.Match[str] | None:
    """The first UUID that a run of digits is a part of, or runs into."""
    near = _UUID.finditer(text, max(0, start - _UUID_CHARACTERS), end + _UUID_CHARACTERS)
    return next((uuid for uuid in near if uuid.start() < end and uuid.end() > start), None)


def issued(text: str) -> Iterator[FoundPan]:
    """The candidates that some scheme issues and that are not part of something else: a fraction, a digest.

    Source: of random numbers of 16 digits one in 25 is such a number; of UUIDs, times and accounts none.
    """
    for found in candidates(text):
        if found.scheme is not None and not _is_part_of_something(text, found):
            yield found


def _of_run(run: str, offset: int) -> Iterator[FoundPan]:
    groups = list(_GROUP.finditer(run))
    first = 0
    while first < len(groups):
        found = _longest_from(groups, first)
        if found is None or (found.scheme is None and _begins_within(groups, first + 1, found)):
            yield from _after_length(groups[first], offset) if found is None else ()
            first += 1
            continue
        yield FoundPan(offset + found.start, offset + found.end, found.digits, found.scheme)
        while first < len(groups) and groups[first].start() < found.end:
            first += 1


def _longest_from(groups: list[re.Match[str]], first: int) -> FoundPan | None:
    """The longest number that begins with this group of digits, one that is issued before one that is not."""
    found, digits = None, ""
    for group in groups[first:]:
        digits += group.group()
        if len(digits) > PAN_DIGITS_MAX:
            break
        if len(digits) >= PAN_DIGITS_MIN and passes_luhn(digits) and digits.strip("0"):
            number, whose = _issuer_of(digits)
            if whose is not None or found is None or found.scheme is None:
                found = FoundPan(groups[first].start(), group.end(), number, whose)
    return found


def _begins_within(groups: list[re.Match[str]], first: int, outer: FoundPan) -> bool:
    """Whether a number that is issued begins inside one that is not."""
    within = (place for place in range(first, len(groups)) if groups[place].start() < outer.end)
    return any((found := _longest_from(groups, place)) is not None and found.scheme is not None for place in within)


def _issuer_of(digits: str) -> tuple[str, Scheme | None]:
    """The number without zeros in front, and who issues it; the digits as they are when nobody does."""
    number = digits.lstrip("0")
    if has_length_of_its_scheme(number):
        return number, scheme_of(number)
    return digits, None


def _after_length(group: re.Match[str], offset: int) -> Iterator[FoundPan]:
    """Numbers inside a long group, each after its length."""
    digits = group.group()
    past = 0
    for place in (found.start() for found in _LENGTH.finditer(digits)):
        number = digits[place + 2 : place + 2 + int(digits[place : place + 2])]
        is_whole = len(number) == int(digits[place : place + 2])
        if place >= past and is_whole and has_length_of_its_scheme(number) and passes_luhn(number):
            start = offset + group.start() + place + 2
            past = place + 2 + len(number)
            yield FoundPan(start, start + len(number), number, scheme_of(number))


def _is_part_of_something(text: str, found: FoundPan) -> bool:
    near = _NSPK_ID.finditer(text, max(0, found.start - DIGEST_CHARACTERS_MIN), found.end + DIGEST_CHARACTERS_MIN)
    if any(word.start() < found.start and found.end <= word.end() for word in near):
        return True
    before = text[max(0, found.start - DIGEST_CHARACTERS_MIN) : found.start]
    if _FRACTION.search(before):
        return True
    if before[-1:].isdigit():  # its own length stands in front
        return False
    after = text[found.end : found.end + DIGEST_CHARACTERS_MIN]
    word = _DIGEST.search(before), _REST_OF_DIGEST.match(after)
    around = sum(len(part.group()) for part in word if part is not None)
    return found.end - found.start + around >= DIGEST_CHARACTERS_MIN
