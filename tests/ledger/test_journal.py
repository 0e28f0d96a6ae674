from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from ledger import accounts, journal, proofs
from ledger.clock import MOSCOW
from ledger.database import Engine, in_transaction, transaction
from ledger.entry import AMOUNT_MAX, Booked, Condition, Entry, Posting, Refused
from ledger.errors import EntryRejected
from tests.ledger.books import CASH, FEES, PAYABLE, POINTS, PROGRAMME, TILL, entry


async def balance_of(engine: Engine, code: str) -> int:
    async with transaction(engine) as session:
        account = await accounts.find_account(session, code)
    assert account is not None
    return account.balance


async def postings_count(engine: Engine) -> int:
    async with transaction(engine) as session:
        return sum(line.version for line in (await accounts.list_accounts(session))[0])


async def test_an_entry_moves_both_accounts_and_says_where_they_stand(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        booked = await journal.post(session, entry("e1", CASH, PAYABLE, 149_990, now), now=now)

    (line,) = booked.postings
    assert (line.debit_version, line.debit_balance) == (1, 149_990)
    assert (line.credit_version, line.credit_balance) == (1, 149_990)
    assert await balance_of(books, PAYABLE) == 149_990


async def test_the_same_reference_and_body_books_once_and_answers_alike(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        first = await journal.post(session, entry("e1", CASH, PAYABLE, 100, now), now=now)
    async with transaction(books) as session:
        second = await journal.post(session, entry("e1", CASH, PAYABLE, 100, now), now=now + timedelta(hours=1))

    assert second == dataclasses.replace(first, is_replay=True)
    assert await balance_of(books, CASH) == 100


async def test_a_refusal_is_remembered_by_reference(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        (refused,) = await journal.post_batch(session, [entry("e1", PAYABLE, FEES, 1, now)], now=now)
        await journal.post(session, entry("e2", CASH, PAYABLE, 500, now), now=now)
        (again,) = await journal.post_batch(session, [entry("e1", PAYABLE, FEES, 1, now)], now=now)

    assert isinstance(refused, Refused)
    assert isinstance(again, Refused)
    assert refused.code == again.code == "ledger.overdrawn"
    assert refused.facts == {"account": PAYABLE, "available_after": -1, "available_min": 0}


REFUSALS = [
    pytest.param("ledger.unknown_account", CASH, "asset:cash:nobody", 1, {}, id="unknown account"),
    pytest.param("ledger.wrong_commodity", CASH, POINTS, 1, {}, id="another commodity"),
    pytest.param("ledger.overdrawn", PAYABLE, FEES, 1, {}, id="below what must stay available"),
    pytest.param("ledger.over_ceiling", TILL, FEES, 1_001, {}, id="above the ceiling"),
    pytest.param("ledger.amount_overflow", CASH, FEES, AMOUNT_MAX, {}, id="beyond 63 bits in sum"),
    pytest.param(
        "ledger.version_changed", CASH, FEES, 1, {"conditions": (Condition(CASH, if_version=9),)}, id="version moved"
    ),
    pytest.param(
        "ledger.available_too_low", CASH, FEES, 1,
        {"conditions": (Condition(FEES, min_available_after=9_999),)}, id="too little left",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("code", "debit", "credit", "amount", "more"), REFUSALS)
async def test_a_refused_entry_changes_nothing(
    books: Engine, now: datetime, code: str, debit: str, credit: str, amount: int, more: dict[str, tuple[Condition]]
) -> None:
    async with transaction(books) as session:
        await journal.post(session, entry("before", CASH, FEES, 10, now), now=now)
    count = await postings_count(books)

    for reference in ("alone", "alone"):
        async with transaction(books) as session:
            with pytest.raises(EntryRejected) as caught:
                await journal.post(session, entry(reference, debit, credit, amount, now, **more), now=now)
        assert caught.value.code == code

    assert await postings_count(books) == count


FORMS = [
    pytest.param("postings/0", {"debit": CASH, "credit": CASH}, id="same account on both sides"),
    pytest.param("postings/0/amount", {"amount": 0}, id="nothing"),
    pytest.param("postings/0/amount", {"amount": -5}, id="negative"),
    pytest.param("postings/0/amount", {"amount": 2**63}, id="beyond 63 bits"),
    pytest.param("reference", {"reference": ""}, id="no reference"),
    pytest.param("reference", {"reference": "x" * 129}, id="long reference"),
    pytest.param("reference", {"reference": "ссылка"}, id="reference not ASCII"),
    pytest.param("postings/0", {"debit": 'asset:"x'}, id="quote in an account"),
]


@pytest.mark.parametrize(("field", "change"), FORMS)
async def test_a_malformed_entry_is_refused_before_the_database(
    books: Engine, now: datetime, field: str, change: dict[str, object]
) -> None:
    body = {"reference": "e1", "debit": CASH, "credit": FEES, "amount": 1} | change
    async with transaction(books) as session:
        with pytest.raises(EntryRejected) as caught:
            await journal.post(session, entry(**body, now=now), now=now)  # type: ignore[arg-type]

    assert caught.value.facts["field"] == field


@pytest.mark.parametrize("count", [0, 65])
async def test_an_entry_has_1_to_64_postings(books: Engine, now: datetime, count: int) -> None:
    async with transaction(books) as session:
        with pytest.raises(EntryRejected, match="rule of form"):
            await journal.post(session, Entry("e1", "test", now, (Posting(CASH, FEES, 1),) * count), now=now)


async def test_64_postings_of_two_commodities_are_one_entry(books: Engine, now: datetime) -> None:
    postings = (Posting(CASH, FEES, 7), Posting(PROGRAMME, POINTS, 3, "PTS:club")) * 32
    async with transaction(books) as session:
        booked = await journal.post(session, Entry("wide", "test", now, postings), now=now)
        found = await journal.find_entry(session, booked.entry_id)

    assert [line.posting for line in booked.postings] == list(postings)
    assert found is not None
    assert found.postings == postings
    assert booked.postings[-1].credit_balance == 96


async def test_one_bad_entry_does_not_sink_a_thousand(books: Engine, now: datetime) -> None:
    wanted = [entry(f"e{n}", CASH, PAYABLE, 1, now) for n in range(1000)]
    wanted[613] = entry("bad", PAYABLE, FEES, 10**9, now)
    async with transaction(books) as session:
        verdicts = await journal.post_batch(session, wanted, now=now)
        broken = await proofs.broken_proofs(session)

    assert [n for n, verdict in enumerate(verdicts) if isinstance(verdict, Refused)] == [613]
    assert await balance_of(books, PAYABLE) == 999
    assert broken == []


async def test_linked_entries_are_booked_together_or_not_at_all(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        verdicts = await journal.post_batch(
            session,
            [
                entry("a", CASH, PAYABLE, 10, now),
                entry("b1", CASH, PAYABLE, 10, now, is_linked=True),
                entry("b2", PAYABLE, FEES, 1_000, now),
                entry("c1", CASH, PAYABLE, 10, now, is_linked=True),
                entry("c2", PAYABLE, FEES, 20, now),
            ],
            now=now,
        )

    assert [getattr(verdict, "code", "booked") for verdict in verdicts] == [
        "booked", "ledger.linked_entry_refused", "ledger.overdrawn", "booked", "booked",
    ]  # fmt: skip
    assert await balance_of(books, PAYABLE) == 0


async def test_entries_of_a_batch_see_each_other_in_order(books: Engine, now: datetime) -> None:
    """The sum of a batch may be fine and its order not."""
    async with transaction(books) as session:
        verdicts = await journal.post_batch(
            session, [entry("spend", PAYABLE, FEES, 10, now), entry("earn", CASH, PAYABLE, 10, now)], now=now
        )

    assert [type(verdict) for verdict in verdicts] == [Refused, Booked]


async def test_a_repeat_inside_a_batch_is_a_replay(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        verdicts = await journal.post_batch(session, [entry("e1", CASH, FEES, 5, now)] * 3, now=now)

    assert [verdict.is_replay for verdict in verdicts if isinstance(verdict, Booked)] == [False, True, True]
    assert await balance_of(books, CASH) == 5


async def test_a_chosen_entry_id_is_kept_and_not_given_twice(books: Engine, now: datetime) -> None:
    chosen = uuid4()
    async with transaction(books) as session:
        booked = await journal.post(session, entry("e1", CASH, FEES, 5, now, id=chosen), now=now)
        with pytest.raises(EntryRejected) as caught:
            await journal.post(session, entry("e2", CASH, FEES, 5, now, id=chosen), now=now)

    assert booked.entry_id == chosen
    assert caught.value.code == "ledger.entry_id_reused"


async def test_a_dry_run_shows_balances_and_books_nothing(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        (verdict,) = await journal.dry_run(session, [entry("e1", CASH, PAYABLE, 5, now)], now=now)
        (refused,) = await journal.dry_run(session, [entry("e2", PAYABLE, FEES, 5, now)], now=now)

    assert isinstance(verdict, Booked)
    assert verdict.postings[0].credit_balance == 5
    assert isinstance(refused, Refused)
    async with transaction(books) as session:
        await journal.post(session, entry("e1", CASH, PAYABLE, 6, now), now=now)
        assert await journal.post(session, entry("e2", PAYABLE, FEES, 5, now), now=now)


async def test_an_entry_is_reversed_once(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        booked = await journal.post(session, entry("e1", CASH, FEES, 5, now), now=now)
        undone = await journal.reverse(session, booked.entry_id, reference="r1", happened_at=now, now=now)
        again = await journal.reverse(session, booked.entry_id, reference="r1", happened_at=now, now=now)
        with pytest.raises(EntryRejected) as twice:
            await journal.reverse(session, booked.entry_id, reference="r2", happened_at=now, now=now)
        with pytest.raises(EntryRejected) as unknown:
            await journal.reverse(session, uuid4(), reference="r3", happened_at=now, now=now)

    assert again.entry_id == undone.entry_id
    assert twice.value.code == "ledger.already_reversed"
    assert unknown.value.code == "ledger.unknown_entry"
    assert await balance_of(books, CASH) == 0


async def test_two_sessions_on_one_account_take_turns(books: Engine, now: datetime) -> None:
    """Forty spenders of 10 on an account of 200: twenty succeed, and not one kopeck more."""
    async with transaction(books) as session:
        await journal.post(session, entry("fund", CASH, PAYABLE, 200, now), now=now)

    async def spend(number: int) -> str:
        async with transaction(books) as session:
            (verdict,) = await journal.post_batch(session, [entry(f"s{number}", PAYABLE, FEES, 10, now)], now=now)
        return getattr(verdict, "code", "booked")

    verdicts = [await task for task in [asyncio.create_task(spend(number)) for number in range(40)]]

    assert sorted(verdicts) == ["booked"] * 20 + ["ledger.overdrawn"] * 20
    assert await balance_of(books, PAYABLE) == 0


async def test_one_reference_from_many_sessions_books_once(books: Engine, now: datetime) -> None:
    async def post(number: int) -> Booked:
        return await in_transaction(
            books, lambda session: journal.post(session, entry("same", CASH, FEES, 7, now), now=now)
        )

    booked = await asyncio.gather(*(post(number) for number in range(24)))

    assert len({verdict.entry_id for verdict in booked}) == 1
    assert sum(not verdict.is_replay for verdict in booked) == 1
    assert await balance_of(books, CASH) == 7


async def test_opposite_batches_do_not_deadlock(books: Engine, now: datetime) -> None:
    async def post(number: int) -> None:
        pair = [entry(f"x{number}", CASH, FEES, 1, now), entry(f"y{number}", FEES, CASH, 1, now)]
        if number % 2:
            pair.reverse()
        async with transaction(books) as session:
            await journal.post_batch(session, pair, now=now)

    await asyncio.gather(*(post(number) for number in range(60)))

    assert await balance_of(books, CASH) == 0


async def test_the_same_instant_with_another_offset_is_the_same_body(books: Engine, now: datetime) -> None:
    in_moscow = now.astimezone(MOSCOW)
    async with transaction(books) as session:
        await journal.post(session, entry("e1", CASH, FEES, 5, now, happened_at=in_moscow), now=now)
        again = await journal.post(session, entry("e1", CASH, FEES, 5, now), now=now)

    assert again.is_replay


async def test_nobody_may_book_a_reversal_of_his_own_making(books: Engine, now: datetime) -> None:
    async with transaction(books) as session:
        booked = await journal.post(session, entry("e1", CASH, FEES, 5, now), now=now)
        forged = Entry("r", "reversal", now, (Posting(FEES, CASH, 5),), {"reverses": str(booked.entry_id)})
        with pytest.raises(EntryRejected) as caught:
            await journal.post(session, forged, now=now)

    assert caught.value.facts["field"] == "kind"


@pytest.mark.parametrize(
    ("code", "opening"),
    [
        ("ledger.book_differs", lambda s, now: accounts.open_book(s, "main", 2, now=now)),
        ("ledger.book_differs", lambda s, now: accounts.open_book(s, "other", 1, now=now)),
        ("ledger.commodity_differs", lambda s, now: accounts.open_commodity(s, "PTS:club", 2, now=now)),
        ("ledger.invalid_entry", lambda s, now: accounts.open_commodity(s, "USD", 2, now=now)),
        ("ledger.invalid_entry", lambda s, now: accounts.open_book(s, "Главная", 3, now=now)),
    ],
)
async def test_books_and_commodities_keep_their_terms(books: Engine, now: datetime, code: str, opening: Any) -> None:
    with pytest.raises(EntryRejected) as caught:
        async with transaction(books) as session:
            await opening(session, now)

    assert caught.value.code == code
