"""Our words in the spelling of foreign tools: account names, commodities, amounts.

Every mapping is one to one, so that two accounts of ours never become one of theirs.
"""

from __future__ import annotations

import re

HLEDGER_ROOTS = {
    "asset": "Assets",
    "liability": "Liabilities",
    "equity": "Equity",
    "income": "Income",
    "expense": "Expenses",
    "memo": "Memo",
}
"""hledger knows the types of the first five by name; ``Memo`` (off the balance sheet) has none."""

BEANCOUNT_ROOTS = HLEDGER_ROOTS | {"memo": "Equity:Memo"}
"""Beancount has exactly five roots, so memo accounts live under equity: they come in pairs and net to zero.

Source: Beancount Language Syntax, Accounts.
"""

_SIMPLE = re.compile(r"[a-z0-9][A-Za-z0-9_]*")
_LOOKS_MARKED = re.compile(r".*_X[a-z]+")
_LEGAL_COMMODITY_END = re.compile(r"[A-Z0-9]")
_RESERVED = {"memo", "opening_balances"}
"""First words under ``Equity`` that the export itself uses."""
_DASH_SOURCES = {"_": "u", "-": "h", ".": "d"}


def hledger_account(code: str) -> str:
    """``liability:merchant_payable:mer_1`` is ``Liabilities:merchant_payable:mer_1``."""
    root, _, path = code.partition(":")
    return f"{HLEDGER_ROOTS[root]}:{path}"


def beancount_account(code: str) -> str:
    """``liability:merchant_payable:mer_1`` is ``Liabilities:Merchant-payable:Mer-1``.

    A Beancount name begins with a capital or a digit and has only letters, digits and dashes.
    What such a spelling loses is kept in a mark: ``Tinkoff-Bank.ru`` is ``Tinkoff-Bank-ru-Xchd``
    (a capital, a hyphen, a dot).
    Source: Beancount Language Syntax, Accounts.
    """
    root, *components = code.split(":")
    is_reserved = root == "equity" and components[0].lower() in _RESERVED
    names = [
        _beancount_component(component, must_mark=is_reserved and place == 0)
        for place, component in enumerate(components)
    ]
    return ":".join((BEANCOUNT_ROOTS[root], *names))


def _beancount_component(component: str, *, must_mark: bool) -> str:
    name = re.sub(r"[_.-]", "-", component)
    starts_with_dash = name[0] == "-"
    name = f"0{name}" if starts_with_dash else name[0].upper() + name[1:]
    if _SIMPLE.fullmatch(component) and not _LOOKS_MARKED.fullmatch(component) and not must_mark:
        return name
    first = "z" if starts_with_dash else "c" if component[0].isupper() else "s"
    sources = "".join(_DASH_SOURCES[character] for character in component if character in _DASH_SOURCES)
    return f"{name}-X{first}{sources}"


def commodity_symbol(commodity: str) -> str:
    """``PTS:coffee_club`` is ``PTS.COFFEE_CLUB``; ``RUB`` is itself. Legal in both tools.

    Source: Beancount Language Syntax, Commodities / Currencies.
    """
    symbol = commodity.replace(":", ".").upper()
    return symbol if _LEGAL_COMMODITY_END.fullmatch(symbol[-1]) else f"{symbol}.0"


def decimal_amount(amount: int, scale: int, point: str = ".") -> str:
    """The amount with the decimals of its commodity: 149990 at scale 2 is ``1499.90``."""
    if scale == 0:
        return str(amount)
    whole, rest = divmod(abs(amount), 10**scale)
    return f"{'-' if amount < 0 else ''}{whole}{point}{rest:0{scale}}"
