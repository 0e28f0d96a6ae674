"""Card sessions: one form, in one page, in which one buyer enters one card.

A session is opened by the merchant's backend, used by whoever was given its id (144 random bits), and over after a
quarter of an hour, after one card, or after too many numbers that were none. What was declared when it was opened
stands: whose card it will be, which page may show the form and hears of the token, what the token may be used for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, text

from pci.database import Session
from tokenization.errors import (
    CardSessionBlocked,
    CardSessionNotFound,
    CardSessionOver,
    CardSessionTaken,
    CardSessionUsed,
    OriginRefused,
)
from tokenization.ids import new_id

PREFIX = "cse"
KEPT = timedelta(days=30)
"""How long a session is remembered after its end, for whoever asks what became of it."""
SWEPT_MAX = 1_000
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ORIGIN = re.compile(rf"(https?)://({_LABEL}(?:\.{_LABEL})*)(?::([1-9][0-9]{{0,4}}))?")
HOST_CHARACTERS_MAX = 253
"""Source: RFC 1035, 2.3.4."""
PORT_MAX = 65_535
_NEAR = frozenset({"localhost", "127.0.0.1"})


class CardSessionStatus(StrEnum):
    """Where a form is."""

    OPEN = "open"
    USED = "used"
    """A card was entered."""
    BLOCKED = "blocked"
    """Too many numbers were tried."""


ALLOWED: dict[CardSessionStatus, frozenset[CardSessionStatus]] = {
    CardSessionStatus.OPEN: frozenset({CardSessionStatus.USED, CardSessionStatus.BLOCKED}),
    CardSessionStatus.USED: frozenset(),
    CardSessionStatus.BLOCKED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class WantedCardSession:
    """What the merchant's backend asks for."""

    merchant_id: str
    origin: str
    """Of the page that will show the form, and that alone may: ``https://shop.example``."""
    buyer_id: str | None = None
    """The merchant's own word for its buyer."""
    wants_cvc: bool = True
    """Asked for when a charge follows; never kept past it."""
    terms: Mapping[str, Any] = field(default_factory=dict)
    """What the token may be used for, and how long: see ``entry_terms``."""


@dataclass(frozen=True, slots=True)
class CardSession:
    """One form."""

    id: str
    merchant_id: str
    buyer_id: str | None
    origin: str
    wants_cvc: bool
    terms: Mapping[str, Any]
    status: CardSessionStatus
    attempts: int
    token: str | None
    created_at: datetime
    expires_at: datetime

    def refuse_unless_open(self, now: datetime) -> None:
        """Raises: CardSessionUsed, CardSessionBlocked, CardSessionOver."""
        if self.status is CardSessionStatus.USED:
            raise CardSessionUsed()
        if self.status is CardSessionStatus.BLOCKED:
            raise CardSessionBlocked()
        if self.expires_at <= now:
            raise CardSessionOver()


def checked_origin(origin: str, *, is_production: bool) -> str:
    """The origin of a page that may show the form: TLS, no path; plain HTTP only on this machine in a sandbox.

    Raises: OriginRefused.
    """
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        raise OriginRefused()
    scheme, host, port = found.groups()
    is_near = not is_production and host in _NEAR
    if (scheme != "https" and not is_near) or len(host) > HOST_CHARACTERS_MAX or int(port or 1) > PORT_MAX:
        raise OriginRefused()
    return origin


async def open_session(
    session: Session, wanted: WantedCardSession, *, request_key: str, minutes: int, now: datetime
) -> tuple[CardSession, bool]:
    """Open a form, or find the one that this request has opened already. Whether it is new.

    Raises: CardSessionTaken if the key opened a form with other terms.
    """
    values = {
        "id": new_id(PREFIX), "merchant_id": wanted.merchant_id, "request_key": request_key,
        "buyer_id": wanted.buyer_id, "origin": wanted.origin, "wants_cvc": wanted.wants_cvc,
        "terms": json.dumps(wanted.terms), "now": now, "expires_at": now + timedelta(minutes=minutes),
    }  # fmt: skip
    row = (await session.execute(_OPEN, values)).first()
    if row is not None:
        return _card_session(row), True
    known = _card_session((await session.execute(_KNOWN, values)).one())
    same = (known.buyer_id, known.origin, known.wants_cvc, dict(known.terms))
    if same != (wanted.buyer_id, wanted.origin, wanted.wants_cvc, dict(wanted.terms)):
        raise CardSessionTaken(id=known.id)
    return known, False


