from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pci.card_numbers import candidates, issued, may_hold_pan
from pci.luhn import check_digit, passes_luhn
from pci.schemes import Scheme, scheme_of

MIR = "2200111753579001"
KNOWN = {
    "2200111753579001": Scheme.MIR,
    "2200117996077364": Scheme.MIR,
    "2200119066335755": Scheme.MIR,
    "2200113704697015": Scheme.MIR,
    "2200119753612540": Scheme.MIR,
    "4282529780951108": Scheme.VISA,
    "4433079223745277": Scheme.VISA,
    "4242424242424242": Scheme.VISA,
    "5324619129671504": Scheme.MASTERCARD,
    "5186479678835191": Scheme.MASTERCARD,
    "5555555555554444": Scheme.MASTERCARD,
    "378282246310005": Scheme.AMEX,
    "6011111111111117": Scheme.DISCOVER,
    "3566002020360505": Scheme.JCB,
    "30569309025904": Scheme.DINERS,
    "6200000000000005": Scheme.UNIONPAY,
}


def found_in(text: str) -> list[str]:
    return [found.digits for found in issued(text)]


@pytest.mark.parametrize("pan", KNOWN)
def test_every_published_test_number_is_found_and_named(pan: str) -> None:
    (found,) = issued(f"paid with {pan}, thank you")

    assert (found.digits, found.scheme) == (pan, KNOWN[pan])
    assert pan not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "2200 1117 5357 9001",
        "2200-1117-5357-9001",
        '{"a":"2200111753579001"}',
        ";2200111753579001=30122011",
        "%B2200111753579001^IVANOV/IVAN^3012",
        "pan2200111753579001cvc",
        "0002200111753579001",
        "0 2200111753579001",
        "17 2200111753579001",
        "01007234054128C28805162200111753579001000000000000149990",
        "till 7 2200111753579001 12 30",
    ],
)
def test_a_number_is_found_in_every_dress(text: str) -> None:
    assert found_in(text) == [MIR]


UUID = "019aab3e-1234-7123-8123-123456789012"


@pytest.mark.parametrize("text", [f"{UUID} {MIR}", f"{MIR} {UUID}", f"{UUID}-{MIR}", f"{UUID} {UUID} {MIR} {UUID}"])
def test_a_uuid_beside_a_number_does_not_hide_it(text: str) -> None:
    assert found_in(text) == [MIR]


def test_two_numbers_side_by_side_are_two() -> None:
    assert found_in(f"{MIR} {MIR}") == [MIR, MIR]


@pytest.mark.parametrize(
    "text",
    [
        "40702810900000000001",
        "1763802000000000 1763802000000",
        "0.4111111111111111",
        "12.5555555555554444",
        "a94a8fe5ccb19ba61c4c0873d391e98741111111111111111",
        "7712345678901 771234567890",
        "9999999999999995",
        "2200111753579002",
        "41111111111111",
        "220011******9001",
    ],
)
def test_what_looks_like_one_and_is_none_is_no_finding(text: str) -> None:
    assert found_in(text) == []


WIDE = ["  ", "   ", "\t", ".", " . ", " - ", "\u00a0", "\u2007", "\u2009", "\u202f",
        "\u2013", " \u2013 ", "\u2014", "\u2212",
        "%20", "+"]  # fmt: skip


@pytest.mark.parametrize("gap", WIDE)
@pytest.mark.parametrize("groups", [(MIR[:4], MIR[4:8], MIR[8:12], MIR[12:]), ("3782", "822463", "10005")])
def test_a_number_is_found_as_a_person_types_it(gap: str, groups: tuple[str, ...]) -> None:
    typed = gap.join(groups)

    assert found_in(f"card {typed}, 12/30") == ["".join(groups)]
    assert found_in(f"2026 {typed} 737") == ["".join(groups)]
    assert may_hold_pan(typed.encode())


@pytest.mark.parametrize(
    "text",
    [
        "23.01.2026 - 24.01.2026", "27.12.2026\u201328.12.2026", "27.12.2026 - 31.12.2026", "22.11.2026  23.11.2026",
        "192.168.100.1 10.20.30.40", "4.0.11 5.1.200 2.0.1.1", "2200.11\t1753.57\t9001.00",
        "4111.11 + 1111.11 + 1111.11",
        "2026.2025.2024.2023", "+7 495 123-45-67 +7 916 123-45-67", "+7 (495) 123.45.67",
    ],
)  # fmt: skip
def test_dates_amounts_and_addresses_are_no_numbers_of_cards(text: str) -> None:
    assert found_in(text) == []


@given(st.uuids())
def test_a_uuid_is_never_a_finding(value: uuid.UUID) -> None:
    assert found_in(f"id={value}") == []


@given(body=st.text("0123456789", min_size=12, max_size=18))
def test_the_check_digit_is_the_only_one_that_passes(body: str) -> None:
    assert [digit for digit in "0123456789" if passes_luhn(body + digit)] == [check_digit(body)]


@given(st.text(st.sampled_from("0123456789 -a.\u00a0\u2013\t"), max_size=60))
def test_the_cheap_look_never_misses_what_the_thorough_one_finds(text: str) -> None:
    if list(candidates(text)):
        assert may_hold_pan(text.encode())


@given(before=st.text("ab:=, ", max_size=4), noise=st.text("0123456789 ", max_size=6), last=st.sampled_from(" ,;\n"))
def test_digits_in_front_do_not_hide_a_number(before: str, noise: str, last: str) -> None:
    hidden = {digit for found in issued(f"{before}{noise}  {MIR}{last}") for digit in [found.digits]}

    assert MIR in hidden


@pytest.mark.parametrize(
    ("first", "scheme"),
    [
        ("2199", None), ("2200", Scheme.MIR), ("2204", Scheme.MIR), ("2205", None), ("2220", None),
        ("2221", Scheme.MASTERCARD), ("2720", Scheme.MASTERCARD), ("2721", None), ("50", Scheme.MAESTRO),
        ("51", Scheme.MASTERCARD), ("55", Scheme.MASTERCARD), ("56", Scheme.MAESTRO), ("69", Scheme.MAESTRO),
        ("70", None), ("3527", None), ("3528", Scheme.JCB), ("3589", Scheme.JCB), ("3590", None), ("34", Scheme.AMEX),
        ("62", Scheme.UNIONPAY), ("9860", Scheme.HUMO), ("8600", Scheme.UZCARD), ("9112", Scheme.BELCARD),
    ],
)  # fmt: skip
def test_schemes_end_where_their_ranges_do(first: str, scheme: Scheme | None) -> None:
    assert scheme_of(first.ljust(16, "0")) is scheme


def test_an_operation_of_sbp_is_no_card_number_whatever_digits_begin_it() -> None:
    """Site, year, day, time, then chance: now and then its first digits pass for a Maestro's."""
    for chance in range(3_000):
        trx_id = f"A6326143533{chance:06}" + "QWERTYUIOPASDFG"
        assert len(trx_id) == 32
        assert not list(issued(f'"{trx_id}"'))
    assert list(issued("A2200111753579001QWER"))
