"""The chart of accounts: codes that more than one package books to, in one place."""

from __future__ import annotations

SBP_FEE_INCOME = "income:fee:sbp"
"""Our fee for SBP payments, taken from what the merchant is owed."""
SBP_LATE_RECEIPTS = "liability:late_receipts:sbp"
"""Money that came for an attempt already over, owed back to its buyer."""
SBP_UNMATCHED_RECEIPTS = "liability:unmatched_receipts:sbp"
"""Money that came under our links and belongs to no order yet; a person says whose it is."""

CARD_FEE_INCOME = "income:fee:card"
"""Our fee for payments by card, taken from what the merchant is owed."""

SBP_BANK_FEE = "expense:bank_fee:sbp"
"""What banks charge us for SBP payments whose money we collect."""


def merchant_payable(merchant_id: str) -> str:
    """What we owe to a merchant. May not be overdrawn."""
    return f"liability:merchant_payable:{merchant_id}"


def card_payable(merchant_id: str) -> str:
    """What we owe to a merchant for payments by card, until its acquirer has settled. May not be overdrawn."""
    return f"liability:card_payable:{merchant_id}"


def sbp_settlement(member_id: str) -> str:
    """The money a bank, named by its NSPK member id, holds for us after SBP payments."""
    return f"asset:sbp_settlement:{member_id}"


def card_settlement(acquirer_id: str) -> str:
    """The money an acquirer owes us after payments by card."""
    return f"asset:card_settlement:{acquirer_id}"


def bank_fee_payable(member_id: str) -> str:
    """What we owe a bank that charges its fees apart from the payments."""
    return f"liability:bank_fee_payable:{member_id}"


def fee_receivable(merchant_id: str) -> str:
    """Our fees that a merchant owes us, because its money does not pass through our hands."""
    return f"asset:fee_receivable:{merchant_id}"


def sbp_direct(merchant_id: str) -> str:
    """Off the balance sheet: money that buyers paid straight to the merchant's own account."""
    return f"memo:sbp_direct:{merchant_id}"


def sbp_direct_sales(merchant_id: str) -> str:
    """Off the balance sheet: whose that money is when it paid for orders. Grows by credits."""
    return f"memo:sbp_direct_sales:{merchant_id}"


def sbp_direct_late(merchant_id: str) -> str:
    """Off the balance sheet: the same for money that came too late, and the merchant owes to its buyer."""
    return f"memo:sbp_direct_late:{merchant_id}"


def sbp_direct_unmatched(merchant_id: str) -> str:
    """Off the balance sheet: the same for money that belongs to no order yet."""
    return f"memo:sbp_direct_unmatched:{merchant_id}"
