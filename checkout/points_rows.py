"""Rows of points turned into values and back, and the order of their locks: purses by card, lots by their end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.dialects.postgresql import insert

from checkout import points_tables as tables
from checkout.errors import PointsProgrammeNotFound, PointsProgrammeTaken, PointsRuleTaken
from checkout.points_rules import Programme, Rule
from ledger.database import Session, text
from ledger.ids import new_ids

LOTS_MAX = 200
"""Lots of one card that are shown, and lots that expire in one transaction."""
_PROGRAMME = "g.code, g.merchant_id, g.name, g.point_kopecks, g.thresholds, g.created_at"
_RULE = """r.id, r.programme, r.valid_from_on, g.point_kopecks, r.earn_basis_points, r.line_basis_points,
    r.basket_basis_points, r.earn_from_kopecks, r.lot_days, r.delay_days, r.return_days, r.excluded_articles"""


@dataclass(frozen=True, slots=True)
class Lot:
    """Points of a card that came together and expire together."""

    id: str
    reason: str
    order_id: str | None
    points: int
    points_left: int
    earned_at: datetime
    spendable_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewLot:
    """A lot to be kept."""

    card_id: str
    programme: str
    rule_id: str
    reason: str
    order_id: str | None
    points: int
    points_left: int
    spendable_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Spending:
    """What one order takes of a card's points."""

    order_id: str
    card_id: str
    programme: Programme
    points: int
    amount_kopecks: int
    points_returned: int
    status: str


@dataclass(frozen=True, slots=True)
class PointsEarner:
    """The card that a paid order gives points to, and by which rule."""

    order_id: str
    card_id: str
    programme: Programme
    rule: Rule
    owed: int
    """Points that the card owes, as it was read without a lock."""
    has_purse: bool


async def add_programme(session: Session, programme: Programme) -> None:
    """Keep a new programme. Raises: PointsProgrammeTaken."""
    added = await session.execute(
        insert(tables.points_programmes)
        .values(
            code=programme.code, merchant_id=programme.merchant_id, name=programme.name,
            point_kopecks=programme.point_kopecks, thresholds=list(programme.thresholds),
            created_at=programme.created_at,
        )
        .on_conflict_do_nothing()
        .returning(tables.points_programmes.c.code)
    )  # fmt: skip
    if added.first() is None:
        raise PointsProgrammeTaken(code=programme.code)


async def load_programme(session: Session, code: str, *, merchant_id: str | None = None) -> Programme:
    """The programme. Raises: PointsProgrammeNotFound if there is none, or it is another merchant's."""
    found = await list_programmes(session, merchant_id=merchant_id, code=code)
    if not found:
        raise PointsProgrammeNotFound(programme=code)
    return found[0]


async def list_programmes(session: Session, *, merchant_id: str | None, code: str | None = None) -> list[Programme]:
    """Programmes by code; a house has few."""
    rows = await session.execute(
        text(f"""SELECT {_PROGRAMME} FROM points_programmes AS g
                  WHERE (CAST(:merchant_id AS text) IS NULL OR g.merchant_id = :merchant_id)
                    AND (CAST(:code AS text) IS NULL OR g.code = :code)
                  ORDER BY g.code"""),  # noqa: S608  # our own column list
        {"merchant_id": merchant_id, "code": code},
    )
    return [_programme(row) for row in rows]


async def add_rule(session: Session, rule: Rule, *, now: datetime) -> None:
    """Keep a new rule. Raises: PointsRuleTaken."""
    added = await session.execute(
        insert(tables.points_rules)
        .values(
            id=rule.id, programme=rule.programme, valid_from_on=rule.valid_from_on,
            earn_basis_points=rule.earn_basis_points, line_basis_points=rule.line_basis_points,
            basket_basis_points=rule.basket_basis_points, earn_from_kopecks=rule.earn_from_kopecks,
            lot_days=rule.lot_days, delay_days=rule.delay_days, return_days=rule.return_days,
            excluded_articles=sorted(rule.excluded_articles), created_at=now,
        )
        .on_conflict_do_nothing(constraint="points_rules_day_key")
        .returning(tables.points_rules.c.id)
    )  # fmt: skip
    if added.first() is None:
        raise PointsRuleTaken(programme=rule.programme, valid_from_on=rule.valid_from_on.isoformat())


