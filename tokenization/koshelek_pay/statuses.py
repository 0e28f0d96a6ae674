"""Where a device token, a device and the key of one payment stand, and where each may go from there.

That a token is suspended is no status: several parties may hold it back at once, so it is a set of rows.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from tokenization.koshelek_pay.errors import DeviceTokenStateRefused


class DeviceTokenStatus(StrEnum):
    """Where a device token stands."""

    AWAITING_CODE = "awaiting_code"
    """The buyer has been sent a code."""
    APPROVED = "approved"
    """The device may fetch its first keys."""
    ACTIVE = "active"
    """The device has keys."""
    DECLINED = "declined"
    """Never became a token. Final."""
    DELETED = "deleted"
    """Taken off the device. Final."""


class DeviceStatus(StrEnum):
    """Where a device stands."""

    BOUND = "bound"
    LOST = "lost"
    """Its tokens are suspended; it may be found."""
    WIPED = "wiped"
    """Its key is gone, and with it everything on it. Final."""


class DeviceKeyStatus(StrEnum):
    """Where the key of one payment stands."""

    ISSUED = "issued"
    """The device has it."""
    USED = "used"
    """One payment was let through; how it ended is not known yet."""
    BURNT = "burnt"
    """Counts for nothing any more. Final."""


S = TypeVar("S", bound=StrEnum)

TOKEN_ALLOWED: dict[DeviceTokenStatus, frozenset[DeviceTokenStatus]] = {
    DeviceTokenStatus.AWAITING_CODE: frozenset({DeviceTokenStatus.APPROVED, DeviceTokenStatus.DELETED}),
    DeviceTokenStatus.APPROVED: frozenset({DeviceTokenStatus.ACTIVE, DeviceTokenStatus.DELETED}),
    DeviceTokenStatus.ACTIVE: frozenset({DeviceTokenStatus.DELETED}),
    DeviceTokenStatus.DECLINED: frozenset(),
    DeviceTokenStatus.DELETED: frozenset(),
}
DEVICE_ALLOWED: dict[DeviceStatus, frozenset[DeviceStatus]] = {
    DeviceStatus.BOUND: frozenset({DeviceStatus.LOST, DeviceStatus.WIPED}),
    DeviceStatus.LOST: frozenset({DeviceStatus.BOUND, DeviceStatus.WIPED}),
    DeviceStatus.WIPED: frozenset(),
}
KEY_ALLOWED: dict[DeviceKeyStatus, frozenset[DeviceKeyStatus]] = {
    DeviceKeyStatus.ISSUED: frozenset({DeviceKeyStatus.USED, DeviceKeyStatus.BURNT}),
    DeviceKeyStatus.USED: frozenset({DeviceKeyStatus.BURNT}),
    DeviceKeyStatus.BURNT: frozenset(),
}


def advance(status: DeviceTokenStatus, to: DeviceTokenStatus) -> DeviceTokenStatus:
    """The next status of a device token. Raises: DeviceTokenStateRefused if nothing leads there."""
    return _advance(TOKEN_ALLOWED, status, to)


def advance_device(status: DeviceStatus, to: DeviceStatus) -> DeviceStatus:
    """The next status of a device. Raises: DeviceTokenStateRefused if nothing leads there."""
    return _advance(DEVICE_ALLOWED, status, to)


def _advance(allowed: dict[S, frozenset[S]], status: S, to: S) -> S:
    if to not in allowed[status]:
        raise DeviceTokenStateRefused(status=str(status), to=str(to))
    return to


class Suspender(StrEnum):
    """Who may hold a token back. Each lifts only its own."""

    BUYER = "buyer"
    REQUESTOR = "requestor"
    ISSUER = "issuer"
    WALLET = "wallet"
    RISK = "risk"
    """Ours: a rule saw something."""


class PayChannel(StrEnum):
    """How a device pays."""

    CONTACTLESS = "contactless"
    """Held to a terminal: entry mode 07. Source: ISO 8583, field 22."""
    ECOM = "ecom"
    """In an application or on a site."""


class Assurance(StrEnum):
    """How it was made sure that the buyer is the card's holder."""

    NONE = "none"
    RISK = "risk"
    """Nothing spoke against it."""
    CODE = "code"
    """The buyer entered the code that the bank had sent."""
