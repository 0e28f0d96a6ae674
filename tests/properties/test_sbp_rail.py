"""The rail under any order and repetition of what cashiers, buyers, NSPK and time may do.

After each step: no order is paid twice, no code is paid twice, every payment is one that NSPK knows, money that
came too late or to nobody is owed, and the books say to the kopeck what the rows say. When everything has come to
its end, NSPK and the banks moved exactly what the books say they did.
"""

from __future__ import annotations

import os
from itertools import count
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from checkout import till
from checkout.errors import AttemptLive, OrderNotOpen
from checkout.rail import Offer, Start
from ledger.database import Session, text
from ledger.ids import new_id
from ledger.proofs import broken_proofs
from tests.properties.lives import live_many
from tests.properties.sbp_world import ACCOUNT, MONEY_JOBS, RailWorld, rail_world

ROUNDS_MAX = 60
HOUR = 3_600
FEW = st.integers(0, 1_000)
FAULTS = st.sampled_from([None, None, None, "lost_request", "lost_answer"])
amounts = st.integers(100, 300_000)
numbers = count(1)

OF_MERCHANT = {
    "paid_in_time": "SELECT coalesce(sum(amount_kopecks), 0) FROM sbp_payments WHERE merchant_id = :m AND NOT is_late",
    "paid_late": "SELECT coalesce(sum(amount_kopecks), 0) FROM sbp_payments WHERE merchant_id = :m AND is_late",
    "fees": "SELECT coalesce(sum(fee_kopecks), 0) FROM sbp_payments WHERE merchant_id = :m",
    "unmatched": """SELECT coalesce(sum(amount_kopecks), 0) FROM sbp_unmatched_payments WHERE merchant_id = :m
        AND status = 'open'""",
    "refunded_in_time": """SELECT coalesce(sum(r.amount_kopecks - r.fee_returned_kopecks - r.fee_billed_kopecks), 0)
        FROM sbp_refunds AS r
        JOIN sbp_payments AS p ON p.id = r.payment_id WHERE r.merchant_id = :m AND r.status = 'succeeded'
        AND NOT p.is_late""",
    "refunded_late": """SELECT coalesce(sum(r.amount_kopecks), 0) FROM sbp_refunds AS r
        JOIN sbp_payments AS p ON p.id = r.payment_id WHERE r.merchant_id = :m AND r.status = 'succeeded'
        AND p.is_late""",
    "refunded": """SELECT coalesce(sum(amount_kopecks), 0) FROM sbp_refunds WHERE merchant_id = :m
        AND status = 'succeeded'""",
    "payouts": "SELECT coalesce(sum(amount_kopecks), 0) FROM payouts WHERE merchant_id = :m AND status = 'sent'",
    "buyer_payouts": """SELECT coalesce(sum(amount_kopecks), 0) FROM buyer_payouts WHERE merchant_id = :m
        AND status = 'sent'""",
}
NEVER = {
    "an order paid twice": """SELECT a.order_id FROM sbp_payments AS p JOIN attempts AS a ON a.id = p.attempt_id
        WHERE NOT p.is_late GROUP BY a.order_id HAVING count(*) > 1""",
    "a paid order without its payment": """SELECT o.id FROM orders AS o WHERE (o.status = 'paid') <> EXISTS (
        SELECT FROM attempts AS a JOIN sbp_payments AS p ON p.attempt_id = a.id
         WHERE a.order_id = o.id AND NOT p.is_late AND a.status = 'paid' AND p.amount_kopecks = o.amount_kopecks)""",
    "a code paid twice": "SELECT qr_id FROM sbp_payments WHERE qr_id IS NOT NULL GROUP BY qr_id HAVING count(*) > 1",
    "more than one live attempt": """SELECT order_id FROM attempts WHERE status IN ('requested', 'waiting', 'unknown')
        GROUP BY order_id HAVING count(*) > 1""",
    "a canceled order that waits for money": """SELECT o.id FROM orders AS o JOIN attempts AS a ON a.order_id = o.id
        WHERE o.status = 'canceled' AND a.status IN ('requested', 'waiting', 'unknown', 'paid')""",
    "a payment without its entry": """SELECT id FROM sbp_payments AS p
        WHERE NOT EXISTS (SELECT FROM postings AS e WHERE e.entry_id = p.entry_id)""",
    "refunds above the payment": """SELECT p.id FROM sbp_payments AS p JOIN sbp_refunds AS r ON r.payment_id = p.id
        WHERE r.status NOT IN ('refused', 'failed') GROUP BY p.id, p.amount_kopecks
        HAVING sum(r.amount_kopecks) > p.amount_kopecks""",
    "a paid order told twice": """SELECT object_id FROM events WHERE type = 'order.paid'
        GROUP BY object_id HAVING count(*) > 1""",
}
SUMS = "SELECT " + ", ".join(f"({sql}) AS {name}" for name, sql in OF_MERCHANT.items())
FORBIDDEN = " UNION ALL ".join(f"SELECT '{what}' AS what, id FROM ({sql}) AS t (id)" for what, sql in NEVER.items())
UNFINISHED = """
    SELECT 'code ' || status || ' ' || id FROM qr_codes WHERE status IN ('requested', 'registered')
    UNION ALL SELECT 'attempt ' || status || ' ' || id FROM attempts WHERE status IN ('requested', 'waiting', 'unknown')
    UNION ALL SELECT 'payout ' || status || ' ' || id FROM payouts WHERE next_try_at IS NOT NULL
    UNION ALL SELECT 'payout to a buyer ' || status || ' ' || id FROM buyer_payouts WHERE next_try_at IS NOT NULL
    UNION ALL SELECT 'refund ' || status || ' ' || id FROM sbp_refunds WHERE next_look_at IS NOT NULL
    UNION ALL SELECT 'late money ' || id FROM sbp_payments AS p WHERE is_late AND NOT EXISTS (
        SELECT FROM sbp_refunds AS r WHERE r.payment_id = p.id AND r.status = 'succeeded')"""


