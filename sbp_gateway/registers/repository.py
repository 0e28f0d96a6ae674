"""Rows of registers turned into values and back. Lines come in by COPY: a million in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import repeat
from typing import Any, cast

from sqlalchemy import Row
from sqlalchemy.exc import DBAPIError

from ledger.clock import MOSCOW
from ledger.database import Session, driver_connection, text, violated_constraint
from sbp_gateway.errors import RegisterNotFound, RegisterTaken
from sbp_gateway.registers.cells import Memo
from sbp_gateway.registers.lines import COLUMNS, LineBatch, LineKind, LineRail, LineTrait, RegisterLine, Totals
from sbp_gateway.registers.profile import ColumnField, Profile
from sbp_gateway.registers.reading import FooterVerdict
from sbp_gateway.registers.register import (
    BookTotal,
    CheckTotal,
    CheckVerdict,
    Register,
    RegisterCheck,
    RegisterDifference,
    RegisterScope,
    RegisterStatus,
)

Place = tuple[datetime, str]
"""Where one of our operations stands in its day: its time and its id."""

_TEXT_COLUMNS = frozenset(COLUMNS[3:10])
_NULL = "\\N"
_REGISTER = """id, number, profile, day_on, member_id, merchant_id, sha256, lines, known_by, payments_kopecks,
    refunds_kopecks, payouts_kopecks, fees_kopecks, footer, footer_amount_kopecks, footer_fee_kopecks, status,
    taken_at"""


async def next_number(session: Session) -> int:
    """The number that a register and its lines will have."""
    return int(await session.scalar(text("SELECT nextval('registers_number_seq')")) or 0)


async def find_by_content(session: Session, sha256: bytes) -> str | None:
    """The register that this file was taken in as, if it was."""
    found = await session.scalar(
        text("SELECT id FROM registers WHERE sha256 = :sha256 AND lines > 0"), {"sha256": sha256}
    )
    return None if found is None else str(found)


async def copy_lines(session: Session, number: int, profile: Profile, batches: Iterable[LineBatch]) -> None:
    """Write lines as they are read; PostgreSQL works on one batch while the next is read."""
    connection = await driver_connection(session)
    names = [name for name in COLUMNS if name not in _TEXT_COLUMNS or profile.has(ColumnField(name))]
    instants: Memo[str] = Memo(str)
    sql = f"COPY register_lines (register_number, {', '.join(names)}) FROM STDIN"
    async with connection.cursor() as cursor, cursor.copy(sql) as copy:
        for batch in batches:
            await copy.write(_copy_text(number, batch, names, instants))


def _copy_text(number: int, batch: LineBatch, names: Iterable[str], instants: Memo[str]) -> bytes:
    """Lines in COPY's text form. Source: PostgreSQL, COPY, "Text Format"."""
    columns = dict(zip(COLUMNS, batch.columns, strict=True))
    shown = [_shown(name, columns[name], instants) for name in names]
    return ("\n".join(map("\t".join, zip(repeat(str(number), len(batch)), *shown, strict=True))) + "\n").encode()


def _shown(name: str, column: Sequence[Any], instants: Memo[str]) -> Iterable[str]:
    if name in ("kind", "rail"):
        return column
    if name == "happened_at":
        return map(instants.__getitem__, column)
    if name in _TEXT_COLUMNS:
        return _texts(column)
    return map(str, column) if None not in column else [_NULL if cell is None else str(cell) for cell in column]


def _texts(column: Sequence[str | None]) -> Iterable[str]:
    """Our reader lets no tab and no line end in; only backslashes are left to escape."""
    if not any(column):
        return repeat(_NULL, len(column))
    if "\\" in "".join(filter(None, column)):
        return [_NULL if cell is None else cell.replace("\\", "\\\\") for cell in column]
    return [_NULL if cell is None else cell for cell in column] if None in column else cast("list[str]", column)


