"""Rows of payouts to buyers turned into values and back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from ledger.database import Session, text
from ledger.money import Kopecks
from sbp_gateway.buyer_payouts import BuyerPayout, BuyerPayoutStatus
from sbp_gateway.errors import BuyerPayoutNotFound

PAGE_MAX = 200
"""Payouts on one page."""
SEND_BATCH_MAX = 20
"""Payouts a worker takes at once: each is a call to the bank."""

_PAYOUT = """p.id, p.merchant_id, p.member_id, p.phone, p.phone_mask, p.bank_member_id, p.amount_kopecks, p.purpose,
    p.status, p.hold_id, p.entry_id, p.tries, p.asked_at, p.reason, p.created_at, p.finished_at"""


async def is_bank_listed(session: Session, bank_member_id: str) -> bool:
    """Whether the list of banks has the bank. Without a list nobody can say no, and the paying bank will."""
    found = await session.scalar(
        text("""SELECT coalesce(bool_or(id = :id), true) FROM sbp_banks WHERE place IS NOT NULL"""),
        {"id": bank_member_id},
    )
    return bool(found)


async def add_payout(session: Session, payout: BuyerPayout) -> None:
    """Keep a payout that the bank will be asked for at once."""
    await session.execute(
        text("""INSERT INTO buyer_payouts (id, merchant_id, member_id, phone, phone_mask, bank_member_id,
                                           amount_kopecks, purpose, hold_id, next_try_at, created_at)
                VALUES (:id, :merchant_id, :member_id, :phone, :phone_mask, :bank_member_id, :amount, :purpose,
                        :hold_id, :created_at, :created_at)"""),
        {
            "id": payout.id,
            "merchant_id": payout.merchant_id,
            "member_id": payout.member_id,
            "phone": payout.phone,
            "phone_mask": payout.phone_mask,
            "bank_member_id": payout.bank_member_id,
            "amount": int(payout.amount),
            "purpose": payout.purpose,
            "hold_id": payout.hold_id,
            "created_at": payout.created_at,
        },
    )


async def take_due(session: Session, *, now: datetime, lease_until: datetime) -> list[BuyerPayout]:
    """Take payouts whose next try has come; nobody else gets them before ``lease_until``.

    Those never tried are asked for now, and it is written down that they are.
    Locks: the payouts it takes, skipping those that another worker takes at this moment.
    """
    rows = await session.execute(
        text(f"""
            UPDATE buyer_payouts AS p SET next_try_at = :lease_until, tries = p.tries + 1,
                   asked_at = coalesce(p.asked_at, :now)
             WHERE p.id IN (SELECT id FROM buyer_payouts WHERE next_try_at <= :now
                             ORDER BY next_try_at LIMIT :limit FOR UPDATE SKIP LOCKED)
            RETURNING {_PAYOUT}
        """),  # noqa: S608  # our own column list
        {"now": now, "lease_until": lease_until, "limit": SEND_BATCH_MAX},
    )
    return [_payout(row) for row in rows]


async def ask_again(session: Session, payout: BuyerPayout, *, now: datetime) -> bool:
    """Write down that the bank is asked to pay once more; False if somebody else was first. Locks: the payout."""
    result = await session.execute(
        text("""UPDATE buyer_payouts SET asked_at = :now
                 WHERE id = :id AND asked_at = :asked_at AND tries = :tries AND phone IS NOT NULL"""),
        {"id": payout.id, "asked_at": payout.asked_at, "tries": payout.tries, "now": now},
    )
    return result.rowcount == 1


async def keep_refusal(session: Session, payout: BuyerPayout, reason: str) -> None:
    """Write down that a repeated request was refused, unless the payout has moved on since. Locks: the payout."""
    await session.execute(
        text("""UPDATE buyer_payouts SET reason = :reason
                 WHERE id = :id AND tries = :tries AND phone IS NOT NULL"""),
        {"id": payout.id, "tries": payout.tries, "reason": reason},
    )


async def lock_payout(session: Session, payout_id: str) -> BuyerPayout:
    """The payout, locked. Raises: BuyerPayoutNotFound. Locks: the payout."""
    return await _one(session, payout_id, "FOR NO KEY UPDATE")


async def load_payout(session: Session, payout_id: str) -> BuyerPayout:
    """The payout. Raises: BuyerPayoutNotFound."""
    return await _one(session, payout_id, "")


async def _one(session: Session, payout_id: str, lock: str) -> BuyerPayout:
    row = (
        await session.execute(
            text(f"SELECT {_PAYOUT} FROM buyer_payouts AS p WHERE p.id = :id {lock}"),  # noqa: S608  # our own words
            {"id": payout_id},
        )
    ).first()
    if row is None:
        raise BuyerPayoutNotFound(payout_id=payout_id)
    return _payout(row)


async def save_payout(session: Session, payout: BuyerPayout, *, next_try_at: datetime | None) -> None:
    """Keep the new status of a locked payout."""
    await session.execute(
        text("""UPDATE buyer_payouts SET status = :status, phone = :phone, entry_id = :entry_id, reason = :reason,
                       finished_at = :finished_at, next_try_at = :next_try_at WHERE id = :id"""),
        {
            "id": payout.id,
            "status": payout.status.value,
            "phone": payout.phone,
            "entry_id": payout.entry_id,
            "reason": payout.reason,
            "finished_at": payout.finished_at,
            "next_try_at": next_try_at,
        },
    )


async def list_payouts(
    session: Session, *, merchant_id: str | None = None, status: BuyerPayoutStatus | None = None, after: str = "",
    limit: int = PAGE_MAX,
) -> tuple[list[BuyerPayout], bool]:  # fmt: skip
    """Payouts to buyers by id, and whether there are more."""
    rows = await session.execute(
        text(f"""SELECT {_PAYOUT} FROM buyer_payouts AS p
                  WHERE p.id > :after AND (CAST(:merchant_id AS text) IS NULL OR p.merchant_id = :merchant_id)
                    AND (CAST(:status AS text) IS NULL OR p.status = :status)
                  ORDER BY p.id LIMIT :limit"""),  # noqa: S608  # our own column list
        {"after": after, "merchant_id": merchant_id, "status": status, "limit": limit + 1},
    )
    found = [_payout(row) for row in rows]
    return found[:limit], len(found) > limit


def _payout(row: Row[Any]) -> BuyerPayout:
    return BuyerPayout(
        id=row.id,
        merchant_id=row.merchant_id,
        member_id=row.member_id,
        phone=row.phone,
        phone_mask=row.phone_mask,
        bank_member_id=row.bank_member_id,
        amount=Kopecks(row.amount_kopecks),
        purpose=row.purpose,
        status=BuyerPayoutStatus(row.status),
        hold_id=row.hold_id,
        entry_id=row.entry_id,
        tries=row.tries,
        asked_at=row.asked_at,
        reason=row.reason,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
