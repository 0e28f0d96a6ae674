"""Looks for card numbers where none may be: files of every kind, archives, and what else is given as bytes.

Files are read as they lie on the disk, so a database's own files, its write-ahead log and a core dump are searched like
texts: digits as ASCII or as UTF-16. Zip (also office documents), tar, gzip, bzip2 and xz are opened, one inside another
too. What cannot be looked into is told, never skipped in silence. A place and a mask are all that is ever said of a
number.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

from pci.card_numbers import issued, may_hold_pan
from pci.pan_allowed import AllowedPans
from pci.schemes import Scheme, mask_of

WINDOW_BYTES: Final = 256 * 1024
OVERLAP_BYTES: Final = 128
"""Longer than any card number with separators in UTF-16, so that one across the edge is seen whole."""
EDGE_BYTES_MAX: Final = 4096
"""How far back a window may end, so as not to cut a run of digits."""
NESTING_MAX: Final = 4
OPENED_BYTES_MAX: Final = 4 * 1024**3
"""Of one archive's member: more is a bomb or a matter for somebody's eyes."""
_UTF16: Final = re.compile(rb"(?:[0-9]\x00(?:[ \t.+\xa0-]\x00){0,5}){12,}[0-9]")
_WIDE_SPACES: Final = re.compile(rb"\xc2\xa0|\xe2\x80[\x87\x89\xaf\x90-\x95]|\xe2\x88\x92")
"""Spaces and dashes that UTF-8 writes in more bytes than one."""
_STORED_CONSTANT: Final = re.compile(
    rb"\[ -?[0-9]{1,3} -?[0-9]{1,3} 0 0(?: -?[0-9]{1,3})*|(?<![-0-9 ]) ?(?:-?[0-9]{1,3} )++\]\}\)* :"
)
"""A text in an expression that PostgreSQL keeps: its length in four bytes and then its letters, each byte as a number.

The brackets and braces of a pattern pass for digits in groups, and for a card number one time in ten. Its beginning and
its end are known each by itself: a page of the write-ahead log may end between them.

