"""Rows of the till turned into values and back, and the order of its locks: orders, then attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.dialects.postgresql import insert

from checkout import tables
from checkout.attempts import Attempt, AttemptStatus, OfOrder
from checkout.bank_details import BankAccount
from checkout.errors import (
    MerchantNotFound,
    OrderNotFound,
    OrderNumberTaken,
    StoreNotFound,
    TerminalNotFound,
)
from checkout.merchants import Merchant, Store, Terminal
from checkout.orders import Order, OrderRequest, OrderStatus
from ledger.database import Session, text
from ledger.money import Kopecks

PAGE_MAX = 200
"""Rows on one page of any list of the till."""

_ORDER = """o.id, o.merchant_id, o.store_id, o.terminal_id, o.number, o.amount_kopecks, o.description, o.status,
    o.placed_at, o.created_at, o.paid_at, o.version"""
_ATTEMPT = "a.id, a.order_id, a.rail, a.amount_kopecks, a.status, a.payment_id, a.created_at, a.version"


async def add_merchant(session: Session, merchant: Merchant) -> None:
    """Keep a new merchant."""
    await session.execute(
        insert(tables.merchants).values(
            id=merchant.id,
            name=merchant.name,
            legal_name=merchant.legal_name,
            inn=merchant.inn,
            bank_account_bik=merchant.bank_account.bik,
            bank_account_number=merchant.bank_account.number,
            tariff_group=merchant.tariff_group,
            created_at=merchant.created_at,
            ogrn=merchant.ogrn,
        )
    )


async def load_merchant(session: Session, merchant_id: str) -> Merchant:
    """The merchant. Raises: MerchantNotFound."""
    row = (await session.execute(text("SELECT * FROM merchants WHERE id = :id"), {"id": merchant_id})).first()
    if row is None:
        raise MerchantNotFound(merchant_id=merchant_id)
    return _merchant(row)


async def list_merchants(
    session: Session, *, merchant_id: str | None = None, after: str = "", limit: int = PAGE_MAX
) -> tuple[list[Merchant], bool]:
    """Merchants by id, and whether there are more; only ``merchant_id`` when it is given."""
    rows = await session.execute(
        text("""SELECT * FROM merchants
                 WHERE id > :after AND (CAST(:merchant_id AS text) IS NULL OR id = :merchant_id)
                 ORDER BY id LIMIT :limit"""),
        {"after": after, "merchant_id": merchant_id, "limit": limit + 1},
    )
    found = [_merchant(row) for row in rows]
    return found[:limit], len(found) > limit


async def merchants_by_id(session: Session, merchant_ids: Sequence[str]) -> dict[str, Merchant]:
    """The merchants among ``merchant_ids`` that exist."""
    rows = await session.execute(
        text("SELECT * FROM merchants WHERE id = ANY(CAST(:ids AS text[]))"), {"ids": list(merchant_ids)}
    )
    return {row.id: _merchant(row) for row in rows}


async def add_store(session: Session, store: Store) -> None:
    """Keep a new store."""
    await session.execute(
        insert(tables.stores).values(
            id=store.id,
            merchant_id=store.merchant_id,
            name=store.name,
            address=store.address,
            created_at=store.created_at,
        )
    )


async def load_store(session: Session, store_id: str) -> Store:
    """The store. Raises: StoreNotFound."""
    row = (await session.execute(text("SELECT * FROM stores WHERE id = :id"), {"id": store_id})).first()
    if row is None:
        raise StoreNotFound(store_id=store_id)
    return Store(**row._mapping)


async def list_stores(
    session: Session, *, merchant_id: str | None, after: str = "", limit: int = PAGE_MAX
) -> tuple[list[Store], bool]:
    """Stores by id, and whether there are more."""
    rows = await session.execute(
        text("""SELECT * FROM stores
                 WHERE id > :after AND (CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)
                 ORDER BY id LIMIT :limit"""),
        {"after": after, "merchant_id": merchant_id, "limit": limit + 1},
    )
    found = [Store(**row._mapping) for row in rows]
    return found[:limit], len(found) > limit


async def add_terminal(session: Session, terminal: Terminal) -> None:
    """Keep a new terminal."""
    await session.execute(
        insert(tables.terminals).values(
            id=terminal.id,
            store_id=terminal.store_id,
            merchant_id=terminal.merchant_id,
            name=terminal.name,
            created_at=terminal.created_at,
        )
    )


async def load_terminal(session: Session, terminal_id: str) -> Terminal:
    """The terminal. Raises: TerminalNotFound."""
    row = (await session.execute(text("SELECT * FROM terminals WHERE id = :id"), {"id": terminal_id})).first()
    if row is None:
        raise TerminalNotFound(terminal_id=terminal_id)
    return Terminal(**row._mapping)


async def list_terminals(
    session: Session, *, merchant_id: str | None, store_id: str | None, after: str = "", limit: int = PAGE_MAX
) -> tuple[list[Terminal], bool]:
    """Terminals by id, and whether there are more."""
    rows = await session.execute(
        text("""SELECT * FROM terminals
                 WHERE id > :after AND (CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)
                   AND (CAST(:store_id AS text) IS NULL OR store_id = :store_id)
                 ORDER BY id LIMIT :limit"""),
        {"after": after, "merchant_id": merchant_id, "store_id": store_id, "limit": limit + 1},
    )
    found = [Terminal(**row._mapping) for row in rows]
    return found[:limit], len(found) > limit


async def add_order(
    session: Session, order_id: str, request: OrderRequest, *, merchant_id: str | None, now: datetime
) -> Order:
    """Keep a new order of the terminal's merchant, in one round trip.

    Raises: TerminalNotFound if the terminal is unknown or another merchant's; OrderNumberTaken.
    """
    row = (
        await session.execute(
            text(f"""
                INSERT INTO orders AS o (id, merchant_id, store_id, terminal_id, number, amount_kopecks, description,
                                         placed_at, created_at)
                SELECT :id, t.merchant_id, t.store_id, t.id, :number, :amount_kopecks, :description, :placed_at, :now
                  FROM terminals AS t
                 WHERE t.id = :terminal_id AND (CAST(:merchant_id AS text) IS NULL OR t.merchant_id = :merchant_id)
                ON CONFLICT (merchant_id, number) DO NOTHING
                RETURNING {_ORDER}
            """),  # noqa: S608  # our own column list
            {
                "id": order_id,
                "terminal_id": request.terminal_id,
                "number": request.number,
                "amount_kopecks": request.amount_kopecks,
                "description": request.description,
                "placed_at": request.placed_at,
                "merchant_id": merchant_id,
                "now": now,
            },
        )
    ).first()
    if row is not None:
        return _order(row)
    terminal = await load_terminal(session, request.terminal_id)
    if merchant_id not in (None, terminal.merchant_id):
        raise TerminalNotFound(terminal_id=request.terminal_id)
    taken_by = await session.scalar(
        text("SELECT id FROM orders WHERE merchant_id = :merchant_id AND number = :number"),
        {"merchant_id": terminal.merchant_id, "number": request.number},
    )
    raise OrderNumberTaken(number=request.number, order_id=taken_by)


async def load_order(session: Session, order_id: str, *, merchant_id: str | None = None) -> Order:
    """The order. Raises: OrderNotFound if there is none, or it is another merchant's."""
    return await _one_order(session, order_id, merchant_id, "")


