"""Checking (сверка с реестром): every line and every operation of ours of the day gets one verdict.

The books are the third side, asked by ``check_three_sides`` alone: an operation of ours without its entry is wrong
whatever the register says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping

from ledger.database import Session, text
from sbp_gateway.registers import comparing, repository
from sbp_gateway.registers.lines import LineTrait
from sbp_gateway.registers.profile import load_profile
from sbp_gateway.registers.register import (
    ALLOWED,
    CheckTotal,
    CheckVerdict,
    Register,
    RegisterCheck,
    RegisterStatus,
    prove_matched,
)

AROUND_DAYS = 1
"""How far a bank's day and ours may be apart for one operation: both see midnight differently by seconds."""

Facts = Mapping[str, Any]


async def check_three_sides(session: Session, register_id: str, *, now: datetime) -> RegisterCheck:
    """Compare a register with our operations of its day, and these with their entries in the books.

    Locks: the register.
    Raises: RegisterNotFound, InvariantBroken if a kopeck is lost on the way.
    """
    check = await check_register(session, register_id, now=now)
    register = await repository.load_register(session, register_id)
    facts = _facts(register) | {"check_number": check.number}
    await _change(session, comparing.compare_books(register.scope), facts)
    return replace(check, books=await repository.book_totals(session, register, check.number))


async def check_register(session: Session, register_id: str, *, now: datetime) -> RegisterCheck:
    """Compare a register with our operations of its day. May be done again: each time is kept.

    Locks: the register.
    Raises: RegisterNotFound, InvariantBroken if a kopeck is lost on the way.
    """
    register = await repository.load_register(session, register_id, lock=True)
    assert RegisterStatus.CHECKED in ALLOWED[register.status]
    await session.execute(text(comparing.CHEAP_PLANS))
    facts = _facts(register) | {"check_number": await _begin(session, register, now)}

    rest = await _compare(session, register, facts)
    await _look_around(session, register, facts)
    await _total(session, rest, facts)
    await repository.mark_checked(session, register)
    check = await repository.last_check(session, register)
    assert check is not None
    return check


def _facts(register: Register) -> dict[str, Any]:
    since, until = repository.bounds_of(register.day_on)
    around = timedelta(days=AROUND_DAYS)
    return {
        "number": register.number, "since": since, "until": until, "earliest": since - around,
        "latest": until + around, "profile": register.profile, "day_on": register.day_on,
        "first_on": register.day_on - around, "last_on": register.day_on + around,
        "member_id": register.scope.member_id, "merchant_id": register.scope.merchant_id,
        "tolerance": load_profile(register.profile).fee.tolerance_kopecks,
    }  # fmt: skip


async def _begin(session: Session, register: Register, now: datetime) -> int:
    return int(
        await session.scalar(
            text("""INSERT INTO register_checks (register_number, number, checked_at)
                    SELECT :number, coalesce(max(number), 0) + 1, :now FROM register_checks
                     WHERE register_number = :number RETURNING number"""),
            {"number": register.number, "now": now},
        )
        or 0
    )


class _Doubled(Exception):  # not an error: takes back a comparison that took every line for another operation
    """Two lines may be of one operation."""


async def _compare(session: Session, register: Register, facts: Facts) -> CheckTotal:
    """Keep what differs and say what matches: all the rest of both sides, which must be the same.

    Compares as if no line came twice, which is nearly always so; if one did, again without its doubles.
    """
    (found,) = await _rows(session, comparing.IS_SHARED, facts)
    is_shared = found["is_shared"] or LineTrait.REFUND in register.totals.traits
    sides = comparing.both_sides(register.totals.traits, register.scope, is_shared=is_shared)
    whole = await _whole(session, register, facts)
    try:
        async with session.begin_nested():
            await _change(session, comparing.compare(*sides, has_duplicates=False, is_shared=is_shared), facts)
            rest, strange = await _rest(session, whole, facts)
            if rest.lines != rest.operations or strange > 1:
                raise _Doubled
    except _Doubled:
        await _change(session, comparing.find_duplicates(sides[0]), facts)
        await _change(session, comparing.compare(*sides, has_duplicates=True, is_shared=is_shared), facts)
        rest, _ = await _rest(session, whole, facts)
    return prove_matched(rest)