Source: PostgreSQL, src/backend/nodes/outfuncs.c, ``outDatum``.
"""
_UNREADABLE: Final = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, RuntimeError)
"""RuntimeError and NotImplementedError are what ``zipfile`` says of passwords and of methods it does not know."""


@dataclass(frozen=True, slots=True)
class PanFinding:
    """One card number where none may be."""

    place: str
    """``file:line 3``, ``file:byte 8192``, ``table.column (0,1)``."""
    mask: str
    scheme: Scheme


@dataclass(frozen=True, slots=True)
class UnreadPlace:
    """Something that was not looked into, and why."""

    place: str
    reason: str


Finding = PanFinding | UnreadPlace


def scan_text(text: str, place: str, allowed: AllowedPans) -> Iterator[PanFinding]:
    """Card numbers in one text, all of them at one place."""
    for found in issued(text):
        if found.scheme is not None and not allowed.holds(found.digits):
            yield PanFinding(place, mask_of(found.digits), found.scheme)


def scan_path(path: Path, allowed: AllowedPans) -> Iterator[Finding]:
    """Everything at and below a path. Links are not followed, so nothing is read twice."""
    try:
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            for entry in sorted(path.iterdir()):
                yield from scan_path(entry, allowed)
        elif stat.S_ISREG(mode):
            with path.open("rb") as stream:
                yield from scan_stream(stream, str(path), allowed)
    except OSError as error:
        yield UnreadPlace(str(path), error.strerror or type(error).__name__)


def scan_stream(stream: IO[bytes], place: str, allowed: AllowedPans, depth: int = 0) -> Iterator[Finding]:
    """One file, as it lies and, if it is an archive, everything in it."""
    head = stream.read(512)
    stream.seek(0)
    for kind, opens in ARCHIVES.items():
        if kind.is_head(head):
            if depth >= NESTING_MAX:
                yield UnreadPlace(place, f"archives nested deeper than {NESTING_MAX}")
                return
            try:
                yield from opens(stream, place, allowed, depth + 1)
            except _UNREADABLE as error:
                yield UnreadPlace(place, f"{kind.name} cannot be opened: {type(error).__name__}")
            else:
                return
            stream.seek(0)
    if head.startswith(b"PGDMP"):
        yield UnreadPlace(place, "a compressed dump of PostgreSQL: make a plain one, or scan the database")
    yield from _scan_windows(stream, place, allowed, OPENED_BYTES_MAX if depth else None)


def _scan_windows(stream: IO[bytes], place: str, allowed: AllowedPans, bytes_max: int | None) -> Iterator[Finding]:
    """A stream piece by piece, each with the end of the one before it."""
    following, kept, offset, lines, is_text = stream.read(WINDOW_BYTES), b"", 0, 1, True
    while window := kept + following:
        if bytes_max is not None and offset > bytes_max:
            yield UnreadPlace(place, f"longer than {bytes_max} bytes")
            return
        following = stream.read(WINDOW_BYTES)
        end = _edge(window) if following else len(window)
        is_text = is_text and b"\0" not in window
        for start, finding in _in_window(window, end, allowed):
            line = lines + window.count(b"\n", 0, start)
            where = f"line {line}" if is_text else f"byte {offset + start}"
            yield PanFinding(f"{place}:{where}", finding.mask, finding.scheme)
        lines += window.count(b"\n", 0, end)
        offset += end
        kept = window[end:]


def _in_window(window: bytes, end: int, allowed: AllowedPans) -> Iterator[tuple[int, PanFinding]]:
    """Findings that begin before ``end``, and where."""
    if may_hold_pan(window):
        plain = _STORED_CONSTANT.sub(_as_letters, _WIDE_SPACES.sub(_as_spaces, window))
        for found in issued(plain.decode("latin-1")):
            if found.scheme is not None and found.start < end and not allowed.holds(found.digits):
                yield found.start, PanFinding("", mask_of(found.digits), found.scheme)
    if b"\0" in window and may_hold_pan(window.replace(b"\0", b"")):
        for match in _UTF16.finditer(window):
            text = match.group().replace(b"\0", b"").decode("latin-1")
            if match.start() < end:
                yield from ((match.start(), finding) for finding in scan_text(text, "", allowed))


def _as_spaces(match: re.Match[bytes]) -> bytes:
    """One space, or as many as take its place."""
    return b" " * len(match.group())


def _as_letters(match: re.Match[bytes]) -> bytes:
    return b"x" * len(match.group())


def _edge(window: bytes) -> int:
    """Where a window ends without cutting a run of digits, as far as that can be had."""
    edge = max(0, len(window) - OVERLAP_BYTES)
    limit = max(0, edge - EDGE_BYTES_MAX)
    while edge > limit and window[edge - 1 : edge] in _JOINS:
        edge -= 1
    return edge


_JOINS: Final = frozenset(bytes([byte]) for byte in b"0123456789 \t.+-[\0\xc2\xa0\xe2\x80\xaf")


@dataclass(frozen=True, slots=True)
class ArchiveKind:
    """How an archive begins."""

    name: str
    magic: bytes
    at: int = 0

    def is_head(self, head: bytes) -> bool:
        """Whether a file that begins so is one."""
        return head[self.at : self.at + len(self.magic)] == self.magic


def _open_zip(stream: IO[bytes], place: str, allowed: AllowedPans, depth: int) -> Iterator[Finding]:
    with zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            try:
                with archive.open(member) as inside:
                    yield from scan_stream(inside, f"{place}!{member.filename}", allowed, depth)
            except _UNREADABLE as error:
                yield UnreadPlace(f"{place}!{member.filename}", f"cannot be opened: {type(error).__name__}")


def _open_tar(stream: IO[bytes], place: str, allowed: AllowedPans, depth: int) -> Iterator[Finding]:
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        for member in archive:
            inside = archive.extractfile(member) if member.isfile() else None
            if inside is not None:
                yield from scan_stream(inside, f"{place}!{member.name}", allowed, depth)


def _open_gzip(stream: IO[bytes], place: str, allowed: AllowedPans, depth: int) -> Iterator[Finding]:
    with gzip.open(stream) as inside:
        yield from scan_stream(cast("IO[bytes]", inside), f"{place}!", allowed, depth)


def _open_bzip2(stream: IO[bytes], place: str, allowed: AllowedPans, depth: int) -> Iterator[Finding]:
    with bz2.open(stream) as inside:
        yield from scan_stream(cast("IO[bytes]", inside), f"{place}!", allowed, depth)


def _open_xz(stream: IO[bytes], place: str, allowed: AllowedPans, depth: int) -> Iterator[Finding]:
    with lzma.open(stream) as inside:
        yield from scan_stream(cast("IO[bytes]", inside), f"{place}!", allowed, depth)


ARCHIVES: Final[dict[ArchiveKind, Callable[[IO[bytes], str, AllowedPans, int], Iterator[Finding]]]] = {
    ArchiveKind("zip", b"PK\x03\x04"): _open_zip,
    ArchiveKind("tar", b"ustar", 257): _open_tar,
    ArchiveKind("gzip", b"\x1f\x8b"): _open_gzip,
    ArchiveKind("bzip2", b"BZh"): _open_bzip2,
    ArchiveKind("xz", b"\xfd7zXZ\x00"): _open_xz,
}
"""Every archive that is opened, by how it begins."""
