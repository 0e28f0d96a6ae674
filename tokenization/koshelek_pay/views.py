"""Device tokens on the wire: what is asked and what is told. A token's number goes to its device and nowhere else."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StrictInt

from tokenization.charges.states import Charge
from tokenization.koshelek_pay.device_token import DeviceToken, Requestor
from tokenization.koshelek_pay.key_records import DevicePayment, DevicePaymentStatus
from tokenization.koshelek_pay.risk import Colour, DeviceVerdict
from tokenization.koshelek_pay.statuses import Assurance, DeviceTokenStatus, PayChannel, Suspender
from tokenization.wire import Body, View

MerchantId = Annotated[str, Field(pattern=r"^[a-z]{3}_[0-9A-Za-z]{1,40}$")]
Trid = Annotated[str, Field(pattern=r"^643[0-9]{8}$")]
Token = Annotated[str, Field(min_length=1, max_length=64)]
Phone = Annotated[str, Field(min_length=1, max_length=20)]
Channels = Annotated[list[PayChannel], Field(min_length=1, max_length=2)]
Amount = Annotated[StrictInt, Field(ge=1, le=100_000_000)]
Mccs = Annotated[list[Annotated[str, Field(pattern=r"^[0-9]{4}$")]], Field(min_length=1, max_length=50)]
PaymentId = Annotated[str, Field(pattern=r"^[a-z]{2,8}_[0-9A-Za-z]{16,48}$")]


class RequestorBody(Body):
    """A wallet of a merchant that may put cards on devices."""

    merchant_id: MerchantId
    name: Annotated[str, Field(min_length=1, max_length=100)]
    channels: Channels
    amount_kopecks_max: Amount
    tokens_max: Annotated[StrictInt, Field(ge=1, le=100)] = 10
    public_jwk: dict[str, Any] | None = None


class RequestorView(View):
    """A token requestor."""

    trid: str
    merchant_id: str
    name: str
    channels: list[PayChannel]
    amount_kopecks_max: int
    tokens_max: int

    @classmethod
    def of(cls, requestor: Requestor) -> RequestorView:
        """The requestor as it is shown."""
        return cls(
            trid=requestor.trid, merchant_id=requestor.merchant_id, name=requestor.name,
            channels=sorted(requestor.channels), amount_kopecks_max=requestor.amount_kopecks_max,
            tokens_max=requestor.tokens_max,
        )  # fmt: skip


class RequestorListView(View):
    """A merchant's token requestors."""

    items: list[RequestorView]


class DeviceBody(Body):
    """A device as its wallet describes it."""

    installation_id: Annotated[str, Field(pattern=r"^[!-~]{1,64}$")]
    public_jwk: dict[str, Any]
    attestation: Annotated[list[Annotated[str, Field(max_length=8_192)]], Field(max_length=8, default_factory=list)]
    verdict: DeviceVerdict = DeviceVerdict.UNKNOWN


class EligibilityBody(Body):
    """May this card be put on devices at all?"""

    merchant_id: MerchantId
    trid: Trid
    card_token: Token


class EligibilityView(View):
    """It may."""

    scheme: str
    range_id: str


class DeviceTokenBody(Body):
    """A card to be put on a device."""

    merchant_id: MerchantId
    trid: Trid
    card_token: Token
    device: DeviceBody
    channels: Channels
    phone: Phone | None = None
    mccs: Mccs | None = None
    amount_kopecks_max: Amount | None = None
    wallet_score: Annotated[StrictInt, Field(ge=1, le=5)] | None = None


class CodeBody(Body):
    """The code that the buyer got."""

    merchant_id: MerchantId
    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]


class CodeResendBody(Body):
    """Where another code goes."""

    merchant_id: MerchantId
    phone: Phone


class DeviceKeysBody(Body):
    """The device's own signed request for keys."""

    merchant_id: MerchantId
    request: Annotated[str, Field(min_length=1, max_length=2_048)]


class SuspensionBody(Body):
    """Who holds a token back, and why."""

    merchant_id: MerchantId
    suspender: Suspender
    reason: Annotated[str, Field(min_length=1, max_length=200)]


class ResumptionBody(Body):
    """Who lets go."""

    merchant_id: MerchantId
    suspender: Suspender


class MerchantBody(Body):
    """Whose it is."""

    merchant_id: MerchantId


