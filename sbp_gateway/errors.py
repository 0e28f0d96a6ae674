"""Refusals and failures of the SBP rail.

Rejected
└── SbpRejected
    ├── MerchantNotRegistered     the merchant's bank has not registered it with NSPK
    ├── InvalidPayload            a link's text breaks the grammar or its check sum
    ├── MoneyUnreadable           a sum is not in the form the bank writes money in
    └── NspkRefused               NSPK said no; asking again gets the same answer
Unavailable
├── NspkUnknown                   the answer was lost: NSPK may or may not have done it
└── NspkUnavailable               nothing was sent: NSPK cannot have done it
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


class MoneyUnreadable(SbpRejected):
    """The sum is not in the form in which this bank writes money."""

    code = "sbp_gateway.money_unreadable"


class NspkRefused(SbpRejected):
    """NSPK refused the request."""

    code = "sbp_gateway.refused_by_nspk"


class NspkUnknown(Unavailable):
    """NSPK's answer was lost; it may or may not have done what it was asked."""

    code = "sbp_gateway.nspk_unknown"


class NspkUnavailable(Unavailable):
    """NSPK cannot be reached just now; nothing was sent, so it cannot have done what it was asked."""

    code = "sbp_gateway.nspk_unavailable"
