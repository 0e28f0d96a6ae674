"""Rows of tariffs and payouts turned into values and back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from ledger.database import Session, text
from ledger.money import Kopecks, Rounding
from reconciliation.errors import PayoutNotFound
from reconciliation.payouts import Payee, Payout, PayoutRun, PayoutStatus
from reconciliation.tariffs import BankTariff, MccGroup, Tariff

PAGE_MAX = 200
"""Payouts on one page."""
SEND_BATCH_MAX = 20
"""Payouts a worker takes at once: each is a call to the bank."""

_PAYOUT = """p.id, p.run_id, p.merchant_id, p.amount_kopecks, p.bank_account_bik, p.bank_account_number, p.status,
    p.hold_id, p.entry_id, p.tries, p.reason, p.created_at, p.sent_at"""


async def load_tariffs(session: Session, rail: str) -> list[Tariff]:
    """Every tariff of a rail: a few rows for each group."""
    rows = await session.execute(text("SELECT * FROM tariffs WHERE rail = :rail"), {"rail": rail})
    return [
        Tariff(
            tariff_group=row.tariff_group,
            rail=row.rail,
            valid_from_on=row.valid_from_on,
            basis_points=row.basis_points,
            cap=None if row.cap_kopecks is None else Kopecks(row.cap_kopecks),
            rounding=Rounding(row.rounding),
            source=row.source,
            is_confirmed=row.is_confirmed,
        )
        for row in rows
    ]


async def load_bank_tariffs(session: Session, rail: str, member_ids: Collection[str] | None = None) -> list[BankTariff]:
    """Every tariff of some banks, or of all, for a rail."""
    rows = await session.execute(
        text("""SELECT * FROM bank_tariffs WHERE rail = :rail
                   AND (CAST(:members AS text[]) IS NULL OR member_id = ANY(CAST(:members AS text[])))
                 ORDER BY member_id, tariff_group, valid_from_on"""),
        {"rail": rail, "members": None if member_ids is None else list(member_ids)},
    )
    return [
        BankTariff(
            member_id=row.member_id,
            tariff_group=row.tariff_group,
            rail=row.rail,
            valid_from_on=row.valid_from_on,
            basis_points=row.basis_points,
            cap=None if row.cap_kopecks is None else Kopecks(row.cap_kopecks),
            rounding=Rounding(row.rounding),
            is_withheld=row.is_withheld,
            is_confirmed=row.is_confirmed,
            source=row.source,
        )
        for row in rows
    ]


async def add_bank_tariff(session: Session, tariff: BankTariff, *, now: datetime) -> bool:
    """Keep a bank's new rule. False if it has one for that group, rail and day."""
    result = await session.execute(
        text("""INSERT INTO bank_tariffs (member_id, tariff_group, rail, valid_from_on, basis_points, cap_kopecks,
                                          rounding, is_withheld, is_confirmed, source, created_at)
                VALUES (:member_id, :tariff_group, :rail, :valid_from_on, :basis_points, :cap, :rounding, :is_withheld,
                        :is_confirmed, :source, :now) ON CONFLICT DO NOTHING"""),
        {
            "member_id": tariff.member_id,
            "tariff_group": tariff.tariff_group,
            "rail": tariff.rail,
            "valid_from_on": tariff.valid_from_on,
            "basis_points": tariff.basis_points,
            "cap": None if tariff.cap is None else int(tariff.cap),
            "rounding": tariff.rounding.value,
            "is_withheld": tariff.is_withheld,
            "is_confirmed": tariff.is_confirmed,
            "source": tariff.source,
            "now": now,
        },
    )
    return result.rowcount == 1


async def load_mcc_groups(session: Session) -> list[MccGroup]:
    """Which codes belong to which tariff group."""
    rows = await session.execute(text("SELECT * FROM mcc_groups ORDER BY first_mcc, last_mcc, valid_from_on"))
    return [MccGroup(**row._mapping) for row in rows]


async def add_run(session: Session, run: PayoutRun) -> None:
    """Keep a run."""
    await session.execute(
        text("""INSERT INTO payout_runs (id, through_on, payouts, amount_kopecks, created_at)
                VALUES (:id, :through_on, :payouts, :amount, :created_at)"""),
        {
            "id": run.id,
            "through_on": run.through_on,
            "payouts": run.payouts,
            "amount": int(run.amount),
            "created_at": run.created_at,
        },
    )


async def add_payouts(session: Session, payouts: Sequence[Payout], *, next_try_at: datetime) -> None:
    """Keep payouts that the bank will be asked for."""
    if not payouts:
        return
    await session.execute(
        text("""INSERT INTO payouts (id, run_id, merchant_id, amount_kopecks, bank_account_bik, bank_account_number,
                                     hold_id, next_try_at, created_at)
                VALUES (:id, :run_id, :merchant_id, :amount, :bik, :account_number, :hold_id, :next_try_at,
                        :created_at)"""),
        [
            {
                "id": payout.id,
                "run_id": payout.run_id,
                "merchant_id": payout.merchant_id,
                "amount": int(payout.amount),
                "bik": payout.bik,
                "account_number": payout.account_number,
                "hold_id": payout.hold_id,
                "next_try_at": next_try_at,
                "created_at": payout.created_at,
            }
            for payout in payouts
        ],
    )


