"""Lists of stores (списки торговых точек) as merchants send them: a CSV of number, name, address, region and tills.

UTF-8 or Windows-1251, separated by semicolons, commas or tabs, with a header in Russian or English. A list is read
whole or not at all: every line that cannot be taken is named.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass

from checkout.errors import StoreListRefused
from checkout.paper import is_plain

LINES_MAX = 5_000
"""Stores in one list: more than any chain of the country has of one format."""
FLAWS_MAX = 20
"""Lines that are named in one refusal."""
TILLS_MAX = 100
NAME_CHARACTERS_MAX = 100
ADDRESS_CHARACTERS_MAX = 300

_COLUMNS = {
    "number": "number", "номер": "number", "код": "number", "name": "name", "название": "name",
    "address": "address", "адрес": "address", "region": "region", "регион": "region",
    "tills": "tills", "касс": "tills", "кассы": "tills",
}  # fmt: skip
_NEEDED = ("number", "name", "address")
_NUMBER = re.compile(r"[0-9A-Za-z._-]{1,36}")
_REGION = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_TILLS = re.compile(r"[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class ListedStore:
    """One line of a list."""

    line: int
    number: str
    name: str
    address: str
    region: str | None
    tills: int
    """How many tills the store has at least."""


def read_store_list(raw: bytes) -> tuple[ListedStore, ...]:
    """Every store of a list. Raises: StoreListRefused with the lines that cannot be taken."""
    text = _decoded(raw)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_separator_of(text), strict=True)
    stores: list[ListedStore] = []
    flaws: list[str] = []
    numbers: set[str] = set()
    try:
        columns = _columns_of(next(rows, []))
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            if len(stores) + len(flaws) >= LINES_MAX:
                raise StoreListRefused(f"A list has at most {LINES_MAX} stores.")
            read = _store_of(rows.line_num, dict(zip(columns, cells, strict=False)))
            if isinstance(read, str):
                flaws.append(read)
            elif read.number in numbers:
                flaws.append(f"{rows.line_num}: number twice")
            else:
                numbers.add(read.number)
                stores.append(read)
    except csv.Error:
        flaws.append(f"{rows.line_num}: quotes")
    if flaws or not stores:
        raise StoreListRefused(lines="; ".join(flaws[:FLAWS_MAX]) or "none", flaws=len(flaws))
    return tuple(stores)


def _decoded(raw: bytes) -> str:
    for encoding in ("utf-8-sig", "cp1251"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise StoreListRefused("The list is neither UTF-8 nor Windows-1251 text.")


def _separator_of(text: str) -> str:
    header = text.partition("\n")[0]
    return max(";,\t", key=header.count)


def _columns_of(header: list[str]) -> list[str]:
    columns = [_COLUMNS.get(cell.strip().lower(), "") for cell in header]
    missing = [name for name in _NEEDED if columns.count(name) != 1]
    if missing:
        raise StoreListRefused(lines=f"1: needs {', '.join(missing)}", flaws=1)
    return columns


def _store_of(line: int, cells: dict[str, str]) -> ListedStore | str:
    """The store of a line, or what is wrong with it."""
    said = {name: cell.strip() for name, cell in cells.items()}
    if not _NUMBER.fullmatch(said.get("number", "")):
        return f"{line}: number"
    for name, most in (("name", NAME_CHARACTERS_MAX), ("address", ADDRESS_CHARACTERS_MAX)):
        value = said.get(name, "")
        if not 1 <= len(value) <= most or not is_plain(value):
            return f"{line}: {name}"
    region, tills = said.get("region") or None, said.get("tills") or "1"
    if region is not None and not _REGION.fullmatch(region):
        return f"{line}: region"
    if not _TILLS.fullmatch(tills) or int(tills) > TILLS_MAX:
        return f"{line}: tills"
    return ListedStore(line, said["number"], said["name"], said["address"], region, int(tills))
