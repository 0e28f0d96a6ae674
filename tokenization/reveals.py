"""Showing one card number to one person, for a reason, with a line in the log that comes first.

The line is staged in the transaction that reads the card, and that transaction has committed before the number is
shown: no line, no number.
Source: PCI DSS 3.4.1, 3.4.2, 7.2.2, 10.2.1.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy

from pci.access import ids, repository
from pci.access.deeds import Deed, Wish, deed
from pci.access.tables import people, reveals
from pci.database import Session, Transactions
from pci.keys.errors import KeyWithdrawn
from pci.keys.ring import KeyRing
from tokenization import card_lookup, cards, refusals, reveal_requests
from tokenization.card import OpenCard
from tokenization.card_use import CardPurpose, CardUse
from tokenization.enumeration import UnknownTokens
from tokenization.reveal_errors import ApprovalNeeded
from tokenization.reveal_requests import RevealTerms, mask_of

DAY = timedelta(hours=24)
"""Any 24 hours, so that midnight doubles nothing."""
LISTED_MAX = 100


@dataclass(frozen=True, slots=True)
class Reveal:
    """That somebody was shown a card number. The number is not here."""

    id: str
    person_id: str
    login: str
    token: str
    mask: str
    merchant_id: str
    reason: str
    ticket: str
    request_id: str | None
    revealed_at: datetime


async def reveal(
    transactions: Transactions,
    ring: KeyRing,
    wish: Wish,
    terms: RevealTerms,
    *,
    request_id: str | None,
    share_of_the_day: int,
    unknown: UnknownTokens,
) -> OpenCard:
    """Open one card for one person. When this returns, the log has it.

    Beyond ``share_of_the_day``, an approved request of theirs for exactly this is used up.
    Raises: SignInNeeded, ScopeMissing, RevealRejected, TokenRefused, TooManyUnknownTokens, CardTampered, Sealed.
    Locks: the person's row.
    """
    async with deed(partial(refusals.kept, transactions), wish) as tried:
        terms.check()
        place = await card_lookup.find(tried, unknown, terms.token)
    if place.key_number is not None:
        await _open_key(ring, place.key_number)
    terms = RevealTerms(place.token, terms.reason, terms.ticket)
    async with deed(partial(refusals.kept, transactions), wish) as tried:
        await _spend(tried, terms, request_id, share_of_the_day)
        opened = await cards.read_pan(
            tried.session, ring, place.token, merchant_id=place.merchant_id, use=CardUse(CardPurpose.REVEAL),
            actor=tried.actor.label, origin=wish.origin, now=wish.now,
        )  # fmt: skip
        await _note(tried, terms, place.merchant_id, request_id)
    return opened


async def _open_key(ring: KeyRing, number: int) -> None:
    """Ask for the key between the transactions: its keeper may be a network away."""
    try:
        await ring.by_number(number)
    except KeyWithdrawn:
        return  # the card's refusal says so, and the log has it


async def _spend(tried: Deed, terms: RevealTerms, request_id: str | None, share_of_the_day: int) -> None:
    """Use up an approval, or one of the day's share. Locks: the person's row: two at once are not both the last."""
    await repository.lock(tried.session, tried.actor.person_id)
    if request_id is not None:
        await reveal_requests.use(tried, request_id, terms)
    elif await _shown_since(tried.session, tried.actor.person_id, tried.wish.now - DAY) >= share_of_the_day:
        raise ApprovalNeeded(share_of_the_day=share_of_the_day)


async def _note(tried: Deed, terms: RevealTerms, merchant_id: str, request_id: str | None) -> None:
    row = {
        "id": ids.new_id("rvl"), "person_id": tried.actor.person_id, "token": terms.token, "merchant_id": merchant_id,
        "reason": terms.reason, "ticket": terms.ticket, "request_id": request_id, "revealed_at": tried.wish.now,
    }  # fmt: skip
    await tried.session.execute(sqlalchemy.insert(reveals).values(row))
    facts = {"reveal": str(row["id"]), "reason": terms.reason, "ticket": terms.ticket, "request": request_id or ""}
    await tried.record(f"card:{terms.token}", merchant_id=merchant_id, **facts)


async def _shown_since(session: Session, person_id: str, since: datetime) -> int:
    counting = (
        sqlalchemy.select(sqlalchemy.func.count())
        .select_from(reveals)
        .where(reveals.c.person_id == person_id, reveals.c.revealed_at > since)
    )
    return await session.scalar(counting) or 0


async def list_reveals(session: Session, *, of: str | None) -> list[Reveal]:
    """What was shown, to everybody or to one person, the latest first: masks only."""
    masks = sqlalchemy.table("cards", *map(sqlalchemy.column, ("token", "first6", "last4", "digits")))
    query = (
        sqlalchemy.select(reveals, people.c.login, masks.c.first6, masks.c.last4, masks.c.digits)
        .join(people, people.c.id == reveals.c.person_id)
        .join(masks, masks.c.token == reveals.c.token, isouter=True)
        .order_by(reveals.c.revealed_at.desc())
        .limit(LISTED_MAX)
    )
    if of is not None:
        query = query.where(reveals.c.person_id == of)
    return [
        Reveal(
            row.id, row.person_id, row.login, row.token,
            mask_of(row),
            row.merchant_id, row.reason, row.ticket, row.request_id, row.revealed_at,
        )
        for row in await session.execute(query)
    ]  # fmt: skip
