"""Payouts to buyers against the books and a bank that may or may not answer: no kopeck leaves twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from api.buyer_payout_calls import carry_out_buyer_payouts
from checkout import onboarding
from checkout.bank_details import BankAccount, account_with_key
from ledger import chart, journal
from ledger.accounts import find_account
from ledger.clock import Clock
from ledger.database import Engine, transaction
from ledger.entry import Entry, Posting
from ledger.ids import new_id
from ledger.outbox import list_events
from ledger.proofs import broken_proofs
from sbp_gateway import buyer_payout_repository as rows
from sbp_gateway import onboarding as sbp_onboarding
from sbp_gateway import paying_buyers
from sbp_gateway import repository as sbp
from sbp_gateway.buyer_payouts import AT_ONCE, BuyerPayout, BuyerPayoutStatus, PayoutLimits
from sbp_gateway.errors import (
    BuyerBankUnknown,
    BuyerPayoutNotCovered,
    BuyerPayoutOutOfRange,
    InvalidBuyerPhone,
    MerchantNotRegistered,
    PayoutBankUnknown,
)
from sbp_gateway.merchants import SettlementMode, for_sandbox
from sbp_gateway.paying_buyers import BuyerPayoutRequest
from sbp_gateway.payout_bank import PayoutAnswer, PayoutWord
from sbp_gateway.registrations import MerchantSource
from sbp_gateway.simulator.faults import Faults
from sbp_gateway.simulator.payouts import BuyerPayoutBank

ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
WORDS = {"COMPLETED": PayoutWord.COMPLETED, "IN_PROGRESS": PayoutWord.IN_PROGRESS, "DECLINED": PayoutWord.DECLINED}


@dataclass
class BankInProcess:
    """The simulator's bank behind the port, losing what the test says it loses."""

    bank: BuyerPayoutBank
    losses: list[str] = field(default_factory=list)
    """``request`` or ``answer`` of each coming call, or nothing."""
    asked: int = 0
    limits: PayoutLimits = AT_ONCE

    async def pay(self, payout: BuyerPayout) -> PayoutAnswer:
        self.asked += 1
        loss = self._loss()
        if payout.id in self.bank.payouts:
            raise PayoutBankUnknown(reason="the id is known")
        asked = {"id": payout.id, "phone": payout.phone, "amount_kopecks": int(payout.amount)}
        return self._answer(self.bank.take(asked), loss)

    async def find(self, payout_id: str) -> PayoutAnswer | None:
        loss = self._loss()
        found = self.bank.look(payout_id)
        return None if found is None else self._answer(found, loss)

    def _loss(self) -> str:
        loss = self.losses.pop(0) if self.losses else ""
        if loss == "request":
            raise PayoutBankUnknown(reason="lost")
        return loss

    def _answer(self, payout: Mapping[str, Any], loss: str) -> PayoutAnswer:
        if loss == "answer":
            raise PayoutBankUnknown(reason="lost")
        return PayoutAnswer(WORDS[payout["word"]], "why" if payout["word"] == "DECLINED" else None)


@dataclass
class Desk:
    """A merchant that is owed 10,000 roubles, and the bank that pays its buyers."""

    engine: Engine
    now: datetime
    merchant_id: str
    bank: BankInProcess
    clock: Clock = field(default_factory=Clock)

    async def request(
        self, phone: str = "79123456789", amount: int = 10_000, bank: str = "100000000004"
    ) -> BuyerPayout:
        wanted = BuyerPayoutRequest(self.merchant_id, phone, bank, amount, "За заказ 1")
        async with transaction(self.engine) as session:
            return await paying_buyers.request_payout(
                session, new_id("bpo", self.now), wanted, AT_ONCE, now=self.clock.now()
            )

    async def work(self, times: int = 1, seconds: int = 20) -> None:
        """The worker looks, and time passes, so often."""
        for _ in range(times):
            await carry_out_buyer_payouts(self.engine, self.bank, self.clock)
            self.clock.offset += timedelta(seconds=seconds)

    async def load(self, payout: BuyerPayout) -> BuyerPayout:
        async with transaction(self.engine) as session:
            return await rows.load_payout(session, payout.id)

    async def payable(self) -> tuple[int, int]:
        async with transaction(self.engine) as session:
            assert await broken_proofs(session) == []
            account = await find_account(session, chart.merchant_payable(self.merchant_id))
        assert account is not None
        return account.balance, account.available

    async def events(self, payout: BuyerPayout) -> list[Any]:
        async with transaction(self.engine) as session:
            found, _ = await list_events(session)
        return [event for event in found if event.object_id == payout.id]


