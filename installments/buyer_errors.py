"""Refusals of buyers: what is wrong with them, their codes and consents, and why a plan is not for them.

InstallmentsRejected
├── BuyerNotFound, PhoneMalformed, DetailsMalformed, BirthDateFixed, LimitOutOfRange
├── BirthDateMissing, PhoneNotVerified
├── BuyerRejected                 a buyer may not have a plan; the decision's record says why
│   ├── UnderAge, StopListed, BuyerFrozen, ArrearsRecent, LimitExceeded
│   └── DebtWrittenOff, TooManyPlans, FirstPlanTooLarge, LimitShareExceeded, ScoringRejected
├── CodeRejected
│   └── CodeWrong, CodeExpired, CodeTriesSpent, CodeUsed, CodeNotSent, CodesTooOften
├── ConsentWithoutCode, ConsentDiffers
├── CardOfAnother, CardChangeUnderWay, CardChangesTooOften, ReturnAboveOverpaid
└── StopListLineNotFound, DebtOpen, PolicyRefused, PolicyNotFound
Unavailable
└── CodesNotConfigured, MessagesUnavailable

A buyer's plan that needs a report to a credit bureau where there is none: ``errors.BureauReportRequired``.
"""

from __future__ import annotations

from installments.errors import InstallmentsRejected
from ledger.errors import Unavailable


class BuyerNotFound(InstallmentsRejected):
    """There is no such buyer."""

    code = "installments.buyer_not_found"


class PhoneMalformed(InstallmentsRejected):
    """A phone is a number with its country, of 10 to 15 digits: +7 916 123-45-67."""

    code = "installments.phone_malformed"


class DetailsMalformed(InstallmentsRejected):
    """A name is up to 100 characters, an e-mail has an @, and a birth date is in the past."""

    code = "installments.details_malformed"


class BirthDateFixed(InstallmentsRejected):
    """The buyer gave another birth date before: support changes it by a document."""

    code = "installments.birth_date_fixed"


class LimitOutOfRange(InstallmentsRejected):
    """A spending limit is from nothing to a million roubles."""

    code = "installments.limit_out_of_range"


class BirthDateMissing(InstallmentsRejected):
    """Without a birth date no plan can be decided on."""

    code = "installments.birth_date_missing"


class PhoneNotVerified(InstallmentsRejected):
    """The phone was not verified by a code yet."""

    code = "installments.phone_not_verified"


class BuyerRejected(InstallmentsRejected):
    """The buyer may not have this plan."""

    code = "installments.buyer_rejected"


class UnderAge(BuyerRejected):
    """The buyer is not 18 on the day of the contract."""

    code = "installments.under_age"


class StopListed(BuyerRejected):
    """The buyer's phone or document is on a stop list."""

    code = "installments.stop_listed"


class BuyerFrozen(BuyerRejected):
    """No new plans for this buyer, until support says otherwise."""

    code = "installments.buyer_frozen"


class ArrearsRecent(BuyerRejected):
    """The buyer is in arrears, or was not long ago."""

    code = "installments.arrears_recent"


class LimitExceeded(BuyerRejected):
    """With this plan the buyer would owe more than the spending limit."""

    code = "installments.limit_exceeded"


class DebtWrittenOff(BuyerRejected):
    """An earlier debt of the buyer was written off."""

    code = "installments.debt_written_off"


class TooManyPlans(BuyerRejected):
    """The buyer has too many plans at once."""

    code = "installments.too_many_plans"


class FirstPlanTooLarge(BuyerRejected):
    """A first plan is for less."""

    code = "installments.first_plan_too_large"


class LimitShareExceeded(BuyerRejected):
    """After arrears only a share of the spending limit may be used."""

    code = "installments.limit_share_exceeded"


class ScoringRejected(BuyerRejected):
    """The scoring says no."""

    code = "installments.scoring_rejected"


class CodeRejected(InstallmentsRejected):
    """The code does not do."""

    code = "installments.code_rejected"


class CodeWrong(CodeRejected):
    """The code is wrong."""

    code = "installments.code_wrong"


class CodeExpired(CodeRejected):
    """The code's time is over: ask for another."""

    code = "installments.code_expired"


class CodeTriesSpent(CodeRejected):
    """The code was entered wrong too often: ask for another."""

    code = "installments.code_tries_spent"


class CodeUsed(CodeRejected):
    """The code was used before: ask for another."""

    code = "installments.code_used"


class CodeNotSent(CodeRejected):
    """No code was asked for."""

    code = "installments.code_not_sent"


class CodesTooOften(CodeRejected):
    """Codes are not sent so often: wait a little."""

    code = "installments.codes_too_often"


class ConsentWithoutCode(InstallmentsRejected):
    """A consent is given with a code that was sent for this plan and entered."""

    code = "installments.consent_without_code"


class ConsentDiffers(InstallmentsRejected):
    """The buyer's consent to this plan was given before, with another text or code."""

    code = "installments.consent_differs"


class StopListLineNotFound(InstallmentsRejected):
    """There is no such line in force on a stop list."""

    code = "installments.stop_list_line_not_found"


class DebtOpen(InstallmentsRejected):
    """The buyer still has plans that are not over: the data is needed to carry them out."""

    code = "installments.debt_open"


class PolicyRefused(InstallmentsRejected):
    """A decision policy is from today or later, after the last version's day, and names a scoring known here."""

    code = "installments.policy_refused"


class PolicyNotFound(InstallmentsRejected):
    """No such version of the decision policy."""

    code = "installments.policy_not_found"


class CardOfAnother(InstallmentsRejected):
    """The card is not kept for the buyer of this plan."""

    code = "installments.card_of_another"


class CardChangeUnderWay(InstallmentsRejected):
    """The bank of another new card of this plan is being asked just now."""

    code = "installments.card_change_under_way"


class CardChangesTooOften(InstallmentsRejected):
    """Too many cards were tried for this plan today."""

    code = "installments.card_changes_too_often"


class ReturnAboveOverpaid(InstallmentsRejected):
    """No more goes back to a buyer than was paid too much."""

    code = "installments.return_above_overpaid"


class CodesNotConfigured(Unavailable):
    """This installation has no key for one-time codes and stop lists."""

    code = "installments.codes_not_configured"


class MessagesUnavailable(Unavailable):
    """The message with the code could not be sent: ask for another in a minute."""

    code = "installments.messages_unavailable"
