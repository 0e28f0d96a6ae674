"""Refusals of the contract, beside those of the till and the rails.

Rejected
└── KoshelekPayRejected
    ├── PartnerUnknown, PartnerTaken, PartnerNameMalformed
    ├── StoreUnknown, TerminalUnknown
    ├── SessionUnknown, PaymentUnknown, OrderUnknown
    ├── PaymentCanceled, PaymentAccepted, PaymentOver, PaymentNotPaid
    ├── PaymentDeclined, ProviderUnavailable
    └── MethodUnavailable, ParameterInvalid, ReceiptDiffers, RefundAmountWrong
"""

from __future__ import annotations

from ledger.errors import Rejected


class KoshelekPayRejected(Rejected):
    """The contract refuses this."""

    code = "koshelek_pay.rejected"


class PartnerUnknown(KoshelekPayRejected):
    """The partner in the address, the login and the key do not belong together."""

    code = "koshelek_pay.partner_unknown"


class PartnerTaken(KoshelekPayRejected):
    """The partner's name is of another merchant, or the merchant has another name already."""

    code = "koshelek_pay.partner_taken"


class PartnerNameMalformed(KoshelekPayRejected):
    """A partner's name has 2 to 40 small Latin letters, digits and hyphens, and begins with a letter."""

    code = "koshelek_pay.partner_name_malformed"


class StoreUnknown(KoshelekPayRejected):
    """The partner has no such store."""

    code = "koshelek_pay.store_unknown"


class TerminalUnknown(KoshelekPayRejected):
    """The store has no such terminal, or several of this name."""

    code = "koshelek_pay.terminal_unknown"


class SessionUnknown(KoshelekPayRejected):
    """There is no such session, it is over, or it belongs to another till."""

    code = "koshelek_pay.session_unknown"


class PaymentUnknown(KoshelekPayRejected):
    """The partner has no such payment."""

    code = "koshelek_pay.payment_unknown"


class OrderUnknown(KoshelekPayRejected):
    """The partner has no payment of this order."""

    code = "koshelek_pay.order_unknown"


class PaymentCanceled(KoshelekPayRejected):
    """The payment is canceled already."""

    code = "koshelek_pay.payment_canceled"


class PaymentAccepted(KoshelekPayRejected):
    """The bank has accepted the payment: what is paid is refunded."""

    code = "koshelek_pay.payment_accepted"


class PaymentOver(KoshelekPayRejected):
    """The payment ended without money: there is nothing to cancel."""

    code = "koshelek_pay.payment_over"


class PaymentNotPaid(KoshelekPayRejected):
    """The payment is not paid."""

    code = "koshelek_pay.payment_not_paid"


class PaymentDeclined(KoshelekPayRejected):
    """The bank refuses to take this payment; no money has moved. Another try is another order."""

    code = "koshelek_pay.payment_declined"


class ProviderUnavailable(KoshelekPayRejected):
    """The bank cannot be reached, and has heard nothing. Another try is another order."""

    code = "koshelek_pay.provider_unavailable"


class MethodUnavailable(KoshelekPayRejected):
    """This till does not take this way of paying."""

    code = "koshelek_pay.method_unavailable"


class ParameterInvalid(KoshelekPayRejected):
    """A field is missing, malformed, or does not fit the others."""

    code = "koshelek_pay.parameter_invalid"


class RefundAmountWrong(KoshelekPayRejected):
    """The money that goes back for these items is another sum."""

    code = "koshelek_pay.refund_amount_wrong"


class ReceiptDiffers(KoshelekPayRejected):
    """Another receipt of this payment was sent already."""

    code = "koshelek_pay.receipt_differs"
