"""Tills' keys: a fingerprint that names the till, and a secret that its one-time codes (RFC 6238) are made with.

The secret is derived from the house's key and the id of the till's key, so that no table, copy or log holds it. It is
shown until the till has proved itself with it, and never again; then only another key helps. DECISIONS.md.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b32encode
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from checkout import repository
from checkout.errors import TerminalKeyNotFound, TerminalKeyProved, TerminalKeyRefused, TerminalNotFound
from checkout.premises import TerminalKey, TerminalSighting
from checkout.telling import TillActor, tell
from ledger.database import Session, text
from pci.secret import Secret

SECRET_BYTES = 20
"""Source: RFC 4226, section 4, R6: 160 bits are recommended."""
OVERLAP = timedelta(days=1)
"""How long the old key of a till goes on working, so that the new one may be brought to it."""
SIGHTING_EVERY = timedelta(seconds=30)
"""How often a till that is heard all the time is written down."""
KEYS_MAX = 100
"""Keys of one till that are listed."""

_DOMAIN = b"kopeyka/terminal-key/v1|"
_ROW = """k.id, k.terminal_id, t.merchant_id, k.fingerprint, k.key_check, k.created_at, k.proved_at, k.expires_at"""


def secret_of(house: Secret, key_id: str) -> Secret:
    """The secret of a till's key in base 32, as authenticator programs take it."""
    return Secret(b32encode(_derived(house, "secret", key_id)[:SECRET_BYTES]).decode())


def _fingerprint_of(house: Secret, key_id: str) -> str:
    return _derived(house, "fingerprint", key_id).hex()[:32]


def _check_of(house: Secret, key_id: str) -> str:
    return _derived(house, "check", key_id).hex()[:8]


def _derived(house: Secret, what: str, key_id: str) -> bytes:
    return hmac.new(house.expose().encode(), _DOMAIN + f"{what}|{key_id}".encode(), hashlib.sha256).digest()


async def issue_key(
    session: Session, key_id: str, terminal_id: str, house: Secret, *, merchant_id: str | None, by: TillActor,
    now: datetime,
) -> TerminalKey:  # fmt: skip
    """Make a key for a till; the one before works on for ``OVERLAP``.

    Raises: TerminalNotFound. Locks: the making of the till's keys.
    """
    terminal = await repository.load_terminal(session, terminal_id)
    if merchant_id not in (None, terminal.merchant_id):
        raise TerminalNotFound(terminal_id=terminal_id)
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 19))"), {"id": terminal_id})
    await session.execute(
        text("UPDATE terminal_keys SET expires_at = :until WHERE terminal_id = :id AND expires_at IS NULL"),
        {"id": terminal_id, "until": now + OVERLAP},
    )
    await session.execute(
        text("""INSERT INTO terminal_keys (id, terminal_id, fingerprint, key_check, created_at)
                VALUES (:id, :terminal_id, :fingerprint, :key_check, :now)"""),
        {
            "id": key_id, "terminal_id": terminal_id, "fingerprint": _fingerprint_of(house, key_id),
            "key_check": _check_of(house, key_id), "now": now,
        },
    )  # fmt: skip
    await tell(session, "terminal_key.issued", key_id, terminal.merchant_id, by, {"terminal_id": terminal_id}, now=now)
    return await load_key(session, key_id)


async def show_secret(
    session: Session, key_id: str, house: Secret, *, merchant_id: str | None, by: TillActor, now: datetime
) -> tuple[TerminalKey, Secret]:
    """A key and its secret, to be brought to the till; each look is told to the log.

    Raises: TerminalKeyNotFound; TerminalKeyProved; TerminalKeyRefused if the house's key is another one now.
    """
    key = await load_key(session, key_id, merchant_id=merchant_id)
    if key.proved_at is not None:
        raise TerminalKeyProved(key_id=key_id)
    if key.key_check != _check_of(house, key_id):
        raise TerminalKeyRefused(key_id=key_id)
    facts = {"terminal_id": key.terminal_id}
    await tell(session, "terminal_key.shown", key_id, key.merchant_id, by, facts, now=now)
    return key, secret_of(house, key_id)


