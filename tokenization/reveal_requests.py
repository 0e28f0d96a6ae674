"""Four eyes: beyond the day's share, a second person says yes to one card number, once, within a quarter of an hour."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy
from sqlalchemy import Row

from pci.access import ids
from pci.access.deeds import Deed
from pci.access.errors import OwnRequest
from pci.access.tables import people, reveal_requests
from pci.database import Session
from pci.redaction import redact_text
from tokenization import card_lookup
from tokenization.enumeration import UnknownTokens
from tokenization.reveal_errors import (
    RevealRequestOther,
    RevealRequestOver,
    RevealRequestUnknown,
    RevealTermsRejected,
)

OPEN_FOR = timedelta(minutes=15)
"""From the asking to the showing: who approves knows what is going on now, not yesterday."""
LISTED_MAX = 100
_TICKET = re.compile(r"[A-Za-zА-Яа-яЁё0-9][A-Za-zА-Яа-яЁё0-9_/.#-]{0,63}")
_LONG_DIGITS = re.compile(r"[0-9]{12}")


class RevealReason(StrEnum):
    """Why a person must see a card number."""

    CHARGEBACK = "chargeback"
    FRAUD_INQUIRY = "fraud_inquiry"
    BUYER_REQUEST = "buyer_request"
    LAW_ENFORCEMENT = "law_enforcement"
    RECONCILIATION = "reconciliation"


class RevealRequestStatus(StrEnum):
    """Where a request is."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REFUSED = "refused"
    USED = "used"
    EXPIRED = "expired"


ALLOWED: dict[RevealRequestStatus, frozenset[RevealRequestStatus]] = {
    RevealRequestStatus.REQUESTED: frozenset(
        {RevealRequestStatus.APPROVED, RevealRequestStatus.REFUSED, RevealRequestStatus.EXPIRED}
    ),
    RevealRequestStatus.APPROVED: frozenset({RevealRequestStatus.USED, RevealRequestStatus.EXPIRED}),
    RevealRequestStatus.REFUSED: frozenset(),
    RevealRequestStatus.USED: frozenset(),
    RevealRequestStatus.EXPIRED: frozenset(),
}


def advance(status: RevealRequestStatus, to: RevealRequestStatus) -> RevealRequestStatus:
    """Move a request's status.

    Raises: RevealRequestOver.
    """
    if to not in ALLOWED[status]:
        raise RevealRequestOver(status=str(status))
    return to


@dataclass(frozen=True, slots=True)
class RevealTerms:
    """Which card number, and why."""

    token: str
    reason: str
    ticket: str

    def check(self) -> None:
        """Raises: RevealTermsRejected, which repeats nothing."""
        if self.reason not in set(RevealReason):
            raise RevealTermsRejected(field="reason")
        is_safe = _LONG_DIGITS.search(self.ticket) is None and redact_text(self.ticket) == self.ticket
        if not _TICKET.fullmatch(self.ticket) or not is_safe:
            raise RevealTermsRejected(field="ticket")


@dataclass(frozen=True, slots=True)
class RevealRequest:
    """A wish to be shown one card number that a second person decides on."""

    id: str
    person_id: str
    person_name: str
    terms: RevealTerms
    mask: str
    """Of the card; empty when it is no longer there."""
    status: RevealRequestStatus
    requested_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None


async def ask(deed: Deed, unknown: UnknownTokens, terms: RevealTerms) -> RevealRequest:
    """Ask a second person.

    Raises: RevealTermsRejected, TokenNotFound, TooManyUnknownTokens.
    """
    terms.check()
    place = await card_lookup.find(deed, unknown, terms.token)
    now, actor = deed.wish.now, deed.actor
    request_id = ids.new_id("rvr")
    row = {
        "id": request_id, "person_id": actor.person_id, "token": place.token, "reason": terms.reason,
        "ticket": terms.ticket, "status": RevealRequestStatus.REQUESTED, "requested_at": now,
        "expires_at": now + OPEN_FOR,
    }  # fmt: skip
    await deed.session.execute(sqlalchemy.insert(reveal_requests).values(row))
    await deed.record(
        f"card:{place.token}",
        merchant_id=place.merchant_id,
        request=request_id,
        reason=terms.reason,
        ticket=terms.ticket,
    )
    return await _find(deed.session, request_id)


