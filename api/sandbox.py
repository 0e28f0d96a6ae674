"""What a sandbox begins with, so that a newcomer can call everything at once: an API key, the list of banks,
the operator of plans."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from api.callers import Callers, create_key
from api.data_dir import write_private
from api.errors import CallRejected
from checkout.bank_details import BankAccount, account_with_key
from checkout.merchants import Store, Terminal
from checkout.onboarding import onboard_merchant
from checkout.repository import add_store, add_terminal
from installments.repository import Licence, add_licence, choose_operator, licence_on, operator_merchant
from ledger.clock import machine_now, moscow_day
from ledger.database import Session, create_engine, transaction
from ledger.ids import new_id
from ledger.money import Kopecks
from sbp_gateway.bank_list import bundled_banks, import_banks, list_banks

KEY_FILE = "sandbox_key"
"""In the data directory, so that the key stays the same from run to run."""
OPERATOR_TARIFFS = "operator"
"""The tariff group of our own house: its charges cost it nothing."""
LICENSED_ON = date(2026, 4, 1)
CAPITAL = Kopecks(500_000_000)
"""What the law asks for: five million roubles."""


async def all_powerful_key(database_url: str, folder: Path | None) -> str:
    """An API key that may do everything: the one kept in ``folder`` while it works, or a new one."""
    engine = create_engine(database_url, size=1)
    try:
        kept = folder / KEY_FILE if folder is not None else None
        if kept is not None and kept.exists():
            key = kept.read_text().strip()
            try:
                await Callers(engine, "test").identify(f"Bearer {key}".encode(), machine_now())
            except CallRejected:
                pass  # revoked, or made for a database that is gone
            else:
                return key
        async with transaction(engine) as session:
            _, secret = await create_key(session, name="sandbox", scopes=["admin"], mode="test", now=machine_now())
        if kept is not None:
            write_private(kept, secret.expose())
        return secret.expose()
    finally:
        await engine.dispose()


async def take_in_banks(database_url: str) -> None:
    """Give a sandbox that has no list of banks the bundled one; a list of its own is left alone."""
    engine = create_engine(database_url, size=1)
    try:
        async with transaction(engine) as session:
            if not await list_banks(session):
                await import_banks(session, bundled_banks(), now=machine_now())
    finally:
        await engine.dispose()


async def take_in_operator(database_url: str) -> str:
    """Give a sandbox the merchant of our own house and an active licence, so that plans can be made; gives its id."""
    engine = create_engine(database_url, size=1)
    try:
        async with transaction(engine) as session:
            return await found_operator(session, now=machine_now())
    finally:
        await engine.dispose()


async def found_operator(session: Session, *, now: datetime) -> str:
    """The merchant of our own house; one is taken in if there is none yet, and our licence recorded."""
    known = await operator_merchant(session)
    if known is not None:
        return known
    operator_id = new_id("mer", now)
    account = account_with_key(BankAccount("044525225", "40702810000000000009"))
    await onboard_merchant(
        session, operator_id, name="Оператор рассрочки", legal_name="ООО Оператор рассрочки", inn="7707083893",
        bank_account=account, tariff_group=OPERATOR_TARIFFS, now=now,
    )  # fmt: skip
    await choose_operator(session, operator_id)
    await _open_till(session, operator_id, now)
    if await licence_on(session, moscow_day(now)) is None:
        await add_licence(session, Licence(LICENSED_ON, "SANDBOX-1", True, CAPITAL))
    return operator_id


async def _open_till(session: Session, operator_id: str, now: datetime) -> None:
    """A till of the operator's own: installments by an account binding are orders of it."""
    store = Store(new_id("sto", now), operator_id, "Рассрочка", "Москва", now)
    await add_store(session, store)
    await add_terminal(session, Terminal(new_id("ter", now), store.id, operator_id, "Списания", now))
