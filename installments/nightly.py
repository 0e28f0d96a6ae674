"""The night (ночь планов): what a new Moscow day makes of a million debts, in batches that may stop anywhere.

    await begin_night(session, on, now=now)
    while await work_batch(session, on, now=now): ...     # each in a transaction of its own

Four steps, one after another: installments move to later buckets; penalty is accrued; fees are earned; losses are
provided for. A batch's cursor, effect and entry are written together and the cursor's row is its lock, so two workers
on one night share it, and a night that is done does nothing when it is run again. Nights that were missed need no work
of their own: each brings the books to its day, however far back they were.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date, datetime

from installments import fee_earning, penalty_accruals, provisions, vouchers
from installments.arrears_roll import roll
from installments.replay import check_clock
from installments.setbacks import Pick
from ledger.database import Session, text


@dataclass(frozen=True, slots=True)
class Batch:
    """What one batch of a step did."""

    plans: int
    amount: int
    """Kopecks that it booked."""
    after_plan_id: str
    """Where the next one goes on."""
    is_last: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a night is: a step, and how far it has come."""

    night_on: date
    step: str
    after_plan_id: str
    batches: int
    """So far; with the night and the step, the reference of the next entry."""

    @property
    def reference(self) -> str:
        """The one entry of the batch."""
        return f"plan_night:{self.night_on.isoformat()}:{self.step}:{self.batches + 1}"


async def begin_night(session: Session, on: date, *, now: datetime) -> None:
    """Open a night; one that is open or done stays as it is.

    Raises: ClockWentBack if a later one was begun. Locks: none that a batch waits for.
    """
    check_clock(await session.scalar(text("SELECT max(night_on) FROM plan_nights")), on)
    await vouchers.open_accounts(session, [], now=now)
    await session.execute(
        text("""INSERT INTO plan_nights (night_on, step, began_at)
                SELECT :on, s.step, :now FROM unnest(CAST(:steps AS text[])) AS s (step)
                ON CONFLICT DO NOTHING"""),
        {"on": on, "now": now, "steps": [*STEPS, PAYOUTS]},
    )


async def work_batch(session: Session, on: date, *, now: datetime, pick: Pick | None = None) -> bool:
    """Do the next batch of a night; false when the night is done. ``pick`` then says of which step and whom it was.

    Locks: the step's row, then as the step says.
    """
    pick = pick or Pick()
    for pick.step, work in STEPS.items():
        if (place := await take_place(session, on, pick.step)) is not None:
            await keep_place(session, place, await work(session, place, now, pick), now=now)
            return True
    return False


async def work_these(session: Session, on: date, pick: Pick, *, now: datetime) -> None:
    """Do the pick's step for its plans only, as a batch of its own, also when the step is done for all others; the
    step goes on where it was, and finds nothing left to do for them.

    Locks: as ``work_batch``.
    """
    place, _ = await _lock_place(session, on, pick.step)
    batch = await STEPS[pick.step](session, replace(place, after_plan_id=""), now, pick)
    await keep_place(session, place, replace(batch, after_plan_id=place.after_plan_id, is_last=False), now=now)


async def is_later_begun(session: Session, on: date) -> bool:
    """Whether a later night than this was begun."""
    latest = await session.scalar(text("SELECT max(night_on) FROM plan_nights"))
    return latest is not None and latest > on


async def take_place(session: Session, on: date, step: str) -> Place | None:
    """Where a night's step is; nothing when it is done. Whoever waited sees what the other has done.

    Locks: the step's row.
    """
    place, is_over = await _lock_place(session, on, step)
    return None if is_over else place


async def _lock_place(session: Session, on: date, step: str) -> tuple[Place, bool]:
    """Where a step is, and whether it is over."""
    rows = await session.execute(
        text("""SELECT night_on, step, after_plan_id, batches, ended_at FROM plan_nights
                 WHERE night_on = :on AND step = :step FOR UPDATE"""),
        {"on": on, "step": step},
    )
    row = rows.one()
    return Place(row.night_on, row.step, row.after_plan_id, row.batches), row.ended_at is not None


async def keep_place(session: Session, place: Place, batch: Batch, *, now: datetime) -> None:
    """Keep how far a step has come, in the transaction of its batch."""
    await session.execute(
        text("""UPDATE plan_nights
                   SET after_plan_id = :after, batches = batches + 1, plans = plans + :plans,
                       amount_kopecks = amount_kopecks + :amount,
                       ended_at = CASE WHEN :is_last THEN CAST(:now AS timestamptz) ELSE ended_at END
                 WHERE night_on = :on AND step = :step"""),
        {
            "after": batch.after_plan_id, "plans": batch.plans, "amount": batch.amount, "is_last": batch.is_last,
            "now": now, "on": place.night_on, "step": place.step,
        },
    )  # fmt: skip


async def is_done(session: Session, on: date) -> bool:
    """Whether a night was begun and all of its steps are done."""
    done = await session.scalar(
        text("""SELECT count(ended_at) FROM plan_nights
                 WHERE night_on = :on AND step = ANY(CAST(:steps AS text[]))"""),
        {"on": on, "steps": list(STEPS)},
    )
    return bool(done == len(STEPS))


async def _arrears(session: Session, place: Place, now: datetime, pick: Pick) -> Batch:
    plans, amount = await roll(session, place.night_on, reference=place.reference, now=now, pick=pick)
    return Batch(plans, amount, "", plans == 0)


async def _penalties(session: Session, place: Place, now: datetime, pick: Pick) -> Batch:
    plans, amount, last = await penalty_accruals.accrue(
        session, place.night_on, after=place.after_plan_id, reference=place.reference, now=now, pick=pick
    )
    return Batch(plans, amount, last, plans == 0)


async def _fees(session: Session, place: Place, now: datetime, pick: Pick) -> Batch:
    plans, amount = await fee_earning.earn(session, place.night_on, reference=place.reference, now=now, pick=pick)
    return Batch(plans, amount, "", plans == 0)


async def _provision(session: Session, place: Place, now: datetime, pick: Pick) -> Batch:
    pick.take(())  # of no plan alone
    amount = await provisions.provide(session, place.night_on, reference=place.reference, now=now)
    return Batch(0, amount, "", True)


STEPS: dict[str, Callable[[Session, Place, datetime, Pick], Awaitable[Batch]]] = {
    "arrears": _arrears,
    "penalties": _penalties,
    "fees": _fees,
    "provision": _provision,
}
"""In this order."""
PAYOUTS = "payouts"
"""A step of the night that the door does by itself: it is not of the debts, and needs the bank's side."""
