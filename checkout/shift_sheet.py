"""A shift's report as a workbook (XLSX): totals by rail and cashier, differences. Needs the extra ``registers``."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from decimal import Decimal

from checkout.errors import ShiftSheetsNotInstalled
from checkout.shift_report import ShiftReport
from checkout.shift_text import KINDS, NAMES, NOBODY
from ledger.clock import MOSCOW

NO_CHARACTERS = {0xFFFE: "?", 0xFFFF: "?"}
"""What XML may not hold: a name with one of them makes a workbook that cannot be opened."""
Cell = str | int | Decimal | None


def render_xlsx(report: ShiftReport) -> bytes:
    """The report as the bytes of a workbook. Raises: ShiftSheetsNotInstalled."""
    try:
        import openpyxl  # an extra
    except ImportError:
        raise ShiftSheetsNotInstalled() from None
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Смена"
    for number, row in enumerate(_rows(report), 1):
        for column, value in enumerate(row, 1):
            cell = sheet.cell(number, column, value)
            if isinstance(value, str):
                cell.value = value.translate(NO_CHARACTERS)
                cell.data_type = "s"  # a cashier's name that begins with = is a name, and no formula
            elif isinstance(value, Decimal):
                cell.number_format = "0.00"
    for letter, width in zip("ABCDEF", (24, 16, 24, 12, 16, 16), strict=True):
        sheet.column_dimensions[letter].width = width
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def _rows(report: ShiftReport) -> Iterator[Sequence[Cell]]:
    shift = report.shift
    yield ("Z-отчёт" if report.is_final else "X-отчёт", shift.number, report.store_name, report.terminal_name)
    yield ("Открыта", f"{shift.opened_at.astimezone(MOSCOW):%d.%m.%Y %H:%M}")
    until = shift.closed_at or report.printed_at
    yield ("Закрыта" if report.is_final else "Снят", f"{until.astimezone(MOSCOW):%d.%m.%Y %H:%M}")
    yield ()
    yield ("Способ оплаты", "Операция", "Кассир", "Число", "Сумма, руб.")
    for total in report.totals:
        name = NOBODY if total.cashier_id is None else report.names[total.cashier_id]
        rail = NAMES.get(total.rail, total.rail)
        yield (rail, KINDS[total.kind], name, total.operations, _roubles(int(total.amount)))
    yield ("Итог", None, None, None, _roubles(report.takings))
    baskets = report.baskets
    for word, amount in (
        ("Товары до скидок", baskets.gross), ("Скидки", baskets.discounts), ("Промокоды", baskets.promo_codes),
        ("Баллы", baskets.points),
    ):  # fmt: skip
        yield (word, None, None, None, _roubles(int(amount)))
    yield from _differences(report)


def _differences(report: ShiftReport) -> Iterator[Sequence[Cell]]:
    if report.differences:
        yield ()
        yield ("Расхождение", "Операция", "Число: учтено", "касса", "Учтено, руб.", "Касса, руб.")
    for each in report.differences:
        sums = (_roubles(int(each.amount)), _roubles(int(each.told_amount)))
        yield (NAMES.get(each.rail, each.rail), KINDS[each.kind], each.operations, each.told, *sums)
    if report.shift.difference_reason is not None:
        yield ("Причина", report.shift.difference_reason)


def _roubles(kopecks: int) -> Decimal:
    return Decimal(kopecks).scaleb(-2)
