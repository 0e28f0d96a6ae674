"""Rows of ``cards``: read, written and walked over."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from pci.database import Session

Row = Mapping[str, Any]

CARD_COLUMNS = (
    "token, merchant_id, digits, first6, last4, scheme, expires, fingerprint_id, status, tokenized_at, expires_at,"
    " digits_token, restrictions"
)
TOKENIZE = text(
    "SELECT * FROM tokenize_cards(:now, :tokens, :merchants, :scopes, :fingerprint_keys, :fingerprints, :old_keys,"
    " :old_fingerprints, :fingerprint_ids, :key_numbers, :pans, :holders, :first6, :last4,"
    " CAST(:digits AS smallint[]), :schemes, :expires, :digits_tokens, CAST(:expires_at AS timestamptz[]),"
    " CAST(CAST(:restrictions AS text[]) AS jsonb[]))"
)
FIND = text(f"SELECT {CARD_COLUMNS} FROM cards WHERE token = :token AND merchant_id = :merchant_id")  # noqa: S608
FIND_BY_DIGITS = text(
    f"SELECT {CARD_COLUMNS} FROM cards WHERE digits_token = :token AND merchant_id = :merchant_id"  # noqa: S608
)
SEALED = text(
    """SELECT a.place, c.token, c.merchant_id, c.expires, c.scheme, c.fingerprint_id, c.status, c.expires_at,
              c.restrictions, c.key_number, c.pan_sealed, c.holder_sealed
         FROM unnest(CAST(:tokens AS text[]), CAST(:merchants AS text[])) WITH ORDINALITY
              AS a (token, merchant_id, place)
         JOIN cards AS c ON c.token = a.token AND c.merchant_id = a.merchant_id"""
)
SEALED_BY_DIGITS = text(SEALED.text.replace("c.token = a.token", "c.digits_token = a.token"))


@dataclass(frozen=True, slots=True)
class NewCard:
    """A card sealed and ready to be kept, if its scope does not know it."""

    token: str
    merchant_id: str
    scope: str
    fingerprint_key: int
    fingerprint: bytes
    fingerprint_id: str
    key_number: int
    pan: bytes
    holder: bytes | None
    first6: str
    last4: str
    digits: int
    scheme: str
    expires: str
    digits_token: str | None
    expires_at: datetime | None
    restrictions: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class OldFingerprint:
    """How a card was known before the fingerprint key changed."""

    key: int
    fingerprint: bytes


async def tokenize_cards(
    session: Session, cards: Sequence[NewCard], *, old: Sequence[OldFingerprint | None] | None, now: datetime
) -> list[Row]:
    """Keep cards, or find them; a row each in their order.

    No row at all when a change of a fingerprint key is under way and ``old`` was not brought.
    Locks: rows of cards met again, in the order of their scopes and digests.
    """
    found = await session.execute(TOKENIZE, _arguments(cards, old, now))
    rows = list(found.mappings())
    rows.sort(key=lambda row: int(row["place"]))
    return rows


def _arguments(cards: Sequence[NewCard], old: Sequence[OldFingerprint | None] | None, now: datetime) -> dict[str, Any]:
    return {
        "now": now,
        "tokens": [card.token for card in cards],
        "merchants": [card.merchant_id for card in cards],
        "scopes": [card.scope for card in cards],
        "fingerprint_keys": [card.fingerprint_key for card in cards],
        "fingerprints": [card.fingerprint for card in cards],
        "old_keys": None if old is None else [known.key if known else None for known in old],
        "old_fingerprints": None if old is None else [known.fingerprint if known else None for known in old],
        "fingerprint_ids": [card.fingerprint_id for card in cards],
        "key_numbers": [card.key_number for card in cards],
        "pans": [card.pan for card in cards],
        "holders": [card.holder for card in cards],
        "first6": [card.first6 for card in cards],
        "last4": [card.last4 for card in cards],
        "digits": [card.digits for card in cards],
        "schemes": [card.scheme for card in cards],
        "expires": [card.expires for card in cards],
        "digits_tokens": [card.digits_token for card in cards],
        "expires_at": [card.expires_at for card in cards],
        "restrictions": [None if card.restrictions is None else json.dumps(card.restrictions) for card in cards],
    }


async def find(session: Session, token: str, merchant_id: str) -> Row | None:
    """What may be known of a card by its token of either kind."""
    statement = FIND_BY_DIGITS if token.isdigit() else FIND
    found = await session.execute(statement, {"token": token, "merchant_id": merchant_id})
    return found.mappings().one_or_none()


async def find_sealed(session: Session, asked: Sequence[tuple[str, str]]) -> dict[int, Row]:
    """The sealed rows of (token, merchant) pairs, by their place from 0. What is not there is not there."""
    rows: dict[int, Row] = {}
    for statement, is_digits in ((SEALED, False), (SEALED_BY_DIGITS, True)):
        places = [place for place, (token, _) in enumerate(asked) if token.isdigit() is is_digits]
        if not places:
            continue
        arguments = {
            "tokens": [asked[place][0] for place in places],
            "merchants": [asked[place][1] for place in places],
        }
        found = await session.execute(statement, arguments)
        rows |= {places[row["place"] - 1]: row for row in found.mappings()}
    return rows


async def keep_holder(session: Session, token: str, holder: bytes, now: datetime) -> None:
    """Write a holder's name, sealed for its row."""
    await session.execute(
        text("UPDATE cards SET holder_sealed = :holder, changed_at = :now WHERE token = :token AND status = 'active'"),
        {"token": token, "holder": holder, "now": now},
    )


async def fingerprint_windows(session: Session, merchants: Sequence[str]) -> dict[str, int]:
    """The fingerprint keys that merchants are moving away from, by merchant."""
    found = await session.execute(
        text(
            """SELECT DISTINCT ON (k.scope) k.scope, k.number FROM rotations AS r
                 JOIN keys AS k ON k.purpose = 'fingerprint' AND k.scope = r.scope AND k.state = 'decrypt_only'
                WHERE r.kind = 'fingerprint' AND r.status <> 'done' AND r.scope = ANY (:merchants)
                ORDER BY k.scope, k.version DESC"""
        ),
        {"merchants": list(merchants)},
    )
    return {row.scope: row.number for row in found}
