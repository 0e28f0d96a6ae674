"""Reading (чтение): a bank's file turned into lines, in constant memory, or refused with the line that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, BinaryIO, cast

from sbp_gateway.errors import (
    RegisterDayWrong,
    RegisterEmpty,
    RegisterEncodingWrong,
    RegisterHeaderWrong,
    RegisterLineMalformed,
    RegisterTooLarge,
    RegisterValueMalformed,
)
from sbp_gateway.registers import cells
from sbp_gateway.registers.lines import LineBatch, LineKind, LineRail, Totals
from sbp_gateway.registers.packing import Row, Rows, rows_of
from sbp_gateway.registers.profile import ColumnField, EmptyDay, Profile

LINES_MAX = 5_000_000
"""Of one register."""
HEADER_LINE_MAX = 10
"""The header is looked for no further down."""

Columns = dict[ColumnField, Sequence[str]]
TEXTS = (
    ColumnField.TRX_ID,
    ColumnField.QRC_ID,
    ColumnField.ORDER_NUMBER,
    ColumnField.REFUND_ID,
    ColumnField.OPERATION_ID,
    ColumnField.MERCHANT,
)


class FooterVerdict(StrEnum):
    """What the bank's own totals are worth. They are never trusted: lines are added again."""

    NONE = "none"
    """This bank prints none."""
    AGREES = "agrees"
    DIFFERS = "differs"
    MISSING = "missing"
    """The bank prints one, and the file has none: it may be cut off."""


