"""Check digits of INN and of bank accounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.bank_details import BankAccount, account_with_key, check_bank_account, check_inn, check_ogrn
from checkout.errors import InvalidBankAccount, InvalidInn, InvalidOgrn


@pytest.mark.parametrize("inn", ["7707083893", "7736050003", "500100732259"])
def test_real_inns_are_taken(inn: str) -> None:
    check_inn(inn)


@pytest.mark.parametrize(
    "inn",
    [
        pytest.param("7707083894", id="wrong last digit of ten"),
        pytest.param("500100732258", id="wrong last digit of twelve"),
        pytest.param("500100732269", id="wrong digit before the last of twelve"),
        pytest.param("77070838", id="too short"),
        pytest.param("0000000000", id="zeros"),
        pytest.param("٧٧٠٧٠٨٣٨٩٣", id="other digits"),
        pytest.param("7707083893 ", id="a space"),
        pytest.param("", id="nothing"),
    ],
)
def test_wrong_inns_are_refused(inn: str) -> None:
    with pytest.raises(InvalidInn):
        check_inn(inn)


@pytest.mark.parametrize(
    ("ogrn", "inn"),
    [
        pytest.param("1027700132195", "7707083893", id="a bank"),
        pytest.param("1027700070518", "7736050003", id="a company"),
        pytest.param("304500116000157", "500100732259", id="an entrepreneur"),
    ],
)
def test_real_ogrns_are_taken(ogrn: str, inn: str) -> None:
    check_ogrn(ogrn, inn)


@pytest.mark.parametrize(
    ("ogrn", "inn"),
    [
        pytest.param("1027700132196", "7707083893", id="wrong last digit of thirteen"),
        pytest.param("304500116000158", "500100732259", id="wrong last digit of fifteen"),
        pytest.param("304500116000157", "7707083893", id="an entrepreneur's with a company's INN"),
        pytest.param("1027700132195", "500100732259", id="a company's with a person's INN"),
        pytest.param("10277001321951", "7707083893", id="fourteen digits"),
        pytest.param("0027700132195", "7707083893", id="begins with zero"),
        pytest.param("104500116000157", "500100732259", id="fifteen that do not begin with 3"),
        pytest.param("٧٠٢٧٧٠٠١٣٢١٩٥", "7707083893", id="other digits"),
        pytest.param("", "7707083893", id="nothing"),
    ],
)
def test_wrong_ogrns_are_refused(ogrn: str, inn: str) -> None:
    with pytest.raises(InvalidOgrn):
        check_ogrn(ogrn, inn)


@given(st.integers(10**11, 10**12 - 1), st.integers(0, 9))
def test_one_digit_of_ten_fits_an_ogrn(head: int, other: int) -> None:
    fits = [digit for digit in range(10) if is_ogrn(f"{head}{digit}")]
    assert len(fits) == 1
    assert is_ogrn(f"{head}{other}") == (other in fits)


def is_ogrn(ogrn: str) -> bool:
    try:
        check_ogrn(ogrn, "7707083893")
    except InvalidOgrn:
        return False
    return True


def test_an_account_whose_key_fits_its_bank_is_taken() -> None:
    check_bank_account(BankAccount("044525225", KEYED))


KEYED = account_with_key(BankAccount("044525225", "40702810000000000001")).number


@pytest.mark.parametrize(
    ("bik", "number"),
    [
        pytest.param("044525225", KEYED[:8] + str((int(KEYED[8]) + 1) % 10) + KEYED[9:], id="another key"),
        pytest.param("044525226", KEYED, id="another bank"),
        pytest.param("04452522", KEYED, id="a BIK too short"),
        pytest.param("044525225", KEYED[:-1], id="an account too short"),
        pytest.param("044525225", KEYED[:-1] + "A", id="a letter"),
    ],
)
def test_accounts_whose_key_does_not_fit_are_refused(bik: str, number: str) -> None:
    with pytest.raises(InvalidBankAccount):
        check_bank_account(BankAccount(bik, number))


def test_accounts_at_the_bank_of_russia_are_weighed_by_its_branch() -> None:
    keyed = account_with_key(BankAccount("044525000", "40101810000000000001"))
    check_bank_account(keyed)
    digits = "0" + keyed.bik[4:6] + keyed.number
    assert sum(int(digit) * (7, 1, 3)[place % 3] for place, digit in enumerate(digits)) % 10 == 0


@given(st.from_regex(r"[0-9]{9}", fullmatch=True), st.from_regex(r"[0-9]{20}", fullmatch=True), st.integers(0, 19))
def test_any_one_wrong_digit_of_an_account_is_found(bik: str, number: str, place: int) -> None:
    keyed = account_with_key(BankAccount(bik, number))
    check_bank_account(keyed)
    wrong = keyed.number[:place] + str((int(keyed.number[place]) + 1) % 10) + keyed.number[place + 1 :]
    with pytest.raises(InvalidBankAccount):
        check_bank_account(BankAccount(bik, wrong))