class RailMachine(RuleBasedStateMachine):
    """One merchant, one till with a plate, its buyers, and everything that may go wrong."""

    def __init__(self, world: RailWorld) -> None:
        super().__init__()
        self.world = world
        self.orders: list[str] = []
        self.held: list[tuple[Offer, Start]] = []
        self.seen: list[dict[str, Any]] = []
        """What NSPK would notify of: kept to be told again, later, in any order."""

    @initialize(group=st.sampled_from(["standard", "government"]))
    def open_the_shop(self, group: str) -> None:
        self.merchant_id = self.world.made(
            "/v1/merchants",
            {
                "name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893", "tariff_group": group,
                "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
            },
        )["id"]  # fmt: skip
        store = self.world.made("/v1/stores", {"merchant_id": self.merchant_id, "name": "С", "address": "Москва"})
        self.terminal_id = self.world.made("/v1/terminals", {"store_id": store["id"], "name": "Касса"})["id"]
        self.plate = self.world.made("/v1/sbp/cash-links", {"terminal_id": self.terminal_id})
        self.balances, self.totals = self.world.balances(), self.world.totals()
        self.buy(100_000, "code")
        self.sell(20_001, "plate", None)

    @rule(amount=amounts, by=st.sampled_from(["code", "plate"]))
    def buy(self, amount: int, by: str) -> None:
        """What happens most: an order, a code, a payment, a notification."""
        self.sell(amount, by, None)
        self.a_buyer_decides(-1 if by == "plate" else -2, "accepted", is_told=True)

    @rule(amount=amounts, by=st.sampled_from(["code", "code", "plate", "slow code"]), fault=FAULTS)
    def sell(self, amount: int, by: str, fault: str | None) -> None:
        body = {"terminal_id": self.terminal_id, "number": f"M-{next(numbers)}", "amount_kopecks": amount}
        self.orders.append(self.world.made("/v1/orders", body)["id"])
        self._show(self.orders[-1], by, fault)

    @rule(place=FEW, by=st.sampled_from(["code", "plate", "slow code"]), fault=FAULTS)
    def sell_once_more(self, place: int, by: str, fault: str | None) -> None:
        self._show(self._order(place), by, fault)

    def _show(self, order_id: str, by: str, fault: str | None) -> None:
        if by == "slow code":
            self._show_slowly(order_id)
            return
        plate = {"cash_link_id": self.plate["id"]} if by == "plate" else {}
        with self.world.losing(fault):
            answer = self.world.post(f"/v1/orders/{order_id}/attempts", {"rail": "sbp", **plate})
        assert answer.status_code in (201, 409, 503), answer.text

    def _show_slowly(self, order_id: str) -> None:
        """The call is carried out, and its outcome written down some steps later or never."""
        rail, now = self.world.tools.wiring.rail, self.world.tools.clock.now()

        async def intent(session: Session) -> Offer:
            _, offer = await till.begin_attempt(
                session, rail, new_id("att", now), order_id=order_id, merchant_id=None, now=now
            )
            return offer

        try:
            offer = self.world.read(intent)
        except (OrderNotOpen, AttemptLive):
            return
        self.held.append((offer, self.world.run(rail.start(offer))))

    @precondition(lambda self: self.held)
    @rule(place=FEW)
    def let_an_answer_arrive(self, place: int) -> None:
        offer, start = self.held.pop(place % len(self.held))
        rail, now = self.world.tools.wiring.rail, self.world.tools.clock.now()
        self.world.read(lambda session: till.record_start(session, rail, offer, start, now=now))

    @rule(place=FEW, outcome=st.sampled_from(["accepted", "accepted", "rejected"]), is_told=st.booleans())
    def a_buyer_decides(self, place: int, outcome: str, is_told: bool) -> None:
        codes = self._shown_codes()
        self._pay({"qrc_id": codes[place % len(codes)], "outcome": outcome}, is_told)

    @rule(place=FEW, seconds=st.sampled_from([0, 61, 1_300, HOUR + 1]), is_told=st.booleans())
    def a_buyer_pays_a_code_too_late(self, place: int, seconds: int, is_told: bool) -> None:
        codes = self._shown_codes()[:-1]
        if codes:
            self._pay({"qrc_id": codes[place % len(codes)], "outcome": "late"}, is_told)
            if seconds:
                self.world.advance(seconds)

    @rule(place=FEW, is_begun=st.booleans(), is_told=st.booleans())
    def a_buyer_is_slow_at_the_plate(self, place: int, is_begun: bool, is_told: bool) -> None:
        """Opens the bank's application and no more, or pays a sale that may have been taken back meanwhile."""
        sales = self._ids(
            "SELECT params_id FROM cash_link_activations WHERE merchant_id = :m AND params_id IS NOT NULL"
        )
        how = {"outcome": "begin"} if is_begun or not sales else {"params_id": sales[place % len(sales)]}
        self._pay({"qrc_id": self.plate["qrc_id"]} | how, is_told)

    def _pay(self, how: dict[str, str], is_told: bool) -> None:
        answer = self.world.order("POST", "/simulator/payers/pay", how)
        if answer.status_code == 200 and answer.json()["trx_id"] is not None:
            self.seen.append(answer.json())
            if is_told:
                self.nspk_tells(-1, 1, 0, None)

    @precondition(lambda self: self.seen)
    @rule(place=FEW, times=st.integers(1, 3), wrong_by=st.sampled_from([0, 0, 1]), fault=FAULTS)
    def nspk_tells(self, place: int, times: int, wrong_by: int, fault: str | None) -> None:
        told = self.seen[place % len(self.seen)]
        with self.world.losing(fault):
            for _ in range(times):
                self._notify(told["qrc_id"], told["trx_id"], told["status"], 100 + wrong_by, told.get("params_id"))

    @rule(place=FEW)
    def somebody_forges_a_notification(self, place: int) -> None:
        codes = [*self._shown_codes(), "AD10000000000000000000000000TEST"]
        self._notify(codes[place % len(codes)], "A" * 32, "ACWP", 100, None)

    @rule(names=st.lists(st.sampled_from(sorted(MONEY_JOBS)), min_size=1, max_size=6), fault=FAULTS)
    def the_worker_works(self, names: list[str], fault: str | None) -> None:
        with self.world.losing(fault):
            for name in names:
                self.world.job(name)

    @rule(seconds=st.sampled_from([2, 20, 61, 300, 1_300, HOUR + 1]))
    def time_passes_and_the_worker_works(self, seconds: int) -> None:
        self.world.advance(seconds)
        for name in MONEY_JOBS:
            self.world.job(name)

    @rule(place=FEW, fault=FAULTS, is_plate=st.booleans())
    def a_cashier_takes_it_back(self, place: int, fault: str | None, is_plate: bool) -> None:
        what = f"sbp/cash-links/{self.plate['id']}/deactivate" if is_plate else f"orders/{self._order(place)}/cancel"
        with self.world.losing(fault):
            answer = self.world.post(f"/v1/{what}", {})
        assert answer.status_code in (200, 409, 503), answer.text

    @rule(place=FEW, amount=st.none() | amounts, fault=FAULTS, decision=st.sampled_from(["RQ00030"] * 3 + ["RQ05041"]))
    def a_cashier_refunds(self, place: int, amount: int | None, fault: str | None, decision: str) -> None:
        paid = self._paid_orders()
        order_id = paid[place % len(paid)] if paid else self._order(place)
        body = {"order_id": order_id} | ({} if amount is None else {"amount_kopecks": amount})
        self.world.order("PUT", "/simulator/refunds/plan", {"decision_code": decision})
        with self.world.losing(fault):
            answer = self.world.post("/v1/refunds", body)
        self.world.order("PUT", "/simulator/refunds/plan", {})
        assert answer.status_code in (201, 409, 422, 429), answer.text

    @rule()
    def unmatched_money_is_given_back(self) -> None:
        """What no order knows, or what the worker has learnt of it."""
        for found in self.world.get(f"/v1/sbp/unmatched-payments?status=open&merchant_id={self.merchant_id}")["items"]:
            self.world.made(f"/v1/sbp/unmatched-payments/{found['id']}/refund", {})

    @rule(amount=st.none() | amounts, last=st.sampled_from(["89", "89", "97", "98", "99"]))
    def money_is_paid_out(self, amount: int | None, last: str) -> None:
        """To the merchant, or, of its money, to a buyer."""
        if amount is None:
            self.world.made("/v1/payout-runs", {"merchant_ids": [self.merchant_id]})
            return
        body = {
            "merchant_id": self.merchant_id, "phone": f"791234567{last}", "bank_member_id": "100000000004",
            "amount_kopecks": amount, "purpose": "За заказ",
        }  # fmt: skip
        answer = self.world.post("/v1/sbp/payouts", body)
        assert answer.status_code == 201 or answer.json()["code"] == "sbp_gateway.buyer_payout_not_covered", answer.text

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        if not hasattr(self, "balances"):
            return
        sums, faults = self.world.read(self._look)
        assert faults == {}
        now, before = self.world.balances(), self.balances

        def moved(code: str) -> int:
            return now.get(code, 0) - before.get(code, 0)

        assert moved(f"liability:merchant_payable:{self.merchant_id}") == (
            sums["paid_in_time"] - sums["fees"] - sums["refunded_in_time"] - sums["payouts"] - sums["buyer_payouts"]
        )
        assert moved("liability:late_receipts:sbp") == sums["paid_late"] - sums["refunded_late"]
        assert moved("liability:unmatched_receipts:sbp") == sums["unmatched"]
        gone = sums["refunded"] + sums["payouts"] + sums["buyer_payouts"]
        bank_fees = moved("expense:bank_fee:sbp")
        assert moved("asset:sbp_settlement:100000000999") == (
            sums["paid_in_time"] + sums["paid_late"] + sums["unmatched"] - gone - bank_fees
        )
        self._compare_with_the_world(sums, is_over=False)

    def _compare_with_the_world(self, sums: dict[str, int], *, is_over: bool) -> None:
        """We never say that more moved than did; when everything has ended, we say exactly what did."""
        totals = self.world.totals()
        ours = {
            "paid_kopecks": sums["paid_in_time"] + sums["paid_late"] + sums["unmatched"],
            "refunds_kopecks": sums["refunded"],
            "payouts_kopecks": sums["payouts"],
            "buyer_payouts_kopecks": sums["buyer_payouts"],
        }
        theirs = {name: totals[name] - self.totals[name] for name in totals}
        if is_over:
            assert ours == theirs
        assert all(ours[name] <= theirs[name] for name in ours), (ours, theirs)

    async def _look(self, session: Session) -> tuple[dict[str, int], dict[str, Any]]:
        faults: dict[str, Any] = {}
        for row in await session.execute(text(FORBIDDEN)):
            faults.setdefault(row.what, []).append(row.id)
        if broken := await broken_proofs(session):
            faults["the books"] = broken
        sums = (await session.execute(text(SUMS), {"m": self.merchant_id})).mappings().one()
        return {name: int(value) for name, value in sums.items()}, faults

    def teardown(self) -> None:
        """Everything comes to its end, and then both sides say the same."""
        if not hasattr(self, "balances"):
            return
        self._pay({"qrc_id": self.plate["qrc_id"], "outcome": "rejected"}, is_told=False)  # who began must decide
        for place in range(ROUNDS_MAX):
            for name in MONEY_JOBS:
                self.world.job(name)
            if place > 3 and self._unfinished() == []:
                break
            self.world.advance(HOUR + 1)
        assert self._unfinished() == []
        self.nothing_is_lost_or_doubled()
        self._compare_with_the_world(self.world.read(self._look)[0], is_over=True)

    def _unfinished(self) -> list[str]:
        async def work(session: Session) -> list[str]:
            return list((await session.scalars(text(UNFINISHED))).all())

        return self.world.read(work)

    def _order(self, place: int) -> str:
        return self.orders[place % len(self.orders)]

    def _paid_orders(self) -> list[str]:
        return self._ids("SELECT id FROM orders WHERE merchant_id = :m AND status = 'paid'")

    def _shown_codes(self) -> list[str]:
        """Codes that buyers can have seen, and the plate: links that were lost were shown to nobody."""
        codes = self._ids("SELECT qrc_id FROM qr_codes WHERE merchant_id = :m AND qrc_id IS NOT NULL")
        return [*codes, self.plate["qrc_id"]]

    def _ids(self, sql: str) -> list[str]:
        async def work(session: Session) -> list[str]:
            return list((await session.scalars(text(f"{sql} ORDER BY id"), {"m": self.merchant_id})).all())

        return self.world.read(work)

    def _notify(self, qrc_id: str, trx_id: str, status: str, amount: int, params_id: str | None) -> None:
        body = {
            "qrcId": qrc_id, "trxId": trx_id, "status": status, "amount": amount, "payerId": "0079******12",
            "timestamp": self.world.tools.clock.now().isoformat(), "kzo": "9F2C7B1E44D05A66",
        }  # fmt: skip
        named = {} if params_id is None else {"paramsId": params_id}
        answer = self.world.run(self.world.door.post("/nspk/payment/v2/qrc/notification", json=body | named))
        assert answer.status_code in (200, 503), answer.text


def live(database: Any, *, lives: int, steps: int, is_long: bool = False) -> None:
    with rail_world(database) as world:
        live_many(lambda: RailMachine(world), lives=lives, steps=steps, is_long=is_long)


def test_no_order_of_events_loses_or_doubles_money(database: Any) -> None:
    live(database, lives=10, steps=25)


@pytest.mark.long
def test_no_order_of_events_loses_or_doubles_money_in_a_long_life(database: Any) -> None:
    live(database, lives=int(os.environ.get("KOPEYKA_TEST_LIVES", "300")), steps=50, is_long=True)
