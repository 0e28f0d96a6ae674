"""Months of plans, day by day: a night, a day of sales and of life, an evening of charges, and a proof at each turn."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from typing import Any

from api.demo.caller import Caller
from api.demo.errors import DemoFailed
from api.demo.plan_purchases import Wish
from api.demo.plan_world import CARDS, PlanWorld
from installments import portfolio, recording, sub_ledger, vouchers
from installments.clearing import clearing_accounts
from installments.movement_rows import load_movements
from installments.movements import Movement, MovementKind
from installments.plan import Plan, PlanStatus
from installments.regulator import ArrearsReport, arrears_report
from installments.repository import load_plan
from ledger.clock import moscow_day
from ledger.database import Session, in_transaction, text
from ledger.ids import new_id
from ledger.money import Kopecks

NIGHT, NOON, EVENING = time(0, 45), time(11, 0), time(21, 45)
SALES_AT_ONCE = 4
EMPTY_SHARE, EMPTY_DAYS_MAX, LOST_SHARE = 0.02, 25, 0.03
"""On a day: a card runs out of money for some days; one card is lost for good."""
EARLY, REFUND, CHARGEBACK = 0.004, 0.003, 0.0008
"""What happens to an open plan on a day."""
CHARGEBACK_FEE = Kopecks(50_000)
WRITE_OFF_DAYS = 90
SNAPSHOT_DAYS = 30


@dataclass(frozen=True, slots=True)
class DayEnd:
    """A day when it was over."""

    on: date
    report: ArrearsReport


@dataclass(slots=True)
class Months:
    """A run under way."""

    world: PlanWorld
    wishes: list[Wish]
    days: int
    start_on: date
    chance: random.Random
    open_plans: dict[str, Wish] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)
    ends: list[DayEnd] = field(default_factory=list)
    snapshots: list[date] = field(default_factory=list)
    proofs: int = 0
    lost_cards: set[int] = field(default_factory=set)
    empty_until: dict[int, int] = field(default_factory=dict)
    """Cards without money, and the day of the run on which some comes."""
    day: int = 0

    def note(self) -> str:
        """What stands beside the progress bar."""
        return f"{self.events['committed']:,} plans, {len(self.open_plans):,} open, {self.proofs:,} proofs"

    async def play(self) -> None:
        """Every day. Raises: DemoFailed at the first kopeck between plans and books."""
        while self.day < self.days:
            await self._one_day(self.start_on + timedelta(self.day))
            self.day += 1

    async def _one_day(self, on: date) -> None:
        world = self.world
        await world.move_to(on, NIGHT)
        await world.work_night()
        await self._prove(f"the night of {on}")
        await world.move_to(on, NOON)
        await world.decline({})
        await self._sell([wish for wish in self.wishes if wish.day == self.day])
        await self._live()
        await world.move_to(on, EVENING)
        await world.decline(self._declines())
        await world.collect()
        await self._write_off(on)
        await self._prove(f"the evening of {on}")
        report = await in_transaction(world.engine, lambda session: arrears_report(session, on))
        self.ends.append(DayEnd(on, report))
        if self.day % SNAPSHOT_DAYS == SNAPSHOT_DAYS - 1:
            while await in_transaction(world.engine, lambda session: portfolio.take_snapshot(session, on)):
                pass
            self.snapshots.append(on)

    async def _prove(self, when: str) -> None:
        differences = await in_transaction(self.world.engine, sub_ledger.check)
        if differences:
            first = differences[0]
            raise DemoFailed(
                f"after {when} {first.account} is {first.in_books} in the books, {first.in_plans} by plans"
            )
        self.proofs += 1

    def _declines(self) -> dict[str, str]:
        """Cards without money today, and those that are lost for good: by their last digits."""
        if self.chance.random() < LOST_SHARE:
            self.lost_cards.add(self.chance.randrange(CARDS))
        for number in range(CARDS):
            if self.chance.random() < EMPTY_SHARE:
                self.empty_until[number] = self.day + self.chance.randint(1, EMPTY_DAYS_MAX)
        empty = {number for number, until in self.empty_until.items() if self.day < until}
        return {self.world.last4[number]: "41" for number in self.lost_cards} | {
            self.world.last4[number]: "51" for number in empty - self.lost_cards
        }

    async def _sell(self, wishes: list[Wish]) -> None:
        waiting = iter(wishes)
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(SALES_AT_ONCE, len(wishes))):
                    tasks.create_task(self._serve(waiting))
        except* DemoFailed as failed:
            raise failed.exceptions[0] from None

    async def _serve(self, waiting: Iterator[Wish]) -> None:
        caller = self.world.caller()
        try:
            for wish in waiting:
                await self._sell_one(caller, wish)
        finally:
            caller.api.hang_up()

    async def _sell_one(self, caller: Caller, wish: Wish) -> None:
        """An order, the buyer's yes with a card, the shop's commit."""
        body = {
            "merchant_id": self.world.merchant_id, "order_number": wish.number,
            "price_kopecks": int(wish.purchase.amount), "items": wish.items(),
        }  # fmt: skip
        made = await caller.post("/v1/installments/plans", body, f"{wish.number}-plan")
        if made.status == 422:
            self.world.rejected[str(made.json()["code"])] += 1
            return
        plan = _answered(made, 201)
        card = self.world.cards[wish.purchase.customer % CARDS]
        buyer = {"phone": wish.phone, "born_on": "1985-05-05", "first_name": "Мария", "last_name": "Иванова"}
        path = f"/v1/installments/plans/{plan['id']}"
        yes = await caller.post(f"{path}/acceptance", {"buyer": buyer, "card_token": card}, f"{wish.number}-yes")
        accepted = _answered(yes, 200)
        if accepted["status"] != PlanStatus.WAIT_FOR_COMMIT:
            self.world.rejected[str(accepted.get("reason") or accepted["status"])] += 1
            return
        _answered(await caller.post(f"{path}/commit", {}, f"{wish.number}-commit"), 200)
        self.events["committed"] += 1
        self.open_plans[plan["id"]] = wish

    async def _live(self) -> None:
        """What buyers, shops and banks do on a day."""
        caller = self.world.caller()
        for plan_id, wish in list(self.open_plans.items()):
            drawn = self.chance.random()
            if drawn < EARLY:
                await self._pay_early(caller, plan_id)
            elif drawn < EARLY + REFUND:
                await self._refund(caller, plan_id, wish)
            elif drawn < EARLY + REFUND + CHARGEBACK:
                await self._charge_back(plan_id)
        caller.api.hang_up()
        await self._forget_ended()

    async def _forget_ended(self) -> None:
        still = await in_transaction(self.world.engine, _open_plans)
        self.open_plans = {plan_id: wish for plan_id, wish in self.open_plans.items() if plan_id in still}

    async def _pay_early(self, caller: Caller, plan_id: str) -> None:
        """All that is left, or a tenth of it."""
        plan = await self._load(plan_id)
        if not plan.outstanding:
            return
        body = {} if self.chance.random() < 0.5 else {"amount_kopecks": max(1, int(plan.outstanding) // 10)}
        path = f"/v1/installments/plans/{plan_id}/payments"
        answer = await caller.post(path, body, f"{plan_id}-early-{self.day}")
        if answer.status not in (201, 409, 422):
            raise DemoFailed(f"POST {path} was answered with {answer.status}: {answer.body[:300].decode()}")
        self.events["early payments" if answer.status == 201 else "early payments refused"] += 1

    async def _refund(self, caller: Caller, plan_id: str, wish: Wish) -> None:
        """One disc comes back, or all that is left."""
        plan = await self._load(plan_id)
        rest = int(plan.price - plan.refunded)
        items = wish.items()
        is_whole = len(items) == 1 or self.chance.random() < 0.3
        amount = rest if is_whole else min(rest, int(str(items[-1]["price_kopecks"])))
        if not amount:
            return
        body = {"refund_id": f"return-{self.day}", "amount_kopecks": amount}
        path = f"/v1/installments/plans/{plan_id}/refunds"
        answer = await caller.post(path, body, f"{plan_id}-return-{self.day}")
        if answer.status not in (201, 422, 409):
            raise DemoFailed(f"POST {path} was answered with {answer.status}: {answer.body[:300].decode()}")
        self.events["refunds" if answer.status == 201 else "refunds refused"] += 1

    async def _charge_back(self, plan_id: str) -> None:
        """A bank takes the last payment back, as its notice to us says."""
        world, now = self.world, self.world.clock.now()

        async def work(session: Session) -> bool:
            movements = (await load_movements(session, [plan_id])).get(plan_id, ())
            paid = [one for one in movements if one.kind is MovementKind.INSTALLMENT_PAYMENT]
            taken = {one.undoes for one in movements}
            if not paid or paid[-1].id in taken:
                return False
            last, reference = paid[-1], f"chargeback-{self.day}"
            clearing, _ = clearing_accounts(world.operator_id)
            acquirer = await _acquirer(session)
            movement = Movement(
                new_id("mov", now), plan_id, MovementKind.CHARGEBACK, last.amount, now, reference, undoes=last.id
            )
            await recording.record(session, plan_id, movement, now=now)
            await vouchers.book_chargeback_taken(
                session, acquirer, clearing, last.amount, CHARGEBACK_FEE, reference=f"{plan_id}:{reference}", now=now
            )
            return True

        self.events["chargebacks"] += await in_transaction(world.engine, work)

    async def _write_off(self, on: date) -> None:
        """We stop expecting what is more than ninety days late."""
        now = self.world.clock.now()

        async def work(session: Session) -> int:
            late = await session.scalars(
                text("SELECT id FROM installment_plans WHERE next_due_on < :day ORDER BY id LIMIT 500"),
                {"day": on - timedelta(WRITE_OFF_DAYS)},
            )
            movements = []
            for plan_id in late.all():
                plan = await load_plan(session, plan_id)
                movements.append(
                    Movement(
                        new_id("mov", now), plan_id, MovementKind.WRITE_OFF, plan.outstanding, now, f"write-off-{on}"
                    )
                )
            await recording.record_all(session, movements, now=now)
            return len(movements)

        self.events["write-offs"] += await in_transaction(self.world.engine, work)

    async def _load(self, plan_id: str) -> Plan:
        return await in_transaction(self.world.engine, lambda session: load_plan(session, plan_id))


def begin(world: PlanWorld, wishes: list[Wish], days: int) -> Months:
    """A run that begins on the day after today's."""
    chance = random.Random(world.seed)  # noqa: S311  # a seed, not a secret
    return Months(world, wishes, days, moscow_day(world.clock.now()) + timedelta(1), chance)


async def _open_plans(session: Session) -> set[str]:
    found = await session.scalars(
        text("SELECT id FROM installment_plans WHERE outstanding_kopecks > 0 AND standing IN ('current', 'overdue')")
    )
    return set(found.all())


async def _acquirer(session: Session) -> str:
    """Who took the cards: the name in the account that captures are booked to."""
    code = await session.scalar(
        text("SELECT code FROM accounts WHERE starts_with(code, 'asset:card_settlement:') ORDER BY code LIMIT 1")
    )
    return str(code).rsplit(":", 1)[1]


def _answered(answer: Any, status: int) -> Any:
    if answer.status != status:
        raise DemoFailed(f"the door answered with {answer.status}: {answer.body[:300].decode()}")
    return answer.json()
