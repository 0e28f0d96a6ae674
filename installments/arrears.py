"""Arrears (просрочка): days past due and their buckets.

An installment is due to the end of its Moscow day; the next day is the first day past due.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum


class Bucket(StrEnum):
    """How late an unpaid installment is. Fine at the start, where six weeks of a plan are decided.

    Source: installments.md 5.3: 1–3, 4–14, 15–30, 31–60, 61–90 and 90+; the last begins on day 91.
    """

    NOT_DUE = "not_due"
    DUE = "due"
    """Its day is today."""
    DPD_1_3 = "dpd_1_3"
    DPD_4_14 = "dpd_4_14"
    DPD_15_30 = "dpd_15_30"
    DPD_31_60 = "dpd_31_60"
    DPD_61_90 = "dpd_61_90"
    DPD_90_PLUS = "dpd_90_plus"


LAST_DAYS: tuple[tuple[int, Bucket], ...] = (
    (-1, Bucket.NOT_DUE),
    (0, Bucket.DUE),
    (3, Bucket.DPD_1_3),
    (14, Bucket.DPD_4_14),
    (30, Bucket.DPD_15_30),
    (60, Bucket.DPD_31_60),
    (90, Bucket.DPD_61_90),
)
"""The last day past due of each bucket."""
PAST_DUE = frozenset(Bucket) - {Bucket.NOT_DUE, Bucket.DUE}


def days_past_due(due_on: date, *, on: date) -> int:
    """How many days late it is: zero on its day and before."""
    return max((on - due_on).days, 0)


def bucket_of(due_on: date, *, on: date) -> Bucket:
    """The bucket of what is unpaid of an installment."""
    days = (on - due_on).days
    for last, bucket in LAST_DAYS:
        if days <= last:
            return bucket
    return Bucket.DPD_90_PLUS
