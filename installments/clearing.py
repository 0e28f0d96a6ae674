"""The clearing of plans (расчётный счёт планов): where captured money of buyers waits until its plan is told of it.

Installments are charged by the rails for the *operator*: a merchant of our own house. A rail books a charge to what
that merchant is owed, the plan's voucher takes it from there; both are at zero when every charge has been told.
"""

from __future__ import annotations

from installments import repository
from installments.movements import Movement
from installments.plan import CollectorName, Plan
from ledger import accounts, chart
from ledger.accounts import AccountTerms
from ledger.database import Session
from ledger.errors import InvariantBroken

CARD_REFERENCE = "cpy_"
"""References of movements whose money came by a card payment begin with it."""
SBP_REFERENCE = "sbp"
"""References of movements whose money came by SBP begin with it."""
BANK_REFERENCE = "bank"
"""References of movements whose money came straight to our own bank account begin with it."""


async def operator_of(session: Session) -> str:
    """The merchant that the house is. Raises: InvariantBroken if nobody has said."""
    found = await repository.operator_merchant(session)
    if found is None:
        raise InvariantBroken("nobody has said which merchant the operator of plans is")
    return found


def clearing_accounts(operator_id: str) -> tuple[str, str]:
    """For charges by card, and for charges by an account binding."""
    return chart.card_payable(operator_id), chart.merchant_payable(operator_id)


def source_of(movement: Movement, plan: Plan, operator_id: str) -> str:
    """The account that the money of a payment is taken from.

    Its reference tells: a card payment's id, ``sbp…``, or ``bank…``; any other is of the way the plan is collected.
    """
    if movement.reference.startswith(BANK_REFERENCE):
        return chart.OPERATOR_BANK
    if movement.reference.startswith(CARD_REFERENCE):
        return chart.card_payable(operator_id)
    is_sbp = plan.collector is CollectorName.SBP or movement.reference.startswith(SBP_REFERENCE)
    return chart.merchant_payable(operator_id) if is_sbp else chart.card_payable(operator_id)


async def in_clearing(session: Session, operator_id: str) -> int:
    """Kopecks that were captured, are not told to a plan, and are not on their way back: zero when all is told."""
    found = [await accounts.find_account(session, code) for code in clearing_accounts(operator_id)]
    return sum(account.available for account in found if account is not None)


def clearing_terms(operator_id: str) -> list[AccountTerms]:
    """The clearing accounts as the rails open them too."""
    return [AccountTerms(code, available_min=0) for code in clearing_accounts(operator_id)]
