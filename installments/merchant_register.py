"""The merchant's register (реестр Долями): each movement of a merchant's money under plans, by day or month, as CSV.

    register = await make_register(session, merchant_id, RegisterPeriod.DAY, date(2026, 11, 22), now=now)

A day's register holds what happened up to that Moscow day and stood in no register before: what becomes known after
its register was given stands in the next one, with its own date. So what was given is never told otherwise,
they follow one another without gap or overlap, and each opens with what the one before closed with.
A month is its days.

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
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from installments.errors import RegisterNotFound, RegisterNotOver
from installments.months import add_months
from ledger import chart
from ledger.clock import MOSCOW, moscow_day
from ledger.database import Session, text
from ledger.money import Kopecks, roubles

LOCK_SPACE = 19284
"""Keeps our advisory locks apart from others'."""
DAYS_MAX = 400
"""Days without a register that are made up for in one call."""
MERCHANTS_MAX = 200
"""Registers that one run of the worker's job makes."""
COLUMNS = (
    "happened_at", "operation", "order_number", "plan_id", "reference", "amount", "fee", "claim", "net",
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
    marks: Mapping[str, Sequence[int]]
    """How far each account had been booked when it was made, and up to where all of that stands in registers."""

    @property
    def name(self) -> str:
        """Of its file."""
        of = f"{self.begins_on:%Y-%m-%d}" if self.period is RegisterPeriod.DAY else f"{self.begins_on:%Y-%m}"
        return f"dolyame-{self.merchant_id}-{of}.csv"


@dataclass(frozen=True, slots=True)
class PlanRegisterLine:
    """One entry of the books that moved the merchant's money."""

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
    """The register of a day or month that is over: as it was made before, or made and kept now with all before it.

    Before the merchant's first sale it is empty, and not kept: what is kept follows one another from the first on.

    Raises: RegisterNotOver; RegisterNotFound for a day so far from the last that ``make_up_days`` must come first.
    Locks: an advisory lock on the merchant's registers.
    """
    begins_on = begins_on.replace(day=1) if period is RegisterPeriod.MONTH else begins_on
    if (kept := await find_register(session, merchant_id, period, begins_on)) is not None:
        return kept
    last_on = add_months(begins_on, 1) - timedelta(days=1) if period is RegisterPeriod.MONTH else begins_on
    if moscow_day(now) <= last_on:
        raise RegisterNotOver(begins_on=begins_on.isoformat())
    await _lock(session, merchant_id)
    await _make_days(session, merchant_id, last_on, now)
    day = await find_register(session, merchant_id, RegisterPeriod.DAY, last_on)
    if day is None and await _last_day(session, merchant_id, before=last_on) is None:
        return _register(merchant_id, period, begins_on, 0, [], {})
    if day is None:
        raise RegisterNotFound(begins_on=last_on.isoformat())
    if period is RegisterPeriod.DAY:
        return day
    before = await _last_day(session, merchant_id, before=begins_on)
    month = _register(
        merchant_id, period, begins_on, 0 if before is None else int(before.closing),
        await _lines(session, merchant_id, before, last_on, day.marks), day.marks,
    )  # fmt: skip
    await _keep(session, month, now)
    return month


async def make_up_days(session: Session, merchant_id: str, last_on: date, *, now: datetime) -> bool:
    """Make the registers of days that have none, up to one that is over; false when there may be more to make.

    Locks: an advisory lock on the merchant's registers.
    """
    assert last_on < moscow_day(now), "the day is not over"
    await _lock(session, merchant_id)
    return await _make_days(session, merchant_id, last_on, now) < DAYS_MAX


async def _lock(session: Session, merchant_id: str) -> None:
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:what, :space))"),
        {"what": merchant_id, "space": LOCK_SPACE},
    )


