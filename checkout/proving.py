"""A till proves itself: its fingerprint names its key, and its one-time code shows that it holds the secret."""

from __future__ import annotations

from base64 import b32decode
from datetime import datetime

from checkout import terminal_keys
from checkout.errors import TerminalKeyRefused
from checkout.premises import TerminalKey
from checkout.time_codes import step_that_shows
from ledger.database import Session
from pci.secret import Secret


async def prove(
    session: Session, fingerprint: str, code: str, house: Secret, *, software: str | None = None,
    problem: str | None = None, now: datetime,
) -> TerminalKey:  # fmt: skip
    """The key of the till that says this fingerprint and code; the till was seen, with what it tells of itself.

    A code is good for all calls of its half minute: a sale is several calls, each with its own idempotency key.
    Raises: TerminalKeyRefused, without a word on which of the two is wrong. Locks: the key, the sighting.
    """
    key = await terminal_keys.find_key(session, fingerprint, now=now)
    secret = b32decode(terminal_keys.secret_of(house, key.id).expose())
    if step_that_shows(secret, code, now) is None:
        raise TerminalKeyRefused(fingerprint=fingerprint[:8])
    await terminal_keys.note_proof(session, key, software=software, problem=problem, now=now)
    return key
