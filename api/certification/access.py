"""What a till calls with, and what its cashier sees."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pci.secret import Secret


class SaleStatus(StrEnum):
    """Where a sale stands at the till."""

    OPEN = "open"
    PAID = "paid"
    CANCELED = "canceled"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class TillAccess:
    """What one till calls the contract with."""

    base_url: str
    partner: str
    api_key: Secret
    store_id: str
    terminal_id: str
    fingerprint: str
    secret: Secret
    """Of its one-time codes, in base 32."""
    postback_password: Secret
