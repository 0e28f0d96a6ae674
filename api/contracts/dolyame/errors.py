"""Refusals of the contract, beside those of plans.

Rejected
└── DolyameRejected
    ├── OrderUnknown
    ├── CorrelationMissing, CorrelationMalformed
    ├── CertificateForeign            the certificate is not the one of this login
    ├── NotificationUrlRefused        not https, or not a public address
    ├── CorrectionAmbiguous           an amount alone may be the new total or the difference
    └── ShopUnknown, LoginTaken, LoginMalformed, CertificateRefused   said at the command line
"""

from __future__ import annotations

from ledger.errors import Rejected


class DolyameRejected(Rejected):
    """The contract refuses this."""

    code = "dolyame.rejected"


class OrderUnknown(DolyameRejected):
    """There is no such order in this shop."""

    code = "dolyame.order_not_found"


class CorrelationMissing(DolyameRejected):
    """The header X-Correlation-ID is needed: a UUID."""

    code = "dolyame.correlation_missing"


class CorrelationMalformed(DolyameRejected):
    """The header X-Correlation-ID is not a UUID."""

    code = "dolyame.correlation_malformed"


class CertificateForeign(DolyameRejected):
    """The client certificate is not the one of this login."""

    code = "dolyame.certificate_foreign"


class NotificationUrlRefused(DolyameRejected):
    """Notifications go to https, to a host that is reached at public addresses."""

    code = "dolyame.notification_url_refused"


class ShopUnknown(DolyameRejected):
    """There is no shop with this login."""

    code = "dolyame.shop_not_found"


class LoginTaken(DolyameRejected):
    """The login is of another merchant."""

    code = "dolyame.login_taken"


class CertificateRefused(DolyameRejected):
    """The file is not a certificate (PEM) that the shops' authority has signed."""

    code = "dolyame.certificate_refused"


class CorrectionAmbiguous(DolyameRejected):
    """Say new_items: an amount alone may mean the new total or what is given back."""

    code = "dolyame.correction_ambiguous"


class LoginMalformed(DolyameRejected):
    """A login has 3 to 64 Latin letters, digits and the marks . _ @ -"""

    code = "dolyame.login_malformed"
