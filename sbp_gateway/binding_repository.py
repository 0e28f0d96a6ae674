"""Rows of bindings and their charges turned into values and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from ledger.database import Session, text
from sbp_gateway.bindings import Binding, BindingStatus, Consent, DueCharge
from sbp_gateway.errors import BindingNotFound

PAGE_MAX = 200
_BINDING = """id, merchant_id, buyer_reference, purpose, status, qrc_id, payload, subscription_id, payer_member_id,
    requested_at, expires_at, polls"""
_WHOSE = "(CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)"


async def add_binding(session: Session, binding: Binding, *, next_poll_at: datetime) -> None:
    """Keep a binding whose link NSPK registered."""
    await session.execute(
        text("""INSERT INTO account_bindings (id, merchant_id, buyer_reference, purpose, qrc_id, payload, requested_at,
                                              expires_at, next_poll_at)
                VALUES (:id, :merchant_id, :buyer_reference, :purpose, :qrc_id, :payload, :requested_at, :expires_at,
                        :next_poll_at)"""),
        {
            "id": binding.id,
            "merchant_id": binding.merchant_id,
            "buyer_reference": binding.buyer_reference,
            "purpose": binding.purpose,
            "qrc_id": binding.qrc_id,
            "payload": binding.payload,
            "requested_at": binding.requested_at,
            "expires_at": binding.expires_at,
            "next_poll_at": next_poll_at,
        },
    )


async def load_binding(session: Session, binding_id: str, *, merchant_id: str | None) -> Binding:
    """The binding. Raises: BindingNotFound."""
    found = await _bindings(session, f"id = :id AND {_WHOSE}", {"id": binding_id, "merchant_id": merchant_id})
    if not found:
        raise BindingNotFound(binding_id=binding_id)
    return found[0]


async def list_bindings(
    session: Session, *, merchant_id: str | None, after: str, limit: int
) -> tuple[list[Binding], bool]:
    """Bindings by id, and whether there are more."""
    tail = f"ORDER BY id LIMIT {min(limit, PAGE_MAX) + 1}"
    found = await _bindings(session, f"id > :after AND {_WHOSE} {tail}", {"after": after, "merchant_id": merchant_id})
    return found[:limit], len(found) > limit


async def take_due_bindings(session: Session, *, now: datetime, lease_until: datetime, limit: int) -> list[Binding]:
    """Take bindings whose time to be asked about has come. Locks: them, skipping what others take."""
    rows = await session.execute(
        text(f"""UPDATE account_bindings SET next_poll_at = :lease_until, polls = polls + 1
                  WHERE id IN (SELECT id FROM account_bindings WHERE next_poll_at <= :now
                                ORDER BY next_poll_at LIMIT :limit FOR UPDATE SKIP LOCKED)
              RETURNING {_BINDING}"""),  # noqa: S608  # our own column list
        {"now": now, "lease_until": lease_until, "limit": limit},
    )
    return [_binding(row) for row in rows]


async def bind(session: Session, binding_id: str, consent: Consent) -> bool:
    """Keep a consent that is still waited for. Locks: the binding."""
    return await _change(
        session, "status = 'bound', subscription_id = :subscription_id, payer_member_id = :member_id,"
        " next_poll_at = NULL", "waiting",
        {"id": binding_id, "subscription_id": consent.subscription_id, "member_id": consent.payer_member_id},
    )  # fmt: skip


async def expire(session: Session, binding_id: str) -> bool:
    """End a binding that nobody consented to. Locks: the binding."""
    return await _change(session, "status = 'expired', next_poll_at = NULL", "waiting", {"id": binding_id})


async def end(session: Session, binding_id: str) -> bool:
    """End a binding whose consent was taken back. Locks: the binding."""
    return await _change(session, "status = 'ended'", "bound", {"id": binding_id})


async def save_next_poll(session: Session, binding_id: str, at: datetime) -> None:
    """Keep when a binding is asked about again."""
    await _change(session, "next_poll_at = :at", "waiting", {"id": binding_id, "at": at})


async def _change(session: Session, change: str, come_from: str, arguments: Mapping[str, Any]) -> bool:
    result = await session.execute(
        text(f"UPDATE account_bindings SET {change} WHERE id = :id AND status = '{come_from}'"),  # noqa: S608
        arguments,
    )
    return result.rowcount == 1


async def add_charge(
    session: Session, attempt_id: str, binding_id: str, *, now: datetime, next_try_at: datetime
) -> None:
    """Keep that an attempt is charged by a binding."""
    await session.execute(
        text("""INSERT INTO binding_charges (attempt_id, binding_id, requested_at, next_try_at)
                VALUES (:attempt_id, :binding_id, :now, :next_try_at)"""),
        {"attempt_id": attempt_id, "binding_id": binding_id, "now": now, "next_try_at": next_try_at},
    )


async def take_due_charges(session: Session, *, now: datetime, lease_until: datetime, limit: int) -> list[DueCharge]:
    """Take charges whose code is registered and that were not answered yet; those whose code is over end.

    Locks: the charges, skipping what others take.
    """
    await session.execute(
        text("""UPDATE binding_charges AS c SET next_try_at = NULL FROM attempts AS a
                 WHERE a.id = c.attempt_id AND c.next_try_at <= :now
                   AND a.status IN ('paid', 'rejected', 'expired')"""),
        {"now": now},
    )
    rows = await session.execute(
        text("""UPDATE binding_charges AS c SET next_try_at = :lease_until
                  FROM qr_codes AS q, account_bindings AS b
                 WHERE q.attempt_id = c.attempt_id AND q.status = 'registered' AND b.id = c.binding_id
                   AND c.attempt_id IN (
                       SELECT due.attempt_id FROM binding_charges AS due
                         JOIN qr_codes AS known ON known.attempt_id = due.attempt_id AND known.status = 'registered'
                        WHERE due.next_try_at <= :now
                        ORDER BY due.next_try_at LIMIT :limit FOR UPDATE OF due SKIP LOCKED)
             RETURNING c.attempt_id, c.binding_id, q.qrc_id, b.subscription_id"""),
        {"now": now, "lease_until": lease_until, "limit": limit},
    )
    return [DueCharge(**row._mapping) for row in rows]


async def end_charge(session: Session, attempt_id: str, refusal: str | None) -> None:
    """Keep NSPK's answer to a charge; what became of the money its code says."""
    await session.execute(
        text("UPDATE binding_charges SET next_try_at = NULL, refusal = :refusal WHERE attempt_id = :id"),
        {"id": attempt_id, "refusal": refusal},
    )


async def refusal_of(session: Session, attempt_id: str) -> str | None:
    """NSPK's code for why it did not take a charge, if it said so."""
    found = await session.scalar(text("SELECT refusal FROM binding_charges WHERE attempt_id = :id"), {"id": attempt_id})
    return None if found is None else str(found)


async def retry_charge(session: Session, attempt_id: str, at: datetime) -> None:
    """Keep when a charge without an answer is asked for again."""
    await session.execute(
        text("UPDATE binding_charges SET next_try_at = :at WHERE attempt_id = :id AND next_try_at IS NOT NULL"),
        {"id": attempt_id, "at": at},
    )


async def _bindings(session: Session, which: str, arguments: Mapping[str, Any]) -> list[Binding]:
    rows = await session.execute(
        text(f"SELECT {_BINDING} FROM account_bindings WHERE {which}"),  # noqa: S608  # our own words
        arguments,
    )
    return [_binding(row) for row in rows]


def _binding(row: Row[Any]) -> Binding:
    return Binding(**{**row._mapping, "status": BindingStatus(row.status)})
