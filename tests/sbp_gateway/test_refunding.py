"""Refunds against the books: nothing goes back twice, nothing above what was paid, nothing that is not there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ledger.database import Engine, in_transaction, transaction
from ledger.errors import KopeykaError
from ledger.ids import new_id
from sbp_gateway import refund_rows, refunding
from sbp_gateway.errors import (
    PaymentLate,
    PaymentNotFound,
    PaymentRefunded,
    RefundAboveRest,
    RefundAmountNotPositive,
    RefundNotCovered,
    RefundNotFound,
    RefundTooSoon,
)
from sbp_gateway.merchants import SettlementMode
from sbp_gateway.refunding import RefundWish
from sbp_gateway.refunds import (
    ANSWER_WAIT,
    DAY_WAIT,
    HOUR_WAIT,
    LATE_REFUNDS_MAX,
    Refund,
    RefundAnswer,
    RefundNews,
    RefundStatus,
)
from tests.sbp_gateway.refund_books import MERCHANT, RefundBooks, books_of

N = RefundNews
DONE = (N.TAKEN, N.APPROVED, N.MOVED)


@pytest.fixture
async def books(database: Any, engine: Engine, now: Any) -> RefundBooks:
    return await books_of(database, engine, now)


async def test_a_refund_sets_the_money_aside_and_books_it_when_it_has_moved(books: RefundBooks) -> None:
    refund = await books.ask(60)
    assert await books.balances() == {"money": (100, 40), "owner": (90, 30), "fee": (10, 10)}

    done = await books.hear(refund, *DONE)

    assert (done.status, done.entry_id is not None) == (RefundStatus.SUCCEEDED, True)
    assert await books.balances() == {"money": (40, 40), "owner": (30, 30), "fee": (10, 10)}
    assert await books.events() == ["refund.succeeded"]
    await books.prove()


@pytest.mark.parametrize(
    ("news", "status", "event"),
    [
        pytest.param([N.REFUSED], RefundStatus.REFUSED, "refund.refused", id="NSPK did not take it"),
        pytest.param([N.TAKEN, N.DECLINED], RefundStatus.REFUSED, "refund.refused", id="the bank said no"),
        pytest.param([N.TAKEN, N.APPROVED, N.NOT_MOVED], RefundStatus.FAILED, "refund.failed", id="no money moved"),
        pytest.param([N.TAKEN, N.APPROVED, N.DECLINED], RefundStatus.FAILED, "refund.failed", id="yes and then no"),
    ],
)
async def test_a_refund_that_comes_to_nothing_gives_all_of_it_back(
    books: RefundBooks, news: list[RefundNews], status: RefundStatus, event: str
) -> None:
    ended = await books.hear(await books.ask(60), *news)

    assert (ended.status, ended.refusal_code) == (status, "RQ05041")
    assert await books.balances() == {"money": (100, 100), "owner": (90, 90), "fee": (10, 10)}
    assert (await books.rest(), await books.events()) == (100, [event])
    again = await books.hear(await books.ask(60), *DONE)
    assert again.status is RefundStatus.SUCCEEDED
    await books.prove()


async def test_an_ended_refund_hears_nothing_more(books: RefundBooks) -> None:
    done = await books.hear(await books.ask(60), *DONE)
    assert await books.hear(done, *RefundNews) == done
    assert await books.events() == ["refund.succeeded"]


async def test_our_fee_pays_its_share_where_the_installation_says_so(books: RefundBooks) -> None:
    first = await books.hear(await books.ask(33, is_fee_returned=True), *DONE)
    rest = await books.hear(await books.ask(None, is_fee_returned=True), *DONE)

    assert [(each.amount, each.fee_returned) for each in (first, rest)] == [(33, 3), (67, 7)]
    assert await books.balances() == {"money": (0, 0), "owner": (0, 0), "fee": (0, 0)}
    await books.prove()


async def test_a_merchant_whose_only_sale_goes_back_owes_us_the_fee(books: RefundBooks) -> None:
    refund = await books.ask()
    assert (refund.amount, refund.fee_returned, refund.fee_billed) == (100, 0, 10)
    await books.hear(refund, *DONE)

    assert await books.balances() == {"money": (0, 0), "owner": (0, 0), "fee": (10, 10)}
    assert await books.balance_of(f"asset:fee_receivable:{MERCHANT}") == 10
    await books.prove()


async def test_no_more_than_the_fee_is_ever_billed(books: RefundBooks) -> None:
    await books.spend(85)
    with pytest.raises(RefundNotCovered) as refusal:
        await books.ask(16)
    assert refusal.value.facts == {"amount_kopecks": 16, "available_kopecks": 5}

    first = await books.ask(8)
    assert first.fee_billed == 3
    with pytest.raises(RefundNotCovered):
        await books.ask(8)
    assert (await books.ask(7)).fee_billed == 7
    await books.hear(first, N.REFUSED)
    assert await books.balance_of(f"asset:fee_receivable:{MERCHANT}") == 0


@pytest.mark.parametrize("is_late", [False, True], ids=["in time", "late"])
async def test_direct_money_goes_back_from_the_merchants_own_account(
    database: Any, engine: Engine, now: Any, is_late: bool
) -> None:
    books = await books_of(database, engine, now, mode=SettlementMode.DIRECT, is_late=is_late)
    refund = await books.ask()
    assert (await books.balances())["money"] == (100, 0)

    await books.hear(refund, *DONE)

    found = await books.balances()
    assert (found["money"], found["owner"]) == ((0, 0), (0, 0))
    await books.prove()


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        pytest.param({"amount_kopecks": 0}, RefundAmountNotPositive, id="nothing"),
        pytest.param({"amount_kopecks": -1}, RefundAmountNotPositive, id="below nothing"),
        pytest.param({"amount_kopecks": 101}, RefundAboveRest, id="more than was paid"),
        pytest.param({"payment_id": "pay_9"}, PaymentNotFound, id="unknown payment"),
    ],
)
async def test_a_refused_wish_writes_nothing(
    books: RefundBooks, wish: dict[str, Any], refusal: type[KopeykaError]
) -> None:
    wanted = RefundWish(**{"payment_id": books.payment.id} | wish)
    with pytest.raises(refusal):
        await in_transaction(
            books.engine,
            lambda session: refunding.request_refund(session, "ref_1", wanted, merchant_id=None, now=books.now),
        )

    assert await books.refunds() == []
    assert await books.balances() == {"money": (100, 100), "owner": (90, 90), "fee": (10, 10)}
    async with transaction(books.engine) as session:
        assert await refund_rows.tries_of(session, books.payment.id, books.now) == []


async def test_another_merchants_payment_is_not_found(books: RefundBooks) -> None:
    async with transaction(books.engine) as session:
        with pytest.raises(PaymentNotFound):
            await refunding.request_refund(
                session, "ref_1", RefundWish(books.payment.id), merchant_id=f"{MERCHANT}x", now=books.now
            )
        with pytest.raises(RefundNotFound):
            await refund_rows.load_refund(session, "ref_1", merchant_id=MERCHANT)


async def test_refunds_under_way_count_against_the_rest(books: RefundBooks) -> None:
    await books.ask(60)
    with pytest.raises(RefundAboveRest) as refusal:
        await books.ask(41)
    assert refusal.value.facts == {"amount_kopecks": 41, "rest_kopecks": 40, "paid_kopecks": 100}
    await books.ask(30)
    await books.prove()


async def test_a_refunded_payment_has_nothing_left(books: RefundBooks) -> None:
    await books.hear(await books.ask(100, is_fee_returned=True), *DONE)
    with pytest.raises(PaymentRefunded):
        await books.ask()


async def test_nspk_is_asked_once_an_hour_and_five_times_a_day(books: RefundBooks) -> None:
    first_at = books.now + HOUR_WAIT
    for _ in range(5):
        await books.hear(await books.ask(10), N.REFUSED)
        with pytest.raises(RefundTooSoon) as soon:
            await books.ask_now(10)
    books.now += HOUR_WAIT

    with pytest.raises(RefundTooSoon) as full:
        await books.ask_now(10)

    assert soon.value.facts["next_allowed_at"] == first_at + DAY_WAIT
    assert full.value.facts["next_allowed_at"] == first_at + DAY_WAIT
    books.now = first_at + DAY_WAIT
    assert (await books.ask_now(10)).status is RefundStatus.REQUESTED


async def test_a_lost_answer_is_asked_for_and_the_same_request_repeated_only_when_never_heard(
    books: RefundBooks,
) -> None:
    lost = await books.hear(await books.ask(60), N.SILENT, N.SILENT)
    assert (lost.status, await books.repeat(lost)) == (RefundStatus.UNKNOWN, None)
    assert (await books.hear(lost, N.UNHEARD)).status is RefundStatus.UNKNOWN

    books.now += ANSWER_WAIT
    unheard = await books.hear(lost, N.UNHEARD)
    repeated = await books.repeat(unheard)

    assert repeated is not None
    assert (repeated.tries, repeated.agent_request_id) == (2, lost.agent_request_id)
    assert await books.repeat(unheard) is None
    old = RefundAnswer(N.REFUSED, code="RQ05040", of_try=1)
    assert (await books.hear(repeated, old, *DONE)).status is RefundStatus.SUCCEEDED
    await books.prove()


async def test_an_outage_uses_up_no_try_of_the_day(books: RefundBooks) -> None:
    refund = await books.ask(60)
    for tries in range(2, 9):
        refund = await books.hear(refund, N.NOT_SENT)
        repeated = await books.repeat(refund)
        assert repeated is not None
        assert repeated.tries == tries
        refund = repeated

    assert (await books.hear(refund, *DONE)).status is RefundStatus.SUCCEEDED
    await books.prove()


async def test_a_repeated_request_waits_for_its_hour_when_another_was_heard(books: RefundBooks) -> None:
    lost = await books.hear(await books.ask(30), N.SILENT)
    books.now += ANSWER_WAIT
    await books.hear(lost, N.UNHEARD)
    await books.ask_now(20)

    assert await books.repeat(lost) is None
    books.now += HOUR_WAIT
    repeated = await books.repeat(lost)
    assert repeated is not None
    assert repeated.tries == 2


async def test_a_refusal_of_a_repeated_request_is_checked_first(books: RefundBooks) -> None:
    lost = await books.hear(await books.ask(60), N.SILENT)
    books.now += ANSWER_WAIT
    repeated = await books.repeat(await books.hear(lost, N.UNHEARD))
    assert repeated is not None

    doubted = await books.hear(repeated, N.REFUSED)
    assert (doubted.status, doubted.refusal_code) == (RefundStatus.UNKNOWN, "RQ05041")
    found = await books.hear(doubted, N.TAKEN)
    assert (found.status, found.refusal_code) == (RefundStatus.ASKED, None)


async def test_what_was_never_sent_may_be_sent_at_once(books: RefundBooks) -> None:
    refund = await books.hear(await books.ask(60), N.NOT_SENT)
    assert (refund.status, refund.asked_at) == (RefundStatus.REQUESTED, None)
    repeated = await books.repeat(refund)
    assert repeated is not None
    assert repeated.tries == 2


async def test_a_control_value_that_came_later_is_kept_with_the_payment(books: RefundBooks) -> None:
    async with transaction(books.engine) as session:
        await session.exec_driver_sql("UPDATE sbp_payments SET kzo = NULL")
    books.payment = replace(books.payment, kzo=None)
    refund = await books.ask(60)

    await books.hear(refund, RefundAnswer(N.TAKEN, "AR2", kzo="9F2C"))

    async with transaction(books.engine) as session:
        assert (await refund_rows.load_payment(session, books.payment.id)).kzo == "9F2C"


async def test_two_sessions_never_give_back_the_same_kopeck(books: RefundBooks) -> None:
    async def ask() -> Refund | str:
        try:
            return await books.ask_now(60)
        except KopeykaError as error:
            return error.code

    found = await asyncio.gather(*(ask() for _ in range(6)))

    assert sum(isinstance(each, Refund) for each in found) == 1
    assert {each for each in found if isinstance(each, str)} <= {
        "sbp_gateway.refund_too_soon", "sbp_gateway.refund_above_rest",
    }  # fmt: skip
    await books.prove()


async def test_two_sessions_that_hear_the_same_end_book_it_once(books: RefundBooks) -> None:
    refund = await books.hear(await books.ask(60), N.TAKEN)
    await asyncio.gather(*(books.hear(refund, N.MOVED) for _ in range(4)))
    assert await books.events() == ["refund.succeeded"]
    await books.prove()


async def test_late_money_is_refunded_by_itself_and_given_to_a_person_after_five_refusals(
    database: Any, engine: Engine, now: Any
) -> None:
    books = await books_of(database, engine, now, is_late=True)
    async with transaction(engine) as session:
        await refund_rows.plan_late_refund(session, books.payment.id, books.now)
    with pytest.raises(PaymentLate):
        await ask_by_hand(books)

    for _ in range(LATE_REFUNDS_MAX):
        taken = await take_late(books)
        assert taken == [books.payment.id]
        async with transaction(engine) as session:
            await refunding.refund_late_payment(
                session, f"ref_{len(await books.refunds()):026}", taken[0], now=books.now
            )
        assert await take_late(books) == []
        with pytest.raises(PaymentLate):
            await ask_by_hand(books)
        await books.hear((await books.refunds())[-1], N.REFUSED)
        books.now += timedelta(days=30)

    assert await take_late(books) == []
    assert await books.events() == ["refund.refused"] * LATE_REFUNDS_MAX + ["payment.refund_parked"]
    assert (await books.balances())["owner"] == (100, 100)
    await books.prove()

    for amount, rest in ((60, 40), (None, 0)):
        await books.hear(await ask_by_hand(books, amount), N.TAKEN, N.MOVED)
        books.now += HOUR_WAIT
        assert ((await books.balances())["owner"], await books.rest()) == ((rest, rest), rest)
    with pytest.raises(PaymentRefunded):
        await ask_by_hand(books)
    await books.prove()


async def ask_by_hand(books: RefundBooks, amount: int | None = None) -> Refund:
    wish = RefundWish(books.payment.id, amount)
    async with transaction(books.engine) as session:
        refund, _ = await refunding.request_refund(
            session, new_id("ref", books.now), wish, merchant_id=None, now=books.now
        )
    return refund


async def take_late(books: RefundBooks) -> list[str]:
    async with transaction(books.engine) as session:
        return await refund_rows.take_late_payments(session, now=books.now, lease_until=books.now + HOUR_WAIT)


@pytest.mark.parametrize("news", [N.MOVED, N.DECLINED], ids=["booked", "released"])
@pytest.mark.usefixtures("watched_accounts")
@pytest.mark.parametrize(
    ("mode", "spent"),
    [
        pytest.param(SettlementMode.COLLECTED, 0, id="collected, fee returned"),
        pytest.param(SettlementMode.COLLECTED, 80, id="collected, fee billed"),
        pytest.param(SettlementMode.DIRECT, 0, id="direct, fee returned"),
    ],
)
async def test_both_holds_of_a_refund_lock_their_accounts_in_the_one_order(
    database: Any, engine: Engine, now: Any, mode: SettlementMode, spent: int, news: RefundNews
) -> None:
    books = await books_of(database, engine, now, mode=mode)
    if spent:
        await books.spend(spent)
    await books.hear(await books.ask(20, is_fee_returned=not spent), N.TAKEN, news)

    async with transaction(engine) as session:
        rows = await session.exec_driver_sql(
            """SELECT e.what, array_agg(a.code ORDER BY NOT starts_with(a.code, 'memo:'), a.code) AS codes
                 FROM hold_events AS e JOIN holds AS h ON h.book = e.book AND h.id = e.hold_id
                 JOIN accounts AS a ON a.book = h.book AND a.number IN (h.debit, h.credit)
                GROUP BY e.what, e.recorded_at, e.hold_id ORDER BY e.recorded_at"""
        )
        steps = rows.all()
    for what in {step.what for step in steps}:
        codes = [step.codes for step in steps if step.what == what]
        assert len(codes) == 2
        locked = list(dict.fromkeys(code for both in codes for code in both))
        assert locked == sorted(locked, key=lambda code: (not code.startswith("memo:"), code)), what
