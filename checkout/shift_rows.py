"""Rows of shifts turned into values and back. A shift is locked before its operations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from checkout.errors import ShiftNotFound
from checkout.shift_report import POINTS, OperationKind, Shift, ShiftBaskets, ShiftDifference, ShiftTotal
from ledger.database import Session, text
from ledger.money import Kopecks

PAGE_MAX = 200
"""Shifts on one page."""
_ROW = """s.id, s.terminal_id, s.store_id, s.merchant_id, s.number, s.opened_by, s.opened_at, s.closed_by, s.closed_at,
    s.difference_reason"""


async def add_shift(session: Session, shift_id: str, terminal_id: str, cashier_id: str, now: datetime) -> Shift | None:
    """Keep the next shift of a till; nothing if one is open. Locks: the numbering of the till's shifts."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 25))"), {"id": terminal_id})
    row = (
        await session.execute(
            text(f"""INSERT INTO shifts AS s (id, terminal_id, store_id, merchant_id, number, opened_by, opened_at)
                     SELECT :id, t.id, t.store_id, t.merchant_id,
                            (SELECT coalesce(max(number), 0) + 1 FROM shifts WHERE terminal_id = t.id), :cashier, :now
                       FROM terminals AS t
                      WHERE t.id = :terminal_id
                        AND NOT EXISTS (SELECT FROM shifts WHERE terminal_id = t.id AND closed_at IS NULL)
                     RETURNING {_ROW}"""),  # noqa: S608  # our own column list
            {"id": shift_id, "terminal_id": terminal_id, "cashier": cashier_id, "now": now},
        )
    ).first()
    return None if row is None else _shift(row)


async def load_shift(session: Session, shift_id: str, *, merchant_id: str | None = None, lock: bool = False) -> Shift:
    """The shift. Raises: ShiftNotFound if there is none, or it is another merchant's. Locks: the shift, when told."""
    row = (
        await session.execute(
            text(f"SELECT {_ROW} FROM shifts AS s WHERE s.id = :id {'FOR UPDATE' if lock else ''}"),  # noqa: S608
            {"id": shift_id},
        )
    ).first()
    if row is None or merchant_id not in (None, row.merchant_id):
        raise ShiftNotFound(shift_id=shift_id)
    return _shift(row)


async def list_shifts(
    session: Session, *, merchant_id: str | None, terminal_id: str | None = None, is_open: bool | None = None,
    after: str = "", limit: int = PAGE_MAX,
) -> tuple[list[Shift], bool]:  # fmt: skip
    """Shifts by id, and whether there are more."""
    rows = await session.execute(
        text(f"""SELECT {_ROW} FROM shifts AS s
                  WHERE s.id > :after AND (CAST(:merchant_id AS text) IS NULL OR s.merchant_id = :merchant_id)
                    AND (CAST(:terminal_id AS text) IS NULL OR s.terminal_id = :terminal_id)
                    AND (CAST(:is_open AS boolean) IS NULL OR (s.closed_at IS NULL) = :is_open)
                  ORDER BY s.id LIMIT :limit"""),  # noqa: S608  # our own column list
        {
            "after": after,
            "merchant_id": merchant_id,
            "terminal_id": terminal_id,
            "is_open": is_open,
            "limit": limit + 1,
        },
    )
    found = [_shift(row) for row in rows]
    return found[:limit], len(found) > limit


async def begin_turn(session: Session, shift: Shift, cashier_id: str, now: datetime) -> None:
    """The cashier at a locked shift's till is another from now on; the same one stays."""
    await session.execute(
        text("""WITH ended AS (
                    UPDATE shift_turns SET ended_at = :now
                     WHERE shift_id = :shift_id AND ended_at IS NULL AND cashier_id <> :cashier_id
                 RETURNING number
                )
                SELECT count(*) FROM ended"""),
        {"shift_id": shift.id, "cashier_id": cashier_id, "now": now},
    )
    await session.execute(
        text("""INSERT INTO shift_turns (shift_id, number, merchant_id, cashier_id, began_at)
                SELECT :shift_id, (SELECT coalesce(max(number), 0) + 1 FROM shift_turns WHERE shift_id = :shift_id),
                       :merchant_id, :cashier_id, :now
                 WHERE NOT EXISTS (SELECT FROM shift_turns WHERE shift_id = :shift_id AND ended_at IS NULL)"""),
        {"shift_id": shift.id, "merchant_id": shift.merchant_id, "cashier_id": cashier_id, "now": now},
    )


async def adopt(session: Session, shift: Shift) -> None:
    """Take what came while the till had no shift into this one. Locks: those operations."""
    await session.execute(
        text("UPDATE shift_operations SET shift_id = :id WHERE terminal_id = :terminal_id AND shift_id IS NULL"),
        {"id": shift.id, "terminal_id": shift.terminal_id},
    )