async def load_key(session: Session, key_id: str, *, merchant_id: str | None = None) -> TerminalKey:
    """A till's key. Raises: TerminalKeyNotFound if there is none, or it is another merchant's."""
    found = await _keys(session, "k.id = :it", key_id)
    if not found or merchant_id not in (None, found[0].merchant_id):
        raise TerminalKeyNotFound(key_id=key_id)
    return found[0]


async def find_key(session: Session, fingerprint: str, *, now: datetime) -> TerminalKey:
    """The key that a till names by its fingerprint, while it works. Raises: TerminalKeyRefused."""
    found = await _keys(session, "k.fingerprint = :it", fingerprint)
    if not found or (found[0].expires_at is not None and found[0].expires_at <= now):
        raise TerminalKeyRefused(fingerprint=fingerprint[:8])
    return found[0]


async def terminal_of(session: Session, fingerprint: str, *, merchant_id: str | None) -> str | None:
    """Whose fingerprint it is among the merchant's tills, if anybody's: no proof yet."""
    found = await _keys(session, "k.fingerprint = :it", fingerprint)
    return found[0].terminal_id if found and merchant_id in (None, found[0].merchant_id) else None


async def list_keys(session: Session, terminal_id: str) -> list[TerminalKey]:
    """A till's keys, the latest first."""
    return await _keys(session, "k.terminal_id = :it", terminal_id)


async def note_proof(
    session: Session, key: TerminalKey, *, software: str | None = None, problem: str | None = None, now: datetime
) -> None:
    """A till has proved itself: its key is shown no more, and the till was seen. Locks: the key, the sighting."""
    if key.proved_at is None:
        await session.execute(
            text("UPDATE terminal_keys SET proved_at = :now WHERE id = :id AND proved_at IS NULL"),
            {"id": key.id, "now": now},
        )
    await _note_sighting(session, key.terminal_id, software, problem, now)


async def _note_sighting(
    session: Session, terminal_id: str, software: str | None, problem: str | None, now: datetime
) -> None:
    """A till was heard. One that is heard all the time is written down each ``SIGHTING_EVERY``; news at once."""
    await session.execute(
        text("""INSERT INTO terminal_sightings AS s (terminal_id, seen_at, software, problem, problem_at)
                VALUES (:id, :now, :software, :problem,
                        CASE WHEN CAST(:problem AS text) IS NOT NULL THEN CAST(:now AS timestamptz) END)
                ON CONFLICT (terminal_id) DO UPDATE
                   SET seen_at = greatest(s.seen_at, excluded.seen_at),
                       software = coalesce(excluded.software, s.software),
                       problem = coalesce(excluded.problem, s.problem),
                       problem_at = coalesce(excluded.problem_at, s.problem_at)
                 WHERE s.seen_at <= :stale OR excluded.problem IS NOT NULL
                    OR excluded.software <> coalesce(s.software, '')"""),
        {"id": terminal_id, "now": now, "software": software, "problem": problem, "stale": now - SIGHTING_EVERY},
    )


async def sightings_of(session: Session, terminal_ids: list[str]) -> dict[str, TerminalSighting]:
    """When tills were last heard."""
    rows = await session.execute(
        text("SELECT * FROM terminal_sightings WHERE terminal_id = ANY(CAST(:ids AS text[]))"), {"ids": terminal_ids}
    )
    return {row.terminal_id: TerminalSighting(**row._mapping) for row in rows}


async def lasting_keys(session: Session, terminal_ids: list[str]) -> dict[str, TerminalKey]:
    """The key that each of some tills should prove itself by."""
    rows = await session.execute(
        text(f"""SELECT {_ROW} FROM terminal_keys AS k JOIN terminals AS t ON t.id = k.terminal_id
                  WHERE k.terminal_id = ANY(CAST(:ids AS text[])) AND k.expires_at IS NULL"""),  # noqa: S608
        {"ids": terminal_ids},
    )
    return {row.terminal_id: _key(row) for row in rows}


async def _keys(session: Session, which: str, value: str) -> list[TerminalKey]:
    rows = await session.execute(
        text(f"""SELECT {_ROW} FROM terminal_keys AS k JOIN terminals AS t ON t.id = k.terminal_id
                  WHERE {which} ORDER BY k.id DESC LIMIT {KEYS_MAX}"""),  # noqa: S608  # our own words
        {"it": value},
    )
    return [_key(row) for row in rows]


def _key(row: Row[Any]) -> TerminalKey:
    return TerminalKey(**row._mapping)
