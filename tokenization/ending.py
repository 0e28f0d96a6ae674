"""Ends of cards: a token's time is over, somebody wants a card gone, a merchant's keys are destroyed.

What was sealed is emptied; the row stays with its mask, so that old charges can still be told apart.
Source: PCI DSS 3.2.1.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage
from pci.database import Session, Transactions
from pci.keys import register
from pci.keys.key import Key, KeyPurpose
from pci.keys.register import KeyDoing
from pci.keys.ring import KeyRing
from tokenization import card_use, repository
from tokenization.card import Card, CardStatus, advance
from tokenization.card_errors import TokenNotFound
from tokenization.card_use import CardRestrictions
from tokenization.cards import ENDED, is_token

SWEPT_MAX = 1_000
"""Cards emptied in one transaction: locks are held for milliseconds."""

_EMPTY = (
    "UPDATE cards AS c SET status = :status, ended_at = :now, changed_at = :now, key_number = NULL, pan_sealed = NULL,"
    " holder_sealed = NULL, fingerprint = NULL, fingerprint_key = NULL FROM ({}) AS due"
    " WHERE c.merchant_id = due.merchant_id AND c.number = due.number RETURNING c.merchant_id, c.token"
)
_EXPIRED = text(
    _EMPTY.format(
        "SELECT merchant_id, number FROM cards WHERE status = 'active' AND expires_at <= :now"
        " ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED"
    )
)
_OF_MERCHANT = text(
    _EMPTY.format(
        "SELECT merchant_id, number FROM cards WHERE merchant_id = :merchant_id AND status = 'active'"
        " AND key_number = ANY (:keys) ORDER BY number LIMIT :limit FOR UPDATE"
    )
)
_ONE = text(
    _EMPTY.format(
        "SELECT merchant_id, number FROM cards WHERE token = :token AND merchant_id = :merchant_id"
        " AND status = 'active' FOR UPDATE"
    )
)


@dataclass(frozen=True, slots=True)
class CardDoing:
    """Who does something with a merchant's cards, from where, why and when."""

    merchant_id: str
    actor: str
    origin: str
    at: datetime
    reason: str = ""

    def event(self, action: str, subject: str, **facts: str | int | bool) -> AuditEvent:
        """The line of the log about it."""
        if self.reason:
            facts["reason"] = self.reason
        return AuditEvent(action, self.actor, self.origin, subject, self.at, merchant_id=self.merchant_id, facts=facts)


async def sweep(session: Session, *, now: datetime, origin: str, limit: int = SWEPT_MAX) -> int:
    """Empty cards whose tokens' time is over, and say how many; an event a merchant.

    Locks: their rows; what somebody else holds is left for the next time.
    """
    found = await session.execute(_EXPIRED, {"status": CardStatus.EXPIRED, "now": now, "limit": min(limit, SWEPT_MAX)})
    ended = Counter(row.merchant_id for row in found)
    await stage(
        session,
        [
            CardDoing(merchant_id, "system:sweeper", origin, now).event(
                "cards.expired", f"merchant:{merchant_id}", count=count
            )
            for merchant_id, count in sorted(ended.items())
        ],
    )
    return ended.total()


async def delete_card(session: Session, token: str, doing: CardDoing) -> Card:
    """Empty one card for good. Asked again it answers the same.

    Raises: TokenNotFound; TokenExpired, TokenShredded if it ended otherwise.
    """
    card = await _known(session, token, doing.merchant_id)
    if card.status is CardStatus.DELETED:
        return card
    if card.status is not CardStatus.ACTIVE:
        raise ENDED[card.status]()
    arguments = {"token": card.token, "merchant_id": doing.merchant_id, "now": doing.at}
    await session.execute(_ONE, {**arguments, "status": advance(card.status, CardStatus.DELETED)})
    await stage(session, [doing.event("card.deleted", f"card:{card.token}")])
    return await _known(session, card.token, doing.merchant_id)


async def restrict_card(session: Session, token: str, restrictions: CardRestrictions, doing: CardDoing) -> Card:
    """Change what a token may be used for.

    Raises: TokenNotFound; TokenRefused if its card has ended.
    """
    card = await _known(session, token, doing.merchant_id)
    if card.status is not CardStatus.ACTIVE:
        raise ENDED[card.status]()
    kept = card_use.to_json(restrictions)
    await repository.keep_restrictions(session, card.token, kept, doing.at)
    names = ",".join(sorted(kept or ())) or "none"
    await stage(session, [doing.event("card.restricted", f"card:{card.token}", restrictions=names)])
    return await _known(session, card.token, doing.merchant_id)


async def _known(session: Session, token: str, merchant_id: str) -> Card:
    row = await repository.find(session, token, merchant_id) if is_token(token) else None
    if row is None:
        raise TokenNotFound
    return Card.from_row(row)


async def shred(transactions: Transactions, ring: KeyRing, doing: CardDoing) -> int:
    """Destroy a merchant's keys, and with them every copy of its cards wherever it lies; then empty the rows.

    The first transaction is the act: from its commit on nothing opens. Killed after it, ``shred`` goes on when asked
    again. Says how many rows were emptied.
    Source: PCI DSS 3.2.1: unrecoverable; copies in backups lose their key with it.
    """
    scope = doing.merchant_id
    async with transactions() as session:
        destroyed = await _destroy_keys(session, ring, doing)
        await stage(session, [doing.event("cards.shredded", f"merchant:{scope}", keys=len(destroyed))])
        gone = await repository.destroyed_keys(session, scope)
    for number in gone:  # also those of a time before, when this process died or another one did it
        ring.forget(number)
    emptied = 0
    while count := await _empty(transactions, doing):
        emptied += count
    return emptied


async def _destroy_keys(session: Session, ring: KeyRing, doing: CardDoing) -> list[Key]:
    by = KeyDoing(doing.actor, doing.origin, doing.at, doing.reason)
    return [
        key
        for purpose in (KeyPurpose.CARD, KeyPurpose.FINGERPRINT)
        for key in await register.destroy_scope(session, purpose, doing.merchant_id, ring.env, by)
    ]


async def _empty(transactions: Transactions, doing: CardDoing) -> int:
    async with transactions() as session:
        keys = await repository.destroyed_card_keys(session, doing.merchant_id)
        found = await session.execute(
            _OF_MERCHANT,
            {
                "status": CardStatus.SHREDDED, "merchant_id": doing.merchant_id,
                "keys": keys, "now": doing.at, "limit": SWEPT_MAX,
            },
        )  # fmt: skip
        return len(found.all())
