"""Taking merchants in, and opening their stores and terminals."""

from __future__ import annotations

from datetime import datetime

from checkout import repository
from checkout.bank_details import BankAccount, check_bank_account, check_inn, check_ogrn
from checkout.errors import StoreNotFound
from checkout.merchants import Merchant, Store, Terminal
from ledger import chart
from ledger.accounts import AccountTerms, open_account
from ledger.database import Session


async def onboard_merchant(
    session: Session, merchant_id: str, *, name: str, legal_name: str, inn: str, bank_account: BankAccount,
    tariff_group: str, ogrn: str | None = None, now: datetime,
) -> Merchant:  # fmt: skip
    """Take a merchant in and open the account of what we owe it, which may not be overdrawn.

    Raises: InvalidInn, InvalidOgrn or InvalidBankAccount.
    """
    check_inn(inn)
    if ogrn is not None:
        check_ogrn(ogrn, inn)
    check_bank_account(bank_account)
    merchant = Merchant(merchant_id, name, legal_name, inn, bank_account, tariff_group, now, ogrn)
    await repository.add_merchant(session, merchant)
    await open_account(session, AccountTerms(chart.merchant_payable(merchant.id), available_min=0), now=now)
    return merchant


async def open_store(
    session: Session, store_id: str, *, merchant_id: str, name: str, address: str, now: datetime
) -> Store:
    """Open a store. Raises: MerchantNotFound."""
    await repository.load_merchant(session, merchant_id)
    store = Store(store_id, merchant_id, name, address, now)
    await repository.add_store(session, store)
    return store


async def add_terminal(
    session: Session, terminal_id: str, *, store_id: str, name: str, merchant_id: str | None, now: datetime
) -> Terminal:
    """Put a till into a store. Raises: StoreNotFound if there is none, or it is another merchant's."""
    store = await repository.load_store(session, store_id)
    if merchant_id not in (None, store.merchant_id):
        raise StoreNotFound(store_id=store_id)
    terminal = Terminal(terminal_id, store_id, store.merchant_id, name, now)
    await repository.add_terminal(session, terminal)
    return terminal
