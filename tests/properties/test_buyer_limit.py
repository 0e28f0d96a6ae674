"""A buyer's limit under any order of plans accepted alone and together, given up, committed, repaid and owed again.

After each step what was newly approved fits the limit of its moment, and what the limit says is used is what a naive
sum over the plans says.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import count

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from installments import limits
from installments.buyer import Buyer
from ledger.database import Engine, create_engine, in_transaction, text, transaction
from tests.conftest import Database
from tests.installments.buyer_world import NOW, BuyerWorld, decide_and_save

PHONES = count(9_160_000_000)
PRICES = st.integers(1, 60_00) | st.integers(30_00, 60_00)
STEPS = st.one_of(
    st.tuples(st.just("accept"), st.lists(PRICES, min_size=1, max_size=5)),
    st.tuples(st.just("cancel"), st.integers(0, 50)),
    st.tuples(st.just("commit"), st.integers(0, 50)),
    st.tuples(st.just("repay"), st.tuples(st.integers(0, 50), PRICES)),
    st.tuples(st.just("limit"), st.integers(0, 150_00)),
)
"""Limits of up to 150 roubles and prices of up to 60: two plans fit, three do not."""


@dataclass
class Life:
    """One buyer, and what a naive book says of the plans: what of each counts."""

    world: BuyerWorld
    buyer: Buyer
    limit: int = 100_00
    held: dict[str, int] = field(default_factory=dict)
    owed: dict[str, int] = field(default_factory=dict)

    @property
    def used(self) -> int:
        return sum(self.held.values()) + sum(self.owed.values())

    async def accept(self, prices: list[int]) -> None:
        plans = [await self.world.plan(price) for price in prices]
        before = self.used
        made = await asyncio.gather(*(
            in_transaction(self.world.engine, lambda session, plan=plan: decide_and_save(session, plan.id, self.buyer))  # type: ignore[misc]
            for plan in plans
        ))  # fmt: skip
        self.held |= {plan.id: price for plan, price, one in zip(plans, prices, made, strict=True) if one.is_approved}
        if self.used > before:
            assert self.used <= self.limit
        elif before + min(prices) <= self.limit:
            assert {reason for one in made for reason in one.reasons} == {"installments.too_many_plans"}

    async def cancel(self, which: int) -> None:
        if self.held:
            plan_id = sorted(self.held)[which % len(self.held)]
            del self.held[plan_id]
            await self._set(plan_id, "status = 'canceled', expires_at = NULL")

    async def commit(self, which: int) -> None:
        if self.held:
            plan_id = sorted(self.held)[which % len(self.held)]
            self.owed[plan_id] = self.held.pop(plan_id)
            await self._set(
                plan_id,
                "status = 'committed', standing = 'current', expires_at = NULL, committed_at = created_at,"
                " contract_on = '2026-11-22', fee_basis_points = 0, outstanding_kopecks = price_kopecks,"
                " next_due_on = '2026-12-06'",
            )

    async def repay(self, how: tuple[int, int]) -> None:
        if self.owed:
            plan_id = sorted(self.owed)[how[0] % len(self.owed)]
            rest = self.owed[plan_id] = max(0, self.owed[plan_id] - how[1])
            done = "" if rest else ", standing = 'repaid', next_due_on = NULL"
            await self._set(plan_id, f"outstanding_kopecks = {rest}{done}")
            if not rest:
                del self.owed[plan_id]

    async def change(self, limit: int) -> None:
        async with transaction(self.world.engine) as session:
            await limits.set_limit(session, self.buyer.id, limit, reason="r", by="person:per_1", now=NOW)
        self.limit = limit

    async def check(self) -> None:
        async with transaction(self.world.engine) as session:
            use = await limits.limit_use(session, self.buyer.id, now=NOW)
        assert (use.limit, use.used, use.free) == (self.limit, self.used, max(0, self.limit - self.used))

    async def _set(self, plan_id: str, change: str) -> None:
        async with transaction(self.world.engine) as session:
            await session.execute(text(f"UPDATE installment_plans SET {change} WHERE id = :id"), {"id": plan_id})


async def live(world: BuyerWorld, steps: list[tuple[str, object]]) -> None:
    life = Life(world, await world.buyer(f"+7{next(PHONES)}", limit=100_00))
    verbs = {"accept": life.accept, "cancel": life.cancel, "commit": life.commit, "repay": life.repay,
             "limit": life.change}  # fmt: skip
    for verb, argument in steps:
        await verbs[verb](argument)  # type: ignore[operator]
        await life.check()


async def opened(database: Database) -> tuple[Engine, BuyerWorld]:
    engine = create_engine(database.app_url)
    return engine, await BuyerWorld(engine).begin()


def test_a_limit_is_never_passed_by_what_is_approved(database: Database) -> None:
    with asyncio.Runner() as runner:
        engine, world = runner.run(opened(database))

        @settings(max_examples=25, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(st.lists(STEPS, min_size=4, max_size=12))
        def tell(steps: list[tuple[str, object]]) -> None:
            runner.run(live(world, steps))

        try:
            tell()
        finally:
            runner.run(engine.dispose())
