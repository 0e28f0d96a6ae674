"""Rows of promo codes turned into values and back, and the order of their locks: redemptions, then codes by id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.dialects.postgresql import insert

from checkout import promo_code_tables as tables
from checkout.promo_errors import PromoCodeNotFound
from checkout.promo_rules import PromoCode, PromoKind, PromoTerms, Redemption, RedemptionStatus
from ledger.database import Session, text
from ledger.money import Kopecks

PAGE_MAX = 200

_TERMS = """discount_kopecks, discount_basis_points, discount_kopecks_max, basket_kopecks_min, redemptions_max,
    buyer_redemptions_max, owner_key, only_for, reward_kopecks, is_returnable, valid_from, valid_until"""
_FIELDS = [name.strip() for name in _TERMS.split(",")]
_LIVE = "status IN ('reserved', 'confirmed')"


async def add_code(session: Session, code: PromoCode) -> bool:
    """Keep a new code, unless the merchant has one of that name."""
    terms = {name: getattr(code.terms, name) for name in _FIELDS}
    added = await session.scalar(
        insert(tables.promo_codes)
        .values(
            id=code.id, merchant_id=code.merchant_id, code=code.terms.code, kind=code.terms.kind.value,
            created_at=code.created_at, **terms,
        )
        .on_conflict_do_nothing(constraint="promo_codes_code_key")
        .returning(tables.promo_codes.c.id)
    )  # fmt: skip
    return added is not None


async def load_code(session: Session, code_id: str, *, merchant_id: str | None) -> PromoCode:
    """The code, of ``merchant_id`` when it is given. Raises: PromoCodeNotFound."""
    row = (
        await session.execute(
            text("""SELECT * FROM promo_codes
                     WHERE id = :id AND (CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)"""),
            {"id": code_id, "merchant_id": merchant_id},
        )
    ).first()
    if row is None:
        raise PromoCodeNotFound(promo_code_id=code_id)
    return _code(row)


async def list_codes(
    session: Session, *, merchant_id: str | None, code: str | None, after: str, limit: int
) -> tuple[list[PromoCode], bool]:
    """Codes by id, and whether there are more."""
    rows = await session.execute(
        text("""SELECT * FROM promo_codes
                 WHERE id > :after AND (CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)
                   AND (CAST(:code AS text) IS NULL OR code = :code)
                 ORDER BY id LIMIT :limit"""),
        {"after": after, "merchant_id": merchant_id, "code": code, "limit": limit + 1},
    )
    found = [_code(row) for row in rows]
    return found[:limit], len(found) > limit


async def find_for_order(session: Session, code: str, order_id: str) -> tuple[PromoCode, bool]:
    """The code of the order's merchant, and whether the order has a redemption already. Raises: PromoCodeNotFound."""
    rows = await session.execute(
        text("""SELECT p.*, r.id IS NOT NULL AS is_repeated
                  FROM orders AS o JOIN promo_codes AS p ON p.merchant_id = o.merchant_id AND p.code = :code
                  LEFT JOIN promo_redemptions AS r ON r.order_id = o.id
                 WHERE o.id = :order_id"""),
        {"code": code, "order_id": order_id},
    )
    row = rows.first()
    if row is None:
        raise PromoCodeNotFound(code=code)
    return _code(row), row.is_repeated


async def redemption_of(session: Session, order_id: str) -> Redemption | None:
    """The order's redemption, whatever became of it."""
    rows = await session.execute(
        text("SELECT * FROM promo_redemptions WHERE order_id = :order_id"), {"order_id": order_id}
    )
    row = rows.first()
    return None if row is None else _redemption(row)


async def list_redemptions(session: Session, code_id: str, *, after: str, limit: int) -> tuple[list[Redemption], bool]:
    """Redemptions of a code, oldest first, and whether there are more."""
    rows = await session.execute(
        text("SELECT * FROM promo_redemptions WHERE promo_code_id = :id AND id > :after ORDER BY id LIMIT :limit"),
        {"id": code_id, "after": after, "limit": limit + 1},
    )
    found = [_redemption(row) for row in rows]
    return found[:limit], len(found) > limit