@dataclass(slots=True)
class RegisterReading:
    """One file being read: ``batches()`` gives its lines, and after the last the totals are final."""

    profile: Profile
    day_on: date
    totals: Totals = field(default_factory=Totals)
    footer: FooterVerdict = FooterVerdict.NONE
    footer_amount: int | None = None
    """As the bank printed it. Kopecks."""
    footer_fee: int | None = None
    _places: dict[ColumnField, int] = field(default_factory=dict)
    _width: int = 0
    _readers: dict[ColumnField, Callable[[Sequence[str]], Sequence[Any]]] = field(default_factory=dict)

    def batches(self, file: BinaryIO) -> Iterator[LineBatch]:
        """The lines of a file.

        Raises: RegisterRejected, of the first thing that is wrong, with its line.
        """
        profile = self.profile
        self._readers = _readers_of(profile)
        self._places = {column.field: at for at, column in enumerate(profile.columns) if column.field is not None}
        self._width = len(profile.columns)
        for numbers, rows in self._without_footer(self._below_header(rows_of(profile, file))):
            batch = self._batch(numbers, rows)
            self.totals.add(batch)
            if self.totals.lines > LINES_MAX:
                raise RegisterTooLarge(lines_max=LINES_MAX)
            yield batch
        self._judge_footer()
        if self.totals.lines == 0 and profile.empty_day is EmptyDay.NO_FILE:
            raise RegisterEmpty()

    def _below_header(self, batches: Rows) -> Rows:
        """Skip the title and the header, after looking at them."""
        if not self.profile.header:
            yield from batches
            return
        for numbers, rows in batches:
            place = self._find_header(rows)
            yield numbers[place + 1 :], rows[place + 1 :]
            break
        yield from batches

    def _find_header(self, rows: list[Row]) -> int:
        labels = [column.label for column in self.profile.columns]
        for place, row in enumerate(rows[:HEADER_LINE_MAX]):
            cells_here = [cell.strip() for cell in _without_tail(row)]
            if self.profile.columns_by == "position" and cells_here == labels:
                self._refuse_other_day(rows[:place])
                return place
            if self.profile.columns_by == "label" and set(cells_here) & set(labels):
                self._take_labels(place + 1, cells_here)
                return place
        if any("\N{REPLACEMENT CHARACTER}" in cell or "Ð" in cell for row in rows[:HEADER_LINE_MAX] for cell in row):
            raise RegisterEncodingWrong(expected=self.profile.encoding)
        raise RegisterHeaderWrong(expected=self.profile.delimiter.join(labels), looked_at_lines=HEADER_LINE_MAX)

    def _take_labels(self, line: int, header: Sequence[str]) -> None:
        for column in self.profile.columns:
            if column.label not in header and not column.optional:
                raise RegisterHeaderWrong(line=line, missing=column.label)
        self._width = len(header)
        self._places = {
            column.field: header.index(column.label)
            for column in self.profile.columns
            if column.field is not None and column.label in header
        }

    def _refuse_other_day(self, title: Sequence[Row]) -> None:
        if self.profile.day_form is None or not any(_without_tail(row) for row in title):
            return
        printed = self.day_on.strftime(self.profile.day_form)
        if not any(printed in cell for row in title for cell in row):
            raise RegisterDayWrong(line=1, expected=printed)

    def _without_footer(self, batches: Rows) -> Rows:
        """Every line but blank ones at the end and the totals, which are read and kept for the verdict."""
        held: tuple[list[int], list[Row]] = ([], [])
        for numbers, rows in batches:
            if any(map(any, rows)):
                if held[1]:
                    yield held
                held = (numbers, rows)
            else:
                held = (held[0] + numbers, held[1] + rows)
        numbers, rows = held
        while rows and not any(rows[-1]):
            rows.pop()
        form = self.profile.footer
        if form is not None and rows and rows[-1][0].strip() == form.label:
            self._read_footer(numbers[len(rows) - 1], rows.pop())
        if rows:
            yield numbers[: len(rows)], rows

    def _read_footer(self, number: int, row: Row) -> None:
        assert self.profile.footer is not None
        read = cells.amounts(self.profile.amounts)
        self.footer = FooterVerdict.MISSING
        for name, column in (("footer_amount", ColumnField.AMOUNT), ("footer_fee", ColumnField.FEE)):
            place = self._places.get(column)
            text = row[place] if place is not None and place < len(row) else ""
            for space in (self.profile.footer.thousands, " ", "\N{NO-BREAK SPACE}"):
                text = text.replace(space, "") if space else text
            if text:
                setattr(self, name, self._convert(column, read, [number], [text])[0])

    def _judge_footer(self) -> None:
        """Compare the printed totals with the lines, added by us as they were printed."""
        if self.profile.footer is None:
            return
        totals = self.totals
        refunds = -totals.refunds if self.profile.amounts.refunds == "negative" else totals.refunds
        printed = totals.payments + totals.payouts + refunds
        if self.footer_amount is None:
            self.footer = FooterVerdict.MISSING
        elif self.footer_amount == printed and self.footer_fee in (None, totals.fees):
            self.footer = FooterVerdict.AGREES
        else:
            self.footer = FooterVerdict.DIFFERS

    def _batch(self, numbers: list[int], rows: list[Row]) -> LineBatch:
        raw = self._turned(numbers, rows)
        columns: Columns = {name: raw[place] for name, place in self._places.items()}
        if ColumnField.FEE in columns:
            columns.pop(ColumnField.NET, None)  # says nothing that the amount and the fee do not
        if ColumnField.HAPPENED_ON in columns:
            days, times = columns.pop(ColumnField.HAPPENED_ON), columns.pop(ColumnField.HAPPENED_TIME)
            columns[ColumnField.HAPPENED_AT] = list(map(" ".join, zip(days, times, strict=True)))
        read = {name: self._convert(name, self._readers[name], numbers, cells) for name, cells in columns.items()}
        count = len(rows)
        kinds = read.get(ColumnField.KIND) or [self.profile.kind] * count
        amounts = self._unsigned(numbers, kinds, read[ColumnField.AMOUNT])
        nothing: Sequence[None] = [None] * count
        named = [read.get(name, nothing) for name in TEXTS]
        return LineBatch((
            numbers, kinds, read.get(ColumnField.RAIL) or [LineRail.SBP] * count, *named,
            read.get(ColumnField.PAYER_MASK, nothing), amounts, self._fees(numbers, amounts, read, nothing),
            read[ColumnField.HAPPENED_AT],
        ))  # fmt: skip

    def _turned(self, numbers: list[int], rows: list[Row]) -> list[tuple[str, ...]]:
        """Rows as columns; empty cells after the last column are nothing."""
        try:
            columns = list(zip(*rows, strict=True))
        except ValueError:
            columns = []
        if len(columns) == self._width:
            return columns
        for number, row in zip(numbers, rows, strict=True):
            if len(row) < self._width or any(row[self._width :]):
                raise RegisterLineMalformed(line=number, fields=len(_without_tail(row)), fields_expected=self._width)
        return list(zip(*(row[: self._width] for row in rows), strict=True))

    def _convert(
        self,
        name: ColumnField,
        read: Callable[[Sequence[str]], Sequence[Any]],
        numbers: Sequence[int],
        column: Sequence[str],
    ) -> Sequence[Any]:
        """What a column means; if it cannot be read, the line at which it cannot."""
        try:
            return read(column)
        except ValueError:
            for number, cell in zip(numbers, column, strict=True):
                try:
                    read((cell,))
                except ValueError as fault:
                    raise RegisterValueMalformed(line=number, column=name.value, expected=str(fault)) from None
            raise

    def _unsigned(self, numbers: Sequence[int], kinds: Sequence[LineKind], amounts: Sequence[int]) -> Sequence[int]:
        """Amounts without the sign that the kind repeats."""
        is_negative = self.profile.amounts.refunds == "negative"
        if min(amounts) > 0 and not (is_negative and LineKind.REFUND in kinds):
            return amounts
        for number, kind, amount in zip(numbers, kinds, amounts, strict=True):
            if amount == 0 or (amount < 0) != (is_negative and kind is LineKind.REFUND):
                expected = "negative" if is_negative and kind is LineKind.REFUND else "above zero"
                raise RegisterValueMalformed(line=number, column="amount", expected=f"an amount {expected}")
        return list(map(abs, amounts))

    def _fees(
        self, numbers: Sequence[int], amounts: Sequence[int], read: dict[ColumnField, Any], nothing: Sequence[None]
    ) -> Sequence[int | None]:
        """The fee as printed, or what is missing from the net amount."""
        fees = read.get(ColumnField.FEE)
        net = read.get(ColumnField.NET)
        if fees is None and net is not None:
            fees = [gross - abs(rest) for gross, rest in zip(amounts, net, strict=True)]
        if fees is None:
            return nothing
        if None in fees or min(fees) < 0:
            for number, fee in zip(numbers, fees, strict=True):
                if fee is not None and fee < 0:
                    raise RegisterValueMalformed(line=number, column="fee", expected="a fee not below zero")
        return cast("Sequence[int | None]", fees)


def _readers_of(profile: Profile) -> dict[ColumnField, Callable[[Sequence[str]], Sequence[Any]]]:
    every: dict[ColumnField, Callable[[Sequence[str]], Sequence[Any]]] = dict.fromkeys(TEXTS, cells.texts)
    return every | {
        ColumnField.PAYER_MASK: cells.masks(),
        ColumnField.KIND: cells.kinds(profile),
        ColumnField.RAIL: cells.rails(profile),
        ColumnField.HAPPENED_AT: cells.instants(profile),
        ColumnField.AMOUNT: cells.amounts(profile.amounts),
        ColumnField.FEE: cells.optional_amounts(profile.amounts),
        ColumnField.NET: cells.amounts(profile.amounts),
    }


def _without_tail(row: Row) -> Row:
    """A row without the empty cells at its end."""
    end = len(row)
    while end and not row[end - 1].strip():
        end -= 1
    return row[:end]
