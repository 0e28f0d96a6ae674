"""Buyers, merchants and plans as rows, so that a decision has something to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from installments import buyer_rows, buyers, deciding
from installments import repository as plans
from installments.buyer import Buyer, PersonalDetails
from installments.deciding import Decision
from installments.plan import Plan, PlanStatus, Standing
from ledger.database import Engine, Session, in_transaction, text, transaction
from ledger.ids import new_id
from ledger.money import Kopecks
from pci.secret import Secret

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TODAY = date(2026, 11, 22)
KEY = Secret("a key of tests, thirty-two characters and more")
PHONE = "+79161234567"
GROWN = date(1990, 5, 5)
MERCHANT = "mer_" + "0" * 25 + "1"


async def add_merchant(session: Session, merchant_id: str = MERCHANT) -> None:
    await session.execute(
        text("""INSERT INTO merchants (id, name, legal_name, inn, bank_account_bik, bank_account_number, tariff_group,
                       created_at)
                VALUES (:id, 'n', 'l', '7707083893', '044525225', '40702810000000000001', 'everyday', :now)"""),
        {"id": merchant_id, "now": NOW},
    )


@dataclass
class BuyerWorld:
    """One merchant, and buyers as they are asked for."""

    engine: Engine
    numbers: Any = field(default_factory=lambda: count(1))

    async def begin(self) -> BuyerWorld:
        async with transaction(self.engine) as session:
            await add_merchant(session)
        return self

    async def buyer(
        self, phone: str = PHONE, *, born_on: date | None = GROWN, is_verified: bool = True, limit: int | None = None
    ) -> Buyer:
        """A buyer who may have plans, unless something is said otherwise."""
        async with transaction(self.engine) as session:
            buyer = await buyers.find_or_add_buyer(session, phone, now=NOW)
            if born_on is not None:
                await buyers.tell_of_buyer(session, buyer.id, PersonalDetails(born_on=born_on), now=NOW)
            if is_verified:
                await buyers.verify_phone(session, buyer.id, now=NOW)
            if limit is not None:
                await session.execute(
                    text("UPDATE buyers SET limit_kopecks = :limit WHERE id = :id"), {"id": buyer.id, "limit": limit}
                )
            return await buyer_rows.load_buyer(session, buyer.id)

    async def plan(self, price: int = 1_000_00, **more: Any) -> Plan:
        """A plan as it is kept."""
        async with transaction(self.engine) as session:
            return await add_plan(session, f"N-{next(self.numbers)}", price, **more)

    async def decide(self, buyer: Buyer, price: int = 1_000_00, *, now: datetime = NOW) -> Decision:
        """Decide about a new plan, and approve or reject it, as doors do."""
        plan = await self.plan(price)

        async def work(session: Session) -> Decision:
            return await decide_and_save(session, plan.id, buyer, now=now)

        return await in_transaction(self.engine, work)


async def add_plan(session: Session, order_number: str, price: int, **more: Any) -> Plan:
    values: dict[str, Any] = {
        "id": new_id("pln", NOW), "merchant_id": MERCHANT, "order_number": order_number, "product_code": "dolyame",
        "product_version": 1, "price": Kopecks(price), "prepaid": Kopecks(0), "items": (), "status": PlanStatus.NEW,
        "standing": Standing.NONE, "link_code": order_number, "buyer_id": None, "contract_on": None, "collector": None,
        "card_token": None, "first_payment_id": None, "binding_id": None, "fee_basis_points": None, "fee": Kopecks(0),
        "refunded": Kopecks(0), "outstanding": Kopecks(0), "overpaid": Kopecks(0), "penalty": Kopecks(0),
        "next_due_on": None, "is_paused": False, "reason": None, "created_at": NOW, "expires_at": None,
        "committed_at": None, "ended_at": None, "version": 1,
    } | more  # fmt: skip
    if values["status"] in (PlanStatus.NEW, PlanStatus.APPROVED, PlanStatus.WAIT_FOR_COMMIT):
        values["expires_at"] = NOW + timedelta(hours=6)
    plan = Plan(**values)
    await plans.add_plan(session, plan)
    return plan


def owed(buyer: Buyer, outstanding: int, *, due_on: date = date(2026, 12, 1), **more: Any) -> dict[str, Any]:
    """What makes a plan one that is being repaid."""
    is_late = due_on < TODAY
    return {
        "buyer_id": buyer.id, "status": PlanStatus.COMPLETED, "contract_on": TODAY, "fee_basis_points": 690,
        "standing": Standing.OVERDUE if is_late else Standing.CURRENT, "outstanding": Kopecks(outstanding),
        "next_due_on": due_on, "committed_at": NOW,
    } | more  # fmt: skip


def over(buyer: Buyer, standing: Standing = Standing.REPAID) -> dict[str, Any]:
    """What makes a plan one that is over."""
    return owed(buyer, 0, standing=standing) | {"next_due_on": None, "ended_at": NOW}


async def decide_and_save(session: Session, plan_id: str, buyer: Buyer, *, now: datetime = NOW) -> Decision:
    """What a door does in one transaction: lock the plan, decide, move the plan."""
    plan = await plans.load_plan(session, plan_id, lock=True)
    made = await deciding.decide(session, plan, buyer, now=now)
    status = "approved" if made.is_approved else "rejected"
    await session.execute(
        text("""UPDATE installment_plans SET status = :status, buyer_id = :buyer_id,
                       expires_at = CASE WHEN :status = 'approved' THEN expires_at END WHERE id = :id"""),
        {"id": plan_id, "status": status, "buyer_id": buyer.id},
    )
    return made
