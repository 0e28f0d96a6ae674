"""Writing (выгрузка): lines printed as one bank prints them."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, BinaryIO

from ledger.clock import MOSCOW
from sbp_gateway.errors import RegisterPackingWrong
from sbp_gateway.registers import cells
from sbp_gateway.registers.lines import LineKind, RegisterLine
from sbp_gateway.registers.profile import ColumnField, Container, FooterForm, Profile

DAY_FORM = "%d/%m/%Y"
"""How our writer prints days where the profile does not say."""
ARCHIVE_TIME = (1980, 1, 1, 0, 0, 0)
"""The same lines make the same archive."""


def write_register(
    profile: Profile, lines: Iterable[RegisterLine], out: BinaryIO, *, day_on: date, footer_off_by: int = 0
) -> int:
    """Print lines as the bank does, and say how many.

    ``footer_off_by`` makes the printed total wrong, for tests of those who read it. Kopecks.
    Raises: ValueError if the bank has no word for a line's kind.
    """
    printing = RegisterPrinting(profile, day_on, footer_off_by)
    if profile.container is Container.XLSX:
        _write_sheet(printing.rows(lines), out)
    elif profile.container is Container.ZIP:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            name = zipfile.ZipInfo(f"registry_{day_on:%Y%m%d}.csv", ARCHIVE_TIME)
            with archive.open(name, "w", force_zip64=True) as member:
                _write_csv(profile, printing.rows(lines), member)
    else:
        _write_csv(profile, printing.rows(lines), out)
    return printing.lines


def _write_csv(profile: Profile, rows: Iterable[list[str]], out: Any) -> None:
    text = io.TextIOWrapper(out, encoding=profile.encoding, newline="", write_through=False)
    writer = csv.writer(text, delimiter=profile.delimiter, lineterminator=profile.line_end)
    writer.writerows(rows)
    text.flush()
    text.detach()


def _write_sheet(rows: Iterable[list[str]], out: BinaryIO) -> None:
    try:
        import openpyxl  # an extra
    except ImportError:
        raise RegisterPackingWrong("Workbooks need an extra: pip install 'kopeyka[registers]'") from None
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Реестр")
    for row in rows:
        sheet.append(row)
    book.save(out)


@dataclass(slots=True)
class RegisterPrinting:
    """Rows of one register, and what they add up to."""

    profile: Profile
    day_on: date
    footer_off_by: int = 0
    lines: int = 0
    amount: int = 0
    fee: int = 0
    _blank: list[str] = field(default_factory=list)

    def rows(self, lines: Iterable[RegisterLine]) -> Iterator[list[str]]:
        """Title, header, lines and footer."""
        profile = self.profile
        self._blank = [""] * len(profile.columns)
        day = self.day_on.strftime(profile.day_form or DAY_FORM)
        for title in profile.preamble:
            yield [title.format(day=day), *self._blank[1:]]
        if profile.header:
            yield [column.label for column in profile.columns]
        for line in lines:
            yield self._row(line)
        if profile.footer is not None:
            yield self._footer(profile.footer)

    def _row(self, line: RegisterLine) -> list[str]:
        signed = self._signed(line)
        self.lines += 1
        self.amount += signed
        self.fee += line.fee_kopecks or 0
        return [
            column.text if column.field is None else self._cell(column.field, line, signed)
            for column in self.profile.columns
        ]

    def _signed(self, line: RegisterLine) -> int:
        is_negative = line.kind is LineKind.REFUND and self.profile.amounts.refunds == "negative"
        return -line.amount_kopecks if is_negative else line.amount_kopecks

    def _cell(self, name: ColumnField, line: RegisterLine, signed: int) -> str:
        profile, form = self.profile, self.profile.amounts
        match name:
            case ColumnField.AMOUNT:
                return cells.amount_text(form, signed)
            case ColumnField.FEE:
                return "" if line.fee_kopecks is None else cells.amount_text(form, line.fee_kopecks)
            case ColumnField.NET:
                return cells.amount_text(form, signed - (line.fee_kopecks or 0))
            case ColumnField.KIND:
                return cells.word_of(profile.kinds, line.kind)
            case ColumnField.RAIL:
                return cells.word_of(profile.rails, line.rail)
            case ColumnField.HAPPENED_AT:
                return cells.instant_text(profile, line.happened_at)
            case ColumnField.HAPPENED_ON | ColumnField.HAPPENED_TIME:
                day, _, time = profile.time_form.partition(" ")
                form_of_part = day if name is ColumnField.HAPPENED_ON else time
                return line.happened_at.astimezone(MOSCOW).strftime(form_of_part)
            case _:
                return str(getattr(line, name.value) or "")

    def _footer(self, form: FooterForm) -> list[str]:
        row = [form.label, *self._blank[1:]]
        for at, column in enumerate(self.profile.columns):
            if column.field is ColumnField.AMOUNT:
                row[at] = cells.amount_text(self.profile.amounts, self.amount + self.footer_off_by, form.thousands)
            elif column.field is ColumnField.FEE:
                row[at] = cells.amount_text(self.profile.amounts, self.fee, form.thousands)
        return row
