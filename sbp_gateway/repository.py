"""Rows of the SBP rail turned into values and back. Codes are locked before orders and attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from ledger.database import Session, text
from ledger.money import Kopecks
from sbp_gateway.merchants import SbpMerchant, SettlementMode
from sbp_gateway.payments import AcceptedOperation, Payment
from sbp_gateway.qr_codes import QrCode, QrStatus

RESUME_BATCH_MAX = 20
"""Lost registrations a worker takes at once: each is a call of its own."""

_MERCHANT = """m.merchant_id, m.nspk_merchant_id, m.member_id, m.bank_account, m.settlement_mode, m.registration_id,
    r.tariff_group"""
_QR = """q.id, q.attempt_id, q.merchant_id, q.amount_kopecks, q.purpose, q.status, q.qrc_id, q.payload,
    q.requested_at, q.expires_at, q.polls"""


async def merchants_by_id(session: Session, merchant_ids: Sequence[str]) -> dict[str, SbpMerchant]:
    """The merchants among ``merchant_ids`` that NSPK knows, by the registrations they use now."""
    rows = await session.execute(
        text(f"""SELECT {_MERCHANT} FROM sbp_merchants AS m LEFT JOIN sbp_registrations AS r ON r.id = m.registration_id
                  WHERE m.merchant_id = ANY(CAST(:ids AS text[]))"""),  # noqa: S608  # our own column list
        {"ids": list(merchant_ids)},
    )
    return {row.merchant_id: _merchant(row) for row in rows}


async def collecting_members(session: Session, merchant_ids: Sequence[str]) -> dict[str, str]:
    """The bank that holds the money we owe to each merchant: of its collected registration, in use or the last.

    Merchants whose money was never collected are left out: nothing of theirs is with us.
    """
    rows = await session.execute(
        text("""
            SELECT m.merchant_id, coalesce(r.member_id, m.member_id) AS member_id
              FROM sbp_merchants AS m
              LEFT JOIN LATERAL (
                   SELECT member_id FROM sbp_registrations AS r
                    WHERE r.merchant_id = m.merchant_id AND r.settlement_mode = 'collected' AND r.member_id IS NOT NULL
                    ORDER BY r.id = m.registration_id DESC, r.registered_at DESC LIMIT 1) AS r ON true
             WHERE m.merchant_id = ANY(CAST(:ids AS text[]))
               AND (r.member_id IS NOT NULL OR m.settlement_mode = 'collected')
        """),
        {"ids": list(merchant_ids)},
    )
    return {row.merchant_id: row.member_id for row in rows}


async def live_merchant(session: Session, merchant_id: str) -> SbpMerchant | None:
    """The merchant, if it may take payments now."""
    row = (
        await session.execute(
            text(f"""SELECT {_MERCHANT} FROM sbp_merchants AS m
                       LEFT JOIN sbp_registrations AS r ON r.id = m.registration_id
                      WHERE m.merchant_id = :id AND m.is_live"""),  # noqa: S608  # our own column list
            {"id": merchant_id},
        )
    ).first()
    return None if row is None else _merchant(row)


async def merchants_of_operations(session: Session, operations: Sequence[AcceptedOperation]) -> list[SbpMerchant]:
    """The merchant of each operation, by the registration that its code was asked for by.

    A code asked for before registrations were kept belongs to the merchant's first, whose id follows the
    merchant's. A plate belongs to the registration of its account; money that waited for a person
    keeps to the settlement mode it was booked by.
    """
    rows = await session.execute(
        text("""
            SELECT m.merchant_id, coalesce(r.nspk_merchant_id, m.nspk_merchant_id) AS nspk_merchant_id,
                   coalesce(r.member_id, m.member_id) AS member_id,
                   coalesce(r.bank_account, m.bank_account) AS bank_account,
                   coalesce(u.settlement_mode, r.settlement_mode, m.settlement_mode) AS settlement_mode,
                   r.id AS registration_id, r.tariff_group
              FROM unnest(CAST(:merchants AS text[]), CAST(:codes AS text[]), CAST(:activations AS text[]),
                          CAST(:unmatched AS text[]))
                   WITH ORDINALITY AS o (merchant_id, qr_id, activation_id, unmatched_id, n)
              JOIN sbp_merchants AS m ON m.merchant_id = o.merchant_id
              LEFT JOIN cash_link_activations AS a ON a.id = o.activation_id
              LEFT JOIN sbp_unmatched_payments AS u ON u.id = o.unmatched_id
              LEFT JOIN qr_codes AS q ON q.id = coalesce(o.qr_id, u.qr_id)
              LEFT JOIN cash_links AS l ON l.id = coalesce(a.cash_link_id, u.cash_link_id)
              LEFT JOIN sbp_registrations AS r ON r.id = CASE
                   WHEN u.registration_id IS NOT NULL THEN u.registration_id
                   WHEN q.id IS NOT NULL THEN coalesce(q.registration_id, 'sbr_' || substr(o.merchant_id, 5))
                   ELSE coalesce((
                        SELECT f.id FROM sbp_registrations AS f
                         WHERE f.merchant_id = o.merchant_id AND f.nspk_merchant_id IS NOT NULL
                           AND f.bank_account = coalesce(l.bank_account, f.bank_account)
                           AND f.settlement_mode = coalesce(u.settlement_mode, f.settlement_mode)
                         ORDER BY f.id = m.registration_id DESC, f.registered_at DESC LIMIT 1), m.registration_id) END
             ORDER BY o.n
        """),
        {
            "merchants": [operation.merchant_id for operation in operations],
            "codes": [operation.qr_id for operation in operations],
            "activations": [operation.activation_id for operation in operations],
            "unmatched": [operation.unmatched_payment_id for operation in operations],
        },
    )
    found = [_merchant(row) for row in rows]
    assert len(found) == len(operations)
    return found


async def merchant_of_link(
    session: Session, merchant_id: str, *, sticker_id: str | None, cash_link_id: str | None
) -> SbpMerchant:
    """The merchant of money that came by a link of many uses, by the link's registration and not the one in use.

    A sticker keeps its own; a plate belongs to that of its account.
    """
    rows = await session.execute(
        text("""
            SELECT m.merchant_id, coalesce(r.nspk_merchant_id, m.nspk_merchant_id) AS nspk_merchant_id,
                   coalesce(r.member_id, m.member_id) AS member_id,
                   coalesce(r.bank_account, m.bank_account) AS bank_account,
                   coalesce(r.settlement_mode, m.settlement_mode) AS settlement_mode,
                   r.id AS registration_id, r.tariff_group
              FROM sbp_merchants AS m
              LEFT JOIN sbp_stickers AS s ON s.id = :sticker_id
              LEFT JOIN cash_links AS l ON l.id = :cash_link_id
              LEFT JOIN sbp_registrations AS r ON r.id = coalesce(s.registration_id, (
                   SELECT f.id FROM sbp_registrations AS f
                    WHERE f.merchant_id = m.merchant_id AND f.nspk_merchant_id IS NOT NULL
                      AND f.bank_account = l.bank_account
                    ORDER BY f.id = m.registration_id DESC, f.registered_at DESC LIMIT 1), m.registration_id)
             WHERE m.merchant_id = :merchant_id
        """),
        {"merchant_id": merchant_id, "sticker_id": sticker_id, "cash_link_id": cash_link_id},
    )
    return _merchant(rows.one())


async def add_qr(session: Session, qr: QrCode, *, next_poll_at: datetime) -> SbpMerchant | None:
    """Keep a code that NSPK will be asked to register, and give its merchant; nothing if it may take no payments."""
    row = (
        await session.execute(
            text("""
                WITH merchant AS (
                    SELECT merchant_id, nspk_merchant_id, member_id, bank_account, settlement_mode, registration_id,
                           CAST(NULL AS text) AS tariff_group
                      FROM sbp_merchants WHERE merchant_id = :merchant_id AND is_live
                ), added AS (
                    INSERT INTO qr_codes (id, attempt_id, merchant_id, amount_kopecks, purpose, requested_at,
                                          expires_at, next_poll_at, registration_id)
                    SELECT :id, :attempt_id, merchant_id, :amount, :purpose, CAST(:requested_at AS timestamptz),
                           CAST(:expires_at AS timestamptz), CAST(:next_poll_at AS timestamptz), registration_id
                      FROM merchant
                )
                SELECT * FROM merchant
            """),
            {
                "id": qr.id,
                "attempt_id": qr.attempt_id,
                "merchant_id": qr.merchant_id,
                "amount": int(qr.amount),
                "purpose": qr.purpose,
                "requested_at": qr.requested_at,
                "expires_at": qr.expires_at,
                "next_poll_at": next_poll_at,
            },
        )
    ).first()
    return None if row is None else _merchant(row)


async def register_qr(session: Session, qr_id: str, qrc_id: str, payload: str, *, next_poll_at: datetime) -> bool:
    """Keep the link of a code that still waits for it. Locks: the code.

    It comes due after every window there is: one that came late to a window already gone would never be asked about.
    """
    return await _answer_qr(
        session,
        """status = 'registered', qrc_id = :qrc_id, payload = :payload, polls = 0,
           next_poll_at = greatest(CAST(:next_poll_at AS timestamptz),
               (SELECT max(through_at) + interval '1 microsecond' FROM sbp_poll_windows))""",
        {"id": qr_id, "qrc_id": qrc_id, "payload": payload, "next_poll_at": next_poll_at},
    )


async def refuse_qr(session: Session, qr_id: str, refusal: str) -> bool:
    """Keep NSPK's refusal of a code that still waits for its link. Locks: the code."""
    return await _answer_qr(
        session,
        "status = 'refused', refusal = :refusal, next_poll_at = NULL",
        {"id": qr_id, "refusal": refusal},
    )


