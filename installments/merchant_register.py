"""The merchant's register (реестр Долями): each movement of a merchant's money under plans, by day or month, as CSV.

    register = await make_register(session, merchant_id, RegisterPeriod.DAY, date(2026, 11, 22), now=now)

A day's register holds what was *booked* on that Moscow day: something of an earlier day that became known later stands
in the register of the day on which it was booked, with its own date beside it. So a register that was given is never
told otherwise, registers follow one another without gap or overlap, and closing less opening equals the books.

A line is one entry of the books: ``amount`` of goods (negative for a refund), our ``fee`` (negative when returned),
``claim`` (what the merchant owes us because we owed it too little), and ``net = amount - fee + claim``, which moves the
balance: what we owe. A netted claim and a payout have no amount.

The bytes are kept when a register is first made and given again as they were. The real columns of Долями's register are
not public (installments.md 1.11): these are ours. E-mailing it (installments.md 6.2) is left to whoever runs Kopeyka:
there is no port for mail. Amounts: roubles with two decimals and a point, as shops' spreadsheets want them.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from installments.errors import RegisterNotOver
from installments.months import add_months
from ledger import chart
from ledger.clock import MOSCOW
from ledger.database import Session, text
from ledger.money import Kopecks, roubles

MARGIN = timedelta(minutes=1)
"""After midnight: no transaction of the day before is still open."""
MERCHANTS_MAX = 200
"""Registers that one run of the worker's job makes."""
COLUMNS = (
    "booked_at", "happened_on", "operation", "order_number", "plan_id", "reference", "amount", "fee", "claim", "net",
    "balance",
)  # fmt: skip


class RegisterPeriod(StrEnum):
    """What a register is of."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class PlanRegister:
    """A register as it was made."""

    merchant_id: str
    period: RegisterPeriod
    begins_on: date
    lines: int
    opening: Kopecks
    """What we owed the merchant before."""
    debits: Kopecks
    """Fees, refunds, payouts."""
    credits: Kopecks
    """Sales, and fees returned."""
    closing: Kopecks
    sha256: str
    content: bytes

    @property
    def name(self) -> str:
        """Of its file."""
        of = f"{self.begins_on:%Y-%m-%d}" if self.period is RegisterPeriod.DAY else f"{self.begins_on:%Y-%m}"
        return f"dolyame-{self.merchant_id}-{of}.csv"


@dataclass(frozen=True, slots=True)
class PlanRegisterLine:
    """One entry of the books that moved the merchant's money."""

    recorded_at: datetime
    happened_at: datetime
    kind: str
    reference: str
    plan_id: str
    order_number: str
    net: int
    """What we owe more, or less below zero."""
    claim: int
    """What the merchant owes us more."""
    fee: int
    """Our discount, in the same entry; below zero when it is returned."""

    @property
    def amount(self) -> int:
        """Goods sold, or returned below zero; zero for payouts and netted claims."""
        return 0 if self.is_transfer else self.net + self.fee - self.claim

    @property
    def is_transfer(self) -> bool:
        """Money that went, and no goods."""
        return not self.plan_id


async def make_register(
    session: Session, merchant_id: str, period: RegisterPeriod, begins_on: date, *, now: datetime
) -> PlanRegister:
    """The register of a day or month that is over: as it was made before, or made and kept now.

    Raises: RegisterNotOver.
    """
    if (kept := await find_register(session, merchant_id, period, begins_on)) is not None:
        return kept
    begins_on = begins_on.replace(day=1) if period is RegisterPeriod.MONTH else begins_on
    ends_on = add_months(begins_on, 1) if period is RegisterPeriod.MONTH else begins_on + timedelta(days=1)
    if now < _midnight(ends_on) + MARGIN:
        raise RegisterNotOver(begins_on=begins_on.isoformat())
    opening = await _owed_before(session, merchant_id, _midnight(begins_on))
    lines = await _lines(session, merchant_id, _midnight(begins_on), _midnight(ends_on))
    register = _register(merchant_id, period, begins_on, opening, lines)
    await _keep(session, register, now)
    kept = await find_register(session, merchant_id, period, begins_on)
    assert kept is not None
    return kept


