"""What Кошелёк Pay refuses.

DevicePayRejected                     every refusal about device tokens; final
├── De55Malformed                     the chip data cannot be read
├── DeviceTokenNotFound, DeviceNotFound, DevicePaymentNotFound, SmsBoxAbsent
├── RequestorNotFound, RequestorTaken, TokenRangeMissing
├── ProvisioningRejected              a card was not put on a device
│   ├── CardNotEligible, DeviceKeyRefused, PhoneRefused
│   └── CodeWrong, CodeOver, CodeNotExpected, CodesSpent
├── DeviceTokenStateRefused           not from the state it is in
├── SuspensionNotYours                another party suspended it
├── DeviceSignatureRefused            the device did not ask this
├── KeysNotDue                        there are enough keys on the device
└── CryptogramRefused                 a payment by a device was not let through
    ├── DeviceTokenNotActive, DeviceTokenSuspended, DeviceWiped
    ├── RequestorDiffers, DomainRefused   not this requestor, channel, goods or sum
    ├── AtcUsed, AtcTooFar, AtcNotIssued, KeyBurnt, KeyExpired, AuthorisationTaken
    ├── DeviceCloned                  one counter, two payments
    └── CryptogramWrong, AmountDiffers, CryptogramDataRefused
"""

from __future__ import annotations

from pci.errors import Rejected


class DevicePayRejected(Rejected):
    """This cannot be done with a device token."""

    code = "vault.device_pay_rejected"
    is_logged = False
    """Whether its line of the log is written: refusals that count something write it with what they count."""


class De55Malformed(DevicePayRejected):
    """The chip data cannot be read: see reason."""

    code = "vault.de55_malformed"


class DeviceTokenNotFound(DevicePayRejected):
    """There is no such device token, or it is not yours."""

    code = "vault.device_token_not_found"


class DeviceNotFound(DevicePayRejected):
    """There is no such device, or it is not yours."""

    code = "vault.device_not_found"


class DevicePaymentNotFound(DevicePayRejected):
    """There is no such payment by a device, or it is not yours."""

    code = "vault.device_payment_not_found"


class SmsBoxAbsent(DevicePayRejected):
    """Texts go to their buyers here: only a sandbox keeps them."""

    code = "vault.sms_box_absent"


class RequestorNotFound(DevicePayRejected):
    """There is no such token requestor, or it is not yours."""

    code = "vault.token_requestor_not_found"


class RequestorTaken(DevicePayRejected):
    """This merchant is a token requestor already, under other terms."""

    code = "vault.token_requestor_taken"


class TokenRangeMissing(DevicePayRejected):
    """No token range serves cards of this scheme, or every number of it is taken."""

    code = "vault.token_range_missing"


class ProvisioningRejected(DevicePayRejected):
    """The card was not put on the device."""

    code = "vault.provisioning_rejected"


class CardNotEligible(ProvisioningRejected):
    """This card cannot be put on a device: see reason."""

    code = "vault.card_not_eligible"


class DeviceKeyRefused(ProvisioningRejected):
    """The device's key must be a public key on P-256, and no other device may have it."""

    code = "vault.device_key_refused"


class CodeWrong(ProvisioningRejected):
    """The code is wrong: see tries_left."""

    code = "vault.device_code_wrong"


class CodeOver(ProvisioningRejected):
    """The code may no longer be entered: its time or its tries are over, and the token is suspended."""

    code = "vault.device_code_over"


class CodeNotExpected(ProvisioningRejected):
    """No code is awaited for this token."""

    code = "vault.device_code_not_expected"


class CodesSpent(ProvisioningRejected):
    """No more codes are sent for this token."""

    code = "vault.device_codes_spent"


class PhoneRefused(ProvisioningRejected):
    """The phone must be Russian, as +7 and ten digits: the code is sent to it."""

    code = "vault.device_phone_refused"


class DeviceTokenStateRefused(DevicePayRejected):
    """The device token is in a state from which this cannot be done."""

    code = "vault.device_token_state_refused"


class SuspensionNotYours(DevicePayRejected):
    """This party has not suspended the token; each lifts only its own."""

    code = "vault.device_suspension_not_yours"


class DeviceSignatureRefused(DevicePayRejected):
    """The request is not signed by the device, is for another token, or is not fresh."""

    code = "vault.device_signature_refused"


class KeysNotDue(DevicePayRejected):
    """The device has enough keys: see left."""

    code = "vault.device_keys_not_due"


class CryptogramRefused(DevicePayRejected):
    """The payment by the device was not let through."""

    code = "vault.cryptogram_refused"


class DeviceTokenNotActive(CryptogramRefused):
    """The device token is not active."""

    code = "vault.device_token_not_active"


class DeviceTokenSuspended(CryptogramRefused):
    """The device token is suspended: see suspenders."""

    code = "vault.device_token_suspended"


class DeviceWiped(CryptogramRefused):
    """The device was wiped; its keys count for nothing."""

    code = "vault.device_wiped"


class RequestorDiffers(CryptogramRefused):
    """The token belongs to another requestor than the payment names."""

    code = "vault.device_requestor_differs"


class DomainRefused(CryptogramRefused):
    """The token may not be used this way: see reason."""

    code = "vault.device_domain_refused"


class AtcUsed(CryptogramRefused):
    """A payment with this counter was made already."""

    code = "vault.device_atc_used"


class AtcTooFar(CryptogramRefused):
    """The counter is too far ahead."""

    code = "vault.device_atc_too_far"


class AtcNotIssued(CryptogramRefused):
    """No key was ever given for this counter."""

    code = "vault.device_atc_not_issued"


class KeyBurnt(CryptogramRefused):
    """The key of this counter was taken back."""

    code = "vault.device_key_burnt"


class KeyExpired(CryptogramRefused):
    """The key of this counter has expired: the device must fetch new ones."""

    code = "vault.device_key_expired"


class DeviceCloned(CryptogramRefused):
    """Two different payments were made with one counter: the device has a double, and the token is suspended."""

    code = "vault.device_cloned"


class CryptogramWrong(CryptogramRefused):
    """The cryptogram does not prove this payment."""

    code = "vault.cryptogram_wrong"


class AmountDiffers(CryptogramRefused):
    """The device agreed to another sum than is charged."""

    code = "vault.device_amount_differs"


class CryptogramDataRefused(CryptogramRefused):
    """The chip data are not of a purchase here and now: see reason."""

    code = "vault.cryptogram_data_refused"


class AuthorisationTaken(CryptogramRefused):
    """Another payment was authorised under this reference."""

    code = "vault.device_authorisation_taken"


class PaymentDenied(CryptogramRefused):
    """Somebody asked about this payment before it came, and was told that there is none."""

    code = "vault.device_payment_denied"


class CardIsAnother(DevicePayRejected):
    """The new card has another number: that it is of the same account is for its bank to say."""

    code = "vault.device_card_is_another"
