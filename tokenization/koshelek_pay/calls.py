"""From a call to its outcome: transactions, with keys' keepers, SMS and the acquirer between them, never inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import structlog

from pci.database import Transactions
from pci.errors import PciError
from pci.keys.envelope import Dek
from pci.keys.key import KeyPurpose
from pci.keys.ring import KeyRing
from pci.secret import Secret
from tokenization import cards, refusals
from tokenization.card_use import CardPurpose, CardUse
from tokenization.koshelek_pay import authorising, code_records, key_delivery, key_records, provisioning, repository
from tokenization.koshelek_pay.authorising import Presentment
from tokenization.koshelek_pay.codes import CodeSender, SmsUnavailable
from tokenization.koshelek_pay.device_token import DeviceDoing, DeviceToken
from tokenization.koshelek_pay.errors import (
    AuthorisationTaken,
    CodeOver,
    CodeWrong,
    DevicePaymentNotFound,
    DevicePayRejected,
    DeviceTokenNotActive,
)
from tokenization.koshelek_pay.key_records import PAYMENT_ALLOWED, DevicePayment
from tokenization.koshelek_pay.provisioning import CodeToSend, Provisioned, ProvisioningKeys, ProvisioningRequest
from tokenization.koshelek_pay.statuses import PayChannel

log = structlog.get_logger("vault")

PAR_SCOPE = "all"
"""A reference is the same whoever asks: it names the account and not the merchant."""


OPEN_WAIT = timedelta(minutes=2)
"""Whoever asked for a payment asks again within it, or never."""


@dataclass(frozen=True, slots=True)
class DeviceCharge:
    """What is asked of the acquirer once a device has proved its payment."""

    id: str
    merchant_id: str
    card_token: str
    amount_kopecks: int
    channel: PayChannel
    chip: bytes = field(repr=False)
    """What the device signed, in the form of field 55."""


@dataclass(frozen=True, slots=True)
class DeviceChargeOutcome:
    """What the acquirer said; no response code while nobody knows."""

    is_approved: bool
    response_code: str | None


class DeviceCharger(Protocol):
    """Charges the card behind a device token, once for each id. The card number is read inside the vault."""

    async def charge(self, wanted: DeviceCharge, doing: DeviceDoing) -> DeviceChargeOutcome:
        """Ask the acquirer, or find out what it said before."""


@dataclass(frozen=True, slots=True)
class DeviceDesk:
    """What the calls need."""

    transactions: Transactions
    ring: KeyRing
    sender: CodeSender
    charger: DeviceCharger | None
    """None where nothing is charged."""


async def provision(desk: DeviceDesk, request: ProvisioningRequest, doing: DeviceDoing) -> Provisioned:
    """Put a card on a device; a code goes to the buyer if there are doubts.

    Raises: what ``provisioning.provision`` refuses; TokenRefused of the card; Sealed.
    """
    async with desk.transactions() as session:
        requestor = await repository.load_requestor(session, request.trid, request.merchant_id)
        card = await cards.find_card(session, request.card_token, request.merchant_id)
        token_range = await provisioning.eligible_range(session, requestor, card, doing.now)
    keys = ProvisioningKeys(
        await desk.ring.ensure(KeyPurpose.DEVICE_MASTER, token_range.id, doing.now),
        await desk.ring.ensure(KeyPurpose.PAR, PAR_SCOPE, doing.now),
    )
    use = CardUse(CardPurpose.DEVICE_TOKEN)
    async with refusals.kept(desk.transactions) as session:
        opened = await cards.read_pan(
            session, desk.ring, card.token, merchant_id=request.merchant_id, use=use, actor=doing.actor,
            origin=doing.origin, now=doing.now,
        )  # fmt: skip
        made = await provisioning.provision(session, request, card, opened.pan, keys, doing)
    if made.code is not None:
        await _send(desk, made.code, doing)
    return made


async def resend_code(
    desk: DeviceDesk, token_id: str, merchant_id: str, phone: Secret, doing: DeviceDoing
) -> DeviceToken:
    """Send another code. Raises: what ``provisioning.resend_code`` refuses; SmsUnavailable."""
    master = await _master_of(desk, token_id, merchant_id)
    async with desk.transactions() as session:
        code = await provisioning.resend_code(session, master, token_id, merchant_id, phone, doing)
        token = await repository.find_token(session, token_id, merchant_id)
    if isinstance(code, DevicePayRejected):
        raise code
    if not await _send(desk, code, doing):
        raise SmsUnavailable()
    return token


async def enter_code(
    desk: DeviceDesk, token_id: str, merchant_id: str, code: Secret, doing: DeviceDoing
) -> DeviceToken:
    """The buyer enters the code. Raises: CodeWrong, CodeOver, CodeNotExpected, each with its try counted."""
    master = await _master_of(desk, token_id, merchant_id)
    async with desk.transactions() as session:
        entered = await provisioning.enter_code(session, master, token_id, merchant_id, code, doing)
    if isinstance(entered, DevicePayRejected):
        entered.is_logged = isinstance(entered, (CodeWrong, CodeOver))
        raise entered
    return entered


async def deliver_keys(
    desk: DeviceDesk, token_id: str, merchant_id: str, signed: str, doing: DeviceDoing
) -> tuple[DeviceToken, str]:
    """A batch of keys, sealed to the device. Raises: what ``key_delivery.deliver`` refuses; Sealed."""
    master = await _master_of(desk, token_id, merchant_id)
    async with desk.transactions() as session:
        token, device, batch = await key_delivery.deliver(session, token_id, merchant_id, signed, doing)
    return token, key_delivery.seal_batch(master, token, device, batch)


async def pay(desk: DeviceDesk, presentment: Presentment, doing: DeviceDoing) -> DevicePayment:
    """Let a payment through, charge the card behind it, and answer the device.

    Asked again under the same id, it goes on from where it stopped; what has ended is answered as it ended.
    Raises: CryptogramRefused, each refusal with its line in the log; DeviceTokenNotFound; Sealed.
    """
    master = await _master_of(desk, presentment.device_token_id, presentment.merchant_id)
    async with desk.transactions() as session:
        accepted = await authorising.accept(session, master, presentment, doing)
    if isinstance(accepted, DevicePayRejected):
        accepted.is_logged = not isinstance(accepted, AuthorisationTaken)
        raise accepted
    return accepted if not PAYMENT_ALLOWED[accepted.status] else await _charge(desk, accepted, master, doing)


async def find_out(desk: DeviceDesk, payment_id: str, merchant_id: str, doing: DeviceDoing) -> DevicePayment:
    """What became of a payment that was let through: the acquirer's word is looked for if it is missing.

    Whoever is told that there is none may rely on it: a payment that comes after that is refused.
    Raises: DevicePaymentNotFound, also for one that was never let through. Locks: the payment's id.
    """
    async with desk.transactions() as session:
        await key_records.lock_payment(session, payment_id)
        known = await key_records.find_payment(session, payment_id)
        if known is None and key_records.PAYMENT_ID.fullmatch(payment_id):
            await key_records.deny_payment(session, payment_id, merchant_id, doing.now)
    if known is None or known.merchant_id != merchant_id:
        raise DevicePaymentNotFound()
    if not PAYMENT_ALLOWED[known.status]:
        return known
    return await _charge(desk, known, await _master_of(desk, known.device_token_id, merchant_id), doing)


async def settle_open(desk: DeviceDesk, doing: DeviceDoing) -> int:
    """Find out about payments whose caller never came back for them. How many ended.

    One that cannot be asked about just now does not hold up the others.
    """
    async with desk.transactions() as session:
        waiting = await key_records.find_open(session, doing.now - OPEN_WAIT)
    ended = 0
    for payment in waiting:
        try:
            found = await find_out(desk, payment.id, payment.merchant_id, doing)
        except PciError as error:  # also a key that was withdrawn: that one waits for people, the others do not
            log.warning("device_payment_not_settled", payment_id=payment.id, code=error.code)
            continue
        ended += not PAYMENT_ALLOWED[found.status]
    return ended


async def _charge(desk: DeviceDesk, accepted: DevicePayment, master: Dek, doing: DeviceDoing) -> DevicePayment:
    """Ask the acquirer, and write down what it says."""
    async with desk.transactions() as session:
        token = await repository.find_token(session, accepted.device_token_id, accepted.merchant_id)
    wanted = DeviceCharge(
        accepted.id, token.merchant_id, token.card_token, accepted.amount_kopecks, accepted.channel, accepted.chip
    )
    assert desk.charger is not None, "payments need an acquirer"
    outcome = await desk.charger.charge(wanted, doing)
    async with desk.transactions() as session:
        return await authorising.end(
            session, master, accepted, outcome.response_code, is_approved=outcome.is_approved, doing=doing
        )


async def _master_of(desk: DeviceDesk, token_id: str, merchant_id: str) -> Dek:
    """The master key of a token, opened outside of the transaction that needs it. A declined token has none."""
    async with desk.transactions() as session:
        token = await repository.find_token(session, token_id, merchant_id)
    if token.key_number is None:
        raise DeviceTokenNotActive(status=str(token.status))
    return await desk.ring.by_number(token.key_number)


async def _send(desk: DeviceDesk, code: CodeToSend, doing: DeviceDoing) -> bool:
    """Send a code. If that fails the token stays where it is: the buyer asks for another code."""
    try:
        await desk.sender.send(code.phone, code.text)
    except SmsUnavailable:
        return False
    async with desk.transactions() as session:
        await code_records.mark_sent(session, code.device_token_id, code.number, doing.now)
    return True
