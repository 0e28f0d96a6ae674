"""Packing: rows of text out of a CSV file, an archive with one, or a workbook, a batch at a time."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import chain, islice
from typing import IO, Any, BinaryIO
from xml.etree.ElementTree import ParseError

from sbp_gateway.errors import RegisterEncodingWrong, RegisterPackingWrong, RegisterTooLarge, RegisterValueMalformed
from sbp_gateway.registers.profile import Container, Profile

BATCH_LINES = 1_000
"""Lines read at once: small enough that the database works on one batch while we read the next."""
BATCH_CHARACTERS = 64 * 1024
"""Half as many lines of the usual length: what is cut out of them stays in the cache of the processor."""
FILE_BYTES_MAX = 1 << 30
"""Unpacked: five million lines. More is a mistake or an attack."""
SNIFF_BYTES = 64 * 1024
_BROKEN_ARCHIVE = (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error)
"""``zipfile`` says NotImplementedError of versions and flags that it does not read."""
_BROKEN_SHEET = (*_BROKEN_ARCHIVE, KeyError, ValueError, ParseError)
UNPACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How banks pack; other methods break in ways of their own."""

Row = list[str]
Rows = Iterator[tuple[list[int], list[Row]]]
"""Batches: the number of each line in the file, and its cells."""


def rows_of(profile: Profile, file: BinaryIO) -> Rows:
    """The rows of a register's file, blank ones at its end left out.

    Raises: RegisterEncodingWrong, RegisterPackingWrong, RegisterTooLarge, RegisterValueMalformed.
    """
    if profile.container is Container.XLSX:
        return _sheet_rows(profile, file)
    if profile.container is Container.ZIP:
        return _zipped_rows(profile, file)
    return _csv_rows(profile, file)


def _zipped_rows(profile: Profile, file: BinaryIO) -> Rows:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) != 1 or not _is_open_csv(members[0]):
                raise RegisterPackingWrong(expected="one CSV file, stored or deflated, not locked", files=len(members))
            if members[0].file_size > FILE_BYTES_MAX:
                raise RegisterTooLarge(bytes_max=FILE_BYTES_MAX)
            with archive.open(members[0]) as member:
                yield from _csv_rows(profile, member)
    except _BROKEN_ARCHIVE:
        raise RegisterPackingWrong(expected="a zip archive that is whole") from None


def _is_open_csv(member: zipfile.ZipInfo) -> bool:
    return member.filename.lower().endswith(".csv") and _is_open(member)


def _is_open(member: zipfile.ZipInfo) -> bool:
    """Packed as banks pack, and not locked."""
    return member.compress_type in UNPACKED and not member.flag_bits & 1


def _csv_rows(profile: Profile, file: IO[bytes]) -> Rows:
    buffered = io.BufferedReader(_Limited(file), SNIFF_BYTES)
    _refuse_utf8(profile, buffered.peek(SNIFF_BYTES))
    encoding = "utf-8-sig" if profile.encoding == "utf-8" else profile.encoding
    text = io.TextIOWrapper(buffered, encoding=encoding, newline="")
    number = 0
    rest, is_last = "", False
    try:
        while not is_last:
            part = text.read(BATCH_CHARACTERS)
            is_last = len(part) < BATCH_CHARACTERS
            part = rest + part
            if '"' in part:  # what is quoted may hold delimiters and line ends
                yield from _quoted_rows(profile.delimiter, chain(io.StringIO(part, newline=""), text), number)
                return
            whole, _, rest = (part.removesuffix("\n"), "", "") if is_last else part.rpartition("\n")
            if whole:
                rows = _plain_rows(profile.delimiter, whole)
                yield list(range(number + 1, number + len(rows) + 1)), rows
                number += len(rows)
    except UnicodeDecodeError:
        raise RegisterEncodingWrong(expected=profile.encoding, after_line=number) from None


def _plain_rows(delimiter: str, text: str) -> list[Row]:
    """Lines without a quote, cut at the delimiter: half the work of a CSV reader."""
    return [line.split(delimiter) for line in text.replace("\r\n", "\n").removesuffix("\r").split("\n")]


