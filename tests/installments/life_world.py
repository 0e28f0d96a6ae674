"""The life of plans on a bare database: a merchant with terms, an active licence, verified buyers, and a bank that says
what a test lets it say. No processes, no network: what happens to a card is told as the vault's answer.

    world = await life_world(engine)
    plan = await world.committed()          # 10 000.56 in four installments of 2 500.14, the first one taken
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg

from api import plan_acts
from api.card_paying import carry_out
from api.card_rail import CardTerms, request_payment
from api.plan_credit_refunds import follow_credit
from api.plan_first_payments import complete_if_paid, follow, void_first_payments
from api.sandbox import found_operator
from checkout import card_payment_rows as cards
from checkout.bank_details import BankAccount, account_with_key
from checkout.card_payments import CardPayment, CardRefundStatus, ChargeAnswer, ChargeNews
from checkout.card_refunding import CardRefundAnswer, record_refund
from checkout.onboarding import onboard_merchant
from installments import movement_rows, recording
from installments import repository as rows
from installments.accepting import Acceptance
from installments.buyer import PersonalDetails
from installments.buyers import find_or_add_buyer, tell_of_buyer, verify_phone
from installments.cancelling import CancelReason, expire, plans_over
from installments.committing import CommitRequest
from installments.correcting import CorrectionRequest
from installments.movements import Movement, MovementKind
from installments.opening import PlanRequest, open_plan
from installments.plan import Item, Plan
from installments.plan_refunds import PlanRefund
from installments.products import MerchantTerms
from installments.recording import Recorded
from installments.refunding import RefundRequest
from installments.state import InstallmentState
from installments.telling import PlanActor
from ledger import accounts
from ledger.database import Engine, Session, transaction
from ledger.ids import new_id
from ledger.money import Kopecks
from tests.conftest import Database

ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
ACQUIRER = "10000000001"
PRICE = 1_000_056
"""Four installments of 2 500.14."""
PRODUCT = "dolyame"
FEE_BASIS_POINTS = 690
SHOP = PlanActor("caller:key_test", "req_test")
TOKEN = "tok_4fzK9aQ7Lr2XbN8yTc5Wd1HgE"
OTHER_TOKEN = "tok_9fzK9aQ7Lr2XbN8yTc5Wd1HgE"
numbers = itertools.count(1)


@dataclass
class LifeWorld:
    """A house that makes plans. ``now`` is moved by tests."""

    engine: Engine
    now: datetime
    operator_id: str = ""
    merchant_id: str = ""
    orders: int = 0
    product_code: str = PRODUCT

    def pass_by(self, **lapse: float) -> None:
        """Let business time pass."""
        self.now += timedelta(**lapse)

    async def buyer(self, *, born_on: date = date(1990, 5, 17)) -> str:
        """A buyer with a verified phone."""
        phone = f"+7916{next(numbers):07}"
        async with transaction(self.engine) as session:
            found = await find_or_add_buyer(session, phone, now=self.now)
            await tell_of_buyer(session, found.id, PersonalDetails("Анна", "Петрова", born_on=born_on), now=self.now)
            return (await verify_phone(session, found.id, now=self.now)).id

    def request(self, price: int = PRICE, **terms: Any) -> PlanRequest:
        """An order of one thing."""
        self.orders += 1
        prepaid = Kopecks(terms.pop("prepaid", 0))
        wanted: dict[str, Any] = {
            "merchant_id": self.merchant_id, "order_number": f"shop_{self.orders}",
            "product_code": self.product_code, "price": Kopecks(price), "prepaid": prepaid,
            "items": (thing(price + prepaid),),
        } | terms  # fmt: skip
        return PlanRequest(**wanted)

    async def opened(self, price: int = PRICE, **terms: Any) -> Plan:
        """A new plan."""
        return await self.open(self.request(price, **terms))

    async def open(self, request: PlanRequest) -> Plan:
        async with transaction(self.engine) as session:
            return await open_plan(session, request, plan_id=new_id("pln", self.now), by=SHOP, now=self.now)

    async def accept(self, plan: Plan, buyer_id: str | None = None, *, token: str = TOKEN, **terms: Any) -> Plan:
        """The buyer says yes with a card; the bank has not answered yet."""
        buyer_id = buyer_id or plan.buyer_id or await self.buyer()
        if "binding_id" not in terms:
            terms["card_token"] = token
        acceptance = Acceptance(buyer_id, None, **terms)
        async with transaction(self.engine) as session:
            return await plan_acts.accept(session, plan.id, acceptance, SHOP, now=self.now)

    async def held(self, price: int = PRICE, **terms: Any) -> Plan:
        """A plan that waits for its commit, its first installment held."""
        plan = await self.accept(await self.opened(price, **terms))
        await self.bank_says(plan, ChargeNews.AUTHORISED)
        return await self.carry_on(plan)

    async def commit(
        self, plan: Plan, amount: int | None = None, items: tuple[Item, ...] | None = None, prepaid: int | None = None
    ) -> Plan:
        """The merchant commits; the bank has not answered yet."""
        if amount is not None and items is None:
            items = (thing(amount + (plan.prepaid if prepaid is None else prepaid)),)
        price = None if amount is None else Kopecks(amount)
        request = CommitRequest(price, items, None if prepaid is None else Kopecks(prepaid))
        async with transaction(self.engine) as session:
            return await plan_acts.commit(session, plan.id, request, SHOP, now=self.now)

    async def committed(self, price: int = PRICE, *, commit: int | None = None, **terms: Any) -> Plan:
        """A completed plan: committed, and its first installment taken and told."""
        plan = await self.commit(await self.held(price, **terms), commit)
        await self.bank_says(plan, ChargeNews.CAPTURED)
        return await self.carry_on(plan)

    async def cancel(self, plan: Plan, reason: CancelReason = CancelReason.MERCHANT) -> Plan:
        async with transaction(self.engine) as session:
            return await plan_acts.cancel(session, plan.id, reason, SHOP, now=self.now)

    async def expire(self) -> list[str]:
        """The worker gives up what is over."""
        async with transaction(self.engine) as session:
            ended = await expire(session, await plans_over(session, now=self.now), now=self.now)
            for plan in ended:
                await void_first_payments(session, plan, now=self.now)
        return [plan.id for plan in ended]

    async def refund(
        self, plan: Plan, amount: int, refund_id: str = "r1", items: tuple[Item, ...] = (), prepaid: int = 0
    ) -> PlanRefund:
        wanted = RefundRequest(refund_id, Kopecks(amount), items, Kopecks(prepaid))
        async with transaction(self.engine) as session:
            return await plan_acts.refund(session, plan.id, wanted, SHOP, now=self.now)

    async def correct(
        self, plan: Plan, total: int, items: tuple[Item, ...], refund_id: str = "c1", prepaid: int = 0
    ) -> PlanRefund:
        wanted = CorrectionRequest(refund_id, Kopecks(total), items, Kopecks(prepaid))
        async with transaction(self.engine) as session:
            return await plan_acts.correct(session, plan.id, wanted, SHOP, now=self.now)

    async def deliver(
        self, plan: Plan, total: int | None = None, items: tuple[Item, ...] = (), refund_id: str = "d1"
    ) -> Plan:
        wanted = None if total is None else CorrectionRequest(refund_id, Kopecks(total), items)
        async with transaction(self.engine) as session:
            return await plan_acts.complete_delivery(session, plan.id, wanted, SHOP, now=self.now)

    async def pay(
        self, plan: Plan, amount: int, kind: MovementKind = MovementKind.INSTALLMENT_PAYMENT, **facts: Any
    ) -> Recorded:
        """Money of the buyer by a card payment of its own, captured and told."""
        payment = await self.charged(plan, amount)
        movement = Movement(
            new_id("mov", self.now), plan.id, kind, Kopecks(amount), facts.pop("happened_at", self.now), payment.id,
            **facts,
        )  # fmt: skip
        async with transaction(self.engine) as session:
            (done,) = await recording.record_all(session, [movement], now=self.now)
        return done

    async def charged(self, plan: Plan, amount: int) -> CardPayment:
        """A captured card payment of the operator that no plan was told of yet."""
        assert plan.card_token is not None
        async with transaction(self.engine) as session:
            payment = await request_payment(
                session, new_id("cpy", self.now), self.operator_id, Kopecks(amount), CardTerms(plan.card_token),
                now=self.now,
            )  # fmt: skip
            answer = ChargeAnswer(ChargeNews.CAPTURED, None, "220000******0004", ACQUIRER, "1", "2", amount)
            return await carry_out(session, payment, answer, now=self.now)

    async def bank_says(
        self, plan: Plan, news: ChargeNews, *, reason: str | None = None, payment_id: str | None = None
    ) -> CardPayment:
        """The vault answers about the plan's first payment, or another that was tried."""
        payment = await self.first_payment(plan, payment_id)
        return await self.bank_says_of(payment, news, reason=reason)

    async def bank_says_of(self, payment: CardPayment, news: ChargeNews, *, reason: str | None = None) -> CardPayment:
        """The answer to what was asked when the payment stood so."""
        taken = int(payment.capture or payment.amount) if news is ChargeNews.CAPTURED else 0
        answer = ChargeAnswer(news, reason, "220000******0004", ACQUIRER, "1", "2", taken)
        async with transaction(self.engine) as session:
            return await carry_out(session, payment, answer, now=self.now)

    async def first_payment(self, plan: Plan, payment_id: str | None = None) -> CardPayment:
        payment_id = payment_id or (await self.load(plan)).first_payment_id
        assert payment_id is not None, "no card was tried"
        async with transaction(self.engine) as session:
            return await cards.load_payment(session, payment_id)

    async def carry_on(self, plan: Plan) -> Plan:
        """What follows from the bank's word; the bank is not asked again."""
        async with transaction(self.engine) as session:
            await follow(session, plan.id, now=self.now)
            await complete_if_paid(session, plan.id, now=self.now)
        async with transaction(self.engine) as session:
            await follow_credit(session, plan.id, now=self.now)
        return await self.load(plan)

    async def bank_gives_back(self, plan: Plan, status: CardRefundStatus = CardRefundStatus.SUCCEEDED) -> list[int]:
        """The bank answers every refund of an overpayment that waits for it; gives their kopecks."""
        async with transaction(self.engine) as session:
            waiting, _ = await follow_credit(session, plan.id, now=self.now)
        for refund in waiting:
            refusal = "declined" if status is CardRefundStatus.REFUSED else None
            async with transaction(self.engine) as session:
                await record_refund(session, refund.id, CardRefundAnswer(status, refusal, "3"), now=self.now)
        await self.carry_on(plan)
        return [int(refund.amount) for refund in waiting]

    async def load(self, plan: Plan | str) -> Plan:
        async with transaction(self.engine) as session:
            return await rows.load_plan(session, plan if isinstance(plan, str) else plan.id)

    async def installments(self, plan: Plan) -> tuple[InstallmentState, ...]:
        async with transaction(self.engine) as session:
            return (await movement_rows.load_installments(session, [plan.id])).get(plan.id, ())

    async def movements(self, plan: Plan) -> tuple[Movement, ...]:
        async with transaction(self.engine) as session:
            return (await movement_rows.load_movements(session, [plan.id])).get(plan.id, ())

    async def balance(self, code: str) -> int:
        """What an account stands at, in the books' own sign; 0 when it is not open."""
        async with transaction(self.engine) as session:
            account = await accounts.find_account(session, code)
            return 0 if account is None else int(account.balance)

    async def events(self, plan: Plan) -> list[str]:
        """What the world was told of the plan, in order."""
        return [
            str(row[0])
            for row in await self.sql("SELECT type FROM events WHERE object_id = %s ORDER BY sequence", plan.id)
        ]

    async def sql(self, statement: str, *values: Any) -> list[Any]:
        async with Session(self.engine) as session:
            return list((await session.exec_driver_sql(statement, values)).all())


