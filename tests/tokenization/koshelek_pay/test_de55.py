"""Chip data are read strictly, and written so that they are read the same."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenization.koshelek_pay.de55 import DE55_BYTES_MAX, LENGTHS, ChipData, read_de55, write_de55
from tokenization.koshelek_pay.errors import De55Malformed

GOOD = {
    "9F26": bytes.fromhex("1122334455667788"),
    "9F27": b"\x80",
    "9F10": bytes.fromhex("06011203A00000"),
    "9F37": bytes.fromhex("DEADBEEF"),
    "9F36": bytes.fromhex("0007"),
    "95": bytes(5),
    "9A": bytes.fromhex("261122"),
    "9C": b"\x00",
    "9F02": bytes.fromhex("000000149990"),
    "5F2A": bytes.fromhex("0643"),
    "82": bytes.fromhex("0080"),
    "9F1A": bytes.fromhex("0643"),
    "9F03": bytes(6),
}


def test_a_payment_is_read() -> None:
    chip = read_de55(write_de55(GOOD))

    assert (chip.atc, chip.amount, chip.other_amount, chip.currency) == (7, 149990, 0, "643")
    assert chip.signed_on == date(2026, 11, 22)
    assert chip.asks_the_issuer
    assert chip.is_purchase
    assert chip.cryptogram.hex() == "1122334455667788"
    covered = "000000149990 000000000000 0643 0000000000 0643 261122 00 deadbeef 0080 0007 06011203a00000"
    assert chip.covered == bytes.fromhex(covered)


def test_what_is_shown_of_it_has_no_cryptogram() -> None:
    assert repr(read_de55(write_de55(GOOD))) == "ChipData(atc=7)"


decimal = st.text("0123456789", min_size=12, max_size=12).map(bytes.fromhex)


@settings(max_examples=60, deadline=None)
@given(st.permutations(list(GOOD)), decimal, st.binary(min_size=1, max_size=32))
def test_any_order_is_read_back(order: list[str], amount: bytes, own: bytes) -> None:
    fields = GOOD | {"9F02": amount, "9F10": own}
    chip = read_de55(write_de55({tag: fields[tag] for tag in order}))

    assert chip.fields == fields


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        read_de55(raw.hex())
    except De55Malformed:
        return
    raise AssertionError("random bytes were chip data")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 79), st.integers(1, 255))
def test_no_byte_changes_unnoticed(place: int, change: int) -> None:
    raw = bytearray.fromhex(write_de55(GOOD))
    raw[place % len(raw)] ^= change

    try:
        chip = read_de55(raw.hex())
    except De55Malformed:
        return
    assert chip.fields != GOOD


def without(tag: str) -> str:
    return write_de55({name: value for name, value in GOOD.items() if name != tag})


@pytest.mark.parametrize("tag", LENGTHS)
def test_every_field_is_needed(tag: str) -> None:
    with pytest.raises(De55Malformed) as refused:
        read_de55(without(tag))

    assert refused.value.facts == {"reason": "missing", "field": tag}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "hexadecimal digits, at most 255 bytes", id="nothing"),
        pytest.param("9F2", "hexadecimal digits, at most 255 bytes", id="half a byte"),
        pytest.param("9F 26", "hexadecimal digits, at most 255 bytes", id="a space"),
        pytest.param("ZZ", "hexadecimal digits, at most 255 bytes", id="no digits"),
        pytest.param("00" * (DE55_BYTES_MAX + 1), "hexadecimal digits, at most 255 bytes", id="too long"),
        pytest.param("9F26", "cut off", id="a tag and no length"),
        pytest.param("9F2608112233", "cut off", id="a value cut off"),
        pytest.param("9F1081" + "80" + "00" * 128, "cut off", id="a long length"),
        pytest.param("9F360200079F36020008", "twice", id="a field twice"),
        pytest.param("5A089643000112345678", "not taken", id="a number in the chip data"),
        pytest.param("9F360107", "length", id="a short counter"),
        pytest.param("9F0206000000ABCDEF", "decimal digits", id="a sum that is none"),
    ],
)
def test_what_is_wrong_is_named(text: str, reason: str) -> None:
    with pytest.raises(De55Malformed) as refused:
        read_de55(text)

    assert refused.value.facts["reason"] == reason


def test_a_day_that_is_none_is_refused() -> None:
    with pytest.raises(De55Malformed):
        _ = ChipData(GOOD | {"9A": bytes.fromhex("261331")}).signed_on


@pytest.mark.parametrize(("kind", "asks"), [(0x80, True), (0x00, False), (0x40, False), (0xC0, False)])
def test_only_a_question_to_the_issuer_is_one(kind: int, asks: bool) -> None:
    assert ChipData(GOOD | {"9F27": bytes([kind])}).asks_the_issuer is asks
