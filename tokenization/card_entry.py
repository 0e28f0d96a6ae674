"""Taking a card in: typed into a form of ours, or sealed by a merchant's server.

Each way ends in one transaction in which the card is kept, its CVC laid aside for the charge, the form or the sealed
card used up, and the log told. What is refused is an event of its own, and nothing of what was typed is in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session
from pci.errors import Rejected
from pci.keys.key import KeyPurpose
from pci.pan import Pan
from pci.secret import Secret
from tokenization import card_sessions, cards, sad, sealed_cards
from tokenization.buyer_cards import keep_for_buyer
from tokenization.card import CardDetails, CardTerms, Tokenized
from tokenization.card_sessions import CardSession
from tokenization.entry_terms import TermsBody
from tokenization.errors import CvcMissing, SealedCardReplayed
from tokenization.vault import Vault

Facts = dict[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class TypedCard:
    """What came out of a form or out of a seal: not looked at yet."""

    pan: str = field(repr=False)
    expires_on: str = field(repr=False)
    cvc: str | None = field(default=None, repr=False)
    holder_name: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CardEntrant:
    """Who brings a card, for the log."""

    actor: str
    origin: str


@dataclass(frozen=True, slots=True)
class SealedRequest:
    """A merchant's request to take a sealed card."""

    sealed: str = field(repr=False)
    merchant_id: str
    request_key: str
    buyer_id: str | None
    terms: TermsBody

    @property
    def digest(self) -> bytes:
        """By which the very same sealed card is known again."""
        return sealed_cards.digest_of(self.sealed)


async def enter(vault: Vault, session_id: str, typed: TypedCard, entrant: CardEntrant) -> Tokenized:
    """Take the card that was typed into a form. The form is used up by it, and counts every number that was none.

    Raises: CardSessionNotFound, CardSessionOver, CardSessionUsed, CardSessionBlocked; PanMalformed, CardRefused,
    CvcMalformed, CvcMissing; Sealed.
    """
    now = vault.now()
    async with vault.transactions() as session:
        form = await card_sessions.find_session(session, session_id)
    try:
        await _count_attempt(vault, form, now)
        details, cvc = _looked_at(typed, now, wants_cvc=form.wants_cvc)
        return await _take_typed(vault, form, details, cvc if form.wants_cvc else None, entrant)
    except Rejected as refused:
        await _write_refusal(vault, form, refused, entrant)
        raise


async def _count_attempt(vault: Vault, form: CardSession, now: datetime) -> None:
    """Count a number, whatever becomes of it; a sealed vault counts none."""
    form.refuse_unless_open(now)
    await _prepare(vault, form.merchant_id, now, has_cvc=form.wants_cvc)
    limit = vault.settings.card_session_attempts
    async with vault.transactions() as session:
        await card_sessions.count_attempt(session, form.id, attempts_max=limit, now=now)


async def _take_typed(
    vault: Vault, form: CardSession, details: CardDetails, cvc: Secret | None, entrant: CardEntrant
) -> Tokenized:
    now = vault.now()
    terms = TermsBody.of(form.terms).terms(form.merchant_id, now=now)
    async with vault.transactions() as session:
        await card_sessions.lock_open(session, form.id, now=now)
        tokenized = await _keep(vault, session, details, terms, cvc, form.buyer_id, entrant, now)
        await card_sessions.mark_used(session, form.id, tokenized.card.token, now=now)
        facts: Facts = {"token": tokenized.card.token}
        await stage(session, [_event("card_session.used", form, entrant, now, facts=facts)])
    return tokenized


async def take_sealed(
    vault: Vault,
    sealed: str,
    *,
    merchant_id: str,
    buyer_id: str | None,
    terms: TermsBody,
    request_key: str,
    entrant: CardEntrant,
) -> Tokenized:
    """Take a card that a merchant's server sealed. The same request again gets the same card, and changes nothing.

    Raises: SealedCardRefused, SealedCardKeyUnknown, SealedCardExpired, SealedCardReplayed, SealedCardForeign;
    PanMalformed, CardRefused, CvcMalformed; RequestInvalid; Sealed.
    """
    asked = SealedRequest(sealed, merchant_id, request_key, buyer_id, terms)
    now = vault.now()
    try:
        known = await _taken_before(vault, asked)
        if known is not None:
            return known
        try:
            return await _take_once(vault, asked, entrant)
        except SealedCardReplayed:  # the first request of the same key may have ended meanwhile
            known = await _taken_before(vault, asked)
            if known is None:
                raise
            return known
    except Rejected as refused:
        event = AuditEvent(
            "card.entry_refused", entrant.actor, entrant.origin, "sealed_card", now, AuditOutcome.REFUSED,
            merchant_id=merchant_id, facts={"code": refused.code},
        )  # fmt: skip
        async with vault.transactions() as session:
            await stage(session, [event])
        raise