async def abandon_qr(session: Session, qr_id: str) -> bool:
    """Give up a code whose answer was lost. Locks: the code."""
    return await _answer_qr(session, "status = 'abandoned', next_poll_at = NULL", {"id": qr_id})


async def hurry_qr(session: Session, qr_id: str, *, now: datetime) -> bool:
    """Let the worker look at once at a code whose answer was lost. Locks: the code."""
    return await _answer_qr(session, "next_poll_at = :now", {"id": qr_id, "now": now})


async def _answer_qr(session: Session, change: str, arguments: Mapping[str, Any]) -> bool:
    result = await session.execute(
        text(f"UPDATE qr_codes SET {change} WHERE id = :id AND status = 'requested'"),  # noqa: S608  # our own words
        arguments,
    )
    return result.rowcount == 1


async def lock_by_qrc_id(session: Session, qrc_ids: Sequence[str]) -> list[QrCode]:
    """Codes by NSPK's ids, locked. Locks: them, in the order of their ids."""
    rows = await session.execute(
        text(f"""SELECT {_QR} FROM qr_codes AS q WHERE q.qrc_id = ANY(CAST(:ids AS text[]))
                  ORDER BY q.id FOR NO KEY UPDATE"""),  # noqa: S608  # our own column list
        {"ids": list(qrc_ids)},
    )
    return [_qr(row) for row in rows]


