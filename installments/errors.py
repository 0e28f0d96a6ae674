"""Refusals of plans.

Rejected
└── InstallmentsRejected
    ├── ScheduleRejected          a price that cannot be cut
    │   └── PartsMismatch, PriceTooSmall, TooManyInstallments
    ├── MovementRejected          a fact that cannot be
    │   ├── MovementBeforePlan, UndoneMovementUnknown, UndoneMovementChargedBack
    │   ├── ChargebackAboveRest, SnoozeSpent, SnoozeNotPossible, ReAgeNotPossible
    │   └── MovementDiffers, MovementInFuture, ClockWentBack
    ├── LawRejected               what the law on installment services forbids
    │   └── TermAboveLaw, PenaltyAboveLaw, BureauReportRequired
    ├── ProductNotEffective, MerchantTermsMissing, LicenceNotActive
    ├── OfferBackdated, ProductTaken, MerchantTermsTaken, LicenceTaken
    ├── NotConsumer, PriceDiffers, PriceOutOfRange
    ├── BasketMalformed, BasketMismatch, OrderNumberMalformed, OrderNumberTaken
    ├── PlanNotFound, PlanNotAwaitingCommit, PlanCanceled, PlanCommitted, PlanNotCommitted, PlanExpired
    ├── AcceptanceDiffers, FirstPaymentTriesSpent
    ├── CommitAboveApproved, CommitDiffers
    ├── BureauNotTold, BureauEventNotFound, BureauEventTaken
    ├── BureauRangeNotOver, PortfolioDayUnknown, RegisterNotOver, RegisterNotFound
    ├── PlanDocumentNotFound, PlanDocumentFormatMissing, ReceiptNotFound, ReceiptNotFetched, ReceiptDiffers
    ├── DebtNotWrittenOff, DebtSaleTaken, DebtSaleNotFound, DebtSold, NoDebtOwed, NoPenaltyOwed
    ├── GoodwillAboveDebt, EarlyPaymentOutOfRange, NoCollectorKnown
    ├── DisputeOpenAlready, NoOpenDispute, DisputeDiffers
    └── RefundAmountNotPositive, RefundAboveRest, RefundDiffers, RefundItemsMismatch, CorrectionAboveTotal
Unavailable
└── FirstPaymentBusy, ChargeUnderWay
"""

from __future__ import annotations

from ledger.errors import Rejected, Unavailable


class InstallmentsRejected(Rejected):
    """The rules of plans refuse this."""

    code = "installments.rejected"


class ScheduleRejected(InstallmentsRejected):
    """The price cannot be cut into these installments."""

    code = "installments.schedule_rejected"


class PartsMismatch(ScheduleRejected):
    """The installments do not add up to the price, or are not in order of their days."""

    code = "installments.parts_mismatch"


class PriceTooSmall(ScheduleRejected):
    """The price is too small for so many installments: one would be empty."""

    code = "installments.price_too_small"


class TooManyInstallments(ScheduleRejected):
    """A plan has 1 to 24 installments."""

    code = "installments.too_many_installments"


class MovementRejected(InstallmentsRejected):
    """This cannot have happened to the plan."""

    code = "installments.movement_rejected"


class MovementBeforePlan(MovementRejected):
    """Nothing happens to a plan before the day of its contract."""

    code = "installments.movement_before_plan"


class UndoneMovementUnknown(MovementRejected):
    """There is no such movement of this plan, or nothing of this kind can be taken back."""

    code = "installments.undone_movement_unknown"


class UndoneMovementChargedBack(MovementRejected):
    """A payment that a bank took back cannot be undone as if it had never come."""

    code = "installments.undone_movement_charged_back"


class ChargebackAboveRest(MovementRejected):
    """A bank cannot take back more than is left of the payment."""

    code = "installments.chargeback_above_rest"


class SnoozeSpent(MovementRejected):
    """The day of an installment is moved once in a plan."""

    code = "installments.snoozed_already"


class SnoozeNotPossible(MovementRejected):
    """Only an unpaid installment can be moved, and only to a later day."""

    code = "installments.snooze_not_possible"


class ReAgeNotPossible(MovementRejected):
    """The rest is cut into 1 to 24 installments from that day or a later one."""

    code = "installments.re_age_not_possible"


class MovementDiffers(MovementRejected):
    """Another movement of this plan has the same reference."""

    code = "installments.movement_differs"


class MovementInFuture(MovementRejected):
    """A movement of a day to come cannot have happened yet."""

    code = "installments.movement_in_future"


class ClockWentBack(MovementRejected):
    """The day is earlier than one that was already worked through."""

    code = "installments.clock_went_back"


class LawRejected(InstallmentsRejected):
    """The law on installment services forbids this."""

    code = "installments.law_rejected"


class TermAboveLaw(LawRejected):
    """The last installment is due later than the law allows for a contract of that day."""

    code = "installments.term_above_law"


class PenaltyAboveLaw(LawRejected):
    """The penalty is above what the law allows for a contract of that day."""

    code = "installments.penalty_above_law"