async def _make_days(session: Session, merchant_id: str, last_on: date, now: datetime) -> int:
    """The registers of a day and of each day before it that has none yet, from the merchant's first; how many."""
    last, made = await _last_day(session, merchant_id, before=None), 0
    next_on = await _first_on(session, merchant_id) if last is None else last.begins_on + timedelta(days=1)
    while next_on is not None and next_on <= last_on and made < DAYS_MAX:
        ends = await _marks(session, merchant_id)
        lines = await _lines(session, merchant_id, last, next_on, ends)
        opening = 0 if last is None else int(last.closing)
        marks = {code: [at, await _told_through(session, code, next_on, at)] for code, (at, _) in ends.items()}
        last = _register(merchant_id, RegisterPeriod.DAY, next_on, opening, lines, marks)
        await _keep(session, last, now)
        next_on, made = next_on + timedelta(days=1), made + 1
    return made


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
    return None if row is None else _of_row(row)


async def merchants_without_register(
    session: Session, period: RegisterPeriod, begins_on: date, *, limit: int = MERCHANTS_MAX
) -> list[str]:
    """Merchants with plan money who have no register of this day or month yet, in the order of their ids.

    A month is asked for where there are registers of its days.
    """
    rows = await session.scalars(
        text("""SELECT m.id FROM merchants AS m
                 WHERE EXISTS (SELECT 1 FROM books AS b JOIN accounts AS a ON a.book = b.number
                                WHERE b.name = 'main' AND a.code = 'liability:plan_payable:' || m.id AND a.version > 0)
                   AND NOT EXISTS (SELECT 1 FROM plan_registers AS r
                                    WHERE r.merchant_id = m.id AND r.period = :period AND r.begins_on = :begins_on)
                   AND (:period = 'day' OR EXISTS (
                        SELECT 1 FROM plan_registers AS r WHERE r.merchant_id = m.id AND r.period = 'day'
                           AND r.begins_on >= :begins_on AND r.begins_on < :ends_on))
                 ORDER BY m.id LIMIT :limit"""),
        {"period": period.value, "begins_on": begins_on, "ends_on": add_months(begins_on, 1), "limit": limit},
    )
    return list(rows)


def as_csv(opening: int, lines: Iterable[PlanRegisterLine]) -> bytes:
    """The file: UTF-8 with a mark for spreadsheets, semicolons, CRLF, a line of totals at the end."""
    out = io.StringIO()
    write = csv.writer(out, delimiter=";", lineterminator="\r\n").writerow
    write(COLUMNS)
    balance, totals = opening, [0, 0, 0, 0]
    write(("opening", *[""] * 8, roubles(balance)))
    for line in lines:
        balance += line.net
        sums = (line.amount, line.fee, line.claim, line.net)
        totals = [total + one for total, one in zip(totals, sums, strict=True)]
        write((
            f"{line.happened_at.astimezone(MOSCOW):%Y-%m-%dT%H:%M:%S%z}", line.kind.removeprefix("plan."),
            line.order_number, line.plan_id, line.reference, *map(roubles, sums), roubles(balance),
        ))  # fmt: skip
    write(("total", *[""] * 4, *map(roubles, totals), roubles(balance)))
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _register(
    merchant_id: str, period: RegisterPeriod, begins_on: date, opening: int, lines: list[PlanRegisterLine],
    marks: Mapping[str, Sequence[int]],
) -> PlanRegister:  # fmt: skip
    content = as_csv(opening, lines)
    credits = sum(line.net for line in lines if line.net > 0)
    debits = sum(-line.net for line in lines if line.net < 0)
    return PlanRegister(
        merchant_id, period, begins_on, len(lines), Kopecks(opening), Kopecks(debits), Kopecks(credits),
        Kopecks(opening + credits - debits), hashlib.sha256(content).hexdigest(), content, marks,
    )  # fmt: skip


def _accounts(merchant_id: str) -> tuple[str, str]:
    return chart.plan_payable(merchant_id), chart.plan_merchant_receivable(merchant_id)