@pytest_asyncio.fixture
async def desk(engine: Engine, now: datetime) -> Desk:
    merchant_id = new_id("mer", now)
    merchant = for_sandbox(merchant_id, 1, ACCOUNT.number)
    async with transaction(engine) as session:
        await onboarding.onboard_merchant(
            session, merchant_id, name="П", legal_name="П", inn="7707083893", bank_account=ACCOUNT,
            tariff_group="everyday", now=now,
        )  # fmt: skip
        await sbp_onboarding.import_merchant(
            session, new_id("sbr", now), merchant, bik=ACCOUNT.bik, learnt_by=MerchantSource.SANDBOX, now=now
        )
        sale = Posting(chart.sbp_settlement(merchant.member_id), chart.merchant_payable(merchant_id), 1_000_000)
        await journal.post(session, Entry("sale:1", "sale", now, (sale,)), now=now)
    return Desk(engine, now, merchant_id, BankInProcess(BuyerPayoutBank(lambda _: None, Faults())))


async def test_a_payout_is_set_aside_sent_booked_and_its_phone_forgotten(desk: Desk) -> None:
    payout = await desk.request()
    assert (payout.status, await desk.payable()) == (BuyerPayoutStatus.REQUESTED, (1_000_000, 990_000))
    assert (await desk.load(payout)).phone == "79123456789"

    await desk.work()

    sent = await desk.load(payout)
    assert (sent.status, sent.phone, sent.phone_mask) == (BuyerPayoutStatus.SENT, None, "0079******89")
    assert await desk.payable() == (990_000, 990_000)
    (event,) = await desk.events(payout)
    assert (event.type, event.data["phone_mask"]) == ("buyer_payout.sent", "0079******89")
    assert "79123456789" not in str(event.data)


async def test_a_declined_payout_gives_the_money_back(desk: Desk) -> None:
    payout = await desk.request(phone="79123456799")
    await desk.work()

    rejected = await desk.load(payout)
    assert (rejected.status, rejected.phone, rejected.reason) == (BuyerPayoutStatus.REJECTED, None, "why")
    assert await desk.payable() == (1_000_000, 1_000_000)
    assert [event.type for event in await desk.events(payout)] == ["buyer_payout.rejected"]


@pytest.mark.parametrize(
    ("losses", "calls"),
    [
        pytest.param(["answer"], 1, id="paid, and nobody heard it"),
        pytest.param(["answer", "request", "answer"], 1, id="paid, and the question is lost as well"),
        pytest.param(["request"], 2, id="never heard: asked again after a minute"),
        pytest.param(["request", "request", "", "", "request"], 3, id="never heard, twice"),
    ],
)
async def test_a_lost_answer_is_asked_for_and_the_buyer_paid_once(desk: Desk, losses: list[str], calls: int) -> None:
    desk.bank.losses = losses
    payout = await desk.request()
    await desk.work()
    assert (await desk.load(payout)).status is BuyerPayoutStatus.UNKNOWN
    assert (await desk.load(payout)).phone is not None

    await desk.work(40)

    assert (await desk.load(payout)).status is BuyerPayoutStatus.SENT
    assert desk.bank.asked == calls
    assert desk.bank.bank.summary() == {"buyer_payouts": 1, "buyer_payouts_kopecks": 10_000}
    assert await desk.payable() == (990_000, 990_000)


