"""Rows of payments by card and their refunds turned into values and back.

Locks: the payment first, then its order and attempt, then accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from checkout.card_payments import (
    VOID_REFUSED,
    CardPayment,
    CardPaymentStatus,
    CardRefund,
    CardRefundStatus,
    Initiator,
)
from checkout.errors import CardPaymentNotFound, CardRefundNotFound
from ledger.database import Session, text
from ledger.money import Kopecks

PAGE_MAX = 200
"""Payments or refunds on one page."""
LOOK_BATCH_MAX = 20
"""Payments the worker takes at once: each is a call to the vault."""
WITHDRAWN_MAX = 100

_PAYMENT = {
    "id": "id", "merchant_id": "merchant_id", "attempt_id": "attempt_id", "first_payment_id": "first_payment_id",
    "card_token": "card_token", "card_mask": "card_mask", "amount": "amount_kopecks", "capture": "capture_kopecks",
    "captured": "captured_kopecks", "refunded": "refund_kopecks", "fee": "fee_kopecks",
    "is_captured_at_once": "is_captured_at_once", "initiator": "initiator",
    "is_credential_kept": "is_credential_kept", "status": "status", "reason": "reason",
    "acquirer_id": "acquirer_id", "rrn": "rrn", "approval_code": "approval_code", "entry_id": "entry_id",
    "looks": "looks", "next_look_at": "next_look_at", "created_at": "created_at", "captured_at": "captured_at",
    "ended_at": "ended_at", "version": "version",
}  # fmt: skip
"""A payment's fields and their columns."""
_REFUND = {
    "id": "id", "payment_id": "payment_id", "merchant_id": "merchant_id", "amount": "amount_kopecks",
    "fee_billed": "fee_billed_kopecks", "reason": "reason", "status": "status", "refusal": "refusal", "rrn": "rrn",
    "hold_id": "hold_id", "fee_hold_id": "fee_hold_id", "entry_id": "entry_id", "looks": "looks",
    "next_look_at": "next_look_at", "created_at": "created_at", "ended_at": "ended_at",
}  # fmt: skip
_FIXED = frozenset({
    "id", "merchant_id", "attempt_id", "first_payment_id", "card_token", "amount", "is_captured_at_once", "initiator",
    "is_credential_kept", "created_at", "payment_id",
})  # fmt: skip
"""What never changes."""


def _columns(fields: dict[str, str]) -> str:
    return ", ".join(f"p.{column} AS {name}" for name, column in fields.items())


def _insert(table: str, fields: dict[str, str]) -> str:
    names = ", ".join(fields.values()), ", ".join(f":{name}" for name in fields)
    return f"INSERT INTO {table} ({names[0]}) VALUES ({names[1]})"  # noqa: S608  # our own names


def _update(table: str, fields: dict[str, str]) -> str:
    changed = ", ".join(f"{column} = :{name}" for name, column in fields.items() if name not in _FIXED)
    return f"UPDATE {table} SET {changed} WHERE id = :id"  # noqa: S608  # our own names


def _plain(value: CardPayment | CardRefund) -> dict[str, Any]:
    return {
        name: part.value if isinstance(part, StrEnum) else int(part) if isinstance(part, Kopecks) else part
        for name, part in asdict(value).items()
    }


async def add_payment(session: Session, payment: CardPayment) -> None:
    """Keep a new payment."""
    await session.execute(text(_insert("card_payments", _PAYMENT)), _plain(payment))


async def save_payment(session: Session, payment: CardPayment) -> None:
    """Keep a locked payment as it has become."""
    await session.execute(text(_update("card_payments", _PAYMENT)), _plain(payment))


async def find_payment(session: Session, payment_id: str, *, lock: bool = False) -> CardPayment | None:
    """The payment, or nothing. Locks: the payment, if asked to."""
    found = await _payments(session, "p.id = :id", {"id": payment_id}, "FOR NO KEY UPDATE" if lock else "")
    return found[0] if found else None


async def load_payment(
    session: Session, payment_id: str, *, merchant_id: str | None = None, lock: bool = False
) -> CardPayment:
    """The payment. Raises: CardPaymentNotFound, also when it is another merchant's. Locks: it, if asked to."""
    found = await find_payment(session, payment_id, lock=lock)
    if found is None or merchant_id not in (None, found.merchant_id):
        raise CardPaymentNotFound(payment_id=payment_id)
    return found


async def list_payments(
    session: Session, *, merchant_id: str | None, status: CardPaymentStatus | None, after: str = "", limit: int
) -> tuple[list[CardPayment], bool]:
    """Payments by id (that is, by when they were made), and whether there are more."""
    found = await _payments(
        session,
        """p.id > :after AND (CAST(:merchant_id AS text) IS NULL OR p.merchant_id = :merchant_id)
           AND (CAST(:status AS text) IS NULL OR p.status = :status)""",
        {"after": after, "merchant_id": merchant_id, "status": status},
        f"ORDER BY p.id LIMIT {int(limit) + 1}",
    )
    return found[:limit], len(found) > limit


async def take_due_payments(session: Session, *, now: datetime, lease_until: datetime) -> list[CardPayment]:
    """Payments the vault must be asked about; nobody else gets them before ``lease_until``.

    Locks: those it takes, skipping those that another worker takes at this moment.
    """
    rows = await session.execute(
        text(f"""UPDATE card_payments AS p SET next_look_at = :lease_until, looks = p.looks + 1
                  WHERE p.id IN (SELECT id FROM card_payments WHERE next_look_at <= :now
                                  ORDER BY next_look_at LIMIT :limit FOR UPDATE SKIP LOCKED)
              RETURNING {_columns(_PAYMENT)}"""),  # noqa: S608  # our own column list
        {"now": now, "lease_until": lease_until, "limit": LOOK_BATCH_MAX},
    )
    return [_payment(row) for row in rows]


