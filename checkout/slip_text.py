"""A slip set out on paper: 32, 42 or 48 characters in a line, and the bytes for a till's printer."""

from __future__ import annotations

from collections.abc import Iterator

from checkout.baskets import PRICED, Line, Measure
from checkout.paper import COLUMNS, RAILS, centered, named, pair, wrapped
from checkout.slips import Slip, SlipCopy, receipt_block
from ledger.clock import MOSCOW
from ledger.money import roubles

MEASURES = {
    Measure.PIECE: "шт", Measure.GRAM: "г", Measure.KILOGRAM: "кг", Measure.TON: "т", Measure.CENTIMETER: "см",
    Measure.METER: "м", Measure.MILLILITER: "мл", Measure.LITER: "л", Measure.SQUARE_METER: "м²",
}  # fmt: skip
PER = {Measure.GRAM: "/кг", Measure.CENTIMETER: "/м", Measure.MILLILITER: "/л"}
COPIES = {SlipCopy.BUYER: "ЭКЗЕМПЛЯР ПОКУПАТЕЛЯ", SlipCopy.MERCHANT: "ЭКЗЕМПЛЯР ПРОДАВЦА"}
NOT_FISCAL = "НЕ ФИСКАЛЬНЫЙ ДОКУМЕНТ"
TITLES = ("СЛИП", "СЛИП ВОЗВРАТА")
LOUD = frozenset({*TITLES, NOT_FISCAL})

INITIALISE = b"\x1b@"
CODE_PAGE_866 = b"\x1bt\x11"
BOLD_ON, BOLD_OFF = b"\x1bE\x01", b"\x1bE\x00"
CENTRE, LEFT = b"\x1ba\x01", b"\x1ba\x00"
FEED_AND_CUT = b"\x1bd\x03\x1dV\x42\x00"
"""Source: Epson, ESC/POS command reference: ESC @, ESC t 17 (PC866), ESC E, ESC a, ESC d, GS V 66."""
QR_DOT, QR_MISTAKES_M = 6, b"1"
PRINTABLE = str.maketrans({
    "×": "x", "«": '"', "»": '"', "—": "-", "–": "-", "₽": "р", "²": "2", "…": ".", "\u00a0": " ",
})  # fmt: skip
"""Signs that PC866 has no place for."""


def render_text(slip: Slip, columns: int = COLUMNS[-1]) -> str:
    """The slip in lines of at most ``columns`` characters."""
    assert columns in COLUMNS
    return "".join(f"{line}\n" for line in _lines(slip, columns))


def render_escpos(slip: Slip, columns: int = COLUMNS[-1]) -> bytes:
    """The slip as an ESC/POS printer takes it: Cyrillic of PC866, the order's id as a QR, and a cut."""
    assert columns in COLUMNS
    body = b"".join(_printed(line) for line in _lines(slip, columns))
    return INITIALISE + CODE_PAGE_866 + body + _qr(slip.order.id) + FEED_AND_CUT


def _printed(line: str) -> bytes:
    said = line.translate(PRINTABLE).encode("cp866", "replace") + b"\n"
    return BOLD_ON + said + BOLD_OFF if line.strip() in LOUD else said


def _qr(said: str) -> bytes:
    """A QR of ``said``. Source: Epson, ESC/POS command reference, GS ( k, functions 165, 167, 169, 180 and 181."""
    data = said.encode("ascii")

    def function(body: bytes) -> bytes:
        return b"\x1d(k" + len(body).to_bytes(2, "little") + body

    shaped = (b"1A2\x00", b"1C" + bytes([QR_DOT]), b"1E" + QR_MISTAKES_M, b"1P0" + data, b"1Q0")
    return CENTRE + b"".join(map(function, shaped)) + LEFT


def _lines(slip: Slip, columns: int) -> Iterator[str]:
    yield from _heading(slip, columns)
    if slip.refund is None:
        yield from _goods(slip, columns)
        yield from _taken_off(slip, columns)
        yield pair("ОПЛАЧЕНО", roubles(slip.amount), columns)
    else:
        yield pair("ВОЗВРАЩЕНО" if slip.refund.is_done else "ВОЗВРАТ ПРИНЯТ", roubles(slip.amount), columns)
        if slip.refund.points_back:
            yield pair("Баллов вернулось", str(slip.refund.points_back), columns)
    yield pair("Способ", RAILS.get(slip.payment.rail, slip.payment.rail), columns)
    yield from _parts(slip, columns)
    yield "-" * columns
    yield from _block(slip, columns)
    yield "=" * columns


def _heading(slip: Slip, columns: int) -> Iterator[str]:
    place = slip.place
    yield from centered(place.merchant_name, columns)
    yield from centered(f"{place.legal_name}, ИНН {place.inn}", columns)
    yield from centered(f"{place.store_name}, {place.address}", columns)
    yield from centered(TITLES[slip.refund is not None], columns)
    yield from centered(NOT_FISCAL, columns)
    yield from centered(COPIES[slip.copy], columns)
    if slip.issue > 1:
        yield from centered(f"КОПИЯ {slip.issue - 1}", columns)
    yield "=" * columns
    at = slip.order.paid_at if slip.refund is None else slip.refund.asked_at
    assert at is not None, "an order without a payment has no slip"
    yield from named("Чек", slip.order.number, columns)
    yield pair(slip.place.terminal_name, f"{at.astimezone(MOSCOW):%d.%m.%Y %H:%M}", columns)
    yield "-" * columns


def _goods(slip: Slip, columns: int) -> Iterator[str]:
    for line in slip.tenders.lines:
        yield from wrapped(line.name, columns)
        yield pair(f"  {_quantity(line)}", roubles(line.gross), columns)
        if line.discount:
            yield pair("  скидка", f"-{roubles(line.discount)}", columns)
    if slip.tenders.lines:
        yield "-" * columns


def _quantity(line: Line) -> str:
    whole = f"{line.quantity} {MEASURES[line.measure]}"
    return f"{whole} × {roubles(line.price)}{PER[line.measure] if PRICED[line.measure] > 1 else ''}"


def _taken_off(slip: Slip, columns: int) -> Iterator[str]:
    tenders = slip.tenders
    if not tenders.off:
        return
    yield pair("Сумма", roubles(slip.gross), columns)
    for word, amount in (
        ("Скидки", tenders.discount), ("Промокод", tenders.promo), (f"Баллы: {tenders.points}", tenders.points_value),
        ("Скидка за способ оплаты", tenders.offer),
    ):  # fmt: skip
        if amount:
            yield pair(word, f"-{roubles(amount)}", columns)


def _parts(slip: Slip, columns: int) -> Iterator[str]:
    for number, (due_on, amount) in enumerate(slip.payment.parts, 1):
        yield pair(f"  {number}. {due_on:%d.%m.%Y}", roubles(amount), columns)


def _block(slip: Slip, columns: int) -> Iterator[str]:
    payment = slip.payment
    for name, value in receipt_block(slip).items():
        yield from named(name, value, columns)
    for name, said in (
        ("Операция СБП", payment.trx_id), ("Карта", payment.card_mask), ("RRN", payment.rrn),
        ("Код авторизации", payment.approval_code),
    ):  # fmt: skip
        if said:
            yield from named(name, said, columns)
