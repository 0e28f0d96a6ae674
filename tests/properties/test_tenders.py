"""One order called for by several tills at once: placed, shown, paid, canceled, taken back, in any order and repeated.

After each step an order has one outcome and its tenders the same; a code is used no more often than it may be, points
are neither made nor lost, goods come back once, and the books are balanced.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import Any

import httpx
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ledger.database import Session, text
from ledger.proofs import broken_proofs
from tests.checkout.points_world import differences
from tests.properties.lives import live_many
from tests.properties.sbp_world import ACCOUNT, MONEY_JOBS, RailWorld, keys, rail_world

HOUR = 3_600
ROUNDS_MIN, ROUNDS_MAX = 3, 60
USES_MAX = 3
GRANTED = 400
FEW = st.integers(0, 1_000)
numbers = itertools.count(1)
lines = st.lists(
    st.tuples(st.sampled_from(["piece", "piece", "gram"]), st.integers(1, 7), st.integers(0, 40_000)),
    min_size=1, max_size=4,
)  # fmt: skip

NEVER = {
    "tenders that ended as their order did not": """SELECT o.id FROM orders AS o
        JOIN order_baskets AS b ON b.order_id = o.id
        WHERE (o.status, b.status) NOT IN (('open', 'reserved'), ('paid', 'confirmed'), ('canceled', 'released'))""",
    "a redemption that ended otherwise": """SELECT r.order_id FROM promo_redemptions AS r JOIN orders AS o
        ON o.id = r.order_id WHERE (o.status, r.status) NOT IN
           (('open', 'reserved'), ('paid', 'confirmed'), ('paid', 'returned'), ('canceled', 'released'))""",
    "points that ended otherwise": """SELECT s.order_id FROM points_spendings AS s JOIN orders AS o ON o.id = s.order_id
        WHERE (o.status, s.status) NOT IN (('open', 'reserved'), ('paid', 'spent'), ('canceled', 'released'))""",
    "a code used too often": """SELECT c.id FROM promo_codes AS c JOIN promo_redemptions AS r ON r.promo_code_id = c.id
        WHERE r.status IN ('reserved', 'confirmed') GROUP BY c.id, c.redemptions_max, c.taken
        HAVING count(*) > c.redemptions_max OR count(*) <> c.taken""",
    "an order that its payment does not pay": """SELECT o.id FROM orders AS o JOIN attempts AS a ON a.order_id = o.id
        JOIN sbp_payments AS p ON p.attempt_id = a.id
        WHERE a.status = 'paid' AND (p.is_late OR p.amount_kopecks <> o.amount_kopecks OR o.status <> 'paid')""",
    "more of a line back than was sold": """SELECT b.order_id FROM order_baskets AS b
        JOIN item_refunds AS i ON i.order_id = b.order_id AND i.status <> 'refused'
        CROSS JOIN jsonb_array_elements(i.lines) AS l (back)
        GROUP BY b.order_id, b.lines, l.back ->> 0
        HAVING sum((l.back ->> 1)::int) > (b.lines -> ((l.back ->> 0)::int - 1) ->> 'quantity')::int""",
    "goods that their money does not follow": """SELECT i.id FROM item_refunds AS i JOIN sbp_refunds AS r
        ON r.id = i.refund_id WHERE i.amount_kopecks <> r.amount_kopecks
           OR (i.status = 'succeeded') <> (r.status = 'succeeded')
           OR (i.status = 'refused') <> (r.status IN ('refused', 'failed'))""",
    "goods that no refund of money is of": """SELECT i.id FROM item_refunds AS i WHERE i.refund_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM sbp_refunds AS r WHERE r.id = i.refund_id)""",
    "points back that no goods are of": """SELECT i.id FROM item_refunds AS i
        LEFT JOIN points_returns AS p ON p.refund_id = i.id
        WHERE coalesce(p.points_back, 0) <> CASE WHEN i.status = 'succeeded' THEN i.points_back ELSE 0 END""",
    "a paid order told twice": """SELECT object_id FROM events WHERE type IN ('order.paid', 'order.canceled')
        GROUP BY object_id HAVING count(*) > 1""",
}
FORBIDDEN = " UNION ALL ".join(f"SELECT '{what}' AS what, id FROM ({sql}) AS t (id)" for what, sql in NEVER.items())
POINTS = """
    SELECT p.card_id, p.owed_points, coalesce(sum(CASE WHEN a.normal_side = 'credit' THEN 1 ELSE -1 END
             * (a.credits_posted - a.debits_posted)), 0)::bigint AS there,
           (SELECT coalesce(sum(points), 0) FROM points_lots AS l
             WHERE l.card_id = p.card_id AND l.reason IN ('granted', 'earned'))
         - (SELECT coalesce(sum(points - points_returned), 0) FROM points_spendings AS s
             WHERE s.card_id = p.card_id AND s.status = 'spent')
         - (SELECT coalesce(sum(accrued_back), 0) FROM points_returns AS r WHERE r.card_id = p.card_id) AS due
      FROM points_purses AS p JOIN accounts AS a
        ON a.code IN ('liability:points:' || p.programme || ':' || p.card_id,
                      'liability:points_reserved:' || p.programme || ':' || p.card_id)
     GROUP BY p.card_id, p.owed_points"""


class TendersMachine(RuleBasedStateMachine):
    """A merchant with two tills, one loyalty card, one code of three uses, and SBP 2 % cheaper."""

    def __init__(self, world: RailWorld) -> None:
        super().__init__()
        self.world = world
        self.orders: list[str] = []

    @initialize()
    def open_the_shop(self) -> None:
        made, number = self.world.made, next(numbers)
        merchant = {
            "name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893", "tariff_group": "everyday",
            "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
        }  # fmt: skip
        merchant_id = made("/v1/merchants", merchant)["id"]
        store = made("/v1/stores", {"merchant_id": merchant_id, "name": "С", "address": "Москва"})
        self.tills = [made("/v1/terminals", {"store_id": store["id"], "name": f"{n}"})["id"] for n in (1, 2)]
        programme = {"merchant_id": merchant_id, "code": f"p{number}", "name": "З", "rule": {"earn_basis_points": 500}}
        made("/v1/points-programmes", programme)
        self.card_id = made("/v1/loyalty-cards", {"merchant_id": merchant_id, "programme": f"p{number}"})["id"]
        made(f"/v1/loyalty-cards/{self.card_id}/points", {"points": GRANTED, "reason": "За знакомство"})
        code = {"code": "SVOI", "kind": "discount", "discount_basis_points": 1_000, "redemptions_max": USES_MAX}
        made("/v1/promo-codes", {"merchant_id": merchant_id, **code})
        offer = {"merchant_id": merchant_id, "rail": "sbp", "basis_points": 200, "note": "По СБП дешевле"}
        made("/v1/rail-offers", offer)
        self.a_sale([("piece", 3, 10_001), ("gram", 250, 40_000)], 50, with_code=True, told=2, is_canceled=False)
        self.tills_take_goods_back(0, [(1, 1)], is_all=False)

    @rule(
        goods=lines,
        points=st.integers(0, 100),
        with_code=st.booleans(),
        told=st.integers(1, 2),
        is_canceled=st.booleans(),
    )
    def a_sale(self, goods: Any, points: int, with_code: bool, told: int, is_canceled: bool) -> None:
        """What happens most: an order, a code to scan, a payment; goods may come back when its worker has looked."""
        before = len(self.orders)
        self.tills_place_an_order(goods, points, with_code=with_code, times=1)
        if len(self.orders) > before:
            self.tills_show_an_order(before, 1, is_canceled=False, fault=None)
            self.a_buyer_pays_and_a_cashier_cancels(-1, is_canceled=is_canceled, told=told)

    @rule(goods=lines, points=st.integers(0, 300), with_code=st.booleans(), times=st.integers(1, 3))
    def tills_place_an_order(self, goods: Any, points: int, with_code: bool, times: int) -> None:
        """The same order asked for ``times`` over, and with it the same goods at the other till."""
        basket = {
            "lines": [
                {
                    "article": f"a{place}", "name": "Товар", "measure": measure, "quantity": quantity,
                    "price_kopecks": price,
                }
                for place, (measure, quantity, price) in enumerate(goods)
            ]
        }  # fmt: skip
        wanted = {"basket": basket, "loyalty_card_id": self.card_id}
        wanted |= {"points": points} if points else {}
        wanted |= {"promo_code": "svoi"} if with_code else {}
        first, second = (f"T-{next(numbers)}" for _ in range(2))
        placed = self.at_once([
            *(("/v1/orders", {"terminal_id": self.tills[0], "number": first, **wanted}, first) for _ in range(times)),
            ("/v1/orders", {"terminal_id": self.tills[1], "number": second, **wanted}, second),
        ])  # fmt: skip
        found = {answer.json()["id"] for answer in placed if answer.status_code == 201}
        assert len(found) <= 2
        assert len({(answer.status_code, answer.json().get("id")) for answer in placed[:-1]}) <= 2
        self.orders += sorted(found)

    @rule(place=FEW, tills=st.integers(1, 3), is_canceled=st.booleans(), fault=st.sampled_from([None, "lost_answer"]))
    def tills_show_an_order(self, place: int, tills: int, is_canceled: bool, fault: str | None) -> None:
        if (order_id := self._order(place)) is None:
            return
        calls: list[Any] = [(f"/v1/orders/{order_id}/attempts", {"rail": "sbp"}, None) for _ in range(tills)]
        calls += [(f"/v1/orders/{order_id}/cancel", {}, None)] if is_canceled else []
        with self.world.losing(fault):
            self.at_once(calls)
        self.world.get(f"/v1/orders/{order_id}")

    @rule(place=FEW, is_canceled=st.booleans(), told=st.integers(1, 3))
    def a_buyer_pays_and_a_cashier_cancels(self, place: int, is_canceled: bool, told: int) -> None:
        codes = self._shown()
        if not codes:
            return
        qrc_id, order_id = codes[place % len(codes)]
        paid = self.world.order("POST", "/simulator/payers/pay", {"qrc_id": qrc_id, "outcome": "accepted"})
        calls: list[Any] = [(f"/v1/orders/{order_id}/cancel", {}, None)] if is_canceled else []
        if paid.status_code == 200 and paid.json()["trx_id"] is not None:
            calls += [self._notification(paid.json())] * told
        self.at_once(calls)

    @rule(
        place=FEW,
        lines_back=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 7)), max_size=2),
        is_all=st.booleans(),
    )
    def tills_take_goods_back(self, place: int, lines_back: Any, is_all: bool) -> None:
        """Two tills at once, the first of them asking twice."""
        if (order_id := self._order(place)) is None:
            return
        items = [] if is_all else [{"line": line, "quantity": quantity} for line, quantity in lines_back]
        body, once = {"order_id": order_id, "items": items}, f"R-{next(numbers)}"
        self.at_once([
            ("/v1/item-refunds", body, once), ("/v1/item-refunds", body, once), ("/v1/item-refunds", body, None),
            ("/v1/refunds", {"order_id": order_id}, None),
        ])  # fmt: skip

    @rule(seconds=st.sampled_from([2, 61, 1_300, HOUR + 1]))
    def time_passes_and_the_worker_works(self, seconds: int) -> None:
        self.world.advance(seconds)
        for name in MONEY_JOBS:
            self.world.job(name)

    @invariant()
    def each_order_has_one_outcome(self) -> None:
        assert self.world.read(self._look) == {}

    def teardown(self) -> None:
        """Everything comes to its end, all goods come back: not a kopeck, a point or a use of the code is left over."""
        looked_at = list(self.orders)
        self.a_sale([("piece", 7, 40_000)], 0, with_code=False, told=1, is_canceled=False)  # our fees are paid of it
        for number in range(ROUNDS_MAX):
            for order_id in self._not_all_back(looked_at):
                self.at_once([("/v1/item-refunds", {"order_id": order_id}, None)])
            self.time_passes_and_the_worker_works(HOUR + 1)
            if number >= ROUNDS_MIN and not self._not_all_back(looked_at):
                break
        assert self.world.read(self._look) == {}
        for order in (self.world.get(f"/v1/orders/{order_id}") for order_id in looked_at):
            tenders, is_paid = order["tenders"], order["status"] == "paid"
            assert tenders["status"] == ("confirmed" if is_paid else "released")
            given_back = (order["amount_refunded_kopecks"], tenders["points_back"])
            assert given_back == ((order["amount_kopecks"], tenders["points"]) if is_paid else (0, 0))

    def _not_all_back(self, order_ids: list[str]) -> list[str]:
        """Those that are not closed, or whose buyer has not got everything back: NSPK takes five refunds a day."""
        orders = [self.world.get(f"/v1/orders/{order_id}") for order_id in order_ids]
        return [
            order["id"] for order in orders
            if order["status"] != "canceled" and order["amount_refunded_kopecks"] < order["amount_kopecks"]
        ]  # fmt: skip

    def at_once(self, calls: list[Any]) -> list[httpx.Response]:
        """Answers to calls that meet; none of them is ours to be ashamed of."""

        async def whole() -> list[httpx.Response]:
            return await asyncio.gather(*(
                self.world.door.post(
                    path, json=body, headers={"idempotency-key": f"tills-{key or next(keys):>012}"},
                )
                for path, body, key in calls
            ))  # fmt: skip

        answers = self.world.run(whole())
        assert {answer.status_code for answer in answers} <= {200, 201, 404, 409, 422, 429, 503}, [
            answer.text for answer in answers
        ]
        return answers

    def _notification(self, told: dict[str, Any]) -> Any:
        body = {
            "qrcId": told["qrc_id"], "trxId": told["trx_id"], "status": told["status"], "amount": 100,
            "payerId": "0079******12", "timestamp": self.world.tools.clock.now().isoformat(),
            "kzo": "9F2C7B1E44D05A66",
        }  # fmt: skip
        return "/nspk/payment/v2/qrc/notification", body, None

    async def _look(self, session: Session) -> dict[str, Any]:
        faults: dict[str, Any] = {}
        for row in await session.execute(text(FORBIDDEN)):
            faults.setdefault(row.what, []).append(row.id)
        if broken := await broken_proofs(session):
            faults["the books"] = broken
        if unlike := await differences(session):
            faults["the points"] = unlike
        for row in await session.execute(text(POINTS)):
            if row.there - row.owed_points != row.due:
                faults[f"the points of {row.card_id}"] = (row.there, row.owed_points, row.due)
        return faults

    def _order(self, place: int) -> str | None:
        return self.orders[place % len(self.orders)] if self.orders else None

    def _shown(self) -> list[tuple[str, str]]:
        async def work(session: Session) -> list[tuple[str, str]]:
            rows = await session.execute(
                text("""SELECT q.qrc_id, a.order_id FROM qr_codes AS q JOIN attempts AS a ON a.id = q.attempt_id
                         WHERE a.order_id = ANY(CAST(:ids AS text[])) AND q.qrc_id IS NOT NULL ORDER BY q.id"""),
                {"ids": self.orders},
            )
            return [(row.qrc_id, row.order_id) for row in rows]

        return self.world.read(work)


def live(database: Any, *, lives: int, steps: int, is_long: bool = False) -> None:
    with rail_world(database) as world:
        live_many(lambda: TendersMachine(world), lives=lives, steps=steps, is_long=is_long)


def test_tills_that_meet_leave_one_outcome(database: Any) -> None:
    live(database, lives=3, steps=10)


@pytest.mark.long
def test_tills_that_meet_leave_one_outcome_in_a_long_life(database: Any) -> None:
    live(database, lives=int(os.environ.get("KOPEYKA_TEST_LIVES", "100")), steps=40, is_long=True)
