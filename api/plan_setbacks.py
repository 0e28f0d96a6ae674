"""Steps over many plans, each for itself: a batch that fails is worked on by halves, who fails alone is put aside.

Who is aside is left out of the step, logged, counted (``kopeyka_plan_setbacks``), shown by ``kopeyka plans setbacks``,
and tried again every half hour until it goes through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog

from api import meters
from api.one_by_one import all_or_halves, code_of, is_away
from installments import setbacks
from installments.errors import ClockWentBack
from installments.setbacks import Pick, by_step
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction, transaction

log = structlog.get_logger("plan_setbacks")

Work = Callable[[Session, Pick], Awaitable[object]]
"""Does one batch of the pick's step, in a transaction."""


async def who_is_aside(engine: Engine, steps: Sequence[str], work: Work, clock: Clock) -> Pick:
    """A pick that leaves out who is aside, after those whose time has come were tried again."""
    await try_again(engine, steps, work, clock)
    return await left_out(engine, steps)


async def left_out(engine: Engine, steps: Sequence[str]) -> Pick:
    """A pick that leaves out who is aside."""
    async with transaction(engine) as session:
        return Pick(aside=by_step(await setbacks.list_setbacks(session, steps)))


async def try_again(engine: Engine, steps: Sequence[str], work: Work, clock: Clock) -> None:
    """Work on those who are aside and whose time has come, each alone."""
    async with transaction(engine) as session:
        found = await setbacks.list_setbacks(session, steps)
    for one in found:
        if one.is_due(clock.now()):
            await in_halves(engine, Pick(step=one.step, taken=[one.plan_id]), work, clock)


async def in_halves(engine: Engine, pick: Pick, work: Work, clock: Clock) -> None:
    """Work on the plans of a pick again, on fewer and fewer at once, and put aside who fails alone.

    Raises: what the work raised, if it is of no plan alone or of too many.
    """

    async def part(plan_ids: Sequence[str]) -> None:
        await in_transaction(engine, lambda session: _work_part(session, pick.step, plan_ids, work, clock))

    async def alone(plan_id: str, error: Exception) -> None:
        if isinstance(error, ClockWentBack):  # another worker has begun a later night: no plan's own fault
            raise error
        code = code_of(error)
        async with transaction(engine) as session:
            is_aside = await setbacks.put_aside(session, pick.step, plan_id, code, now=clock.now())
        if not is_aside:
            raise error
        meters.plan_setbacks.labels(pick.step).inc()
        log.error("plan_put_aside", step=pick.step, plan_id=plan_id, code=code)

    await all_or_halves(f"plans.{pick.step}", sorted(pick.taken), part, alone=alone)


async def _work_part(session: Session, step: str, plan_ids: Sequence[str], work: Work, clock: Clock) -> None:
    await work(session, Pick(step=step, only=plan_ids))
    if len(plan_ids) == 1:
        await setbacks.settle(session, step, plan_ids[0], now=clock.now())


async def work_to_end(engine: Engine, step: str, work: Work, clock: Clock) -> None:
    """Do batch after batch of a step until it finds nobody more, and only then who is aside: where a step goes on is
    after whom it has done last."""
    while True:
        pick = await left_out(engine, [step])
        pick.step = step
        while await work_batch(engine, pick, work, clock):
            if not pick.taken:
                await try_again(engine, [step], work, clock)
                return


async def work_batch(engine: Engine, pick: Pick, work: Work, clock: Clock) -> bool:
    """Do a batch that the step picks by itself; false if it failed and was done by halves.

    Raises: what the work raised, if that is of no plan alone; what says that the database is away.
    """
    pick.take(())
    try:
        await in_transaction(engine, lambda session: work(session, pick))
    except Exception as error:
        if is_away(error) or not pick.taken:
            raise
        await in_halves(engine, pick, work, clock)
        return False
    return True
