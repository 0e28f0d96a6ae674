"""Calendar months: the 31st falls on the last day of a shorter month."""

from __future__ import annotations

from calendar import monthrange
from datetime import date

MONTHS_A_YEAR = 12


def add_months(day: date, months: int) -> date:
    """The same day of the month, ``months`` later; the last day of the month where there is no such day.

    Source: Civil Code, article 192: a term in months ends on that day of its last month, or on the month's last day.
    """
    years, month = divmod(day.month - 1 + months, MONTHS_A_YEAR)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
