"""A small set of accounts and the short words that the ledger's tests speak."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ledger import accounts
from ledger.database import Engine, transaction
from ledger.entry import Entry, Posting

CASH = "asset:cash:main"
TILL = "asset:cash:till"
"""May not hold more than 1,000 kopecks."""
PAYABLE = "liability:merchant_payable:mer_test"
"""May not be overdrawn."""
FEES = "income:fee:sbp"
POINTS = "liability:points:club"
PROGRAMME = "expense:points:club"


async def open_test_accounts(engine: Engine, now: datetime) -> None:
    async with transaction(engine) as session:
        await accounts.open_commodity(session, "PTS:club", 0, now=now)
        for terms in (
            accounts.AccountTerms(CASH),
            accounts.AccountTerms(TILL, balance_max=1_000),
            accounts.AccountTerms(PAYABLE, available_min=0),
            accounts.AccountTerms(FEES),
            accounts.AccountTerms(POINTS, commodity="PTS:club"),
            accounts.AccountTerms(PROGRAMME, commodity="PTS:club"),
        ):
            await accounts.open_account(session, terms, now=now)


def entry(reference: str, debit: str, credit: str, amount: int, now: datetime, **more: Any) -> Entry:
    commodity = more.pop("commodity", "RUB")
    return Entry(reference, "test", more.pop("happened_at", now), (Posting(debit, credit, amount, commodity),), **more)
