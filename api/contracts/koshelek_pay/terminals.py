"""Tills that call: found by the partner's store and terminal, and known by the header ``token``.

The token is the till's fingerprint and, right behind it, its one-time code of this moment. Source: the wallet's
developer pages, Pay API, "Security": a header ``token`` of cash-desk fingerprint and TOTP for availability, checkout
and refund; that six digits are written behind the fingerprint is ours.
"""

from __future__ import annotations

import re
from base64 import b32decode
from datetime import datetime

from api.contracts.koshelek_pay.errors import StoreUnknown, TerminalUnknown
from api.guessing import Guesses
from checkout import repository as till_rows
from checkout.errors import StoreNotFound, TerminalKeyRefused
from checkout.merchants import Terminal
from checkout.proving import prove
from checkout.terminal_keys import find_key
from checkout.time_codes import step_of, time_code
from ledger.database import Session, text
from pci.secret import Secret

CODE_DIGITS = 6
SAME_NAMES_MAX = 2
_TOKEN = re.compile(r"([0-9a-f]{32})([0-9]{6})")


async def terminal_of(session: Session, merchant_id: str, store_id: str, named: str) -> Terminal:
    """The terminal of a store: by our id, or by the merchant's own name of it.

    Raises: StoreUnknown, TerminalUnknown.
    """
    try:
        store = await till_rows.load_store(session, store_id)
    except StoreNotFound:
        raise StoreUnknown(parameter="storeId") from None
    if store.merchant_id != merchant_id:
        raise StoreUnknown(parameter="storeId")
    rows = await session.execute(
        text("""SELECT * FROM terminals WHERE store_id = :store_id AND (id = :named OR name = :named) LIMIT :limit"""),
        {"store_id": store_id, "named": named, "limit": SAME_NAMES_MAX},
    )
    found = [Terminal(**row._mapping) for row in rows]
    if len(found) != 1:
        raise TerminalUnknown(parameter="terminalId")
    return found[0]


async def prove_terminal(
    session: Session, token: str | None, terminal: Terminal, house: Secret, guesses: Guesses, *, software: str | None,
    now: datetime,
) -> None:  # fmt: skip
    """Let a till in, or not. Too many wrong codes of one till are not looked at.

    Raises: TerminalKeyRefused, RateLimited.
    """
    match = _TOKEN.fullmatch(token or "")
    if match is None:
        raise TerminalKeyRefused("The header token is the fingerprint of 32 digits a-f and the code of 6 digits.")
    key = await find_key(session, match[1], now=now)
    if key.terminal_id != terminal.id:  # told like a fingerprint of nobody
        raise TerminalKeyRefused(fingerprint=match[1][:8])
    guesses.refuse_more(terminal.id)
    try:
        await prove(session, match[1], match[2], house, software=software, now=now)
    except TerminalKeyRefused:
        guesses.count(terminal.id)
        raise


def token_of(fingerprint: str, secret: Secret, at: datetime) -> str:
    """What a till sends at this moment."""
    return fingerprint + time_code(b32decode(secret.expose()), step_of(at), digits=CODE_DIGITS)
