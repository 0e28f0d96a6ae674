"""Rows of registrations turned into values and back. A registration is locked before its merchant's row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from ledger.database import Session, text, violated_constraint
from sbp_gateway.errors import BankRegistrationOpen, NspkMerchantTaken, RegistrationNotFound
from sbp_gateway.merchants import SettlementMode
from sbp_gateway.registration_tables import sbp_registrations
from sbp_gateway.registrations import (
    MerchantRegistration,
    MerchantSource,
    NspkNumbers,
    RegistrationData,
    RegistrationStatus,
)

PAGE_MAX = 200
"""Registrations on one page."""
LOOK_UP_BATCH_MAX = 20
"""Registrations a worker looks up at once: each is a call of its own."""

_TAKEN = {
    "sbp_registrations_one_open": BankRegistrationOpen,
    "sbp_registrations_nspk_key": NspkMerchantTaken,
    "sbp_merchants_nspk_key": NspkMerchantTaken,
}


async def add_registration(session: Session, registration: MerchantRegistration) -> None:
    """Keep a new registration. Raises: BankRegistrationOpen, NspkMerchantTaken."""
    await _write(session, registration, insert(sbp_registrations).values(_columns(registration)))


async def save_registration(session: Session, registration: MerchantRegistration) -> None:
    """Keep a locked registration as it is now. Raises: NspkMerchantTaken."""
    table = sbp_registrations
    await _write(
        session, registration, table.update().where(table.c.id == registration.id).values(_columns(registration))
    )


async def _write(session: Session, registration: MerchantRegistration, statement: Any) -> None:
    try:
        async with session.begin_nested():
            await session.execute(statement)
    except IntegrityError as error:
        _refuse_taken(registration, error)


def _refuse_taken(registration: MerchantRegistration, error: IntegrityError) -> None:
    refusal = _TAKEN.get(violated_constraint(error) or "")
    if refusal is None:
        raise error
    raise refusal(merchant_id=registration.merchant_id, bik=registration.bik) from None


async def load_registration(session: Session, registration_id: str) -> MerchantRegistration:
    """The registration. Raises: RegistrationNotFound."""
    return await _one(session, registration_id, "")


async def lock_registration(session: Session, registration_id: str) -> MerchantRegistration:
    """The registration, locked. Raises: RegistrationNotFound. Locks: the registration."""
    return await _one(session, registration_id, "FOR NO KEY UPDATE")


async def _one(session: Session, registration_id: str, lock: str) -> MerchantRegistration:
    query = text(f"SELECT * FROM sbp_registrations WHERE id = :id {lock}")  # noqa: S608  # our own words
    row = (await session.execute(query, {"id": registration_id})).first()
    if row is None:
        raise RegistrationNotFound(registration_id=registration_id)
    return _registration(row)


async def list_registrations(
    session: Session, *, merchant_id: str | None = None, status: RegistrationStatus | None = None, after: str = "",
    limit: int = PAGE_MAX,
) -> tuple[list[MerchantRegistration], bool]:  # fmt: skip
    """Registrations by id, and whether there are more."""
    rows = await session.execute(
        text("""SELECT * FROM sbp_registrations
                 WHERE id > :after AND (CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)
                   AND (CAST(:status AS text) IS NULL OR status = :status)
                 ORDER BY id LIMIT :limit"""),
        {"after": after, "merchant_id": merchant_id, "status": status and status.value, "limit": limit + 1},
    )
    found = [_registration(row) for row in rows]
    return found[:limit], len(found) > limit


async def nearest_registration(session: Session, merchant_id: str) -> MerchantRegistration | None:
    """The registration of a merchant that is nearest to taking payments; a closed one only if there is no other."""
    row = (
        await session.execute(
            text("""SELECT * FROM sbp_registrations WHERE merchant_id = :merchant_id
                     ORDER BY status = 'closed', registered_at DESC NULLS LAST, created_at DESC LIMIT 1"""),
            {"merchant_id": merchant_id},
        )
    ).first()
    return None if row is None else _registration(row)


async def take_due_look_ups(session: Session, *, now: datetime, lease_until: datetime) -> list[MerchantRegistration]:
    """Take registrations that are to be looked up; nobody else gets them before ``lease_until``.

    Locks: the registrations it takes, skipping those that another worker takes at this moment.
    """
    rows = await session.execute(
        text("""
            UPDATE sbp_registrations SET next_look_up_at = :lease_until, look_ups = look_ups + 1
             WHERE id IN (SELECT id FROM sbp_registrations WHERE next_look_up_at <= :now
                           ORDER BY next_look_up_at LIMIT :limit FOR UPDATE SKIP LOCKED)
            RETURNING *
        """),
        {"now": now, "lease_until": lease_until, "limit": LOOK_UP_BATCH_MAX},
    )
    return [_registration(row) for row in rows]


async def save_next_look_up(session: Session, registration_id: str, at: datetime) -> None:
    """Keep when a registration that still waits for its bank is looked up again."""
    await session.execute(
        text("UPDATE sbp_registrations SET next_look_up_at = :at WHERE id = :id AND next_look_up_at IS NOT NULL"),
        {"id": registration_id, "at": at},
    )


async def registered_numbers(session: Session, nspk_merchant_ids: Sequence[str]) -> set[str]:
    """Those among NSPK's numbers that an open registration of ours has."""
    rows = await session.execute(
        text("""SELECT nspk_merchant_id FROM sbp_registrations
                 WHERE nspk_merchant_id = ANY(CAST(:ids AS text[])) AND status <> 'closed'"""),
        {"ids": list(nspk_merchant_ids)},
    )
    return {row.nspk_merchant_id for row in rows}


