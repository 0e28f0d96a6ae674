"""One plate under any order of arming, taking back, paying, telling, asking and time.

After each step at most one payment is kept of each activation and the books balance; at the end NSPK and our rows
say the same of every kopeck, paid in time, late or to nobody.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger.database import Session, text
from ledger.proofs import broken_proofs
from tests.properties.sbp_world import ACCOUNT, RailWorld, rail_world

FEW = st.integers(0, 100)
FAULTS = st.sampled_from([None, None, "lost_request", "lost_answer"])
JOBS = ("watch_activations", "resume_cash_links")
numbers = count(1)
NEVER = {
    "an activation paid twice": """SELECT activation_id FROM sbp_payments WHERE activation_id IS NOT NULL
        GROUP BY activation_id HAVING count(*) > 1""",
    "two live activations of a link": """SELECT cash_link_id FROM cash_link_activations
        WHERE status IN ('requested', 'waiting', 'deactivating') GROUP BY cash_link_id HAVING count(*) > 1""",
    "a live activation of an attempt that is over": """SELECT v.id FROM cash_link_activations AS v
        JOIN attempts AS a ON a.id = v.attempt_id WHERE v.status IN ('requested', 'waiting')
         AND a.status IN ('paid', 'rejected', 'expired')""",
    "money kept twice": """SELECT p.trx_id FROM sbp_payments AS p JOIN sbp_unmatched_payments AS u USING (trx_id)
        WHERE p.unmatched_payment_id IS DISTINCT FROM u.id""",
    "a paid activation without its payment": """SELECT id FROM cash_link_activations AS v WHERE (status = 'paid')
        <> EXISTS (SELECT FROM sbp_payments AS p WHERE p.activation_id = v.id)""",
}
SUMS = {
    "kept": "SELECT coalesce(sum(amount_kopecks), 0) FROM sbp_payments WHERE activation_id IS NOT NULL",
    "unmatched": "SELECT coalesce(sum(amount_kopecks), 0) FROM sbp_unmatched_payments",
    "live": "SELECT count(*) FROM cash_link_activations WHERE next_poll_at IS NOT NULL",
}


class CashLinkMachine(RuleBasedStateMachine):
    """A till with one plate, its buyers, and everything that may go wrong."""

    def __init__(self, world: RailWorld) -> None:
        super().__init__()
        self.world = world
        self.seen: list[dict[str, Any]] = []
        self.armed: list[str] = []

    @initialize()
    def open_the_shop(self) -> None:
        merchant = self.world.made(
            "/v1/merchants",
            {
                "name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893", "tariff_group": "everyday",
                "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
            },
        )  # fmt: skip
        store = self.world.made("/v1/stores", {"merchant_id": merchant["id"], "name": "С", "address": "Москва"})
        self.terminal_id = self.world.made("/v1/terminals", {"store_id": store["id"], "name": "Касса"})["id"]
        self.plate = self.world.made("/v1/sbp/cash-links", {"terminal_id": self.terminal_id})
        self.paid_before = self.world.totals()["paid_kopecks"]
        self.kept_before = self._sums()

    @rule(amount=st.sampled_from([10_000, 10_000, 20_000]), fault=FAULTS)
    def sell(self, amount: int, fault: str | None) -> None:
        body = {"terminal_id": self.terminal_id, "number": f"P-{next(numbers)}", "amount_kopecks": amount}
        order = self.world.made("/v1/orders", body)
        with self.world.losing(fault):
            answer = self.world.post(
                f"/v1/orders/{order['id']}/attempts", {"rail": "sbp", "cash_link_id": self.plate["id"]}
            )
        assert answer.status_code in (201, 409), answer.text
        shown = self.world.get(f"/v1/sbp/cash-links/{self.plate['id']}")["activation"]
        if shown is not None and shown["params_id"] is not None:
            self.armed.append(shown["params_id"])

    @rule(outcome=st.sampled_from(["accepted", "accepted", "begin", "rejected"]), is_told=st.booleans())
    def a_buyer_decides(self, outcome: str, is_told: bool) -> None:
        self._pay({"outcome": outcome}, is_told=is_told)

    @precondition(lambda self: self.armed)
    @rule(place=FEW)
    def money_comes_late(self, place: int) -> None:
        self._pay({"params_id": self.armed[place % len(self.armed)]}, is_told=True)

    def _pay(self, how: dict[str, Any], *, is_told: bool) -> None:
        answer = self.world.order("POST", "/simulator/payers/pay", {"qrc_id": self.plate["qrc_id"], **how})
        if answer.status_code == 200 and answer.json()["trx_id"] is not None:
            self.seen.append(answer.json())
            if is_told:
                self.nspk_tells(-1, None)

    @precondition(lambda self: self.seen)
    @rule(place=FEW, fault=FAULTS)
    def nspk_tells(self, place: int, fault: str | None) -> None:
        said = self.seen[place % len(self.seen)]
        body = {
            "qrcId": said["qrc_id"], "trxId": said["trx_id"], "paramsId": said["params_id"], "status": said["status"],
            "amount": 1, "timestamp": self.world.tools.clock.now().isoformat(), "payerId": "0079******12",
        }  # fmt: skip
        with self.world.losing(fault):
            answer = self.world.run(self.world.door.post("/nspk/payment/v2/qrc/notification", json=body))
        assert answer.status_code in (200, 503), answer.text

    @rule(fault=FAULTS)
    def the_worker_looks(self, fault: str | None) -> None:
        with self.world.losing(fault):
            for name in JOBS:
                self.world.job(name)

    @rule(seconds=st.sampled_from([6, 61, 301, 700]))
    def time_passes(self, seconds: int) -> None:
        self.world.advance(seconds)

    @rule(fault=FAULTS)
    def a_cashier_takes_it_back(self, fault: str | None) -> None:
        with self.world.losing(fault):
            answer = self.world.post(f"/v1/sbp/cash-links/{self.plate['id']}/deactivate", {})
        assert answer.status_code in (200, 409, 503), answer.text

    @invariant()
    def nothing_is_doubled(self) -> None:
        async def look(session: Session) -> dict[str, Any]:
            found = {name: (await session.execute(text(sql))).scalars().all() for name, sql in NEVER.items()}
            return {name: rows for name, rows in found.items() if rows} | {
                str(proof): proof for proof in await broken_proofs(session)
            }

        assert self.world.read(look) == {}

    def teardown(self) -> None:
        """Buyers who began put their phones away, what was told is told again, and both sides say the same."""
        if not hasattr(self, "plate"):
            return
        self.world.order("POST", "/simulator/payers/pay", {"qrc_id": self.plate["qrc_id"], "outcome": "rejected"})
        for place in range(len(self.seen)):
            self.nspk_tells(place, None)
        for _ in range(30):
            self.world.advance(120)
            self.the_worker_looks(None)
            if self._sums()["live"] == 0:
                break
        sums = self._sums()
        ours = sum(sums[name] - self.kept_before[name] for name in ("kept", "unmatched"))
        assert (sums["live"], ours) == (0, self.world.totals()["paid_kopecks"] - self.paid_before)
        self.nothing_is_doubled()

    def _sums(self) -> dict[str, int]:
        async def work(session: Session) -> dict[str, int]:
            return {name: int(await session.scalar(text(sql)) or 0) for name, sql in SUMS.items()}

        return self.world.read(work)


def test_a_plate_keeps_one_payment_of_each_activation_whatever_happens(database: Any) -> None:
    with rail_world(database) as world:
        run_state_machine_as_test(
            lambda: CashLinkMachine(world),
            settings=settings(
                max_examples=12,
                stateful_step_count=14,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