class BureauReportRequired(LawRejected):
    """The buyer's debt is above the law's threshold: the plan needs a credit bureau that takes its report."""

    code = "installments.bureau_report_required"


class ProductNotEffective(InstallmentsRejected):
    """The product is not known, or not offered on this day."""

    code = "installments.product_not_effective"


class MerchantTermsMissing(InstallmentsRejected):
    """The merchant has no terms for this product on this day."""

    code = "installments.merchant_terms_missing"


class LicenceNotActive(InstallmentsRejected):
    """The operator is not in the Bank of Russia's register, or its entry is not active: no plan may be made."""

    code = "installments.licence_not_active"


class OfferBackdated(InstallmentsRejected):
    """Terms begin today or later: plans of the past were made by others."""

    code = "installments.offer_backdated"


class ProductTaken(InstallmentsRejected):
    """The product has a version from this day, or from a later one: the next begins after it."""

    code = "installments.product_taken"


class MerchantTermsTaken(InstallmentsRejected):
    """The merchant has terms for this product from this day already."""

    code = "installments.merchant_terms_taken"


class LicenceTaken(InstallmentsRejected):
    """What the register says from this day is written down already."""

    code = "installments.licence_taken"


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


class BureauNotTold(InstallmentsRejected):
    """The credit bureau has not acknowledged this plan yet, and by law the plan may not begin before."""

    code = "installments.bureau_not_told"


class BureauEventNotFound(InstallmentsRejected):
    """No such event of the credit bureau's stream."""

    code = "installments.bureau_event_not_found"


class BureauEventTaken(InstallmentsRejected):
    """The bureau has taken this event: there is nothing to send again."""

    code = "installments.bureau_event_taken"


class BureauRangeNotOver(InstallmentsRejected):
    """The bureau's events are exported by days that are over."""

    code = "installments.bureau_range_not_over"


class PortfolioDayUnknown(InstallmentsRejected):
    """The portfolio of this day was not kept."""

    code = "installments.portfolio_day_unknown"


class RegisterNotOver(InstallmentsRejected):
    """A register is made of a day or month that is over."""

    code = "installments.register_not_over"


class RegisterNotFound(InstallmentsRejected):
    """There is no such register of the merchant: it begins with the merchant's first sale by plan."""

    code = "installments.register_not_found"


class PlanDocumentNotFound(InstallmentsRejected):
    """There is no such document of this plan."""

    code = "installments.plan_document_not_found"


class PlanDocumentFormatMissing(InstallmentsRejected):
    """This installation makes no such files: for PDF, Kopeyka is to be installed with the extra ``pdf``."""

    code = "installments.plan_document_format_missing"


class ReceiptNotFound(InstallmentsRejected):
    """There is no such receipt of this merchant."""

    code = "installments.receipt_not_found"


class ReceiptNotFetched(InstallmentsRejected):
    """The receipt is to be fetched before it is said to be issued."""

    code = "installments.receipt_not_fetched"


class ReceiptDiffers(InstallmentsRejected):
    """The receipt was issued with other fiscal signs."""

    code = "installments.receipt_differs"


class DebtNotWrittenOff(InstallmentsRejected):
    """Only a debt that was written off is sold: its loss is in the books then."""

    code = "installments.debt_not_written_off"


class DebtSaleTaken(InstallmentsRejected):
    """A sale under this contract is in the books."""

    code = "installments.debt_sale_taken"


class DebtSaleNotFound(InstallmentsRejected):
    """No such sale of debts."""

    code = "installments.debt_sale_not_found"


class DebtSold(InstallmentsRejected):
    """The debt was sold: its money is owed to somebody else now."""

    code = "installments.debt_sold"


class NoDebtOwed(InstallmentsRejected):
    """This buyer owes nothing under the plan."""

    code = "installments.nothing_owed"


class GoodwillAboveDebt(InstallmentsRejected):
    """No more is forgiven than is owed: the rest would be money given to the buyer."""

    code = "installments.goodwill_above_debt"


class NoPenaltyOwed(InstallmentsRejected):
    """No penalty is owed today: there is nothing to forgive."""

    code = "installments.no_penalty_owed"


class EarlyPaymentOutOfRange(InstallmentsRejected):
    """An early payment is of at least one kopeck and of no more than is left."""

    code = "installments.early_payment_out_of_range"


class NoCollectorKnown(InstallmentsRejected):
    """The plan has no card and no account binding to be charged."""

    code = "installments.no_way_to_collect"


class DisputeOpenAlready(InstallmentsRejected):
    """A dispute about this plan is open already."""

    code = "installments.dispute_open_already"


class NoOpenDispute(InstallmentsRejected):
    """No dispute about this plan is open."""

    code = "installments.no_open_dispute"


class DisputeDiffers(InstallmentsRejected):
    """The dispute was closed in favour of the other side."""

    code = "installments.dispute_differs"


class ChargeUnderWay(Unavailable):
    """The buyer's bank is being asked about another charge of this plan just now."""

    code = "installments.charge_under_way"