async def lock_order(session: Session, order_id: str, *, merchant_id: str | None = None) -> Order:
    """The order, locked. Raises: OrderNotFound. Locks: the order."""
    return await _one_order(session, order_id, merchant_id, "FOR NO KEY UPDATE")


async def _one_order(session: Session, order_id: str, merchant_id: str | None, lock: str) -> Order:
    row = (
        await session.execute(
            text(f"SELECT {_ORDER} FROM orders AS o WHERE o.id = :id {lock}"),  # noqa: S608  # our own words
            {"id": order_id},
        )
    ).first()
    if row is None or merchant_id not in (None, row.merchant_id):
        raise OrderNotFound(order_id=order_id)
    return _order(row)


async def list_orders(
    session: Session, *, merchant_id: str | None, status: OrderStatus | None, after: str = "", limit: int = PAGE_MAX
) -> tuple[list[Order], bool]:
    """Orders by id (that is, by when they were made), and whether there are more."""
    rows = await session.execute(
        text(f"""SELECT {_ORDER} FROM orders AS o
                  WHERE o.id > :after AND (CAST(:merchant_id AS text) IS NULL OR o.merchant_id = :merchant_id)
                    AND (CAST(:status AS text) IS NULL OR o.status = :status)
                  ORDER BY o.id LIMIT :limit"""),  # noqa: S608  # our own column list
        {"after": after, "merchant_id": merchant_id, "status": status, "limit": limit + 1},
    )
    found = [_order(row) for row in rows]
    return found[:limit], len(found) > limit


