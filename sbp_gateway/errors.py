"""Refusals and failures of the SBP rail.

Rejected
└── SbpRejected
    ├── MerchantNotRegistered     the merchant's bank has not registered it with NSPK
    ├── RegistrationNotFound
    ├── RegistrationIncomplete    data that the bank asks for is missing
    ├── RegistrationFixed         the bank has the papers; another registration is needed
    ├── RegistrationNotAllowed    not what can be done with a registration in its status
    ├── BankRegistrationOpen      the merchant has one in this bank
    ├── NspkMerchantTaken         NSPK's number belongs to another registration
    ├── InvalidPayload            a link's text breaks the grammar or its check sum
    ├── InvalidBankList           a file is not NSPK's list of banks
    ├── BankNotFound              no such bank in NSPK's list
    ├── QrCodeNotFound            no such QR code, or another merchant's
    ├── QrCodeNotReady            NSPK has not given its link yet
    ├── QrCodeOver                paid or out of time: it must not be shown any more
    ├── NspkAddressRefused        the settings would reach NSPK without mutual TLS, or not at all
    ├── NotificationUnsigned      a notification that should be signed is not, or wrongly
    ├── MoneyUnreadable           a sum is not in the form the bank writes money in
    ├── BuyerPayoutRejected       a payout to a buyer's phone is refused
    │   ├── InvalidBuyerPhone         not a Russian mobile number
    │   ├── BuyerBankUnknown          no bank of SBP has this number
    │   ├── BuyerPayoutOutOfRange     below the least or above the most that the bank sends at once
    │   ├── BuyerPayoutNotCovered     the merchant is owed less
    │   └── BuyerPayoutNotFound
    ├── PaymentNotFound           there is no such payment, or it is another merchant's
    ├── RefundNotFound            the same of a refund
    ├── RefundAmountNotPositive   a refund of nothing
    ├── RefundAboveRest           more than was paid, counting refunds under way
    ├── PaymentRefunded           nothing of the payment is left to refund
    ├── PaymentLate               late money goes back by itself
    ├── RefundNotRoubles          SBP moves roubles only
    ├── RefundTooSoon             NSPK takes one try an hour and five a day; facts say when
    ├── RefundNotCovered          the merchant's money does not cover it
    ├── LinkKindNotOffered        the provider of the merchant's bank registers no such links
    ├── TtlOutOfRange             a code would live too shortly or too long
    ├── CashLinkNotFound, CashLinkNotRegistered, CashLinkElsewhere
    ├── QrcIdTaken, QrcIdNotReserved
    ├── ActivationLive, ActivationPaying, ActivationMissing
    ├── StickerNotFound, StickerTaken
    ├── BindingNotFound, BindingNotBound
    ├── UnmatchedPaymentNotFound, UnmatchedPaymentMatched, UnmatchedPaymentReturned, UnmatchedAmountDiffers
    ├── RegisterRejected          a bank's register cannot be taken in
    │   ├── RegisterProfileUnknown    no profile of this name
    │   ├── RegisterProfileInvalid    a profile's file is broken
    │   ├── RegisterEncodingWrong     the file is in another encoding than the profile says
    │   ├── RegisterPackingWrong      not the archive or the workbook that the profile says
    │   ├── RegisterHeaderWrong       the columns are not those of the profile
    │   ├── RegisterLineMalformed     a line has too few or too many fields
    │   ├── RegisterValueMalformed    a field of a line is not what its column holds
    │   ├── RegisterDayWrong          the file is of another day
    │   ├── RegisterEmpty             a file without lines from a bank that sends none then
    │   ├── RegisterAbsent            no file from a bank that always sends one
    │   ├── RegisterNotAbsent         its absence is told, and here it is
    │   ├── RegisterTooLarge          more bytes or lines than we take at once
    │   ├── RegisterTaken             the same file was taken in before
    │   └── RegisterNotFound
    └── NspkRefused               NSPK said no; asking again gets the same answer
Unavailable
├── PayoutBankUnknown             the answer was lost: the bank may or may not have paid the buyer
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


class RegistrationNotFound(SbpRejected):
    """There is no such registration."""

    code = "sbp_gateway.registration_not_found"


class RegistrationIncomplete(SbpRejected):
    """The registration lacks data that the bank asks for."""

    code = "sbp_gateway.registration_incomplete"


class RegistrationFixed(SbpRejected):
    """The registration's data is fixed once the bank has it; close it and make another."""

    code = "sbp_gateway.registration_fixed"


class RegistrationNotAllowed(SbpRejected):
    """This cannot be done with a registration in its present status."""

    code = "sbp_gateway.registration_not_allowed"


class BankRegistrationOpen(SbpRejected):
    """The merchant has a registration in this bank that is not closed."""

    code = "sbp_gateway.registration_open"