@dataclass
class BankThatForgets(BankInProcess):
    """It takes the first request, loses its answer, knows nothing of it when asked, and refuses the second."""

    knows_from: int = 2
    """Finds answered with "not known" before it remembers."""
    finds: int = 0

    async def pay(self, _payout: BuyerPayout) -> PayoutAnswer:
        self.asked += 1
        if self.asked == 1:
            raise PayoutBankUnknown(reason="lost")
        return PayoutAnswer(PayoutWord.DECLINED, "ERROR.INSUFFICIENT_FUNDS")

    async def find(self, _payout_id: str) -> PayoutAnswer | None:
        self.finds += 1
        return PayoutAnswer(PayoutWord.COMPLETED) if self.finds >= self.knows_from else None


async def test_a_repeated_request_refused_is_not_the_end_while_the_first_may_be_carried_out(desk: Desk) -> None:
    desk.bank = BankThatForgets(desk.bank.bank, knows_from=4)
    payout = await desk.request()
    await desk.work()
    desk.clock.offset += timedelta(minutes=1)
    await desk.work()  # not known: asked once more, and refused

    waiting = await desk.load(payout)
    assert (waiting.status, waiting.reason) == (BuyerPayoutStatus.UNKNOWN, "ERROR.INSUFFICIENT_FUNDS")
    assert await desk.payable() == (1_000_000, 990_000)

    await desk.work(3, seconds=120)
    sent = await desk.load(payout)
    assert (desk.bank.asked, sent.status, sent.reason) == (2, BuyerPayoutStatus.SENT, None)
    assert await desk.payable() == (990_000, 990_000)


async def test_a_refused_repeat_of_which_the_bank_knows_nothing_a_day_later_is_the_end(desk: Desk) -> None:
    desk.bank = BankThatForgets(desk.bank.bank, knows_from=1_000)
    payout = await desk.request()
    await desk.work()
    desk.clock.offset += timedelta(minutes=1)
    await desk.work(3, seconds=600)
    assert (await desk.load(payout)).status is BuyerPayoutStatus.UNKNOWN
    desk.clock.offset += timedelta(days=1)
    await desk.work()

    ended = await desk.load(payout)
    assert (desk.bank.asked, ended.status, ended.reason) == (2, BuyerPayoutStatus.REJECTED, "ERROR.INSUFFICIENT_FUNDS")
    assert await desk.payable() == (1_000_000, 1_000_000)


async def test_a_bank_that_does_not_know_is_not_asked_to_pay_again_before_a_minute(desk: Desk) -> None:
    desk.bank.losses = ["request"]
    await desk.request()
    await desk.work(8, seconds=5)
    assert desk.bank.asked == 1


async def test_a_worker_that_dies_in_the_call_is_followed_by_a_question(desk: Desk) -> None:
    payout = await desk.request()
    async with transaction(desk.engine) as session:  # taken, asked, and then it died
        (taken,) = await rows.take_due(
            session, now=desk.clock.now(), lease_until=desk.clock.now() + timedelta(seconds=15)
        )
    await desk.bank.pay(taken)
    desk.clock.offset += timedelta(seconds=16)

    await desk.work()

    assert (await desk.load(payout)).status is BuyerPayoutStatus.SENT
    assert desk.bank.asked == 1


@pytest.mark.parametrize(
    ("phone", "end"), [("79123456798", BuyerPayoutStatus.SENT), ("79123456797", BuyerPayoutStatus.REJECTED)]
)
async def test_a_slow_bank_is_asked_until_it_knows(desk: Desk, phone: str, end: BuyerPayoutStatus) -> None:
    payout = await desk.request(phone=phone)
    await desk.work()
    assert (await desk.load(payout)).status is BuyerPayoutStatus.PROCESSING
    await desk.work(4)
    assert (await desk.load(payout)).status is end


async def test_a_word_that_comes_after_the_end_changes_nothing(desk: Desk) -> None:
    payout = await desk.request()
    await desk.work()
    for answer in (None, PayoutAnswer(PayoutWord.DECLINED), PayoutAnswer(PayoutWord.COMPLETED)):
        async with transaction(desk.engine) as session:
            after = await paying_buyers.record_answer(session, payout.id, answer, now=desk.clock.now())
        assert after.status is BuyerPayoutStatus.SENT
    assert await desk.payable() == (990_000, 990_000)


