"""What a token may be used for: its restrictions, and the use that is checked against them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from tokenization.card_errors import (
    AmountRefused,
    ChannelRefused,
    CurrencyRefused,
    HostRefused,
    RestrictionsMalformed,
    UseRefused,
    UseTooEarly,
    UseTooLate,
)

HOSTS_MAX = 16
CHANNELS_MAX = 16
"""A token with more of them is not restricted."""
AMOUNT_KOPECKS_MAX = 10**15
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_CURRENCY = re.compile(r"[A-Z]{3}")
_CHANNEL = re.compile(r"[a-z][a-z0-9_]{0,31}")


class CardPurpose(StrEnum):
    """Why a card number is opened."""

    CHARGE = "charge"
    REVEAL = "reveal"
    DEVICE_TOKEN = "device_token"  # noqa: S105 -- a word, not a password
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class CardUse:
    """One use of a token, as far as the user tells. What is not told fails any restriction of it."""

    purpose: CardPurpose
    channel: str = ""
    """``online``, ``in_store``, ``recurring`` …: words of the merchant's contract."""
    amount_kopecks: int | None = None
    currency: str = ""
    host: str = ""
    """Where the number is about to be sent."""


@dataclass(frozen=True, slots=True)
class CardRestrictions:
    """The domain of a token. The merchant is always in it: a foreign token is not found."""

    channels: frozenset[str] = frozenset()
    """Empty: any."""
    hosts: frozenset[str] = frozenset()
    amount_max_kopecks: int | None = None
    currency: str = ""
    usable_from: datetime | None = None
    usable_until: datetime | None = None
    """The last moment is not in it."""

    def __post_init__(self) -> None:
        """Raises: RestrictionsMalformed."""
        flaw = next((name for name, is_right in self._checks().items() if not is_right), None)
        if flaw is not None:
            raise RestrictionsMalformed(field=flaw)

    def _checks(self) -> Mapping[str, bool]:
        times = [at for at in (self.usable_from, self.usable_until) if at is not None]
        amount = self.amount_max_kopecks
        return {
            "channels": len(self.channels) <= CHANNELS_MAX and all(map(_CHANNEL.fullmatch, self.channels)),
            "hosts": len(self.hosts) <= HOSTS_MAX and all(map(_HOST.fullmatch, self.hosts)),
            "amount_max_kopecks": amount is None or 0 < amount <= AMOUNT_KOPECKS_MAX,
            "currency": not self.currency or _CURRENCY.fullmatch(self.currency) is not None,
            "usable_from": all(at.tzinfo is not None for at in times),
            "usable_until": len(times) < 2 or times[0] < times[1],
        }

    def refusal_of(self, use: CardUse, now: datetime) -> UseRefused | None:
        """Why this use is not allowed; None when it is."""
        if self.usable_from is not None and now < self.usable_from:
            return UseTooEarly()
        if self.usable_until is not None and now >= self.usable_until:
            return UseTooLate()
        if use.purpose is CardPurpose.REVEAL:
            return None  # the rest says where a number may pay, and nothing of who may look at it
        if self.channels and use.channel not in self.channels:
            return ChannelRefused()
        if self.hosts and use.host not in self.hosts:
            return HostRefused()
        if self.currency and use.currency != self.currency:
            return CurrencyRefused()
        if self.amount_max_kopecks is not None and not _is_within(use.amount_kopecks, self.amount_max_kopecks):
            return AmountRefused()
        return None


NO_RESTRICTIONS = CardRestrictions()


def _is_within(amount: int | None, limit: int) -> bool:
    return amount is not None and amount <= limit


def to_json(restrictions: CardRestrictions) -> dict[str, Any] | None:
    """The restrictions as they are kept; None when there are none."""
    if restrictions is NO_RESTRICTIONS:
        return None
    kept: dict[str, Any] = {
        "channels": sorted(restrictions.channels),
        "hosts": sorted(restrictions.hosts),
        "amount_max_kopecks": restrictions.amount_max_kopecks,
        "currency": restrictions.currency,
        "usable_from": _shown(restrictions.usable_from),
        "usable_until": _shown(restrictions.usable_until),
    }
    return {name: value for name, value in kept.items() if value} or None


def from_json(kept: Mapping[str, Any] | None) -> CardRestrictions:
    """The opposite of ``to_json``."""
    if not kept:
        return NO_RESTRICTIONS
    return CardRestrictions(
        channels=frozenset(kept.get("channels", ())),
        hosts=frozenset(kept.get("hosts", ())),
        amount_max_kopecks=kept.get("amount_max_kopecks"),
        currency=kept.get("currency", ""),
        usable_from=_read(kept.get("usable_from")),
        usable_until=_read(kept.get("usable_until")),
    )


def _shown(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _read(shown: str | None) -> datetime | None:
    return None if shown is None else datetime.fromisoformat(shown)
