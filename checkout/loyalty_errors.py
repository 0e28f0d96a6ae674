"""Refusals of loyalty cards and barcodes.

CheckoutRejected
└── LoyaltyRejected
    ├── LoyaltyCardNotFound, LoyaltyCardBlocked, LoyaltyPhoneTaken, LoyaltyPhoneMalformed, ProgrammeMalformed
    ├── ShowingNotFound, ShowingEnded, ShowingsTooMany
    └── BarcodeUnreadable, BarcodeNotOfNow, BarcodeUsed, PresentmentNotFound
Unavailable
└── LoyaltyKeyMissing
"""

from __future__ import annotations

from checkout.errors import CheckoutRejected
from ledger.errors import Unavailable


class LoyaltyRejected(CheckoutRejected):
    """The loyalty programme refuses this."""

    code = "checkout.loyalty_rejected"


class LoyaltyCardNotFound(LoyaltyRejected):
    """There is no such loyalty card."""

    code = "checkout.loyalty_card_not_found"


class LoyaltyCardBlocked(LoyaltyRejected):
    """The loyalty card is blocked."""

    code = "checkout.loyalty_card_blocked"


class LoyaltyPhoneTaken(LoyaltyRejected):
    """This phone has a card of the programme already."""

    code = "checkout.loyalty_phone_taken"


class LoyaltyPhoneMalformed(LoyaltyRejected):
    """A phone is given with its country code, or as ten digits from 9 for Russia."""

    code = "checkout.loyalty_phone_malformed"


class ProgrammeMalformed(LoyaltyRejected):
    """The code of a programme is 1 to 32 small Latin letters, digits, dashes and underscores."""

    code = "checkout.programme_malformed"


class ShowingNotFound(LoyaltyRejected):
    """No phone shows this card under that id."""

    code = "checkout.showing_not_found"


class ShowingEnded(LoyaltyRejected):
    """This phone shows the card no more."""

    code = "checkout.showing_ended"


class ShowingsTooMany(LoyaltyRejected):
    """Too many phones have shown this card: issue a new one."""

    code = "checkout.showings_too_many"


class BarcodeUnreadable(LoyaltyRejected):
    """This is no barcode of a loyalty card of ours, or it was misread."""

    code = "checkout.barcode_unreadable"


class BarcodeNotOfNow(LoyaltyRejected):
    """The barcode is not of now: it is old, or the phone's clock is wrong."""

    code = "checkout.barcode_not_of_now"


class BarcodeUsed(LoyaltyRejected):
    """This barcode was scanned already: each counts once."""

    code = "checkout.barcode_used"


class PresentmentNotFound(LoyaltyRejected):
    """There is no such presentment."""

    code = "checkout.presentment_not_found"


class LoyaltyKeyMissing(Unavailable):
    """The house has no key for phones and barcodes: KOPEYKA_BUYERS_KEY is not set."""

    code = "checkout.loyalty_key_missing"