async def known_qrc_ids(session: Session, qrc_ids: Sequence[str]) -> set[str]:
    """Which of NSPK's ids are of codes of ours."""
    rows = await session.scalars(
        text("SELECT qrc_id FROM qr_codes WHERE qrc_id = ANY(CAST(:ids AS text[]))"), {"ids": list(qrc_ids)}
    )
    return set(rows)


async def booked_operations(session: Session, trx_ids: Sequence[str]) -> set[str]:
    """Which of NSPK's operations are payments of ours already."""
    rows = await session.scalars(
        text("SELECT trx_id FROM sbp_payments WHERE trx_id = ANY(CAST(:ids AS text[]))"), {"ids": list(trx_ids)}
    )
    return set(rows)


async def find_qr(session: Session, qr_id: str) -> QrCode | None:
    """One code, whoever's it is."""
    rows = await session.execute(
        text(f"SELECT {_QR} FROM qr_codes AS q WHERE q.id = :id"),  # noqa: S608  # our own column list
        {"id": qr_id},
    )
    row = rows.first()
    return None if row is None else _qr(row)


async def shown_by_attempt(session: Session, attempt_ids: Sequence[str]) -> dict[str, QrCode]:
    """The code that each attempt shows, if it has one."""
    rows = await session.execute(
        text(f"""SELECT {_QR} FROM qr_codes AS q WHERE q.attempt_id = ANY(CAST(:ids AS text[]))
                    AND q.status NOT IN ('refused', 'abandoned')"""),  # noqa: S608  # our own column list
        {"ids": list(attempt_ids)},
    )
    return {row.attempt_id: _qr(row) for row in rows}


async def take_due(
    session: Session, status: QrStatus, *, now: datetime, lease_until: datetime, limit: int
) -> list[QrCode]:
    """Take codes whose time to be looked at has come; nobody else gets them before ``lease_until``.

    Locks: the codes it takes, skipping those that another worker takes at this moment.
    """
    rows = await session.execute(
        text(f"""
            UPDATE qr_codes AS q SET next_poll_at = :lease_until, polls = q.polls + 1
             WHERE q.id IN (SELECT id FROM qr_codes WHERE next_poll_at <= :now AND status = :status
                             ORDER BY next_poll_at LIMIT :limit FOR UPDATE SKIP LOCKED)
            RETURNING {_QR}
        """),  # noqa: S608  # our own column list
        {"now": now, "status": status.value, "lease_until": lease_until, "limit": limit},
    )
    return [_qr(row) for row in rows]


