"""The sandbox's own shop of Долями, so that a client can be tried at once: a merchant with terms, a login, a password.

Kept in the data directory, so that all of it stays the same from run to run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from api.contracts.dolyame import shops
from api.contracts.dolyame.shops import DolyameShop, Profile, fingerprint_of
from api.data_dir import write_private
from api.dolyame_certificates import SHOP, DolyameCertificates, read_certificate
from checkout.bank_details import BankAccount, account_with_key
from checkout.onboarding import onboard_merchant
from installments.products import MerchantTerms
from installments.repository import add_merchant_terms, merchant_terms_on
from ledger.clock import machine_now, moscow_day
from ledger.database import Session, create_engine, transaction
from ledger.ids import new_id

SHOP_FILE = "shop.json"
LOGIN = "sandbox"
FEE_BASIS_POINTS = 690
"""Source: one real shop's rate of 2023; installments.md, 1.8."""


@dataclass(frozen=True, slots=True)
class SandboxShop:
    """What a client of the sandbox is given."""

    merchant_id: str
    login: str
    password: str


async def sandbox_shop(database_url: str, certificates: DolyameCertificates) -> SandboxShop:
    """The shop of the last run while its password and certificate work, or a new one."""
    engine = create_engine(database_url, size=1)
    file, now = certificates.folder / SHOP_FILE, machine_now()
    fingerprint = fingerprint_of(read_certificate(certificates.certificate(SHOP)))
    try:
        async with transaction(engine) as session:
            kept = _kept(file)
            if kept is not None and await _works(session, kept, fingerprint, now):
                return kept
            made = await _make(session, fingerprint, now)
        write_private(file, json.dumps({"merchant_id": made.merchant_id, "login": LOGIN, "password": made.password}))
        return made
    finally:
        await engine.dispose()


def _kept(file: Path) -> SandboxShop | None:
    return SandboxShop(**json.loads(file.read_text())) if file.is_file() else None


async def _works(session: Session, kept: SandboxShop, fingerprint: bytes, now: datetime) -> bool:
    known = await shops.find_known(session, kept.login, kept.password.encode(), now=now)
    return known is not None and known.credentials.certificate_fingerprint == fingerprint


async def _make(session: Session, fingerprint: bytes, now: datetime) -> SandboxShop:
    known = await shops.find_shop(session, LOGIN)
    merchant_id = known.merchant_id if known is not None else await _take_in(session, now)
    await shops.add_shop(session, DolyameShop(LOGIN, merchant_id, shops.PRODUCT, Profile.STRICT), now=now)
    _, password = await shops.issue_credentials(session, LOGIN, fingerprint, now=now)
    return SandboxShop(merchant_id, LOGIN, password.expose())


async def _take_in(session: Session, now: datetime) -> str:
    """A merchant that sells by installments from today on."""
    merchant_id, today = new_id("mer", now), moscow_day(now)
    await onboard_merchant(
        session, merchant_id, name="Лавка", legal_name="ООО «Лавка»", inn="7707083893", tariff_group="standard",
        bank_account=account_with_key(BankAccount("044525225", "40702810000000000007")), now=now,
    )  # fmt: skip
    if await merchant_terms_on(session, merchant_id, shops.PRODUCT, today) is None:
        await add_merchant_terms(
            session, MerchantTerms(merchant_id, shops.PRODUCT, today, FEE_BASIS_POINTS, None, None)
        )
    return merchant_id
