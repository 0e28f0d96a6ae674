"""Putting a card on a device: may it be, decided with reasons; a number of its own; a code if there are doubts.

Asked again for the same card on the same device by the same wallet, it is the same token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session
from pci.keys.envelope import Dek
from pci.pan import Pan
from pci.secret import Secret
from tokenization.card import Card, CardStatus
from tokenization.ids import new_id, random_below
from tokenization.koshelek_pay import code_records, codes, lifecycle, log_lines, repository
from tokenization.koshelek_pay.device_messages import checked_jwk, thumbprint_of
from tokenization.koshelek_pay.device_token import Device, DeviceDoing, DeviceToken, Requestor
from tokenization.koshelek_pay.errors import (
    CardNotEligible,
    CodeNotExpected,
    CodeOver,
    CodesSpent,
    CodeWrong,
    DeviceKeyRefused,
    DevicePayRejected,
    DeviceTokenSuspended,
    TokenRangeMissing,
)
from tokenization.koshelek_pay.par import par_of
from tokenization.koshelek_pay.risk import RULES, Colour, DeviceFacts, DeviceVerdict, RiskDecision, RiskRule, decide
from tokenization.koshelek_pay.statuses import (
    Assurance,
    DeviceStatus,
    DeviceTokenStatus,
    PayChannel,
    Suspender,
    advance,
)
from tokenization.koshelek_pay.token_ranges import DRAWS_MAX, TokenRange, draw_number

TOKEN_YEARS = 3
"""A token expires by itself, whatever the card does: cards are issued again and tokens stay."""
ATTESTATION_MAX = 8
ATTESTATION_CHARACTERS_MAX = 8_192
"""Of one certificate of the chain, in base 64."""


@dataclass(frozen=True, slots=True)
class DeviceIn:
    """The device as its wallet describes it."""

    installation_id: str
    public_jwk: Mapping[str, Any] = field(repr=False)
    attestation: tuple[str, ...] = field(default=(), repr=False)
    """The chain that vouches for the key, as it was given: kept, and not judged here."""
    verdict: DeviceVerdict = DeviceVerdict.UNKNOWN


@dataclass(frozen=True, slots=True)
class ProvisioningRequest:
    """A wallet asks to put a card on a device."""

    trid: str
    merchant_id: str
    card_token: str
    device: DeviceIn
    channels: frozenset[PayChannel]
    phone: Secret | None = None
    """Where the bank would send a code to. Kept as a mask."""
    mccs: frozenset[str] | None = None
    amount_kopecks_max: int | None = None
    wallet_score: int | None = None


@dataclass(frozen=True, slots=True)
class ProvisioningKeys:
    """What a token is made with: opened before the transaction."""

    master: Dek
    par: Dek


@dataclass(frozen=True, slots=True)
class CodeToSend:
    """A code on its way to its buyer. Leaves after the commit."""

    device_token_id: str
    number: int
    phone: Secret
    text: Secret


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What became of it."""

    token: DeviceToken
    is_new: bool
    code: CodeToSend | None = None


async def eligible_range(session: Session, requestor: Requestor, card: Card, now: datetime) -> TokenRange:
    """The range that a card's token would be of. Raises: CardNotEligible, TokenRangeMissing."""
    if card.merchant_id != requestor.merchant_id or card.status is not CardStatus.ACTIVE:
        raise CardNotEligible(reason="the card is not kept")
    if card.expires < f"{now:%Y-%m}":
        raise CardNotEligible(reason="the card has expired")
    token_range = await repository.find_range(session, str(card.scheme))
    if token_range is None:
        raise TokenRangeMissing(scheme=str(card.scheme))
    return token_range


async def provision(
    session: Session,
    request: ProvisioningRequest,
    card: Card,
    pan: Pan,
    keys: ProvisioningKeys,
    doing: DeviceDoing,
    rules: Sequence[RiskRule] = RULES,
) -> Provisioned:
    """Put a card on a device, or find that it is there, or say no with reasons.

    Raises: RequestorNotFound, CardNotEligible, TokenRangeMissing, DeviceKeyRefused, PhoneRefused.
    Locks: the device, the token.
    """
    requestor = await repository.load_requestor(session, request.trid, request.merchant_id)
    token_range = await eligible_range(session, requestor, card, doing.now)
    channels = request.channels & requestor.channels
    if not channels:
        raise CardNotEligible(reason="this requestor has none of these channels")
    device = await bind_device(session, requestor, request.device, doing)
    known = await repository.find_living(session, requestor.trid, device.id, card.fingerprint_id)
    if known is not None:
        return Provisioned(known, is_new=False)
    facts = await gather_facts(session, requestor, request, device, card, doing.now)
    made = _Made(requestor, request, device, card, token_range, channels, decide(facts, rules))
    token = await _add(session, made, par_of(keys.par, pan), keys.master, doing)
    await stage(session, [_line_of(token, doing)])
    if token.status is not DeviceTokenStatus.AWAITING_CODE or request.phone is None:
        return Provisioned(token, is_new=True)
    return Provisioned(token, True, await _send_code(session, keys.master, token, request.phone, doing))