class CardChangeBody(Body):
    """The bank issued a card again."""

    merchant_id: MerchantId
    card_token: Token
    new_card_token: Token
    is_issuers: bool = False
    """The bank says so: it alone knows that two numbers are of one account."""


class DevicePaymentBody(Body):
    """A payment that a device proves."""

    id: PaymentId
    merchant_id: MerchantId
    device_token: Token
    """Its id, or the number that the terminal saw."""
    trid: Trid
    mcc: Annotated[str, Field(pattern=r"^[0-9]{4}$")]
    channel: PayChannel
    amount_kopecks: Amount
    de55: Annotated[str, Field(min_length=2, max_length=510)]


class FindingView(View):
    """What a rule saw."""

    rule: str
    colour: Colour
    reason: str


class SuspensionView(View):
    """Who holds a token back, and why."""

    suspender: Suspender
    reason: str
    suspended_at: datetime


class DeviceTokenView(View):
    """A device token as it stands."""

    id: str
    trid: str
    device_id: str
    merchant_id: str
    card_token: str
    card_mask: str
    number_last4: str | None
    """What a buyer sees on slips; the whole number is on the device alone."""
    par: str
    expires: str
    status: DeviceTokenStatus
    is_payable: bool
    suspensions: list[SuspensionView]
    decision: Colour
    findings: list[FindingView]
    assurance: Assurance
    channels: list[PayChannel]
    mccs: list[str] | None
    amount_kopecks_max: int
    created_at: datetime
    changed_at: datetime
    is_new: bool | None = None

    @classmethod
    def of(cls, token: DeviceToken, *, is_new: bool | None = None) -> DeviceTokenView:
        """The token as it is shown."""
        same = (
            "id", "trid", "device_id", "merchant_id", "card_token", "card_mask", "par", "expires", "status",
            "is_payable", "decision", "assurance", "amount_kopecks_max", "created_at", "changed_at",
        )  # fmt: skip
        return cls(
            **{name: getattr(token, name) for name in same},
            number_last4=None if token.number is None else token.number[-4:],
            suspensions=[
                SuspensionView(suspender=held.suspender, reason=held.reason, suspended_at=held.suspended_at)
                for held in token.suspensions
            ],
            findings=[FindingView(rule=one.rule, colour=one.colour, reason=one.reason) for one in token.findings],
            channels=sorted(token.channels),
            mccs=None if token.mccs is None else sorted(token.mccs),
            is_new=is_new,
        )


class DeviceTokenListView(View):
    """Tokens of a device or a card."""

    items: list[DeviceTokenView]


class DeviceKeysView(View):
    """Keys on their way: only the device opens them."""

    device_token: DeviceTokenView
    jwe: str


class DevicePaymentView(View):
    """A payment by a device as it stands."""

    id: str
    device_token: str
    atc: int
    amount_kopecks: int
    status: DevicePaymentStatus
    response_code: str | None
    issuer_data: str | None
    """For the device: tag 91 with the issuer's answer and its decision. Source: EMV Book 3, tag 91."""
    card_token: str | None = None
    """Which card was charged."""
    card_mask: str | None = None
    captured_kopecks: int = 0
    charge_status: str | None = None
    """Of the charge under the same id; none if the acquirer was never asked."""
    reason: str | None = None
    rrn: str | None = None
    approval_code: str | None = None
    acquirer_id: str | None = None

    @classmethod
    def of(
        cls, payment: DevicePayment, charge: Charge | None = None, acquirer_id: str | None = None
    ) -> DevicePaymentView:
        """The payment as it is shown, with its charge."""
        issuer_data = None
        if payment.issuer_answer is not None and payment.response_code is not None:
            issuer_data = (b"\x91\x0a" + payment.issuer_answer + payment.response_code.encode()).hex().upper()
        return cls(
            id=payment.id, device_token=payment.device_token_id, atc=payment.atc,
            amount_kopecks=payment.amount_kopecks, status=payment.status, response_code=payment.response_code,
            issuer_data=issuer_data, **_charge_facts(charge), acquirer_id=None if charge is None else acquirer_id,
        )  # fmt: skip


def _charge_facts(charge: Charge | None) -> dict[str, Any]:
    if charge is None:
        return {}
    same = ("card_token", "card_mask", "captured_kopecks", "reason", "rrn", "approval_code")
    return {name: getattr(charge, name) for name in same} | {"charge_status": str(charge.status)}