async def use_registration(session: Session, registration: MerchantRegistration, *, now: datetime) -> None:
    """Let a merchant take payments by a registration from now on. Raises: NspkMerchantTaken."""
    merchant = registration.as_merchant
    statement = text("""
        INSERT INTO sbp_merchants (merchant_id, nspk_merchant_id, member_id, bank_account, settlement_mode,
                                   registration_id, created_at)
        VALUES (:merchant_id, :nspk_merchant_id, :member_id, :bank_account, :mode, :registration_id, :now)
        ON CONFLICT (merchant_id) DO UPDATE SET nspk_merchant_id = EXCLUDED.nspk_merchant_id,
            member_id = EXCLUDED.member_id, bank_account = EXCLUDED.bank_account,
            settlement_mode = EXCLUDED.settlement_mode, registration_id = EXCLUDED.registration_id, is_live = true""")
    values = {
        "merchant_id": merchant.merchant_id,
        "nspk_merchant_id": merchant.nspk_merchant_id,
        "member_id": merchant.member_id,
        "bank_account": merchant.bank_account,
        "mode": merchant.settlement_mode.value,
        "registration_id": registration.id,
        "now": now,
    }
    try:
        async with session.begin_nested():
            await session.execute(statement, values)
    except IntegrityError as error:
        _refuse_taken(registration, error)


async def registration_in_use(session: Session, merchant_id: str) -> str | None:
    """The id of the registration that a merchant takes payments by now."""
    found: str | None = await session.scalar(
        text("SELECT registration_id FROM sbp_merchants WHERE merchant_id = :id AND is_live"), {"id": merchant_id}
    )
    return found


async def ids_in_use(session: Session, merchant_ids: Sequence[str]) -> set[str]:
    """The ids of the registrations by which these merchants take payments now."""
    rows = await session.execute(
        text("""SELECT registration_id FROM sbp_merchants
                 WHERE merchant_id = ANY(CAST(:ids AS text[])) AND is_live"""),
        {"ids": list(merchant_ids)},
    )
    return {row.registration_id for row in rows}


async def stop_using(session: Session, registration_id: str) -> None:
    """Take no payments by a registration from now on."""
    await session.execute(
        text("UPDATE sbp_merchants SET is_live = false WHERE registration_id = :id"), {"id": registration_id}
    )


def _columns(registration: MerchantRegistration) -> dict[str, Any]:
    data, numbers = registration.data, registration.numbers
    return {
        "id": registration.id,
        "merchant_id": registration.merchant_id,
        "bik": registration.bik,
        "status": registration.status.value,
        "ogrn": data.ogrn,
        "bank_account": data.bank_account,
        "mcc": data.mcc,
        "tariff_group": data.tariff_group,
        "settlement_mode": data.settlement_mode.value,
        "contact_name": data.contact_name,
        "contact_phone": data.contact_phone,
        "contact_email": data.contact_email,
        "nspk_merchant_id": numbers and numbers.nspk_merchant_id,
        "member_id": numbers and numbers.member_id,
        "learnt_by": numbers and numbers.learnt_by.value,
        "registered_at": numbers and numbers.registered_at,
        "reason": registration.reason,
        "look_ups": registration.look_ups,
        "next_look_up_at": registration.next_look_up_at,
        "created_at": registration.created_at,
        "sent_at": registration.sent_at,
        "closed_at": registration.closed_at,
        "version": registration.version,
    }


def _registration(row: Row[Any]) -> MerchantRegistration:
    numbers = None
    if row.nspk_merchant_id is not None:
        numbers = NspkNumbers(row.nspk_merchant_id, row.member_id, MerchantSource(row.learnt_by), row.registered_at)
    return MerchantRegistration(
        id=row.id,
        merchant_id=row.merchant_id,
        bik=row.bik,
        status=RegistrationStatus(row.status),
        data=RegistrationData(
            ogrn=row.ogrn,
            bank_account=row.bank_account,
            mcc=row.mcc,
            tariff_group=row.tariff_group,
            settlement_mode=SettlementMode(row.settlement_mode),
            contact_name=row.contact_name,
            contact_phone=row.contact_phone,
            contact_email=row.contact_email,
        ),
        numbers=numbers,
        reason=row.reason,
        created_at=row.created_at,
        sent_at=row.sent_at,
        closed_at=row.closed_at,
        look_ups=row.look_ups,
        next_look_up_at=row.next_look_up_at,
        version=row.version,
    )
