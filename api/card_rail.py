"""Card payments as a rail of the till: the vault is asked once, and the answer pays the order in its transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from api.card_calls import CardCalls
from api.card_paying import RAIL, carry_out, fee_of
from api.device_payments import DeviceProof
from checkout import card_payment_rows as rows
from checkout.card_payments import ANSWER_WAIT, CardPayment, CardPaymentStatus, ChargeAnswer, ChargeNews, Initiator
from checkout.errors import CardTokenMalformed, NoStoredConsent
from checkout.rail import Offer, ShownQr, Start, StartStatus
from ledger.database import Session
from ledger.ids import new_id
from ledger.money import Kopecks

TAKEN = frozenset({CardPaymentStatus.AUTHORISED, CardPaymentStatus.CAPTURED})
LET_GO = frozenset({CardPaymentStatus.VOIDING, CardPaymentStatus.VOIDED})
"""Where the buyer's bank had said yes before, the consent to later payments stands: a card was verified so."""


@dataclass(frozen=True, slots=True)
class CardTerms:
    """How a card is to be charged."""

    card_token: str
    is_captured_at_once: bool = True
    initiator: Initiator = Initiator.BUYER
    is_credential_kept: bool = False
    first_payment_id: str | None = None


@dataclass(frozen=True, slots=True)
class CardRail:
    """One card, fitted to what checkout asks of a rail."""

    calls: CardCalls
    terms: CardTerms
    acting_for: str = ""
    """The API key whose wish it is, for the vault's log."""
    name: str = RAIL
    proof: DeviceProof | None = None
    """What a buyer's device says of the payment, if a device token stands where a card's would."""

    async def offer(self, session: Session, offer: Offer, *, now: datetime) -> Offer:
        """Intent: a payment for the attempt. Raises: what ``request_payment`` refuses."""
        payment = await request_payment(
            session, new_id("cpy", now), offer.merchant_id, offer.amount, self.terms, attempt_id=offer.attempt_id,
            now=now,
        )  # fmt: skip
        return replace(offer, reference=payment.id, request=payment)

    async def start(self, offer: Offer) -> Start:
        """Call: charge the card."""
        assert isinstance(offer.request, CardPayment)
        answer = await self.calls.ask(offer.request, self.acting_for, self.proof)
        return CardStart(_START_OF[answer.news], answer=answer)

    async def record_start(self, session: Session, offer: Offer, start: Start, *, now: datetime) -> bool:
        """Outcome: payment, attempt, order and books at once. False, because the attempt has its status already."""
        assert isinstance(start, CardStart)
        assert isinstance(offer.request, CardPayment)
        await carry_out(session, offer.request, start.answer, now=now)
        return False

    async def shown(self, _session: Session, _attempt_ids: Sequence[str]) -> Mapping[str, ShownQr]:
        """Nothing to scan."""
        return {}


@dataclass(frozen=True, slots=True)
class CardStart(Start):
    """The vault's answer, whole."""

    answer: ChargeAnswer = field(default_factory=lambda: ChargeAnswer(ChargeNews.PENDING))


_START_OF = {
    ChargeNews.AUTHORISED: StartStatus.STARTED,
    ChargeNews.CAPTURED: StartStatus.STARTED,
    ChargeNews.REFUSED: StartStatus.REFUSED,
    ChargeNews.VOIDED: StartStatus.REFUSED,
    ChargeNews.PENDING: StartStatus.UNKNOWN,
}


async def request_payment(
    session: Session, payment_id: str, merchant_id: str, amount: Kopecks, terms: CardTerms, *, now: datetime,
    attempt_id: str | None = None,
) -> CardPayment:  # fmt: skip
    """Intent: write a payment by card down.

    Raises: CardTokenMalformed, NoStoredConsent, NoTariff.
    """
    if not _looks_like_a_token(terms.card_token):
        raise CardTokenMalformed()
    await _check_consent(session, merchant_id, terms)
    await fee_of(session, merchant_id, amount, now)
    payment = CardPayment(
        id=payment_id, merchant_id=merchant_id, attempt_id=attempt_id, first_payment_id=terms.first_payment_id,
        card_token=terms.card_token, card_mask=None, amount=amount, capture=None, captured=Kopecks(0),
        refunded=Kopecks(0), fee=Kopecks(0), is_captured_at_once=terms.is_captured_at_once, initiator=terms.initiator,
        is_credential_kept=terms.is_credential_kept, status=CardPaymentStatus.REQUESTED, reason=None,
        acquirer_id=None, rrn=None, approval_code=None, entry_id=None, looks=0, next_look_at=now + ANSWER_WAIT,
        created_at=now, captured_at=None, ended_at=None, version=1,
    )  # fmt: skip
    await rows.add_payment(session, payment)
    return payment


def _looks_like_a_token(text: str) -> bool:
    """Never a card number: those are for the vault alone."""
    return 8 <= len(text) <= 64 and text.isascii() and not text.replace(" ", "").replace("-", "").isdigit()


async def _check_consent(session: Session, merchant_id: str, terms: CardTerms) -> None:
    is_merchants = terms.initiator is Initiator.MERCHANT
    if is_merchants != (terms.first_payment_id is not None) or (is_merchants and terms.is_credential_kept):
        raise NoStoredConsent(initiator=terms.initiator.value)
    if terms.first_payment_id is None:
        return
    first = await rows.find_payment(session, terms.first_payment_id)
    is_fit = (
        first is not None
        and (first.merchant_id, first.card_token) == (merchant_id, terms.card_token)
        and first.is_credential_kept
        and (first.status in TAKEN or (first.status in LET_GO and first.approval_code is not None))
    )
    if not is_fit:
        raise NoStoredConsent(first_payment_id=terms.first_payment_id)