async def _last_day(session: Session, merchant_id: str, *, before: date | None) -> PlanRegister | None:
    rows = await session.execute(
        text("""SELECT * FROM plan_registers WHERE merchant_id = :merchant_id AND period = 'day'
                   AND (CAST(:before AS date) IS NULL OR begins_on < :before) ORDER BY begins_on DESC LIMIT 1"""),
        {"merchant_id": merchant_id, "before": before},
    )
    row = rows.first()
    return None if row is None else _of_row(row)


async def _first_on(session: Session, merchant_id: str) -> date | None:
    """The day of the merchant's first entry."""
    found: date | None = await session.scalar(
        text("""SELECT min((h.happened_at AT TIME ZONE 'Europe/Moscow')::date)
                  FROM books AS b JOIN accounts AS a ON a.book = b.number AND a.code = ANY(CAST(:codes AS text[]))
                  JOIN postings AS p ON p.book = a.book AND a.number IN (p.debit, p.credit)
                  JOIN postings AS h ON h.book = p.book AND h.entry_id = p.entry_id AND h.number = 1
                 WHERE b.name = 'main'"""),
        {"codes": list(_accounts(merchant_id))},
    )
    return found


async def _marks(session: Session, merchant_id: str) -> dict[str, list[int]]:
    """How far both accounts are booked now: all up to there is final."""
    rows = await session.execute(
        text("""SELECT a.code, a.version FROM books AS b JOIN accounts AS a ON a.book = b.number
                 WHERE b.name = 'main' AND a.code = ANY(CAST(:codes AS text[]))"""),
        {"codes": list(_accounts(merchant_id))},
    )
    return {code: [0, 0] for code in _accounts(merchant_id)} | {row.code: [row.version, 0] for row in rows}


async def _told_through(session: Session, code: str, day: date, version: int) -> int:
    """The version up to which nothing happened after the day: the next register need not look below it."""
    found = await session.scalar(
        text("""SELECT min(v.version) FROM books AS b JOIN accounts AS a ON a.book = b.number AND a.code = :code
                 CROSS JOIN LATERAL (
                     SELECT p.debit_version AS version, p.entry_id FROM postings AS p
                      WHERE p.book = a.book AND p.debit = a.number AND p.debit_version <= :version
                     UNION ALL
                     SELECT p.credit_version, p.entry_id FROM postings AS p
                      WHERE p.book = a.book AND p.credit = a.number AND p.credit_version <= :version) AS v
                  JOIN postings AS h ON h.book = a.book AND h.entry_id = v.entry_id AND h.number = 1
                 WHERE b.name = 'main' AND (h.happened_at AT TIME ZONE 'Europe/Moscow')::date > :day"""),
        {"code": code, "day": day, "version": version},
    )
    return version if found is None else int(found) - 1


async def _lines(
    session: Session, merchant_id: str, before: PlanRegister | None, last_on: date, ends: Mapping[str, Sequence[int]]
) -> list[PlanRegisterLine]:
    """Entries up to a day that stand in no register up to the one ``before``, in the order in which they happened."""
    payable, claim = _accounts(merchant_id)
    told = {payable: [0, 0], claim: [0, 0]} | (dict(before.marks) if before is not None else {})
    rows = await session.execute(
        text(_LINES),
        {
            "payable": payable, "claim": claim, "codes": [payable, claim],
            "told": [told[code][0] for code in (payable, claim)],
            "floors": [told[code][1] for code in (payable, claim)],
            "ends": [ends[code][0] for code in (payable, claim)], "last_on": last_on,
            "told_on": before.begins_on if before is not None else date.min,
            "fees": [chart.PLAN_DEFERRED_FEE, chart.PLAN_FEE],
        },
    )  # fmt: skip
    return [PlanRegisterLine(**row._mapping) for row in rows]


