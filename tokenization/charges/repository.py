"""Rows of charges turned into values and back. Locks: the charge first, then its refunds."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, text

from pci.database import Session
from tokenization.charges.errors import ChargeNotFound, ChargeRefundNotFound
from tokenization.charges.messages import Correlation, transmitted
from tokenization.charges.states import (
    AttemptStatus,
    Charge,
    ChargeAttempt,
    ChargeRefund,
    ChargeStatus,
    Initiator,
    Operation,
    RefundStatus,
)

LOOK_BATCH_MAX = 20
"""Charges taken at once: each is a message to the acquirer."""
LATE_MAX = timedelta(days=1)
"""An answer later than this is about another message with the same number."""

_CHARGE = """id, merchant_id, card_token, card_mask, amount_kopecks, captured_kopecks, refund_kopecks,
    is_captured_at_once, initiator, is_credential_kept, first_charge_id, status, reason, response_code, rrn,
    approval_code, network_reference, looks, next_look_at, created_at, changed_at, version"""
_REFUND = """id, charge_id, amount_kopecks, status, reason, response_code, rrn, looks, next_look_at, created_at,
    changed_at"""
_ATTEMPT = """id, charge_id, refund_id, original_id, operation, terminal_id, stan, transmitted_at, amount_kopecks,
    tries, status, response_code, rrn, approval_code"""


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, StrEnum) else value


async def add_charge(session: Session, charge: Charge) -> bool:
    """Keep a new charge; False if there is one with its id."""
    names = [name.strip() for name in _CHARGE.split(",")]
    result = await session.execute(
        text(f"""INSERT INTO charges ({_CHARGE}) VALUES ({", ".join(f":{name}" for name in names)})
                 ON CONFLICT DO NOTHING"""),  # noqa: S608  # our own column list
        {name: _plain(value) for name, value in asdict(charge).items()},
    )
    return result.rowcount == 1


async def find_charge(session: Session, charge_id: str, *, lock: bool = False) -> Charge | None:
    """The charge, or nothing. Locks: the charge, if asked to."""
    row = (
        await session.execute(
            text(f"SELECT {_CHARGE} FROM charges WHERE id = :id {'FOR NO KEY UPDATE' if lock else ''}"),  # noqa: S608
            {"id": charge_id},
        )
    ).first()
    return None if row is None else _charge(row)


async def load_charge(session: Session, charge_id: str, merchant_id: str, *, lock: bool = False) -> Charge:
    """The merchant's charge. Raises: ChargeNotFound, also when it is another's. Locks: the charge, if asked to."""
    found = await find_charge(session, charge_id, lock=lock)
    if found is None or found.merchant_id != merchant_id:
        raise ChargeNotFound(charge_id=charge_id)
    return found


async def save_charge(session: Session, charge: Charge) -> None:
    """Keep a locked charge as it has become."""
    await session.execute(
        text("""UPDATE charges SET captured_kopecks = :captured_kopecks, refund_kopecks = :refund_kopecks,
                       status = :status, reason = :reason, response_code = :response_code, rrn = :rrn,
                       approval_code = :approval_code, network_reference = :network_reference,
                       looks = :looks, next_look_at = :next_look_at,
                       changed_at = :changed_at, version = :version
                 WHERE id = :id"""),
        {name: _plain(value) for name, value in asdict(charge).items()},
    )


async def take_due_charges(session: Session, *, now: datetime, lease_until: datetime) -> list[Charge]:
    """Charges that somebody must look at; nobody else gets them before ``lease_until``.

    Locks: those it takes, skipping those that another takes at this moment.
    """
    rows = await session.execute(
        text(f"""UPDATE charges SET next_look_at = :lease_until, looks = looks + 1
                  WHERE id IN (SELECT id FROM charges WHERE next_look_at <= :now
                                ORDER BY next_look_at LIMIT :limit FOR UPDATE SKIP LOCKED)
              RETURNING {_CHARGE}"""),  # noqa: S608  # our own column list
        {"now": now, "lease_until": lease_until, "limit": LOOK_BATCH_MAX},
    )
    return [_charge(row) for row in rows]


async def add_attempt(
    session: Session, charge: Charge, operation: Operation, amount_kopecks: int, *, terminal_id: str, now: datetime,
    original_id: int | None = None, refund_id: str | None = None,
) -> ChargeAttempt:  # fmt: skip
    """Write down a message that is about to leave, under the next number."""
    row = (
        await session.execute(
            text(f"""INSERT INTO charge_attempts (charge_id, refund_id, original_id, operation, terminal_id, stan,
                                                  transmitted_at, amount_kopecks)
                     VALUES (:charge_id, :refund_id, :original_id, :operation, :terminal_id,
                             nextval('charge_stans'), :at, :amount)
                  RETURNING {_ATTEMPT}"""),  # noqa: S608  # our own column list
            {
                "charge_id": charge.id,
                "refund_id": refund_id,
                "original_id": original_id,
                "operation": operation.value,
                "terminal_id": terminal_id,
                "at": now.replace(microsecond=0),
                "amount": amount_kopecks,
            },
        )
    ).one()
    return _attempt(row)


async def attempts_of(session: Session, charge_id: str) -> list[ChargeAttempt]:
    """Every message about a charge, oldest first."""
    rows = await session.execute(
        text(f"SELECT {_ATTEMPT} FROM charge_attempts WHERE charge_id = :id ORDER BY id"),  # noqa: S608
        {"id": charge_id},
    )
    return [_attempt(row) for row in rows]


async def count_try(session: Session, attempt: ChargeAttempt) -> ChargeAttempt:
    """Write down that a message leaves once more under its number. One that never left is not a repetition."""
    row = (
        await session.execute(
            text(f"""UPDATE charge_attempts SET tries = tries + CASE status WHEN 'unsent' THEN 0 ELSE 1 END,
                            status = 'started', response_code = NULL, answered_at = NULL
                      WHERE id = :id RETURNING {_ATTEMPT}"""),  # noqa: S608  # our own column list
            {"id": attempt.id},
        )
    ).one()
    return _attempt(row)


async def end_attempt(
    session: Session, attempt_id: int, status: AttemptStatus, *, now: datetime, response_code: str | None = None,
    rrn: str | None = None, approval_code: str | None = None,
) -> None:  # fmt: skip
    """Write down what became of a message."""
    await session.execute(
        text("""UPDATE charge_attempts SET status = :status, response_code = :code, rrn = :rrn,
                       approval_code = :approval_code, answered_at = :answered_at WHERE id = :id"""),
        {
            "id": attempt_id, "status": status.value, "code": response_code, "rrn": rrn,
            "approval_code": approval_code, "answered_at": now if status is AttemptStatus.ANSWERED else None,
        },
    )  # fmt: skip


async def find_attempt(session: Session, key: Correlation, *, now: datetime) -> ChargeAttempt | None:
    """The message of ours that an answer is to."""
    if not key.stan.isdigit():
        return None
    rows = await session.execute(
        text(f"""SELECT {_ATTEMPT} FROM charge_attempts
                  WHERE terminal_id = :terminal_id AND stan = :stan AND transmitted_at > :since"""),  # noqa: S608
        {"terminal_id": key.terminal_id, "stan": int(key.stan), "since": now - LATE_MAX},
    )
    found = [_attempt(row) for row in rows]
    return next((each for each in found if transmitted(each.transmitted_at) == key.transmitted), None)


async def add_refund(session: Session, refund: ChargeRefund) -> None:
    """Keep a new refund of a locked charge."""
    names = [name.strip() for name in _REFUND.split(",")]
    await session.execute(
        text(f"""INSERT INTO charge_refunds ({_REFUND}) VALUES ({", ".join(f":{name}" for name in names)})"""),  # noqa: S608
        {name: _plain(value) for name, value in asdict(refund).items()},
    )


async def find_refund(session: Session, refund_id: str) -> ChargeRefund | None:
    """The refund, or nothing."""
    row = (
        await session.execute(
            text(f"SELECT {_REFUND} FROM charge_refunds WHERE id = :id"),  # noqa: S608  # our own column list
            {"id": refund_id},
        )
    ).first()
    return None if row is None else _refund(row)


async def load_refund(session: Session, refund_id: str, charge_id: str) -> ChargeRefund:
    """The refund of a charge. Raises: ChargeRefundNotFound."""
    found = await find_refund(session, refund_id)
    if found is None or found.charge_id != charge_id:
        raise ChargeRefundNotFound(refund_id=refund_id)
    return found


async def save_refund(session: Session, refund: ChargeRefund) -> None:
    """Keep a refund as it has become; its charge is locked."""
    await session.execute(
        text("""UPDATE charge_refunds SET status = :status, reason = :reason, response_code = :response_code,
                       rrn = :rrn, looks = :looks, next_look_at = :next_look_at, changed_at = :changed_at
                 WHERE id = :id"""),
        {name: _plain(value) for name, value in asdict(refund).items()},
    )


async def take_due_refunds(session: Session, *, now: datetime, lease_until: datetime) -> list[ChargeRefund]:
    """Refunds whose message must be repeated; nobody else gets them before ``lease_until``. Locks: as of charges."""
    rows = await session.execute(
        text(f"""UPDATE charge_refunds SET next_look_at = :lease_until, looks = looks + 1
                  WHERE id IN (SELECT id FROM charge_refunds WHERE next_look_at <= :now
                                ORDER BY next_look_at LIMIT :limit FOR UPDATE SKIP LOCKED)
              RETURNING {_REFUND}"""),  # noqa: S608  # our own column list
        {"now": now, "lease_until": lease_until, "limit": LOOK_BATCH_MAX},
    )
    return [_refund(row) for row in rows]


def _charge(row: Row[Any]) -> Charge:
    found = dict(row._mapping)
    return Charge(**found | {"status": ChargeStatus(row.status), "initiator": Initiator(row.initiator)})


def _refund(row: Row[Any]) -> ChargeRefund:
    return ChargeRefund(**dict(row._mapping) | {"status": RefundStatus(row.status)})


def _attempt(row: Row[Any]) -> ChargeAttempt:
    found = dict(row._mapping)
    return ChargeAttempt(**found | {"status": AttemptStatus(row.status), "operation": Operation(row.operation)})