def leaves(database: Database) -> list[str]:
    """What the log was told, in order; the application itself may not read it."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        found = connection.execute("SELECT convert_from(event, 'UTF8')::jsonb->>'action' FROM audit_events ORDER BY id")
        return [str(row[0]) for row in found]


def thing(price: int, name: str = "Пальто", quantity: str = "1", sku: str | None = None) -> Item:
    """A line of a basket."""
    return Item(name, quantity, Kopecks(price), sku)


async def life_world(engine: Engine, now: datetime | None = None) -> LifeWorld:
    """The house, its operator, and a merchant that sells by installments."""
    world = LifeWorld(engine, now or datetime(2026, 11, 22, 9, 0, tzinfo=UTC))
    world.merchant_id = new_id("mer", world.now)
    async with transaction(engine) as session:
        world.operator_id = await found_operator(session, now=world.now)
        await onboard_merchant(
            session, world.merchant_id, name="Лавка", legal_name="ООО Лавка", inn="7707083893", bank_account=ACCOUNT,
            tariff_group="standard", now=world.now,
        )  # fmt: skip
        terms = MerchantTerms(world.merchant_id, PRODUCT, date(2020, 1, 1), FEE_BASIS_POINTS, None, None)
        await rows.add_merchant_terms(session, terms)
    return world
