"""One merchant, our own house, and plans whose movements are recorded as they would be by the doors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from installments import recording, repository, sub_ledger, vouchers
from installments.clearing import in_clearing
from installments.effects import entry_of
from installments.movements import Movement, MovementKind
from installments.plan import CollectorName, Plan, PlanStatus, Standing, advance
from installments.reckoning import PAYMENTS
from installments.state import PlanState
from ledger import accounts, balances, chart, journal
from ledger.accounts import AccountTerms
from ledger.clock import MOSCOW
from ledger.database import Engine, Session, text, transaction
from ledger.ids import new_id
from ledger.money import Kopecks

BEGUN = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SHOP = "mer_" + "0" * 25 + "1"
HOUSE = "mer_" + "0" * 25 + "2"
ACQUIRER = "100000000001"
CLEARING = chart.card_payable(HOUSE)
KIND = MovementKind


def noon(day: int) -> datetime:
    """Noon of Moscow, that many days after the plans of this world begin."""
    return datetime.combine(BEGUN.date(), datetime.min.time(), MOSCOW) + timedelta(days=day, hours=12)


@dataclass
class PlanWorld:
    """Each step is a transaction of its own, as the doors make them."""

    engine: Engine
    numbers: Any = field(default_factory=lambda: count(1))

    async def begin(self) -> PlanWorld:
        async with transaction(self.engine) as session:
            for merchant_id in (SHOP, HOUSE):
                await session.execute(
                    text("""INSERT INTO merchants (id, name, legal_name, inn, bank_account_bik, bank_account_number,
                                   tariff_group, created_at)
                            VALUES (:id, 'n', 'l', '7707083893', '044525225', '40702810000000000001', 'everyday',
                                    :now)"""),
                    {"id": merchant_id, "now": BEGUN},
                )
            await repository.choose_operator(session, HOUSE)
            await vouchers.open_accounts(session, [SHOP], now=BEGUN, operator_id=HOUSE)
            await accounts.open_account(session, AccountTerms(chart.card_settlement(ACQUIRER)), now=BEGUN)
        return self

    async def plan(
        self, price: int = 400_000, *, fee_basis_points: int = 690, product: str = "dolyame",
        at: datetime | None = None, held: int = 0, collector: CollectorName = CollectorName.CARD,
    ) -> Plan:  # fmt: skip
        """A plan that the shop has committed, by default of 4,000 roubles with a discount of 6.9 %."""
        now = at or noon(0)
        async with transaction(self.engine) as session:
            buyer_id = await self._buyer(session, now)
            plan = replace(
                blank(new_id("pln", now), f"A-{next(self.numbers)}", price, product, now), buyer_id=buyer_id,
                collector=collector, contract_on=now.astimezone(MOSCOW).date(),
            )  # fmt: skip
            await repository.add_plan(session, plan)
            if held:
                await vouchers.book_hold(session, plan, Kopecks(held), now=now)
            committed = replace(
                advance(plan, PlanStatus.COMMITTED), fee_basis_points=fee_basis_points, expires_at=None,
                committed_at=now,
            )  # fmt: skip
            committed = await recording.open_debt(session, committed, now=now)
            await repository.save_plan(session, committed)
        return committed

    async def _buyer(self, session: Session, now: datetime) -> str:
        buyer_id = new_id("byr", now)
        await session.execute(
            text("INSERT INTO buyers (id, phone, created_at) VALUES (:id, :phone, :now)"),
            {"id": buyer_id, "phone": f"+7916{next(self.numbers):07}", "now": now},
        )
        return buyer_id

    async def pays(self, plan: Plan, amount: int, day: int, kind: KIND = KIND.INSTALLMENT_PAYMENT) -> PlanState:
        """The buyer's card is charged and the plan is told of it, on that day and at once."""
        return await self.tell(plan, kind, amount, day)

    async def tell(self, plan: Plan, kind: KIND, amount: int = 0, day: int = 0, **more: Any) -> PlanState:
        """Something happens to a plan on a day, by default known on that day."""
        known = more.pop("known", day)
        movement = self.movement(plan, kind, amount, day, **more)
        return (await self.record([movement], now=noon(known)))[0].state

    def movement(self, plan: Plan, kind: KIND, amount: int = 0, day: int = 0, **more: Any) -> Movement:
        happened_at = noon(day)
        reference = more.pop("reference", f"ref-{next(self.numbers)}")
        return Movement(new_id("mov", happened_at), plan.id, kind, Kopecks(amount), happened_at, reference, **more)

    async def record(self, movements: Sequence[Movement], *, now: datetime) -> list[recording.Recorded]:
        """Recorded as a door does it: the rail's entry of a charge before, the acquirer's of a chargeback after."""
        async with transaction(self.engine) as session:
            for movement in movements:
                if movement.kind in PAYMENTS:
                    await captured(session, movement, now)
                if movement.kind is KIND.UNDO:  # of a payment or chargeback: the rail undoes its half, whatever it was
                    await swept(session, 1_000_000, now)
            done = await recording.record_all(session, movements, now=now)
            for one in done:
                if one.is_new and one.movement.kind is KIND.CHARGEBACK:
                    await vouchers.book_chargeback_taken(
                        session, ACQUIRER, CLEARING, one.movement.amount, Kopecks(0), reference=one.movement.id, now=now
                    )
            if any(movement.kind is KIND.UNDO for movement in movements):
                await swept(session, -await in_clearing(session, HOUSE), now)
        return done

    async def load(self, plan: Plan | str) -> Plan:
        async with transaction(self.engine) as session:
            return await repository.load_plan(session, plan if isinstance(plan, str) else plan.id)

    async def balance(self, code: str) -> int:
        async with transaction(self.engine) as session:
            account = await accounts.find_account(session, code)
            return 0 if account is None else account.balance

    async def balances(self) -> dict[str, int]:
        """What every account of plans stands at, but those at zero."""
        async with transaction(self.engine) as session:
            lines = await balances.trial_balance(session)
        return {line.code: line.balance for line in lines if line.balance}

    async def entries(self) -> list[tuple[str, list[tuple[str, str, int]]]]:
        """The journal: kinds with their postings, in the order of booking, without the rails' own."""
        async with transaction(self.engine) as session:
            rows = await session.execute(
                text("""SELECT p.entry_id, f.kind, d.code AS debit, c.code AS credit, p.amount
                          FROM postings AS p JOIN postings AS f ON f.entry_id = p.entry_id AND f.number = 1
                          JOIN accounts AS d ON d.number = p.debit JOIN accounts AS c ON c.number = p.credit
                         WHERE f.kind LIKE 'plan.%' ORDER BY f.recorded_at, f.entry_id, p.number""")
            )
            found: dict[Any, tuple[str, list[tuple[str, str, int]]]] = {}
            for row in rows:
                found.setdefault(row.entry_id, (row.kind, []))[1].append((row.debit, row.credit, row.amount))
        return list(found.values())

    async def last(self, count: int = 1) -> list[tuple[str, list[tuple[str, str, int]]]]:
        return (await self.entries())[-count:]

    async def agrees(self, *, given_back: int = 0) -> None:
        """Debits equal credits, and the plans say what the books do. ``given_back``: by a card, in vouchers alone."""
        async with transaction(self.engine) as session:
            lines = await balances.trial_balance(session)
            assert sum(line.debits for line in lines) == sum(line.credits for line in lines)
            untold = [sub_ledger.Difference(chart.PLAN_REFUND_PAYABLE, 0, given_back)] if given_back else []
            assert (found := await sub_ledger.check(session)) == untold, found