class NspkMerchantTaken(SbpRejected):
    """NSPK's number of the merchant belongs to another registration."""

    code = "sbp_gateway.nspk_merchant_taken"


class InvalidPayload(SbpRejected):
    """The text is not a link of NSPK's with a right check sum."""

    code = "sbp_gateway.invalid_payload"


class InvalidBankList(SbpRejected):
    """The file is not a list of banks as NSPK gives it."""

    code = "sbp_gateway.invalid_bank_list"


class BankNotFound(SbpRejected):
    """There is no such bank in NSPK's list."""

    code = "sbp_gateway.bank_not_found"


class QrCodeNotFound(SbpRejected):
    """There is no such QR code."""

    code = "sbp_gateway.qr_code_not_found"


class QrCodeNotReady(SbpRejected):
    """NSPK has not given the link of this QR code."""

    code = "sbp_gateway.qr_code_not_ready"


class QrCodeOver(SbpRejected):
    """The QR code was paid or its time is over: it must not be shown any more."""

    code = "sbp_gateway.qr_code_over"


class NspkAddressRefused(SbpRejected):
    """The settings would reach NSPK without mutual TLS, or not at all."""

    code = "sbp_gateway.nspk_address_refused"


class NotificationUnsigned(SbpRejected):
    """The notification is not signed, or not by whom it says."""

    code = "sbp_gateway.notification_unsigned"


class MoneyUnreadable(SbpRejected):
    """The sum is not in the form in which this bank writes money."""

    code = "sbp_gateway.money_unreadable"


class PaymentNotFound(SbpRejected):
    """There is no such payment."""

    code = "sbp_gateway.payment_not_found"


class RefundNotFound(SbpRejected):
    """There is no such refund."""

    code = "sbp_gateway.refund_not_found"


class RefundAmountNotPositive(SbpRejected):
    """A refund gives back at least one kopeck."""

    code = "sbp_gateway.refund_amount_not_positive"


class RefundAboveRest(SbpRejected):
    """The refund is above what is left of the payment, counting refunds under way."""

    code = "sbp_gateway.refund_above_rest"


class PaymentRefunded(SbpRejected):
    """The whole payment is refunded already, or refunds of it are under way."""

    code = "sbp_gateway.payment_refunded"


class PaymentLate(SbpRejected):
    """The payment came too late; it is refunded by itself, and by hand only once that has been given up."""

    code = "sbp_gateway.payment_late"


class RefundNotRoubles(SbpRejected):
    """SBP moves roubles only."""

    code = "sbp_gateway.refund_not_roubles"


class RefundTooSoon(SbpRejected):
    """NSPK takes one refund try an hour and five a day for a payment; the next may come later."""

    code = "sbp_gateway.refund_too_soon"


class RefundNotCovered(SbpRejected):
    """The merchant's money that is not set aside does not cover the refund."""

    code = "sbp_gateway.refund_not_covered"


class LinkKindNotOffered(SbpRejected):
    """The merchant's bank is reached through a provider that registers no such links."""

    code = "sbp_gateway.link_kind_not_offered"


class TtlOutOfRange(SbpRejected):
    """A buyer would have too little or too much time to pay."""

    code = "sbp_gateway.ttl_out_of_range"


class CashLinkNotFound(SbpRejected):
    """There is no such cash link."""

    code = "sbp_gateway.cash_link_not_found"


class CashLinkNotRegistered(SbpRejected):
    """NSPK has not registered the cash link yet, or refused it."""

    code = "sbp_gateway.cash_link_not_registered"


class CashLinkElsewhere(SbpRejected):
    """The cash link belongs to another terminal than the order."""

    code = "sbp_gateway.cash_link_elsewhere"


class QrcIdTaken(SbpRejected):
    """There is a cash link under this id already."""

    code = "sbp_gateway.qrc_id_taken"


class QrcIdNotReserved(SbpRejected):
    """The id was not reserved by this caller."""

    code = "sbp_gateway.qrc_id_not_reserved"


class ActivationLive(SbpRejected):
    """The cash link is armed with another sale; it must end or be deactivated first."""

    code = "sbp_gateway.activation_live"


class ActivationPaying(SbpRejected):
    """A buyer is paying at this moment, so the cash link cannot be deactivated."""

    code = "sbp_gateway.activation_paying"


class ActivationMissing(SbpRejected):
    """The cash link is not armed, so there is nothing to deactivate."""

    code = "sbp_gateway.activation_missing"


class BindingNotFound(SbpRejected):
    """There is no such account binding."""

    code = "sbp_gateway.binding_not_found"


class BindingNotBound(SbpRejected):
    """The buyer has not consented, or took the consent back."""

    code = "sbp_gateway.binding_not_bound"


