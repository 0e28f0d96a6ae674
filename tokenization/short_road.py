"""The short road for cards and tokens of many callers: one or two statements on a bare line, one fsync for all.

``keep_new`` keeps cards that nobody knows, with their events, in one statement; when one of them is known after all,
nothing is done and the long road (``cards.tokenize_many``) is taken. ``open_cards`` reads, opens, and lets nobody have
a number before the events of all are committed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from psycopg import errors

from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import lines_of
from pci.keys.ring import KeyRing
from tokenization import cards, sql_arrays
from tokenization.card import Card, CardStatus, OpenCard, Tokenized
from tokenization.card_errors import CardTampered, TokenRefused
from tokenization.cards import CardAsk, CardIn
from tokenization.repository import NewCard, Row, new_cards

KEEP_NEW = "SELECT keep_new_cards($1, $2, $3, $4)"
NEW_CARD = "new_card"
"""The type of what is kept."""
LONG_ROAD = "KP010"
"""By which PostgreSQL says that a key is destroyed or changing."""
SEALED_COLUMNS = (
    "token", "merchant_id", "expires", "scheme", "fingerprint_id", "status", "expires_at", "restrictions",
    "key_number", "pan_sealed", "holder_sealed",
)  # fmt: skip
_COLUMNS = ", ".join(f"c.{column}" for column in SEALED_COLUMNS)
READ_SEALED = f"""
    SELECT a.place, {_COLUMNS} FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS a (token, merchant_id, place)
      JOIN cards AS c ON c.token = a.token AND c.merchant_id = a.merchant_id
    UNION ALL
    SELECT a.place, {_COLUMNS} FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS a (token, merchant_id, place)
      JOIN cards AS c ON c.digits_token = a.token AND c.merchant_id = a.merchant_id
     WHERE starts_with(a.token, '9999')"""  # noqa: S608 -- our own columns
_NEW: Mapping[str, bool] = {"is_new": True, "metadata_changed": False}
"""What the log says of a card that nobody knew."""
STAGE = "SELECT stage_audit_events($1::bytea[])"


class Line(Protocol):
    """A connection on which each call is a transaction of its own; parameters as text or bytes."""

    def call(self, statement: str, parameters: Sequence[str | bytes | None]) -> Awaitable[list[tuple[Any, ...]]]:
        """Send a statement at once and give its rows."""

    async def type_number(self, name: str) -> int:
        """The number of a type of ours."""


async def keep_new(line: Line, ring: KeyRing, brought: Sequence[CardIn], *, now: datetime) -> list[Tokenized] | None:
    """Keep cards if all of them are new; nothing if one of them is not, and nothing was done then.

    Raises: CardKeysNotReady, Sealed; psycopg.Error if the line broke: then nobody knows.
    """
    sealed = cards.seal_cards(ring, brought)
    events = [_event(card, new, now) for card, new in zip(brought, sealed, strict=True)]
    kept = line.call(KEEP_NEW, _arguments(await line.type_number(NEW_CARD), sealed, events, now))
    answers = [_tokenized(card, new, now) for card, new in zip(brought, sealed, strict=True)]  # while PostgreSQL works
    try:
        await kept
    except errors.UniqueViolation:
        return None
    except errors.Error as error:
        if error.sqlstate == LONG_ROAD:
            return None
        raise
    return answers


async def open_cards(
    line: Line, ring: KeyRing, asks: Sequence[CardAsk], *, now: datetime
) -> list[OpenCard | TokenRefused | CardTampered]:
    """Open many cards; answered when their events, and those of refusals, are committed.

    Raises: Sealed; psycopg.Error, and then nobody has seen anything.
    """
    found = await line.call(
        READ_SEALED, (sql_arrays.texts(ask.token for ask in asks), sql_arrays.texts(ask.merchant_id for ask in asks))
    )
    rows: dict[int, Row] = {place - 1: dict(zip(SEALED_COLUMNS, row, strict=True)) for place, *row in found}
    answers, events = await cards.answers_to(ring, asks, rows, now)
    await line.call(STAGE, (sql_arrays.blobs(lines_of(events)),))
    return answers


def _event(card: CardIn, new: NewCard, now: datetime) -> AuditEvent:
    return AuditEvent(
        "card.tokenized", card.actor, card.origin, f"card:{new.token}", now, merchant_id=new.merchant_id, facts=_NEW
    )


def _tokenized(card: CardIn, new: NewCard, now: datetime) -> Tokenized:
    known = Card(
        token=new.token,
        merchant_id=new.merchant_id,
        mask=f"{new.first6}{'*' * (new.digits - 10)}{new.last4}",
        scheme=new.scheme,
        expires=new.expires,
        fingerprint_id=new.fingerprint_id,
        status=CardStatus.ACTIVE,
        tokenized_at=now,
        expires_at=new.expires_at,
        digits_token=new.digits_token,
        restrictions=card.terms.restrictions,
    )
    return Tokenized(known, is_new=True, metadata_changed=False)


def _arguments(
    type_number: int, sealed: Sequence[NewCard], events: Sequence[AuditEvent], now: datetime
) -> tuple[str | bytes, ...]:
    keys = sql_arrays.numbers({card.key_number for card in sealed})
    merchants = sql_arrays.texts({card.merchant_id for card in sealed})
    return now.isoformat(), keys, merchants, new_cards(type_number, sealed, lines_of(events))
