"""What a loyalty barcode says: numbers that are no cards, our format, and what is no barcode at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout.barcode import (
    ReadBarcode,
    ean_check_digit,
    is_number,
    number_of,
    read_barcode,
    showing_secret,
    shown_barcode,
    step_shown,
)
from checkout.loyalty_errors import BarcodeNotOfNow, BarcodeUnreadable
from pci.card_numbers import candidates
from pci.luhn import passes_luhn
from pci.secret import Secret

NOW = datetime(2026, 11, 22, 9, 0, 12, tzinfo=UTC)
KEY = Secret("a key of the house, as long as it must be")
NUMBER = number_of("123456789")
nines = st.text("0123456789", min_size=9, max_size=9)


def shown(number: str = NUMBER, showing: int = 1, *, key: Secret = KEY, now: datetime = NOW) -> str:
    return shown_barcode(showing_secret(key, number, showing), number, showing, now=now).text


@settings(max_examples=60)
@given(nines, st.integers(1, 9_999), st.integers(0, 2**31))
def test_no_number_and_no_barcode_is_taken_for_a_payment_card(digits: str, showing: int, seconds: int) -> None:
    number = number_of(digits)
    text = shown(number, showing, now=datetime.fromtimestamp(seconds, tz=UTC))

    assert not passes_luhn(number)
    assert not list(candidates(text))
    assert not list(candidates(number))


@settings(max_examples=60)
@given(nines, st.integers(0, 11), st.integers(1, 9))
def test_one_wrong_digit_makes_a_number_none_of_ours(digits: str, place: int, by: int) -> None:
    number = number_of(digits)
    wrong = number[:place] + str((int(number[place]) + by) % 10) + number[place + 1 :]

    assert is_number(number)
    assert not is_number(wrong)


@settings(max_examples=40)
@given(nines, st.integers(1, 9_999), st.integers(10**9, 2**31))
def test_what_a_phone_shows_is_read_back(digits: str, showing: int, seconds: int) -> None:
    now = datetime.fromtimestamp(seconds, tz=UTC)
    read = read_barcode(shown(number_of(digits), showing, now=now))

    assert (read.number, read.showing_number) == (number_of(digits), showing)
    assert step_shown(read, KEY, now=now) == seconds // 30


def test_plastic_says_its_number_with_and_without_its_check_digit() -> None:
    plastic = ReadBarcode(NUMBER, None, None)

    assert read_barcode(NUMBER) == plastic
    assert read_barcode(NUMBER + ean_check_digit(NUMBER)) == plastic
    assert step_shown(plastic, KEY, now=NOW) is None


def test_the_check_digit_is_that_of_a_known_ean() -> None:
    assert ean_check_digit("400638133393") == "1"  # the example of the standard's own article
    assert ean_check_digit("978030640615") == "7"


@pytest.mark.parametrize(
    "text",
    ["", "K1", "4006381333931", NUMBER[:-1], NUMBER + "x", "k1" + shown()[2:], shown() + "0", shown()[:-1],
     shown().replace("S0001", "S0000"), "K2" + shown()[2:], "9" * 5_000, NUMBER + "٣", "\x00"],
    ids=["empty", "prefix alone", "goods", "short", "letter", "small", "long", "cut", "phone 0", "version 2",
         "endless", "other digits", "zero"],
)  # fmt: skip
def test_what_is_no_barcode_of_ours_is_unreadable(text: str) -> None:
    with pytest.raises(BarcodeUnreadable):
        read_barcode(text)


def test_a_plastic_number_with_a_wrong_check_digit_is_misread() -> None:
    right = ean_check_digit(NUMBER)

    with pytest.raises(BarcodeUnreadable):
        read_barcode(NUMBER + str((int(right) + 1) % 10))


@pytest.mark.parametrize(
    "text",
    [
        shown(now=NOW - timedelta(minutes=2)),
        shown(now=NOW + timedelta(minutes=2)),
        shown(key=Secret("another house's key, as long as it must be")),
        shown(showing=2)[:-8] + shown(showing=1)[-8:],
        shown(number_of("987654321"))[:15] + shown()[15:],
    ],
    ids=["a copy of two minutes ago", "a clock far ahead", "another house", "another phone", "another card"],
)
def test_a_code_of_another_time_phone_or_card_is_refused(text: str) -> None:
    with pytest.raises(BarcodeNotOfNow):
        step_shown(read_barcode(text), KEY, now=NOW)


def test_a_barcode_renews_at_the_end_of_its_step() -> None:
    now = shown_barcode(b"secret", NUMBER, 1, now=NOW)

    assert now.renews_at == datetime(2026, 11, 22, 9, 0, 30, tzinfo=UTC)
    assert shown_barcode(b"secret", NUMBER, 1, now=now.renews_at).text != now.text
