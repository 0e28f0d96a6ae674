"""Loyalty cards (карты лояльности): issued with a phone or without a name, found by number or phone, blocked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from checkout.barcode import number_of
from checkout.errors import MerchantNotFound
from checkout.loyalty_errors import LoyaltyCardNotFound, LoyaltyPhoneTaken, ProgrammeMalformed
from checkout.telling import Fact, TillActor, tell
from ledger.database import Session, text
from ledger.ids import new_digits

PROGRAMME = re.compile(r"[a-z0-9_-]{1,32}")
NUMBER_TRIES_MAX = 5
"""Of a thousand million numbers one is taken by chance only in a base of hundreds of millions."""
PAGE_MAX = 200
_CARD = "c.id, c.merchant_id, c.programme, c.number, c.phone_digest, c.status, c.blocked_reason, c.issued_at, c.version"


class LoyaltyCardStatus(StrEnum):
    """Whether a card is good at tills."""

    ACTIVE = "active"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class LoyaltyCard:
    """A buyer's place in one programme of one merchant."""

    id: str
    """``lcd_…``"""
    merchant_id: str
    programme: str
    """Whose points it gathers: ``PTS:<programme>`` in the books."""
    number: str
    """What its barcodes say."""
    phone_digest: bytes | None = field(repr=False)
    """A keyed digest of the buyer's phone; none on a card without a name."""
    status: LoyaltyCardStatus
    blocked_reason: str | None
    issued_at: datetime
    version: int

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody said whose it is."""
        return self.phone_digest is None


async def issue_card(
    session: Session, card_id: str, *, merchant_id: str, programme: str, digest: bytes | None, by: TillActor,
    now: datetime,
) -> LoyaltyCard:  # fmt: skip
    """Issue a card with a new number, to a phone or to nobody.

    Raises: ProgrammeMalformed, LoyaltyPhoneTaken, MerchantNotFound.
    """
    if not PROGRAMME.fullmatch(programme):
        raise ProgrammeMalformed()
    if not await session.scalar(text("SELECT EXISTS (SELECT FROM merchants WHERE id = :id)"), {"id": merchant_id}):
        raise MerchantNotFound(merchant_id=merchant_id)
    for _ in range(NUMBER_TRIES_MAX):
        values = {
            "id": card_id, "merchant_id": merchant_id, "programme": programme, "number": number_of(new_digits(9)),
            "digest": digest, "now": now,
        }  # fmt: skip
        row = (await session.execute(text(_ADD), values)).first()
        if row is not None:
            facts: dict[str, Fact] = {"programme": programme, "is_anonymous": digest is None}
            await tell(session, "loyalty_card.issued", card_id, merchant_id, by, facts, now=now)
            return _card(row)
        await _refuse_second_card(session, merchant_id, programme, digest)
    raise AssertionError("five numbers of a thousand million were all taken")


async def _refuse_second_card(session: Session, merchant_id: str, programme: str, digest: bytes | None) -> None:
    if digest is None:
        return
    for card in await find_cards(session, merchant_id, digest=digest):
        if card.programme == programme:
            raise LoyaltyPhoneTaken(loyalty_card_id=card.id)


async def load_card(session: Session, card_id: str, *, merchant_id: str | None = None) -> LoyaltyCard:
    """The card. Raises: LoyaltyCardNotFound if there is none, or it is another merchant's."""
    return await _one(session, card_id, merchant_id, "")


async def lock_card(session: Session, card_id: str, *, merchant_id: str | None = None) -> LoyaltyCard:
    """The card, locked. Raises: LoyaltyCardNotFound. Locks: the card."""
    return await _one(session, card_id, merchant_id, "FOR NO KEY UPDATE")


async def find_card(session: Session, merchant_id: str, *, number: str) -> LoyaltyCard:
    """The merchant's card of this number. Raises: LoyaltyCardNotFound."""
    row = (
        await session.execute(
            text(f"SELECT {_CARD} FROM loyalty_cards AS c WHERE c.number = :number AND c.merchant_id = :merchant_id"),  # noqa: S608
            {"number": number, "merchant_id": merchant_id},
        )
    ).first()
    if row is None:
        raise LoyaltyCardNotFound()
    return _card(row)


async def find_cards(session: Session, merchant_id: str, *, digest: bytes) -> list[LoyaltyCard]:
    """The merchant's cards of one phone: one in each programme at most."""
    rows = await session.execute(
        text(f"""SELECT {_CARD} FROM loyalty_cards AS c
                  WHERE c.merchant_id = :merchant_id AND c.phone_digest = :digest ORDER BY c.id LIMIT {PAGE_MAX}"""),  # noqa: S608
        {"merchant_id": merchant_id, "digest": digest},
    )
    return [_card(row) for row in rows]


