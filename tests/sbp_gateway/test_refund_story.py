"""Whatever NSPK says about refunds, in whatever order and however often: money is conserved, ends are final."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from api import bootstrap
from ledger.database import create_engine
from ledger.errors import Rejected
from sbp_gateway.refunds import ALLOWED, Refund, RefundNews
from tests.conftest import Server, database_on, drop_database, numbers
from tests.sbp_gateway.refund_books import PAYMENT, RefundBooks, books_of

FEW = st.integers(0, 1_000)


class RefundStory(RuleBasedStateMachine):
    """One payment; cashiers, NSPK, the worker and time in any order."""

    books: RefundBooks
    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Refund] = []
        self.books.now += timedelta(days=30)

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    @rule(amount=st.one_of(st.none(), st.integers(-1, 101)), is_fee_returned=st.booleans())
    def a_cashier_asks(self, amount: int | None, is_fee_returned: bool) -> None:
        """Perhaps too early, too much or for nothing: then nothing changes."""
        before = self.run(self.books.refunds())
        try:
            self.asked.append(self.run(self.books.ask_now(amount, is_fee_returned=is_fee_returned)))
        except Rejected:
            assert self.run(self.books.refunds()) == before

    @precondition(lambda self: self.asked)
    @rule(place=FEW, news=st.lists(st.sampled_from(RefundNews), min_size=1, max_size=4))
    def nspk_says(self, place: int, news: list[RefundNews]) -> None:
        """Anything, about any refund, again and again."""
        refund = self.asked[place % len(self.asked)]
        for each in news:
            before = next(found for found in self.run(self.books.refunds()) if found.id == refund.id)
            after = self.run(self.books.hear(before, each))
            assert after.status is before.status or after.status in ALLOWED[before.status]
            assert not before.is_final or after == before

    @precondition(lambda self: self.asked)
    @rule(place=FEW)
    def the_worker_repeats(self, place: int) -> None:
        """The same request with the same id, or nothing."""
        refund = self.asked[place % len(self.asked)]
        repeated = self.run(self.books.repeat(refund))
        assert repeated is None or repeated.agent_request_id == refund.agent_request_id

    @rule(minutes=st.sampled_from([1, 20, 60, 24 * 60]))
    def time_passes(self, minutes: int) -> None:
        """Limits and patience run out."""
        self.books.now += timedelta(minutes=minutes)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        """Each truth of the payment, its refunds and the books."""
        self.run(self.books.add_up())


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.mark.parametrize("is_late", [False, True], ids=["in time", "late"])
def test_refunds_conserve_money_in_any_order(
    server: Server, template: str, loop: asyncio.AbstractEventLoop, now: Any, is_late: bool
) -> None:
    assert PAYMENT.amount == 100

    class Fresh(RefundStory):
        """A database for each run."""

        def __init__(self) -> None:
            self.name = f"kopeyka_refunds_{next(numbers)}"
            self.database = database_on(server, self.name)
            self.loop = loop
            copy(server, template, self.name)
            self.engine = create_engine(self.database.app_url)
            self.books = loop.run_until_complete(books_of(self.database, self.engine, now, is_late=is_late))
            super().__init__()

        def teardown(self) -> None:
            """Forget it."""
            loop.run_until_complete(self.books.prove())
            loop.run_until_complete(self.engine.dispose())
            drop_database(server, self.name)

    run_state_machine_as_test(
        Fresh,
        settings=settings(
            max_examples=8,
            stateful_step_count=15,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def copy(server: Server, template: str, name: str) -> None:
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER kopeyka_owner TEMPLATE {template}".encode())
        bootstrap.restrict_database(connection, name, bootstrap.BOOKS_ROLES)
