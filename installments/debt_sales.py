"""Sales of debts (цессия): debts that were written off are made over to somebody who collects them from now on.

What is owed was taken out of the books when it was written off, so the price makes the loss smaller. Money that the
buyer of goods pays afterwards is not ours: it is refused here and paid to whom the debt belongs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from installments import bureau, repository, vouchers
from installments.errors import ChargeUnderWay, DebtNotWrittenOff, DebtSaleTaken, DebtSold, PlanNotFound
from installments.plan import Plan, Standing
from installments.telling import PlanActor, tell
from ledger.clock import moscow_day
from ledger.database import Session, text
from ledger.money import Kopecks

SALE_PLANS_MAX = 500
"""Debts in one sale."""


@dataclass(frozen=True, slots=True)
class DebtSale:
    """Debts, to whom, and for how much in all."""

    id: str
    to_inn: str
    contract_number: str
    """Of the contract of sale."""
    proceeds: Kopecks
    plan_ids: tuple[str, ...]
    sold_at: datetime


async def sell_debts(session: Session, sale: DebtSale, by: PlanActor) -> Kopecks:
    """Make debts over that were written off; gives how much their buyers still owe in all, in kopecks.

    Дт asset:operator_bank                Кт expense:plan_loss      what was paid for them
    Raises: PlanNotFound, DebtNotWrittenOff, DebtSold, DebtSaleTaken; ChargeUnderWay while money may still come.
    Locks: the plans, in the order of their ids, accounts.
    """
    plans = await repository.load_plans(session, sorted(sale.plan_ids), lock=True)
    for plan_id in sale.plan_ids:
        if plan_id not in plans:
            raise PlanNotFound(plan_id=plan_id)
        if plans[plan_id].standing is not Standing.WRITTEN_OFF:
            raise DebtNotWrittenOff(plan_id=plan_id, standing=plans[plan_id].standing.value)
    await check_not_sold(session, sale.plan_ids)
    await _check_not_charged(session, sale.plan_ids)
    owed = await _keep(session, sale)
    await vouchers.book_sale(session, sale.id, sale.proceeds, now=sale.sold_at)
    await _tell(session, sale, plans.values(), owed, by)
    return Kopecks(sum(owed.values()))


async def check_not_sold(session: Session, plan_ids: Sequence[str]) -> None:
    """Raises: DebtSold for the first of the plans whose debt is somebody else's now."""
    row = (
        await session.execute(
            text("""SELECT d.plan_id, s.to_inn FROM debt_sale_plans AS d JOIN debt_sales AS s ON s.id = d.sale_id
                     WHERE d.plan_id = ANY(CAST(:ids AS text[])) ORDER BY d.plan_id LIMIT 1"""),
            {"ids": list(plan_ids)},
        )
    ).first()
    if row is not None:
        raise DebtSold(plan_id=row.plan_id, to_inn=row.to_inn)


async def _check_not_charged(session: Session, plan_ids: Sequence[str]) -> None:
    found = await session.scalar(
        text("""SELECT plan_id FROM plan_charges
                 WHERE plan_id = ANY(CAST(:ids AS text[])) AND status IN ('requested', 'unknown') LIMIT 1"""),
        {"ids": list(plan_ids)},
    )
    if found is not None:
        raise ChargeUnderWay(plan_id=found)


async def load_sale(session: Session, sale_id: str) -> tuple[DebtSale, Kopecks] | None:
    """A sale with its debts, and what was owed of them in all; nothing if there is none."""
    row = (
        await session.execute(
            text("""SELECT s.*, array_agg(d.plan_id ORDER BY d.plan_id) AS plans,
                           sum(d.amount_kopecks)::bigint AS owed
                      FROM debt_sales AS s JOIN debt_sale_plans AS d ON d.sale_id = s.id
                     WHERE s.id = :id GROUP BY s.id"""),
            {"id": sale_id},
        )
    ).first()
    if row is None:
        return None
    proceeds, plans = Kopecks(row.proceeds_kopecks), tuple(row.plans)
    return DebtSale(row.id, row.to_inn, row.contract_number, proceeds, plans, row.sold_at), Kopecks(row.owed)


async def _keep(session: Session, sale: DebtSale) -> dict[str, int]:
    """Write the sale down; gives what is still owed of each debt, kopecks by plan."""
    kept = await session.execute(
        text("""INSERT INTO debt_sales (id, to_inn, contract_number, proceeds_kopecks, sold_at)
                VALUES (:id, :to_inn, :contract_number, :proceeds, :sold_at) ON CONFLICT DO NOTHING"""),
        {
            "id": sale.id, "to_inn": sale.to_inn, "contract_number": sale.contract_number,
            "proceeds": int(sale.proceeds), "sold_at": sale.sold_at,
        },
    )  # fmt: skip
    if kept.rowcount == 0:
        raise DebtSaleTaken(to_inn=sale.to_inn, contract_number=sale.contract_number)
    found = await session.execute(
        text("""INSERT INTO debt_sale_plans (plan_id, sale_id, amount_kopecks)
                SELECT b.plan_id, :sale_id, greatest(b.written_off_kopecks - b.recovered_kopecks, 0)
                  FROM plan_books AS b WHERE b.plan_id = ANY(CAST(:ids AS text[])) ORDER BY b.plan_id
                RETURNING plan_id, amount_kopecks"""),
        {"sale_id": sale.id, "ids": list(sale.plan_ids)},
    )
    return {row.plan_id: int(row.amount_kopecks) for row in found}


async def _tell(
    session: Session, sale: DebtSale, plans: Iterable[Plan], owed: Mapping[str, int], by: PlanActor
) -> None:
    on = moscow_day(sale.sold_at)
    for plan in plans:
        facts: dict[str, str | int | bool] = {"sale_id": sale.id, "to_inn": sale.to_inn, "sold_kopecks": owed[plan.id]}
        await tell(session, plan, "debt_sold", by, now=sale.sold_at, facts=facts)
    told = [bureau.assigned(plan_id, sale.to_inn, amount, on) for plan_id, amount in owed.items()]
    await bureau.tell_all(session, told, now=sale.sold_at)