async def gather_facts(
    session: Session, requestor: Requestor, request: ProvisioningRequest, device: Device, card: Card, now: datetime
) -> DeviceFacts:
    """What the rules are told."""
    past = await repository.history(
        session, device_id=device.id, merchant_id=requestor.merchant_id, fingerprint_id=card.fingerprint_id,
        since=now - timedelta(days=1),
    )  # fmt: skip
    return DeviceFacts(
        verdict=request.device.verdict,
        is_device_lost=device.status is DeviceStatus.LOST,
        tokens_on_device=past["tokens_on_device"],
        tokens_max=requestor.tokens_max,
        devices_of_card=past["devices_of_card"],
        declines_today=past["declines"],
        wrong_codes_today=past["wrong_codes"],
        card_minutes=int((now - card.tokenized_at).total_seconds()) // 60,
        wallet_score=request.wallet_score,
    )


async def bind_device(session: Session, requestor: Requestor, given: DeviceIn, doing: DeviceDoing) -> Device:
    """The device with this key: known, or from now on.

    Raises: DeviceKeyRefused if the key is not one, is another device's or a wiped one's, or the installation has
    another key. Locks: the device.
    """
    jwk = checked_jwk(given.public_jwk)
    if len(given.attestation) > ATTESTATION_MAX or any(
        len(part) > ATTESTATION_CHARACTERS_MAX for part in given.attestation
    ):
        raise DeviceKeyRefused(reason="attestation too long")
    device = Device(new_id("dvc"), requestor.trid, given.installation_id, thumbprint_of(jwk), jwk, DeviceStatus.BOUND)
    if await repository.add_device(session, device, given.attestation, doing.now):
        await stage(session, [log_lines.of_device(doing, device, "bound", requestor.merchant_id)])
        return device
    known = await repository.find_device_by_key(session, device.thumbprint)
    if known is None or (known.trid, known.installation_id) != (device.trid, device.installation_id):
        raise DeviceKeyRefused(reason="another key or another device")
    if known.status is DeviceStatus.WIPED:
        raise DeviceKeyRefused(reason="the device was wiped: it needs a new key")
    return await repository.lock_device(session, known.id, requestor.merchant_id)


@dataclass(frozen=True, slots=True)
class _Made:
    """Everything a new token is made of."""

    requestor: Requestor
    request: ProvisioningRequest
    device: Device
    card: Card
    token_range: TokenRange
    channels: frozenset[PayChannel]
    decision: RiskDecision


_STATUS = {
    Colour.GREEN: (DeviceTokenStatus.APPROVED, Assurance.RISK),
    Colour.YELLOW: (DeviceTokenStatus.AWAITING_CODE, Assurance.NONE),
    Colour.RED: (DeviceTokenStatus.DECLINED, Assurance.NONE),
}


def _new_token(made: _Made, par: str, master: Dek, now: datetime) -> DeviceToken:
    status, assurance = _STATUS[made.decision.colour]
    is_declined = status is DeviceTokenStatus.DECLINED
    amount_max = made.request.amount_kopecks_max or made.requestor.amount_kopecks_max
    return DeviceToken(
        id=new_id("dtk"),
        trid=made.requestor.trid,
        device_id=made.device.id,
        range_id=made.token_range.id,
        family=made.token_range.family,
        merchant_id=made.requestor.merchant_id,
        card_token=made.card.token,
        fingerprint_id=made.card.fingerprint_id,
        par=par,
        number=None if is_declined else draw_number(made.token_range, random_below),
        sequence_number="01",
        expires=f"{now.year + TOKEN_YEARS}-{now:%m}",
        card_mask=made.card.mask,
        card_expires=made.card.expires,
        key_number=None if is_declined else master.number,
        status=status,
        decision=made.decision.colour,
        findings=made.decision.findings,
        assurance=assurance,
        channels=made.channels,
        mccs=made.request.mccs,
        amount_kopecks_max=min(amount_max, made.requestor.amount_kopecks_max),
        wrong_cryptograms=0,
        suspensions=(),
        created_at=now,
        changed_at=now,
    )


