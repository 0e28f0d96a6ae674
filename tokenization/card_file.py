"""Files of cards as merchants bring them: CSV with a heading or a JSON object a line, gzipped or not.

Each line is a card or a refusal with a code; a refusal shows at most a mask. The file holds card numbers in clear: it
must come over an encrypted way, lie on an encrypted disk of the vault's, and be destroyed after.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from pci.card_numbers import may_hold_pan
from pci.errors import Rejected
from pci.pan import Pan
from tokenization.card import CardDetails
from tokenization.card_errors import ImportFormUnknown, ImportLineMalformed, ImportReferenceMalformed

FIELDS = ("pan", "expires_on", "holder_name", "reference")
"""What a line may hold; the first two it must."""
REQUIRED_FIELDS = frozenset({"pan", "expires_on"})
LINE_CHARACTERS_MAX = 1_000
REFERENCE_CHARACTERS_MAX = 64
GZIP_MAGIC = b"\x1f\x8b"
_MONTH_SLASH = re.compile(r"(0[1-9]|1[0-2])/?([0-9]{2})")
"""Some write 12/28 or 1228."""


class CardFileForm(StrEnum):
    """How a file is written."""

    CSV = "csv"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class CardLine:
    """One line that holds a card."""

    number: int
    """From 1; a heading and empty lines are not counted."""
    details: CardDetails
    reference: str
    """The merchant's own name for the card, given back beside the token."""


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """One line that is not taken, and why."""

    number: int
    code: str
    mask: str | None = None


Line = CardLine | RefusedLine


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """The text of a file, unpacked if it is packed. Raises: OSError."""
    with path.open("rb") as raw:
        is_packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        raw.seek(0)
        unpacked = cast("BinaryIO", gzip.GzipFile(fileobj=raw) if is_packed else raw)
        with io.TextIOWrapper(unpacked, encoding="utf-8-sig", errors="replace", newline="") as lines:
            yield lines


def lines_of(file: TextIO, *, now: datetime, skip: int = 0) -> Iterator[Line]:
    """The lines after the first ``skip``, each a card or a refusal.

    Raises: ImportFormUnknown if the first line is neither a heading nor an object.
    """
    first = file.readline(LINE_CHARACTERS_MAX)
    form = CardFileForm.JSONL if first.lstrip().startswith("{") else CardFileForm.CSV
    file.seek(0)
    raw = _objects(file) if form is CardFileForm.JSONL else _records(file)
    for number, fields in enumerate(raw, 1):
        if number > skip:
            yield _line(number, fields, now)


def _records(file: TextIO) -> Iterator[Mapping[str, str] | None]:
    lines = _short(file)
    heading = [name.strip().lower() for name in _record(next(lines, "")) or ()]
    if not set(heading) >= REQUIRED_FIELDS or not set(heading) <= set(FIELDS) or len(set(heading)) < len(heading):
        raise ImportFormUnknown(expected=",".join(FIELDS))
    for line in lines:
        if line.strip():
            row = _record(line)
            yield dict(zip(heading, row, strict=True)) if row is not None and len(row) == len(heading) else None


def _record(line: str) -> list[str] | None:
    """The fields of one line: a quote that is left open ends with it, so that it swallows no card after."""
    plain = line.removesuffix("\n").removesuffix("\r")
    if '"' not in plain and "\r" not in plain:
        return plain.split(",")  # what csv gives, in a tenth of the time that a reader for one line takes
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _objects(file: TextIO) -> Iterator[Mapping[str, str] | None]:
    for line in _short(file):
        if line.strip():
            yield _object(line)


def _object(line: str) -> Mapping[str, str] | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_right = isinstance(fields, dict) and REQUIRED_FIELDS <= set(fields) <= set(FIELDS)
    return fields if is_right and all(isinstance(value, str) for value in fields.values()) else None


def _short(file: TextIO) -> Iterator[str]:
    """Lines, one that is too long cut off: it is refused, and nothing larger than it is ever held."""
    while line := file.readline(LINE_CHARACTERS_MAX):
        rest = line
        while not rest.endswith("\n") and (rest := file.readline(LINE_CHARACTERS_MAX)):
            line = "\x00\n"
        yield line


def _line(number: int, fields: Mapping[str, str] | None, now: datetime) -> Line:
    pan: Pan | None = None
    try:
        if fields is None:
            raise ImportLineMalformed
        pan = Pan(fields["pan"])
        reference = fields.get("reference", "").strip()
        _check_reference(reference)
        details = CardDetails(pan, _month(fields["expires_on"].strip()), fields.get("holder_name", "").strip() or None)
        details.check(now)
    except Rejected as refusal:
        return RefusedLine(number, refusal.code, None if pan is None else pan.mask)
    return CardLine(number, details, reference)


def _check_reference(reference: str) -> None:
    is_plain = len(reference) <= REFERENCE_CHARACTERS_MAX and reference.isprintable()
    if not is_plain or may_hold_pan(reference.encode()):
        raise ImportReferenceMalformed


def _month(text: str) -> str:
    short = _MONTH_SLASH.fullmatch(text)
    return f"20{short.group(2)}-{short.group(1)}" if short else text
