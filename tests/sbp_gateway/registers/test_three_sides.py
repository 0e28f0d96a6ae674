"""The books are the third side of a register's check: every operation of ours must have its entry, to the kopeck."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
import pytest

from ledger import journal
from ledger.database import Engine, transaction
from ledger.ids import new_id
from sbp_gateway.merchants import SettlementMode
from sbp_gateway.refunds import RefundNews
from sbp_gateway.registers import checking, intake, repository
from sbp_gateway.registers.intake import RegisterArrival
from sbp_gateway.registers.profile import load_profile
from sbp_gateway.registers.register import (
    BookTotal,
    CheckVerdict,
    RegisterCheck,
    RegisterDifference,
    RegisterScope,
)
from tests.sbp_gateway.refund_books import books_of
from tests.sbp_gateway.registers.operations import DAY, NOON, book, lay, paid


async def check(engine: Engine, scope: RegisterScope | None = None) -> tuple[RegisterCheck, list[RegisterDifference]]:
    """Check a day that the bank sent no file for: only ours and the books are left."""
    arrival = RegisterArrival(new_id("reg", NOON), load_profile("raiffeisen_sbp"), DAY, scope or RegisterScope())
    async with transaction(engine) as session:
        await intake.record_absence(session, arrival, now=NOON)
        checked = await checking.check_three_sides(session, arrival.id, now=NOON)
    async with transaction(engine) as session:
        register = await repository.load_register(session, arrival.id)
        assert await repository.last_check(session, register) == checked
        found, _ = await repository.list_differences(session, register, check_number=1, after=0, limit=100)
    return checked, [one for one in found if one.verdict is CheckVerdict.DIFFERS_FROM_BOOKS]


async def test_the_books_say_the_same_as_our_operations(engine: Engine, database: Any) -> None:
    payments = paid(3)
    lay(database.superuser_url, payments)

    checked, found = await check(engine)

    total = sum(payment.amount for payment in payments)
    assert checked.books == (BookTotal("payment", 0, total, total, 3, 0),)
    assert (checked.books[0].register_less_ours, checked.books[0].ours_less_books) == (-total, 0)
    assert found == []


async def test_an_operation_without_its_entry_is_told(engine: Engine, database: Any) -> None:
    booked, lost = paid(2)
    lay(database.superuser_url, [booked])
    lay(database.superuser_url, [lost], is_booked=False)

    checked, found = await check(engine)

    assert [(one.operation_id, one.operation_amount, one.book_amount) for one in found] == [
        (lost.payment_id, lost.amount, None)
    ]
    assert checked.books == (BookTotal("payment", 0, booked.amount + lost.amount, booked.amount, 2, 1),)
    assert checked.books[0].ours_less_books == lost.amount


@pytest.mark.parametrize(
    ("wrong", "booked"),
    [
        pytest.param({"more": 5}, 149_995, id="another gross amount"),
        pytest.param({"word": "sbp_match:"}, None, id="of something else"),
        pytest.param({"number": 9}, None, id="in another book"),
    ],
)
async def test_an_entry_that_is_another_is_told(
    engine: Engine, database: Any, wrong: dict[str, Any], booked: int | None
) -> None:
    lay(database.superuser_url, paid(1), is_booked=False)
    book(database.superuser_url, paid(1), **wrong)

    checked, found = await check(engine)

    assert [one.book_amount for one in found] == [booked]
    assert not checked.is_clean


async def test_only_operations_of_the_registers_merchant_are_asked_about(engine: Engine, database: Any) -> None:
    lay(database.superuser_url, paid(1), is_booked=False)

    of_another, _ = await check(engine, RegisterScope(member_id="100000000001"))
    of_theirs, found = await check(engine, RegisterScope(member_id="100000000999"))

    assert of_another.books == ()
    assert (len(of_theirs.books), len(found)) == (1, 1)


@pytest.mark.parametrize("mode", SettlementMode)
@pytest.mark.parametrize("is_late", [False, True], ids=["in time", "late"])
@pytest.mark.parametrize("amount", [40, 100], ids=["a part, the fee stays", "the whole, the fee is billed"])
async def test_refunds_of_every_kind_are_found_in_the_books(
    engine: Engine, database: Any, now: datetime, mode: SettlementMode, is_late: bool, amount: int
) -> None:
    books = await books_of(database, engine, now, is_late=is_late, mode=mode)
    refund = await books.ask(100 if is_late else amount, is_fee_returned=amount == 40 and not is_late)
    await books.hear(refund, RefundNews.TAKEN, RefundNews.APPROVED, RefundNews.MOVED)

    checked, found = await check(engine)

    assert found == []
    assert checked.books == (
        BookTotal("payment", 0, 100, 100, 1, 0),
        BookTotal("refund", 0, int(refund.amount), int(refund.amount), 1, 0),
    )


async def test_an_entry_that_was_reversed_is_no_entry(engine: Engine, database: Any, now: datetime) -> None:
    books = await books_of(database, engine, now)
    async with transaction(engine) as session:
        await journal.reverse(session, books.payment.entry_id, reference="mistake", happened_at=now, now=now)

    _, found = await check(engine)

    assert [(one.operation_id, one.book_amount) for one in found] == [(books.payment.id, None)]


async def test_money_without_an_order_is_booked_and_then_booked_to_its_order(engine: Engine, database: Any) -> None:
    (payment,) = paid(1)
    lay(database.superuser_url, [payment], is_booked=False)
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE sbp_payments SET unmatched_payment_id = 'ump_1', qr_id = NULL")
    book(database.superuser_url, [payment], word="sbp_match:")

    checked, found = await check(engine)

    assert (found, checked.books) == ([], (BookTotal("payment", 0, payment.amount, payment.amount, 1, 0),))
