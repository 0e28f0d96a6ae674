"""Refusals of the till; those of loyalty cards and barcodes are in ``loyalty_errors``.

Rejected
└── CheckoutRejected
    ├── MerchantNotFound, StoreNotFound, TerminalNotFound, OrderNotFound
    ├── InvalidInn, InvalidOgrn, InvalidBankAccount
    ├── AmountNotPositive, AmountTooLarge, OrderNotRoubles, InvalidOrderNumber, OrderNumberTaken
    ├── OrderNotOpen, OrderNotPaid, AttemptLive
    ├── SettingUnknown, SettingValueRefused, RailUnknown, RailNotRolledOut, ProviderUnknown
    ├── RailOff, FailoverRefused, SlipIssuesSpent
    ├── CashierNotFound, CashierNumberTaken, CashierGone
    ├── StoreListRefused, StoreNumberTaken
    ├── ShiftNotFound, ShiftOpen, ShiftClosed, ShiftDiffers, ShiftTotalsRefused
    ├── TerminalKeyNotFound, TerminalKeyProved, TerminalKeyRefused
    ├── CardPaymentNotFound, NoStoredConsent, CardTokenMalformed
    ├── CardPaymentNotAuthorised, CardCaptureAboveAmount, CardCaptureNotWhole, CardPaymentNotCaptured
    ├── CardRefundAmountNotPositive, CardRefundAboveRest, CardRefundNotCovered, CardRefundNotFound
    ├── PointsProgrammeNotFound, PointsProgrammeTaken, InvalidPointsProgramme, InvalidPointsRule, PointsRuleTaken
    └── PointsRuleOfPast, PointsAmountNotPositive, PointsNotEnough, PointsReturnAboveSpent
Unavailable
└── CardPaymentBusy, TerminalKeysNotConfigured
"""

from __future__ import annotations

from ledger.errors import Rejected, Unavailable


class CheckoutRejected(Rejected):
    """The till refuses this."""

    code = "checkout.rejected"


class MerchantNotFound(CheckoutRejected):
    """There is no such merchant."""

    code = "checkout.merchant_not_found"


class StoreNotFound(CheckoutRejected):
    """There is no such store."""

    code = "checkout.store_not_found"


class TerminalNotFound(CheckoutRejected):
    """There is no such terminal."""

    code = "checkout.terminal_not_found"


class OrderNotFound(CheckoutRejected):
    """There is no such order."""

    code = "checkout.order_not_found"


class InvalidInn(CheckoutRejected):
    """The INN is not 10 or 12 digits with right check digits."""

    code = "checkout.invalid_inn"


class InvalidOgrn(CheckoutRejected):
    """The OGRN or OGRNIP has a wrong length or check digit, or is not of this merchant's kind."""

    code = "checkout.invalid_ogrn"


class InvalidBankAccount(CheckoutRejected):
    """The BIK is not 9 digits, or the account is not 20 digits with the right key for that BIK."""

    code = "checkout.invalid_bank_account"


class AmountNotPositive(CheckoutRejected):
    """An order must cost at least one kopeck."""

    code = "checkout.amount_not_positive"


class AmountTooLarge(CheckoutRejected):
    """An order may cost at most a million roubles."""

    code = "checkout.amount_too_large"


class OrderNotRoubles(CheckoutRejected):
    """An order is in roubles."""

    code = "checkout.order_not_roubles"


class InvalidOrderNumber(CheckoutRejected):
    """An order number is 1 to 64 printable ASCII characters without spaces at its ends."""

    code = "checkout.invalid_order_number"


class OrderNumberTaken(CheckoutRejected):
    """The merchant already has an order with this number."""

    code = "checkout.order_number_taken"


class OrderNotOpen(CheckoutRejected):
    """The order is paid or canceled."""

    code = "checkout.order_not_open"


class OrderNotPaid(CheckoutRejected):
    """The order was not paid, so nothing of it can be refunded."""

    code = "checkout.order_not_paid"


class AttemptLive(CheckoutRejected):
    """The order has an attempt that may still be paid."""

    code = "checkout.attempt_live"


class SettingUnknown(CheckoutRejected):
    """There is no such setting."""

    code = "checkout.setting_unknown"


class SettingValueRefused(CheckoutRejected):
    """The setting cannot have this value."""

    code = "checkout.setting_value_refused"


class RailUnknown(CheckoutRejected):
    """There is no such rail."""

    code = "checkout.rail_unknown"


class RailNotRolledOut(CheckoutRejected):
    """The rail is not on at this terminal."""

    code = "checkout.rail_not_rolled_out"


class RailOff(CheckoutRejected):
    """The rail is switched off, and no rule names another."""

    code = "checkout.rail_off"


class FailoverRefused(CheckoutRejected):
    """A rail that needs more than the order cannot stand in for another, and none for itself."""

    code = "checkout.failover_refused"


class SlipIssuesSpent(CheckoutRejected):
    """The slip of an order is handed out a hundred times at most."""

    code = "checkout.slip_issues_spent"


class ProviderUnknown(CheckoutRejected):
    """There is no such provider."""

    code = "checkout.provider_unknown"


class CashierNotFound(CheckoutRejected):
    """There is no such cashier."""

    code = "checkout.cashier_not_found"


