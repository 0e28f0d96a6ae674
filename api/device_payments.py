"""Payments that a buyer's device proves: what the vault is asked, and its answer in the words of a charge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from checkout.card_payments import CardPayment, CardPaymentStatus
from tokenization.koshelek_pay.statuses import PayChannel

RAIL = "koshelek_pay"
DEVICE_TOKEN = "dtk_"  # noqa: S105  # how the id of a device token begins
_STATUS_WITHOUT_CHARGE = {"declined": "refused"}


@dataclass(frozen=True, slots=True)
class DeviceProof:
    """What the device and the till say of a payment. Used once and kept nowhere: a repeat asks what became of it."""

    trid: str
    mcc: str
    channel: PayChannel
    de55: str = field(repr=False)


def is_by_device(payment: CardPayment) -> bool:
    """Whether a device token stands where a card's would."""
    return payment.card_token.startswith(DEVICE_TOKEN)


def question_of(payment: CardPayment, proof: DeviceProof | None) -> tuple[str, dict[str, Any]] | None:
    """What the vault is asked of a payment by a device that waits for its outcome; nothing to ask of another.

    Without the proof only what became of it: a payment that the vault never let through is not found, and refused.
    """
    if not is_by_device(payment) or payment.status not in (CardPaymentStatus.REQUESTED, CardPaymentStatus.UNKNOWN):
        return None
    own = {"merchant_id": payment.merchant_id}
    if proof is None:
        return f"/v1/device-payments/{payment.id}/find-out", {**own}
    return "/v1/device-payments", {
        **own, "id": payment.id, "device_token": payment.card_token, "amount_kopecks": int(payment.amount),
        "trid": proof.trid, "mcc": proof.mcc, "channel": str(proof.channel), "de55": proof.de55,
    }  # fmt: skip


def charge_in(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The charge behind a payment by a device; any other answer as it is."""
    if "charge_status" not in said:
        return said
    status = said["charge_status"] or _STATUS_WITHOUT_CHARGE.get(said["status"], said["status"])
    return {**said, "status": status}
