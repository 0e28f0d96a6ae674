"""Charging a card: intent (a row and a number), call, outcome. An unknown outcome is reversed, never asked again.

The card number is opened in the transaction of the intent, with its leaf in the log, and lives until the call ends.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass, replace
from datetime import datetime

from pci.audit_log.event import AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session
from tokenization import refusals, sad
from tokenization.card import OpenCard
from tokenization.card_errors import CardExpired
from tokenization.card_use import CardPurpose, CardUse
from tokenization.cards import find_card, read_pan
from tokenization.charges import repository as rows
from tokenization.charges.calling import AcquirerAnswer, ActedBy, ChargeDesk, call, event_of, keep_answer
from tokenization.charges.errors import ChargeAmountOutOfRange, ChargeIdTaken, NoStoredConsent
from tokenization.charges.messages import MOSCOW, CardFields, Message, request_of
from tokenization.charges.response_codes import APPROVED, RefusalReason, reason_of
from tokenization.charges.reversing import TRANSIT_MAX, reverse_once_more
from tokenization.charges.states import (
    AMOUNT_KOPECKS_MAX,
    ANSWER_WAIT,
    AttemptStatus,
    Charge,
    ChargeAttempt,
    ChargeRequest,
    ChargeStatus,
    Initiator,
    Operation,
    advance,
)

CONSENTED = frozenset({
    ChargeStatus.AUTHORISED, ChargeStatus.CAPTURING, ChargeStatus.CAPTURED, ChargeStatus.VOIDING, ChargeStatus.VOIDED,
})  # fmt: skip
"""The buyer's bank has said yes with the buyer present, which keeps the card, also where the money was let go since."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """What is written down and about to leave; nothing to send if this charge was asked for before."""

    charge: Charge
    attempt: ChargeAttempt | None = None
    message: Message | None = None


async def charge_card(desk: ChargeDesk, request: ChargeRequest, by: ActedBy) -> Charge:
    """Charge a card once, however often it is asked for under the same id.

    Raises: ChargeAmountOutOfRange, NoStoredConsent, CardExpired, ChargeIdTaken; what the card's token refuses
    (not found, another's, restricted); Sealed. All of them before the acquirer hears of anything.
    """
    check_request(request)
    async with refusals.kept(desk.vault.transactions) as session:
        begun = await _begin(session, desk, request, by)
    if begun.attempt is None or begun.message is None:
        return begun.charge
    if desk.vault.now() - begun.attempt.transmitted_at > TRANSIT_MAX:  # we stood still: it is being reversed by now
        answer = AcquirerAnswer(AttemptStatus.UNSENT)
    else:
        answer = await call(desk, begun.message)
    async with desk.vault.transactions() as session:
        return await record_request(session, desk, begun.charge.id, begun.attempt, answer, by)


def check_request(request: ChargeRequest) -> None:
    """Refuse a request that breaks a rule of form. Raises: ChargeAmountOutOfRange, NoStoredConsent."""
    if not 1 <= request.amount_kopecks <= AMOUNT_KOPECKS_MAX:
        raise ChargeAmountOutOfRange(amount_kopecks=request.amount_kopecks, amount_kopecks_max=AMOUNT_KOPECKS_MAX)
    is_merchants = request.initiator is Initiator.MERCHANT
    if is_merchants != (request.first_charge_id is not None) or (is_merchants and request.is_credential_kept):
        raise NoStoredConsent(initiator=request.initiator.value)


def is_same(charge: Charge, request: ChargeRequest) -> bool:
    """Whether a charge is the one that is asked for."""
    names = (
        "merchant_id", "card_token", "amount_kopecks", "is_captured_at_once", "initiator", "is_credential_kept",
        "first_charge_id",
    )  # fmt: skip
    return all(getattr(charge, name) == getattr(request, name) for name in names)


async def _begin(session: Session, desk: ChargeDesk, request: ChargeRequest, by: ActedBy) -> _Begun:
    found = await rows.find_charge(session, request.id)
    if found is not None and is_same(found, request):
        return _Begun(found)  # whatever has become of its card since
    card = await find_card(session, request.card_token, request.merchant_id)
    request = replace(request, card_token=card.token)  # a token of digits is another name of the same
    if found is not None:
        return _asked_before(found, request)
    now = desk.vault.now()
    reference = await _reference_of_first(session, request)
    if is_expired(card.expires, now):
        raise CardExpired
    charge = new_charge(request, card.mask, now)
    if not await rows.add_charge(session, charge):  # asked twice at once: the other one has just committed
        return _asked_before(await rows.find_charge(session, request.id), request)
    use = CardUse(CardPurpose.CHARGE, request.channel, request.amount_kopecks, "RUB", desk.link.host)
    opened = await read_pan(
        session, desk.vault.ring, request.card_token, merchant_id=request.merchant_id, use=use, actor=by.actor,
        origin=by.origin, now=now,
    )  # fmt: skip
    operation = Operation.PURCHASE if charge.is_captured_at_once else Operation.AUTHORISATION
    attempt = await rows.add_attempt(
        session, charge, operation, charge.amount_kopecks, terminal_id=desk.link.acceptor.terminal_id, now=now
    )
    await stage(session, [event_of(charge, "requested", by, desk, amount_kopecks=charge.amount_kopecks)])
    fields = replace(await _fields_of(session, desk, opened, charge, now), chip=request.chip)
    return _Begun(charge, attempt, request_of(charge, attempt, fields, desk.link.acceptor, reference))