class StickerNotFound(SbpRejected):
    """There is no such sticker."""

    code = "sbp_gateway.sticker_not_found"


class StickerTaken(SbpRejected):
    """The terminal has a sticker already."""

    code = "sbp_gateway.sticker_taken"


class UnmatchedPaymentNotFound(SbpRejected):
    """There is no such unmatched payment."""

    code = "sbp_gateway.unmatched_payment_not_found"


class UnmatchedPaymentMatched(SbpRejected):
    """The payment was matched to an order before."""

    code = "sbp_gateway.unmatched_payment_matched"


class UnmatchedPaymentReturned(SbpRejected):
    """The payment goes back to its payer."""

    code = "sbp_gateway.unmatched_payment_returned"


class UnmatchedAmountDiffers(SbpRejected):
    """The order costs another amount than was paid."""

    code = "sbp_gateway.unmatched_amount_differs"


class NspkRefused(SbpRejected):
    """NSPK refused the request."""

    code = "sbp_gateway.refused_by_nspk"


class NspkUnknown(Unavailable):
    """NSPK's answer was lost; it may or may not have done what it was asked."""

    code = "sbp_gateway.nspk_unknown"


class NspkUnavailable(Unavailable):
    """NSPK cannot be reached just now; nothing was sent, so it cannot have done what it was asked."""

    code = "sbp_gateway.nspk_unavailable"


class BuyerPayoutRejected(SbpRejected):
    """A payout to a buyer's phone is refused."""

    code = "sbp_gateway.buyer_payout_refused"


class InvalidBuyerPhone(BuyerPayoutRejected):
    """The phone is not a Russian mobile number: eleven digits such as +7 9XX XXX-XX-XX."""

    code = "sbp_gateway.invalid_phone"


class BuyerBankUnknown(BuyerPayoutRejected):
    """No bank of SBP has this member id."""

    code = "sbp_gateway.buyer_bank_unknown"


class BuyerPayoutOutOfRange(BuyerPayoutRejected):
    """The amount is below the least or above the most that one payout to a buyer may be."""

    code = "sbp_gateway.buyer_payout_out_of_range"


class BuyerPayoutNotCovered(BuyerPayoutRejected):
    """The merchant is owed less than the payout to the buyer would be."""

    code = "sbp_gateway.buyer_payout_not_covered"


class BuyerPayoutNotFound(BuyerPayoutRejected):
    """There is no such payout to a buyer."""

    code = "sbp_gateway.buyer_payout_not_found"


class PayoutBankUnknown(Unavailable):
    """The bank's answer was lost; it may or may not have paid the buyer."""

    code = "sbp_gateway.payout_bank_unknown"


class RegisterRejected(SbpRejected):
    """The register cannot be taken in."""

    code = "sbp_gateway.register_rejected"


class RegisterProfileUnknown(RegisterRejected):
    """There is no profile of this name."""

    code = "sbp_gateway.register_profile_unknown"


class RegisterProfileInvalid(RegisterRejected):
    """The profile's file is broken."""

    code = "sbp_gateway.register_profile_invalid"


class RegisterEncodingWrong(RegisterRejected):
    """The file is not in the encoding that the profile says."""

    code = "sbp_gateway.register_encoding_wrong"


class RegisterPackingWrong(RegisterRejected):
    """The file is not the archive or the workbook that the profile says."""

    code = "sbp_gateway.register_packing_wrong"


class RegisterHeaderWrong(RegisterRejected):
    """The columns of the file are not those of the profile."""

    code = "sbp_gateway.register_header_wrong"


class RegisterLineMalformed(RegisterRejected):
    """A line has too few or too many fields."""

    code = "sbp_gateway.register_line_malformed"


class RegisterValueMalformed(RegisterRejected):
    """A field of a line is not what its column holds."""

    code = "sbp_gateway.register_value_malformed"


class RegisterDayWrong(RegisterRejected):
    """The register is of another day."""

    code = "sbp_gateway.register_day_wrong"


class RegisterEmpty(RegisterRejected):
    """The file has no lines, and this bank sends no file at all for a day without operations."""

    code = "sbp_gateway.register_empty"


class RegisterAbsent(RegisterRejected):
    """This bank sends a file even for a day without operations: none means that it has not come."""

    code = "sbp_gateway.register_absent"


class RegisterNotAbsent(RegisterRejected):
    """The register is said to be absent, and a file came with it: send one or the other."""

    code = "sbp_gateway.register_not_absent"


class RegisterTooLarge(RegisterRejected):
    """The register is larger than is taken in at once."""

    code = "sbp_gateway.register_too_large"


class RegisterTaken(RegisterRejected):
    """The same file was taken in before."""

    code = "sbp_gateway.register_taken"


class RegisterNotFound(RegisterRejected):
    """There is no such register."""

    code = "sbp_gateway.register_not_found"