class CashierNumberTaken(CheckoutRejected):
    """The merchant already has a cashier with this number."""

    code = "checkout.cashier_number_taken"


class CashierGone(CheckoutRejected):
    """The cashier has left."""

    code = "checkout.cashier_gone"


class StoreListRefused(CheckoutRejected):
    """The list of stores has lines that cannot be taken; none was."""

    code = "checkout.store_list_refused"


class StoreNumberTaken(CheckoutRejected):
    """The merchant already has a store with this number."""

    code = "checkout.store_number_taken"


class ShiftNotFound(CheckoutRejected):
    """There is no such shift."""

    code = "checkout.shift_not_found"


class ShiftOpen(CheckoutRejected):
    """The terminal has an open shift: close it first."""

    code = "checkout.shift_open"


class ShiftClosed(CheckoutRejected):
    """The shift is closed; its Z report stands."""

    code = "checkout.shift_closed"


class ShiftDiffers(CheckoutRejected):
    """The till has counted otherwise: say why, and close again."""

    code = "checkout.shift_differs"


class ShiftTotalsRefused(CheckoutRejected):
    """The till's own totals cannot be read."""

    code = "checkout.shift_totals_refused"


class TerminalKeyNotFound(CheckoutRejected):
    """There is no such key of a terminal."""

    code = "checkout.terminal_key_not_found"


class TerminalKeyProved(CheckoutRejected):
    """The terminal has proved itself with this key: its secret is shown no more. Make another key."""

    code = "checkout.terminal_key_proved"


class TerminalKeyRefused(CheckoutRejected):
    """The terminal's fingerprint or its one-time code is not right now."""

    code = "checkout.terminal_key_refused"


class TerminalKeysNotConfigured(Unavailable):
    """Terminals cannot prove themselves here: the operator has set no key for it."""

    code = "checkout.terminal_keys_not_configured"


class CardPaymentNotFound(CheckoutRejected):
    """There is no such payment by card."""

    code = "checkout.card_payment_not_found"


class CardTokenMalformed(CheckoutRejected):
    """A card is named by its token from the vault, never by its number."""

    code = "checkout.card_token_malformed"


class NoStoredConsent(CheckoutRejected):
    """The buyer never agreed to be charged without being there: name the paid payment of this card that says so."""

    code = "checkout.no_stored_consent"


class CardPaymentNotAuthorised(CheckoutRejected):
    """Only money that is held can be captured or let go."""

    code = "checkout.card_payment_not_authorised"


class CardCaptureAboveAmount(CheckoutRejected):
    """From one kopeck to what was authorised can be captured."""

    code = "checkout.card_capture_above_amount"


class CardCaptureNotWhole(CheckoutRejected):
    """The payment of an order is captured whole: the order costs no less."""

    code = "checkout.card_capture_not_whole"


class CardPaymentNotCaptured(CheckoutRejected):
    """Only captured money can be given back."""

    code = "checkout.card_payment_not_captured"


class CardRefundAmountNotPositive(CheckoutRejected):
    """A refund is of at least one kopeck."""

    code = "checkout.card_refund_amount_not_positive"


class CardRefundAboveRest(CheckoutRejected):
    """More than is left of the payment cannot be given back."""

    code = "checkout.card_refund_above_rest"


class CardRefundNotCovered(CheckoutRejected):
    """The merchant has not enough money with us for this refund."""

    code = "checkout.card_refund_not_covered"


class CardRefundNotFound(CheckoutRejected):
    """There is no such refund to a card."""

    code = "checkout.card_refund_not_found"


class CardPaymentBusy(Unavailable):
    """The acquirer is being asked about this payment just now."""

    code = "checkout.card_payment_busy"


class PointsProgrammeNotFound(CheckoutRejected):
    """There is no such programme of points."""

    code = "checkout.points_programme_not_found"


class PointsProgrammeTaken(CheckoutRejected):
    """A programme of points with this code exists already."""

    code = "checkout.points_programme_taken"


class InvalidPointsProgramme(CheckoutRejected):
    """The programme's code, the worth of a point or its thresholds are out of range."""

    code = "checkout.invalid_points_programme"


class InvalidPointsRule(CheckoutRejected):
    """A share or a number of days of the rule is out of range."""

    code = "checkout.invalid_points_rule"


class PointsRuleTaken(CheckoutRejected):
    """The programme has a rule from this day on; a rule is never rewritten."""

    code = "checkout.points_rule_taken"


class PointsRuleOfPast(CheckoutRejected):
    """A rule counts from a later day than today: what was promised today holds today."""

    code = "checkout.points_rule_of_past"


class PointsAmountNotPositive(CheckoutRejected):
    """Points are moved by one at least, and a billion at most."""

    code = "checkout.points_amount_not_positive"


class PointsNotEnough(CheckoutRejected):
    """The card has fewer points that can be spent now."""

    code = "checkout.points_not_enough"


class PointsReturnAboveSpent(CheckoutRejected):
    """More points than the order took cannot come back."""

    code = "checkout.points_return_above_spent"


class ShiftSheetsNotInstalled(CheckoutRejected):
    """This installation makes no workbooks, take JSON or text: they need an extra, pip install 'kopeyka[registers]'."""

    code = "checkout.sheets_not_installed"
