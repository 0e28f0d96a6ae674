"""Refusals and failures of the SBP rail.

Rejected
└── SbpRejected
    ├── MerchantNotRegistered     the merchant's bank has not registered it with NSPK
    ├── InvalidPayload            a link's text breaks the grammar or its check sum
    └── NspkRefused               NSPK said no; asking again gets the same answer
Unavailable
└── NspkUnknown                   the answer was lost: NSPK may or may not have done it
"""

from __future__ import annotations

from ledger.errors import Rejected, Unavailable


class SbpRejected(Rejected):
    """SBP refuses this."""

    code = "sbp_gateway.rejected"


class MerchantNotRegistered(SbpRejected):
    """The merchant's bank has not registered it with NSPK."""

    code = "sbp_gateway.merchant_not_registered"


class InvalidPayload(SbpRejected):
    """The text is not a link of NSPK's with a right check sum."""

    code = "sbp_gateway.invalid_payload"


class NspkRefused(SbpRejected):
    """NSPK refused the request."""

    code = "sbp_gateway.refused_by_nspk"


class NspkUnknown(Unavailable):
    """NSPK's answer was lost; it may or may not have done what it was asked."""

    code = "sbp_gateway.nspk_unknown"
