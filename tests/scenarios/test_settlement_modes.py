"""One day of one merchant whose money we collect and of one that is paid directly, as an accountant reads it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest_asyncio

from api.payment_results import carry_out
from api.watching import resume_lost_link
from api.wiring import SbpRail
from checkout import onboarding as till_doors
from checkout import repository as till_rows
from checkout import till
from checkout.attempts import AttemptStatus
from checkout.bank_details import BankAccount, account_with_key
from checkout.orders import OrderRequest
from checkout.rail import Start, StartStatus
from ledger import chart, proofs
from ledger.accounts import find_account
from ledger.clock import Clock
from ledger.database import Engine, Session, text, transaction
from ledger.exports import beancount, hledger, naming
from ledger.ids import new_id
from ledger.money import Kopecks, Rounding, roubles
from reconciliation import repository as finance
from reconciliation.tariffs import BankTariff
from sbp_gateway import onboarding, refund_vouchers
from sbp_gateway import repository as sbp
from sbp_gateway.merchants import SbpMerchant, SettlementMode
from sbp_gateway.nspk import PROCESSED, LinkStatus, OperationStatus
from sbp_gateway.payload import build_dynamic
from sbp_gateway.qr_codes import QrStatus
from sbp_gateway.refunds import RefundablePayment, RefundCover
from sbp_gateway.registrations import MerchantSource
from tests.api.conftest import Client, client  # noqa: F401  # the fixture
from tests.ledger.exports.test_foreign_tools import beancount_balances, hledger_balances, our_balances

JOURNAL = Path(__file__).parent / "journals" / "settlement_modes.txt"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
WITHHOLDS, BILLS = "100000000111", "100000000222"
NAMES = {f"mer_{number:026}": name for number, name in enumerate(("collected", "billed", "direct"), 1)}
COLLECTED, BILLED, DIRECT = NAMES


@pytest_asyncio.fixture
async def merchants(engine: Engine) -> AsyncIterator[None]:
    """Three merchants with a till each: collected at two banks that charge in two ways, and direct."""
    async with transaction(engine) as session:
        for member_id, is_withheld in ((WITHHOLDS, True), (BILLS, False)):
            tariff = BankTariff(
                member_id, "everyday", "sbp", NOW.date(), 20, Kopecks(75_000), Rounding.DOWN, is_withheld, False, "test"
            )
            await finance.add_bank_tariff(session, tariff, now=NOW)
        await take_in(session, 1, COLLECTED, WITHHOLDS, SettlementMode.COLLECTED)
        await take_in(session, 2, BILLED, BILLS, SettlementMode.COLLECTED)
        await take_in(session, 3, DIRECT, WITHHOLDS, SettlementMode.DIRECT)
    yield


async def take_in(session: Session, number: int, merchant_id: str, member_id: str, mode: SettlementMode) -> None:
    account = account_with_key(BankAccount("044525225", f"4070281000000000000{number}"))
    await till_doors.onboard_merchant(
        session, merchant_id, name="n", legal_name="l", inn="7707083893", bank_account=account,
        tariff_group="everyday", now=NOW,
    )  # fmt: skip
    registered = SbpMerchant(merchant_id, f"MA000000000{number}", member_id, account.number, mode)
    await onboarding.import_merchant(
        session, new_id("sbr", NOW), registered, bik=account.bik, learnt_by=MerchantSource.ENTERED, now=NOW
    )
    store, terminal = merchant_id.replace("mer", "sto"), merchant_id.replace("mer", "ter")
    await till_doors.open_store(session, store, merchant_id=merchant_id, name="s", address="a", now=NOW)
    await till_doors.add_terminal(session, terminal, store_id=store, name="t", merchant_id=None, now=NOW)


async def pays(
    engine: Engine, merchant_id: str, number: str, kopecks: int, minute: int, *, is_late: bool = False
) -> str:
    """A buyer pays an order, in time or after its attempt was over. Gives the operation's id."""
    now = NOW + timedelta(minutes=minute)
    rail = SbpRail(None)  # type: ignore[arg-type]  # NSPK's answers are given below
    async with transaction(engine) as session:
        request = OrderRequest(merchant_id.replace("mer", "ter"), number, kopecks, None, now)
        order = await till.place_order(session, new_id("ord", now), request, merchant_id=None, now=now)
        attempt, offer = await till.begin_attempt(
            session, rail, new_id("att", now), order_id=order.id, merchant_id=None, now=now
        )
        qrc_id = f"AD10{number:0>28}".replace("-", "0").upper()
        link = Start(StartStatus.STARTED, qrc_id, build_dynamic(qrc_id, WITHHOLDS, Kopecks(kopecks)))
        await till.record_start(session, rail, offer, link, now=now)
        if is_late:
            await till.close_attempts(session, [attempt.id], AttemptStatus.EXPIRED)
        trx_id = hashlib.md5(number.encode(), usedforsecurity=False).hexdigest().upper()
        answer = LinkStatus(qrc_id, PROCESSED, OperationStatus.ACCEPTED, trx_id, "kzo")
        await carry_out(session, [answer], {}, now=now)
    return trx_id