async def take_use(session: Session, code_id: str) -> bool:
    """Take one of the uses of a counted code, if any is left. Locks: the code, unless it is visibly spent."""
    taken = await session.scalar(
        text("""UPDATE promo_codes SET taken = taken + 1 WHERE id = :id AND taken < redemptions_max RETURNING id"""),
        {"id": code_id},
    )
    return taken is not None


async def add_redemption(
    session: Session, redemption: Redemption, code: PromoCode, buyer_key: str | None
) -> Redemption | None:
    """Keep a new redemption; nothing if the buyer has none left, or another till takes the buyer's next one just now.

    The use is the buyer's lowest free number: two tills that choose the same one meet at a unique index.
    """
    row = (
        await session.execute(
            text(f"""
                WITH chosen AS (
                    SELECT min(n) AS buyer_use FROM generate_series(1, CAST(:by_buyer AS integer)) AS n
                     WHERE NOT EXISTS (SELECT FROM promo_redemptions
                                        WHERE promo_code_id = :code_id AND buyer_key = :buyer_key AND buyer_use = n
                                          AND {_LIVE})
                )
                INSERT INTO promo_redemptions (id, promo_code_id, merchant_id, kind, order_id, buyer_key, buyer_use,
                                               discount_kopecks, reserved_at)
                SELECT :id, :code_id, :merchant_id, :kind, :order_id, CAST(:buyer_key AS text), buyer_use, :discount,
                       :now
                  FROM chosen WHERE CAST(:by_buyer AS integer) IS NULL OR buyer_use IS NOT NULL
                ON CONFLICT DO NOTHING RETURNING *
            """),  # noqa: S608  # our own words
            {
                "id": redemption.id, "code_id": code.id, "merchant_id": code.merchant_id,
                "kind": code.terms.kind.value, "order_id": redemption.order_id, "buyer_key": buyer_key,
                "by_buyer": code.terms.buyer_redemptions_max, "discount": int(redemption.discount),
                "now": redemption.reserved_at,
            },
        )
    ).first()  # fmt: skip
    return None if row is None else _redemption(row)


async def has_trial(session: Session, merchant_id: str, buyer_key: str) -> bool:
    """Whether a buyer has a trial of a merchant."""
    rows = await session.execute(
        text(f"""SELECT FROM promo_redemptions
                  WHERE merchant_id = :merchant_id AND buyer_key = :buyer_key AND kind = 'trial' AND {_LIVE}"""),
        {"merchant_id": merchant_id, "buyer_key": buyer_key},
    )
    return rows.first() is not None


async def uses_of_buyer(session: Session, code_id: str, buyer_key: str) -> int:
    """How many uses of a code a buyer has."""
    count = await session.scalar(
        text(f"""SELECT count(*) FROM promo_redemptions
                  WHERE promo_code_id = :code_id AND buyer_key = :buyer_key AND {_LIVE}"""),  # noqa: S608  # our own words
        {"code_id": code_id, "buyer_key": buyer_key},
    )
    return int(count or 0)