async def find_register(
    session: Session, merchant_id: str, period: RegisterPeriod, begins_on: date
) -> PlanRegister | None:
    """A register that was made before."""
    begins_on = begins_on.replace(day=1) if period is RegisterPeriod.MONTH else begins_on
    rows = await session.execute(
        text("""SELECT * FROM plan_registers
                 WHERE merchant_id = :merchant_id AND period = :period AND begins_on = :begins_on"""),
        {"merchant_id": merchant_id, "period": period.value, "begins_on": begins_on},
    )
    row = rows.first()
    if row is None:
        return None
    return PlanRegister(
        row.merchant_id, RegisterPeriod(row.period), row.begins_on, row.lines, Kopecks(row.opening_kopecks),
        Kopecks(row.debits_kopecks), Kopecks(row.credits_kopecks), Kopecks(row.closing_kopecks), row.sha256,
        bytes(row.bytes),
    )  # fmt: skip


async def merchants_without_register(
    session: Session, period: RegisterPeriod, begins_on: date, *, limit: int = MERCHANTS_MAX
) -> list[str]:
    """Merchants with plan money who have no register of this day or month yet, in the order of their ids."""
    rows = await session.scalars(
        text("""SELECT m.id FROM merchants AS m
                 WHERE EXISTS (SELECT 1 FROM books AS b JOIN accounts AS a ON a.book = b.number
                                WHERE b.name = 'main' AND a.code = 'liability:plan_payable:' || m.id AND a.version > 0)
                   AND NOT EXISTS (SELECT 1 FROM plan_registers AS r
                                    WHERE r.merchant_id = m.id AND r.period = :period AND r.begins_on = :begins_on)
                 ORDER BY m.id LIMIT :limit"""),
        {"period": period.value, "begins_on": begins_on, "limit": limit},
    )
    return list(rows)


def as_csv(opening: int, lines: Iterable[PlanRegisterLine]) -> bytes:
    """The file: UTF-8 with a mark for spreadsheets, semicolons, CRLF, a line of totals at the end."""
    out = io.StringIO()
    write = csv.writer(out, delimiter=";", lineterminator="\r\n").writerow
    write(COLUMNS)
    balance, totals = opening, [0, 0, 0, 0]
    write(("opening", *[""] * 9, roubles(balance)))
    for line in lines:
        balance += line.net
        sums = (line.amount, line.fee, line.claim, line.net)
        totals = [total + one for total, one in zip(totals, sums, strict=True)]
        write((
            f"{line.recorded_at.astimezone(MOSCOW):%Y-%m-%dT%H:%M:%S%z}",
            line.happened_at.astimezone(MOSCOW).date().isoformat(), line.kind.removeprefix("plan."), line.order_number,
            line.plan_id, line.reference, *map(roubles, sums), roubles(balance),
        ))  # fmt: skip
    write(("total", *[""] * 5, *map(roubles, totals), roubles(balance)))
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _register(
    merchant_id: str, period: RegisterPeriod, begins_on: date, opening: int, lines: list[PlanRegisterLine]
) -> PlanRegister:
    content = as_csv(opening, lines)
    credits = sum(line.net for line in lines if line.net > 0)
    debits = sum(-line.net for line in lines if line.net < 0)
    return PlanRegister(
        merchant_id, period, begins_on, len(lines), Kopecks(opening), Kopecks(debits), Kopecks(credits),
        Kopecks(opening + credits - debits), hashlib.sha256(content).hexdigest(), content,
    )  # fmt: skip


async def _owed_before(session: Session, merchant_id: str, at: datetime) -> int:
    """What the books said just before an instant; zero before the account's first movement."""
    found = await session.scalar(
        text("""SELECT r.balance FROM books AS b JOIN accounts AS a ON a.book = b.number AND a.code = :code,
                       balance_recorded(a.book, a.number, :at) AS r WHERE b.name = 'main'"""),
        {"code": chart.plan_payable(merchant_id), "at": at - timedelta(microseconds=1)},
    )
    return int(found or 0)