async def list_rules(session: Session, programmes: Sequence[str]) -> list[Rule]:
    """All rules of programmes, the newest day first."""
    rows = await session.execute(
        text(f"""SELECT {_RULE} FROM points_rules AS r JOIN points_programmes AS g ON g.code = r.programme
                  WHERE r.programme = ANY(CAST(:programmes AS text[]))
                  ORDER BY r.programme, r.valid_from_on DESC"""),  # noqa: S608  # our own column list
        {"programmes": list(programmes)},
    )
    return [_rule(row) for row in rows]


async def rules_on(session: Session, programmes: Sequence[str], day: date) -> dict[str, tuple[Programme, Rule]]:
    """The programmes among ``programmes`` that exist, each with the rule that counts on a Moscow day."""
    rows = await session.execute(
        text(f"""SELECT DISTINCT ON (r.programme) {_RULE}, {_PROGRAMME.replace("g.point_kopecks, ", "")}
                   FROM points_rules AS r JOIN points_programmes AS g ON g.code = r.programme
                  WHERE r.programme = ANY(CAST(:programmes AS text[])) AND r.valid_from_on <= :day
                  ORDER BY r.programme, r.valid_from_on DESC"""),  # noqa: S608  # our own column lists
        {"programmes": list(programmes), "day": day},
    )
    return {row.programme: (_programme(row), _rule(row)) for row in rows}


async def rule_of_card(session: Session, card_id: str, day: date) -> tuple[Programme, Rule] | None:
    """The programme of a card and its rule of a Moscow day; nothing if the card's programme keeps no points."""
    row = (
        await session.execute(
            text(f"""SELECT {_RULE}, {_PROGRAMME.replace("g.point_kopecks, ", "")}
                       FROM loyalty_cards AS c
                       JOIN points_programmes AS g ON g.code = c.programme AND g.merchant_id = c.merchant_id
                       JOIN points_rules AS r ON r.programme = g.code AND r.valid_from_on <= :day
                      WHERE c.id = :id ORDER BY r.valid_from_on DESC LIMIT 1"""),  # noqa: S608  # our own column lists
            {"id": card_id, "day": day},
        )
    ).first()
    return None if row is None else (_programme(row), _rule(row))


async def open_purses(session: Session, cards: dict[str, str], *, now: datetime) -> set[str]:
    """Make the purses of cards, by their programmes, that have none. Gives the new ones."""
    rows = await session.execute(
        text("""INSERT INTO points_purses (card_id, programme, opened_at)
                SELECT n.card_id, n.programme, :now
                  FROM unnest(CAST(:cards AS text[]), CAST(:programmes AS text[])) AS n (card_id, programme)
                 WHERE NOT EXISTS (SELECT FROM points_purses AS p WHERE p.card_id = n.card_id)
                 ORDER BY n.card_id
                ON CONFLICT (card_id) DO NOTHING RETURNING card_id"""),
        {"cards": list(cards), "programmes": list(cards.values()), "now": now},
    )
    return {row.card_id for row in rows}


async def lock_purses(session: Session, card_ids: Sequence[str]) -> dict[str, int]:
    """What each card owes, its purse locked. Locks: the purses, in the order of their cards."""
    rows = await session.execute(
        text("""SELECT card_id, owed_points FROM points_purses WHERE card_id = ANY(CAST(:ids AS text[]))
                 ORDER BY card_id FOR NO KEY UPDATE"""),
        {"ids": list(card_ids)},
    )
    return {row.card_id: row.owed_points for row in rows}


async def save_owed(session: Session, owed: dict[str, int]) -> None:
    """Keep what cards owe now."""
    await session.execute(
        text("""UPDATE points_purses AS p SET owed_points = n.owed
                  FROM unnest(CAST(:ids AS text[]), CAST(:owed AS bigint[])) AS n (card_id, owed)
                 WHERE p.card_id = n.card_id AND p.owed_points <> n.owed"""),
        {"ids": list(owed), "owed": list(owed.values())},
    )


async def add_lots(session: Session, lots: Sequence[NewLot], *, now: datetime) -> None:
    """Keep new lots."""
    await session.execute(
        insert(tables.points_lots),
        [
            {
                "id": lot_id, "card_id": lot.card_id, "programme": lot.programme, "rule_id": lot.rule_id,
                "reason": lot.reason, "order_id": lot.order_id, "points": lot.points, "points_left": lot.points_left,
                "earned_at": now, "spendable_at": lot.spendable_at, "expires_at": lot.expires_at,
            }
            for lot_id, lot in zip(new_ids("lot", now, len(lots)), lots, strict=True)
        ],
    )  # fmt: skip


