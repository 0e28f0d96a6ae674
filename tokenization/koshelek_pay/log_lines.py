"""Lines of the log about device tokens. A token's number, a code, a phone and a cryptogram never stand in one."""

from __future__ import annotations

from pci.audit_log.event import AuditEvent, AuditOutcome
from tokenization.koshelek_pay.device_token import Device, DeviceDoing, DeviceToken


def of_token(
    doing: DeviceDoing,
    token: DeviceToken,
    action: str,
    outcome: AuditOutcome = AuditOutcome.DONE,
    **facts: str | int | bool,
) -> AuditEvent:
    """Something was done, or refused, about a token."""
    return AuditEvent(
        f"device_token.{action}", doing.actor, doing.origin, f"device_token:{token.id}", doing.now, outcome,
        merchant_id=token.merchant_id, facts={"card": token.card_token, **facts},
    )  # fmt: skip


def of_device(doing: DeviceDoing, device: Device, action: str, merchant_id: str, **facts: str | int) -> AuditEvent:
    """Something was done about a device."""
    return AuditEvent(
        f"token_device.{action}", doing.actor, doing.origin, f"token_device:{device.id}", doing.now,
        merchant_id=merchant_id, facts=facts,
    )  # fmt: skip
