"""What a merchant is known by to the tax service and to banks: check digits of INN, OGRN and of accounts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from checkout.errors import InvalidBankAccount, InvalidInn, InvalidOgrn

_INN_10 = (2, 4, 10, 3, 5, 9, 4, 6, 8)
_INN_11 = (7, *_INN_10)
_INN_12 = (3, *_INN_11)
_ACCOUNT_WEIGHTS = (7, 1, 3)
_OF_THE_BANK_OF_RUSSIA = ("000", "001", "002")
"""Last digits of a BIK that belong to the Bank of Russia's own branches."""


@dataclass(frozen=True, slots=True)
class BankAccount:
    """A merchant's account in its bank."""

    bik: str
    """The bank: 9 digits."""
    number: str
    """The account: 20 digits, the ninth is the key."""


def check_inn(inn: str) -> None:
    """Refuse an INN with wrong check digits.

    Raises: InvalidInn.
    Source: order of the Federal Tax Service MMV-7-6/435@ of 29 June 2012, on the structure of the INN.
    """
    if not re.fullmatch(r"[0-9]{10}|[0-9]{12}", inn) or not inn.strip("0"):
        raise InvalidInn(expected="10 or 12 digits")
    keys = (_INN_10,) if len(inn) == 10 else (_INN_11, _INN_12)
    if any(_inn_digit(inn, weights) != inn[len(weights)] for weights in keys):
        raise InvalidInn(expected="right check digits")


def _inn_digit(inn: str, weights: tuple[int, ...]) -> str:
    total = sum(weight * int(digit) for weight, digit in zip(weights, inn, strict=False))
    return str(total % 11 % 10)


def check_ogrn(ogrn: str, inn: str) -> None:
    """Refuse an OGRN (13 digits) or an entrepreneur's OGRNIP (15) with a wrong check digit, or the other's.

    The digit is the rest of the number before it divided by 11, or by 13 in an OGRNIP; of ten the last digit.
    Raises: InvalidOgrn.
    Source: order of the Ministry of Finance 165n of 30 October 2017, on the state registers of legal entities and
    entrepreneurs; an organisation has an INN of 10 digits, a person of 12.
    """
    if not re.fullmatch(r"[1-9][0-9]{12}|3[0-9]{14}", ogrn):
        raise InvalidOgrn(expected="13 digits, or 15 that begin with 3")
    if len(ogrn) != (13 if len(inn) == 10 else 15):
        raise InvalidOgrn(expected="13 digits with an INN of 10, 15 with an INN of 12")
    divisor = 11 if len(ogrn) == 13 else 13
    if int(ogrn[:-1]) % divisor % 10 != int(ogrn[-1]):
        raise InvalidOgrn(expected="a right check digit")


def check_bank_account(account: BankAccount) -> None:
    """Refuse an account whose key does not fit its number and its bank.

    The digits of the bank and of the account, weighed 7, 1, 3 and so on, add up to a multiple of ten.
    Raises: InvalidBankAccount.
    Source: Bank of Russia, order 515 of 8 September 1997, on the key of account numbers.
    """
    if not re.fullmatch(r"[0-9]{9}", account.bik):
        raise InvalidBankAccount(field="bik", expected="9 digits")
    if not re.fullmatch(r"[0-9]{20}", account.number):
        raise InvalidBankAccount(field="number", expected="20 digits")
    if _key_sum(account) != 0:
        raise InvalidBankAccount(field="number", expected="the key that fits the BIK")


def account_with_key(account: BankAccount) -> BankAccount:
    """The same account with the right key in its ninth digit."""
    for key in "0123456789":
        keyed = BankAccount(account.bik, account.number[:8] + key + account.number[9:])
        if _key_sum(keyed) == 0:
            return keyed
    raise AssertionError("one of ten digits always fits")


def _key_sum(account: BankAccount) -> int:
    of_the_bank = f"0{account.bik[4:6]}" if account.bik.endswith(_OF_THE_BANK_OF_RUSSIA) else account.bik[-3:]
    digits = of_the_bank + account.number
    return sum(int(digit) * _ACCOUNT_WEIGHTS[place % 3] % 10 for place, digit in enumerate(digits)) % 10