def _asked_before(found: Charge | None, request: ChargeRequest) -> _Begun:
    """The charge that exists under this id, if it is the one asked for. Raises: ChargeIdTaken."""
    if found is None or not is_same(found, request):
        raise ChargeIdTaken(charge_id=request.id)
    return _Begun(found)


def new_charge(request: ChargeRequest, card_mask: str, now: datetime) -> Charge:
    """The charge asked for, before anybody has heard of it."""
    return Charge(
        id=request.id, merchant_id=request.merchant_id, card_token=request.card_token, card_mask=card_mask,
        amount_kopecks=request.amount_kopecks, captured_kopecks=0, refund_kopecks=0,
        is_captured_at_once=request.is_captured_at_once, initiator=request.initiator,
        is_credential_kept=request.is_credential_kept, first_charge_id=request.first_charge_id,
        status=ChargeStatus.REQUESTED, reason=None, response_code=None, rrn=None, approval_code=None,
        network_reference=None, looks=0, next_look_at=now + ANSWER_WAIT, created_at=now, changed_at=now, version=1,
    )  # fmt: skip


async def _reference_of_first(session: Session, request: ChargeRequest) -> str | None:
    """What the scheme calls the charge at which the buyer agreed. Raises: NoStoredConsent.

    Source: stored-credential frameworks of the card schemes: later charges refer to the first one's network reference.
    """
    if request.first_charge_id is None:
        return None
    first = await rows.find_charge(session, request.first_charge_id)
    is_fit = (
        first is not None
        and (first.merchant_id, first.card_token) == (request.merchant_id, request.card_token)
        and first.is_credential_kept
        and first.status in CONSENTED
    )
    if first is None or not is_fit:
        raise NoStoredConsent(first_charge_id=request.first_charge_id)
    return first.network_reference


def is_expired(expires: str, now: datetime) -> bool:
    """Whether the card's last month (``YYYY-MM``) is over, in Moscow."""
    year, month = int(expires[:4]), int(expires[5:7])
    last_day = calendar.monthrange(year, month)[1]
    return now.astimezone(MOSCOW).date() > datetime(year, month, last_day, tzinfo=MOSCOW).date()


async def _fields_of(session: Session, desk: ChargeDesk, opened: OpenCard, charge: Charge, now: datetime) -> CardFields:
    """What of the card leaves. Nobody may keep a verification code for a charge without the buyer."""
    cvc = None
    if charge.initiator is Initiator.BUYER:
        cvc = await sad.read(session, desk.vault.ring, charge.card_token, now=now)
    expires = opened.expires[2:4] + opened.expires[5:7]
    return CardFields(opened.pan.expose(), expires, None if cvc is None else cvc.expose())


async def record_request(
    session: Session, desk: ChargeDesk, charge_id: str, attempt: ChargeAttempt, answer: AcquirerAnswer, by: ActedBy
) -> Charge:
    """Outcome of 0100 or 0200: what became of the charge. The verification code goes in the same transaction.

    If the charge was given up meanwhile, the answer counts for nothing: it is being reversed, and once more if it may
    have been approved after that. Locks: the charge.
    """
    charge = await rows.find_charge(session, charge_id, lock=True)
    assert charge is not None, "the intent wrote it down"
    await keep_answer(session, desk, attempt, answer)
    if charge.status is ChargeStatus.REVERSED and (answer.is_lost or answer.response_code in APPROVED):
        return await reverse_once_more(session, desk, charge, by)
    if charge.status is not ChargeStatus.REQUESTED:
        return charge
    charge = after_answer(charge, answer, desk.vault.now())
    await rows.save_charge(session, charge)
    if answer.status is not AttemptStatus.UNSENT:
        await sad.forget(session, charge.card_token)
    outcome = AuditOutcome.REFUSED if charge.status is ChargeStatus.REFUSED else AuditOutcome.DONE
    facts = {"reason": charge.reason} if charge.reason else {}
    await stage(session, [event_of(charge, charge.status.value, by, desk, outcome=outcome, **facts)])
    return charge


def after_answer(charge: Charge, answer: AcquirerAnswer, now: datetime) -> Charge:
    """The charge after the acquirer's answer to 0100 or 0200.

    An approval of a part only is not what we asked for: it is reversed like a lost answer.
    """
    charge = replace(
        charge, response_code=answer.response_code, rrn=answer.rrn, approval_code=answer.approval_code,
        network_reference=answer.network_reference,
    )  # fmt: skip
    if answer.status is AttemptStatus.UNSENT:
        return advance(replace(charge, reason=RefusalReason.NOT_SENT.value), ChargeStatus.REFUSED, now=now)
    if answer.is_approved and charge.is_captured_at_once:
        captured = replace(charge, captured_kopecks=charge.amount_kopecks)
        return advance(captured, ChargeStatus.CAPTURED, now=now)
    if answer.is_approved:
        return advance(charge, ChargeStatus.AUTHORISED, now=now)
    if answer.is_lost or answer.response_code == "10":
        reason = RefusalReason.ANSWER_LOST if answer.is_lost else RefusalReason.DECLINED
        unknown = advance(replace(charge, reason=reason.value), ChargeStatus.UNKNOWN, now=now)
        return replace(unknown, next_look_at=now)
    assert answer.response_code is not None
    return advance(replace(charge, reason=reason_of(answer.response_code).value), ChargeStatus.REFUSED, now=now)