async def captured(session: Session, movement: Movement, now: datetime) -> None:
    """What a rail books of a payment before its plan is told; nothing where the plan was told before."""
    known = await session.scalar(
        text("SELECT count(*) FROM plan_movements WHERE plan_id = :plan AND reference = :reference"),
        {"plan": movement.plan_id, "reference": movement.reference},
    )
    entry = entry_of(
        {chart.card_settlement(ACQUIRER): int(movement.amount), CLEARING: -int(movement.amount)}, kind="card.payment",
        reference=f"card_payment:{movement.id}", happened_at=movement.happened_at, metadata={},
    )  # fmt: skip
    if entry is not None and not known:
        await journal.post(session, entry, now=now)


async def swept(session: Session, amount: int, now: datetime) -> None:
    """So much money is brought to the clearing by the acquirer, or taken from it."""
    entry = entry_of(
        {chart.card_settlement(ACQUIRER): amount, CLEARING: -amount}, kind="card.swept",
        reference=new_id("swp", now), happened_at=now, metadata={},
    )  # fmt: skip
    if entry is not None:
        await journal.post(session, entry, now=now)


def blank(plan_id: str, order_number: str, price: int, product: str, now: datetime) -> Plan:
    """A plan that waits for the shop's commit."""
    nothing = Kopecks(0)
    return Plan(
        id=plan_id, merchant_id=SHOP, order_number=order_number, product_code=product, product_version=1,
        price=Kopecks(price), prepaid=nothing, items=(), status=PlanStatus.WAIT_FOR_COMMIT, standing=Standing.NONE,
        link_code=plan_id[-20:], buyer_id=None, contract_on=None, collector=None, card_token=None,
        first_payment_id=None, binding_id=None, fee_basis_points=None, fee=nothing, refunded=nothing,
        outstanding=nothing, overpaid=nothing, penalty=nothing, next_due_on=None, is_paused=False, reason=None,
        created_at=now, expires_at=now + timedelta(days=5), committed_at=None, ended_at=None, version=1,
    )  # fmt: skip


def day(number: int) -> date:
    """The Moscow day, that many days after the plans of this world begin."""
    return noon(number).astimezone(MOSCOW).date()
