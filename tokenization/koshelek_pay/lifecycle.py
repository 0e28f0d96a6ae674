"""What happens to a token after it was made: held back and let go, its device lost or wiped, its card issued again.

Who holds a token back is a set: each party lifts only its own, and the token works again when the last one has.
History is the log: every step stages its line in the same transaction.
"""

from __future__ import annotations

from dataclasses import replace

from pci.audit_log.staging import stage
from pci.database import Session
from tokenization.card import Card, CardStatus
from tokenization.koshelek_pay import log_lines, repository
from tokenization.koshelek_pay.device_token import Device, DeviceDoing, DeviceToken
from tokenization.koshelek_pay.errors import CardIsAnother, CardNotEligible, DeviceTokenStateRefused, SuspensionNotYours
from tokenization.koshelek_pay.statuses import (
    TOKEN_ALLOWED,
    DeviceStatus,
    DeviceTokenStatus,
    Suspender,
    advance,
    advance_device,
)


async def suspend(
    session: Session, token_id: str, merchant_id: str, suspender: Suspender, reason: str, doing: DeviceDoing
) -> DeviceToken:
    """Hold a token back. Once more by the same party changes nothing.

    Raises: DeviceTokenNotFound, DeviceTokenStateRefused. Locks: the token.
    """
    token = await repository.lock_token(session, token_id, merchant_id)
    _refuse_ended(token)
    return await hold_back(session, token, suspender, reason, doing)


async def resume(
    session: Session, token_id: str, merchant_id: str, suspender: Suspender, doing: DeviceDoing
) -> DeviceToken:
    """Let go of what this party held back; what others hold stays held.

    Raises: DeviceTokenNotFound, DeviceTokenStateRefused, SuspensionNotYours. Locks: the token.
    """
    token = await repository.lock_token(session, token_id, merchant_id)
    _refuse_ended(token)
    if not await repository.lift_suspension(session, token.id, suspender, doing.now):
        raise SuspensionNotYours(suspender=str(suspender))
    if suspender is Suspender.RISK:
        await repository.count_wrong(session, token.id, 0, doing.now)
    await stage(session, [log_lines.of_token(doing, token, "resumed", suspender=str(suspender))])
    return await repository.find_token(session, token.id, merchant_id)


async def delete(session: Session, token_id: str, merchant_id: str, doing: DeviceDoing) -> DeviceToken:
    """Take a token off its device, for ever. Its keys are burnt. Once more changes nothing.

    Raises: DeviceTokenNotFound, DeviceTokenStateRefused if it was declined. Locks: the token.
    """
    token = await repository.lock_token(session, token_id, merchant_id)
    if token.status is DeviceTokenStatus.DELETED:
        return token
    return await _delete(session, token, doing)


async def lose_device(session: Session, device_id: str, merchant_id: str, doing: DeviceDoing) -> list[DeviceToken]:
    """A device is lost: the buyer holds back every token on it. Once more changes nothing.

    Raises: DeviceNotFound, DeviceTokenStateRefused if it was wiped. Locks: the device, its tokens by id.
    """
    device = await repository.lock_device(session, device_id, merchant_id)
    if device.status is not DeviceStatus.LOST:
        await _move(session, device, DeviceStatus.LOST, merchant_id, doing)
    living = [token for token in await repository.lock_tokens_of_device(session, device.id) if _is_living(token)]
    return [await hold_back(session, token, Suspender.BUYER, "Устройство утеряно", doing) for token in living]


async def find_device(session: Session, device_id: str, merchant_id: str, doing: DeviceDoing) -> Device:
    """A lost device was found. Its tokens stay held back until the buyer resumes each.

    Raises: DeviceNotFound, DeviceTokenStateRefused unless it was lost. Locks: the device.
    """
    device = await repository.lock_device(session, device_id, merchant_id)
    return await _move(session, device, DeviceStatus.BOUND, merchant_id, doing)


async def wipe_device(session: Session, device_id: str, merchant_id: str, doing: DeviceDoing) -> list[DeviceToken]:
    """A device was wiped: its key is gone, so its tokens end and their keys are burnt. Once more changes nothing.

    Raises: DeviceNotFound. Locks: the device, its tokens by id.
    """
    device = await repository.lock_device(session, device_id, merchant_id)
    if device.status is DeviceStatus.WIPED:
        return []
    await _move(session, device, DeviceStatus.WIPED, merchant_id, doing)
    living = [token for token in await repository.lock_tokens_of_device(session, device.id) if _is_living(token)]
    return [await _delete(session, token, doing) for token in living]


async def card_was_issued_again(
    session: Session, merchant_id: str, card_token: str, card: Card, doing: DeviceDoing, *, is_issuers: bool = False
) -> list[DeviceToken]:
    """The bank issued the card again, under the same number or another: its device tokens stay and pay from the new.

    The reference (PAR) stays too: it names the account behind both. That two numbers are of one account only the bank
    knows: anybody else puts the new card on the device anew, with a code.
    ``is_issuers``: the bank says so, or who speaks for it.
    Raises: CardNotEligible if the new card is not kept, or a device has a token of it already; CardIsAnother.
    Locks: the tokens of the old card, by id.
    """
    if card.status is not CardStatus.ACTIVE:
        raise CardNotEligible(reason="the card is not kept")
    tokens = await repository.lock_tokens_of_card(session, card_token, merchant_id)
    if not is_issuers and any(token.fingerprint_id != card.fingerprint_id for token in tokens):
        raise CardIsAnother()
    for token in tokens:
        other = await repository.find_living(session, token.trid, token.device_id, card.fingerprint_id)
        if other is not None and other.id != token.id:
            raise CardNotEligible(reason="the new card is on the device already")
        await repository.put_card(
            session, token.id, card_token=card.token, fingerprint_id=card.fingerprint_id, mask=card.mask,
            expires=card.expires, now=doing.now,
        )  # fmt: skip
    lines = [log_lines.of_token(doing, token, "card_changed", new_card=card.token) for token in tokens]
    await stage(session, lines)
    return [await repository.find_token(session, token.id, merchant_id) for token in tokens]


async def hold_back(
    session: Session, token: DeviceToken, suspender: Suspender, reason: str, doing: DeviceDoing
) -> DeviceToken:
    """Hold a token back that is locked already."""
    if await repository.add_suspension(session, token.id, suspender, reason, doing.now):
        await stage(session, [log_lines.of_token(doing, token, "suspended", suspender=str(suspender))])
    return await repository.find_token(session, token.id, token.merchant_id)


def _refuse_ended(token: DeviceToken) -> None:
    if not _is_living(token):
        raise DeviceTokenStateRefused(status=str(token.status))


def _is_living(token: DeviceToken) -> bool:
    return bool(TOKEN_ALLOWED[token.status])


async def _delete(session: Session, token: DeviceToken, doing: DeviceDoing) -> DeviceToken:
    status = advance(token.status, DeviceTokenStatus.DELETED)
    burnt = await repository.burn_issued(session, token.id, doing.now)
    await repository.move_token(session, token, status, token.assurance, doing.now)
    await stage(session, [log_lines.of_token(doing, token, "deleted", keys_burnt=burnt)])
    return replace(token, status=status, changed_at=doing.now)


async def _move(session: Session, device: Device, to: DeviceStatus, merchant_id: str, doing: DeviceDoing) -> Device:
    status = advance_device(device.status, to)
    await repository.move_device(session, device.id, status, doing.now)
    word = "found" if status is DeviceStatus.BOUND else str(status)
    await stage(session, [log_lines.of_device(doing, device, word, merchant_id)])
    return replace(device, status=status)