async def earners(session: Session, order_ids: Sequence[str], day: date) -> list[PointsEarner]:
    """The cards that orders came with, each with the rule of a Moscow day; without orders that have earned already."""
    rows = await session.execute(
        text(f"""SELECT b.order_id, c.id AS card_id, {_RULE}, {_PROGRAMME.replace("g.point_kopecks, ", "")},
                        coalesce(p.owed_points, 0) AS owed, p.card_id IS NOT NULL AS has_purse
                   FROM order_baskets AS b JOIN loyalty_cards AS c ON c.id = b.loyalty_card_id
                   JOIN points_programmes AS g ON g.code = c.programme AND g.merchant_id = c.merchant_id
                   JOIN LATERAL (SELECT * FROM points_rules AS n WHERE n.programme = g.code AND n.valid_from_on <= :day
                                  ORDER BY n.valid_from_on DESC LIMIT 1) AS r ON true
                   LEFT JOIN points_purses AS p ON p.card_id = c.id
                  WHERE b.order_id = ANY(CAST(:ids AS text[])) AND NOT EXISTS (
                      SELECT FROM points_lots AS l WHERE l.order_id = b.order_id AND l.reason = 'earned')
                  ORDER BY b.order_id"""),  # noqa: S608  # our own column lists
        {"ids": list(order_ids), "day": day},
    )
    return [
        PointsEarner(row.order_id, row.card_id, _programme(row), _rule(row), row.owed, row.has_purse) for row in rows
    ]


async def earned_by_orders(session: Session, order_ids: Sequence[str]) -> dict[str, int]:
    """What orders have earned already: a refund of goods takes its share of that back."""
    rows = await session.execute(
        text("""SELECT order_id, points FROM points_lots
                 WHERE reason = 'earned' AND order_id = ANY(CAST(:ids AS text[]))"""),
        {"ids": list(order_ids)},
    )
    return {row.order_id: row.points for row in rows}


async def reserve(session: Session, card_id: str, order_id: str, points: int, *, now: datetime) -> Spending | None:
    """Take points of the lots that expire first, all of them or nothing, in one round trip.

    Locks: the lots, in the order in which they expire.
    """
    row = (
        await session.execute(
            text(f"""
                WITH lots AS (
                    SELECT id, points_left, expires_at FROM points_lots
                     WHERE card_id = :card_id AND points_left > 0 AND spendable_at <= :now AND expires_at > :now
                     ORDER BY expires_at, id FOR NO KEY UPDATE
                ), queue AS (
                    SELECT id, points_left,
                           sum(points_left) OVER (ORDER BY expires_at, id) - points_left AS before FROM lots
                ), taken AS (
                    SELECT id, least(points_left, :points - before) AS points FROM queue WHERE before < :points
                ), spending AS (
                    INSERT INTO points_spendings (order_id, card_id, programme, points, amount_kopecks, reserved_at)
                    SELECT :order_id, p.card_id, p.programme, :points, :points * g.point_kopecks, :now
                      FROM points_purses AS p JOIN points_programmes AS g ON g.code = p.programme
                     WHERE p.card_id = :card_id AND (SELECT sum(points) FROM taken) = :points
                    RETURNING *
                ), uses AS (
                    INSERT INTO points_uses (order_id, lot_id, points)
                    SELECT s.order_id, t.id, t.points FROM spending AS s, taken AS t
                ), left_over AS (
                    UPDATE points_lots AS l SET points_left = l.points_left - t.points
                      FROM spending AS s, taken AS t WHERE l.id = t.id
                )
                SELECT {_SPENDING} FROM spending AS s JOIN points_programmes AS g ON g.code = s.programme
            """),  # noqa: S608  # our own column list
            {"card_id": card_id, "order_id": order_id, "points": points, "now": now},
        )
    ).first()
    return None if row is None else _spending(row)


async def spendable_of(session: Session, card_id: str, *, now: datetime) -> int:
    """Points of a card that can be spent now."""
    return (await counted_of(session, card_id, now=now))[0]


