"""A card's CVC between its entry and the outcome of its authorisation, and not a moment longer.

It is sealed under a key of its own that changes daily, in a table that no write-ahead log, standby or dump has. It
survives a failed attempt, so that the same charge may be tried again; the final outcome takes it away in its own
transaction, and a sweeper what nobody charged.

Source: PCI DSS 3.3.1 (not kept after authorisation), 3.3.2 (encrypted before it). DECISIONS.md.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from pci.database import Session
from pci.keys.envelope import number_in, seal, unseal
from pci.keys.key import KeyPurpose
from pci.secret import Secret
from tokenization.errors import CvcMalformed, CvcMissing

if TYPE_CHECKING:
    from pci.keys.ring import KeyRing

SCOPE = "all"
KEPT_MINUTES_MAX = 60
SWEPT_MAX = 1_000
"""Rows taken away in one transaction."""
_FORM = re.compile(r"[0-9]{3,4}")
_KEEP = text(
    """INSERT INTO sad_volatile (token, sealed, kept_at, expires_at) VALUES (:token, :sealed, :now, :expires_at)
       ON CONFLICT ON CONSTRAINT sad_volatile_pkey DO UPDATE
          SET sealed = EXCLUDED.sealed, kept_at = EXCLUDED.kept_at, expires_at = EXCLUDED.expires_at"""
)
_READ = text("SELECT sealed FROM sad_volatile WHERE token = :token AND expires_at > :now")
_FORGET = text("DELETE FROM sad_volatile WHERE token = :token")
_SWEEP = text(
    """DELETE FROM sad_volatile WHERE token IN (
           SELECT token FROM sad_volatile WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit
              FOR UPDATE SKIP LOCKED)"""
)


def read_cvc(digits: str) -> Secret:
    """A CVC as it was typed: three digits, four on one scheme's cards. Raises: CvcMalformed, which never echoes it."""
    if not digits.isascii() or not _FORM.fullmatch(digits):
        raise CvcMalformed()
    return Secret(digits)


async def keep(
    session: Session, ring: KeyRing, token: str, cvc: Secret, now: datetime, *, minutes: int = KEPT_MINUTES_MAX
) -> None:
    """Keep the CVC of a card for its next authorisation; an earlier one is overwritten.

    The key must be ready before the transaction: ``await ring.ensure(KeyPurpose.SAD, SCOPE, now)``.
    Raises: Sealed; KeyUsesSpent.
    """
    assert 1 <= minutes <= KEPT_MINUTES_MAX
    dek = ring.primary(KeyPurpose.SAD, SCOPE)
    assert dek is not None, "the key is made ready before the transaction"
    sealed = seal(dek, cvc.expose().encode(), _aad(token))
    expires_at = now + timedelta(minutes=minutes)
    await session.execute(_KEEP, {"token": token, "sealed": sealed, "now": now, "expires_at": expires_at})


async def read(session: Session, ring: KeyRing, token: str, *, now: datetime) -> Secret | None:
    """The CVC of a card, if one is kept and its time is not over. It stays until ``forget``.

    Raises: Sealed; SealBroken if the row was changed or moved.
    """
    sealed = (await session.execute(_READ, {"token": token, "now": now})).scalar()
    if sealed is None:
        return None
    dek = await ring.by_number(number_in(bytes(sealed)))
    return Secret(unseal(dek, bytes(sealed), _aad(token)).decode())


async def read_needed(session: Session, ring: KeyRing, token: str, *, now: datetime) -> Secret:
    """The same where a charge cannot go without it. Raises: CvcMissing: the buyer must type it again."""
    if (cvc := await read(session, ring, token, now=now)) is None:
        raise CvcMissing(token=token)
    return cvc


async def forget(session: Session, token: str) -> bool:
    """Take the CVC away: in the transaction that writes the final outcome. Whether there was one."""
    return bool((await session.execute(_FORGET, {"token": token})).rowcount)


async def sweep(session: Session, *, now: datetime) -> int:
    """Take away what nobody charged in time; how many."""
    return int((await session.execute(_SWEEP, {"now": now, "limit": SWEPT_MAX})).rowcount)


def _aad(token: str) -> bytes:
    return f"sad|{token}|cvc|v1".encode()