async def move_redemptions(
    session: Session, order_ids: Sequence[str], to: RedemptionStatus, *, now: datetime
) -> list[tuple[Redemption, PromoCode]]:
    """Bring the orders' redemptions to ``to`` where they may go there, and the counts of their codes with them.

    Gives those that moved with their codes as they are after it.
    Locks: the redemptions, then the codes that are counted, each in the order of their ids.
    """
    if not order_ids:
        return []
    come_from, taken, confirmed = _MOVES[to]
    rows = await session.execute(
        text("""
            WITH held AS MATERIALIZED (
                SELECT id FROM promo_redemptions
                 WHERE order_id = ANY(CAST(:order_ids AS text[])) AND status = :come_from ORDER BY id FOR UPDATE
            ), moved AS (
                UPDATE promo_redemptions AS r
                   SET status = :to,
                       confirmed_at = CASE WHEN :to = 'confirmed' THEN CAST(:now AS timestamptz)
                                           ELSE r.confirmed_at END,
                       ended_at = CASE WHEN :to <> 'confirmed' THEN CAST(:now AS timestamptz) END
                  FROM held WHERE r.id = held.id AND r.status = :come_from RETURNING r.*
            ), counted AS MATERIALIZED (
                SELECT id FROM promo_codes
                 WHERE id IN (SELECT promo_code_id FROM moved) AND redemptions_max IS NOT NULL ORDER BY id FOR UPDATE
            ), changed AS (
                UPDATE promo_codes AS p
                   SET taken = p.taken + CAST(:taken AS integer) * n.uses,
                       confirmed = p.confirmed + CAST(:confirmed AS integer) * n.uses
                  FROM counted, (SELECT promo_code_id, CAST(count(*) AS integer) AS uses
                                   FROM moved GROUP BY promo_code_id) AS n
                 WHERE p.id = counted.id AND n.promo_code_id = p.id RETURNING p.id, p.taken, p.confirmed
            )
            SELECT p.*, COALESCE(c.taken, p.taken) AS taken_now, COALESCE(c.confirmed, p.confirmed) AS confirmed_now,
                   m.id AS redemption_id, m.order_id, m.discount_kopecks AS redemption_kopecks, m.status,
                   m.reserved_at, m.confirmed_at, m.ended_at AS redemption_ended_at
              FROM moved AS m JOIN promo_codes AS p ON p.id = m.promo_code_id
              LEFT JOIN changed AS c ON c.id = p.id ORDER BY m.id
        """),
        {
            "order_ids": list(order_ids), "come_from": come_from.value, "to": to.value, "now": now, "taken": taken,
            "confirmed": confirmed,
        },
    )  # fmt: skip
    return [(_moved(row), _code(row, row.taken_now, row.confirmed_now)) for row in rows]


_MOVES = {
    RedemptionStatus.CONFIRMED: (RedemptionStatus.RESERVED, 0, 1),
    RedemptionStatus.RELEASED: (RedemptionStatus.RESERVED, -1, 0),
    RedemptionStatus.RETURNED: (RedemptionStatus.CONFIRMED, -1, -1),
}
"""Where a redemption comes from on its way, and what that changes in its code's counts of taken and confirmed."""


async def note_reward(session: Session, code_id: str, reward_code_id: str) -> bool:
    """Write down with which code the owner is rewarded, unless that was done. Locks: the code."""
    noted = await session.scalar(
        text("""UPDATE promo_codes SET reward_code_id = :reward WHERE id = :id AND reward_code_id IS NULL
                RETURNING id"""),
        {"id": code_id, "reward": reward_code_id},
    )
    return noted is not None


async def end_code(session: Session, code_id: str, *, now: datetime) -> None:
    """Give no more redemptions of a code."""
    await session.execute(
        text("UPDATE promo_codes SET ended_at = :now WHERE id = :id AND ended_at IS NULL"), {"id": code_id, "now": now}
    )


def _code(row: Row[Any], taken: int | None = None, confirmed: int | None = None) -> PromoCode:
    terms = PromoTerms(code=row.code, kind=PromoKind(row.kind), **{name: getattr(row, name) for name in _FIELDS})
    return PromoCode(
        row.id, row.merchant_id, terms, row.taken if taken is None else taken,
        row.confirmed if confirmed is None else confirmed, row.reward_code_id, row.created_at, row.ended_at,
    )  # fmt: skip


def _redemption(row: Row[Any]) -> Redemption:
    return Redemption(
        row.id, Kopecks(row.discount_kopecks), row.promo_code_id, row.order_id, RedemptionStatus(row.status),
        row.reserved_at, row.confirmed_at, row.ended_at,
    )  # fmt: skip


def _moved(row: Row[Any]) -> Redemption:
    return Redemption(
        row.redemption_id, Kopecks(row.redemption_kopecks), row.id, row.order_id, RedemptionStatus(row.status),
        row.reserved_at, row.confirmed_at, row.redemption_ended_at,
    )  # fmt: skip