async def counted_of(session: Session, card_id: str, *, now: datetime) -> tuple[int, int]:
    """Points of a card that can be spent now, and those that cannot be spent yet, of however many lots."""
    row = (
        await session.execute(
            text("""SELECT coalesce(sum(points_left) FILTER (WHERE spendable_at <= :now AND expires_at > :now), 0)
                               AS spendable,
                           coalesce(sum(points_left) FILTER (WHERE spendable_at > :now), 0) AS pending
                      FROM points_lots WHERE card_id = :id AND points_left > 0"""),
            {"id": card_id, "now": now},
        )
    ).one()
    return int(row.spendable), int(row.pending)


async def end_spendings(session: Session, order_ids: Sequence[str], status: str, *, now: datetime) -> list[Spending]:
    """Bring reserved spendings to ``status``, and give those that moved. Their orders are locked."""
    rows = await session.execute(
        text(f"""WITH s AS (
                     UPDATE points_spendings SET status = :status, ended_at = :now
                      WHERE order_id = ANY(CAST(:ids AS text[])) AND status = 'reserved' RETURNING *
                 ) SELECT {_SPENDING} FROM s JOIN points_programmes AS g ON g.code = s.programme
                    ORDER BY s.order_id"""),  # noqa: S608  # our own column list
        {"ids": list(order_ids), "status": status, "now": now},
    )
    return [_spending(row) for row in rows]


async def refill_lots(session: Session, order_ids: Sequence[str]) -> None:
    """Give lots back what orders had taken of them. Locks: the lots, in the order in which they expire."""
    await session.execute(
        text("""WITH back AS (
                    SELECT lot_id, sum(points) AS points FROM points_uses
                     WHERE order_id = ANY(CAST(:ids AS text[])) GROUP BY lot_id
                ), locked AS (
                    SELECT l.id, b.points FROM points_lots AS l JOIN back AS b ON b.lot_id = l.id
                     ORDER BY l.expires_at, l.id FOR NO KEY UPDATE OF l
                )
                UPDATE points_lots AS l SET points_left = l.points_left + k.points
                  FROM locked AS k WHERE l.id = k.id"""),
        {"ids": list(order_ids)},
    )


async def lock_spending(session: Session, order_id: str) -> Spending | None:
    """What an order took, locked."""
    row = (
        await session.execute(
            text(f"""SELECT {_SPENDING} FROM points_spendings AS s JOIN points_programmes AS g ON g.code = s.programme
                      WHERE s.order_id = :id FOR NO KEY UPDATE OF s"""),  # noqa: S608  # our own column list
            {"id": order_id},
        )
    ).first()
    return None if row is None else _spending(row)


async def save_returned(session: Session, order_id: str, points: int) -> None:
    """Keep how many of an order's points have come back in all."""
    await session.execute(
        text("UPDATE points_spendings SET points_returned = :points WHERE order_id = :id"),
        {"id": order_id, "points": points},
    )


async def last_used_lot(session: Session, order_id: str) -> tuple[str, datetime]:
    """The rule and the end of the lot that lives longest among those an order took from."""
    row = (
        await session.execute(
            text("""SELECT l.rule_id, l.expires_at FROM points_uses AS u JOIN points_lots AS l ON l.id = u.lot_id
                     WHERE u.order_id = :id ORDER BY l.expires_at DESC, l.id LIMIT 1"""),
            {"id": order_id},
        )
    ).one()
    return row.rule_id, row.expires_at


async def take_of_lots(session: Session, card_id: str, order_id: str, points: int) -> int:
    """Take up to ``points`` of a card, what the order earned first, and say how many there were.

    Locks: the lots, in the order in which they expire.
    """
    taken = await session.scalar(
        text("""
            WITH lots AS (
                SELECT id, points_left, expires_at, order_id = :order_id AND reason = 'earned' AS is_own
                  FROM points_lots WHERE card_id = :card_id AND points_left > 0
                 ORDER BY expires_at, id FOR NO KEY UPDATE
            ), queue AS (
                SELECT id, points_left,
                       sum(points_left) OVER (ORDER BY is_own IS NOT TRUE, expires_at, id) - points_left AS before
                  FROM lots
            ), taken AS (
                SELECT id, least(points_left, :points - before) AS points FROM queue WHERE before < :points
            ), left_over AS (
                UPDATE points_lots AS l SET points_left = l.points_left - t.points FROM taken AS t WHERE l.id = t.id
            )
            SELECT coalesce(sum(points), 0) FROM taken"""),
        {"card_id": card_id, "order_id": order_id, "points": points},
    )
    return int(taken or 0)


