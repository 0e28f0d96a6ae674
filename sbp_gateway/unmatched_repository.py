"""Rows of stickers and unmatched payments turned into values and back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Row

from ledger.database import Session, text
from ledger.money import Kopecks
from sbp_gateway.errors import StickerNotFound, UnmatchedPaymentNotFound
from sbp_gateway.merchants import SettlementMode
from sbp_gateway.stickers import Sticker
from sbp_gateway.unmatched_payments import UnmatchedPayment, UnmatchedReason, UnmatchedStatus

PAGE_MAX = 200

_STICKER = """id, merchant_id, store_id, terminal_id, amount_kopecks, purpose, qrc_id, payload, created_at,
    registration_id"""
_UNMATCHED = """id, merchant_id, sticker_id, cash_link_id, qr_id, reason, trx_id, kzo, amount_kopecks, settlement_mode,
    entry_id, paid_at, recorded_at, status, order_id, matched_at, returned_at, registration_id,
    (SELECT p.id FROM sbp_payments AS p WHERE p.unmatched_payment_id = sbp_unmatched_payments.id) AS payment_id"""
_WHOSE = "(CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)"


async def add_sticker(session: Session, sticker: Sticker) -> bool:
    """Keep a sticker; False if its terminal has one."""
    result = await session.execute(
        text(f"""INSERT INTO sbp_stickers ({_STICKER})
                VALUES (:id, :merchant_id, :store_id, :terminal_id, :amount, :purpose, :qrc_id, :payload, :created_at,
                        :registration_id)
                ON CONFLICT (terminal_id) DO NOTHING"""),  # noqa: S608  # our own column list
        {
            "id": sticker.id,
            "merchant_id": sticker.merchant_id,
            "store_id": sticker.store_id,
            "terminal_id": sticker.terminal_id,
            "amount": None if sticker.amount is None else int(sticker.amount),
            "purpose": sticker.purpose,
            "qrc_id": sticker.qrc_id,
            "payload": sticker.payload,
            "created_at": sticker.created_at,
            "registration_id": sticker.registration_id,
        },
    )
    return result.rowcount == 1


async def has_sticker(session: Session, terminal_id: str) -> bool:
    """Whether a terminal has a sticker."""
    return bool(await _stickers(session, "terminal_id = :terminal_id", {"terminal_id": terminal_id}))


async def load_sticker(session: Session, sticker_id: str, *, merchant_id: str | None) -> Sticker:
    """The sticker. Raises: StickerNotFound."""
    arguments = {"id": sticker_id, "merchant_id": merchant_id}
    found = await _stickers(session, f"id = :id AND {_WHOSE}", arguments)
    if not found:
        raise StickerNotFound(sticker_id=sticker_id)
    return found[0]


async def sticker_by_qrc_id(session: Session, qrc_id: str) -> Sticker | None:
    """The sticker under NSPK's id."""
    found = await _stickers(session, "qrc_id = :qrc_id", {"qrc_id": qrc_id})
    return found[0] if found else None


async def list_stickers(
    session: Session, *, merchant_id: str | None, after: str, limit: int
) -> tuple[list[Sticker], bool]:
    """Stickers by id, and whether there are more."""
    tail = f"ORDER BY id LIMIT {min(limit, PAGE_MAX) + 1}"
    found = await _stickers(session, f"id > :after AND {_WHOSE} {tail}", {"after": after, "merchant_id": merchant_id})
    return found[:limit], len(found) > limit


async def add_unmatched(session: Session, payment: UnmatchedPayment) -> bool:
    """Keep money that no order knows; False if its operation is kept already."""
    result = await session.execute(
        text("""INSERT INTO sbp_unmatched_payments (id, merchant_id, sticker_id, cash_link_id, qr_id, reason, trx_id,
                                                    kzo, amount_kopecks, settlement_mode, entry_id, paid_at,
                                                    recorded_at, registration_id)
                VALUES (:id, :merchant_id, :sticker_id, :cash_link_id, :qr_id, :reason, :trx_id, :kzo, :amount, :mode,
                        :entry_id, :paid_at, :recorded_at, :registration_id) ON CONFLICT (trx_id) DO NOTHING"""),
        {
            "id": payment.id,
            "merchant_id": payment.merchant_id,
            "sticker_id": payment.sticker_id,
            "cash_link_id": payment.cash_link_id,
            "qr_id": payment.qr_id,
            "reason": payment.reason.value,
            "trx_id": payment.trx_id,
            "kzo": payment.kzo,
            "amount": int(payment.amount),
            "mode": payment.settlement_mode.value,
            "entry_id": payment.entry_id,
            "paid_at": payment.paid_at,
            "recorded_at": payment.recorded_at,
            "registration_id": payment.registration_id,
        },
    )
    return result.rowcount == 1


