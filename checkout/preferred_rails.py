"""Preferred rails: how a buyer chose to pay with a loyalty card, so that one scan is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from checkout.errors import RailUnknown
from checkout.loyalty_cards import load_card
from checkout.premises import RAILS
from checkout.telling import TillActor, tell
from ledger.database import Session, text


@dataclass(frozen=True, slots=True)
class PreferredRail:
    """What the buyer of a loyalty card chose."""

    loyalty_card_id: str
    rail: str | None
    """None: nothing, or taken back; a till offers what it has."""
    chosen_at: datetime | None
    version: int


def first_rail(rails: Sequence[str], *, preferred: str | None) -> str | None:
    """With which rail a till goes straight on: the buyer's choice if it is on, else the first in the till's order."""
    if preferred in rails:
        return preferred
    return rails[0] if rails else None


async def preferred_rail_of(session: Session, loyalty_card_id: str) -> str | None:
    """The rail that a card's buyer chose; none when nothing was chosen."""
    rail: str | None = await session.scalar(
        text("SELECT rail FROM preferred_rails WHERE loyalty_card_id = :id"), {"id": loyalty_card_id}
    )
    return rail


async def load_preferred(
    session: Session, loyalty_card_id: str, *, merchant_id: str | None = None
) -> PreferredRail:  # fmt: skip
    """The choice of a card's buyer with its version. Raises: LoyaltyCardNotFound."""
    await load_card(session, loyalty_card_id, merchant_id=merchant_id)
    row = (
        await session.execute(
            text("SELECT rail, chosen_at, version FROM preferred_rails WHERE loyalty_card_id = :id"),
            {"id": loyalty_card_id},
        )
    ).first()
    if row is None:
        return PreferredRail(loyalty_card_id, None, None, 0)
    return PreferredRail(loyalty_card_id, row.rail, row.chosen_at, row.version)


async def prefer_rail(
    session: Session, loyalty_card_id: str, rail: str | None, *, merchant_id: str | None, by: TillActor, now: datetime
) -> PreferredRail:
    """Keep a buyer's choice, or take it back with None. The same again changes nothing.

    A rail that is off today may be chosen: it counts again when it is on.
    Raises: RailUnknown, LoyaltyCardNotFound. Locks: the choice.
    """
    if rail is not None and rail not in RAILS:
        raise RailUnknown(rail=rail)
    card = await load_card(session, loyalty_card_id, merchant_id=merchant_id)
    row = (
        await session.execute(
            text("""INSERT INTO preferred_rails AS p (loyalty_card_id, rail, chosen_at) VALUES (:id, :rail, :now)
                    ON CONFLICT (loyalty_card_id) DO UPDATE
                       SET rail = excluded.rail, chosen_at = excluded.chosen_at, version = p.version + 1
                     WHERE p.rail IS DISTINCT FROM excluded.rail
                    RETURNING rail, chosen_at, version"""),
            {"id": card.id, "rail": rail, "now": now},
        )
    ).first()
    if row is None:
        return await load_preferred(session, loyalty_card_id)
    await tell(session, "loyalty_card.rail_preferred", card.id, card.merchant_id, by, {"rail": rail or ""}, now=now)
    return PreferredRail(card.id, row.rail, row.chosen_at, row.version)