async def journal(engine: Engine) -> str:
    """Every entry of the books, with names instead of ids."""
    async with transaction(engine) as session:
        rows = await session.execute(
            text("""SELECT e.happened_at, e.kind, d.code AS debit, c.code AS credit, p.amount, p.number
                      FROM postings AS p
                      JOIN postings AS e ON e.book = p.book AND e.entry_id = p.entry_id AND e.number = 1
                      JOIN accounts AS d ON d.book = p.book AND d.number = p.debit
                      JOIN accounts AS c ON c.book = p.book AND c.number = p.credit
                     ORDER BY e.happened_at, e.entry_id, p.number""")
        )
        found = rows.all()
    lines = []
    for row in found:
        if row.number == 1:
            lines.append(f'\n{row.happened_at.astimezone(UTC):%Y-%m-%d %H:%M} * "{row.kind}"')
        lines.append(f"  Дт {named(row.debit):<44} Кт {named(row.credit):<42} {roubles(row.amount):>10} RUB")
    return "\n".join(lines).strip() + "\n"


def named(code: str) -> str:
    for merchant_id, name in NAMES.items():
        code = code.replace(merchant_id, name)
    return code


async def balance(engine: Engine, code: str) -> int:
    async with transaction(engine) as session:
        account = await find_account(session, code)
    assert account is not None
    return account.balance


async def day(engine: Engine) -> dict[str, str]:
    """What buyers paid on the day."""
    return {
        number: await pays(engine, merchant_id, number, kopecks, minute, is_late=is_late)
        for minute, (number, merchant_id, kopecks, is_late) in enumerate([
            ("C-1", COLLECTED, 937_900, False), ("B-1", BILLED, 380_600, False), ("D-1", DIRECT, 392_300, False),
            ("C-2", COLLECTED, 50_000_000, False), ("D-2", DIRECT, 50_000_000, False),
            ("C-3", COLLECTED, 100, False), ("D-3", DIRECT, 100, False),
            ("C-4", COLLECTED, 149_990, True), ("D-4", DIRECT, 149_990, True),
        ])
    }  # fmt: skip


async def test_a_day_is_booked_as_the_committed_journal_says(engine: Engine, merchants: None) -> None:
    await day(engine)

    assert await journal(engine) == JOURNAL.read_text("utf-8")
    async with transaction(engine) as session:
        assert await proofs.broken_proofs(session) == []


async def test_foreign_tools_come_to_our_balances_with_memo_accounts(
    engine: Engine, merchants: None, tmp_path: Path
) -> None:
    await day(engine)
    await hledger.write(engine, "main", tmp_path / "day.journal")
    await beancount.write(engine, "main", tmp_path / "day.beancount")

    ours = await our_balances(engine, "main", None)
    memo = {code: amount for (code, _), amount in ours.items() if code.startswith("memo:")}
    assert len(memo) == 3
    assert sum(memo.values()) == 0
    assert hledger_balances(tmp_path / "day.journal") == {
        (naming.hledger_account(code), unit): amount for (code, unit), amount in ours.items()
    }
    assert beancount_balances(tmp_path / "day.beancount") == {
        (naming.beancount_account(code), unit): amount for (code, unit), amount in ours.items()
    }


async def test_only_collected_money_is_paid_out(client: Client, engine: Engine, merchants: None) -> None:  # noqa: F811
    await day(engine)

    run = (await client.post("/v1/payout-runs", {})).json()
    payouts = (await client.get(f"/v1/payouts?run_id={run['id']}")).json()["items"]

    assert {named(payout["merchant_id"]): payout["amount_kopecks"] for payout in payouts} == {
        "collected": 937_900 - 3_751 + 50_000_000 - 150_000 + 100, "billed": 380_600 - 1_522,
    }  # fmt: skip
    named_run = await client.post("/v1/payout-runs", {"merchant_ids": [DIRECT]})
    assert named_run.json()["payouts"] == 0
    assert await balance(engine, chart.fee_receivable(DIRECT)) == 1_569 + 150_000
    assert await balance(engine, chart.sbp_direct_sales(DIRECT)) == 392_300 + 50_000_000 + 100
    assert await balance(engine, chart.sbp_direct_late(DIRECT)) == 149_990
    assert await balance(engine, chart.SBP_BANK_FEE) == 1_875 + 75_000 + 299 + 761