async def close(
    session: Session, shift: Shift, cashier_id: str, reason: str | None, differences: Sequence[ShiftDifference],
    now: datetime,
) -> Shift:  # fmt: skip
    """End a locked shift with what the till counted otherwise."""
    await session.execute(
        text("UPDATE shift_turns SET ended_at = :now WHERE shift_id = :id AND ended_at IS NULL"),
        {"id": shift.id, "now": now},
    )
    if differences:
        await session.execute(
            text("""INSERT INTO shift_differences (shift_id, rail, kind, operations, kopecks, told, told_kopecks)
                    VALUES (:shift_id, :rail, :kind, :operations, :kopecks, :told, :told_kopecks)"""),
            [
                {
                    "shift_id": shift.id, "rail": each.rail, "kind": each.kind.value, "operations": each.operations,
                    "kopecks": int(each.amount), "told": each.told, "told_kopecks": int(each.told_amount),
                }
                for each in differences
            ],
        )  # fmt: skip
    row = (
        await session.execute(
            text(f"""UPDATE shifts AS s SET closed_by = :cashier_id, closed_at = :now, difference_reason = :reason
                      WHERE s.id = :id RETURNING {_ROW}"""),  # noqa: S608  # our own column list
            {"id": shift.id, "cashier_id": cashier_id, "reason": reason, "now": now},
        )
    ).one()
    return _shift(row)


_OF_SHIFT = """FROM shift_operations AS o
    WHERE (o.shift_id = :id OR (:is_open AND o.shift_id IS NULL AND o.terminal_id = :terminal_id))"""
"""An open shift has what waits for it, too."""


async def totals_of(session: Session, shift: Shift) -> tuple[ShiftTotal, ...]:
    """A shift's operations, counted by rail, kind and cashier."""
    rows = await session.execute(
        text(f"""SELECT o.rail, o.kind, o.cashier_id, count(*) AS operations, sum(o.amount_kopecks) AS kopecks
                  {_OF_SHIFT}
                  GROUP BY o.rail, o.kind, o.cashier_id
                  ORDER BY o.rail = :points, o.rail, o.kind DESC, o.cashier_id"""),  # our own words
        _which(shift) | {"points": POINTS},
    )
    return tuple(
        ShiftTotal(row.rail, OperationKind(row.kind), row.operations, Kopecks(int(row.kopecks)), row.cashier_id)
        for row in rows
    )


async def baskets_of(session: Session, shift: Shift) -> ShiftBaskets:
    """What a shift's sales cost before rails were asked; a sale without a basket costs what its rail has brought."""
    row = (
        await session.execute(
            text(f"""SELECT coalesce(sum(coalesce(b.gross_kopecks, o.amount_kopecks)), 0) AS gross,
                            coalesce(sum(b.discount_kopecks + b.offer_kopecks), 0) AS discounts,
                            coalesce(sum(b.promo_kopecks), 0) AS promo_codes,
                            coalesce(sum(b.points_kopecks), 0) AS points
                       {_OF_SHIFT.replace("AS o", "AS o LEFT JOIN order_baskets AS b ON b.order_id = o.id")}
                        AND o.kind = 'sale'"""),  # our own words
            _which(shift),
        )
    ).one()
    return ShiftBaskets(*(Kopecks(int(each)) for each in row))


async def differences_of(session: Session, shift_id: str) -> tuple[ShiftDifference, ...]:
    """What a till counted otherwise when its shift was closed."""
    rows = await session.execute(
        text("SELECT * FROM shift_differences WHERE shift_id = :id ORDER BY rail, kind"), {"id": shift_id}
    )
    return tuple(
        ShiftDifference(
            row.rail, OperationKind(row.kind), row.operations, Kopecks(row.kopecks), row.told,
            Kopecks(row.told_kopecks),
        )
        for row in rows
    )  # fmt: skip


async def names_of(session: Session, shift: Shift) -> dict[str, str]:
    """The names of the cashiers who stood at a shift's till, or whose operations it has."""
    rows = await session.execute(
        text(f"""SELECT c.id, c.name FROM cashiers AS c
                  WHERE c.id IN (SELECT t.cashier_id FROM shift_turns AS t WHERE t.shift_id = :id
                                  UNION SELECT o.cashier_id {_OF_SHIFT})
                     OR c.id = ANY(CAST(:others AS text[]))"""),  # noqa: S608  # our own words
        _which(shift) | {"others": [each for each in (shift.opened_by, shift.closed_by) if each]},
    )
    return {row.id: row.name for row in rows}


def _which(shift: Shift) -> dict[str, Any]:
    return {"id": shift.id, "is_open": shift.closed_at is None, "terminal_id": shift.terminal_id}


def _shift(row: Row[Any]) -> Shift:
    return Shift(**row._mapping)
