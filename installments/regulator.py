"""The regulator's report (отчёт для Банка России): the portfolio by how late it is, as of any day.

    report = await arrears_report(session, on)            # as plans stand now
    await close_portfolio_day(session, on, now=now)        # kept once, at the end of the day
    report = await portfolio_report(session, on, today=…)  # what was kept, or as plans stand now

A plan is as late as its earliest unpaid installment. Source: installments.md 3.2, 14: the fields are named there; the
form itself is not public, so columns are ours. Amounts: kopecks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from installments.arrears import LAST_DAYS, Bucket
from installments.errors import PortfolioDayUnknown
from ledger.database import Session, text
from ledger.money import Kopecks

CSV_COLUMNS = (
    "on", "bucket", "contracts", "price_kopecks", "outstanding_kopecks", "penalty_due_kopecks", "average_price_kopecks",
    "average_term_days",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ArrearsLine:
    """All plans with a debt that are equally late."""

    bucket: Bucket
    plans: int
    price: Kopecks
    """What they cost at their commit."""
    outstanding: Kopecks
    """Principal still owed."""
    penalty: Kopecks
    """Penalty charged and not yet paid or forgiven."""
    term_days: int
    """Days from contract to the last installment by the terms, of all together."""

    @property
    def average_price(self) -> Kopecks:
        """Rounded down to the kopeck."""
        return Kopecks(int(self.price) // self.plans if self.plans else 0)

    @property
    def average_term_days(self) -> int:
        """Rounded down to the day."""
        return self.term_days // self.plans if self.plans else 0


@dataclass(frozen=True, slots=True)
class ArrearsReport:
    """The portfolio on one day, a line for each bucket, also for the empty ones."""

    on: date
    lines: tuple[ArrearsLine, ...]

    @property
    def total(self) -> tuple[int, Kopecks]:
        """How many plans owe, and how much principal."""
        return sum(line.plans for line in self.lines), Kopecks(sum(int(line.outstanding) for line in self.lines))


_BORDERS = ", ".join(str(last + 1) for last, _ in LAST_DAYS)
_BUCKETS = (*(bucket for _, bucket in LAST_DAYS), Bucket.DPD_90_PLUS)
PLACE_SQL = f"width_bucket(CAST(:on AS date) - p.next_due_on, ARRAY[{_BORDERS}])"
"""The place of a plan's bucket among all, from 0: one comparison of days."""
_REPORT = f"""
    SELECT {PLACE_SQL} AS place, count(*) AS plans, sum(p.price_kopecks)::bigint AS price,
           sum(p.outstanding_kopecks)::bigint AS outstanding, sum(p.penalty_kopecks)::bigint AS penalty,
           sum(CASE t.step WHEN 'days' THEN (t.installments - 1) * t.every
                ELSE (p.contract_on + make_interval(months => (t.installments - 1) * t.every))::date - p.contract_on
                END)::bigint AS term_days
      FROM installment_plans AS p JOIN installment_products AS t ON t.code = p.product_code AND t.version = p.product_version
     WHERE p.next_due_on IS NOT NULL
     GROUP BY 1"""  # noqa: S608, E501  # our own words only


async def arrears_report(session: Session, on: date) -> ArrearsReport:
    """The portfolio as plans stand now, as late as they are on the day ``on``. One pass over the plans."""
    found = {row.place: row._mapping for row in await session.execute(text(_REPORT), {"on": on})}
    return ArrearsReport(on, tuple(_line(bucket, found.get(place)) for place, bucket in enumerate(_BUCKETS)))


async def close_portfolio_day(session: Session, on: date, *, now: datetime) -> bool:
    """Keep the portfolio of a day that is over; false when it is kept already. It is never changed afterwards.

    To be run by the night after arrears have been rolled and before anything of the new day is recorded.
    """
    if await _kept(session, on) is not None:
        return False
    await _keep(session, await arrears_report(session, on), now)
    return True


async def portfolio_report(session: Session, on: date, *, today: date) -> ArrearsReport:
    """The portfolio of any day: what was kept of a day that is over, or plans as they stand now.

    Raises: PortfolioDayUnknown if the day is over and was never kept.
    """
    kept = await _kept(session, on)
    if kept is not None:
        return kept
    if on < today:
        raise PortfolioDayUnknown(on=on.isoformat())
    return await arrears_report(session, on)