async def save_orders(session: Session, orders: Sequence[Order]) -> set[str]:
    """Keep the new status of locked orders. Gives those that have a basket."""
    rows = await session.execute(
        text("""UPDATE orders AS o SET status = n.status, paid_at = n.paid_at, version = n.version
                  FROM unnest(CAST(:ids AS text[]), CAST(:statuses AS text[]), CAST(:paid AS timestamptz[]),
                              CAST(:versions AS int[])) AS n (id, status, paid_at, version)
                 WHERE o.id = n.id AND o.version = n.version - 1
             RETURNING o.id, EXISTS (SELECT FROM order_baskets AS b WHERE b.order_id = o.id) AS has_basket"""),
        {
            "ids": [order.id for order in orders],
            "statuses": [order.status.value for order in orders],
            "paid": [order.paid_at for order in orders],
            "versions": [order.version for order in orders],
        },
    )
    return {row.id for row in rows if row.has_basket}


async def begin_attempt(
    session: Session, attempt_id: str, rail: str, *, order_id: str, merchant_id: str | None, now: datetime
) -> tuple[Order, bool, bool]:
    """Lock the order and keep a new attempt to have it paid, if it is open and nothing else pays it.

    Gives the order, whether the attempt was kept, and whether rails take anything off.
    Raises: OrderNotFound. Locks: the order.
    """
    row = (
        await session.execute(
            text(f"""
                WITH locked AS (
                    SELECT {_ORDER} FROM orders AS o
                     WHERE o.id = :order_id AND (CAST(:merchant_id AS text) IS NULL OR o.merchant_id = :merchant_id)
                       FOR NO KEY UPDATE
                ), added AS (
                    INSERT INTO attempts (id, order_id, rail, amount_kopecks, status, created_at)
                    SELECT :id, l.id, :rail, l.amount_kopecks, 'requested', CAST(:now AS timestamptz) FROM locked AS l
                     WHERE l.status = 'open'
                    ON CONFLICT DO NOTHING RETURNING id
                )
                SELECT l.*, EXISTS (SELECT FROM added) AS is_added,
                       EXISTS (SELECT FROM order_offers AS f WHERE f.order_id = l.id) AS has_offers
                  FROM locked AS l
            """),  # noqa: S608  # our own column list
            {"id": attempt_id, "order_id": order_id, "merchant_id": merchant_id, "rail": rail, "now": now},
        )
    ).first()
    if row is None:
        raise OrderNotFound(order_id=order_id)
    return _order(row), row.is_added, row.has_offers


async def add_attempt(session: Session, attempt: Attempt) -> bool:
    """Keep a new attempt; False if the order has a live or a paid one."""
    result = await session.execute(
        text("""INSERT INTO attempts (id, order_id, rail, amount_kopecks, status, created_at)
                VALUES (:id, :order_id, :rail, :amount, :status, :created_at) ON CONFLICT DO NOTHING"""),
        {
            "id": attempt.id,
            "order_id": attempt.order_id,
            "rail": attempt.rail,
            "amount": int(attempt.amount),
            "status": attempt.status.value,
            "created_at": attempt.created_at,
        },
    )
    return result.rowcount == 1


async def load_attempt(session: Session, attempt_id: str) -> Attempt | None:
    """The attempt, or nothing."""
    found = await _attempts(session, "a.id = ANY(CAST(:ids AS text[]))", [attempt_id])
    return found[0] if found else None


async def attempts_of_orders(session: Session, order_ids: Sequence[str]) -> list[Attempt]:
    """Every attempt of the orders, oldest first."""
    return await _attempts(session, "a.order_id = ANY(CAST(:ids AS text[]))", order_ids)


async def orders_of_attempts(session: Session, attempt_ids: Sequence[str]) -> dict[str, str]:
    """The order that each attempt is of."""
    return {
        attempt.id: attempt.order_id
        for attempt in await _attempts(session, "a.id = ANY(CAST(:ids AS text[]))", attempt_ids)
    }


async def lock_attempts(session: Session, attempt_ids: Sequence[str]) -> list[Attempt]:
    """Attempts, locked. Locks: them, in the order of their ids."""
    return await _attempts(session, "a.id = ANY(CAST(:ids AS text[]))", attempt_ids, "FOR NO KEY UPDATE")


async def _attempts(session: Session, which: str, ids: Sequence[str], lock: str = "") -> list[Attempt]:
    rows = await session.execute(
        text(f"SELECT {_ATTEMPT} FROM attempts AS a WHERE {which} ORDER BY a.id {lock}"),  # noqa: S608  # our words
        {"ids": list(ids)},
    )
    return [_attempt(row) for row in rows]


