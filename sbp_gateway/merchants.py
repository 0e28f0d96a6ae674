"""Merchants as NSPK knows them.

No call of the agent's API registers a merchant: its bank does, and tells the agent three numbers.
How they come to us is in ``registrations``; here is what payments go by.
Source: https://sbp.nspk.ru/faq/business/
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SANDBOX_MEMBER_ID = "100000000999"
"""The bank of merchants that only live in a sandbox; no real bank has this number."""


class SettlementMode(StrEnum):
    """Whose account the money of payments arrives at."""

    COLLECTED = "collected"
    """Ours: we owe it to the merchant and pay it out."""
    DIRECT = "direct"
    """The merchant's own, at its bank, within the operation: we only remember it and are owed our fee."""


@dataclass(frozen=True, slots=True)
class SbpMerchant:
    """What a merchant's bank registered with NSPK."""

    merchant_id: str
    """Ours."""
    nspk_merchant_id: str
    """NSPK's: ``MA0000000552``."""
    member_id: str
    """NSPK's number of the merchant's bank, where payments arrive."""
    bank_account: str
    """The account there: 20 digits."""
    settlement_mode: SettlementMode = SettlementMode.COLLECTED
    registration_id: str | None = None
    """The registration that says so."""
    tariff_group: str | None = None
    """Which of its tariffs the bank goes by, when it was said."""


def for_sandbox(
    merchant_id: str, number: int, bank_account: str, mode: SettlementMode = SettlementMode.COLLECTED
) -> SbpMerchant:
    """What a bank would have registered, for a merchant that only lives in a sandbox."""
    return SbpMerchant(merchant_id, f"MA{number % 10**10:010}", SANDBOX_MEMBER_ID, bank_account, mode)