async def lock_withdrawn(session: Session) -> list[CardPayment]:
    """Money held for attempts that are over, unless it cannot be let go. Locks: the payments."""
    return await _payments(
        session,
        """p.status = 'authorised' AND p.reason IS DISTINCT FROM :void_refused AND EXISTS (
               SELECT FROM attempts AS a WHERE a.id = p.attempt_id AND a.status IN ('expired', 'rejected'))""",
        {"void_refused": VOID_REFUSED},
        f"LIMIT {WITHDRAWN_MAX} FOR UPDATE SKIP LOCKED",
    )


async def _payments(session: Session, condition: str, values: dict[str, Any], tail: str) -> list[CardPayment]:
    rows = await session.execute(
        text(f"SELECT {_columns(_PAYMENT)} FROM card_payments AS p WHERE {condition} {tail}"),  # noqa: S608
        values,
    )
    return [_payment(row) for row in rows]


async def add_refund(session: Session, refund: CardRefund) -> None:
    """Keep a new refund of a locked payment."""
    await session.execute(text(_insert("card_refunds", _REFUND)), _plain(refund))


async def save_refund(session: Session, refund: CardRefund) -> None:
    """Keep a refund as it has become; its payment is locked."""
    await session.execute(text(_update("card_refunds", _REFUND)), _plain(refund))


async def find_refund(session: Session, refund_id: str) -> CardRefund | None:
    """The refund, or nothing."""
    found = await _refunds(session, "p.id = :id", {"id": refund_id})
    return found[0] if found else None


async def load_refund(session: Session, refund_id: str, *, merchant_id: str | None = None) -> CardRefund:
    """The refund. Raises: CardRefundNotFound, also when it is another merchant's."""
    found = await find_refund(session, refund_id)
    if found is None or merchant_id not in (None, found.merchant_id):
        raise CardRefundNotFound(refund_id=refund_id)
    return found


async def list_refunds(
    session: Session, *, payment_ids: Sequence[str] | None, merchant_id: str | None,
    status: CardRefundStatus | None = None, after: str = "", limit: int = PAGE_MAX,
) -> list[CardRefund]:  # fmt: skip
    """Refunds by id, one more than asked for when there are more."""
    return await _refunds(
        session,
        """p.id > :after AND (CAST(:merchant_id AS text) IS NULL OR p.merchant_id = :merchant_id)
           AND (CAST(:status AS text) IS NULL OR p.status = :status)
           AND (CAST(:payments AS text[]) IS NULL OR p.payment_id = ANY(CAST(:payments AS text[])))""",
        {
            "after": after, "merchant_id": merchant_id, "status": status,
            "payments": None if payment_ids is None else list(payment_ids),
        },
        f"ORDER BY p.id LIMIT {int(limit) + 1}",
    )  # fmt: skip


async def take_due_refunds(session: Session, *, now: datetime, lease_until: datetime) -> list[CardRefund]:
    """Refunds the vault must be asked about; nobody else gets them before ``lease_until``. Locks: as of payments."""
    rows = await session.execute(
        text(f"""UPDATE card_refunds AS p SET next_look_at = :lease_until, looks = p.looks + 1
                  WHERE p.id IN (SELECT id FROM card_refunds WHERE next_look_at <= :now
                                  ORDER BY next_look_at LIMIT :limit FOR UPDATE SKIP LOCKED)
              RETURNING {_columns(_REFUND)}"""),  # noqa: S608  # our own column list
        {"now": now, "lease_until": lease_until, "limit": LOOK_BATCH_MAX},
    )
    return [_refund(row) for row in rows]


async def refunded_by_payment(session: Session, payment_ids: Sequence[str]) -> dict[str, int]:
    """Kopecks that buyers have back, of payments any of which was refunded."""
    rows = await session.execute(
        text("""SELECT payment_id, CAST(sum(amount_kopecks) AS bigint) AS kopecks FROM card_refunds
                 WHERE status = 'succeeded' AND payment_id = ANY(CAST(:ids AS text[])) GROUP BY payment_id"""),
        {"ids": list(payment_ids)},
    )
    return {row.payment_id: row.kopecks for row in rows}


async def fee_billed_before(session: Session, payment_id: str) -> Kopecks:
    """What of the payment's fee was billed with refunds that did not come to nothing."""
    billed = await session.scalar(
        text("""SELECT CAST(coalesce(sum(fee_billed_kopecks), 0) AS bigint) FROM card_refunds
                 WHERE payment_id = :id AND status <> 'refused'"""),
        {"id": payment_id},
    )
    return Kopecks(billed or 0)


async def _refunds(session: Session, condition: str, values: dict[str, Any], tail: str = "") -> list[CardRefund]:
    rows = await session.execute(
        text(f"SELECT {_columns(_REFUND)} FROM card_refunds AS p WHERE {condition} {tail}"),  # noqa: S608
        values,
    )
    return [_refund(row) for row in rows]


def _payment(row: Row[Any]) -> CardPayment:
    found = dict(row._mapping)
    money = {name: Kopecks(found[name]) for name in ("amount", "captured", "refunded", "fee")}
    capture = None if row.capture is None else Kopecks(row.capture)
    words = {"status": CardPaymentStatus(row.status), "initiator": Initiator(row.initiator), "capture": capture}
    return CardPayment(**found | money | words)


def _refund(row: Row[Any]) -> CardRefund:
    money = {"amount": Kopecks(row.amount), "fee_billed": Kopecks(row.fee_billed)}
    return CardRefund(**dict(row._mapping) | money | {"status": CardRefundStatus(row.status)})