async def add_return(
    session: Session, refund_id: str, order_id: str, card_id: str, back: tuple[int, int, int], *, now: datetime
) -> None:
    """Keep what one refund did: points back, accrual taken back, and how much of that is still owed."""
    points_back, accrued_back, accrued_owed = back
    await session.execute(
        insert(tables.points_returns).values(
            refund_id=refund_id, order_id=order_id, card_id=card_id, points_back=points_back,
            accrued_back=accrued_back, accrued_owed=accrued_owed, returned_at=now,
        )
    )  # fmt: skip


async def has_return(session: Session, refund_id: str) -> bool:
    """Whether this refund has had its effect on points."""
    return bool(await session.scalar(text("SELECT 1 FROM points_returns WHERE refund_id = :id"), {"id": refund_id}))


async def card_of_lot(session: Session, order_id: str) -> tuple[str, str] | None:
    """The card that earned by an order, and its programme."""
    row = (
        await session.execute(
            text("SELECT card_id, programme FROM points_lots WHERE order_id = :id AND reason = 'earned'"),
            {"id": order_id},
        )
    ).first()
    return None if row is None else (row.card_id, row.programme)


async def lots_over(session: Session, *, now: datetime) -> list[str]:
    """Lots with points whose time is over, the longest over first; a batch of them."""
    found = await session.scalars(
        text("""SELECT id FROM points_lots WHERE points_left > 0 AND expires_at <= :now
                 ORDER BY expires_at, id LIMIT :limit"""),
        {"now": now, "limit": LOTS_MAX},
    )
    return list(found)


async def empty_expired(session: Session, lot_ids: Sequence[str], *, now: datetime) -> list[tuple[str, str, str, int]]:
    """Empty those of the lots whose time is over: their ids, cards, programmes and points.

    Locks: the lots it takes, skipping what others hold.
    """
    rows = await session.execute(
        text("""WITH due AS (
                    SELECT id, points_left FROM points_lots
                     WHERE id = ANY(CAST(:ids AS text[])) AND points_left > 0 AND expires_at <= :now
                     ORDER BY expires_at, id FOR NO KEY UPDATE SKIP LOCKED
                )
                UPDATE points_lots AS l SET points_left = 0 FROM due AS d WHERE l.id = d.id
                RETURNING l.id, l.card_id, l.programme, d.points_left"""),
        {"now": now, "ids": list(lot_ids)},
    )
    return sorted((row.id, row.card_id, row.programme, row.points_left) for row in rows)


async def lots_of(session: Session, card_id: str) -> list[Lot]:
    """Lots of a card with points left, those that expire first, first."""
    rows = await session.execute(
        text("""SELECT id, reason, order_id, points, points_left, earned_at, spendable_at, expires_at
                  FROM points_lots WHERE card_id = :id AND points_left > 0 ORDER BY expires_at, id LIMIT :limit"""),
        {"id": card_id, "limit": LOTS_MAX},
    )
    return [Lot(**row._mapping) for row in rows]


_SPENDING = f"""s.order_id, s.card_id, s.points, s.amount_kopecks, s.points_returned, s.status, {_PROGRAMME}"""


def _spending(row: Row[Any]) -> Spending:
    return Spending(
        row.order_id, row.card_id, _programme(row), row.points, row.amount_kopecks, row.points_returned, row.status
    )


def _programme(row: Row[Any]) -> Programme:
    return Programme(row.code, row.merchant_id, row.name, row.point_kopecks, tuple(row.thresholds), row.created_at)


def _rule(row: Row[Any]) -> Rule:
    return Rule(
        id=row.id, programme=row.programme, valid_from_on=row.valid_from_on, point_kopecks=row.point_kopecks,
        earn_basis_points=row.earn_basis_points, line_basis_points=row.line_basis_points,
        basket_basis_points=row.basket_basis_points, earn_from_kopecks=row.earn_from_kopecks, lot_days=row.lot_days,
        delay_days=row.delay_days, return_days=row.return_days, excluded_articles=frozenset(row.excluded_articles),
    )  # fmt: skip