async def _lines(session: Session, merchant_id: str, begins: datetime, ends: datetime) -> list[PlanRegisterLine]:
    """Entries recorded from one instant to before another, in the order in which they were booked."""
    rows = await session.execute(
        text(_LINES),
        {
            "payable": chart.plan_payable(merchant_id), "claim": chart.plan_merchant_receivable(merchant_id),
            "fees": [chart.PLAN_DEFERRED_FEE, chart.PLAN_FEE], "begins": begins, "ends": ends,
        },
    )  # fmt: skip
    return [PlanRegisterLine(**row._mapping) for row in rows]


_LINES = """
    WITH me AS (
        SELECT a.book, a.number, a.code, bb.version AS first, be.version AS last
          FROM books AS b JOIN accounts AS a ON a.book = b.number AND a.code IN (:payable, :claim),
               balance_recorded(a.book, a.number, CAST(:begins AS timestamptz) - interval '1 microsecond') AS bb,
               balance_recorded(a.book, a.number, CAST(:ends AS timestamptz) - interval '1 microsecond') AS be
         WHERE b.name = 'main'
    ), legs AS (
        SELECT me.code, p.book, p.entry_id, -p.amount AS owed
          FROM me JOIN postings AS p ON p.book = me.book AND p.debit = me.number
           AND p.debit_version > me.first AND p.debit_version <= me.last
        UNION ALL
        SELECT me.code, p.book, p.entry_id, p.amount
          FROM me JOIN postings AS p ON p.book = me.book AND p.credit = me.number
           AND p.credit_version > me.first AND p.credit_version <= me.last
    ), entries AS (
        SELECT book, entry_id, coalesce(sum(owed) FILTER (WHERE code = :payable), 0)::bigint AS net,
               coalesce(sum(-owed) FILTER (WHERE code = :claim), 0)::bigint AS claim
          FROM legs GROUP BY book, entry_id
    )
    SELECT h.recorded_at, h.happened_at, h.kind, h.reference, coalesce(h.metadata->>'plan_id', '') AS plan_id,
           coalesce(p.order_number, '') AS order_number, e.net, e.claim, f.fee
      FROM entries AS e
      JOIN postings AS h ON h.book = e.book AND h.entry_id = e.entry_id AND h.number = 1
      LEFT JOIN installment_plans AS p ON p.id = h.metadata->>'plan_id'
      CROSS JOIN LATERAL (
          SELECT coalesce(sum(CASE WHEN x.credit = a.number THEN x.amount ELSE -x.amount END), 0)::bigint AS fee
            FROM postings AS x JOIN accounts AS a ON a.book = x.book AND a.number IN (x.debit, x.credit)
             AND a.code = ANY(CAST(:fees AS text[]))
           WHERE x.book = e.book AND x.entry_id = e.entry_id) AS f
     ORDER BY h.recorded_at, e.entry_id"""


async def _keep(session: Session, register: PlanRegister, now: datetime) -> None:
    await session.execute(
        text("""INSERT INTO plan_registers (merchant_id, period, begins_on, lines, opening_kopecks, debits_kopecks,
                                            credits_kopecks, closing_kopecks, sha256, bytes, made_at)
                VALUES (:merchant_id, :period, :begins_on, :lines, :opening, :debits, :credits, :closing, :sha256,
                        :content, :now) ON CONFLICT DO NOTHING"""),
        _row(register) | {"now": now},
    )


def _row(register: PlanRegister) -> dict[str, Any]:
    return {
        "merchant_id": register.merchant_id, "period": register.period.value, "begins_on": register.begins_on,
        "lines": register.lines, "opening": int(register.opening), "debits": int(register.debits),
        "credits": int(register.credits), "closing": int(register.closing), "sha256": register.sha256,
        "content": register.content,
    }  # fmt: skip


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=MOSCOW)
