"""The chart of accounts: codes that more than one package books to, in one place."""

from __future__ import annotations

SBP_FEE_INCOME = "income:fee:sbp"
"""Our fee for SBP payments, taken from what the merchant is owed."""
SBP_LATE_RECEIPTS = "liability:late_receipts:sbp"
"""Money that came for an attempt already over, owed back to its buyer."""


def merchant_payable(merchant_id: str) -> str:
    """What we owe to a merchant. May not be overdrawn."""
    return f"liability:merchant_payable:{merchant_id}"


def sbp_settlement(member_id: str) -> str:
    """The money a bank, named by its NSPK member id, holds for us after SBP payments."""
    return f"asset:sbp_settlement:{member_id}"