async def find_session(session: Session, id_: str, *, merchant_id: str | None = None) -> CardSession:
    """The form of this id; of this merchant, if one asks. Raises: CardSessionNotFound."""
    row = (await session.execute(_FIND, {"id": id_})).first()
    if row is None or (merchant_id is not None and row.merchant_id != merchant_id):
        raise CardSessionNotFound()
    return _card_session(row)


async def count_attempt(session: Session, id_: str, *, attempts_max: int, now: datetime) -> CardSession:
    """Count one number typed into an open form, whatever becomes of it; the last one allowed still goes through.

    Counted in a transaction of its own, so that a refused number counts too.
    Locks: the form.
    Raises: CardSessionNotFound, CardSessionUsed, CardSessionBlocked, CardSessionOver.
    """
    row = (await session.execute(_LOCK, {"id": id_})).first()
    if row is None:
        raise CardSessionNotFound()
    found = _card_session(row)
    found.refuse_unless_open(now)
    if found.attempts >= attempts_max:
        raise CardSessionBlocked()
    await session.execute(_COUNT, {"id": id_})
    return found


async def block_if_spent(session: Session, id_: str, *, attempts_max: int) -> bool:
    """Close a form whose attempts are all gone without a card. Whether it was closed now."""
    return bool((await session.execute(_BLOCK, {"id": id_, "max": attempts_max})).rowcount)


async def lock_open(session: Session, id_: str, *, now: datetime) -> CardSession:
    """An open form, held until the end of the transaction: two cards at once make one token.

    Locks: the form.
    Raises: CardSessionNotFound, CardSessionUsed, CardSessionBlocked, CardSessionOver.
    """
    row = (await session.execute(_LOCK, {"id": id_})).first()
    if row is None:
        raise CardSessionNotFound()
    found = _card_session(row)
    found.refuse_unless_open(now)
    return found


async def mark_used(session: Session, id_: str, token: str, *, now: datetime) -> None:
    """The form has taken its card. The caller has locked it open."""
    done = await session.execute(_USE, {"id": id_, "token": token, "now": now})
    assert done.rowcount == 1, "an open form was locked"


async def sweep(session: Session, *, now: datetime) -> int:
    """Forget forms that ended long ago; how many."""
    return int((await session.execute(_SWEEP, {"before": now - KEPT, "limit": SWEPT_MAX})).rowcount)


def _card_session(row: Row[Any]) -> CardSession:
    return CardSession(
        row.id, row.merchant_id, row.buyer_id, row.origin, row.wants_cvc, row.terms, CardSessionStatus(row.status),
        row.attempts, row.token, row.created_at, row.expires_at,
    )  # fmt: skip


_COLUMNS = "id, merchant_id, buyer_id, origin, wants_cvc, terms, status, attempts, token, created_at, expires_at"
_OPEN = text(
    f"""INSERT INTO card_sessions (id, merchant_id, request_key, buyer_id, origin, wants_cvc, terms, status,
                                   created_at, expires_at)
        VALUES (:id, :merchant_id, :request_key, :buyer_id, :origin, :wants_cvc, CAST(:terms AS jsonb), 'open',
                :now, :expires_at)
        ON CONFLICT ON CONSTRAINT card_sessions_request_key DO NOTHING RETURNING {_COLUMNS}"""  # noqa: S608
)
_KNOWN = text(
    f"SELECT {_COLUMNS} FROM card_sessions WHERE merchant_id = :merchant_id AND request_key = :request_key"  # noqa: S608
)
_FIND = text(f"SELECT {_COLUMNS} FROM card_sessions WHERE id = :id")  # noqa: S608
_LOCK = text(f"SELECT {_COLUMNS} FROM card_sessions WHERE id = :id FOR UPDATE")  # noqa: S608
_COUNT = text("UPDATE card_sessions SET attempts = attempts + 1 WHERE id = :id")
_BLOCK = text("UPDATE card_sessions SET status = 'blocked' WHERE id = :id AND status = 'open' AND attempts >= :max")
_USE = text(
    "UPDATE card_sessions SET status = 'used', token = :token, used_at = :now WHERE id = :id AND status = 'open'"
)
_SWEEP = text(
    """DELETE FROM card_sessions WHERE id IN (
           SELECT id FROM card_sessions WHERE expires_at <= :before ORDER BY expires_at LIMIT :limit
              FOR UPDATE SKIP LOCKED)"""
)
