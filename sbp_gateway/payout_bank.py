"""The port to a bank that pays buyers through SBP. Filled by ``payout_bank_http``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sbp_gateway.buyer_payouts import BuyerPayout, PayoutLimits


class PayoutWord(StrEnum):
    """What the bank says about a payout to a buyer."""

    COMPLETED = "completed"
    """The money moved. Final."""
    IN_PROGRESS = "in_progress"
    """Taken, not yet carried out."""
    DECLINED = "declined"
    """Refused. Final."""


@dataclass(frozen=True, slots=True)
class PayoutAnswer:
    """The bank's word on one payout to a buyer."""

    word: PayoutWord
    reason: str | None = None


class PayoutBank(Protocol):
    """A bank that pays by our id: the same id is never paid twice. No session may be open while it is called."""

    limits: PayoutLimits

    async def pay(self, payout: BuyerPayout) -> PayoutAnswer:
        """Ask for a payout. Raises: PayoutBankUnknown when the answer was lost, or says that the id is known."""

    async def find(self, payout_id: str) -> PayoutAnswer | None:
        """What became of a payout; nothing if the bank does not know it. Raises: PayoutBankUnknown."""
