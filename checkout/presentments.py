"""Presentments (предъявления): a till scans a loyalty barcode, once, and learns whose card it is and what may pay.

A plastic card, or a till without rails, is good for loyalty alone: points and prices, and no payment. So is a scan
during which it could not be learnt in time which rails are on: paying must never hold the card up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from checkout import repository, rollout
from checkout.barcode import ReadBarcode, read_barcode, step_shown
from checkout.errors import TerminalNotFound
from checkout.loyalty_cards import LoyaltyCard, LoyaltyCardStatus, find_card
from checkout.loyalty_errors import (
    BarcodeUsed,
    LoyaltyCardBlocked,
    PresentmentNotFound,
    ShowingEnded,
)
from checkout.merchants import Terminal
from checkout.preferred_rails import preferred_rail_of
from ledger.database import Session, text
from ledger.ids import new_id
from pci.secret import Secret

PAGE_MAX = 200


class UnavailableReason(StrEnum):
    """Why a presentment is good for loyalty alone."""

    STATIC_BARCODE = "static_barcode"
    """A number without a code of now: anybody may have copied it."""
    NO_RAILS = "no_rails"
    """No rail is on at this till."""
    NOT_KNOWN_IN_TIME = "not_known_in_time"
    """It could not be learnt in time which rails are on."""


@dataclass(frozen=True, slots=True)
class Presentment:
    """One scan of a card at a till."""

    id: str
    """``prs_…``"""
    merchant_id: str
    store_id: str
    terminal_id: str
    loyalty_card_id: str
    showing_id: str | None
    """The phone that showed it; none for plastic."""
    time_step: int | None
    is_payment_available: bool
    """Whether the till may go straight on to paying."""
    rails: tuple[str, ...]
    """What can be paid by at this till now; empty when nothing can."""
    preferred_rail: str | None
    """What the buyer has chosen to pay by, if it is on here."""
    unavailable_reason: UnavailableReason | None
    presented_at: datetime


async def present(
    session: Session, barcode: str, terminal_id: str, *, key: Secret, now: datetime, merchant_id: str | None = None,
    presentment_id: str | None = None, rails: tuple[str, ...] | None = None, is_in_time: bool = True,
) -> Presentment:  # fmt: skip
    """Take one scan down. ``rails`` are read here unless the caller knows them; ``merchant_id`` is the caller's own.

    Raises: BarcodeUnreadable, BarcodeNotOfNow, BarcodeUsed, TerminalNotFound, LoyaltyCardNotFound,
    LoyaltyCardBlocked, ShowingEnded.
    """
    read = read_barcode(barcode)
    step = step_shown(read, key, now=now)
    terminal = await repository.load_terminal(session, terminal_id)
    if merchant_id not in (None, terminal.merchant_id):
        raise TerminalNotFound(terminal_id=terminal_id)
    card = await find_card(session, terminal.merchant_id, number=read.number)
    if card.status is not LoyaltyCardStatus.ACTIVE:
        raise LoyaltyCardBlocked(loyalty_card_id=card.id)
    showing_id = await _showing_of(session, card, read)
    if rails is None:
        rails = await rollout.rails_on(session, terminal_id, now=now)
    preferred_rail = await preferred_rail_of(session, card.id)
    presentment = presentment_of(
        presentment_id or new_id("prs", now), terminal, card.id, showing_id, step, rails, preferred_rail,
        is_in_time=is_in_time, now=now,
    )  # fmt: skip
    await _add(session, presentment)
    return presentment


def presentment_of(
    presentment_id: str, terminal: Terminal, card_id: str, showing_id: str | None, step: int | None,
    rails: tuple[str, ...], preferred_rail: str | None, *, is_in_time: bool, now: datetime,
) -> Presentment:  # fmt: skip
    """What a scan is worth: payment needs a phone's code of now, and a rail that is on."""
    reason = None
    if showing_id is None:
        reason = UnavailableReason.STATIC_BARCODE
    elif not is_in_time:
        reason = UnavailableReason.NOT_KNOWN_IN_TIME
    elif not rails:
        reason = UnavailableReason.NO_RAILS
    offered = rails if reason is None else ()
    return Presentment(
        presentment_id, terminal.merchant_id, terminal.store_id, terminal.id, card_id, showing_id, step,
        reason is None, offered, preferred_rail if preferred_rail in offered else None, reason, now,
    )  # fmt: skip