async def is_kept(session: Session, trx_id: str) -> bool:
    """Whether an operation's money is kept already."""
    return bool(await _unmatched(session, "trx_id = :trx_id", {"trx_id": trx_id}))


async def kept_operations(session: Session, trx_ids: Collection[str]) -> set[str]:
    """Which operations' money is kept already."""
    if not trx_ids:
        return set()
    rows = await session.scalars(
        text("SELECT trx_id FROM sbp_unmatched_payments WHERE trx_id = ANY(CAST(:ids AS text[]))"),
        {"ids": list(trx_ids)},
    )
    return set(rows)


async def load_unmatched(session: Session, unmatched_id: str, *, merchant_id: str | None) -> UnmatchedPayment:
    """The money. Raises: UnmatchedPaymentNotFound."""
    return await _load(session, unmatched_id, merchant_id)


async def lock_unmatched(session: Session, unmatched_id: str, *, merchant_id: str | None) -> UnmatchedPayment:
    """The money, to be given to an order. Raises: UnmatchedPaymentNotFound. Locks: it."""
    return await _load(session, unmatched_id, merchant_id, "FOR NO KEY UPDATE")


async def list_unmatched(
    session: Session, *, merchant_id: str | None, status: UnmatchedStatus | None, after: str, limit: int
) -> tuple[list[UnmatchedPayment], bool]:
    """Unmatched payments by id, and whether there are more."""
    found = await _unmatched(
        session,
        f"""id > :after AND {_WHOSE} AND (CAST(:status AS text) IS NULL OR status = :status)
            ORDER BY id LIMIT {min(limit, PAGE_MAX) + 1}""",  # our own words
        {"after": after, "merchant_id": merchant_id, "status": None if status is None else status.value},
    )
    return found[:limit], len(found) > limit


async def end(session: Session, payment: UnmatchedPayment) -> None:
    """Keep whose order locked money paid, or that it goes back."""
    result = await session.execute(
        text("""UPDATE sbp_unmatched_payments SET status = :status, order_id = :order_id, matched_at = :matched_at,
                       returned_at = :returned_at
                 WHERE id = :id AND status = 'open'"""),
        {
            "id": payment.id,
            "status": payment.status.value,
            "order_id": payment.order_id,
            "matched_at": payment.matched_at,
            "returned_at": payment.returned_at,
        },
    )
    assert result.rowcount == 1


async def _load(session: Session, unmatched_id: str, merchant_id: str | None, lock: str = "") -> UnmatchedPayment:
    arguments = {"id": unmatched_id, "merchant_id": merchant_id}
    found = await _unmatched(session, f"id = :id AND {_WHOSE} {lock}", arguments)
    if not found:
        raise UnmatchedPaymentNotFound(unmatched_payment_id=unmatched_id)
    return found[0]


async def _stickers(session: Session, which: str, arguments: Mapping[str, Any]) -> list[Sticker]:
    rows = await session.execute(
        text(f"SELECT {_STICKER} FROM sbp_stickers WHERE {which}"),  # noqa: S608  # our own words
        arguments,
    )
    return [_sticker(row) for row in rows]


async def _unmatched(session: Session, which: str, arguments: Mapping[str, Any]) -> list[UnmatchedPayment]:
    rows = await session.execute(
        text(f"SELECT {_UNMATCHED} FROM sbp_unmatched_payments WHERE {which}"),  # noqa: S608  # our own words
        arguments,
    )
    return [_unmatched_payment(row) for row in rows]


def _sticker(row: Row[Any]) -> Sticker:
    found = dict(row._mapping)
    amount = found.pop("amount_kopecks")
    return Sticker(**found, amount=None if amount is None else Kopecks(amount))


def _unmatched_payment(row: Row[Any]) -> UnmatchedPayment:
    found = dict(row._mapping)
    found["amount"] = Kopecks(found.pop("amount_kopecks"))
    found["reason"], found["status"] = UnmatchedReason(row.reason), UnmatchedStatus(row.status)
    found["settlement_mode"] = SettlementMode(row.settlement_mode)
    return UnmatchedPayment(**found)