async def _whole(session: Session, register: Register, facts: Facts) -> CheckTotal:
    """Both sides of the comparison, each counted by itself. What is not compared is left out."""
    totals = register.totals
    lines, amount, fee = totals.lines, totals.payments + totals.refunds + totals.payouts, totals.fees
    if LineTrait.NOT_COMPARED in totals.traits:
        (aside,) = await _rows(session, comparing.COUNT_NOT_COMPARED, facts)
        lines, amount = lines - aside["lines"], amount - aside["line_kopecks"]
        fee -= aside["line_fee_kopecks"]
        nothing = {"operation_kopecks": 0, "operation_fee_kopecks": 0}
        await _add_total(session, facts, CheckVerdict.NOT_COMPARED, aside["lines"], 0, {**aside, **nothing})
    sql = comparing.COUNT_OPERATIONS.format(of_day=comparing.of_day(register.scope))
    (ours,) = await _rows(session, sql, facts)
    return CheckTotal(CheckVerdict.MATCHED, lines, amount, fee, *ours.values())


async def _rest(session: Session, whole: CheckTotal, facts: Facts) -> tuple[CheckTotal, int]:
    """What is left of both sides without all that differs; and how many lines are of no operation of ours."""
    (kept,) = await _rows(session, comparing.COUNT_KEPT, facts)
    rest = CheckTotal(
        CheckVerdict.MATCHED, whole.lines - kept["lines"], whole.line_amount - kept["line_kopecks"],
        whole.line_fee - kept["line_fee_kopecks"], whole.operations - kept["operations"],
        whole.operation_amount - kept["operation_kopecks"], whole.operation_fee - kept["operation_fee_kopecks"],
    )  # fmt: skip
    return rest, kept["strange"]


async def _look_around(session: Session, register: Register, facts: Facts) -> None:
    """Give what one side lacks a second look, on the days around."""
    found = await _rows(
        session,
        """SELECT DISTINCT verdict FROM register_differences
            WHERE register_number = :number AND check_number = :check_number""",
        facts,
    )
    verdicts = {row["verdict"] for row in found}
    for name in ("trx_id", "qrc_id"):
        if CheckVerdict.ONLY_IN_REGISTER in verdicts:
            await _change(session, comparing.find_on_other_days(name, register.scope), facts)
        if CheckVerdict.ONLY_WITH_US in verdicts:
            await _change(session, comparing.find_in_other_registers(name), facts)


async def _total(session: Session, rest: CheckTotal, facts: Facts) -> None:
    await _change(session, comparing.TOTAL_DIFFERENCES, facts)
    if rest.lines:
        sums = {
            "line_kopecks": rest.line_amount, "line_fee_kopecks": rest.line_fee,
            "operation_kopecks": rest.operation_amount, "operation_fee_kopecks": rest.operation_fee,
        }  # fmt: skip
        await _add_total(session, facts, rest.verdict, rest.lines, rest.operations, sums)


async def _add_total(
    session: Session, facts: Facts, verdict: CheckVerdict, lines: int, operations: int, sums: Mapping[Any, Any]
) -> None:
    await session.execute(
        text("""INSERT INTO register_check_totals VALUES (:number, :check_number, :verdict, :lines, :line_kopecks,
                    :line_fee_kopecks, :operations, :operation_kopecks, :operation_fee_kopecks)"""),
        {
            "number": facts["number"], "check_number": facts["check_number"], "verdict": verdict.value,
            "lines": lines, "operations": operations, "line_kopecks": sums["line_kopecks"],
            "line_fee_kopecks": sums["line_fee_kopecks"], "operation_kopecks": sums["operation_kopecks"],
            "operation_fee_kopecks": sums["operation_fee_kopecks"],
        },
    )  # fmt: skip


async def _rows(session: Session, sql: str, facts: Facts) -> list[RowMapping]:
    return list((await session.execute(text(sql), _named_in(sql, facts))).mappings())


async def _change(session: Session, sql: str, facts: Facts) -> int:
    return (await session.execute(text(sql), _named_in(sql, facts))).rowcount


def _named_in(sql: str, facts: Facts) -> dict[str, Any]:
    """Only the facts that a statement asks for."""
    return {name: value for name, value in facts.items() if f":{name}" in sql}
