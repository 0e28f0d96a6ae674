"""Whatever is asked of the books in whatever order, they equal a naive model and every proof holds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from ledger import holds, journal
from ledger.accounts import (
    AccountTerms,
    close_account,
    list_accounts,
    open_account,
    open_book,
    open_commodity,
)
from ledger.balances import balance_happened_at, balance_recorded_at, trial_balance
from ledger.clock import moscow_day
from ledger.database import Engine, Session, create_engine, in_transaction
from ledger.days import fold
from ledger.entry import Booked, Condition, Entry, Posting, Verdict
from ledger.errors import EntryRejected
from ledger.holds import HoldRequest
from ledger.periods import close_period
from ledger.proofs import broken_proofs
from ledger.statements import statement
from tests.properties.books_model import Answer, Books, ModelAccount

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TERMS = (
    AccountTerms("asset:cash:till"),
    AccountTerms("asset:cash:safe", available_min=0, balance_max=60),
    AccountTerms("liability:payable:mer_1", available_min=0),
    AccountTerms("liability:payable:mer_2", balance_max=40),
    AccountTerms("income:fee:sbp", available_min=-30),
    AccountTerms("liability:points:buyer", "PTS:p", available_min=0),
    AccountTerms("expense:points:given", "PTS:p"),
)
UNKNOWN = "asset:cash:nowhere"
T = TypeVar("T")

codes = st.sampled_from([terms.code for terms in TERMS] * 6 + [UNKNOWN])
roubles_codes = st.sampled_from([terms.code for terms in TERMS if terms.commodity == "RUB"])
amounts = st.integers(1, 45)
instants = st.one_of(
    st.just(NOW),
    st.integers(-5 * 86_400, 86_400).map(lambda seconds: NOW + timedelta(seconds=seconds)),
    st.integers(-5, 0).map(lambda days: datetime(2026, 11, 22, 21, tzinfo=UTC) + timedelta(days=days)),
)
pairs = st.one_of(
    st.permutations([terms.code for terms in TERMS if terms.commodity == "RUB"]).map(lambda p: (p[0], p[1], "RUB")),
    st.permutations(["liability:points:buyer", "expense:points:given"]).map(lambda p: (p[0], p[1], "PTS:p")),
    st.tuples(codes, codes, st.sampled_from(["RUB", "PTS:p"])).filter(lambda pair: pair[0] != pair[1]),
)
postings = st.builds(lambda pair, amount: Posting(pair[0], pair[1], amount, pair[2]), pairs, amounts)
conditions = st.builds(
    Condition,
    codes,
    st.none() | st.integers(0, 4),
    st.none() | st.integers(-10, 30),
)
references = st.integers(0, 25).map("ref {}".format)
entries = st.builds(
    lambda reference, at, booked, wanted, linked: Entry(
        reference, "test.sale", at, tuple(booked), {}, tuple(wanted), linked
    ),
    references,
    instants,
    st.lists(postings, min_size=1, max_size=3),
    st.lists(conditions, max_size=1) | st.just([]),
    st.booleans(),
)
batches = st.lists(entries, min_size=1, max_size=5)
positions = st.integers(0, 1_000)
book_numbers = count(5_000)


class BooksMachine(RuleBasedStateMachine):
    """The real books and the model, side by side, one book an example."""

    def __init__(self, engine: Engine, runner: asyncio.Runner) -> None:
        super().__init__()
        self.engine = engine
        self.runner = runner
        self.model = Books()
        self.entry_ids: list[Any] = []
        self.hold_ids: list[Any] = []
        self.moments: list[tuple[datetime, dict[str, tuple[int, int]]]] = []
        self.steps = count(1)
        number = next(book_numbers)
        self.book = f"model{number}"
        self.number = number

    def run(self, work: Callable[[Session], Awaitable[T]]) -> T:
        return self.runner.run(in_transaction(self.engine, work))

    def refusal(self, work: Callable[[Session], Awaitable[T]]) -> tuple[T | None, str | None]:
        try:
            return self.run(work), None
        except EntryRejected as error:
            return None, error.code

    @initialize()
    def open_the_book(self) -> None:
        async def work(session: Session) -> None:
            await open_commodity(session, "PTS:p", 0, now=NOW)
            await open_book(session, self.book, self.number, now=NOW)
            for terms in TERMS:
                account = await open_account(session, terms, now=NOW, book=self.book)
                self.model.accounts[terms.code] = ModelAccount(
                    terms.code,
                    terms.commodity,
                    1 if account.normal_side == "debit" else -1,
                    terms.available_min,
                    terms.balance_max,
                )

        self.run(work)

    @rule(batch=batches)
    def post_a_batch(self, batch: list[Entry]) -> None:
        verdicts = self.run(lambda session: journal.post_batch(session, batch, now=NOW, book=self.book))

        self.compare(self.model.post_batch(batch), verdicts)
        self.entry_ids += [verdict.entry_id for verdict in verdicts if isinstance(verdict, Booked)]

    @rule(batch=batches)
    def try_a_batch_without_booking_it(self, batch: list[Entry]) -> None:
        verdicts = self.run(lambda session: journal.dry_run(session, batch, now=NOW, book=self.book))

        self.compare(self.model.dry_run(batch), verdicts)

    @rule(position=positions, at=instants, reference=references)
    def reverse_an_entry(self, position: int, at: datetime, reference: str) -> None:
        if not self.entry_ids:
            return
        victim = self.entry_ids[position % len(self.entry_ids)]
        original = self.run(lambda session: journal.find_entry(session, victim, book=self.book))
        assert original is not None
        booked, code = self.refusal(
            lambda session: journal.reverse(
                session, victim, reference=reference, happened_at=at, now=NOW, book=self.book
            )
        )

        undone = tuple(Posting(p.credit, p.debit, p.amount, p.commodity) for p in reversed(original.postings))
        answer = self.model.post(Entry(reference, "reversal", at, undone, {"reverses": str(victim)}))
        assert (code in answer.reasons) if answer.verdict == "refused" else (code is None), (code, answer)
        if booked is not None:
            self.entry_ids.append(booked.entry_id)

    @rule(
        debit=roubles_codes,
        credit=roubles_codes,
        amount=amounts,
        at=instants,
        days=st.none() | st.integers(1, 3),
        reference=references,
    )
    def place_a_hold(
        self, debit: str, credit: str, amount: int, at: datetime, days: int | None, reference: str
    ) -> None:
        if debit == credit:
            return
        expires_at = None if days is None else at + timedelta(days=days)
        request = HoldRequest(reference, "test.hold", debit, credit, amount, at, expires_at=expires_at)
        hold, code = self.refusal(lambda session: holds.place(session, request, now=NOW, book=self.book))

        body, posting = ("place", request), Posting(debit, credit, amount)
        reasons = self.model.place(reference, body, posting)
        assert (code in reasons) if reasons else (code is None), (code, reasons)
        if hold is not None:
            self.model.open_hold(hold.id, reference, body, posting, expires_at)
            self.hold_ids.append(hold.id)

    @rule(
        position=positions,
        amount=st.none() | amounts,
        keep_rest=st.booleans(),
        at=instants,
        reference=references,
    )
    def post_a_hold(self, position: int, amount: int | None, keep_rest: bool, at: datetime, reference: str) -> None:
        if not self.hold_ids:
            return
        hold_id = self.hold_ids[position % len(self.hold_ids)]
        booked, code = self.refusal(
            lambda session: holds.post_part(
                session,
                hold_id,
                reference=reference,
                amount=amount,
                keep_rest=keep_rest,
                happened_at=at,
                now=NOW,
                book=self.book,
            )
        )

        reasons = self.model.post_part(hold_id, reference, ("post", hold_id, amount, keep_rest), amount, keep_rest, at)
        assert (code in reasons) if reasons else (code is None), (code, reasons)
        if booked is not None:
            self.entry_ids.append(booked)

    @rule(position=positions, at=instants, reference=references)
    def release_a_hold(self, position: int, at: datetime, reference: str) -> None:
        if not self.hold_ids:
            return
        hold_id = self.hold_ids[position % len(self.hold_ids)]
        _, code = self.refusal(
            lambda session: holds.release(session, hold_id, reference=reference, happened_at=at, book=self.book)
        )

        reasons = self.model.release(hold_id, reference, ("release", hold_id), at)
        assert (code in reasons) if reasons else (code is None), (code, reasons)

    @rule(at=instants)
    def expire_holds(self, at: datetime) -> None:
        due = self.run(lambda session: holds.due_holds(session, now=at, book=self.book))
        expired = sum([self.run(partial(holds.expire, hold_id=each, now=at, book=self.book)) for each in due])

        assert expired == self.model.expire_due(at)

    @rule(back=st.integers(-1, 6))
    def close_a_period(self, back: int) -> None:
        day = moscow_day(NOW) - timedelta(days=back)
        closed, code = self.refusal(
            lambda session: close_period(session, through_on=day, closed_by="test", now=NOW, book=self.book)
        )

        if self.model.closed_through_on is not None and day <= self.model.closed_through_on:
            assert code == "ledger.period_closed"
        elif day >= moscow_day(NOW):
            assert code == "ledger.period_not_over"
        else:
            assert code is None
            assert closed is not None
            legs = [leg for account in self.model.accounts.values() for leg in account.legs]
            assert closed.postings * 2 == sum(moscow_day(leg.happened_at) <= day for leg in legs)
            self.model.closed_through_on = day

    @rule(code=codes)
    def close_an_account(self, code: str) -> None:
        _, refused = self.refusal(lambda session: close_account(session, code, now=NOW, book=self.book))

        account = self.model.accounts.get(code)
        if account is None:
            assert refused == "ledger.unknown_account"
        elif account.balance or account.debits_held or account.credits_held:
            assert refused == "ledger.account_not_empty"
        else:
            assert refused is None
            account.is_closed = True

    @rule()
    def fold_the_days(self) -> None:
        self.run(lambda session: fold(session, book=self.book))

    @rule(code=codes.filter(lambda code: code != UNKNOWN), at=instants)
    def look_at_a_happened_time(self, code: str, at: datetime) -> None:
        turnover = self.run(lambda session: balance_happened_at(session, code, at, book=self.book))

        legs = [leg for leg in self.model.accounts[code].legs if leg.happened_at <= at]
        assert (turnover.debits, turnover.credits) == (sum(x.debit for x in legs), sum(x.credit for x in legs))

    @rule(position=positions, code=codes.filter(lambda code: code != UNKNOWN))
    def look_at_a_recorded_time(self, position: int, code: str) -> None:
        if not self.moments:
            return
        at, known = self.moments[position % len(self.moments)]
        balance = self.run(lambda session: balance_recorded_at(session, code, at, book=self.book))

        assert (balance.version, balance.posted) == known[code]

    @rule(back=st.none() | st.integers(-1, 6))
    def balance_the_trial(self, back: int | None) -> None:
        day = None if back is None else moscow_day(NOW) - timedelta(days=back)
        lines = self.run(lambda session: trial_balance(session, through_on=day, book=self.book))

        assert {line.code: (line.debits, line.credits) for line in lines} == {
            code: moved for code, moved in self.turnovers_through(day).items() if moved != (0, 0)
        }

    def turnovers_through(self, day: date | None) -> dict[str, tuple[int, int]]:
        turnovers = {}
        for code, account in self.model.accounts.items():
            legs = [leg for leg in account.legs if day is None or moscow_day(leg.happened_at) <= day]
            turnovers[code] = (sum(leg.debit for leg in legs), sum(leg.credit for leg in legs))
        return turnovers

    def compare(self, answers: list[Answer], verdicts: list[Verdict]) -> None:
        assert len(answers) == len(verdicts)
        for answer, verdict in zip(answers, verdicts, strict=True):
            if isinstance(verdict, Booked):
                assert answer.verdict == ("replayed" if verdict.is_replay else "booked"), (answer, verdict)
                states = [
                    (p.debit_version, p.debit_balance, p.credit_version, p.credit_balance) for p in verdict.postings
                ]
                assert states == answer.states
            else:
                assert answer.verdict == "refused", (answer, verdict)
                assert verdict.code in answer.reasons, (answer, verdict)

    @invariant()
    def the_books_equal_the_model(self) -> None:
        async def work(session: Session) -> Any:
            found, _ = await list_accounts(session, book=self.book)
            broken = await broken_proofs(session, book=self.book)
            return found, broken, await session.scalar(text("SELECT clock_timestamp()"))

        found, broken, moment = self.run(work)
        assert broken == []
        assert {
            a.code: (a.debits_posted, a.credits_posted, a.debits_held, a.credits_held, a.version, a.closed_at)
            for a in found
        } == {
            a.code: (a.debits, a.credits, a.debits_held, a.credits_held, len(a.legs), NOW if a.is_closed else None)
            for a in self.model.accounts.values()
        }
        known = {code: (len(a.legs), a.balance) for code, a in self.model.accounts.items()}
        self.moments.append((moment, known))

    def teardown(self) -> None:
        for account in self.model.accounts.values():
            self.check_statement(account)

    def check_statement(self, account: ModelAccount) -> None:
        lines: list[Any] = []
        while True:
            page = self.run(partial(self.next_page, code=account.code, after=len(lines)))
            lines += page.lines
            if not page.has_more:
                break
        assert [(line.version, line.debit, line.credit, line.balance) for line in lines] == [
            (version, leg.debit, leg.credit, leg.balance) for version, leg in enumerate(account.legs, 1)
        ]

    async def next_page(self, session: Session, code: str, after: int) -> Any:
        return await statement(session, code, after_version=after, limit=3, book=self.book)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def live(database: Any, runner: asyncio.Runner, *, lives: int, steps: int) -> None:
    engine = create_engine(database.app_url, size=1)
    try:
        run_state_machine_as_test(
            lambda: BooksMachine(engine, runner),
            settings=settings(
                max_examples=lives,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        runner.run(engine.dispose())


def test_the_books_equal_a_naive_model(database: Any, runner: asyncio.Runner) -> None:
    live(database, runner, lives=40, steps=20)


@pytest.mark.long
def test_the_books_equal_a_naive_model_for_a_long_life(database: Any, runner: asyncio.Runner) -> None:
    live(database, runner, lives=int(os.environ.get("KOPEYKA_TEST_LIVES", "500")), steps=40)