async def list_cards(
    session: Session, *, merchant_id: str | None, programme: str | None, after: str = "", limit: int = PAGE_MAX
) -> tuple[list[LoyaltyCard], bool]:
    """Cards in the order in which they were issued, and whether there are more."""
    rows = await session.execute(
        text(f"""SELECT {_CARD} FROM loyalty_cards AS c
                  WHERE c.id > :after AND (CAST(:merchant_id AS text) IS NULL OR c.merchant_id = :merchant_id)
                    AND (CAST(:programme AS text) IS NULL OR c.programme = :programme)
                  ORDER BY c.id LIMIT :limit"""),  # noqa: S608  # our own column list
        {"after": after, "merchant_id": merchant_id, "programme": programme, "limit": limit + 1},
    )
    found = [_card(row) for row in rows]
    return found[:limit], len(found) > limit


async def block_card(session: Session, card: LoyaltyCard, reason: str, *, by: TillActor, now: datetime) -> LoyaltyCard:
    """Let a locked card be good at no till. Blocking it again changes nothing."""
    if card.status is LoyaltyCardStatus.BLOCKED:
        return card
    blocked = await _save(session, card, LoyaltyCardStatus.BLOCKED, reason, card.phone_digest)
    await tell(session, "loyalty_card.blocked", card.id, card.merchant_id, by, {"reason": reason}, now=now)
    return blocked


async def unblock_card(session: Session, card: LoyaltyCard, *, by: TillActor, now: datetime) -> LoyaltyCard:
    """Let a locked card be good again. Doing so again changes nothing."""
    if card.status is LoyaltyCardStatus.ACTIVE:
        return card
    active = await _save(session, card, LoyaltyCardStatus.ACTIVE, None, card.phone_digest)
    await tell(session, "loyalty_card.unblocked", card.id, card.merchant_id, by, {}, now=now)
    return active


async def give_phone(
    session: Session, card: LoyaltyCard, digest: bytes, *, by: TillActor, now: datetime
) -> LoyaltyCard:
    """Say whose a locked card is, or that its buyer has a new number. Raises: LoyaltyPhoneTaken."""
    for other in await find_cards(session, card.merchant_id, digest=digest):
        if other.id == card.id:
            return card
        if other.programme == card.programme:
            raise LoyaltyPhoneTaken(loyalty_card_id=other.id)
    known = await _save(session, card, card.status, card.blocked_reason, digest)
    facts = {"was_anonymous": card.is_anonymous}
    await tell(session, "loyalty_card.phone_given", card.id, card.merchant_id, by, facts, now=now)
    return known


async def _one(session: Session, card_id: str, merchant_id: str | None, lock: str) -> LoyaltyCard:
    row = (
        await session.execute(
            text(f"SELECT {_CARD} FROM loyalty_cards AS c WHERE c.id = :id {lock}"),  # noqa: S608  # our own words
            {"id": card_id},
        )
    ).first()
    if row is None or merchant_id not in (None, row.merchant_id):
        raise LoyaltyCardNotFound(loyalty_card_id=card_id)
    return _card(row)


async def _save(
    session: Session, card: LoyaltyCard, status: LoyaltyCardStatus, reason: str | None, digest: bytes | None
) -> LoyaltyCard:
    row = await session.execute(
        text(f"""UPDATE loyalty_cards AS c
                    SET status = :status, blocked_reason = :reason, phone_digest = :digest, version = c.version + 1
                  WHERE c.id = :id AND c.version = :version RETURNING {_CARD}"""),  # noqa: S608  # our own column list
        {"id": card.id, "version": card.version, "status": status.value, "reason": reason, "digest": digest},
    )
    return _card(row.one())


def _card(row: Row[Any]) -> LoyaltyCard:
    digest = None if row.phone_digest is None else bytes(row.phone_digest)
    return LoyaltyCard(**{**row._mapping, "phone_digest": digest, "status": LoyaltyCardStatus(row.status)})


_ADD = f"""INSERT INTO loyalty_cards AS c (id, merchant_id, programme, number, phone_digest, issued_at)
VALUES (:id, :merchant_id, :programme, :number, :digest, :now) ON CONFLICT DO NOTHING RETURNING {_CARD}"""  # noqa: S608