async def take_due_payouts(session: Session, *, now: datetime, lease_until: datetime) -> list[Payout]:
    """Take payouts whose next try has come; nobody else gets them before ``lease_until``.

    Locks: the payouts it takes, skipping those that another worker takes at this moment.
    """
    rows = await session.execute(
        text(f"""
            UPDATE payouts AS p SET next_try_at = :lease_until, tries = p.tries + 1
             WHERE p.id IN (SELECT id FROM payouts WHERE next_try_at <= :now
                             ORDER BY next_try_at LIMIT :limit FOR UPDATE SKIP LOCKED)
            RETURNING {_PAYOUT}
        """),  # noqa: S608  # our own column list
        {"now": now, "lease_until": lease_until, "limit": SEND_BATCH_MAX},
    )
    return [_payout(row) for row in rows]


async def lock_payout(session: Session, payout_id: str) -> Payout:
    """The payout, locked. Raises: PayoutNotFound. Locks: the payout."""
    return await _one(session, payout_id, "FOR NO KEY UPDATE")


async def load_payout(session: Session, payout_id: str) -> Payout:
    """The payout. Raises: PayoutNotFound."""
    return await _one(session, payout_id, "")


async def _one(session: Session, payout_id: str, lock: str) -> Payout:
    row = (
        await session.execute(
            text(f"SELECT {_PAYOUT} FROM payouts AS p WHERE p.id = :id {lock}"),  # noqa: S608  # our own words
            {"id": payout_id},
        )
    ).first()
    if row is None:
        raise PayoutNotFound(payout_id=payout_id)
    return _payout(row)


async def save_payout(session: Session, payout: Payout, *, next_try_at: datetime | None) -> None:
    """Keep the new status of a locked payout."""
    await session.execute(
        text("""UPDATE payouts SET status = :status, entry_id = :entry_id, sent_at = :sent_at, reason = :reason,
                       next_try_at = :next_try_at WHERE id = :id"""),
        {
            "id": payout.id,
            "status": payout.status.value,
            "entry_id": payout.entry_id,
            "sent_at": payout.sent_at,
            "reason": payout.reason,
            "next_try_at": next_try_at,
        },
    )


async def paid_out_since(session: Session, payee: Payee, at: datetime) -> int:
    """Kopecks of a payee's payouts that are under way or were sent at ``at`` or later."""
    total = await session.scalar(
        text("""SELECT coalesce(sum(p.amount_kopecks), 0)
                  FROM payouts AS p
                  JOIN books AS b ON b.name = 'main'
                  JOIN holds AS h ON h.book = b.number AND h.id = p.hold_id
                  JOIN accounts AS a ON a.book = h.book AND a.number = h.debit
                 WHERE p.merchant_id = :merchant_id AND a.code = :code
                   AND (p.status IN ('requested', 'unknown') OR (p.status = 'sent' AND p.sent_at >= :at))"""),
        {"merchant_id": payee.merchant_id, "code": payee.owed_in, "at": at},
    )
    return int(total or 0)


async def list_payouts(
    session: Session, *, run_id: str | None = None, merchant_id: str | None = None,
    status: PayoutStatus | None = None, after: str = "", limit: int = PAGE_MAX,
) -> tuple[list[Payout], bool]:  # fmt: skip
    """Payouts by id, and whether there are more."""
    rows = await session.execute(
        text(f"""SELECT {_PAYOUT} FROM payouts AS p
                  WHERE p.id > :after AND (CAST(:run_id AS text) IS NULL OR p.run_id = :run_id)
                    AND (CAST(:merchant_id AS text) IS NULL OR p.merchant_id = :merchant_id)
                    AND (CAST(:status AS text) IS NULL OR p.status = :status)
                  ORDER BY p.id LIMIT :limit"""),  # noqa: S608  # our own column list
        {"after": after, "run_id": run_id, "merchant_id": merchant_id, "status": status, "limit": limit + 1},
    )
    found = [_payout(row) for row in rows]
    return found[:limit], len(found) > limit


def _payout(row: Row[Any]) -> Payout:
    return Payout(
        id=row.id,
        run_id=row.run_id,
        merchant_id=row.merchant_id,
        amount=Kopecks(row.amount_kopecks),
        bik=row.bank_account_bik,
        account_number=row.bank_account_number,
        status=PayoutStatus(row.status),
        hold_id=row.hold_id,
        entry_id=row.entry_id,
        tries=row.tries,
        reason=row.reason,
        created_at=row.created_at,
        sent_at=row.sent_at,
    )
