"""A merchant with a till, a programme of points and a card; orders are placed and paid by the till's own verbs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from checkout import basket_rows, onboarding, points, points_programmes, till
from checkout.bank_details import BankAccount
from checkout.basket_rows import OrderBasket, TendersStatus
from checkout.baskets import Basket, Line, Measure, spread
from checkout.loyalty_cards import issue_card
from checkout.orders import OrderRequest
from checkout.points_rules import Programme, Rule
from checkout.telling import BY_ITSELF
from ledger.clock import moscow_day
from ledger.database import Session, text
from ledger.ids import new_id
from ledger.money import Kopecks

numbers = itertools.count(1)


def tea(kopecks: int, article: str = "tea") -> Line:
    return Line(article, "Чай", Measure.PIECE, 1, Kopecks(kopecks))


@dataclass(frozen=True)
class PointsWorld:
    """What a test works with."""

    merchant_id: str
    terminal_id: str
    card_id: str
    programme: Programme
    rule: Rule

    async def place(
        self,
        session: Session,
        lines: Sequence[Line],
        *,
        points_used: int = 0,
        card_id: str | None = None,
        now: datetime,
    ) -> str:
        """An open order with a basket, its points set aside."""
        basket, order_id, card = Basket(tuple(lines)), new_id("ord", now), card_id or self.card_id
        worth = Kopecks(points_used * self.programme.point_kopecks)
        amount = Kopecks(basket.subtotal - worth)
        request = OrderRequest(self.terminal_id, f"P-{next(numbers)}", int(amount), None, now)
        await till.place_order(session, order_id, request, merchant_id=None, now=now)
        nothing = tuple(0 for _ in lines)
        shares = spread(points_used, [int(line.amount) for line in lines])
        await basket_rows.add_basket(
            session,
            OrderBasket(
                order_id=order_id, basket=basket, promo=Kopecks(0), promo_shares=nothing, points=points_used,
                points_value=worth, points_shares=shares, offer=Kopecks(0), amount=amount, loyalty_card_id=card,
                presentment_id=None, redemption_id=None, offer_rail=None, refunded=Kopecks(0), points_back=0,
                status=TendersStatus.RESERVED, created_at=now, expires_at=now + timedelta(minutes=15),
            ),
        )  # fmt: skip
        if points_used:
            await points.reserve_points(session, card, order_id, points_used, now=now)
        return order_id

    async def pay(self, session: Session, order_ids: Sequence[str], *, now: datetime) -> int:
        """The orders are paid: points are spent and earned."""
        await session.execute(
            text("""UPDATE orders SET status = 'paid', paid_at = :now, version = version + 1
                     WHERE id = ANY(CAST(:ids AS text[])) AND status = 'open'"""),
            {"ids": list(order_ids), "now": now},
        )
        baskets = await basket_rows.baskets_of(session, order_ids)
        return await points.confirm_points(session, list(baskets.values()), now=now)

    async def another_card(self, session: Session, *, now: datetime) -> str:
        """One more card of the programme."""
        card = await issue_card(
            session, new_id("lcd", now), merchant_id=self.merchant_id, programme=self.programme.code, digest=None,
            by=BY_ITSELF, now=now,
        )  # fmt: skip
        return card.id


async def points_world(session: Session, *, now: datetime, code: str = "coffee", lot_days: int = 365) -> PointsWorld:
    """A new merchant, its till, its programme of points (a point is a rouble, 5 % are earned) and one card."""
    merchant = await onboarding.onboard_merchant(
        session, new_id("mer", now), name="Кофейня", legal_name="ООО Кофейня", inn="7707083893",
        bank_account=BankAccount("044525225", "40702810938000000001"), tariff_group="everyday", now=now,
    )  # fmt: skip
    store = await onboarding.open_store(
        session, new_id("sto", now), merchant_id=merchant.id, name="Первая", address="Москва", now=now
    )
    terminal = await onboarding.add_terminal(
        session, new_id("ter", now), store_id=store.id, name="Касса 1", merchant_id=None, now=now
    )
    programme = Programme(code, merchant.id, "Зёрна", 100, (600,), now)
    rule = Rule(new_id("prl", now), code, moscow_day(now), 100, earn_basis_points=500, lot_days=lot_days)
    await points_programmes.open_programme(session, programme, rule, by=BY_ITSELF, now=now)
    world = PointsWorld(merchant.id, terminal.id, "", programme, rule)
    card_id = await world.another_card(session, now=now)
    return PointsWorld(merchant.id, terminal.id, card_id, programme, rule)


async def differences(session: Session) -> list[tuple[str, int, int]]:
    """Cards whose lots and account do not agree, and programmes whose cards and counter do not."""
    rows = await session.execute(
        text("""WITH account AS (
                    SELECT code, CASE normal_side WHEN 'debit' THEN 1 ELSE -1 END * (debits_posted - credits_posted)
                               AS balance FROM accounts
                )
                SELECT p.card_id AS what, a.balance, coalesce(sum(l.points_left), 0)::bigint AS kept
                  FROM points_purses AS p
                  JOIN account AS a ON a.code = 'liability:points:' || p.programme || ':' || p.card_id
                  LEFT JOIN points_lots AS l ON l.card_id = p.card_id
                 GROUP BY p.card_id, a.balance HAVING a.balance <> coalesce(sum(l.points_left), 0)
                UNION ALL
                SELECT p.card_id, a.balance, coalesce(sum(s.points), 0)::bigint
                  FROM points_purses AS p
                  JOIN account AS a ON a.code = 'liability:points_reserved:' || p.programme || ':' || p.card_id
                  LEFT JOIN points_spendings AS s ON s.card_id = p.card_id AND s.status = 'reserved'
                 GROUP BY p.card_id, a.balance HAVING a.balance <> coalesce(sum(s.points), 0)
                UNION ALL
                SELECT g.code, i.balance * g.point_kopecks, w.balance FROM points_programmes AS g
                  JOIN account AS i ON i.code = 'memo:points_issued:' || g.code
                  JOIN account AS w ON w.code = 'memo:points_worth:' || g.code
                 WHERE i.balance * g.point_kopecks <> w.balance
                UNION ALL
                SELECT g.code, i.balance, sum(a.balance)::bigint FROM points_programmes AS g
                  JOIN account AS i ON i.code = 'memo:points_issued:' || g.code
                  JOIN account AS a ON starts_with(a.code, 'liability:points:' || g.code || ':')
                                    OR starts_with(a.code, 'liability:points_reserved:' || g.code || ':')
                 GROUP BY g.code, i.balance HAVING i.balance <> sum(a.balance)""")
    )
    return [(row.what, row.balance, row.kept) for row in rows]
