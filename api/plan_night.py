"""The night of plans: once a Moscow day the books are brought to the day, then arrears reach their stages, what is due
gets its charges, and buyers are reminded.

Every worker does it, and no two do it twice: a night's batches are in ``plan_nights``, a stage, a charge and a reminder
have unique names. The walks are begun again every half hour, for what became due or unblocked since.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from installments import collecting, dunning, limits, nightly
from installments.collecting import WALK_START
from installments.errors import ClockWentBack
from ledger.clock import MOSCOW, Clock
from ledger.database import Engine, Session, in_transaction

BEGINS_AT = time(0, 30)
"""Moscow time: the day before is over, and late news of its last minutes has come."""
AGAIN_AFTER = timedelta(minutes=30)
STEPS = ("books", "stages", "freezes", "charges", "reminders")


@dataclass
class Night:
    """How far one worker is with a night."""

    on: date | None = None
    step: int = 0
    after: tuple[date, str] = field(default=WALK_START)
    done_at: datetime | None = None


async def work_night(engine: Engine, clock: Clock, night: Night) -> int:
    """Do the next batch of the night, if it is time and something is left; gives 1 if there may be more."""
    now = clock.now()
    on = night_of(now)
    if night.on != on or (night.done_at is not None and now >= night.done_at + AGAIN_AFTER):
        night.on, night.step, night.after, night.done_at = on, 0, WALK_START, None
    if night.done_at is not None:
        return 0
    try:
        went = await in_transaction(engine, lambda session: _work(session, night, now))
    except ClockWentBack:  # a sandbox's clock was set back: a night is worked on once
        night.done_at = now
        return 0
    night.after = went or WALK_START
    if went is None:
        night.step += 1
        night.done_at = now if night.step == len(STEPS) else None
    return 1


def night_of(now: datetime) -> date:
    """The Moscow day that is being worked on: a new one begins half an hour after midnight."""
    return (now.astimezone(MOSCOW) - timedelta(hours=BEGINS_AT.hour, minutes=BEGINS_AT.minute)).date()


async def run_night(engine: Engine, clock: Clock) -> None:
    """Do all that is left of this night."""
    night = Night()
    while await work_night(engine, clock, night):
        pass


async def _work(session: Session, night: Night, now: datetime) -> tuple[date, str] | None:
    """Do one batch; gives where the step goes on, or nothing when it is over."""
    assert night.on is not None
    step, on, after = STEPS[night.step], night.on, night.after
    if step == "books":
        await nightly.begin_night(session, on, now=now)
        return WALK_START if await nightly.work_batch(session, on, now=now) else None
    if step == "stages":
        return await dunning.move_stages(session, on, now=now, after=after)
    if step == "freezes":
        last = await limits.note_arrears(session, on=on, after=after[1])
        return None if last is None else (date.min, last)
    if step == "charges":
        return (await collecting.select_due(session, on, now=now, after=after)).after
    plan_id = await dunning.remind(session, on, now=now, after=after[1])
    return None if plan_id is None else (date.min, plan_id)
