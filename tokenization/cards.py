"""Cards for tokens and tokens for cards: the only two doors to a card number.

    await prepare(ring, merchant_id, now)                       outside of any transaction: keys are opened
    tokenized = await tokenize(session, ring, details, terms, …)
    opened = await read_pan(session, ring, token, …)             not to be used before the session has committed

Each act and each refusal is an event of the log, staged in the same transaction; ``refusals`` keeps those of work that
is rolled back. Many at once cost little more than one: ``tokenize_many``, ``read_pans``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session
from pci.keys.envelope import Dek, number_in
from pci.keys.errors import KeyWithdrawn, SealBroken
from pci.keys.key import KeyPurpose
from pci.keys.ring import KeyRing
from pci.schemes import Scheme
from tokenization import card_use, repository, sealing
from tokenization.card import Card, CardDetails, CardStatus, CardTerms, OpenCard, Tokenized
from tokenization.card_errors import (
    CardKeysNotReady,
    CardTampered,
    TokenDeleted,
    TokenExpired,
    TokenNotFound,
    TokenRefused,
    TokenShredded,
)
from tokenization.card_use import CardPurpose, CardUse
from tokenization.digit_tokens import is_digits_token, new_digits_token
from tokenization.ids import is_id, new_ids
from tokenization.repository import NewCard, OldFingerprint, Row

BATCH_MAX = 5_000
"""Cards in one call: what the ring reserves at once is enough for their numbers and names."""
TRIES_MAX = 3
"""A digits token that is taken is drawn again."""
TOKENS_A_LINE_MAX = 200
"""Named in one line of the log: 6,000 of its 8,192 bytes, and the rest is for who asked and from where."""

ENDED: dict[CardStatus, type[TokenRefused]] = {
    CardStatus.EXPIRED: TokenExpired,
    CardStatus.DELETED: TokenDeleted,
    CardStatus.SHREDDED: TokenShredded,
}


@dataclass(frozen=True, slots=True)
class CardIn:
    """One card to be kept, and who brings it."""

    details: CardDetails
    terms: CardTerms
    actor: str
    origin: str


@dataclass(frozen=True, slots=True)
class CardAsk:
    """One token to be opened, for what, and who asks."""

    token: str
    merchant_id: str
    use: CardUse
    actor: str
    origin: str


async def prepare(ring: KeyRing, merchant_id: str, now: datetime) -> None:
    """Have the keys that a merchant's cards are closed with, asking their keeper if need be: not in a transaction.

    Raises: Sealed, ProviderUnavailable.
    """
    await ring.ensure(KeyPurpose.CARD, merchant_id, now)
    await ring.ensure(KeyPurpose.FINGERPRINT, merchant_id, now)


async def tokenize(
    session: Session, ring: KeyRing, details: CardDetails, terms: CardTerms, *, actor: str, origin: str, now: datetime
) -> Tokenized:
    """Keep a card, or find it: the same number in the same scope keeps its token.

    Raises: CardRefused; CardKeysNotReady if ``prepare`` was not called; Sealed.
    """
    return (await tokenize_many(session, ring, [CardIn(details, terms, actor, origin)], now=now))[0]


async def tokenize_many(session: Session, ring: KeyRing, cards: Sequence[CardIn], *, now: datetime) -> list[Tokenized]:
    """Keep or find many cards, of any merchants, in one statement; an event each.

    Raises: CardRefused for all if one of them is not to be kept, so callers check first; CardKeysNotReady; Sealed.
    Locks: rows of cards met again, in the order of their scopes and digests.
    """
    assert len(cards) <= BATCH_MAX
    for card in cards:
        card.details.check(now)
    rows = await _keep(session, ring, cards, now)
    for card, row in zip(cards, rows, strict=True):
        if not row["is_new"] and card.details.holder_name is not None:
            await _keep_holder(session, ring, card, row, now)
    await stage(session, [event for card, row in zip(cards, rows, strict=True) for event in _kept(card, row, now)])
    return [_tokenized(card, row) for card, row in zip(cards, rows, strict=True)]


async def find_card(session: Session, token: str, merchant_id: str) -> Card:
    """What everybody may know of a card.

    Raises: TokenNotFound.
    """
    row = await repository.find(session, token, merchant_id) if is_token(token) else None
    if row is None:
        raise TokenNotFound
    return Card.from_row(row)


def is_token(text: str) -> bool:
    """Whether a text has the form of a token of ours."""
    return is_id("tok", text) or is_digits_token(text)


async def read_pan(
    session: Session,
    ring: KeyRing,
    token: str,
    *,
    merchant_id: str,
    use: CardUse,
    actor: str,
    origin: str,
    now: datetime,
) -> OpenCard:
    """Open a card for one use. Its event is staged in this session: without it nothing is opened.

    Raises: TokenRefused, with the event that ``refusals.kept`` writes after the rollback; CardTampered; Sealed.
    """
    (opened,) = await read_pans(session, ring, [CardAsk(token, merchant_id, use, actor, origin)], now=now)
    if not isinstance(opened, OpenCard):
        raise opened
    return opened


async def read_pans(
    session: Session, ring: KeyRing, asks: Sequence[CardAsk], *, now: datetime
) -> list[OpenCard | TokenRefused | CardTampered]:
    """Open many cards, each with its event; what is refused is an answer and its event is staged too.

    Raises: Sealed.
    """
    assert len(asks) <= BATCH_MAX
    rows = await repository.find_sealed(session, [(ask.token, ask.merchant_id) for ask in asks])
    answers, events = await answers_to(ring, asks, rows, now)
    await stage(session, events)
    return answers


async def answers_to(
    ring: KeyRing, asks: Sequence[CardAsk], rows: Mapping[int, Row], now: datetime
) -> tuple[list[OpenCard | TokenRefused | CardTampered], list[AuditEvent]]:
    """Each ask's answer, by its row if there is one, and the events of all: nobody may see the former before these.

    Raises: Sealed.
    """
    keys = await keys_of(ring, rows.values())
    answers = [_answer(ask, rows.get(place), keys, now) for place, ask in enumerate(asks)]
    return answers, list(_read_events(asks, answers, now))


async def _keep(session: Session, ring: KeyRing, cards: Sequence[CardIn], now: datetime) -> list[Row]:
    """The rows of the cards, drawing digits again when one of them is taken."""
    for attempt in range(1, TRIES_MAX + 1):
        if not any(card.terms.wants_digits for card in cards):
            return await _keep_once(session, ring, cards, now)
        try:
            async with session.begin_nested():
                return await _keep_once(session, ring, cards, now)
        except IntegrityError as error:
            if attempt == TRIES_MAX or "cards_digits_token_key" not in str(error.orig):
                raise
    raise AssertionError("unreachable")


async def _keep_once(session: Session, ring: KeyRing, cards: Sequence[CardIn], now: datetime) -> list[Row]:
    return await keep_sealed(session, ring, cards, seal_cards(ring, cards), now)


async def keep_sealed(
    session: Session, ring: KeyRing, cards: Sequence[CardIn], sealed: Sequence[NewCard], now: datetime
) -> list[Row]:
    """Keep what ``seal_cards`` made of cards, or find them. No event: whoever calls this stages its own."""
    rows = await repository.tokenize_cards(session, sealed, old=None, now=now)
    if cards and not rows:
        old = await _old_fingerprints(session, ring, cards)
        rows = await repository.tokenize_cards(session, sealed, old=old, now=now)
    return rows


def seal_cards(ring: KeyRing, cards: Sequence[CardIn]) -> list[NewCard]:
    """Close cards as if all of them were new.

    Raises: CardKeysNotReady, Sealed.
    """
    keys = {merchant: _open_keys(ring, merchant) for merchant in {card.terms.merchant_id for card in cards}}
    ids = zip(new_ids("tok", len(cards)), new_ids("fpr", len(cards)), strict=True)
    return [
        _seal(card, token, fingerprint_id, *keys[card.terms.merchant_id])
        for card, (token, fingerprint_id) in zip(cards, ids, strict=True)
    ]


def _open_keys(ring: KeyRing, merchant_id: str) -> tuple[Dek, Dek]:
    card = ring.primary(KeyPurpose.CARD, merchant_id)
    fingerprint = ring.primary(KeyPurpose.FINGERPRINT, merchant_id)
    if card is None or fingerprint is None:
        raise CardKeysNotReady
    return card, fingerprint


def _seal(card: CardIn, token: str, fingerprint_id: str, dek: Dek, fingerprint_key: Dek) -> NewCard:
    details, terms, pan = card.details, card.terms, card.details.pan
    merchant_id, scope = terms.merchant_id, terms.fingerprint_scope
    name = details.holder_name
    digits = len(pan)
    return NewCard(
        token=token,
        merchant_id=merchant_id,
        scope=scope,
        fingerprint_key=fingerprint_key.number,
        fingerprint=sealing.fingerprint_of(fingerprint_key, scope, pan),
        fingerprint_id=fingerprint_id,
        key_number=dek.number,
        pan=sealing.seal_pan(dek, pan, token=token, merchant_id=merchant_id),
        holder=None if name is None else sealing.seal_holder(dek, name, token=token, merchant_id=merchant_id),
        first6=pan.first6,
        last4=pan.last4,
        digits=digits,
        scheme=pan.scheme,
        expires=details.expires_on,
        digits_token=new_digits_token(digits) if terms.wants_digits else None,
        expires_at=terms.expires_at,
        restrictions=card_use.to_json(terms.restrictions),
    )


async def _old_fingerprints(session: Session, ring: KeyRing, cards: Sequence[CardIn]) -> list[OldFingerprint | None]:
    """How the cards of merchants whose fingerprint key is changing were known before."""
    windows = await repository.fingerprint_windows(session, sorted({card.terms.merchant_id for card in cards}))
    keys = {merchant: await ring.by_number(number) for merchant, number in windows.items()}
    return [_old_fingerprint(keys.get(card.terms.merchant_id), card) for card in cards]


def _old_fingerprint(key: Dek | None, card: CardIn) -> OldFingerprint | None:
    if key is None:
        return None
    return OldFingerprint(key.number, sealing.fingerprint_of(key, card.terms.fingerprint_scope, card.details.pan))


async def _keep_holder(session: Session, ring: KeyRing, card: CardIn, row: Row, now: datetime) -> None:
    """The name that came last stands: it is sealed for the token that the card has had all along."""
    dek, _ = _open_keys(ring, card.terms.merchant_id)
    assert card.details.holder_name is not None
    token, merchant_id = row["token"], card.terms.merchant_id
    sealed = sealing.seal_holder(dek, card.details.holder_name, token=token, merchant_id=merchant_id)
    await repository.keep_holder(session, token, sealed, now)


def _kept(card: CardIn, row: Row, now: datetime) -> Iterable[AuditEvent]:
    merchant_id = card.terms.merchant_id
    if row["ended_token"] is not None:
        subject = f"card:{row['ended_token']}"
        yield AuditEvent("card.expired", card.actor, card.origin, subject, now, merchant_id=merchant_id)
    facts = {"is_new": row["is_new"], "metadata_changed": row["metadata_changed"]}
    subject = f"card:{row['token']}"
    yield AuditEvent("card.tokenized", card.actor, card.origin, subject, now, merchant_id=merchant_id, facts=facts)


def _tokenized(card: CardIn, row: Row) -> Tokenized:
    pan = card.details.pan
    known = Card(
        token=row["token"],
        merchant_id=card.terms.merchant_id,
        mask=pan.mask,
        scheme=pan.scheme,
        expires=row["expires"],
        fingerprint_id=row["fingerprint_id"],
        status=CardStatus.ACTIVE,
        tokenized_at=row["tokenized_at"],
        expires_at=row["expires_at"],
        digits_token=row["digits_token"],
        restrictions=card_use.from_json(row["restrictions"]),
    )
    return Tokenized(known, is_new=row["is_new"], metadata_changed=row["metadata_changed"])


async def keys_of(ring: KeyRing, rows: Iterable[Row]) -> dict[int, Dek]:
    """The keys of rows; one that was destroyed or withdrawn is left out, and its cards do not open."""
    keys: dict[int, Dek] = {}
    for number in {number for row in rows for number in _numbers_in(row)}:
        try:
            keys[number] = await ring.by_number(number)
        except KeyWithdrawn:
            continue
    return keys


def _numbers_in(row: Row) -> Iterable[int]:
    if row["key_number"] is not None:
        yield row["key_number"]
    if row["holder_sealed"] is not None:
        yield number_in(row["holder_sealed"])


def _answer(
    ask: CardAsk, row: Row | None, keys: dict[int, Dek], now: datetime
) -> OpenCard | TokenRefused | CardTampered:
    if row is None:
        return _with_event(TokenNotFound(), ask, now)
    if (refusal := _refusal_of(row, ask.use, now)) is not None:
        return _with_event(refusal, ask, now)
    dek = keys.get(row["key_number"])
    if dek is None:
        return _with_event(TokenShredded(), ask, now)
    try:
        return _opened(row, dek, keys)
    except (SealBroken, KeyError):
        tampered = CardTampered(token=row["token"])
        tampered.event = _event_of_refusal(ask, tampered.code, now, AuditOutcome.FAILED)
        return tampered


def _refusal_of(row: Row, use: CardUse, now: datetime) -> TokenRefused | None:
    if row["status"] != CardStatus.ACTIVE:
        return ENDED[CardStatus(row["status"])]()
    if row["expires_at"] is not None and row["expires_at"] <= now:
        return TokenExpired()
    kept = row["restrictions"]
    return None if kept is None else card_use.from_json(kept).refusal_of(use, now)


def _opened(row: Row, dek: Dek, keys: dict[int, Dek]) -> OpenCard:
    token, merchant_id, holder = row["token"], row["merchant_id"], row["holder_sealed"]
    name = None
    if holder is not None:
        name = sealing.unseal_holder(keys[number_in(holder)], holder, token=token, merchant_id=merchant_id)
    return OpenCard(
        token=token,
        merchant_id=merchant_id,
        pan=sealing.unseal_pan(dek, row["pan_sealed"], token=token, merchant_id=merchant_id),
        expires=row["expires"],
        holder_name=name,
        scheme=Scheme(row["scheme"]),
        fingerprint_id=row["fingerprint_id"],
    )


def _with_event(refusal: TokenRefused, ask: CardAsk, now: datetime) -> TokenRefused:
    refusal.event = _event_of_refusal(ask, refusal.code, now, AuditOutcome.REFUSED)
    return refusal


def _event_of_refusal(ask: CardAsk, code: str, now: datetime, outcome: AuditOutcome) -> AuditEvent:
    facts = {"purpose": str(ask.use.purpose), "code": code}
    subject = f"card:{ask.token}" if is_id("tok", ask.token) else "card:unknown"
    return AuditEvent(
        "card.read", ask.actor, ask.origin, subject, now, outcome, merchant_id=ask.merchant_id, facts=facts
    )


def _read_events(
    asks: Sequence[CardAsk], answers: Sequence[OpenCard | TokenRefused | CardTampered], now: datetime
) -> Iterator[AuditEvent]:
    """A line for each refusal, and one for all that the same caller opened for the same: it names each token."""
    opened: defaultdict[tuple[str, str, str, CardPurpose], list[str]] = defaultdict(list)
    for ask, answer in zip(asks, answers, strict=True):
        if isinstance(answer, OpenCard):
            opened[ask.actor, ask.origin, ask.merchant_id, ask.use.purpose].append(answer.token)
        else:
            assert answer.event is not None
            yield answer.event
    for (actor, origin, merchant_id, purpose), tokens in opened.items():
        for first in range(0, len(tokens), TOKENS_A_LINE_MAX):
            action, subject, facts = _named(tokens[first : first + TOKENS_A_LINE_MAX], merchant_id)
            facts["purpose"] = str(purpose)
            yield AuditEvent(action, actor, origin, subject, now, merchant_id=merchant_id, facts=facts)


def _named(tokens: Sequence[str], merchant_id: str) -> tuple[str, str, dict[str, str | int | bool]]:
    """Action, subject and facts of cards that were opened: every token is named, be it one or many."""
    if len(tokens) == 1:
        return "card.read", f"card:{tokens[0]}", {}
    return "cards.read", f"merchant:{merchant_id}", {"count": len(tokens), "tokens": " ".join(tokens)}
