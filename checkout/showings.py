"""Showings (показы карты): one phone's right to show one loyalty card, with time codes of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from checkout import loyalty_cards
from checkout.barcode import SHOWING_NUMBER_MAX, ShownBarcode, showing_secret, shown_barcode
from checkout.loyalty_cards import LoyaltyCard, LoyaltyCardStatus
from checkout.loyalty_errors import LoyaltyCardBlocked, ShowingEnded, ShowingNotFound, ShowingsTooMany
from checkout.telling import TillActor, tell
from ledger.database import Session, text
from pci.secret import Secret


@dataclass(frozen=True, slots=True)
class Showing:
    """A phone that shows a card."""

    id: str
    """``shw_…``"""
    card_id: str
    number: int
    """Stands in its barcodes; never given twice."""
    started_at: datetime
    ended_at: datetime | None


async def begin_showing(
    session: Session, showing_id: str, card: LoyaltyCard, *, by: TillActor, now: datetime
) -> Showing:
    """Let one more phone show a locked card. Raises: LoyaltyCardBlocked, ShowingsTooMany."""
    if card.status is not LoyaltyCardStatus.ACTIVE:
        raise LoyaltyCardBlocked(loyalty_card_id=card.id)
    last = await session.scalar(
        text("SELECT coalesce(max(number), 0) FROM loyalty_showings WHERE card_id = :id"), {"id": card.id}
    )
    if last >= SHOWING_NUMBER_MAX:
        raise ShowingsTooMany(loyalty_card_id=card.id)
    showing = Showing(showing_id, card.id, last + 1, now, None)
    await session.execute(
        text("""INSERT INTO loyalty_showings (id, card_id, number, started_at)
                VALUES (:id, :card_id, :number, :now)"""),
        {"id": showing.id, "card_id": card.id, "number": showing.number, "now": now},
    )
    await tell(session, "loyalty_card.shown", card.id, card.merchant_id, by, {"showing_id": showing.id}, now=now)
    return showing


async def end_showing(session: Session, card: LoyaltyCard, showing_id: str, *, by: TillActor, now: datetime) -> Showing:
    """Let a phone show the card no more: it was lost, or another took its place. Ending it again changes nothing.

    Raises: ShowingNotFound. Locks: the showing.
    """
    showing = await _one(session, card, showing_id, "FOR NO KEY UPDATE")
    if showing.ended_at is not None:
        return showing
    await session.execute(
        text("UPDATE loyalty_showings SET ended_at = :now WHERE id = :id"), {"id": showing_id, "now": now}
    )
    facts = {"showing_id": showing_id}
    await tell(session, "loyalty_card.showing_ended", card.id, card.merchant_id, by, facts, now=now)
    return Showing(showing.id, showing.card_id, showing.number, showing.started_at, now)


async def load_showing(session: Session, card: LoyaltyCard, showing_id: str) -> Showing:
    """The card's showing that has not ended. Raises: ShowingNotFound, ShowingEnded."""
    showing = await _one(session, card, showing_id, "")
    if showing.ended_at is not None:
        raise ShowingEnded(showing_id=showing_id)
    return showing


async def list_showings(session: Session, card: LoyaltyCard) -> list[Showing]:
    """Every phone that ever showed the card."""
    rows = await session.execute(
        text(f"SELECT * FROM loyalty_showings WHERE card_id = :id ORDER BY number LIMIT {SHOWING_NUMBER_MAX}"),  # noqa: S608
        {"id": card.id},
    )
    return [_showing(row) for row in rows]


def secret_of(key: Secret, card: LoyaltyCard, showing: Showing) -> bytes:
    """What the phone makes its codes of."""
    return showing_secret(key, card.number, showing.number)


def barcode_of(key: Secret, card: LoyaltyCard, showing: Showing, *, now: datetime) -> ShownBarcode:
    """What the phone shows now."""
    return shown_barcode(secret_of(key, card, showing), card.number, showing.number, now=now)


async def card_of_showing(
    session: Session, card_id: str, showing_id: str, *, merchant_id: str | None
) -> tuple[LoyaltyCard, Showing]:
    """A card and a phone that may show it. Raises: LoyaltyCardNotFound, ShowingNotFound, ShowingEnded."""
    card = await loyalty_cards.load_card(session, card_id, merchant_id=merchant_id)
    return card, await load_showing(session, card, showing_id)


async def _one(session: Session, card: LoyaltyCard, showing_id: str, lock: str) -> Showing:
    row = (
        await session.execute(
            text(f"SELECT * FROM loyalty_showings WHERE id = :id AND card_id = :card_id {lock}"),  # noqa: S608
            {"id": showing_id, "card_id": card.id},
        )
    ).first()
    if row is None:
        raise ShowingNotFound(showing_id=showing_id)
    return _showing(row)


def _showing(row: Row[Any]) -> Showing:
    return Showing(**row._mapping)
