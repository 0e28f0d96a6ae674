"""Money without an order is booked by the registration of the link it came by, whichever the merchant uses now."""

from __future__ import annotations

from datetime import datetime

import pytest_asyncio

from api import unmatched_money
from checkout import onboarding as till_doors
from checkout.bank_details import BankAccount, account_with_key
from ledger.database import Engine, Session, text, transaction
from ledger.money import Kopecks
from sbp_gateway import cash_link_repository, onboarding, unmatched_repository
from sbp_gateway.cash_links import CashLink, CashLinkStatus, LinkState, SaleState
from sbp_gateway.merchants import SbpMerchant, SettlementMode
from sbp_gateway.nspk import OperationStatus
from sbp_gateway.registrations import MerchantSource
from sbp_gateway.stickers import Sticker
from sbp_gateway.unmatched_payments import UnmatchedReason

MERCHANT, STORE, TERMINAL = (f"{kind}_" + "0" * 26 for kind in ("mer", "sto", "ter"))
OLD_BANK, NEW_BANK = "100000000111", "100000000222"
OLD, NEW = f"sbr_{1:026}", f"sbr_{2:026}"
OLD_ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
NEW_ACCOUNT = account_with_key(BankAccount("044525974", "40702810000000000002"))


async def registered(
    session: Session, registration: str, member: str, account: BankAccount, mode: SettlementMode, now: datetime
) -> None:
    merchant = SbpMerchant(MERCHANT, f"MA0000000{member[-3:]}", member, account.number, mode)
    await onboarding.import_merchant(
        session, registration, merchant, bik=account.bik, learnt_by=MerchantSource.ENTERED, now=now
    )
    await onboarding.activate(session, registration, now=now)


@pytest_asyncio.fixture
async def sticker(engine: Engine, now: datetime) -> Sticker:
    """A merchant that was paid directly, whose money is collected by another bank now; its plate and sticker."""
    sticker = Sticker(
        "stk_" + "0" * 26, MERCHANT, STORE, TERMINAL, None, "Кофе", "S" * 32, "https://…", now, registration_id=OLD
    )
    link = CashLink(
        "csh_" + "0" * 26, MERCHANT, STORE, TERMINAL, OLD_ACCOUNT.number, CashLinkStatus.REQUESTED, "C" * 32, None, now
    )
    async with transaction(engine) as session:
        await till_doors.onboard_merchant(
            session, MERCHANT, name="n", legal_name="l", inn="7707083893", bank_account=OLD_ACCOUNT,
            tariff_group="everyday", now=now,
        )  # fmt: skip
        await registered(session, OLD, OLD_BANK, OLD_ACCOUNT, SettlementMode.DIRECT, now)
        await till_doors.open_store(session, STORE, merchant_id=MERCHANT, name="s", address="a", now=now)
        await till_doors.add_terminal(session, TERMINAL, store_id=STORE, name="t", merchant_id=None, now=now)
        await unmatched_repository.add_sticker(session, sticker)
        await cash_link_repository.add_cash_link(session, link, next_try_at=now)
        await registered(session, NEW, NEW_BANK, NEW_ACCOUNT, SettlementMode.COLLECTED, now)
    return sticker


async def booked(engine: Engine) -> list[tuple[str, str, bool]]:
    async with transaction(engine) as session:
        rows = await session.execute(
            text("""SELECT u.settlement_mode, u.registration_id, o.member_id,
                           EXISTS (SELECT FROM accounts WHERE code = 'asset:sbp_settlement:' || :new_bank
                                      AND debits_posted > 0) AS is_collected
                      FROM sbp_unmatched_payments AS u JOIN sbp_operations AS o ON o.id = u.id"""),
            {"new_bank": NEW_BANK},
        )
        return [tuple(row) for row in rows]


async def test_money_of_a_sticker_is_of_the_registration_that_it_was_made_by(
    engine: Engine, sticker: Sticker, now: datetime
) -> None:
    async with transaction(engine) as session:
        found = await unmatched_repository.load_sticker(session, sticker.id, merchant_id=None)
        await unmatched_money.keep_by_sticker(session, found, "T" * 32, "9F2C", Kopecks(50_000), now, now=now)

    assert await booked(engine) == [("direct", OLD, OLD_BANK, False)]


async def test_money_of_a_plate_is_of_the_registration_of_its_account(
    engine: Engine, sticker: Sticker, now: datetime
) -> None:
    sale = SaleState(LinkState.INACTIVATED, OperationStatus.ACCEPTED, "T" * 32, Kopecks(50_000), now, "9F2C")
    async with transaction(engine) as session:
        reason = UnmatchedReason.ACTIVATION_UNKNOWN
        await unmatched_money.keep_sale(session, MERCHANT, "csh_" + "0" * 26, sale, reason, now=now)

    assert await booked(engine) == [("direct", OLD, OLD_BANK, False)]