async def test_a_payment_keeps_to_the_registration_its_code_was_asked_for_by(engine: Engine, merchants: None) -> None:
    """The merchant changes to direct while a buyer holds a code: that payment is still collected."""
    async with transaction(engine) as session:
        account = account_with_key(BankAccount("044525974", "40702810000000000009"))
        direct = SbpMerchant(COLLECTED, "MA0000000009", BILLS, account.number, SettlementMode.DIRECT)
        found = await sbp.live_merchant(session, COLLECTED)
    trx_id = await pays_after(engine, direct, account.bik)
    async with transaction(engine) as session:
        row = (await session.execute(text("SELECT * FROM sbp_payments WHERE trx_id = :id"), {"id": trx_id})).one()
    assert found is not None
    assert (row.settlement_mode, row.registration_id, row.bank_fee_kopecks) == ("collected", found.registration_id, 200)

    await pays(engine, COLLECTED, "C-10", 100_000, 20)
    assert await balance(engine, chart.sbp_direct_sales(COLLECTED)) == 100_000
    async with transaction(engine) as session:
        assert await sbp.collecting_members(session, [COLLECTED, DIRECT]) == {COLLECTED: WITHHOLDS}


async def pays_after(engine: Engine, another: SbpMerchant, bik: str) -> str:
    """A buyer pays a code after its merchant went over to another registration."""
    rail = SbpRail(None)  # type: ignore[arg-type]  # NSPK's answers are given below
    qrc_id, trx_id = f"AD10{'9' * 28}", "9" * 32
    async with transaction(engine) as session:
        request = OrderRequest(COLLECTED.replace("mer", "ter"), "C-9", 100_000, None, NOW)
        order = await till.place_order(session, new_id("ord", NOW), request, merchant_id=None, now=NOW)
        _, offer = await till.begin_attempt(
            session, rail, new_id("att", NOW), order_id=order.id, merchant_id=None, now=NOW
        )
        link = Start(StartStatus.STARTED, qrc_id, build_dynamic(qrc_id, WITHHOLDS, Kopecks(100_000)))
        await till.record_start(session, rail, offer, link, now=NOW)
        await onboarding.import_merchant(
            session, new_id("sbr", NOW), another, bik=bik, learnt_by=MerchantSource.ENTERED, now=NOW
        )
        await carry_out(session, [LinkStatus(qrc_id, PROCESSED, OperationStatus.ACCEPTED, trx_id, "kzo")], {}, now=NOW)
    return trx_id


async def test_a_lost_code_of_a_suspended_merchant_is_given_up(engine: Engine, merchants: None) -> None:
    rail = SbpRail(None)  # type: ignore[arg-type]  # NSPK never answers here
    async with transaction(engine) as session:
        request = OrderRequest(COLLECTED.replace("mer", "ter"), "C-9", 100_000, None, NOW)
        order = await till.place_order(session, new_id("ord", NOW), request, merchant_id=None, now=NOW)
        attempt, _ = await till.begin_attempt(
            session, rail, new_id("att", NOW), order_id=order.id, merchant_id=None, now=NOW
        )
        found = await sbp.live_merchant(session, COLLECTED)
        assert found is not None
        assert found.registration_id is not None
        await onboarding.suspend(session, found.registration_id, reason="r", now=NOW)
        (lost,) = await sbp.take_due(
            session, QrStatus.REQUESTED, now=NOW + timedelta(hours=1), lease_until=NOW + timedelta(hours=2), limit=9
        )
    assert await resume_lost_link(engine, None, Clock(), lost) is None  # type: ignore[arg-type, func-returns-value]
    async with transaction(engine) as session:
        (ended,) = await till_rows.lock_attempts(session, [attempt.id])
        codes = await sbp.shown_by_attempt(session, [attempt.id])
    assert (ended.status, codes) == (AttemptStatus.EXPIRED, {})


async def test_a_direct_refund_is_remembered_and_our_fee_comes_off_the_bill(engine: Engine, merchants: None) -> None:
    trx_id = await pays(engine, DIRECT, "D-1", 392_300, 0)
    async with transaction(engine) as session:
        row = (await session.execute(text("SELECT * FROM sbp_payments WHERE trx_id = :id"), {"id": trx_id})).one()
        payment = RefundablePayment(
            id=row.id, attempt_id=row.attempt_id, merchant_id=DIRECT, nspk_merchant_id="MA0000000003",
            member_id=WITHHOLDS, qrc_id="q", trx_id=trx_id, kzo="kzo", amount=Kopecks(392_300), fee=Kopecks(1_569),
            is_late=False, settlement_mode=SettlementMode.DIRECT, refund_kopecks=Kopecks(0),
        )  # fmt: skip
        cover = RefundCover(own=Kopecks(392_300), fee_returned=Kopecks(1_569), fee_billed=Kopecks(0))
        await refund_vouchers.reserve(session, "ref_1", payment, cover, now=NOW)
        sales = await find_account(session, chart.sbp_direct_sales(DIRECT))
        bill = await find_account(session, chart.fee_receivable(DIRECT))
    assert sales is not None
    assert bill is not None
    assert (sales.available, bill.available) == (0, 0)
