"""One payment in real books, and NSPK's word about its refunds, for tests of refunds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from ledger import journal
from ledger.accounts import AccountTerms, find_account, open_account
from ledger.database import Engine, transaction
from ledger.entry import Entry, Posting
from ledger.ids import new_id
from ledger.money import Kopecks
from ledger.proofs import broken_proofs
from sbp_gateway import refund_rows, refunding
from sbp_gateway.bookkeeping import late_voucher, open_accounts, payment_voucher, sides_of
from sbp_gateway.merchants import SbpMerchant, SettlementMode
from sbp_gateway.payments import Payment
from sbp_gateway.refunding import RefundWish
from sbp_gateway.refunds import HOUR_WAIT, Refund, RefundAnswer, RefundNews
from tests.api.test_rail_constraints import ROWS, insert

TABLES = ("merchants", "stores", "terminals", "orders", "attempts", "sbp_merchants", "qr_codes", "sbp_payments")
MERCHANT = ROWS["merchants"]["id"]
MEMBER = ROWS["sbp_merchants"]["member_id"]
PAYMENT = Payment(
    id=ROWS["sbp_payments"]["id"], qr_id=ROWS["qr_codes"]["id"], attempt_id=ROWS["attempts"]["id"],
    merchant_id=MERCHANT, member_id=MEMBER, trx_id="A" * 32, kzo="9F2C7B1E44D05A66", amount=Kopecks(100),
    fee=Kopecks(10), is_late=False, entry_id=UUID(ROWS["sbp_payments"]["entry_id"]),
    paid_at=datetime.fromisoformat("2026-11-22T09:00:00+00:00"),
    recorded_at=datetime.fromisoformat("2026-11-22T09:00:00+00:00"),
)  # fmt: skip


@dataclass
class RefundBooks:
    """A payment in the books and a clock that tests move."""

    engine: Engine
    payment: Payment
    now: datetime

    async def ask(self, amount: int | None = None, **wish: Any) -> Refund:
        """Intent of a refund, an hour after whatever was before."""
        self.now += HOUR_WAIT
        return await self.ask_now(amount, **wish)

    async def ask_now(self, amount: int | None = None, **wish: Any) -> Refund:
        wanted = RefundWish(self.payment.id, amount, is_automatic=self.payment.is_late, **wish)
        refund_id = new_id("ref", self.now)
        async with transaction(self.engine) as session:
            refund, request = await refunding.request_refund(session, refund_id, wanted, merchant_id=None, now=self.now)
        assert (request.trx_id, request.kzo, request.qrc_id) == (self.payment.trx_id, self.payment.kzo, "A" * 32)
        assert (request.amount, request.agent_request_id) == (refund.amount, refund.agent_request_id)
        return refund

    async def hear(self, refund: Refund, *news: RefundNews | RefundAnswer) -> Refund:
        """Outcome: what NSPK says, one word after another."""
        for each in news:
            answer = each if isinstance(each, RefundAnswer) else answer_of(each, refund)
            async with transaction(self.engine) as session:
                refund = await refunding.record_answer(session, refund.id, answer, now=self.now)
        return refund

    async def repeat(self, refund: Refund) -> Refund | None:
        """Intent of a repeated request."""
        async with transaction(self.engine) as session:
            begun = await refunding.begin_try(session, refund.id, now=self.now)
        return begun[0] if begun else None

    async def refunds(self) -> list[Refund]:
        async with transaction(self.engine) as session:
            return await refund_rows.refunds_of_payment(session, self.payment.id)

    async def rest(self) -> int:
        async with transaction(self.engine) as session:
            return (await refund_rows.load_payment(session, self.payment.id)).rest

    async def balances(self) -> dict[str, tuple[int, int]]:
        """Balance and what is available, of whatever has any."""
        sides = sides_of(
            self.payment.settlement_mode, merchant_id=MERCHANT, member_id=MEMBER, is_late=self.payment.is_late
        )
        found = {}
        async with transaction(self.engine) as session:
            for name, code in (("money", sides.money), ("owner", sides.owner), ("fee", "income:fee:sbp")):
                account = await find_account(session, code)
                found[name] = (account.balance, account.available) if account else (0, 0)
        return found

    async def balance_of(self, code: str) -> int:
        async with transaction(self.engine) as session:
            account = await find_account(session, code)
        return account.balance if account else 0

    async def spend(self, amount: int) -> None:
        """The merchant was paid out."""
        code = f"liability:merchant_payable:{MERCHANT}"
        async with transaction(self.engine) as session:
            await open_account(session, AccountTerms("asset:bank:elsewhere"), now=self.now)
            postings = (Posting(code, "asset:bank:elsewhere", amount),)
            await journal.post(session, Entry("payout:1", "payout", self.now, postings), now=self.now)

    async def prove(self) -> None:
        """Everything that must always hold."""
        async with transaction(self.engine) as session:
            assert await broken_proofs(session) == []
        await self.add_up()

    async def add_up(self) -> None:
        """What the payment, its refunds and the books say of each other."""
        given = sum(refund.amount for refund in await self.refunds() if refund.status.value == "succeeded")
        under_way = sum(refund.amount for refund in await self.refunds() if not refund.is_final)
        found = await self.balances()
        assert given + under_way <= self.payment.amount
        assert await self.rest() == self.payment.amount - given - under_way
        assert found["money"] == (self.payment.amount - given, self.payment.amount - given - under_way)

    async def events(self) -> Sequence[str]:
        async with transaction(self.engine) as session:
            rows = await session.exec_driver_sql("SELECT type FROM events ORDER BY id")
            return [row.type for row in rows]


def answer_of(news: RefundNews, refund: Refund) -> RefundAnswer:
    """A whole answer with that news."""
    of_request = (RefundNews.TAKEN, RefundNews.REFUSED, RefundNews.NOT_SENT)
    return RefundAnswer(
        news,
        opkc_request_id=f"AR-{refund.agent_request_id}" if news is RefundNews.TAKEN else None,
        trx_id=f"B{refund.agent_request_id[1:].upper()}" if news is RefundNews.MOVED else None,
        code="RQ05041" if news in (RefundNews.REFUSED, RefundNews.DECLINED, RefundNews.NOT_MOVED) else None,
        of_try=refund.tries if news in of_request else None,
    )


async def books_of(
    database: Any, engine: Engine, now: datetime, *, is_late: bool = False,
    mode: SettlementMode = SettlementMode.COLLECTED,
) -> RefundBooks:  # fmt: skip
    """A payment of 100 kopecks, 10 of them our fee, that came an hour ago."""
    payment = replace(PAYMENT, is_late=is_late, fee=Kopecks(0 if is_late else 10), settlement_mode=mode)
    of_payment = {
        "is_late": is_late, "fee_kopecks": int(payment.fee), "settlement_mode": mode.value, "kzo": payment.kzo,
    }  # fmt: skip
    with psycopg.connect(database.superuser_url) as connection:
        for table in TABLES:
            insert(connection, table, ROWS[table] | of_payment if table == "sbp_payments" else ROWS[table])
    merchant = SbpMerchant(MERCHANT, "MA0000000001", MEMBER, ROWS["sbp_merchants"]["bank_account"], mode)
    async with transaction(engine) as session:
        await open_accounts(session, merchant, now=now)
        await open_account(session, AccountTerms(f"liability:merchant_payable:{MERCHANT}", available_min=0), now=now)
        await journal.post(session, late_voucher(payment) if is_late else payment_voucher(payment), now=now)
    return RefundBooks(engine, payment, now + timedelta(hours=1))