async def decide(deed: Deed, request_id: str, *, is_approved: bool) -> RevealRequest:
    """Say yes or no to what somebody else asked for.

    Raises: RevealRequestUnknown, OwnRequest, RevealRequestOver. Locks: the request.
    """
    request = await _find(deed.session, request_id, for_update=True)
    if request.person_id == deed.actor.person_id:
        raise OwnRequest()
    now = deed.wish.now
    status = advance(request.status, RevealRequestStatus.APPROVED if is_approved else RevealRequestStatus.REFUSED)
    if now >= request.expires_at:
        raise RevealRequestOver(status="expired")
    await _update(deed.session, request_id, status=status, decided_by=deed.actor.person_id, decided_at=now)
    await deed.record(f"card:{request.terms.token}", request=request_id, asked_by=f"person:{request.person_id}")
    return await _find(deed.session, request_id)


async def use(deed: Deed, request_id: str, terms: RevealTerms) -> None:
    """Use an approval up, for exactly what was approved.

    Raises: RevealRequestUnknown, RevealRequestOther, RevealRequestOver. Locks: the request.
    """
    request = await _find(deed.session, request_id, for_update=True)
    if request.person_id != deed.actor.person_id:
        raise RevealRequestUnknown()
    if request.terms != terms:
        raise RevealRequestOther()
    status, now = advance(request.status, RevealRequestStatus.USED), deed.wish.now
    if now >= request.expires_at:
        raise RevealRequestOver(status="expired")
    await _update(deed.session, request_id, status=status, used_at=now)


async def expire_overdue(session: Session, *, now: datetime) -> int:
    """Write down that requests are over whose time is. Says how many."""
    is_open = reveal_requests.c.status.in_([RevealRequestStatus.REQUESTED, RevealRequestStatus.APPROVED])
    ending = (
        sqlalchemy.update(reveal_requests)
        .where(is_open, reveal_requests.c.expires_at <= now)
        .values(status=RevealRequestStatus.EXPIRED)
    )
    return (await session.execute(ending)).rowcount


async def list_requests(session: Session, *, now: datetime, of: str | None = None) -> Sequence[RevealRequest]:
    """What is open now, of everybody or of one person, the latest first."""
    is_open = reveal_requests.c.status.in_([RevealRequestStatus.REQUESTED, RevealRequestStatus.APPROVED])
    query = _QUERY.where(is_open, reveal_requests.c.expires_at > now)
    if of is not None:
        query = query.where(reveal_requests.c.person_id == of)
    rows = await session.execute(query.order_by(reveal_requests.c.requested_at.desc()).limit(LISTED_MAX))
    return [_request(row) for row in rows]


_CARDS = sqlalchemy.table("cards", *map(sqlalchemy.column, ("token", "first6", "last4", "digits")))
_QUERY = (
    sqlalchemy.select(reveal_requests, people.c.name, _CARDS.c.first6, _CARDS.c.last4, _CARDS.c.digits)
    .join(people, people.c.id == reveal_requests.c.person_id)
    .join(_CARDS, _CARDS.c.token == reveal_requests.c.token, isouter=True)
)


async def _find(session: Session, request_id: str, *, for_update: bool = False) -> RevealRequest:
    query = _QUERY.where(reveal_requests.c.id == request_id)
    if for_update:
        query = query.with_for_update(of=reveal_requests)
    row = (await session.execute(query)).first() if ids.is_id("rvr", request_id) else None
    if row is None:
        raise RevealRequestUnknown()
    return _request(row)


async def _update(session: Session, request_id: str, **values: Any) -> None:
    changing = sqlalchemy.update(reveal_requests).where(reveal_requests.c.id == request_id)
    await session.execute(changing.values(**values))


def _request(row: Row[Any]) -> RevealRequest:
    return RevealRequest(
        id=row.id, person_id=row.person_id, person_name=row.name, terms=RevealTerms(row.token, row.reason, row.ticket),
        mask=mask_of(row), status=RevealRequestStatus(row.status), requested_at=row.requested_at,
        expires_at=row.expires_at, decided_by=row.decided_by, decided_at=row.decided_at,
    )  # fmt: skip


def mask_of(row: Row[Any]) -> str:
    """The mask of the card a row was joined with."""
    return "" if row.first6 is None else f"{row.first6}{'*' * (row.digits - 10)}{row.last4}"
