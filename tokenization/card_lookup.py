"""People look for a card by its token, or by the last four digits and the month that stand on it: masks only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from pci.access.deeds import Deed
from pci.audit_log.event import AuditEvent
from tokenization import cards
from tokenization.card import Card
from tokenization.card_errors import TokenNotFound, TooManyUnknownTokens
from tokenization.enumeration import UNKNOWN_MAX, WINDOW, UnknownTokens
from tokenization.errors import FieldFault, RequestInvalid
from tokenization.repository import CARD_COLUMNS

FOUND_MAX = 20
"""Enough to tell a buyer's cards apart; who needs more knows too little of the card."""
_LAST4 = re.compile(r"[0-9]{4}")
_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class CardPlace:
    """Where a card is kept: whose it is, and under which key."""

    token: str
    merchant_id: str
    key_number: int | None
    """Nothing when the card is gone."""


async def find(deed: Deed, unknown: UnknownTokens, token: str) -> CardPlace:
    """Where the card of a token of either kind is kept. Who asks for many that are not there waits.

    Raises: TokenNotFound, TooManyUnknownTokens.
    """
    unknown.refuse(deed.actor.label, deed.wish.now)
    column = "digits_token" if token.isdigit() else "token"
    statement = text(f"SELECT token, merchant_id, key_number FROM cards WHERE {column} = :token")  # noqa: S608
    row = (await deed.session.execute(statement, {"token": token})).first() if cards.is_token(token) else None
    if row is None:
        raise guessed(deed) if unknown.note(deed.actor.label, deed.wish.now) else TokenNotFound()
    return CardPlace(row.token, row.merchant_id, row.key_number)


def guessed(deed: Deed) -> TooManyUnknownTokens:
    """The one too many, with its line for the log: the deed's own transaction is rolled back."""
    refusal = TooManyUnknownTokens(wait_seconds=int(WINDOW.total_seconds()))
    refusal.event = AuditEvent(
        "tokens.guessed", deed.actor.label, deed.wish.origin, "card:unknown", deed.wish.now,
        facts={"unknown": UNKNOWN_MAX},
    )  # fmt: skip
    return refusal


async def by_token(deed: Deed, unknown: UnknownTokens, token: str) -> Sequence[Card]:
    """The card of a token, if there is one: in a list, as by the digits on it. The looking is an event.

    Raises: TooManyUnknownTokens.
    """
    try:
        place = await find(deed, unknown, token)
    except TokenNotFound:
        found: Sequence[Card] = []
    else:
        found = [await cards.find_card(deed.session, place.token, place.merchant_id)]
    await deed.record("cards:by_token", found=len(found))
    return found


async def by_digits(deed: Deed, last4: str, expires_on: str) -> Sequence[Card]:
    """The active cards with these last four digits that are good through this month. The looking is an event.

    Raises: RequestInvalid.
    """
    if _LAST4.fullmatch(last4) is None:
        raise RequestInvalid((FieldFault("/last4", "four digits"),))
    if _MONTH.fullmatch(expires_on) is None:
        raise RequestInvalid((FieldFault("/expires_on", "YYYY-MM"),))
    statement = text(
        f"SELECT {CARD_COLUMNS} FROM cards WHERE last4 = :last4 AND expires = :expires AND status = 'active'"  # noqa: S608
        " ORDER BY merchant_id, number DESC LIMIT :limit"
    )
    rows = await deed.session.execute(statement, {"last4": last4, "expires": expires_on, "limit": FOUND_MAX})
    found = [Card.from_row(dict(row)) for row in rows.mappings()]
    await deed.record("cards:by_digits", found=len(found))
    return found
