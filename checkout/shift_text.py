"""A shift's report as a till prints it: 32, 42 or 48 columns of plain text. It is no fiscal document, and says so."""

from __future__ import annotations

from collections.abc import Iterator

from checkout.paper import COLUMNS, RAILS, pair, wrapped
from checkout.shift_report import POINTS, OperationKind, ShiftReport, ShiftTotal
from ledger.clock import MOSCOW
from ledger.money import roubles

NAMES = {**RAILS, POINTS: "Баллы"}
"""What stands in a row of a report."""
KINDS = {OperationKind.SALE: "оплата", OperationKind.REFUND: "возврат"}
NOBODY = "без кассира"


def render_text(report: ShiftReport, columns: int = COLUMNS[-1]) -> str:
    """The report in lines of exactly ``columns`` characters or fewer."""
    assert columns in COLUMNS
    return "".join(f"{line}\n" for line in _lines(report, columns))


def _lines(report: ShiftReport, columns: int) -> Iterator[str]:
    shift = report.shift
    title = f"Z-ОТЧЁТ № {shift.number}" if report.is_final else f"X-ОТЧЁТ, СМЕНА № {shift.number}"
    yield title.center(columns).rstrip()
    yield "НЕ ФИСКАЛЬНЫЙ ДОКУМЕНТ".center(columns).rstrip()
    yield from wrapped(f"{report.store_name}, {report.terminal_name}", columns)
    yield pair("Открыта", _at(report, is_opening=True), columns)
    yield pair("Закрыта" if report.is_final else "Снят", _at(report, is_opening=False), columns)
    if report.is_overdue:
        yield "Смена открыта дольше положенного"
    yield "=" * columns
    yield from _totals(report.by_rail, columns)
    yield "-" * columns
    money = " деньгами" if any(total.rail == POINTS for total in report.totals) else ""
    for kind, word in ((OperationKind.SALE, "Оплачено"), (OperationKind.REFUND, f"Возвращено{money}")):
        yield pair(word, roubles(report.of_kind(kind)), columns)
    yield pair("ИТОГ", roubles(report.takings), columns)
    yield from _baskets(report, columns)
    yield from _by_cashier(report, columns)
    yield from _differences(report, columns)
    yield "=" * columns


def _totals(totals: tuple[ShiftTotal, ...], columns: int) -> Iterator[str]:
    if not totals:
        yield "Операций не было"
    for total in totals:
        name = f"{NAMES.get(total.rail, total.rail)}, {KINDS[total.kind]}"
        yield pair(f"{name} × {total.operations}", roubles(total.amount), columns)


def _baskets(report: ShiftReport, columns: int) -> Iterator[str]:
    baskets = report.baskets
    if baskets.discounts or baskets.promo_codes or baskets.points:
        yield "-" * columns
        yield pair("Товары до скидок", roubles(baskets.gross), columns)
        for word, amount in (
            ("Скидки", baskets.discounts), ("Промокоды", baskets.promo_codes), ("Баллы", baskets.points),
        ):  # fmt: skip
            if amount:
                yield pair(word, roubles(amount), columns)


def _by_cashier(report: ShiftReport, columns: int) -> Iterator[str]:
    for cashier_id in dict.fromkeys(total.cashier_id for total in report.totals):
        yield "-" * columns
        yield (NOBODY if cashier_id is None else report.names[cashier_id])[:columns]
        yield from _totals(tuple(each for each in report.totals if each.cashier_id == cashier_id), columns)


def _differences(report: ShiftReport, columns: int) -> Iterator[str]:
    if report.differences:
        yield "=" * columns
        yield "РАСХОЖДЕНИЕ С ИТОГАМИ КАССЫ"
    for each in report.differences:
        yield f"{NAMES.get(each.rail, each.rail)}, {KINDS[each.kind]}"[:columns]
        yield pair(f"  учтено × {each.operations}", roubles(each.amount), columns)
        yield pair(f"  касса × {each.told}", roubles(each.told_amount), columns)
    if report.shift.difference_reason is not None:
        yield from wrapped(f"Причина: {report.shift.difference_reason}", columns)


def _at(report: ShiftReport, *, is_opening: bool) -> str:
    at = report.shift.opened_at if is_opening else report.shift.closed_at or report.printed_at
    return f"{at.astimezone(MOSCOW):%d.%m.%Y %H:%M}"