async def add_register(session: Session, register: Register, sha256: bytes | None) -> None:
    """Keep a register whose lines are in. Raises: RegisterTaken if another session was faster."""
    totals, scope = register.totals, register.scope
    try:
        await session.execute(
            text(f"""INSERT INTO registers ({_REGISTER}) VALUES (:id, :number, :profile, :day_on, :member_id,
                     :merchant_id, :sha256, :lines, :known_by, :payments, :refunds, :payouts, :fees, :footer,
                     :footer_amount, :footer_fee, :status, :taken_at)"""),  # noqa: S608  # our own column list
            {
                "id": register.id, "number": register.number, "profile": register.profile, "day_on": register.day_on,
                "member_id": scope.member_id, "merchant_id": scope.merchant_id, "sha256": sha256,
                "lines": totals.lines, "known_by": sorted(totals.traits), "payments": totals.payments,
                "refunds": totals.refunds, "payouts": totals.payouts, "fees": totals.fees,
                "footer": register.footer.value, "footer_amount": register.footer_amount,
                "footer_fee": register.footer_fee, "status": register.status.value, "taken_at": register.taken_at,
            },
        )  # fmt: skip
    except DBAPIError as error:
        if violated_constraint(error) == "registers_content_key":
            raise RegisterTaken() from error
        raise


async def load_register(session: Session, register_id: str, *, lock: bool = False) -> Register:
    """A register by its id. Locks: it, if asked to. Raises: RegisterNotFound."""
    sql = f"SELECT {_REGISTER} FROM registers WHERE id = :id"  # noqa: S608  # our own column list
    row = (await session.execute(text(sql + (" FOR NO KEY UPDATE" if lock else "")), {"id": register_id})).first()
    if row is None:
        raise RegisterNotFound(register_id=register_id)
    return _register(row)


async def list_registers(
    session: Session, *, day_on: date | None, merchant_id: str | None, after: int, limit: int
) -> tuple[list[Register], bool]:
    """Registers in the order they were taken in."""
    rows = await session.execute(
        text(f"""SELECT {_REGISTER} FROM registers
                  WHERE number > :after AND (CAST(:day_on AS date) IS NULL OR day_on = :day_on)
                    AND (CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)
                  ORDER BY number LIMIT :limit"""),  # noqa: S608  # our own column list
        {"after": after, "day_on": day_on, "merchant_id": merchant_id, "limit": limit + 1},
    )
    found = [_register(row) for row in rows]
    return found[:limit], len(found) > limit


async def mark_checked(session: Session, register: Register) -> None:
    """Say that a locked register was compared."""
    await session.execute(
        text("UPDATE registers SET status = 'checked' WHERE number = :number"), {"number": register.number}
    )


async def last_check(session: Session, register: Register) -> RegisterCheck | None:
    """The latest comparison of a register."""
    rows = list(
        await session.execute(
            text("""SELECT c.number, c.checked_at, t.* FROM register_checks AS c
                      LEFT JOIN register_check_totals AS t
                        ON t.register_number = c.register_number AND t.check_number = c.number
                     WHERE c.register_number = :number
                       AND c.number = (SELECT max(number) FROM register_checks WHERE register_number = :number)
                     ORDER BY t.verdict"""),
            {"number": register.number},
        )
    )
    if not rows:
        return None
    totals = tuple(
        CheckTotal(
            CheckVerdict(row.verdict), row.lines, row.line_kopecks, row.line_fee_kopecks, row.operations,
            row.operation_kopecks, row.operation_fee_kopecks,
        )
        for row in rows
        if row.verdict is not None
    )  # fmt: skip
    books = await book_totals(session, register, rows[0].number)
    return RegisterCheck(rows[0].number, rows[0].checked_at, totals, books)


async def book_totals(session: Session, register: Register, check_number: int) -> tuple[BookTotal, ...]:
    """What one comparison has found on all three sides."""
    rows = await session.execute(
        text("""SELECT kind, line_kopecks, operation_kopecks, book_kopecks, operations, differing
                  FROM register_book_totals WHERE register_number = :number AND check_number = :check_number
                 ORDER BY kind"""),
        {"number": register.number, "check_number": check_number},
    )
    return tuple(BookTotal(*row) for row in rows)


