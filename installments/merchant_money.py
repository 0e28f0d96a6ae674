"""The merchant's money (деньги магазина) under plans: what a refund or a dispute takes, and in which order.

Taken first from what was reserved for the plan's dispute, then from what we owe the merchant, and what is lacking
becomes the merchant's debt to us, which its next sales pay before anything is paid out. So a payable is never below
zero, and a refund never waits for money.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from installments import repository
from installments.effects import Effect, entry_of
from installments.plan import Plan
from ledger import accounts, chart, journal
from ledger.accounts import AccountTerms
from ledger.database import Session, text
from ledger.ids import new_id

LOCK_SPACE = 19283
"""Keeps our advisory locks apart from others'."""


class Purses:
    """What merchants have with us while a batch of vouchers is written. Amounts: kopecks."""

    def __init__(self, available: dict[str, int]) -> None:
        self._available = available

    def take(self, merchant_id: str, amount: int, reserved: int = 0) -> tuple[dict[str, int], int]:
        """The effect of taking ``amount``, and how much of ``reserved`` it used.

        Дт liability:plan_reserve:<merchant>          what was reserved for this plan
        Дт liability:plan_payable:<merchant>          what we owe the merchant
        Дт asset:plan_merchant_receivable:<merchant>  the rest
        """
        of_reserve = min(amount, reserved)
        of_payable = min(amount - of_reserve, max(self._available.get(merchant_id, 0), 0))
        self._available[merchant_id] = self._available.get(merchant_id, 0) - of_payable
        effect = {
            chart.plan_reserve(merchant_id): of_reserve,
            chart.plan_payable(merchant_id): of_payable,
            chart.plan_merchant_receivable(merchant_id): amount - of_reserve - of_payable,
        }
        return effect, of_reserve

    def give(self, merchant_id: str, amount: int) -> dict[str, int]:
        """The effect of owing a merchant more. Кт liability:plan_payable:<merchant>"""
        self._available[merchant_id] = self._available.get(merchant_id, 0) + amount
        return {chart.plan_payable(merchant_id): -amount}


async def open_purses(session: Session, merchant_ids: Iterable[str]) -> Purses:
    """What merchants have with us, kept still until the transaction ends.

    Locks: the plan money of each merchant, in the order of their ids; before any account.
    """
    wanted = sorted(set(merchant_ids))
    for merchant_id in wanted:
        await lock_money(session, merchant_id)
    rows = await session.execute(
        text("""SELECT a.code, a.credits_posted - a.debits_posted - a.debits_held AS available
                  FROM books AS b JOIN accounts AS a ON a.book = b.number
                 WHERE b.name = 'main' AND a.code = ANY(CAST(:codes AS text[]))"""),
        {"codes": [chart.plan_payable(merchant_id) for merchant_id in wanted]},
    )
    available = {row.code: row.available for row in rows}
    return Purses({merchant_id: available.get(chart.plan_payable(merchant_id), 0) for merchant_id in wanted})


async def lock_money(session: Session, merchant_id: str) -> None:
    """Let nobody else take a merchant's money under plans until the transaction ends.

    Locks: an advisory lock on the merchant.
    """
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:what, :space))"),
        {"what": merchant_id, "space": LOCK_SPACE},
    )


def terms_of(merchant_id: str) -> list[AccountTerms]:
    """A merchant's accounts under plans, none of which may be overdrawn."""
    codes = (
        chart.plan_payable(merchant_id), chart.plan_reserve(merchant_id), chart.plan_merchant_receivable(merchant_id)
    )  # fmt: skip
    return [AccountTerms(code, available_min=0) for code in codes]


