"""Refusals of the contract, beside those of the till and the rails.

Rejected
└── YookassaRejected
    ├── PaymentUnknown, RefundUnknown, WebhookUnknown, PosLinkUnknown
    └── ParameterInvalid, PaymentNotHeld, UrlRefused
Unavailable
└── PaymentProcessing             NSPK's answer was lost; the worker makes it good
"""

from __future__ import annotations

from ledger.errors import Rejected, Unavailable


class YookassaRejected(Rejected):
    """The contract refuses this."""

    code = "yookassa.rejected"


class PaymentUnknown(YookassaRejected):
    """There is no such payment in this shop."""

    code = "yookassa.payment_not_found"


class RefundUnknown(YookassaRejected):
    """There is no such refund in this shop."""

    code = "yookassa.refund_not_found"


class WebhookUnknown(YookassaRejected):
    """There is no such webhook in this shop."""

    code = "yookassa.webhook_not_found"


class PosLinkUnknown(YookassaRejected):
    """There is no such cash link in this shop."""

    code = "yookassa.pos_link_not_found"


class ParameterInvalid(YookassaRejected):
    """The parameter is missing, malformed, or asks for what this contract does not do."""

    code = "yookassa.parameter_invalid"


class PaymentNotHeld(YookassaRejected):
    """Only a payment in the status waiting_for_capture is captured or canceled; SBP has no such status."""

    code = "yookassa.payment_not_held"


class UrlRefused(YookassaRejected):
    """A webhook goes to https, to a host that is reached at public addresses, on port 443 or 8443."""

    code = "yookassa.url_refused"


class PaymentProcessing(Unavailable):
    """The request was accepted and is being carried out: repeat it with the same Idempotence-Key."""

    code = "yookassa.payment_processing"