def _quoted_rows(delimiter: str, lines: Iterator[str], before: int) -> Rows:
    """The rest of a file in which something is quoted."""
    reader = csv.reader(lines, delimiter=delimiter)
    number = 0
    try:
        while batch := list(islice(reader, BATCH_LINES)):
            yield _numbers(before + number, before + reader.line_num, batch), batch
            number = reader.line_num
    except csv.Error:
        raise RegisterValueMalformed(line=before + reader.line_num, expected="fields of a CSV file") from None


def _numbers(before: int, last: int, batch: list[Row]) -> list[int]:
    """The number of the line on which each row begins."""
    if last - before == len(batch):
        return list(range(before + 1, last + 1))
    numbers = []
    for row in batch:
        numbers.append(before + 1)
        before += 1 + sum(cell.count("\n") for cell in row)
    return numbers


def _refuse_utf8(profile: Profile, start: bytes) -> None:
    """Text of one byte a letter that reads as UTF-8 is UTF-8: any bytes would pass as cp1251."""
    if profile.encoding == "utf-8":
        return
    if start.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")) or b"\0" in start:
        raise RegisterEncodingWrong(expected=profile.encoding)
    if start.isascii():
        return
    try:
        start[: len(start) - 4 if len(start) >= SNIFF_BYTES else None].decode("utf-8")
    except UnicodeDecodeError:
        return
    raise RegisterEncodingWrong(expected=profile.encoding, found="utf-8")


class _Limited(io.RawIOBase):
    """A file that is refused once it has given more than ``FILE_BYTES_MAX``."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self.file.read(len(buffer))
        self.given += len(part)
        if self.given > FILE_BYTES_MAX:
            raise RegisterTooLarge(bytes_max=FILE_BYTES_MAX)
        buffer[: len(part)] = part
        return len(part)


def _sheet_rows(profile: Profile, file: BinaryIO) -> Rows:
    with _workbook(file) as book:
        found = enumerate(book.worksheets[0].iter_rows(values_only=True), 1)
        while batch := _next_of_sheet(found):
            yield [number for number, _ in batch], [_cells(profile, row) for _, row in batch]


def _next_of_sheet(found: Iterator[tuple[int, tuple[Any, ...]]]) -> list[tuple[int, tuple[Any, ...]]]:
    """The next rows of a sheet, which is unpacked as it is read: only now does a broken one show."""
    try:
        return list(islice(found, BATCH_LINES))
    except _BROKEN_SHEET:
        raise RegisterPackingWrong(expected="an XLSX workbook that is whole") from None


@contextmanager
def _workbook(file: BinaryIO) -> Iterator[Any]:
    """A workbook open for reading. Raises: RegisterPackingWrong, RegisterTooLarge."""
    try:
        import openpyxl  # an extra
    except ImportError:
        raise RegisterPackingWrong("Workbooks need an extra: pip install 'kopeyka[registers]'") from None
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
        if not all(map(_is_open, members)):
            raise RegisterPackingWrong(expected="an XLSX workbook that is not locked")
        if sum(member.file_size for member in members) > FILE_BYTES_MAX:
            raise RegisterTooLarge(bytes_max=FILE_BYTES_MAX)
        file.seek(0)
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    except (*_BROKEN_SHEET, openpyxl.utils.exceptions.InvalidFileException):
        raise RegisterPackingWrong(expected="an XLSX workbook") from None
    try:
        yield book
    finally:
        book.close()


def _cells(profile: Profile, row: tuple[Any, ...]) -> Row:
    """Cells as text. A number that a workbook keeps in binary is taken by its shortest decimal form."""
    cells = []
    for value in row:
        if isinstance(value, datetime):
            cells.append(value.strftime(profile.time_form))
        elif value is None or isinstance(value, str | int):
            cells.append("" if value is None else str(value))
        else:
            cells.append(str(value).removesuffix(".0"))
    return cells