async def _add(session: Session, made: _Made, par: str, master: Dek, doing: DeviceDoing) -> DeviceToken:
    """Keep a new token, drawing its number again while it is taken. The device is locked, so the card is not there."""
    for _ in range(DRAWS_MAX):
        token = _new_token(made, par, master, doing.now)
        if await repository.add_token(session, token):
            return token
    raise TokenRangeMissing(scheme=made.token_range.scheme)


def _line_of(token: DeviceToken, doing: DeviceDoing) -> AuditEvent:
    is_declined = token.status is DeviceTokenStatus.DECLINED
    outcome = AuditOutcome.REFUSED if is_declined else AuditOutcome.DONE
    rules = ",".join(finding.rule for finding in token.findings)
    return log_lines.of_token(doing, token, "provisioned", outcome, decision=str(token.decision), rules=rules)


async def resend_code(
    session: Session, master: Dek, token_id: str, merchant_id: str, phone: Secret, doing: DeviceDoing
) -> CodeToSend | DevicePayRejected:
    """Another code in the place of the last. A refusal is an answer: what it changed is to be kept.

    Raises: DeviceTokenNotFound. Locks: the token.
    """
    token = await repository.lock_token(session, token_id, merchant_id)
    if token.status is not DeviceTokenStatus.AWAITING_CODE:
        return CodeNotExpected(status=str(token.status))
    if token.suspensions:
        return DeviceTokenSuspended(suspenders=[str(held.suspender) for held in token.suspensions])
    last = await code_records.find_last(session, token.id)
    if last is not None and last.number >= codes.CODES_MAX:
        return CodesSpent()
    return await _send_code(session, master, token, phone, doing)


async def enter_code(
    session: Session, master: Dek, token_id: str, merchant_id: str, code: Secret, doing: DeviceDoing
) -> DeviceToken | DevicePayRejected:
    """The buyer enters the code. A refusal is an answer: the try counts, so what it changed is to be kept.

    Raises: DeviceTokenNotFound. Locks: the token.
    """
    token = await repository.lock_token(session, token_id, merchant_id)
    if token.status is not DeviceTokenStatus.AWAITING_CODE:
        return CodeNotExpected(status=str(token.status))
    if token.suspensions:
        return CodeOver()
    sent = await code_records.find_open(session, token.id)
    if sent is None:
        return CodeOver()
    if sent.expires_at <= doing.now:
        return await _end_code(session, token, sent.number, "Код не введён вовремя", doing)
    if codes.is_right(sent, codes.digest_of(master, token.id, sent.number, code)):
        return await _approve(session, token, sent.number, doing)
    if sent.tries + 1 >= codes.TRIES_MAX:
        return await _end_code(session, token, sent.number, "Код трижды введён неверно", doing)
    await code_records.count_try(session, token.id, sent.number)
    await stage(session, [log_lines.of_token(doing, token, "code_refused", AuditOutcome.REFUSED)])
    return CodeWrong(tries_left=codes.TRIES_MAX - sent.tries - 1)


async def _approve(session: Session, token: DeviceToken, number: int, doing: DeviceDoing) -> DeviceToken:
    status = advance(token.status, DeviceTokenStatus.APPROVED)
    await code_records.end(session, token.id, number, codes.CodeStatus.ENTERED)
    await repository.move_token(session, token, status, Assurance.CODE, doing.now)
    await stage(session, [log_lines.of_token(doing, token, "code_entered")])
    return await repository.find_token(session, token.id, token.merchant_id)


async def _end_code(
    session: Session, token: DeviceToken, number: int, reason: str, doing: DeviceDoing
) -> DevicePayRejected:
    await code_records.end(session, token.id, number, codes.CodeStatus.OVER)
    await stage(session, [log_lines.of_token(doing, token, "code_over", AuditOutcome.REFUSED)])
    await lifecycle.hold_back(session, token, Suspender.RISK, reason, doing)
    return CodeOver()


async def _send_code(
    session: Session, master: Dek, token: DeviceToken, phone: Secret, doing: DeviceDoing
) -> CodeToSend:
    """Make a code and keep its digest; the code itself leaves after the commit."""
    last = await code_records.find_last(session, token.id)
    number = 1 if last is None else last.number + 1
    if last is not None and last.is_open:
        await code_records.end(session, token.id, last.number, codes.CodeStatus.OVER)
    code = codes.new_code(random_below)
    digest = codes.digest_of(master, token.id, number, code)
    await code_records.add(session, token.id, number, digest, codes.phone_mask(phone), doing.now)
    await stage(session, [log_lines.of_token(doing, token, "code_made", number=number)])
    return CodeToSend(token.id, number, phone, codes.code_text(code, token.card_mask))