async def expire_codes(session: Session, qr_ids: Sequence[str]) -> None:
    """End locked codes that nobody paid."""
    await session.execute(
        text("""UPDATE qr_codes SET status = 'expired', next_poll_at = NULL
                 WHERE id = ANY(CAST(:ids AS text[])) AND status = 'registered'"""),
        {"ids": list(qr_ids)},
    )


async def add_payments(session: Session, payments: Sequence[Payment]) -> None:
    """Keep payments with their control values, and end their locked codes and activations."""
    result = await session.execute(
        text("""
            WITH added AS (
                INSERT INTO sbp_payments (id, qr_id, attempt_id, merchant_id, trx_id, kzo, amount_kopecks, fee_kopecks,
                                          registration_id, bank_fee_kopecks,
                                          is_late, entry_id, paid_at, recorded_at, settlement_mode, activation_id,
                                          unmatched_payment_id, member_id, payer_mask, next_refund_at)
                SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:qrs AS text[]), CAST(:attempts AS text[]),
                    CAST(:merchants AS text[]), CAST(:trxs AS text[]), CAST(:kzos AS text[]),
                    CAST(:amounts AS bigint[]), CAST(:fees AS bigint[]),
                    CAST(:registrations AS text[]), CAST(:bank_fees AS bigint[]), CAST(:lates AS boolean[]),
                    CAST(:entries AS uuid[]), CAST(:paid AS timestamptz[]), CAST(:recorded AS timestamptz[]),
                    CAST(:modes AS text[]), CAST(:activations AS text[]), CAST(:unmatched AS text[]),
                    CAST(:members AS text[]), CAST(:payers AS text[]), CAST(:refunds AS timestamptz[]))
            ), activations AS (
                UPDATE cash_link_activations SET status = 'paid', next_poll_at = NULL
                 WHERE id = ANY(CAST(:activations AS text[])) AND status IN ('waiting', 'deactivating', 'deactivated')
            )
            UPDATE qr_codes SET status = 'paid', next_poll_at = NULL
             WHERE id = ANY(CAST(:qrs AS text[])) AND status IN ('registered', 'expired')
        """),
        {
            "registrations": [payment.registration_id for payment in payments],
            "bank_fees": [int(payment.bank_fee) for payment in payments],
            "ids": [payment.id for payment in payments],
            "qrs": [payment.qr_id for payment in payments],
            "attempts": [payment.attempt_id for payment in payments],
            "merchants": [payment.merchant_id for payment in payments],
            "trxs": [payment.trx_id for payment in payments],
            "kzos": [payment.kzo for payment in payments],
            "amounts": [int(payment.amount) for payment in payments],
            "fees": [int(payment.fee) for payment in payments],
            "lates": [payment.is_late for payment in payments],
            "entries": [payment.entry_id for payment in payments],
            "paid": [payment.paid_at for payment in payments],
            "recorded": [payment.recorded_at for payment in payments],
            "modes": [payment.settlement_mode.value for payment in payments],
            "activations": [payment.activation_id for payment in payments],
            "unmatched": [payment.unmatched_payment_id for payment in payments],
            "members": [payment.member_id for payment in payments],
            "payers": [payment.payer_mask for payment in payments],
            "refunds": [payment.recorded_at if payment.is_late else None for payment in payments],
        },
    )
    assert result.rowcount == sum(payment.qr_id is not None for payment in payments)


def _merchant(row: Row[Any]) -> SbpMerchant:
    return SbpMerchant(
        merchant_id=row.merchant_id,
        nspk_merchant_id=row.nspk_merchant_id,
        member_id=row.member_id,
        bank_account=row.bank_account,
        settlement_mode=SettlementMode(row.settlement_mode),
        registration_id=row.registration_id,
        tariff_group=row.tariff_group,
    )


def _qr(row: Row[Any]) -> QrCode:
    return QrCode(
        id=row.id,
        attempt_id=row.attempt_id,
        merchant_id=row.merchant_id,
        amount=Kopecks(row.amount_kopecks),
        purpose=row.purpose,
        status=QrStatus(row.status),
        qrc_id=row.qrc_id,
        payload=row.payload,
        requested_at=row.requested_at,
        expires_at=row.expires_at,
        polls=row.polls,
    )
