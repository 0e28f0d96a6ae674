"""Refusals and failures of tariffs and payouts.

Rejected
└── ReconciliationRejected
    ├── NoTariff                  no tariff is in force for a group, rail and day
    ├── BankTariffTaken           the bank has a rule for that group, rail and day
    └── PayoutNotFound
Unavailable
└── BankUnknown                   the answer was lost: the bank may or may not have paid
"""

from __future__ import annotations

from ledger.errors import Rejected, Unavailable


class ReconciliationRejected(Rejected):
    """Finance refuses this."""

    code = "reconciliation.rejected"


class NoTariff(ReconciliationRejected):
    """No tariff is in force for this group, rail and day."""

    code = "reconciliation.no_tariff"


class BankTariffTaken(ReconciliationRejected):
    """The bank has a tariff for this group, rail and day; rules are never rewritten."""

    code = "reconciliation.bank_tariff_taken"


class PayoutNotFound(ReconciliationRejected):
    """There is no such payout."""

    code = "reconciliation.payout_not_found"


class BankUnknown(Unavailable):
    """The bank's answer was lost; it may or may not have paid."""

    code = "reconciliation.bank_unknown"
