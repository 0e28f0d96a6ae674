"""Two names of ours never become one name of a foreign tool."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.exports.naming import beancount_account, commodity_symbol, decimal_amount, hledger_account

roots = st.sampled_from(["asset", "liability", "equity", "income", "expense", "memo"])
words = st.text("aAbX019_.-", min_size=1, max_size=6) | st.sampled_from(["memo", "Memo", "opening_balances", "a_Xs"])
codes = st.tuples(roots, st.lists(words, min_size=1, max_size=3)).map(lambda parts: ":".join((parts[0], *parts[1])))
commodities = st.just("RUB") | st.text("ab0_-", min_size=1, max_size=5).map("PTS:{}".format)

BEANCOUNT_NAME = re.compile(r"(Assets|Liabilities|Equity|Income|Expenses)(:[A-Z0-9][A-Za-z0-9-]*)+")
BEANCOUNT_COMMODITY = re.compile(r"[A-Z][A-Z0-9'._-]*[A-Z0-9]")


@pytest.mark.parametrize(
    ("code", "hledger", "beancount"),
    [
        ("liability:payable:mer_01", "Liabilities:payable:mer_01", "Liabilities:Payable:Mer-01"),
        ("asset:bank:Tinkoff-Bank.ru", "Assets:bank:Tinkoff-Bank.ru", "Assets:Bank:Tinkoff-Bank-ru-Xchd"),
        ("memo:guarantees", "Memo:guarantees", "Equity:Memo:Guarantees"),
        ("equity:memo", "Equity:memo", "Equity:Memo-Xs"),
        ("income:_x", "Income:_x", "Income:0-x-Xzu"),
    ],
)  # fmt: skip
def test_a_name_stays_readable(code: str, hledger: str, beancount: str) -> None:
    assert hledger_account(code) == hledger
    assert beancount_account(code) == beancount


@given(codes, codes)
def test_different_accounts_get_different_legal_names(one: str, other: str) -> None:
    assert BEANCOUNT_NAME.fullmatch(beancount_account(one))
    assert (beancount_account(one) == beancount_account(other)) == (one == other)
    assert (hledger_account(one) == hledger_account(other)) == (one == other)
    assert not beancount_account(one).startswith("Equity:Opening-Balances:")
    assert beancount_account(one) != "Equity:Opening-Balances"


@given(commodities, commodities)
def test_different_commodities_get_different_legal_symbols(one: str, other: str) -> None:
    assert BEANCOUNT_COMMODITY.fullmatch(commodity_symbol(one))
    assert (commodity_symbol(one) == commodity_symbol(other)) == (one == other)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 6))
def test_an_amount_reads_back(amount: int, scale: int) -> None:
    assert Decimal(decimal_amount(amount, scale)) * 10**scale == amount
    assert len(decimal_amount(amount, scale).partition(".")[2]) == scale
