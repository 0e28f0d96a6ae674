"""Every line of a register and every operation of ours gets one verdict, and no kopeck is lost."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.database import Engine, transaction
from ledger.ids import new_id
from sbp_gateway.registers import intake, repository
from sbp_gateway.registers.checking import check_register
from sbp_gateway.registers.intake import RegisterArrival
from sbp_gateway.registers.lines import RegisterLine
from sbp_gateway.registers.profile import load_profile
from sbp_gateway.registers.register import (
    CheckVerdict,
    RegisterCheck,
    RegisterDifference,
    RegisterScope,
    RegisterStatus,
)
from sbp_gateway.registers.writing import write_register
from tests.sbp_gateway.registers.operations import DAY, MEMBER, MERCHANT, NOON, Paid, later, lay, paid

BY_LINK, BY_OPERATION = "raiffeisen_sbp", "tbank"
Found = tuple[RegisterCheck, list[RegisterDifference]]


async def check(
    engine: Engine, lines: Sequence[RegisterLine], *, profile: str = BY_LINK, scope: RegisterScope | None = None
) -> Found:
    """Write lines as the bank does, take them in, compare."""
    form, file = load_profile(profile), io.BytesIO()
    write_register(form, lines, file, day_on=DAY)
    file.seek(0)
    arrival = RegisterArrival(new_id("reg", NOON), form, DAY, scope or RegisterScope())
    async with transaction(engine) as session:
        if lines:
            await intake.take_in(session, arrival, file, now=NOON)
        else:
            await intake.record_absence(session, arrival, now=NOON)
    return await check_again(engine, arrival.id)


async def check_again(engine: Engine, register_id: str) -> Found:
    async with transaction(engine) as session:
        checked = await check_register(session, register_id, now=NOON)
    async with transaction(engine) as session:
        register = await repository.load_register(session, register_id)
        found, _ = await repository.list_differences(
            session, register, check_number=checked.number, after=0, limit=1000
        )
    assert register.status is RegisterStatus.CHECKED
    return checked, found


def verdicts(found: list[RegisterDifference]) -> list[tuple[str, int | None, str | None]]:
    return sorted((one.verdict.value, one.line_number, one.operation_id) for one in found)


def counts(checked: RegisterCheck) -> dict[str, tuple[int, int, int, int]]:
    return {
        total.verdict.value: (total.lines, total.line_amount, total.operations, total.operation_amount)
        for total in checked.totals
    }


@pytest.mark.parametrize("profile", [BY_LINK, BY_OPERATION])
async def test_a_right_register_matches_to_the_kopeck(engine: Engine, database: Any, profile: str) -> None:
    payments = paid(20)
    lay(database.superuser_url, payments)

    checked, found = await check(engine, [payment.line() for payment in payments], profile=profile)

    total = sum(payment.amount for payment in payments)
    assert counts(checked) == {"matched": (20, total, 20, total)}
    assert found == []
    assert checked.is_clean


@pytest.mark.parametrize("profile", [BY_LINK, BY_OPERATION])
async def test_each_break_is_told_by_its_line(engine: Engine, database: Any, profile: str) -> None:
    payments = paid(6)
    lay(database.superuser_url, payments)
    lines = [payment.line() for payment in payments]
    lines[1] = lines[1]._replace(amount_kopecks=lines[1].amount_kopecks + 100)
    lines[2] = lines[2]._replace(fee_kopecks=(lines[2].fee_kopecks or 0) + 2)
    lines[3] = lines[3]._replace(fee_kopecks=(lines[3].fee_kopecks or 0) + 1)
    foreign = Paid(99, 5_000, 20).line()

    checked, found = await check(engine, [*lines[:5], lines[0], foreign], profile=profile)

    first = 4 if profile == BY_LINK else 1
    assert verdicts(found) == sorted([
        ("amount_differs", first + 1, payments[1].payment_id),
        ("duplicate", first + 5, None),
        ("fee_differs", first + 2, payments[2].payment_id),
        ("only_in_register", first + 6, None),
        ("only_with_us", None, payments[5].payment_id),
    ], key=lambda row: row[0])  # fmt: skip
    assert counts(checked)["matched"][0] == 3, "one kopeck of the fee is tolerated"
    assert not checked.is_clean


async def test_an_operation_that_the_bank_has_on_the_next_day_is_not_lost(engine: Engine, database: Any) -> None:
    (payment, ours) = paid(2)
    before = later(payment, hours=-13)  # 22:59 of the day before in Moscow
    lay(database.superuser_url, [before, ours])

    checked, found = await check(engine, [before.line(happened_at=NOON), ours.line()], profile=BY_OPERATION)

    assert verdicts(found) == [("matched_other_day", 1, before.payment_id)]
    assert found[0].is_other_day
    assert checked.is_clean


async def test_an_operation_of_ours_in_another_days_register_is_told_apart(engine: Engine, database: Any) -> None:
    ours = paid(2)
    lay(database.superuser_url, ours)
    form, file = load_profile(BY_OPERATION), io.BytesIO()
    write_register(form, [ours[1].line()], file, day_on=DAY + timedelta(days=1))
    file.seek(0)
    tomorrow = RegisterArrival(new_id("reg", NOON), form, DAY + timedelta(days=1))
    async with transaction(engine) as session:
        await intake.take_in(session, tomorrow, file, now=NOON)

    _, found = await check(engine, [ours[0].line()], profile=BY_OPERATION)

    assert verdicts(found) == [("in_other_register", None, ours[1].payment_id)]


async def test_a_day_without_a_file_must_be_a_day_without_operations(engine: Engine, database: Any) -> None:
    clean, nothing = await check(engine, [])
    lay(database.superuser_url, paid(1))
    checked, found = await check(engine, [])

    assert (clean.is_clean, nothing) == (True, [])
    assert verdicts(found) == [("only_with_us", None, paid(1)[0].payment_id)]
    assert not checked.is_clean


async def test_another_operation_under_the_same_link_is_not_ours(engine: Engine, database: Any) -> None:
    ours = paid(1)
    lay(database.superuser_url, ours)

    _, found = await check(engine, [ours[0].line(trx_id="B" * 32)], profile=BY_OPERATION)

    assert [one.verdict for one in found] == [CheckVerdict.ONLY_IN_REGISTER, CheckVerdict.ONLY_WITH_US]


async def test_names_may_be_mixed_in_one_register(engine: Engine, database: Any) -> None:
    ours = paid(3)
    lay(database.superuser_url, ours)
    lines = [ours[0].line(), ours[1].line(trx_id=None), ours[2].line(trx_id=None), ours[2].line(trx_id=None)]

    checked, found = await check(engine, lines, profile=BY_OPERATION)

    assert counts(checked)["matched"][0] == 3, "the second by order number, for this bank tells no link"
    assert [one.verdict for one in found] == [CheckVerdict.ONLY_IN_REGISTER], "a pair of equals has no third"


async def test_only_the_scope_of_a_register_is_expected_in_it(engine: Engine, database: Any) -> None:
    lay(database.superuser_url, paid(1))

    _, of_another = await check(engine, [], scope=RegisterScope(member_id="100000000007"))
    _, of_the_bank = await check(engine, [], scope=RegisterScope(member_id=MEMBER))
    checked, _ = await check(engine, [paid(1)[0].line()], scope=RegisterScope(merchant_id=None, member_id=MEMBER))

    assert of_another == []
    assert len(of_the_bank) == 1
    assert checked.is_clean
    assert MERCHANT


async def test_a_late_payment_has_no_fee_of_ours_to_compare(engine: Engine, database: Any) -> None:
    late = Paid(1, 100_000, 0, is_late=True)
    lay(database.superuser_url, [late])

    checked, _ = await check(engine, [late.line(fee_kopecks=400)])

    assert checked.is_clean


async def test_cards_and_payouts_are_counted_and_not_compared(engine: Engine, database: Any) -> None:
    from sbp_gateway.registers.lines import LineKind, LineRail

    line = Paid(1, 100, 1).line()
    lines = [line._replace(rail=LineRail.OTHER), line._replace(kind=LineKind.PAYOUT)]

    checked, found = await check(engine, lines, profile="raiffeisen_combined")

    assert counts(checked) == {"not_compared": (2, 200, 0, 0)}
    assert found == []


async def test_a_register_may_be_checked_again_when_ours_have_learnt_more(engine: Engine, database: Any) -> None:
    first, second = paid(2)
    lay(database.superuser_url, [first])
    form, file = load_profile(BY_LINK), io.BytesIO()
    write_register(form, [first.line(), second.line()], file, day_on=DAY)
    file.seek(0)
    arrival = RegisterArrival(new_id("reg", NOON), form, DAY)
    async with transaction(engine) as session:
        await intake.take_in(session, arrival, file, now=NOON)

    early, _ = await check_again(engine, arrival.id)
    lay(database.superuser_url, [second])
    late, found = await check_again(engine, arrival.id)

    assert (early.number, early.is_clean) == (1, False)
    assert (late.number, late.is_clean, found) == (2, True, [])


BREAKS = st.lists(
    st.tuples(st.sampled_from(["right", "missing", "doubled", "amount", "fee", "foreign"]), st.integers(1, 10**8)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(breaks=BREAKS, profile=st.sampled_from([BY_LINK, BY_OPERATION]))
async def test_no_kopeck_is_lost_whatever_breaks(
    engine: Engine, database: Any, breaks: list[tuple[str, int]], profile: str
) -> None:
    base = next(NUMBERS)
    ours, lines = [], []
    for place, (kind, amount) in enumerate(breaks):
        payment = Paid(base + place, amount, amount // 100, NOON + timedelta(days=base, seconds=place))
        if kind != "foreign":
            ours.append(payment)
        if kind != "missing":
            changed = {"amount": {"amount_kopecks": amount + 1}, "fee": {"fee_kopecks": amount // 100 + 5}}
            lines += [payment.line(**changed.get(kind, {}))] * (2 if kind == "doubled" else 1)

    lay(database.superuser_url, ours)

    checked = await check_on(engine, lines, profile, NOON + timedelta(days=base))

    assert sum(total.line_amount for total in checked.totals) == sum(line.amount_kopecks for line in lines)
    assert sum(total.operation_amount for total in checked.totals) == sum(payment.amount for payment in ours)
    assert checked.is_clean == all(kind == "right" for kind, _ in breaks)


async def check_on(engine: Engine, lines: list[RegisterLine], profile: str, day: datetime) -> RegisterCheck:
    form, file = load_profile(profile), io.BytesIO()
    write_register(form, lines, file, day_on=day.date())
    file.seek(0)
    arrival = RegisterArrival(new_id("reg", NOON), form, day.date())
    async with transaction(engine) as session:
        if lines:
            await intake.take_in(session, arrival, file, now=NOON)
        else:
            await intake.record_absence(session, arrival, now=NOON)
        return await check_register(session, arrival.id, now=NOON)


NUMBERS = iter(range(10, 100_000, 20))
