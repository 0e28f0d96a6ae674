"""Which buyer of a merchant keeps which card, by the merchant's own words for its buyers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from pci.database import Session
from tokenization.card import Card

PAGE_MAX = 200


async def keep_for_buyer(session: Session, *, merchant_id: str, buyer_id: str, token: str, now: datetime) -> None:
    """Remember that this buyer keeps this card. Again changes nothing."""
    values = {"merchant_id": merchant_id, "buyer_id": buyer_id, "token": token, "now": now}
    await session.execute(_KEEP, values)


async def list_cards(
    session: Session, *, merchant_id: str, buyer_id: str | None = None, after: str | None = None, limit: int = PAGE_MAX
) -> Sequence[Card]:
    """A merchant's active cards, or those of one of its buyers, oldest first: a page, after the token ``after``."""
    values = {"merchant_id": merchant_id, "buyer_id": buyer_id, "after": after or "", "limit": min(limit, PAGE_MAX)}
    rows = await session.execute(_LIST if buyer_id is None else _LIST_OF_BUYER, values)
    return [Card.from_row(dict(row)) for row in rows.mappings()]


_COLUMNS = (
    "c.token, c.merchant_id, c.first6, c.last4, c.digits, c.scheme, c.expires, c.fingerprint_id, c.status, "
    "c.tokenized_at, c.expires_at, c.digits_token, c.restrictions"
)
_AFTER = "c.number > coalesce((SELECT a.number FROM cards AS a WHERE a.token = :after), 0)"
_KEEP = text(
    """INSERT INTO buyer_cards (merchant_id, buyer_id, token, added_at)
       VALUES (:merchant_id, :buyer_id, :token, :now) ON CONFLICT ON CONSTRAINT buyer_cards_pkey DO NOTHING"""
)
_LIST = text(
    f"""SELECT {_COLUMNS} FROM cards AS c
         WHERE c.merchant_id = :merchant_id AND c.status = 'active' AND {_AFTER}
         ORDER BY c.number LIMIT :limit"""  # noqa: S608  # our own column list
)
_LIST_OF_BUYER = text(
    f"""SELECT {_COLUMNS} FROM buyer_cards AS b JOIN cards AS c ON c.token = b.token
         WHERE b.merchant_id = :merchant_id AND b.buyer_id = :buyer_id AND c.merchant_id = :merchant_id
           AND c.status = 'active' AND {_AFTER}
         ORDER BY c.number LIMIT :limit"""  # noqa: S608  # our own column list
)