async def has_live_attempt(session: Session, order_id: str) -> bool:
    """Whether money may still come for the order."""
    return bool(
        await session.scalar(
            text("""SELECT EXISTS (SELECT 1 FROM attempts WHERE order_id = :id
                                     AND status IN ('requested', 'waiting', 'unknown'))"""),
            {"id": order_id},
        )
    )


async def lock_with_orders(session: Session, attempt_ids: Sequence[str]) -> dict[str, OfOrder]:
    """Attempts with their orders, both locked, by the attempts' ids.

    Locks: each order and then its attempt, in the order of the orders' ids.
    """
    rows = await session.execute(
        text(f"""SELECT {_ORDER}, m.tariff_group, a.id AS a_id, a.rail AS a_rail, a.amount_kopecks AS a_amount_kopecks,
                        a.status AS a_status, a.payment_id AS a_payment_id, a.created_at AS a_created_at,
                        a.version AS a_version
                   FROM attempts AS a JOIN orders AS o ON o.id = a.order_id JOIN merchants AS m ON m.id = o.merchant_id
                  WHERE a.id = ANY(CAST(:ids AS text[])) ORDER BY o.id, a.id
                    FOR NO KEY UPDATE OF o, a"""),  # noqa: S608  # our own column list
        {"ids": list(attempt_ids)},
    )
    found = {}
    for row in rows:
        attempt = Attempt(
            id=row.a_id,
            order_id=row.id,
            rail=row.a_rail,
            amount=Kopecks(row.a_amount_kopecks),
            status=AttemptStatus(row.a_status),
            payment_id=row.a_payment_id,
            created_at=row.a_created_at,
            version=row.a_version,
        )
        found[attempt.id] = OfOrder(attempt, _order(row), row.tariff_group)
    return found


async def move_attempt(
    session: Session, attempt_id: str, to: AttemptStatus, come_from: Sequence[AttemptStatus]
) -> Attempt | None:
    """Bring an attempt to ``to`` if it stands in one of ``come_from``; nothing otherwise. Locks: the attempt."""
    row = (
        await session.execute(
            text(f"""UPDATE attempts AS a SET status = :to, version = a.version + 1
                      WHERE a.id = :id AND a.status = ANY(CAST(:come_from AS text[]))
                  RETURNING {_ATTEMPT}"""),  # noqa: S608  # our own column list
            {"id": attempt_id, "to": to.value, "come_from": [status.value for status in come_from]},
        )
    ).first()
    return None if row is None else _attempt(row)


async def save_attempts(session: Session, attempts: Sequence[Attempt]) -> None:
    """Keep the new status of locked attempts."""
    if not attempts:
        return
    await session.execute(
        text("""UPDATE attempts AS a SET status = n.status, payment_id = n.payment_id, version = n.version
                  FROM unnest(CAST(:ids AS text[]), CAST(:statuses AS text[]), CAST(:payments AS text[]),
                              CAST(:versions AS int[])) AS n (id, status, payment_id, version)
                 WHERE a.id = n.id AND a.version = n.version - 1"""),
        {
            "ids": [attempt.id for attempt in attempts],
            "statuses": [attempt.status.value for attempt in attempts],
            "payments": [attempt.payment_id for attempt in attempts],
            "versions": [attempt.version for attempt in attempts],
        },
    )


def _merchant(row: Row[Any]) -> Merchant:
    return Merchant(
        id=row.id,
        name=row.name,
        legal_name=row.legal_name,
        inn=row.inn,
        bank_account=BankAccount(row.bank_account_bik, row.bank_account_number),
        tariff_group=row.tariff_group,
        created_at=row.created_at,
        ogrn=row.ogrn,
    )


def _order(row: Row[Any]) -> Order:
    return Order(
        id=row.id,
        merchant_id=row.merchant_id,
        store_id=row.store_id,
        terminal_id=row.terminal_id,
        number=row.number,
        amount=Kopecks(row.amount_kopecks),
        description=row.description,
        status=OrderStatus(row.status),
        placed_at=row.placed_at,
        created_at=row.created_at,
        paid_at=row.paid_at,
        version=row.version,
    )


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        id=row.id,
        order_id=row.order_id,
        rail=row.rail,
        amount=Kopecks(row.amount_kopecks),
        status=AttemptStatus(row.status),
        payment_id=row.payment_id,
        created_at=row.created_at,
        version=row.version,
    )
