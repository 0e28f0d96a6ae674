"""The night of plans: once a Moscow day the books are brought to the day, then arrears reach their stages, what is due
gets its charges, and buyers are reminded.

Every worker does it, and no two do it twice: a night's batches are in ``plan_nights``, a stage, a charge and a reminder
have unique names. The walks are begun again every half hour, for what became due or unblocked since. A plan that a step
cannot work on is put aside (``plan_setbacks``) and holds up no other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial

from api.plan_setbacks import who_is_aside, work_batch
from installments import collecting, dunning, limits, nightly
from installments.collecting import WALK_START
from installments.errors import ClockWentBack
from installments.setbacks import AGAIN_AFTER, Pick
from ledger.clock import MOSCOW, Clock
from ledger.database import Engine, Session

BEGINS_AT = time(0, 30)
"""Moscow time: the day before is over, and late news of its last minutes has come."""
BOOKS = "books"
"""Of steps of its own, which ``nightly`` knows."""


Walked = tuple[date, str] | None
"""Where a walk goes on; nothing when it is over."""


@dataclass
class Night:
    """How far one worker is with a night."""

    on: date | None = None
    step: int = 0
    after: tuple[date, str] = field(default=WALK_START)
    done_at: datetime | None = None
    pick: Pick | None = None
    """Who is left out; none: to be asked."""


async def work_night(engine: Engine, clock: Clock, night: Night) -> int:
    """Do the next batch of the night, if it is time and something is left; gives 1 if there may be more."""
    now = clock.now()
    on = night_of(now)
    if night.on != on or (night.done_at is not None and now >= night.done_at + AGAIN_AFTER):
        night.on, night.step, night.after, night.done_at, night.pick = on, 0, WALK_START, None, None
    if night.done_at is not None:
        return 0
    try:
        if night.pick is None:
            night.pick = await who_is_aside(engine, [*nightly.STEPS, *WALKS], partial(_work_part, on, now), clock)
        await _work_batch(engine, night, night.pick, clock)
    except ClockWentBack:  # a sandbox's clock was set back: a night is worked on once
        night.done_at = now
        return 0
    except Exception:
        night.pick = None  # who was put aside before is not tried again with everybody
        raise
    return 1


def night_of(now: datetime) -> date:
    """The Moscow day that is being worked on: a new one begins half an hour after midnight."""
    return (now.astimezone(MOSCOW) - timedelta(hours=BEGINS_AT.hour, minutes=BEGINS_AT.minute)).date()


async def run_night(engine: Engine, clock: Clock) -> None:
    """Do all that is left of this night."""
    night = Night()
    while await work_night(engine, clock, night):
        pass


async def _work_batch(engine: Engine, night: Night, pick: Pick, clock: Clock) -> None:
    """Do one batch and keep where the night goes on, also past a batch that was done by halves."""
    assert night.on is not None
    step, on, now = STEPS[night.step], night.on, clock.now()
    more: Walked = None

    async def work(session: Session, picked: Pick) -> None:
        nonlocal more
        if picked.only is not None:
            await _work_part(on, now, session, picked)
        elif step == BOOKS:
            await nightly.begin_night(session, on, now=now)
            more = WALK_START if await nightly.work_batch(session, on, now=now, pick=picked) else None
        else:
            picked.step = step
            more = await WALKS[step](session, on, now, night.after, picked)

    if not await work_batch(engine, pick, work, clock):
        more, night.pick = WALK_START if step == BOOKS else pick.last, None
    night.after = more or WALK_START
    if more is None:
        night.step += 1
        night.done_at = now if night.step == len(STEPS) else None


async def _work_part(on: date, now: datetime, session: Session, pick: Pick) -> None:
    """Do a step for some plans only."""
    if pick.step in nightly.STEPS:
        await nightly.begin_night(session, on, now=now)
        await nightly.work_these(session, on, pick, now=now)
    else:
        await WALKS[pick.step](session, on, now, WALK_START, pick)


async def _stages(session: Session, on: date, now: datetime, after: tuple[date, str], pick: Pick) -> Walked:
    return await dunning.move_stages(session, on, now=now, after=after, pick=pick)


async def _freezes(session: Session, on: date, _now: datetime, after: tuple[date, str], pick: Pick) -> Walked:
    last = await limits.note_arrears(session, on=on, after=after[1], pick=pick)
    return None if last is None else (date.min, last)


async def _charges(session: Session, on: date, now: datetime, after: tuple[date, str], pick: Pick) -> Walked:
    return (await collecting.select_due(session, on, now=now, after=after, pick=pick)).after


async def _reminders(session: Session, on: date, now: datetime, after: tuple[date, str], pick: Pick) -> Walked:
    last = await dunning.remind(session, on, now=now, after=after[1], pick=pick)
    return None if last is None else (date.min, last)


WALKS: dict[str, Callable[[Session, date, datetime, tuple[date, str], Pick], Awaitable[Walked]]] = {
    "stages": _stages,
    "freezes": _freezes,
    "charges": _charges,
    "reminders": _reminders,
}
"""In this order, after the books."""
STEPS = (BOOKS, *WALKS)
