"""Pictures of barcodes: the bars are those that another's implementation draws."""

from __future__ import annotations

import re
from io import BytesIO
from xml.etree import ElementTree

import barcode as another
import pytest
import segno
from barcode.charsets.code128 import CODES
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout.barcode import number_of
from checkout.barcode_drawing import BarcodeKind, code_128, draw_barcode, ean_13
from checkout.loyalty_errors import BarcodeUnreadable

NUMBER = number_of("123456789")
SHOWN = f"K1{NUMBER}S000112345678"
SVG = "{http://www.w3.org/2000/svg}"


@settings(max_examples=40)
@given(st.text("0123456789", min_size=12, max_size=12))
def test_ean_13_has_the_bars_of_another_implementation(number: str) -> None:
    assert ean_13(number) == another.EAN13(number).build()[0].replace("G", "1")


@settings(max_examples=60)
@given(st.from_regex(r"\A[A-Z ]{0,3}[0-9]{0,12}[ -_]{0,3}[0-9]{1,9}\Z"))
def test_code_128_says_what_it_was_given(text: str) -> None:
    assert read_code_128(code_128(text)) == text


def test_the_last_pair_is_no_change_of_set() -> None:
    assert read_code_128(code_128("K0099")) == "K0099"


def test_code_128_has_the_bars_of_another_implementation() -> None:
    assert code_128("ABCD") == another.Code128("ABCD").build()[0]
    assert code_128("12345678") == another.Code128("12345678").build()[0]


def test_a_phones_barcode_takes_pairs_of_digits_together() -> None:
    assert len(code_128(SHOWN)) == 11 * 20 + 13  # start, 2 letters, 12 pairs, 3 changes, a letter, check; and the stop


@pytest.mark.parametrize("kind", BarcodeKind)
def test_a_picture_is_dark_on_light_and_says_its_caption(kind: BarcodeKind) -> None:
    text = NUMBER if kind is BarcodeKind.EAN_13 else SHOWN
    picture = ElementTree.fromstring(draw_barcode(text, kind, "2912"))

    assert picture.find(f"{SVG}path").attrib["fill"] == "#fff"  # type: ignore[union-attr]
    assert picture.find(f"{SVG}text").text == "2912"  # type: ignore[union-attr]


def test_the_bars_of_a_picture_are_those_of_the_modules() -> None:
    bars = re.findall(r"M(\d+) 8h(\d+)v", draw_barcode(NUMBER, BarcodeKind.EAN_13, ""))
    modules = ["0"] * (11 + 95 + 7)
    for left, width in bars:
        modules[int(left) // 2 : (int(left) + int(width)) // 2] = ["1"] * (int(width) // 2)

    assert "".join(modules) == "0" * 11 + ean_13(NUMBER) + "0" * 7


def test_a_qr_has_the_modules_of_its_text() -> None:
    picture = ElementTree.fromstring(draw_barcode(SHOWN, BarcodeKind.QR_CODE, ""))
    theirs = BytesIO()
    segno.make_qr(SHOWN, error="m", boost_error=False).save(theirs, kind="svg", border=4)

    drawn = [path.attrib["d"] for path in picture.iter(f"{SVG}path") if "stroke" in path.attrib]
    assert drawn == [path.attrib["d"] for path in ElementTree.fromstring(theirs.getvalue()).iter(f"{SVG}path")]


@pytest.mark.parametrize("number", ["", "12345678901", "1234567890123", "12345678901x", SHOWN])
def test_ean_13_has_no_room_for_anything_but_twelve_digits(number: str) -> None:
    with pytest.raises(BarcodeUnreadable):
        ean_13(number)


@pytest.mark.parametrize("text", ["", "карта", "a\x00b"])
def test_code_128_says_printable_ascii_alone(text: str) -> None:
    with pytest.raises(BarcodeUnreadable):
        code_128(text)


def read_code_128(modules: str) -> str:
    """A reader of its own: widths back to values, values back to text, the check looked at."""
    widths = [len(run) for run in re.findall("1+|0+", modules)]
    table = {tuple(width): value for value, width in enumerate(WIDTHS)}
    values = [table[tuple(widths[place : place + 6])] for place in range(0, len(widths) - 7, 6)]
    *values, check = values
    assert (values[0] + sum(place * value for place, value in enumerate(values[1:], 1))) % 103 == check
    text, is_pairs = "", values[0] == 105
    for value in values[1:]:
        if value == (100 if is_pairs else 99):  # the other set; 99 among pairs is a pair
            is_pairs = not is_pairs
        else:
            text += f"{value:02}" if is_pairs else chr(value + 32)
    return text


def _widths_of(value: int) -> list[int]:
    """What the other implementation draws for a value."""
    return [len(run) for run in re.findall("1+|0+", CODES[value])]


WIDTHS = [_widths_of(value) for value in range(106)]
