"""What each provider of a rail can do (возможности провайдеров), as data with its source: ``capabilities.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from checkout.errors import ProviderUnknown
from checkout.premises import RAILS
from ledger.errors import InvariantBroken

FILE = Path(__file__).with_name("capabilities.yaml")


@dataclass(frozen=True, slots=True)
class Capability:
    """What one provider can do. Amounts: kopecks. None: nobody states a limit."""

    provider: str
    rail: str
    is_two_stage: bool
    """Money may be held first and captured later."""
    is_partial_refund: bool
    is_buyer_present: bool
    """Somebody has to confirm on a phone or a device."""
    amount_min_kopecks: int
    amount_max_kopecks: int
    source: str
    grade: str
    """``P``: the provider's own word; ``2``: another's; ``A``: our own product or reading."""
    ttl_minutes_min: int | None = None
    ttl_minutes_usual: int | None = None
    ttl_minutes_max: int | None = None
    hold_days_max: int | None = None


@lru_cache(maxsize=1)
def capabilities() -> tuple[Capability, ...]:
    """The whole matrix. Raises: InvariantBroken if the file contradicts itself."""
    read = tuple(Capability(**line) for line in yaml.safe_load(FILE.read_text(encoding="utf-8")))
    if len({each.provider for each in read}) != len(read) or not {each.rail for each in read} <= set(RAILS):
        raise InvariantBroken("capabilities.yaml names a provider twice, or a rail that is none")
    return read


def capability_of(provider: str) -> Capability:
    """What a provider can do. Raises: ProviderUnknown."""
    for each in capabilities():
        if each.provider == provider:
            return each
    raise ProviderUnknown(provider=provider)
