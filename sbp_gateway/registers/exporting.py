"""Our own operations of a day as a bank's register: what a merchant compares with what its bank sends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import BinaryIO

from ledger.database import Engine, transaction
from sbp_gateway.registers import repository
from sbp_gateway.registers.lines import RegisterLine
from sbp_gateway.registers.profile import Profile
from sbp_gateway.registers.register import RegisterScope
from sbp_gateway.registers.writing import write_register

PAGE_LINES = 5_000
LINES_MAX = 1_000_000
"""Of one day and one merchant or bank: the whole day is laid out in memory before it is written."""


async def write_day(engine: Engine, profile: Profile, day_on: date, scope: RegisterScope, out: BinaryIO) -> int:
    """Write our operations of a Moscow day, and say how many."""
    lines = [line async for line in lines_of_day(engine, day_on, scope)]
    return write_register(profile, lines, out, day_on=day_on)


async def lines_of_day(engine: Engine, day_on: date, scope: RegisterScope) -> AsyncIterator[RegisterLine]:
    """Our operations in the order of time, a page in each transaction."""
    after: repository.Place | None = None
    for _ in range(LINES_MAX // PAGE_LINES):
        async with transaction(engine) as session:
            page = await repository.operations_of_day(session, day_on, scope, after=after, limit=PAGE_LINES)
        for line, _ in page:
            yield line
        if len(page) < PAGE_LINES:
            return
        after = page[-1][1]
