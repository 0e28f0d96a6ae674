"""Payout runs against the books: nothing is paid twice, nothing above what is owed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest
import pytest_asyncio

from checkout import onboarding
from checkout.bank_details import BankAccount, account_with_key
from ledger import chart, journal
from ledger.accounts import AccountTerms, find_account, open_account
from ledger.database import Engine, transaction
from ledger.entry import Entry, Posting
from ledger.ids import new_id
from ledger.outbox import list_events
from reconciliation import paying_out, repository
from reconciliation.bank import BankAnswer, BankStatus
from reconciliation.payouts import Payee, Payout, PayoutRun, PayoutStatus, wait_before_try

SETTLEMENT = chart.sbp_settlement("100000000999")
ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))


@dataclass
class Finance:
    """A merchant with a payable, and payout runs over it."""

    engine: Engine
    now: datetime
    payee: Payee

    async def earn(self, amount: int, at: datetime) -> None:
        postings = (Posting(SETTLEMENT, chart.merchant_payable(self.payee.merchant_id), amount),)
        async with transaction(self.engine) as session:
            entry = Entry(f"sale:{at.isoformat()}:{amount}", "sale", at, postings)
            await journal.post(session, entry, now=self.now)

    async def run(self, through_on: date | None = None) -> tuple[PayoutRun, list[Payout]]:
        async with transaction(self.engine) as session:
            return await paying_out.start_run(session, [self.payee], through_on=through_on, now=self.now)

    async def answer(self, payout: Payout, status: BankStatus | None) -> Payout:
        answer = None if status is None else BankAnswer(status, "why")
        async with transaction(self.engine) as session:
            return await paying_out.record_answer(session, payout.id, answer, now=self.now)

    async def payable(self) -> tuple[int, int]:
        async with transaction(self.engine) as session:
            account = await find_account(session, chart.merchant_payable(self.payee.merchant_id))
        assert account is not None
        return account.balance, account.available


@pytest_asyncio.fixture
async def finance(engine: Engine, now: datetime) -> Finance:
    merchant_id = new_id("mer", now)
    async with transaction(engine) as session:
        await onboarding.onboard_merchant(
            session, merchant_id, name="П", legal_name="П", inn="7707083893", bank_account=ACCOUNT,
            tariff_group="everyday", now=now,
        )  # fmt: skip
        await open_account(session, AccountTerms(SETTLEMENT), now=now)
    return Finance(engine, now, Payee(merchant_id, ACCOUNT.bik, ACCOUNT.number, SETTLEMENT))


async def test_a_run_sets_aside_what_is_owed_and_the_next_finds_nothing(finance: Finance) -> None:
    await finance.earn(10_000, finance.now)
    run, (payout,) = await finance.run()
    assert (run.payouts, run.amount, payout.amount, payout.status) == (1, 10_000, 10_000, PayoutStatus.REQUESTED)
    assert await finance.payable() == (10_000, 0)
    empty, payouts = await finance.run()
    assert (empty.payouts, empty.amount, payouts) == (0, 0, [])


async def test_two_runs_at_once_never_pay_the_same_kopeck(finance: Finance) -> None:
    await finance.earn(10_000, finance.now)
    runs = await asyncio.gather(finance.run(), finance.run(), finance.run())
    assert sum(run.amount for run, _ in runs) == 10_000
    assert await finance.payable() == (10_000, 0)


async def test_through_a_day_is_what_was_owed_at_its_end(finance: Finance) -> None:
    yesterday = finance.now - timedelta(days=1)
    await finance.earn(700, yesterday)
    await finance.earn(30, finance.now)
    day = date(2026, 11, 21)
    _, (payout,) = await finance.run(day)
    assert payout.amount == 700
    assert (await finance.run(day))[1] == []
    await finance.answer(payout, BankStatus.EXECUTED)
    assert (await finance.run(day))[1] == []
    assert [found.amount for found in (await finance.run())[1]] == [30]


@pytest.mark.parametrize(
    ("answers", "status", "payable"),
    [
        pytest.param([BankStatus.EXECUTED], PayoutStatus.SENT, (0, 0), id="paid"),
        pytest.param([BankStatus.REJECTED], PayoutStatus.REJECTED, (500, 500), id="refused"),
        pytest.param([None], PayoutStatus.UNKNOWN, (500, 0), id="lost"),
        pytest.param([BankStatus.PROCESSING, None, BankStatus.EXECUTED], PayoutStatus.SENT, (0, 0), id="paid later"),
        pytest.param([None, BankStatus.REJECTED], PayoutStatus.REJECTED, (500, 500), id="refused in the end"),
        pytest.param([BankStatus.EXECUTED, BankStatus.EXECUTED], PayoutStatus.SENT, (0, 0), id="told twice"),
        pytest.param([BankStatus.EXECUTED, None, BankStatus.REJECTED], PayoutStatus.SENT, (0, 0), id="final is final"),
    ],
)
async def test_a_payout_ends_as_the_bank_says(
    finance: Finance, answers: list[BankStatus | None], status: PayoutStatus, payable: tuple[int, int]
) -> None:
    await finance.earn(500, finance.now)
    _, (payout,) = await finance.run()
    for answer in answers:
        payout = await finance.answer(payout, answer)
    assert payout.status is status
    assert await finance.payable() == payable
    async with transaction(finance.engine) as session:
        events, _ = await list_events(session)
        assert await repository.load_payout(session, payout.id) == payout
    final = {PayoutStatus.SENT: ["payout.sent"], PayoutStatus.REJECTED: ["payout.rejected"]}
    assert [event.type for event in events] == final.get(status, [])


async def test_a_payout_is_taken_by_one_worker_at_a_time(finance: Finance) -> None:
    await finance.earn(500, finance.now)
    await finance.run()

    async def take() -> list[Payout]:
        async with transaction(finance.engine) as session:
            lease = finance.now + timedelta(seconds=15)
            return await repository.take_due_payouts(session, now=finance.now, lease_until=lease)

    assert sorted(len(found) for found in await asyncio.gather(take(), take())) == [0, 1]


def test_waits_for_the_bank_grow_to_ten_minutes() -> None:
    assert [wait_before_try(tries).seconds for tries in (0, 1, 5, 9, 50)] == [1, 2, 32, 512, 600]
