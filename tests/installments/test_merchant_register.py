"""The merchant's register: equals the books of its day, follows the day before, and is never told otherwise."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, timedelta

import pytest

from installments import merchant_register
from installments.errors import RegisterNotFound, RegisterNotOver
from installments.merchant_register import (
    COLUMNS,
    PlanRegister,
    RegisterPeriod,
    make_register,
    make_up_days,
    merchants_without_register,
)
from installments.movements import MovementKind
from ledger import balances, chart, journal
from ledger.clock import MOSCOW
from ledger.database import transaction
from ledger.entry import Entry, Posting
from ledger.money import kopecks_of
from tests.installments.plan_world import SHOP, PlanWorld, day, noon

KIND = MovementKind
LATER = noon(90)
DAYS_MAX = 5


async def register(
    world: PlanWorld, on: date, period: RegisterPeriod = RegisterPeriod.DAY, now: datetime = LATER
) -> PlanRegister:
    async with transaction(world.engine) as session:
        return await make_register(session, SHOP, period, on, now=now)


def lines_of(made: PlanRegister) -> list[dict[str, str]]:
    text = made.content.decode("utf-8-sig")
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text), delimiter=";"))


async def books_through(world: PlanWorld, on: date) -> int:
    """What the books say was owed at the end of a day."""
    midnight = datetime.combine(on + timedelta(days=1), datetime.min.time(), MOSCOW)
    async with transaction(world.engine) as session:
        found = await balances.balance_happened_at(session, chart.plan_payable(SHOP), midnight - timedelta(seconds=1))
    return found.balance


async def two_days(world: PlanWorld) -> None:
    """Two sales on the first day; on the second a sale and a refund of goods."""
    one = await world.plan()
    await world.plan(123_456)
    await world.pays(one, 100_000, 0, KIND.DOWN_PAYMENT)
    await world.plan(50_000, at=noon(1))
    await world.tell(one, KIND.MERCHANT_REFUND, 100_000, 1)


async def test_each_day_equals_the_books_and_follows_the_day_before(world: PlanWorld) -> None:
    await two_days(world)

    first, second, third = [await register(world, day(number)) for number in (0, 1, 2)]

    for made, on in ((first, day(0)), (second, day(1)), (third, day(2))):
        assert made.closing == await books_through(world, on)
        assert made.closing - made.opening == made.credits - made.debits
    assert (first.opening, second.opening, third.opening) == (0, first.closing, second.closing)
    assert (third.lines, third.opening) == (0, third.closing)
    assert second.closing == await world.balance(chart.plan_payable(SHOP))


async def test_a_line_says_the_goods_our_fee_and_what_is_owed(world: PlanWorld) -> None:
    await two_days(world)

    opening, one, two, total = lines_of(await register(world, day(0)))

    assert list(one) == list(COLUMNS)
    assert (opening["happened_at"], opening["balance"]) == ("opening", "0.00")
    assert (one["operation"], one["amount"], one["fee"], one["net"]) == ("committed", "4000.00", "276.00", "3724.00")
    assert two["amount"] == "1234.56"
    assert (total["happened_at"], total["amount"]) == ("total", "5234.56")
    assert one["order_number"].startswith("A-")


async def test_the_totals_are_those_of_the_lines_and_net_is_amount_less_fee_and_claim(world: PlanWorld) -> None:
    await two_days(world)

    for number in (0, 1):
        opening, *lines, total = lines_of(await register(world, day(number)))
        for name in ("amount", "fee", "claim", "net"):
            assert kopecks_of(total[name]) == sum(kopecks_of(line[name]) for line in lines)
        for line in lines:
            assert kopecks_of(line["net"]) == (
                kopecks_of(line["amount"]) - kopecks_of(line["fee"]) + kopecks_of(line["claim"])
            )
        assert kopecks_of(total["balance"]) == kopecks_of(opening["balance"]) + kopecks_of(total["net"])


async def test_what_becomes_known_after_a_register_was_given_stands_in_the_next_with_its_own_day(
    world: PlanWorld,
) -> None:
    plan = await world.plan()
    await world.plan(50_000, at=noon(1))
    given = await register(world, day(0))
    await world.tell(plan, KIND.MERCHANT_REFUND, 1_000, 0, known=1)

    following = await register(world, day(1))

    lines = lines_of(following)[1:-1]
    told = sorted((line["happened_at"][:10], line["operation"], line["amount"], line["fee"]) for line in lines)
    assert told == [
        (day(0).isoformat(), "merchant_refund", "-10.00", "0.00"),
        (day(1).isoformat(), "committed", "500.00", "34.50"),
        (day(1).isoformat(), "fee_returned", "0.00", "-0.69"),
    ]
    assert (given.lines, await register(world, day(0))) == (1, given)
    assert (following.opening, following.closing) == (given.closing, await books_through(world, day(1)))
    month = await register(world, day(0), RegisterPeriod.MONTH)
    assert (month.opening, month.lines, month.closing) == (0, 4, following.closing)


async def test_a_refund_after_the_payout_is_a_claim_until_sales_pay_for_it(world: PlanWorld) -> None:
    plan = await world.plan()
    await paid_out(world)

    await world.tell(plan, KIND.MERCHANT_REFUND, 100_000, 1)

    lines = lines_of(await register(world, day(1)))[1:-1]
    (line,) = [line for line in lines if line["operation"] == "merchant_refund"]
    assert line["amount"] == "-1000.00"
    assert kopecks_of(line["claim"]) == await world.balance(chart.plan_merchant_receivable(SHOP))
    assert kopecks_of(line["claim"]) > 0


async def paid_out(world: PlanWorld) -> None:
    """The merchant has got what it was owed."""
    owed = await world.balance(chart.plan_payable(SHOP))
    entry = Entry(
        "payout:1", "payout", noon(0), (Posting(chart.plan_payable(SHOP), chart.OPERATOR_BANK, owed),), {}
    )  # fmt: skip
    async with transaction(world.engine) as session:
        await journal.post(session, entry, now=noon(0))


async def test_a_register_that_was_given_is_given_again_as_it_was(world: PlanWorld) -> None:
    await two_days(world)
    first = await register(world, day(0))

    again = await register(world, day(0), now=LATER + timedelta(days=30))

    assert again == first
    assert first.name == f"dolyame-{SHOP}-{day(0):%Y-%m-%d}.csv"


async def test_the_month_is_its_days_together(world: PlanWorld) -> None:
    await two_days(world)

    month = await register(world, day(0), RegisterPeriod.MONTH)

    days = [await register(world, day(number)) for number in (0, 1)]
    assert (month.begins_on, month.lines) == (day(0).replace(day=1), sum(made.lines for made in days))
    assert (month.opening, month.closing) == (days[0].opening, days[1].closing)
    assert (month.debits, month.credits) == (sum(d.debits for d in days), sum(d.credits for d in days))


@pytest.mark.parametrize(("minutes", "is_over"), [(-1, False), (0, True)])
async def test_a_register_is_made_only_when_its_day_is_over(world: PlanWorld, minutes: int, is_over: bool) -> None:
    await world.plan()
    midnight = datetime.combine(day(1), datetime.min.time(), MOSCOW)
    asked = register(world, day(0), now=midnight + timedelta(minutes=minutes))
    if is_over:
        assert (await asked).lines == 1
        return
    with pytest.raises(RegisterNotOver):
        await asked


async def test_the_worker_is_told_whose_register_is_missing(world: PlanWorld) -> None:
    await two_days(world)
    async with transaction(world.engine) as session:
        before = await merchants_without_register(session, RegisterPeriod.DAY, day(0))
    await register(world, day(0))
    async with transaction(world.engine) as session:
        after = await merchants_without_register(session, RegisterPeriod.DAY, day(0))

    assert (before, after) == ([SHOP], [])


async def test_a_day_before_the_merchant_s_first_is_empty_and_spoils_no_other(world: PlanWorld) -> None:
    never = await register(world, day(0))
    await two_days(world)
    before = [await register(world, on) for on in (date(1970, 1, 1), day(-1))]

    assert [(made.lines, made.closing) for made in (never, *before)] == [(0, 0)] * 3
    assert (await register(world, day(1))).closing == await books_through(world, day(1))


async def test_years_without_registers_are_made_up_for(world: PlanWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merchant_register, "DAYS_MAX", DAYS_MAX)
    await two_days(world)
    await register(world, day(1))
    much_later = noon(2 * DAYS_MAX + 10)

    async def make_up() -> bool:
        async with transaction(world.engine) as session:
            return await make_up_days(session, SHOP, day(2 * DAYS_MAX), now=much_later)

    with pytest.raises(RegisterNotFound):
        await register(world, day(2 * DAYS_MAX), now=much_later)
    assert [await make_up() for _ in range(3)] == [False, True, True]
    made = await register(world, day(2 * DAYS_MAX), now=much_later)
    assert made.closing == await books_through(world, day(2 * DAYS_MAX))
