"""``kopeyka bench installments``: the rules of plans, a night of a million plans, the arrears report and a quote.

The baseline of each row is measured in the same run, in turns with it; medians are compared.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from statistics import median

from api import GARBAGE_THRESHOLDS
from bench.rows import Row, faster, show
from installments.movements import Movement, MovementKind
from installments.products import PartRounding, Product, RefundPolicy, Step
from installments.replay import replay
from installments.schedule import Installment, build_schedule
from ledger.clock import monotonic
from ledger.money import Kopecks

PLANS_MIN = 1_000
ROUNDS = 15
SCHEDULES = 4_000
REPLAYS = 300
CONTRACT_ON = date(2026, 11, 2)
FORTNIGHT = timedelta(days=14)
DOLYAME = Product(
    "dolyame", 1, "Четыре платежа", date(1990, 1, 1), 4, Step.DAYS, 14, 2500, PartRounding.KOPECK_FIRST, Kopecks(100),
    Kopecks(15_000_000), timedelta(hours=6), timedelta(days=5), RefundPolicy.PROPORTIONAL, 2000, 0, False, True,
)  # fmt: skip
BARE = "the same values made without a rule: four dates, four amounts of a known split, four frozen values"
TWENTY = "build_schedule twenty times"


def run(*, as_json: bool, plans: int) -> None:
    """Measure and print every row, with the garbage collector set as in an api worker."""
    from bench import plan_quotes, plans_night  # loaded only when they measure

    gc.set_threshold(*GARBAGE_THRESHOLDS)
    show([*rules(), *plans_night.rows(plans), *plan_quotes.rows()], as_json=as_json)


def rules() -> list[Row]:
    """``schedule_build`` and ``replay_20``."""
    movements = twenty()
    schedule = build_schedule(Kopecks(1_000_056), DOLYAME, first_due_on=CONTRACT_ON)
    on = CONTRACT_ON + timedelta(days=90)
    built, bare, replayed = [], [], []
    for _ in range(ROUNDS):
        built.append(_rate(build, SCHEDULES))
        bare.append(_rate(make_bare, SCHEDULES))
        replayed.append(_rate(lambda: replay(schedule, movements, DOLYAME, on=on), REPLAYS))
    a_schedule = median(built)
    return [
        faster("schedule_build", a_schedule, median(bare), 0.4, "schedules/s", BARE),
        faster("replay_20", median(replayed), a_schedule / 20, 0.5, "plans/s", TWENTY),
    ]


def build() -> object:
    """A schedule with every rule."""
    return build_schedule(Kopecks(1_000_056), DOLYAME, first_due_on=CONTRACT_ON)


def make_bare() -> object:
    """What a schedule is made of, and nothing else."""
    return tuple(
        [Installment(number, CONTRACT_ON + FORTNIGHT * (number - 1), Kopecks(250_014)) for number in (1, 2, 3, 4)]
    )


def twenty() -> list[Movement]:
    """Twenty movements of one plan: payments on time, late and in advance, refunds, a chargeback, waivers."""
    kinds = [
        (0, MovementKind.DOWN_PAYMENT, 250_014), (3, MovementKind.EARLY_PAYMENT, 10_000),
        (5, MovementKind.MERCHANT_REFUND, 100_000), (6, MovementKind.CREDIT_REFUND, 20_000),
        (14, MovementKind.INSTALLMENT_PAYMENT, 200_000), (20, MovementKind.CHARGEBACK, 50_000),
        (30, MovementKind.WAIVER, 100), (31, MovementKind.INSTALLMENT_PAYMENT, 100_000),
        (32, MovementKind.GOODWILL, 5_000), (33, MovementKind.PAYOUT_REFUND, 5_000),
    ]  # fmt: skip
    kinds += [(40 + day, MovementKind.INSTALLMENT_PAYMENT, 10_000) for day in range(10)]
    start = datetime(2026, 11, 2, 9, tzinfo=UTC)
    return [
        Movement(
            f"mov_{number:02}", "pln", kind, Kopecks(amount), start + timedelta(days=day), f"r{number:02}",
            undoes="mov_00" if kind is MovementKind.CHARGEBACK else None,
        )
        for number, (day, kind, amount) in enumerate(kinds)
    ]  # fmt: skip


def _rate(work: Callable[[], object], times: int) -> float:
    """Runs a second."""
    start = monotonic()
    for _ in range(times):
        work()
    return times / (monotonic() - start)
