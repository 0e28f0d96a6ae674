"""Refusals and failures of card charges.

Rejected
└── ChargeRejected
    ├── ChargeNotFound, ChargeRefundNotFound, ChargeIdTaken
    ├── ChargeAmountOutOfRange, NoStoredConsent
    ├── ChargeNotAuthorised, CaptureAboveAmount, ChargeNotVoidable
    └── ChargeNotCaptured, ChargeRefundAboveRest
Unavailable
├── ChargeBusy
├── AcquirerUnreachable     nothing was sent
└── AcquirerSilent          sent, and not answered: the outcome is unknown
"""

from __future__ import annotations

from pci.errors import Rejected, Unavailable


class ChargeRejected(Rejected):
    """The charge is refused before anybody is called."""

    code = "vault.charge_rejected"


class ChargeNotFound(ChargeRejected):
    """There is no such charge."""

    code = "vault.charge_not_found"


class ChargeRefundNotFound(ChargeRejected):
    """There is no such refund of a charge."""

    code = "vault.charge_refund_not_found"


class ChargeIdTaken(ChargeRejected):
    """Another charge or refund was asked for under this id."""

    code = "vault.charge_id_taken"


class ChargeAmountOutOfRange(ChargeRejected):
    """A charge is of one kopeck to a million roubles."""

    code = "vault.charge_amount_out_of_range"


class NoStoredConsent(ChargeRejected):
    """The buyer never agreed to be charged without being there: no paid first charge of this card says so."""

    code = "vault.no_stored_consent"


class ChargeNotAuthorised(ChargeRejected):
    """Only money that is held can be captured."""

    code = "vault.charge_not_authorised"


class CaptureAboveAmount(ChargeRejected):
    """More than was authorised cannot be captured."""

    code = "vault.capture_above_amount"


class ChargeNotVoidable(ChargeRejected):
    """The charge is over, or part of it was given back: refund it instead."""

    code = "vault.charge_not_voidable"


class ChargeNotCaptured(ChargeRejected):
    """Only captured money can be given back."""

    code = "vault.charge_not_captured"


class ChargeRefundAboveRest(ChargeRejected):
    """More than is left of a charge cannot be given back."""

    code = "vault.charge_refund_above_rest"


class ChargeBusy(Unavailable):
    """The acquirer is being asked about this charge just now."""

    code = "vault.charge_busy"


class AcquirerUnreachable(Unavailable):
    """The acquirer cannot be reached, and nothing was sent."""

    code = "vault.acquirer_unreachable"


class AcquirerSilent(Unavailable):
    """The acquirer was asked and did not answer in time: the outcome is unknown."""

    code = "vault.acquirer_silent"
