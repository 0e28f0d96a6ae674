"""Buyers: found by their phone, told of themselves, verified, identified, frozen, and in the end erased.

Personal data is in the table of buyers and nowhere else: plans, movements, books, events and the log know an id.
"""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime

from installments import buyer_news
from installments import buyer_rows as rows
from installments.buyer import Buyer, Identification, PersonalDetails, checked_details, read_phone
from installments.buyer_errors import BirthDateFixed, BuyerNotFound, DebtOpen
from ledger.clock import moscow_day
from ledger.database import Session
from ledger.errors import InvariantBroken

REASON_CHARACTERS_MAX = 200


async def find_or_add_buyer(session: Session, phone: str, *, now: datetime) -> Buyer:
    """The buyer of a phone as people write it; one is added at the first sight. Raises: PhoneMalformed."""
    read = read_phone(phone)
    if (known := await rows.find_by_phone(session, read)) is not None:
        return known
    if (added := await rows.add_buyer(session, read, now=now)) is not None:
        await buyer_news.tell(session, "added", added, now=now)
        return await rows.load_buyer(session, added)
    known = await rows.find_by_phone(session, read)
    if known is None:
        raise InvariantBroken("a phone was taken by nobody")
    return known


async def load_buyer(session: Session, buyer_id: str, *, lock: bool = False) -> Buyer:
    """The buyer. Raises: BuyerNotFound. Locks: the buyer, if asked to."""
    return await rows.load_buyer(session, buyer_id, lock=lock)


async def tell_of_buyer(session: Session, buyer_id: str, details: PersonalDetails, *, now: datetime) -> Buyer:
    """Keep what a buyer says; what is not said stays. A birth date is said once: else whoever is 17 says another.

    Raises: BuyerNotFound, DetailsMalformed, BirthDateFixed. Locks: the buyer.
    """
    said = checked_details(details, on=moscow_day(now))
    buyer = await _known(session, buyer_id)
    if None not in (said.born_on, buyer.details.born_on) and said.born_on != buyer.details.born_on:
        raise BirthDateFixed()
    merged = PersonalDetails(*(getattr(said, f.name) or getattr(buyer.details, f.name) for f in fields(said)))
    if merged != buyer.details:
        buyer = replace(buyer, details=merged, version=buyer.version + 1)
        await rows.save_details(session, buyer)
        await buyer_news.log(session, "buyer.details_changed", f"buyer:{buyer_id}", now=now)
    return buyer


async def verify_phone(session: Session, buyer_id: str, *, now: datetime) -> Buyer:
    """The phone is the buyer's: a code sent to it was entered. Raises: BuyerNotFound. Locks: the buyer."""
    buyer = await _known(session, buyer_id)
    if buyer.phone_verified_at is not None:
        return buyer
    return await _changed(session, replace(buyer, phone_verified_at=now), "phone_verified", now)


async def identify(
    session: Session, buyer_id: str, level: Identification, source: str, document_digest: bytes | None = None, *,
    now: datetime, by: str = buyer_news.HOUSE,
) -> Buyer:  # fmt: skip
    """Who the buyer is was made sure of. The document itself is not kept, only its digest for stop lists.

    Raises: BuyerNotFound. Locks: the buyer. Source: 115-FZ art. 7; keeping level and source is ours to prove.
    """
    buyer = await _known(session, buyer_id)
    digest = document_digest or buyer.document_digest
    known = level is not Identification.NONE
    identified = replace(
        buyer, identification=level, identified_by=source if known else None, identified_at=now if known else None,
        document_digest=digest,
    )  # fmt: skip
    return await _changed(session, identified, "identified", now, by, {"level": level.value, "source": source})


async def freeze(session: Session, buyer_id: str, reason: str, *, by: str, now: datetime) -> Buyer:
    """No new plans for the buyer. ``reason`` names nobody. Raises: BuyerNotFound. Locks: the buyer."""
    buyer = await _known(session, buyer_id)
    if buyer.frozen_at is not None:
        return buyer
    frozen = replace(buyer, frozen_at=now, frozen_reason=reason[:REASON_CHARACTERS_MAX])
    return await _changed(session, frozen, "frozen", now, by, reason=reason)


async def unfreeze(session: Session, buyer_id: str, reason: str, *, by: str, now: datetime) -> Buyer:
    """New plans again. Raises: BuyerNotFound. Locks: the buyer."""
    buyer = await _known(session, buyer_id)
    if buyer.frozen_at is None:
        return buyer
    thawed = replace(buyer, frozen_at=None, frozen_reason=None)
    return await _changed(session, thawed, "unfrozen", now, by, reason=reason)


async def erase_buyer(session: Session, buyer_id: str, *, by: str, now: datetime) -> Buyer:
    """Remove what is personal of a buyer whose plans are over. The id, plans, books and decisions stay.

    Whether the time to keep it (five years by 115-FZ) is over is asked by whoever calls.
    Raises: BuyerNotFound, DebtOpen. Locks: the buyer.
    """
    buyer = await rows.load_buyer(session, buyer_id, lock=True)
    if buyer.erased_at is not None:
        return buyer
    if await rows.has_unfinished_plans(session, buyer_id):
        raise DebtOpen(buyer_id=buyer_id)
    await rows.erase(session, buyer_id, now=now)
    await buyer_news.tell(session, "erased", buyer_id, now=now, by=by)
    return await rows.load_buyer(session, buyer_id)


async def _known(session: Session, buyer_id: str) -> Buyer:
    buyer = await rows.load_buyer(session, buyer_id, lock=True)
    if buyer.erased_at is not None:
        raise BuyerNotFound(buyer_id=buyer_id)
    return buyer


async def _changed(
    session: Session, buyer: Buyer, action: str, now: datetime, by: str = buyer_news.HOUSE,
    facts: dict[str, str | int | bool] | None = None, reason: str | None = None,
) -> Buyer:  # fmt: skip
    await rows.save_standing(session, buyer)
    await buyer_news.tell(session, action, buyer.id, now=now, by=by, facts=facts, reason=reason)
    return replace(buyer, version=buyer.version + 1)
