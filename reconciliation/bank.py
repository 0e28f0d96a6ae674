"""The port to the bank that carries out payouts. Filled by ``bank_http``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from reconciliation.payouts import Payout


class BankStatus(StrEnum):
    """What the bank says about a payout."""

    EXECUTED = "executed"
    """The money left. Final."""
    PROCESSING = "processing"
    """Taken, not yet carried out."""
    REJECTED = "rejected"
    """Refused. Final."""


@dataclass(frozen=True, slots=True)
class BankAnswer:
    """The bank's word on one payout."""

    status: BankStatus
    reason: str | None = None


class Bank(Protocol):
    """A bank that pays by our id: the same id is never paid twice. No session may be open while it is called."""

    async def pay(self, payout: Payout) -> BankAnswer:
        """Ask for a payout. Raises: BankUnknown when the answer was lost."""

    async def find(self, payout_id: str) -> BankAnswer | None:
        """What became of a payout; nothing if the bank never heard of it. Raises: BankUnknown."""