async def test_what_is_refused_writes_nothing(desk: Desk) -> None:
    for refusal, wanted in (
        (InvalidBuyerPhone, {"phone": "12345"}),
        (BuyerPayoutOutOfRange, {"amount": 99}),
        (BuyerPayoutOutOfRange, {"amount": 50_000_001}),
        (BuyerPayoutNotCovered, {"amount": 1_000_001}),
    ):
        with pytest.raises(refusal):
            await desk.request(**wanted)  # type: ignore[arg-type]
    desk.merchant_id, known = "mer_unknown", desk.merchant_id
    with pytest.raises(MerchantNotRegistered):
        await desk.request()
    desk.merchant_id = known

    async with transaction(desk.engine) as session:
        assert await session.scalar(text("SELECT count(*) FROM buyer_payouts")) == 0
        assert await session.scalar(text("SELECT count(*) FROM holds")) == 0
    assert await desk.payable() == (1_000_000, 1_000_000)


async def test_a_bank_that_is_not_in_the_list_is_refused_once_there_is_a_list(desk: Desk) -> None:
    async with transaction(desk.engine) as session:
        await session.execute(
            text("""INSERT INTO sbp_banks (id, place, name, app_schema, is_dr_active, is_web_client_active, imported_at)
                    VALUES ('100000000111', 1, 'Сбербанк', 'bank100000000111', false, false, now())""")
        )
    with pytest.raises(BuyerBankUnknown):
        await desk.request()
    assert (await desk.request(bank="100000000111")).bank_member_id == "100000000111"


async def test_two_payouts_never_share_a_kopeck(desk: Desk) -> None:
    await desk.request(amount=600_000)
    with pytest.raises(BuyerPayoutNotCovered):
        await desk.request(amount=600_000)
    await desk.work()
    assert await desk.payable() == (400_000, 400_000)


async def test_a_merchant_whose_money_is_its_own_pays_no_buyer_through_us(engine: Engine, now: datetime) -> None:
    merchant_id = new_id("mer", now)
    merchant = replace(for_sandbox(merchant_id, 2, ACCOUNT.number), settlement_mode=SettlementMode.DIRECT)
    async with transaction(engine) as session:
        await onboarding.onboard_merchant(
            session, merchant_id, name="П", legal_name="П", inn="7707083893", bank_account=ACCOUNT,
            tariff_group="everyday", now=now,
        )  # fmt: skip
        await sbp_onboarding.import_merchant(
            session, new_id("sbr", now), merchant, bik=ACCOUNT.bik, learnt_by=MerchantSource.SANDBOX, now=now
        )
    direct = Desk(engine, now, merchant_id, BankInProcess(BuyerPayoutBank(lambda _: None, Faults())))
    with pytest.raises(BuyerPayoutNotCovered):
        await direct.request()


async def test_the_bank_that_collected_the_money_pays_the_buyer(desk: Desk) -> None:
    """The merchant now takes payments through another bank, straight to its own account; its old money is with us."""
    account = account_with_key(BankAccount("044525974", "40702810000000000009"))
    moved = replace(
        for_sandbox(desk.merchant_id, 2, account.number),
        member_id="100000000998",
        settlement_mode=SettlementMode.DIRECT,
    )
    async with transaction(desk.engine) as session:
        await sbp_onboarding.import_merchant(
            session, new_id("sbr", desk.now), moved, bik=account.bik, learnt_by=MerchantSource.ENTERED, now=desk.now
        )
        (before,) = (await sbp.collecting_members(session, [desk.merchant_id])).values()
    payout = await desk.request()

    assert payout.member_id == before != moved.member_id
    await desk.work()
    assert (await desk.load(payout)).status is BuyerPayoutStatus.SENT
    async with transaction(desk.engine) as session:
        ours = await find_account(session, chart.sbp_settlement(before))
    assert ours is not None
    assert ours.balance == 990_000
