"""Refusals of plans.

Rejected
└── InstallmentsRejected
    ├── ScheduleRejected, MovementRejected
    ├── ProductNotEffective, MerchantTermsMissing, LicenceNotActive
    ├── NotConsumer, PriceDiffers, PriceOutOfRange
    ├── BasketMalformed, BasketMismatch, OrderNumberMalformed, OrderNumberTaken
    ├── PlanNotFound, PlanNotNew, PlanNotAwaitingCommit, PlanCanceled, PlanCommitted, PlanNotCommitted, PlanExpired
    ├── AcceptanceDiffers, FirstPaymentTriesSpent
    ├── CommitAboveApproved, CommitDiffers
    └── RefundAmountNotPositive, RefundAboveRest, RefundDiffers, RefundItemsMismatch, CorrectionAboveTotal
Unavailable
└── FirstPaymentBusy
"""

from __future__ import annotations

from ledger.errors import Rejected, Unavailable


class InstallmentsRejected(Rejected):
    """The rules of plans refuse this."""

    code = "installments.rejected"


class ScheduleRejected(InstallmentsRejected):
    """The price cannot be cut into these installments."""

    code = "installments.schedule_rejected"


class MovementRejected(InstallmentsRejected):
    """This cannot have happened to the plan."""

    code = "installments.movement_rejected"


class ProductNotEffective(InstallmentsRejected):
    """The product is not known, or not offered on this day."""

    code = "installments.product_not_effective"


class MerchantTermsMissing(InstallmentsRejected):
    """The merchant has no terms for this product on this day."""

    code = "installments.merchant_terms_missing"


class LicenceNotActive(InstallmentsRejected):
    """The operator is not in the Bank of Russia's register, or its entry is not active: no plan may be made."""

    code = "installments.licence_not_active"


class NotConsumer(InstallmentsRejected):
    """Plans are for consumers: not for purchases of business."""

    code = "installments.not_consumer"


class PriceDiffers(InstallmentsRejected):
    """By law, goods cost no more by installments than when paid at once."""

    code = "installments.price_differs"


class PriceOutOfRange(InstallmentsRejected):
    """The price is below or above what this merchant sells by installments."""

    code = "installments.price_out_of_range"


class BasketMalformed(InstallmentsRejected):
    """The basket is empty, too long, or a line of it has no name, quantity or price."""

    code = "installments.basket_malformed"


class BasketMismatch(InstallmentsRejected):
    """The lines of the basket do not add up to the amount and what was prepaid."""

    code = "installments.basket_mismatch"


class OrderNumberMalformed(InstallmentsRejected):
    """An order number is 1 to 44 printable ASCII characters without spaces at its ends."""

    code = "installments.order_number_malformed"


class OrderNumberTaken(InstallmentsRejected):
    """The merchant already has another plan with this order number."""

    code = "installments.order_number_taken"


class PlanNotFound(InstallmentsRejected):
    """There is no such plan."""

    code = "installments.plan_not_found"


class PlanNotNew(InstallmentsRejected):
    """The plan was accepted, rejected or given up before."""

    code = "installments.plan_not_new"


class PlanNotAwaitingCommit(InstallmentsRejected):
    """The first installment is not held yet, so there is nothing to commit."""

    code = "installments.plan_not_awaiting_commit"


class PlanCanceled(InstallmentsRejected):
    """The plan was cancelled or rejected."""

    code = "installments.plan_canceled"


class PlanCommitted(InstallmentsRejected):
    """The plan is committed: refund it instead."""

    code = "installments.plan_committed"


class PlanNotCommitted(InstallmentsRejected):
    """The plan is not committed yet: cancel it instead."""

    code = "installments.plan_not_committed"


class PlanExpired(InstallmentsRejected):
    """The time to accept or commit this plan is over."""

    code = "installments.plan_expired"


class AcceptanceDiffers(InstallmentsRejected):
    """The plan was accepted by another buyer."""

    code = "installments.acceptance_differs"


class FirstPaymentTriesSpent(InstallmentsRejected):
    """Too many cards were refused for this plan."""

    code = "installments.first_payment_tries_spent"


class CommitAboveApproved(InstallmentsRejected):
    """The commit is for more than was approved."""

    code = "installments.commit_above_approved"


class CommitDiffers(InstallmentsRejected):
    """The plan is committed with another amount or basket."""

    code = "installments.commit_differs"


class RefundAmountNotPositive(InstallmentsRejected):
    """A refund is of at least one kopeck."""

    code = "installments.refund_amount_not_positive"


class RefundAboveRest(InstallmentsRejected):
    """More than is left of the goods cannot be returned."""

    code = "installments.refund_above_rest"


class RefundDiffers(InstallmentsRejected):
    """A refund with this id was made with another amount or basket."""

    code = "installments.refund_differs"


class RefundItemsMismatch(InstallmentsRejected):
    """The returned goods do not add up to the refund, or were not in the basket."""

    code = "installments.refund_items_mismatch"


class CorrectionAboveTotal(InstallmentsRejected):
    """A correction can only make the basket cheaper."""

    code = "installments.correction_above_total"


class FirstPaymentBusy(Unavailable):
    """The bank is being asked about the first installment just now."""

    code = "installments.first_payment_busy"