async def load_presentment(session: Session, presentment_id: str, *, merchant_id: str | None = None) -> Presentment:
    """The presentment. Raises: PresentmentNotFound if there is none, or it is another merchant's."""
    row = (
        await session.execute(text("SELECT * FROM presentments WHERE id = :id"), {"id": presentment_id})
    ).first()  # fmt: skip
    if row is None or merchant_id not in (None, row.merchant_id):
        raise PresentmentNotFound(presentment_id=presentment_id)
    return _presentment(row)


async def list_presentments(
    session: Session, *, merchant_id: str | None, terminal_id: str | None = None, card_id: str | None = None,
    after: str = "", limit: int = PAGE_MAX,
) -> tuple[list[Presentment], bool]:  # fmt: skip
    """Scans in their order, and whether there are more."""
    rows = await session.execute(
        text("""SELECT * FROM presentments
                 WHERE id > :after AND (CAST(:merchant_id AS text) IS NULL OR merchant_id = :merchant_id)
                   AND (CAST(:terminal_id AS text) IS NULL OR terminal_id = :terminal_id)
                   AND (CAST(:card_id AS text) IS NULL OR loyalty_card_id = :card_id)
                 ORDER BY id LIMIT :limit"""),
        {
            "after": after, "merchant_id": merchant_id, "terminal_id": terminal_id, "card_id": card_id,
            "limit": limit + 1,
        },
    )  # fmt: skip
    found = [_presentment(row) for row in rows]
    return found[:limit], len(found) > limit


async def _showing_of(session: Session, card: LoyaltyCard, read: ReadBarcode) -> str | None:
    if read.showing_number is None:
        return None
    row = (
        await session.execute(
            text("SELECT id, ended_at FROM loyalty_showings WHERE card_id = :id AND number = :number"),
            {"id": card.id, "number": read.showing_number},
        )
    ).first()
    if row is None or row.ended_at is not None:
        raise ShowingEnded()
    return str(row.id)


async def _add(session: Session, presentment: Presentment) -> None:
    done = await session.execute(
        text("""INSERT INTO presentments (id, merchant_id, store_id, terminal_id, loyalty_card_id, showing_id,
                    time_step, is_payment_available, rails, preferred_rail, unavailable_reason, presented_at)
                VALUES (:id, :merchant_id, :store_id, :terminal_id, :card_id, :showing_id, :step, :is_available,
                        CAST(:rails AS text[]), :preferred, :reason, :now)
                ON CONFLICT ON CONSTRAINT presentments_code_counts_once DO NOTHING"""),
        {
            "id": presentment.id, "merchant_id": presentment.merchant_id, "store_id": presentment.store_id,
            "terminal_id": presentment.terminal_id, "card_id": presentment.loyalty_card_id,
            "showing_id": presentment.showing_id, "step": presentment.time_step,
            "is_available": presentment.is_payment_available, "rails": list(presentment.rails),
            "preferred": presentment.preferred_rail, "reason": presentment.unavailable_reason,
            "now": presentment.presented_at,
        },
    )  # fmt: skip
    if done.rowcount != 1:
        raise BarcodeUsed()


def _presentment(row: Row[Any]) -> Presentment:
    reason = None if row.unavailable_reason is None else UnavailableReason(row.unavailable_reason)
    return Presentment(**{**row._mapping, "rails": tuple(row.rails), "unavailable_reason": reason})
