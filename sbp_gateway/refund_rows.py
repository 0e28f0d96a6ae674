"""Rows of refunds turned into values and back. Payments are locked before refunds, refunds before accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from ledger.database import Session, text
from ledger.money import Kopecks
from sbp_gateway.errors import PaymentNotFound, RefundNotFound
from sbp_gateway.merchants import SettlementMode
from sbp_gateway.refunds import DAY_WAIT, Refund, RefundablePayment, RefundStatus, RefundTry

PAGE_MAX = 200
"""Refunds on one page."""
LOOK_BATCH_MAX = 20
"""Refunds, or late payments, that a worker takes at once: each is a call of its own."""

_REFUND = """r.id, r.payment_id, r.merchant_id, r.amount_kopecks, r.fee_returned_kopecks, r.fee_billed_kopecks,
    r.reason, r.is_automatic,
    r.status, r.agent_request_id, r.opkc_request_id, r.trx_id, r.payee_mask, r.refusal_code, r.refusal_message,
    r.hold_id, r.fee_hold_id, r.entry_id, r.tries, r.looks, r.asked_at, r.created_at, r.ended_at"""

_PAYMENT = """
    SELECT p.id, p.attempt_id, p.merchant_id, coalesce(g.nspk_merchant_id, m.nspk_merchant_id) AS nspk_merchant_id,
           coalesce(g.member_id, p.member_id, m.member_id) AS member_id,
           coalesce(q.qrc_id, l.qrc_id, s.qrc_id) AS qrc_id, p.trx_id, p.kzo, p.amount_kopecks, p.fee_kopecks,
           p.is_late, p.settlement_mode, p.refund_kopecks, p.next_refund_at,
           a.params_id
      FROM sbp_payments AS p JOIN sbp_merchants AS m ON m.merchant_id = p.merchant_id
      LEFT JOIN sbp_registrations AS g ON g.id = p.registration_id
      LEFT JOIN cash_link_activations AS a ON a.id = p.activation_id
      LEFT JOIN sbp_unmatched_payments AS u ON u.id = p.unmatched_payment_id
      LEFT JOIN qr_codes AS q ON q.id = coalesce(p.qr_id, u.qr_id)
      LEFT JOIN cash_links AS l ON l.id = coalesce(a.cash_link_id, u.cash_link_id)
      LEFT JOIN sbp_stickers AS s ON s.id = u.sticker_id"""


async def lock_payment(session: Session, payment_id: str, *, merchant_id: str | None = None) -> RefundablePayment:
    """The payment, locked, if it is of the merchant given. Raises: PaymentNotFound. Locks: the payment."""
    row = (
        await session.execute(
            text(f"""{_PAYMENT} WHERE p.id = :id AND (CAST(:merchant_id AS text) IS NULL
                        OR p.merchant_id = :merchant_id) FOR NO KEY UPDATE OF p"""),
            {"id": payment_id, "merchant_id": merchant_id},
        )
    ).first()
    if row is None:
        raise PaymentNotFound(payment_id=payment_id)
    return _payment(row)


async def load_payment(session: Session, payment_id: str) -> RefundablePayment:
    """The payment as it is now. Raises: PaymentNotFound."""
    row = (await session.execute(text(f"{_PAYMENT} WHERE p.id = :id"), {"id": payment_id})).first()
    if row is None:
        raise PaymentNotFound(payment_id=payment_id)
    return _payment(row)


async def take_late_payments(session: Session, *, now: datetime, lease_until: datetime) -> list[str]:
    """Take late payments whose refund is due; nobody else gets them before ``lease_until``.

    Locks: the payments it takes, skipping those that another worker takes at this moment.
    """
    rows = await session.scalars(
        text("""UPDATE sbp_payments SET next_refund_at = :lease_until
                 WHERE id IN (SELECT id FROM sbp_payments WHERE next_refund_at <= :now
                               ORDER BY next_refund_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
                RETURNING id"""),
        {"now": now, "lease_until": lease_until, "limit": LOOK_BATCH_MAX},
    )
    return list(rows.all())


async def plan_late_refund(session: Session, payment_id: str, at: datetime | None) -> None:
    """Say when a late payment is refunded next; nothing when it is no more."""
    await session.execute(
        text("UPDATE sbp_payments SET next_refund_at = :at WHERE id = :id AND is_late"),
        {"id": payment_id, "at": at},
    )


async def add_refund(session: Session, refund: Refund, *, next_look_at: datetime) -> None:
    """Keep a new refund and count it on its locked payment. Locks: the payment."""
    await session.execute(
        text("""
            WITH counted AS (
                UPDATE sbp_payments SET refund_kopecks = refund_kopecks + :amount WHERE id = :payment_id
            )
            INSERT INTO sbp_refunds (id, payment_id, merchant_id, amount_kopecks, fee_returned_kopecks,
                                     fee_billed_kopecks, reason, is_automatic, agent_request_id, hold_id, fee_hold_id,
                                     next_look_at, created_at)
            VALUES (:id, :payment_id, :merchant_id, :amount, :fee_returned, :fee_billed, :reason, :is_automatic,
                    :agent_request_id, :hold_id, :fee_hold_id, :next_look_at, :created_at)
        """),
        {
            "id": refund.id,
            "payment_id": refund.payment_id,
            "merchant_id": refund.merchant_id,
            "amount": int(refund.amount),
            "fee_returned": int(refund.fee_returned),
            "fee_billed": int(refund.fee_billed),
            "reason": refund.reason,
            "is_automatic": refund.is_automatic,
            "agent_request_id": refund.agent_request_id,
            "hold_id": refund.hold_id,
            "fee_hold_id": refund.fee_hold_id,
            "next_look_at": next_look_at,
            "created_at": refund.created_at,
        },
    )


async def save_refund(session: Session, refund: Refund, *, next_look_at: datetime | None) -> None:
    """Keep what a locked refund has become."""
    await session.execute(
        text("""UPDATE sbp_refunds SET status = :status, opkc_request_id = :opkc_request_id, trx_id = :trx_id,
                       payee_mask = :payee_mask, refusal_code = :refusal_code, refusal_message = :refusal_message,
                       entry_id = :entry_id, tries = :tries, looks = :looks, asked_at = :asked_at,
                       ended_at = :ended_at, next_look_at = :next_look_at
                 WHERE id = :id"""),
        {
            "id": refund.id,
            "status": refund.status.value,
            "opkc_request_id": refund.opkc_request_id,
            "trx_id": refund.trx_id,
            "payee_mask": refund.payee_mask,
            "refusal_code": refund.refusal_code,
            "refusal_message": refund.refusal_message,
            "entry_id": refund.entry_id,
            "tries": refund.tries,
            "looks": refund.looks,
            "asked_at": refund.asked_at,
            "ended_at": refund.ended_at,
            "next_look_at": next_look_at,
        },
    )


async def uncount(session: Session, refund: Refund) -> None:
    """Let the amount of a refused refund be refunded again. Locks: the payment, locked before the refund."""
    await session.execute(
        text("UPDATE sbp_payments SET refund_kopecks = refund_kopecks - :amount WHERE id = :id"),
        {"id": refund.payment_id, "amount": int(refund.amount)},
    )


async def keep_kzo(session: Session, payment_id: str, kzo: str) -> None:
    """Keep the control value of a payment that came without one. Locks: the payment."""
    await session.execute(
        text("UPDATE sbp_payments SET kzo = :kzo WHERE id = :id AND kzo IS NULL"), {"id": payment_id, "kzo": kzo}
    )


async def tries_of(session: Session, payment_id: str, now: datetime) -> list[RefundTry]:
    """When NSPK was asked to refund a payment, as far back as its limits look."""
    return (await tries_of_payments(session, [payment_id], now)).get(payment_id, [])


async def tries_of_payments(session: Session, payment_ids: Sequence[str], now: datetime) -> dict[str, list[RefundTry]]:
    """The same of several payments; those that were not asked about are left out."""
    rows = await session.execute(
        text("""SELECT payment_id, asked_at, is_unheard FROM sbp_refund_tries
                 WHERE payment_id = ANY(CAST(:ids AS text[])) AND asked_at > :since"""),
        {"ids": list(payment_ids), "since": now - DAY_WAIT},
    )
    found: dict[str, list[RefundTry]] = {}
    for row in rows:
        found.setdefault(row.payment_id, []).append(RefundTry(row.asked_at, row.is_unheard))
    return found


async def add_try(session: Session, refund: Refund, *, now: datetime) -> None:
    """Write down that NSPK is about to be asked. The payment is locked."""
    await session.execute(
        text("""INSERT INTO sbp_refund_tries (payment_id, number, refund_id, asked_at)
                SELECT :payment_id, 1 + coalesce(max(number), 0), :refund_id, CAST(:now AS timestamptz)
                  FROM sbp_refund_tries WHERE payment_id = :payment_id"""),
        {"payment_id": refund.payment_id, "refund_id": refund.id, "now": now},
    )


async def mark_unheard(session: Session, refund: Refund) -> None:
    """Write down that NSPK never heard what it was asked of this refund."""
    await session.execute(
        text("UPDATE sbp_refund_tries SET is_unheard = true WHERE refund_id = :id AND NOT is_unheard"),
        {"id": refund.id},
    )


async def lock_refund(session: Session, refund_id: str) -> Refund:
    """The refund, locked after its payment. Raises: RefundNotFound. Locks: the payment, then the refund."""
    payment_id = await session.scalar(text("SELECT payment_id FROM sbp_refunds WHERE id = :id"), {"id": refund_id})
    if payment_id is None:
        raise RefundNotFound(refund_id=refund_id)
    await session.execute(text("SELECT FROM sbp_payments WHERE id = :id FOR NO KEY UPDATE"), {"id": payment_id})
    found = await _one(session, refund_id, None, "FOR NO KEY UPDATE")
    assert found is not None
    return found


async def load_refund(session: Session, refund_id: str, *, merchant_id: str | None = None) -> Refund:
    """The refund, if it is of the merchant given. Raises: RefundNotFound."""
    found = await find_refund(session, refund_id, merchant_id=merchant_id)
    if found is None:
        raise RefundNotFound(refund_id=refund_id)
    return found


async def find_refund(session: Session, refund_id: str, *, merchant_id: str | None = None) -> Refund | None:
    """The refund, or nothing."""
    return await _one(session, refund_id, merchant_id, "")


async def find_by_request(session: Session, agent_request_id: str) -> Refund | None:
    """The refund that we asked for under this id of ours, or nothing."""
    row = (
        await session.execute(
            text(f"SELECT {_REFUND} FROM sbp_refunds AS r WHERE r.agent_request_id = :id"),  # noqa: S608  # our own column list
            {"id": agent_request_id},
        )
    ).first()
    return None if row is None else _refund(row)


async def _one(session: Session, refund_id: str, merchant_id: str | None, lock: str) -> Refund | None:
    row = (
        await session.execute(
            text(f"""SELECT {_REFUND} FROM sbp_refunds AS r WHERE r.id = :id
                        AND (CAST(:merchant_id AS text) IS NULL OR r.merchant_id = :merchant_id) {lock}"""),  # noqa: S608  # our own words
            {"id": refund_id, "merchant_id": merchant_id},
        )
    ).first()
    return None if row is None else _refund(row)


async def take_due_refunds(session: Session, *, now: datetime, lease_until: datetime) -> list[Refund]:
    """Take refunds whose time to be looked at has come; nobody else gets them before ``lease_until``.

    Locks: the refunds it takes, skipping those that another worker takes at this moment.
    """
    rows = await session.execute(
        text(f"""
            UPDATE sbp_refunds AS r SET next_look_at = :lease_until, looks = r.looks + 1
             WHERE r.id IN (SELECT id FROM sbp_refunds WHERE next_look_at <= :now
                             ORDER BY next_look_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
            RETURNING {_REFUND}
        """),  # noqa: S608  # our own column list
        {"now": now, "lease_until": lease_until, "limit": LOOK_BATCH_MAX},
    )
    return [_refund(row) for row in rows]


async def refunds_of_payment(session: Session, payment_id: str) -> list[Refund]:
    """Every refund of a payment, oldest first: at most a few a day."""
    rows = await session.execute(
        text(f"SELECT {_REFUND} FROM sbp_refunds AS r WHERE r.payment_id = :id ORDER BY r.id"),  # noqa: S608  # our own column list
        {"id": payment_id},
    )
    return [_refund(row) for row in rows]


async def refunded_by_payment(session: Session, payment_ids: Sequence[str]) -> dict[str, int]:
    """Kopecks that buyers have back, by payment. Payments without refunds are left out."""
    rows = await session.execute(
        text("""SELECT payment_id, sum(amount_kopecks) AS kopecks FROM sbp_refunds
                 WHERE payment_id = ANY(CAST(:ids AS text[])) AND status = 'succeeded' GROUP BY payment_id"""),
        {"ids": list(payment_ids)},
    )
    return {row.payment_id: int(row.kopecks) for row in rows}


async def payments_of_attempts(session: Session, attempt_ids: Sequence[str]) -> list[str]:
    """Every payment that came for these attempts, late ones too."""
    rows = await session.scalars(
        text("SELECT id FROM sbp_payments WHERE attempt_id = ANY(CAST(:ids AS text[])) ORDER BY id"),
        {"ids": list(attempt_ids)},
    )
    return list(rows.all())


async def attempts_of_payments(session: Session, payment_ids: Sequence[str]) -> dict[str, str]:
    """The attempt that each payment came for; payments of no order are left out."""
    rows = await session.execute(
        text("""SELECT id, attempt_id FROM sbp_payments
                 WHERE id = ANY(CAST(:ids AS text[])) AND attempt_id IS NOT NULL"""),
        {"ids": list(payment_ids)},
    )
    return {row.id: row.attempt_id for row in rows}


async def list_refunds(
    session: Session, *, payment_ids: Sequence[str] | None = None, merchant_id: str | None = None,
    status: RefundStatus | None = None, after: str = "", limit: int = PAGE_MAX,
) -> tuple[list[Refund], bool]:  # fmt: skip
    """Refunds by id, and whether there are more."""
    rows = await session.execute(
        text(f"""SELECT {_REFUND} FROM sbp_refunds AS r
                  WHERE r.id > :after
                    AND (CAST(:payments AS text[]) IS NULL OR r.payment_id = ANY(CAST(:payments AS text[])))
                    AND (CAST(:merchant_id AS text) IS NULL OR r.merchant_id = :merchant_id)
                    AND (CAST(:status AS text) IS NULL OR r.status = :status)
                  ORDER BY r.id LIMIT :limit"""),  # noqa: S608  # our own column list
        {
            "payments": None if payment_ids is None else list(payment_ids),
            "merchant_id": merchant_id,
            "status": status,
            "after": after,
            "limit": limit + 1,
        },
    )
    found = [_refund(row) for row in rows]
    return found[:limit], len(found) > limit


def _payment(row: Row[Any]) -> RefundablePayment:
    return RefundablePayment(
        id=row.id,
        attempt_id=row.attempt_id,
        merchant_id=row.merchant_id,
        nspk_merchant_id=row.nspk_merchant_id,
        member_id=row.member_id,
        qrc_id=row.qrc_id,
        trx_id=row.trx_id,
        kzo=row.kzo,
        amount=Kopecks(row.amount_kopecks),
        fee=Kopecks(row.fee_kopecks),
        is_late=row.is_late,
        settlement_mode=SettlementMode(row.settlement_mode),
        refund_kopecks=Kopecks(row.refund_kopecks),
        is_refund_planned=row.next_refund_at is not None,
        params_id=row.params_id,
    )


def _refund(row: Row[Any]) -> Refund:
    found = dict(row._mapping) | {"status": RefundStatus(row.status)}
    for name in ("amount", "fee_returned", "fee_billed"):
        found[name] = Kopecks(found.pop(f"{name}_kopecks"))
    return Refund(**found)
