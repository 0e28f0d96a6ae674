"""Keys on their way to a device: ten at a time, each for one counter, for seven days, sealed to the device's key.

A key is never kept: what a batch holds is derived again each time it is asked for. There is no index of keys, no
threshold in a key, and no log of the device's to compare with ours: one counter, one key, one payment.
Source: EMV Book 2, A1.3 (common session key); DECISIONS.md, of tokenization, on what is left out and why.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pci.audit_log.staging import stage
from pci.database import Session
from pci.keys.envelope import Dek
from tokenization.koshelek_pay import key_records, log_lines, repository
from tokenization.koshelek_pay.device_messages import DeviceKeyRequest, read_key_request, seal_to_device
from tokenization.koshelek_pay.device_token import Device, DeviceDoing, DeviceKeyBatch, DeviceToken
from tokenization.koshelek_pay.emv import ATC_MAX
from tokenization.koshelek_pay.errors import DeviceTokenStateRefused, DeviceTokenSuspended, DeviceWiped, KeysNotDue
from tokenization.koshelek_pay.payment_keys import payment_keys
from tokenization.koshelek_pay.statuses import DeviceStatus, DeviceTokenStatus, advance

BATCH_KEYS = 10
LOW_WATER = 3
"""With so many left or fewer, the device asks for more while it still can pay."""
KEY_LIFE = timedelta(days=7)


async def deliver(
    session: Session, token_id: str, merchant_id: str, signed: str, doing: DeviceDoing
) -> tuple[DeviceToken, Device, DeviceKeyBatch]:
    """The batch that a device asks for: a new one, or the same again under the same name. The first makes it active.

    Raises: DeviceTokenNotFound, DeviceWiped, DeviceSignatureRefused, DeviceTokenStateRefused, DeviceTokenSuspended,
    KeysNotDue. Locks: the device, the token.
    """
    seen = await repository.find_token(session, token_id, merchant_id)
    device = await repository.lock_device(session, seen.device_id, merchant_id)
    if device.status is DeviceStatus.WIPED:
        raise DeviceWiped()
    request = read_key_request(signed, device.public_jwk, device_token_id=token_id, now=doing.now)
    token = await repository.lock_token(session, token_id, merchant_id)
    _refuse(token)
    await key_records.burn_expired(session, token.id, doing.now)
    batch = await key_records.find_batch(session, token.id, request.request_id)
    if batch is None:
        batch = await _new_batch(session, token, request, doing)
    if token.status is not DeviceTokenStatus.ACTIVE:
        await repository.move_token(
            session, token, advance(token.status, DeviceTokenStatus.ACTIVE), token.assurance, doing.now
        )
        await stage(session, [log_lines.of_token(doing, token, "activated")])
    line = log_lines.of_token(doing, token, "keys_delivered", batch=batch.number, keys=len(batch.atcs))
    await stage(session, [line])
    return await repository.find_token(session, token.id, merchant_id), device, batch


def seal_batch(master: Dek, token: DeviceToken, device: Device, batch: DeviceKeyBatch) -> str:
    """The batch as only its device can open it. Nothing here touches a database."""
    keys = payment_keys(master, token, batch.atcs)
    content: dict[str, Any] = {
        "device_token": token.id,
        "number": token.number,
        "sequence_number": token.sequence_number,
        "expires": token.expires,
        "family": str(token.family),
        "batch": batch.number,
        "expires_at": batch.expires_at.isoformat(),
        "keys": [{"atc": atc, "key": key.hex()} for atc, key in keys.items()],
    }
    return seal_to_device(device.public_jwk, content)


def _refuse(token: DeviceToken) -> None:
    if token.status not in (DeviceTokenStatus.APPROVED, DeviceTokenStatus.ACTIVE):
        raise DeviceTokenStateRefused(status=str(token.status))
    if token.suspensions:
        raise DeviceTokenSuspended(suspenders=[str(held.suspender) for held in token.suspensions])


async def _new_batch(
    session: Session, token: DeviceToken, request: DeviceKeyRequest, doing: DeviceDoing
) -> DeviceKeyBatch:
    if request.discard:
        burnt = await repository.burn_issued(session, token.id, doing.now)
        await stage(session, [log_lines.of_token(doing, token, "keys_discarded", keys=burnt)])
    counts = await key_records.count_keys(session, token.id, doing.now)
    if counts.left > LOW_WATER:
        raise KeysNotDue(left=counts.left)
    if counts.last_atc + BATCH_KEYS > ATC_MAX:
        raise DeviceTokenStateRefused(status="the counter has run out: put the card on the device anew")
    atcs = tuple(range(counts.last_atc + 1, counts.last_atc + 1 + BATCH_KEYS))
    batch = DeviceKeyBatch(counts.last_batch + 1, request.request_id, atcs, doing.now + KEY_LIFE)
    await key_records.add_batch(session, token.id, batch, doing.now)
    return batch