async def net_claims(session: Session, merchant_id: str, *, now: datetime) -> int:
    """Let what we owe a merchant pay what it owes us, before a payout; how many kopecks that was.

    Дт liability:plan_payable:<merchant>     Кт asset:plan_merchant_receivable:<merchant>

    Locks: the merchant's plan money, then the accounts.
    """
    purse = await open_purses(session, [merchant_id])
    claim = await accounts.find_account(session, chart.plan_merchant_receivable(merchant_id))
    if claim is None or claim.available <= 0:
        return 0
    effect, _ = purse.take(merchant_id, claim.available)
    netted = effect[chart.plan_payable(merchant_id)]
    await _post(
        session,
        {chart.plan_payable(merchant_id): netted, chart.plan_merchant_receivable(merchant_id): -netted},
        kind="plan.claim_netted", reference=f"plan_claim:{new_id('net', now)}", merchant_id=merchant_id, now=now,
    )  # fmt: skip
    return netted


async def owed_merchants(session: Session, *, after: str, limit: int) -> list[str]:
    """Merchants that are owed money for plans, by id."""
    prefix = chart.plan_payable("")
    rows = await session.execute(
        text("""SELECT a.code FROM books AS b JOIN accounts AS a ON a.book = b.number
                 WHERE b.name = 'main' AND a.code > :after AND starts_with(a.code, :prefix)
                   AND a.credits_posted - a.debits_posted - a.debits_held > 0
                 ORDER BY a.code LIMIT :limit"""),
        {"after": prefix + after, "prefix": prefix, "limit": limit},
    )
    return [row.code.removeprefix(prefix) for row in rows]


async def reserve(session: Session, plan_id: str, *, now: datetime) -> int:
    """Row 20: what a plan in dispute still brings its merchant waits; how many kopecks. Reserved already: nothing.

    Дт liability:plan_payable:<merchant>     Кт liability:plan_reserve:<merchant>

    No more than the merchant has not been paid out yet.
    Raises: PlanNotFound. Locks: the plan, the merchant's plan money, then the accounts.
    """
    plan, reserved = await _reserved(session, plan_id)
    if reserved:
        return 0
    purse = await open_purses(session, [plan.merchant_id])
    effect, _ = purse.take(plan.merchant_id, max(int(plan.total) - int(plan.fee), 0))
    waits = effect[chart.plan_payable(plan.merchant_id)]
    await _keep_reserved(session, plan, waits, f"plan_reserved:{new_id('rsv', now)}", now)
    return waits


async def release_reserve(session: Session, plan_id: str, *, now: datetime) -> int:
    """The dispute is over: what refunds have left of the reserve is the merchant's again; how many kopecks.

    Дт liability:plan_reserve:<merchant>     Кт liability:plan_payable:<merchant>

    Raises: PlanNotFound. Locks: the plan, then the accounts.
    """
    plan, reserved = await _reserved(session, plan_id)
    await _keep_reserved(session, plan, -reserved, f"plan_reserve_released:{new_id('rsv', now)}", now)
    return reserved


async def _reserved(session: Session, plan_id: str) -> tuple[Plan, int]:
    plan = await repository.load_plan(session, plan_id, lock=True)
    kept = await session.scalar(text("SELECT reserved_kopecks FROM plan_books WHERE plan_id = :id"), {"id": plan_id})
    return plan, kept or 0


async def _keep_reserved(session: Session, plan: Plan, more: int, reference: str, now: datetime) -> None:
    if more == 0:
        return
    await session.execute(
        text("UPDATE plan_books SET reserved_kopecks = reserved_kopecks + :more WHERE plan_id = :id"),
        {"id": plan.id, "more": more},
    )
    effect = {chart.plan_payable(plan.merchant_id): more, chart.plan_reserve(plan.merchant_id): -more}
    kind = "plan.reserved" if more > 0 else "plan.reserve_released"
    await _post(session, effect, kind=kind, reference=reference, merchant_id=plan.merchant_id, now=now)


async def _post(
    session: Session, effect: Effect, *, kind: str, reference: str, merchant_id: str, now: datetime
) -> None:
    entry = entry_of(effect, kind=kind, reference=reference, happened_at=now, metadata={"merchant_id": merchant_id})
    if entry is not None:
        await journal.post(session, entry, now=now)
