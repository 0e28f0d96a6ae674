"""A lost second factor is reset by two people: one asks, another approves, and neither is its owner.

Source: PCI DSS 8.3.3 (who they are is known first), 3.7.6 and 6.5.4 in spirit: nobody gets in as another alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy
from sqlalchemy import Row

from pci.access import enrolments, ids, repository
from pci.access.deeds import Deed
from pci.access.errors import OwnAccount, OwnRequest, PersonStatusRejected, ResetOver, ResetUnknown
from pci.access.person import PersonStatus, check_reason
from pci.access.tables import totp_resets
from pci.database import Session
from pci.secret import Secret

OPEN_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class TotpReset:
    """A second factor that somebody lost, and who deals with it."""

    id: str
    person_id: str
    requested_by: str
    reason: str
    requested_at: datetime
    expires_at: datetime
    approved_by: str | None
    approved_at: datetime | None


async def request_reset(deed: Deed, person_id: str, *, reason: str) -> TotpReset:
    """Ask that a person may set their second factor anew.

    Raises: OwnAccount, ReasonRejected, PersonUnknown, PersonStatusRejected. Locks: the person's row.
    """
    if person_id == deed.actor.person_id:
        raise OwnAccount()
    check_reason(reason)
    person, _ = await repository.lock(deed.session, person_id)
    if person.status is not PersonStatus.ACTIVE:
        raise PersonStatusRejected(status=str(person.status))
    now = deed.wish.now
    reset = TotpReset(
        ids.new_id("rst"), person_id, deed.actor.person_id, reason, now, now + OPEN_FOR, None, None
    )  # fmt: skip
    row = {name: getattr(reset, name) for name in TotpReset.__dataclass_fields__}
    await deed.session.execute(sqlalchemy.insert(totp_resets).values(row))
    await deed.record(f"person:{person_id}", reset=reset.id)
    return reset


async def approve_reset(deed: Deed, reset_id: str) -> tuple[TotpReset, Secret]:
    """Say that it is really they who lost it. The token opens nothing without their password.

    Raises: ResetUnknown, OwnRequest, OwnAccount, ResetOver. Locks: the person's row, then the reset.
    """
    reset = await _find(deed.session, reset_id)
    await repository.lock(deed.session, reset.person_id)
    reset = await _find(deed.session, reset_id)
    if reset.requested_by == deed.actor.person_id:
        raise OwnRequest()
    if reset.person_id == deed.actor.person_id:
        raise OwnAccount()
    now, by = deed.wish.now, deed.actor
    if reset.approved_at is not None or now >= reset.expires_at:
        raise ResetOver()
    approved = {"approved_by": by.person_id, "approved_at": now}
    await deed.session.execute(sqlalchemy.update(totp_resets).where(totp_resets.c.id == reset_id).values(approved))
    kind = enrolments.EnrolmentKind.TOTP
    token = await enrolments.invite(deed.session, deed.wish.ring, reset.person_id, kind, by=by.label, now=now)
    await deed.record(f"person:{reset.person_id}", reset=reset_id)
    return reset, token


async def open_resets(session: Session, *, now: datetime) -> list[TotpReset]:
    """What waits for a second person."""
    is_open = (totp_resets.c.approved_at.is_(None)) & (totp_resets.c.expires_at > now)
    rows = await session.execute(sqlalchemy.select(totp_resets).where(is_open).order_by(totp_resets.c.requested_at))
    return [_reset(row) for row in rows]


async def _find(session: Session, reset_id: str) -> TotpReset:
    query = sqlalchemy.select(totp_resets).where(totp_resets.c.id == reset_id)
    row = (await session.execute(query)).first() if ids.is_id("rst", reset_id) else None
    if row is None:
        raise ResetUnknown()
    return _reset(row)


def _reset(row: Row[Any]) -> TotpReset:
    return TotpReset(**row._mapping)
