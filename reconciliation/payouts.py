"""Payouts (выплаты): money sent to a merchant's bank account, and the runs that make them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from ledger import chart
from ledger.money import Kopecks

MERCHANTS_MAX = 1_000
"""Merchants in one run: each takes a hold, all in one transaction."""
CALL_WAIT = timedelta(seconds=15)
"""A call to the bank without an outcome for so long was lost with its process. Over the call's limit of 6 s."""
TRY_WAIT_MAX = timedelta(minutes=10)


class PayoutStatus(StrEnum):
    """Where a payout stands."""

    REQUESTED = "requested"
    """The money is set aside; the bank is being asked."""
    UNKNOWN = "unknown"
    """The bank may or may not have paid. The worker asks until it knows."""
    SENT = "sent"
    """The bank paid. Final."""
    REJECTED = "rejected"
    """The bank refused; the money is the merchant's payable again. Final."""


ALLOWED: dict[PayoutStatus, frozenset[PayoutStatus]] = {
    PayoutStatus.REQUESTED: frozenset({PayoutStatus.UNKNOWN, PayoutStatus.SENT, PayoutStatus.REJECTED}),
    PayoutStatus.UNKNOWN: frozenset({PayoutStatus.SENT, PayoutStatus.REJECTED}),
    PayoutStatus.SENT: frozenset(),
    PayoutStatus.REJECTED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Payee:
    """A merchant to be paid out, and where from and to."""

    merchant_id: str
    bik: str
    account_number: str
    settlement_account: str
    """Code of the account in the books that the money leaves."""
    payable: str | None = None
    """Code of the account that says what is owed; that of SBP payments when none."""

    @property
    def owed_in(self) -> str:
        """The account that says what the merchant is owed."""
        return self.payable or chart.merchant_payable(self.merchant_id)


@dataclass(frozen=True, slots=True)
class Payout:
    """Money on its way to a merchant's bank account."""

    id: str
    run_id: str
    merchant_id: str
    amount: Kopecks
    bik: str
    account_number: str
    status: PayoutStatus
    hold_id: UUID
    """Sets the money aside in the books until the bank has answered."""
    entry_id: UUID | None
    """Books it, once sent."""
    tries: int
    reason: str | None
    """Why the bank refused."""
    created_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class PayoutRun:
    """One run over merchants."""

    id: str
    through_on: date | None
    """Only what happened by the end of this Moscow day was paid out."""
    payouts: int
    amount: Kopecks
    created_at: datetime


def wait_before_try(tries: int) -> timedelta:
    """How long to wait before asking the bank about a payout once more: 1, 2, 4 s and so on to ten minutes."""
    return min(timedelta(seconds=1 << min(tries, 12)), TRY_WAIT_MAX)