async def _taken_before(vault: Vault, asked: SealedRequest) -> Tokenized | None:
    """What the same request got. Raises: SealedCardReplayed if it came with another card."""
    async with vault.transactions() as session:
        seen = await sealed_cards.find_seen(
            session, merchant_id=asked.merchant_id, request_key=asked.request_key, digest=asked.digest
        )
        if seen is None:
            return None
        card = await cards.find_card(session, seen.token, asked.merchant_id)
    return Tokenized(card, is_new=False, metadata_changed=False)


async def _take_once(vault: Vault, asked: SealedRequest, entrant: CardEntrant) -> Tokenized:
    now, merchant_id = vault.now(), asked.merchant_id
    body = await sealed_cards.open_sealed(vault.ring, asked.sealed, merchant_id=merchant_id, now=now)
    typed = TypedCard(body.pan, body.expires_on, body.cvc, body.holder_name)
    details, cvc = _looked_at(typed, now, wants_cvc=False)
    await _prepare(vault, merchant_id, now, has_cvc=cvc is not None)
    async with vault.transactions() as session:
        kept_terms = asked.terms.terms(merchant_id, now=now)
        tokenized = await _keep(vault, session, details, kept_terms, cvc, asked.buyer_id, entrant, now)
        await sealed_cards.see(
            session, jti=body.jti, merchant_id=merchant_id, request_key=asked.request_key, digest=asked.digest,
            token=tokenized.card.token, now=now,
        )  # fmt: skip
    return tokenized


def _looked_at(typed: TypedCard, now: datetime, *, wants_cvc: bool) -> tuple[CardDetails, Secret | None]:
    """The card and its CVC, if they can be ones. Raises: PanMalformed, CardRefused, CvcMalformed, CvcMissing."""
    details = CardDetails(Pan(typed.pan), typed.expires_on, typed.holder_name or None)
    details.check(now)
    if wants_cvc and not typed.cvc:
        raise CvcMissing()
    return details, sad.read_cvc(typed.cvc) if typed.cvc else None


async def _prepare(vault: Vault, merchant_id: str, now: datetime, *, has_cvc: bool) -> None:
    await cards.prepare(vault.ring, merchant_id, now)
    if has_cvc:
        await vault.ring.ensure(KeyPurpose.SAD, sad.SCOPE, now)


async def _keep(
    vault: Vault,
    session: Session,
    details: CardDetails,
    terms: CardTerms,
    cvc: Secret | None,
    buyer_id: str | None,
    entrant: CardEntrant,
    now: datetime,
) -> Tokenized:
    """Keep the card, its buyer's word for it and its CVC, in the caller's transaction."""
    tokenized = await cards.tokenize(
        session, vault.ring, details, terms, actor=entrant.actor, origin=entrant.origin, now=now
    )
    token = tokenized.card.token
    if buyer_id is not None:
        await keep_for_buyer(session, merchant_id=terms.merchant_id, buyer_id=buyer_id, token=token, now=now)
    if cvc is not None:
        await sad.keep(session, vault.ring, token, cvc, now, minutes=vault.settings.cvc_minutes)
    return tokenized


async def _write_refusal(vault: Vault, form: CardSession, refused: Rejected, entrant: CardEntrant) -> None:
    """Tell the log of a refusal, and close the form when it was the last number allowed."""
    now, limit = vault.now(), vault.settings.card_session_attempts
    async with vault.transactions() as session:
        facts: Facts = {"code": refused.code}
        events = [_event("card.entry_refused", form, entrant, now, outcome=AuditOutcome.REFUSED, facts=facts)]
        if await card_sessions.block_if_spent(session, form.id, attempts_max=limit):
            events.append(_event("card_session.blocked", form, entrant, now, facts={"attempts": limit}))
        await stage(session, events)


def _event(
    action: str,
    form: CardSession,
    entrant: CardEntrant,
    now: datetime,
    *,
    outcome: AuditOutcome = AuditOutcome.DONE,
    facts: Facts,
) -> AuditEvent:
    return AuditEvent(
        action, entrant.actor, entrant.origin, f"card_session:{form.id}", now, outcome,
        merchant_id=form.merchant_id, facts=facts,
    )  # fmt: skip
