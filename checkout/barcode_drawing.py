"""Barcodes as SVG: EAN-13 and Code 128 by their own tables, QR by ``segno``.

Dark on light only: scanners read no other.

Source: ISO/IEC 15420 (EAN-13) and ISO/IEC 15417 (Code 128): bars, check digits, quiet zones.
"""

from __future__ import annotations

from enum import StrEnum
from io import BytesIO

import segno

from checkout.barcode import NUMBER_DIGITS, ean_check_digit
from checkout.loyalty_errors import BarcodeUnreadable

MODULE_PIXELS = 2
"""One bar of the narrowest kind; a picture is scaled to its place by the page."""
BAR_PIXELS = 110
TEXT_PIXELS = 28
"""Under the bars, for a cashier's eyes."""


class BarcodeKind(StrEnum):
    """How a barcode is drawn."""

    EAN_13 = "ean_13"
    """The card's number alone, as plastic has it."""
    CODE_128 = "code_128"
    QR_CODE = "qr_code"


def draw_barcode(text: str, kind: BarcodeKind, caption: str) -> str:
    """A barcode's picture with a caption under it. Raises: BarcodeUnreadable if EAN-13 cannot say the text."""
    if kind is BarcodeKind.QR_CODE:
        return _qr_svg(text, caption)
    modules, quiet = (ean_13(text), (11, 7)) if kind is BarcodeKind.EAN_13 else (code_128(text), (10, 10))
    return _svg_of_bars(modules, quiet, caption)


def ean_13(number: str) -> str:
    """The 95 modules of a number of 12 digits and its check digit, as ones and zeros. Raises: BarcodeUnreadable."""
    if len(number) != NUMBER_DIGITS or not number.isdecimal():
        raise BarcodeUnreadable()
    digits = number + ean_check_digit(number)
    parities = _FIRST[int(digits[0])]
    left = "".join(
        _L[int(digit)] if parity == "L" else _g(int(digit)) for digit, parity in zip(digits[1:7], parities, strict=True)
    )
    right = "".join(_inverted(_L[int(digit)]) for digit in digits[7:])
    return f"101{left}01010{right}101"


def code_128(text: str) -> str:
    """The modules of a text of printable ASCII, pairs of digits taken together where four or more stand in a row.

    Raises: BarcodeUnreadable.
    """
    if not text or not all(" " <= character <= "~" for character in text):
        raise BarcodeUnreadable()
    values = _code_128_values(text)
    check = (values[0] + sum(place * value for place, value in enumerate(values[1:], 1))) % 103
    return "".join(_bars(_WIDTHS[value]) for value in (*values, check, _STOP))


def _code_128_values(text: str) -> list[int]:
    values: list[int] = []
    is_pairs = False
    place = 0
    while place < len(text):
        digits = len(text[place:]) - len(text[place:].lstrip("0123456789"))
        wants_pairs = digits >= 2 if is_pairs else digits >= 4 and digits % 2 == 0
        if not values:
            values.append(_START_C if wants_pairs else _START_B)
        elif wants_pairs != is_pairs:
            values.append(_CODE_C if wants_pairs else _CODE_B)
        is_pairs = wants_pairs
        values.append(int(text[place : place + 2]) if is_pairs else ord(text[place]) - 32)
        place += 2 if is_pairs else 1
    return values


def _bars(widths: str) -> str:
    return "".join(("1" if place % 2 == 0 else "0") * int(width) for place, width in enumerate(widths))


def _svg_of_bars(modules: str, quiet: tuple[int, int], caption: str) -> str:
    width = (quiet[0] + len(modules) + quiet[1]) * MODULE_PIXELS
    path, place = [], quiet[0]
    for run in modules.replace("01", "0 1").replace("10", "1 0").split():
        if run[0] == "1":
            path.append(
                f"M{place * MODULE_PIXELS} 8h{len(run) * MODULE_PIXELS}v{BAR_PIXELS}h-{len(run) * MODULE_PIXELS}z"
            )
        place += len(run)
    return _svg(width, BAR_PIXELS + 8, f'<path d="{"".join(path)}"/>', caption)


def _qr_svg(text: str, caption: str) -> str:
    code = segno.make_qr(text, error="m", boost_error=False)
    side = int(code.symbol_size(border=4)[0])
    scale = max(1, 320 // side)
    file = BytesIO()
    code.save(file, kind="svg", scale=scale, border=4, svgns=False, xmldecl=False, svgclass=None, lineclass=None)
    inside = file.getvalue().decode().partition(">")[2].rpartition("</svg>")[0]
    return _svg(side * scale, side * scale, inside, caption)


def _svg(width: int, height: int, inside: str, caption: str) -> str:
    below, told = 0, ""
    if caption:
        below = TEXT_PIXELS
        told = (
            f'<text x="{width // 2}" y="{height + below - 7}" text-anchor="middle" font-family="monospace"'
            f' font-size="17">{caption}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + below}" width="{width}"'
        f' height="{height + below}" role="img" aria-label="{caption}" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{width}v{height + below}H0z"/>{inside}{told}</svg>'
    )


def _inverted(modules: str) -> str:
    return modules.translate(str.maketrans("01", "10"))


def _g(digit: int) -> str:
    return _inverted(_L[digit])[::-1]


_L = (
    "0001101", "0011001", "0010011", "0111101", "0100011", "0110001", "0101111", "0111011", "0110111", "0001011",
)  # fmt: skip
_FIRST = (
    "LLLLLL", "LLGLGG", "LLGGLG", "LLGGGL", "LGLLGG", "LGGLLG", "LGGGLL", "LGLGLG", "LGLGGL", "LGGLGL",
)  # fmt: skip
"""How the first digit is told: by which of the next six are drawn the other way round."""
_CODE_C, _CODE_B, _START_B, _START_C, _STOP = 99, 100, 104, 105, 106
_TABLE = """
212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 123122
123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 232121 111323
131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 313121 211331 231131
213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 111422 121124 121421 141122
141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 111242 121142 121241 114212 124112
124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 114311 411113 411311 113141 114131 311141
411131 211412 211214 211232 2331112
"""
_WIDTHS = tuple(_TABLE.split())
"""Bars and gaps of each value in turn."""
