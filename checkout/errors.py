"""Refusals of the till.

Rejected
└── CheckoutRejected
    ├── MerchantNotFound, StoreNotFound, TerminalNotFound, OrderNotFound
    ├── InvalidInn, InvalidOgrn, InvalidBankAccount
    ├── AmountNotPositive, AmountTooLarge, OrderNotRoubles, InvalidOrderNumber, OrderNumberTaken
    └── OrderNotOpen, OrderNotPaid, AttemptLive
"""

from __future__ import annotations

from ledger.errors import Rejected


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