async def days_to_close(session: Session, *, today: date) -> list[date]:
    """Yesterday, unless it is kept: only the last day that is over can still be read from plans as they stand."""
    yesterday = today - timedelta(days=1)
    return [] if await _kept(session, yesterday) is not None else [yesterday]


async def penalties_charged(session: Session, first_on: date, last_on: date) -> Kopecks:
    """Penalty booked as income in these Moscow days, less what was taken back. Both days included."""
    found = await session.scalar(
        text("""SELECT coalesce(sum(CASE WHEN p.credit = a.number THEN p.amount ELSE -p.amount END), 0)
                  FROM books AS b JOIN accounts AS a ON a.book = b.number AND a.code = 'income:plan_penalty'
                  JOIN postings AS p ON p.book = a.book AND a.number IN (p.debit, p.credit)
                  JOIN postings AS head ON head.book = p.book AND head.entry_id = p.entry_id AND head.number = 1
                 WHERE b.name = 'main'
                   AND (head.happened_at AT TIME ZONE 'Europe/Moscow')::date BETWEEN :first_on AND :last_on"""),
        {"first_on": first_on, "last_on": last_on},
    )
    return Kopecks(int(found or 0))


def as_csv(report: ArrearsReport) -> bytes:
    """The report for a spreadsheet: UTF-8, semicolons, CRLF, whole kopecks. The same report is the same bytes."""
    rows: Iterable[tuple[object, ...]] = (
        (report.on.isoformat(), line.bucket, line.plans, int(line.price), int(line.outstanding), int(line.penalty),
         int(line.average_price), line.average_term_days)
        for line in report.lines
    )  # fmt: skip
    return "".join(";".join(map(str, row)) + "\r\n" for row in (CSV_COLUMNS, *rows)).encode()


def as_json(report: ArrearsReport) -> dict[str, Any]:
    """The report for machines."""
    plans, outstanding = report.total
    return {
        "on": report.on.isoformat(),
        "contracts": plans,
        "outstanding_kopecks": int(outstanding),
        "lines": [
            {
                "bucket": line.bucket.value, "contracts": line.plans, "price_kopecks": int(line.price),
                "outstanding_kopecks": int(line.outstanding), "penalty_due_kopecks": int(line.penalty),
                "average_price_kopecks": int(line.average_price), "average_term_days": line.average_term_days,
            }
            for line in report.lines
        ],
    }  # fmt: skip


def _line(bucket: Bucket, row: Any) -> ArrearsLine:
    if row is None:
        return ArrearsLine(bucket, 0, Kopecks(0), Kopecks(0), Kopecks(0), 0)
    return ArrearsLine(
        bucket, row["plans"], Kopecks(row["price"]), Kopecks(row["outstanding"]), Kopecks(row["penalty"]),
        row["term_days"],
    )  # fmt: skip


async def _kept(session: Session, on: date) -> ArrearsReport | None:
    rows = await session.execute(
        text("""SELECT bucket, plans, price_kopecks AS price, outstanding_kopecks AS outstanding,
                       penalty_kopecks AS penalty, term_days FROM portfolio_days WHERE day_on = :on"""),
        {"on": on},
    )
    found = {row.bucket: row._mapping for row in rows}
    return ArrearsReport(on, tuple(_line(bucket, found.get(bucket)) for bucket in _BUCKETS)) if found else None


async def _keep(session: Session, report: ArrearsReport, now: datetime) -> None:
    lines = report.lines
    await session.execute(
        text("""INSERT INTO portfolio_days (day_on, bucket, plans, price_kopecks, outstanding_kopecks,
                                            penalty_kopecks, term_days, made_at)
                SELECT :on, n.*, :now
                  FROM unnest(CAST(:buckets AS text[]), CAST(:plans AS bigint[]), CAST(:prices AS bigint[]),
                              CAST(:outstanding AS bigint[]), CAST(:penalties AS bigint[]),
                              CAST(:terms AS bigint[])) AS n
                ON CONFLICT DO NOTHING"""),
        {
            "on": report.on,
            "now": now,
            "buckets": [line.bucket.value for line in lines],
            "plans": [line.plans for line in lines],
            "prices": [int(line.price) for line in lines],
            "outstanding": [int(line.outstanding) for line in lines],
            "penalties": [int(line.penalty) for line in lines],
            "terms": [line.term_days for line in lines],
        },
    )
