"""Jobs over many things, each for itself: what fails is logged and due again, and keeps no other from its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import psycopg
import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ledger.errors import KopeykaError

log = structlog.get_logger("one_by_one")

Due = TypeVar("Due")
AWAY = (OperationalError, psycopg.OperationalError, PoolTimeout, OSError)
"""What says that the database is away, or has no connection for us; what it says of one statement is among them."""
OF_ONE_STATEMENT = frozenset({"57014", "55P03", "40P01", "40001"})
"""It ran out of its time, waited for too long for a lock, or lost to another again and again."""


def is_away(error: Exception) -> bool:
    """Whether the database is away: that is no thing's own fault, and all of them wait."""
    cause = error.orig if isinstance(error, OperationalError) else error
    return isinstance(error, AWAY) and getattr(cause, "sqlstate", None) not in OF_ONE_STATEMENT


async def one_by_one(
    job: str, due: Sequence[Due], work: Callable[[Due], Awaitable[object]], *,
    name: Callable[[Due], str] = str, at_once: int = 1,
) -> int:  # fmt: skip
    """Work on all that is due, a few at once, and say how many were done."""
    places = asyncio.Semaphore(at_once)

    async def one(item: Due) -> bool:
        async with places:
            try:
                await work(item)
            except Exception as error:
                log.warning("not_carried_out", job=job, of=name(item), code=code_of(error))
                return False
        return True

    return sum(await asyncio.gather(*(one(item) for item in due)))


async def all_or_halves(
    job: str, due: Sequence[str], work: Callable[[Sequence[str]], Awaitable[object]], *,
    alone: Callable[[str, Exception], Awaitable[object]] | None = None,
) -> int:  # fmt: skip
    """Work on all at once, or on each half, and say how many were done: one that fails is alone in the end.

    ``alone`` is told of each that fails for itself.

    Raises: what says that the database is away.
    """
    if not due:
        return 0
    try:
        await work(due)
    except Exception as error:
        if is_away(error):
            raise
        if len(due) == 1:
            log.warning("not_carried_out", job=job, of=due[0], code=code_of(error))
            if alone is not None:
                await alone(due[0], error)
            return 0
        middle = len(due) // 2
        halves = (due[:middle], due[middle:])
        return sum([await all_or_halves(job, half, work, alone=alone) for half in halves])
    return len(due)


def code_of(error: Exception) -> str:
    """What a log says of a failure: our own code, or what kind of failure it is."""
    return error.code if isinstance(error, KopeykaError) else type(error).__name__
