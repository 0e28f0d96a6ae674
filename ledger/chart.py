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


def plan_receivable(bucket: str) -> str:
    """What buyers owe by installment plans, by how late it is. Equals the unpaid installments of that bucket."""
    return f"asset:plan_receivable:{bucket}"


PLAN_PENALTY_RECEIVABLE = "asset:plan_penalty_receivable"
"""Penalty that buyers owe for what is past due."""
PLAN_ALLOWANCE = "asset:plan_allowance"
"""Losses expected of plans: stands against the receivables, grows by credits. May not be overdrawn."""
OPERATOR_BANK = "asset:operator_bank"
"""Our own money in the bank: acquirers settle into it, merchants of plans are paid from it."""
PLAN_DEFERRED_FEE = "liability:plan_deferred_fee"
"""Merchants' discount on plans, not earned yet."""
PLAN_OVERPAYMENT = "liability:plan_overpayment"
"""What buyers paid above their debt, owed back to them."""
PLAN_REFUND_PAYABLE = "liability:plan_refund_payable"
"""Of it, what is being sent back to the buyers' cards."""
PLAN_FEE = "income:plan_fee"
PLAN_PENALTY = "income:plan_penalty"
PLAN_RECOVERY = "income:plan_recovery"
"""Money of debts that were written off."""
PLAN_LOSS = "expense:plan_loss"
PLAN_GOODWILL = "expense:plan_goodwill"
"""Debt forgiven at our own cost."""
PLAN_ACQUIRING = "expense:plan_acquiring"
"""What acquirers charge us for collecting installments."""
PLAN_HOLD = "memo:plan_hold:cards"
"""Off the balance sheet: first installments held on buyers' cards."""
PLAN_HOLD_BUYERS = "memo:plan_hold:buyers"
"""Off the balance sheet: whose that money is until it is captured. Grows by credits."""


def plan_payable(merchant_id: str) -> str:
    """What we owe to a merchant for goods sold by plans. May not be overdrawn."""
    return f"liability:plan_payable:{merchant_id}"


def plan_reserve(merchant_id: str) -> str:
    """Of it, what waits for disputes to end. May not be overdrawn."""
    return f"liability:plan_reserve:{merchant_id}"


def plan_merchant_receivable(merchant_id: str) -> str:
    """What a merchant owes us for refunds after its payout; taken from its next sales. May not be overdrawn."""
    return f"asset:plan_merchant_receivable:{merchant_id}"


def points(programme: str, card_id: str) -> str:
    """Points that a loyalty card may spend, in ``PTS:<programme>``. May not be overdrawn."""
    return f"liability:points:{programme}:{card_id}"


def points_reserved(programme: str, card_id: str) -> str:
    """Points of a card set aside for orders that wait for their money. May not be overdrawn."""
    return f"liability:points_reserved:{programme}:{card_id}"


def points_issued(programme: str) -> str:
    """All points of a programme that are out: what the cards' accounts add up to. Grows by debits."""
    return f"memo:points_issued:{programme}"


def points_worth(programme: str) -> str:
    """Off the balance sheet: what the points that are out are worth in roubles. Grows by debits."""
    return f"memo:points_worth:{programme}"


def points_promised(programme: str) -> str:
    """Off the balance sheet: the merchant's promise to take them for goods. Grows by credits."""
    return f"memo:points_promised:{programme}"