async def list_differences(
    session: Session, register: Register, *, check_number: int, after: int, limit: int
) -> tuple[list[RegisterDifference], bool]:
    """What one comparison found, in the order it was found."""
    rows = await session.execute(
        text("""SELECT place, verdict, is_other_day, kind, line_number, operation_id, trx_id, qrc_id, line_kopecks,
                       line_fee_kopecks, operation_kopecks, operation_fee_kopecks, book_kopecks
                  FROM register_differences
                 WHERE register_number = :number AND check_number = :check_number AND place > :after
                 ORDER BY place LIMIT :limit"""),
        {"number": register.number, "check_number": check_number, "after": after, "limit": limit + 1},
    )
    found = [RegisterDifference(row[0], CheckVerdict(row[1]), *row[2:]) for row in rows]
    return found[:limit], len(found) > limit


async def operations_of_day(
    session: Session, day_on: date, scope: RegisterScope, *, after: Place | None, limit: int
) -> list[tuple[RegisterLine, Place]]:
    """Our operations of a Moscow day as lines of a register, in the order of time, and where to go on."""
    since, until = bounds_of(day_on)
    rows = await session.execute(
        text("""SELECT o.id, o.kind, o.trx_id, o.qrc_id, d.number AS order_number, m.nspk_merchant_id AS merchant,
                       o.amount_kopecks, o.fee_kopecks, o.happened_at
                  FROM sbp_operations AS o
                  LEFT JOIN sbp_merchants AS m ON m.merchant_id = o.merchant_id
                  LEFT JOIN attempts AS a ON a.id = o.attempt_id
                  LEFT JOIN orders AS d ON d.id = a.order_id
                 WHERE o.happened_at >= :since AND o.happened_at < :until
                   AND (CAST(:merchant_id AS text) IS NULL OR o.merchant_id = :merchant_id)
                   AND (CAST(:member_id AS text) IS NULL OR o.member_id = :member_id)
                   AND (o.happened_at, o.id) > (CAST(:after_at AS timestamptz), CAST(:after_id AS text))
                 ORDER BY o.happened_at, o.id LIMIT :limit"""),
        {
            "since": since, "until": until, "merchant_id": scope.merchant_id, "member_id": scope.member_id,
            "after_at": after[0] if after else since, "after_id": after[1] if after else "", "limit": limit,
        },
    )  # fmt: skip
    return [(_line(row), (row.happened_at, row.id)) for row in rows]


def bounds_of(day_on: date) -> tuple[datetime, datetime]:
    """When a Moscow day begins and ends."""
    start = datetime(day_on.year, day_on.month, day_on.day, tzinfo=MOSCOW)
    return start.astimezone(UTC), (start + timedelta(days=1)).astimezone(UTC)


def _line(row: Row[Any]) -> RegisterLine:
    is_refund = row.kind == LineKind.REFUND
    return RegisterLine(
        0, LineKind(row.kind), LineRail.SBP, row.trx_id, row.qrc_id, row.order_number, row.id if is_refund else None,
        row.id, row.merchant, None, row.amount_kopecks, row.fee_kopecks, row.happened_at,
    )  # fmt: skip


def _register(row: Row[Any]) -> Register:
    totals = Totals(
        row.lines, row.payments_kopecks, row.refunds_kopecks, row.payouts_kopecks, row.fees_kopecks,
        {LineTrait(trait) for trait in row.known_by},
    )  # fmt: skip
    return Register(
        id=row.id,
        number=row.number,
        profile=row.profile,
        day_on=row.day_on,
        scope=RegisterScope(row.member_id, row.merchant_id),
        is_absent=row.sha256 is None,
        totals=totals,
        footer=FooterVerdict(row.footer),
        footer_amount=row.footer_amount_kopecks,
        footer_fee=row.footer_fee_kopecks,
        status=RegisterStatus(row.status),
        taken_at=row.taken_at,
    )
