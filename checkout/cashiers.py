"""Cashiers (кассиры): who stands at tills. Slips and shift reports show their names; nobody signs in with them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from checkout import repository
from checkout.errors import CashierGone, CashierNotFound, CashierNumberTaken
from checkout.premises import Cashier
from checkout.telling import TillActor, tell
from ledger.database import Session, text

PAGE_MAX = 200
"""Cashiers on one page."""

_ROW = "c.id, c.merchant_id, c.number, c.name, c.created_at, c.left_at"


async def add_cashier(
    session: Session, cashier_id: str, *, merchant_id: str, number: str, name: str, by: TillActor, now: datetime
) -> Cashier:
    """Take a cashier in. Raises: MerchantNotFound, CashierNumberTaken."""
    await repository.load_merchant(session, merchant_id)
    row = (
        await session.execute(
            text(f"""INSERT INTO cashiers AS c (id, merchant_id, number, name, created_at)
                     VALUES (:id, :merchant_id, :number, :name, :now)
                     ON CONFLICT (merchant_id, number) DO NOTHING RETURNING {_ROW}"""),  # noqa: S608  # our own list
            {"id": cashier_id, "merchant_id": merchant_id, "number": number, "name": name, "now": now},
        )
    ).first()
    if row is None:
        raise CashierNumberTaken(number=number)
    await tell(session, "cashier.added", cashier_id, merchant_id, by, {"number": number}, now=now)
    return _cashier(row)


async def end_cashier(
    session: Session, cashier_id: str, *, merchant_id: str | None, by: TillActor, now: datetime
) -> Cashier:
    """A cashier leaves; repeating it changes nothing. Raises: CashierNotFound. Locks: the cashier."""
    cashier = await load_cashier(session, cashier_id, merchant_id=merchant_id)
    if cashier.left_at is not None:
        return cashier
    row = (
        await session.execute(
            text(f"""UPDATE cashiers AS c SET left_at = coalesce(left_at, :now)
                      WHERE id = :id RETURNING {_ROW}"""),  # noqa: S608  # our own column list
            {"id": cashier_id, "now": now},
        )
    ).one()
    await tell(session, "cashier.left", cashier_id, cashier.merchant_id, by, {"number": cashier.number}, now=now)
    return _cashier(row)


async def load_cashier(session: Session, cashier_id: str, *, merchant_id: str | None = None) -> Cashier:
    """The cashier. Raises: CashierNotFound if there is none, or it is another merchant's."""
    row = (
        await session.execute(
            text(f"SELECT {_ROW} FROM cashiers AS c WHERE id = :id"),  # noqa: S608  # our own column list
            {"id": cashier_id},
        )
    ).first()
    if row is None or merchant_id not in (None, row.merchant_id):
        raise CashierNotFound(cashier_id=cashier_id)
    return _cashier(row)


async def load_working(session: Session, cashier_id: str, *, merchant_id: str) -> Cashier:
    """A merchant's cashier who has not left. Raises: CashierNotFound, CashierGone."""
    cashier = await load_cashier(session, cashier_id, merchant_id=merchant_id)
    if cashier.left_at is not None:
        raise CashierGone(cashier_id=cashier_id)
    return cashier


async def list_cashiers(
    session: Session, *, merchant_id: str | None, after: str = "", limit: int = PAGE_MAX
) -> tuple[list[Cashier], bool]:
    """Cashiers by id, and whether there are more."""
    rows = await session.execute(
        text(f"""SELECT {_ROW} FROM cashiers AS c
                  WHERE id > :after AND (CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)
                  ORDER BY id LIMIT :limit"""),  # noqa: S608  # our own column list
        {"after": after, "merchant_id": merchant_id, "limit": limit + 1},
    )
    found = [_cashier(row) for row in rows]
    return found[:limit], len(found) > limit


def _cashier(row: Row[Any]) -> Cashier:
    return Cashier(row.id, row.merchant_id, row.number, row.name, row.created_at, row.left_at)
