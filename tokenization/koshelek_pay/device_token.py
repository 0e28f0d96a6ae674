"""Device tokens (токены устройств), the devices they are on, and who asked for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tokenization.koshelek_pay.emv import EmvFamily
from tokenization.koshelek_pay.risk import Colour, Finding
from tokenization.koshelek_pay.statuses import (
    Assurance,
    DeviceKeyStatus,
    DeviceStatus,
    DeviceTokenStatus,
    PayChannel,
    Suspender,
)


@dataclass(frozen=True, slots=True)
class DeviceDoing:
    """Who does something, from where, and when: for the log."""

    actor: str
    origin: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Requestor:
    """Who may put cards on devices: a wallet of a merchant."""

    trid: str
    """Token requestor id: 11 digits, the first three of the token service."""
    merchant_id: str
    name: str
    channels: frozenset[PayChannel]
    amount_kopecks_max: int
    tokens_max: int
    """On one device."""
    public_jwk: Mapping[str, Any] | None = None
    """The wallet's own key, kept for what will be told to it alone."""


@dataclass(frozen=True, slots=True)
class Device:
    """A buyer's device, known by its key."""

    id: str
    trid: str
    installation_id: str
    """What the wallet calls it."""
    thumbprint: str
    public_jwk: Mapping[str, Any] = field(repr=False)
    status: DeviceStatus


@dataclass(frozen=True, slots=True)
class Suspension:
    """One party holds a token back."""

    suspender: Suspender
    reason: str
    suspended_at: datetime


@dataclass(frozen=True, slots=True)
class DeviceToken:
    """A number that stands for a card on one device."""

    id: str
    trid: str
    device_id: str
    range_id: str
    family: EmvFamily
    merchant_id: str
    card_token: str
    fingerprint_id: str
    par: str
    number: str | None = field(repr=False)
    """What terminals see. Not a card number, and still nobody's business."""
    sequence_number: str
    expires: str
    card_mask: str
    card_expires: str
    key_number: int | None
    """By which master key its payments are proved."""
    status: DeviceTokenStatus
    decision: Colour
    findings: tuple[Finding, ...]
    assurance: Assurance
    channels: frozenset[PayChannel]
    mccs: frozenset[str] | None
    """Whose goods it may pay for; nothing: anybody's."""
    amount_kopecks_max: int
    wrong_cryptograms: int
    suspensions: tuple[Suspension, ...]
    created_at: datetime
    changed_at: datetime

    @property
    def is_payable(self) -> bool:
        """Whether a payment may be let through at all."""
        return self.status is DeviceTokenStatus.ACTIVE and not self.suspensions


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """The key of one counter: its record, never its bytes."""

    atc: int
    status: DeviceKeyStatus
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DeviceKeyBatch:
    """Keys that are delivered together."""

    number: int
    request_id: str
    atcs: tuple[int, ...]
    """Those of it that the device may still use."""
    expires_at: datetime