_LINES = """
    WITH me AS (
        SELECT a.book, a.number, n.*
          FROM unnest(CAST(:codes AS text[]), CAST(:floors AS bigint[]), CAST(:told AS bigint[]),
                      CAST(:ends AS bigint[])) AS n (code, floor, told, ends)
          JOIN books AS b ON b.name = 'main' JOIN accounts AS a ON a.book = b.number AND a.code = n.code
    ), legs AS (
        SELECT me.code, me.told, p.book, p.entry_id, p.debit_version AS version, -p.amount AS owed
          FROM me JOIN postings AS p ON p.book = me.book AND p.debit = me.number
           AND p.debit_version > me.floor AND p.debit_version <= me.ends
        UNION ALL
        SELECT me.code, me.told, p.book, p.entry_id, p.credit_version, p.amount
          FROM me JOIN postings AS p ON p.book = me.book AND p.credit = me.number
           AND p.credit_version > me.floor AND p.credit_version <= me.ends
    ), entries AS (
        SELECT l.book, l.entry_id, coalesce(sum(l.owed) FILTER (WHERE l.code = :payable), 0)::bigint AS net,
               coalesce(sum(-l.owed) FILTER (WHERE l.code = :claim), 0)::bigint AS claim,
               bool_or(l.version > l.told) AS is_new
          FROM legs AS l GROUP BY l.book, l.entry_id
    )
    SELECT h.happened_at, h.kind, h.reference, coalesce(h.metadata->>'plan_id', '') AS plan_id,
           coalesce(p.order_number, '') AS order_number, e.net, e.claim, f.fee
      FROM entries AS e
      JOIN postings AS h ON h.book = e.book AND h.entry_id = e.entry_id AND h.number = 1
      CROSS JOIN LATERAL (SELECT (h.happened_at AT TIME ZONE 'Europe/Moscow')::date AS day_on) AS d
      LEFT JOIN installment_plans AS p ON p.id = h.metadata->>'plan_id'
      CROSS JOIN LATERAL (
          SELECT coalesce(sum(CASE WHEN x.credit = a.number THEN x.amount ELSE -x.amount END), 0)::bigint AS fee
            FROM postings AS x JOIN accounts AS a ON a.book = x.book AND a.number IN (x.debit, x.credit)
             AND a.code = ANY(CAST(:fees AS text[]))
           WHERE x.book = e.book AND x.entry_id = e.entry_id) AS f
     WHERE d.day_on <= :last_on AND (e.is_new OR d.day_on > :told_on)
     ORDER BY h.happened_at, e.entry_id"""


async def _keep(session: Session, register: PlanRegister, now: datetime) -> None:
    await session.execute(
        text("""INSERT INTO plan_registers (merchant_id, period, begins_on, lines, opening_kopecks, debits_kopecks,
                                            credits_kopecks, closing_kopecks, sha256, bytes, marks, made_at)
                VALUES (:merchant_id, :period, :begins_on, :lines, :opening, :debits, :credits, :closing, :sha256,
                        :content, CAST(:marks AS jsonb), :now)"""),
        _row(register) | {"now": now},
    )


def _row(register: PlanRegister) -> dict[str, Any]:
    return {
        "merchant_id": register.merchant_id, "period": register.period.value, "begins_on": register.begins_on,
        "lines": register.lines, "opening": int(register.opening), "debits": int(register.debits),
        "credits": int(register.credits), "closing": int(register.closing), "sha256": register.sha256,
        "content": register.content, "marks": json.dumps(dict(register.marks)),
    }  # fmt: skip


def _of_row(row: Any) -> PlanRegister:
    return PlanRegister(
        row.merchant_id, RegisterPeriod(row.period), row.begins_on, row.lines, Kopecks(row.opening_kopecks),
        Kopecks(row.debits_kopecks), Kopecks(row.credits_kopecks), Kopecks(row.closing_kopecks), row.sha256,
        bytes(row.bytes), row.marks,
    )  # fmt: skip
