"""Device tokens (токены устройств): a merchant's wallet puts cards on buyers' devices. The vault does it all.

A device is found by its id and a token by its own: there is no search by card number.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StrictInt
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.routes.card_sessions import MerchantId
from api.vault_calls import in_vault, whose
from api.wire import Body, Instant, View
from tokenization.koshelek_pay.key_records import DevicePaymentStatus
from tokenization.koshelek_pay.risk import Colour, DeviceVerdict
from tokenization.koshelek_pay.statuses import Assurance, DeviceTokenStatus, PayChannel, Suspender

router = door_router("/v1/device-tokens", "device tokens")
requestors_router = door_router("/v1/token-requestors", "device tokens")
devices_router = door_router("/v1/token-devices", "device tokens")
payments_router = door_router("/v1/device-payments", "device tokens")

CanWrite = Annotated[Call, needs("device_tokens:write")]
CanRead = Annotated[Call, needs("device_tokens:read")]
Id = Annotated[str, Field(strict=True, pattern=r"^[a-z]{3}_[0-9A-Za-z]{25}$")]
PaymentId = Annotated[str, Field(strict=True, pattern=r"^cpy_[0-9A-Za-z]{16,48}$")]
CardToken = Annotated[str, Field(strict=True, max_length=64, examples=["tok_4fzK9aQ7Lr2XbN8yTc5Wd1HgE"])]
Trid = Annotated[str, Field(strict=True, pattern=r"^643[0-9]{8}$", examples=["64310203040"])]
Phone = Annotated[str, Field(strict=True, pattern=r"^\+7[0-9]{10}$", examples=["+79161234567"])]
Amount = Annotated[StrictInt, Field(ge=1, le=100_000_000, examples=[1_500_000])]
Channels = Annotated[tuple[PayChannel, ...], Field(min_length=1, max_length=2)]
Mccs = Annotated[tuple[Annotated[str, Field(strict=True, pattern=r"^[0-9]{4}$")], ...], Field(min_length=1)]
OWN_PARTIES = frozenset({Suspender.BUYER, Suspender.REQUESTOR, Suspender.WALLET})
"""Who a merchant speaks for; the bank and the rules speak through a key of all merchants."""


class RequestorBody(Body):
    """A wallet of a merchant that is to put cards on devices."""

    merchant_id: MerchantId | None = None
    name: Annotated[str, Field(strict=True, min_length=1, max_length=100, examples=["Кошелёк"])]
    channels: Channels
    amount_kopecks_max: Amount
    tokens_max: Annotated[StrictInt, Field(ge=1, le=100)] = 10
    public_jwk: dict[str, str] | None = None


class RequestorView(View):
    """A token requestor: its number (TRID) and what it may do."""

    trid: str
    merchant_id: str
    name: str
    channels: list[PayChannel]
    amount_kopecks_max: int
    tokens_max: int

    @property
    def id(self) -> str:
        """By which it is named."""
        return self.trid


class RequestorsView(View):
    """A merchant's token requestors."""

    items: list[RequestorView]


class DeviceBody(Body):
    """A device as its wallet describes it."""

    installation_id: Annotated[str, Field(strict=True, pattern=r"^[!-~]{1,64}$")]
    public_jwk: dict[str, str]
    """Of a key on P-256 that never leaves the device."""
    attestation: Annotated[tuple[Annotated[str, Field(strict=True, max_length=8_192)], ...], Field(max_length=8)] = ()
    verdict: DeviceVerdict = DeviceVerdict.UNKNOWN


class EligibilityBody(Body):
    """Which card is to be put on devices."""

    merchant_id: MerchantId | None = None
    trid: Trid
    card_token: CardToken


class EligibilityView(View):
    """It may be."""

    scheme: str
    range_id: str


class DeviceTokenBody(Body):
    """A card to be put on a device."""

    merchant_id: MerchantId | None = None
    trid: Trid
    card_token: CardToken
    device: DeviceBody
    channels: Channels
    phone: Phone | None = None
    """Where a code goes if there are doubts. Kept as a mask."""
    mccs: Mccs | None = None
    """Whose goods it may pay for; anybody's when not given."""
    amount_kopecks_max: Amount | None = None
    wallet_score: Annotated[StrictInt, Field(ge=1, le=5)] | None = None


class CodeBody(Body):
    """The code that the buyer got."""

    merchant_id: MerchantId | None = None
    code: Annotated[str, Field(strict=True, pattern=r"^[0-9]{6}$")]


class CodeResendBody(Body):
    """Where another code goes."""

    merchant_id: MerchantId | None = None
    phone: Phone


class DeviceKeysBody(Body):
    """The device's own request for keys, signed by it (compact JWS, ES256)."""

    merchant_id: MerchantId | None = None
    request: Annotated[str, Field(strict=True, min_length=1, max_length=2_048)]


class SuspensionBody(Body):
    """Who holds a token back, and why."""

    merchant_id: MerchantId | None = None
    suspender: Suspender
    reason: Annotated[str, Field(strict=True, min_length=1, max_length=200)]


class ResumptionBody(Body):
    """Who lets go. Each party lifts only what it held itself."""

    merchant_id: MerchantId | None = None
    suspender: Suspender


class DeviceOwnerBody(Body):
    """Whose it is; a key of one merchant need not say."""

    merchant_id: MerchantId | None = None


class CardChangeBody(Body):
    """The bank issued a card again: under the same number (both tokens the same) or another."""

    merchant_id: MerchantId | None = None
    card_token: CardToken
    new_card_token: CardToken


class FindingView(View):
    """What a rule saw."""

    rule: str
    colour: Colour
    reason: str


class SuspensionView(View):
    """Who holds a token back."""

    suspender: Suspender
    reason: str
    suspended_at: Instant


class DeviceTokenView(View):
    """A device token as it stands. Its whole number is on the device and nowhere else."""

    id: str
    trid: str
    device_id: str
    merchant_id: str
    card_token: str
    card_mask: str
    number_last4: str | None
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
    created_at: Instant
    changed_at: Instant
    is_new: bool | None = None


class DeviceTokensView(View):
    """Several tokens."""

    items: list[DeviceTokenView]


class DeviceKeysView(View):
    """Keys that only the device opens (compact JWE, ECDH-ES+A256KW and A256GCM)."""

    device_token: DeviceTokenView
    jwe: str


class DevicePaymentView(View):
    """What a device is to be told of its payment. The money is the payment by card under the same id."""

    id: str
    device_token: str
    atc: int
    amount_kopecks: int
    status: DevicePaymentStatus
    response_code: str | None
    """Source: ISO 8583:1987, field 39."""
    issuer_data: str | None
    """Tag 91 in base 64: the issuer's cryptogram (ARPC) and its answer. None until it has answered."""

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> DevicePaymentView:
        """The vault's answer. In hexadecimal it might look like the number of a card."""
        data = said["issuer_data"]
        told = None if data is None else b64encode(bytes.fromhex(data)).decode()
        return cls.model_validate({name: said[name] for name in cls.model_fields} | {"issuer_data": told})


@payments_router.get("/{payment_id}")
async def read_device_payment(
    call: CanRead, payment_id: PaymentId, merchant_id: MerchantId | None = None
) -> DevicePaymentView:
    """The issuer's answer to a payment by a device, for the device: by it the device knows who answered."""
    return DevicePaymentView.of(await _read(call, f"/v1/device-payments/{payment_id}", merchant_id))


@requestors_router.post("", status_code=201, response_model=RequestorView)
async def register_requestor(call: CanWrite, body: RequestorBody) -> Response:
    """Let a wallet of a merchant put cards on devices. Once more with the same name and terms changes nothing."""
    return await _ask(call, body, "/v1/token-requestors", RequestorView, "/v1/token-requestors/{id}")


@requestors_router.get("")
async def list_requestors(call: CanRead, merchant_id: MerchantId | None = None) -> RequestorsView:
    """A merchant's token requestors."""
    return RequestorsView.model_validate(await _read(call, "/v1/token-requestors", merchant_id))


@router.post("/eligibility", status_code=200, response_model=EligibilityView)
async def read_eligibility(call: CanWrite, body: EligibilityBody) -> Response:
    """Whether a card may be put on devices at all."""
    return await _ask(call, body, "/v1/device-tokens/eligibility", EligibilityView)


@router.post("/replace-card", status_code=200, response_model=DeviceTokensView)
async def change_card(call: CanWrite, body: CardChangeBody) -> Response:
    """Let the tokens of a card stand for the one that was issued in its place: under another number for a key with
    ``admin`` alone, which speaks for the bank.
    """
    is_issuers = "admin" in call.caller.scopes
    return await _ask(call, body, "/v1/device-tokens/replace-card", DeviceTokensView, is_issuers=is_issuers)


@router.post("", status_code=201, response_model=DeviceTokenView)
async def create_device_token(call: CanWrite, body: DeviceTokenBody) -> Response:
    """Put a card on a device: green at once, yellow after a code by SMS, red not at all; always with reasons.

    The same card on the same device is the same token. That a device is trusted is for a key with ``admin`` to say.
    """
    if body.device.verdict is DeviceVerdict.TRUSTED:
        call.caller.require("admin")
    return await _ask(call, body, "/v1/device-tokens", DeviceTokenView, "/v1/device-tokens/{id}")


@router.get("/{device_token_id}")
async def read_device_token(
    call: CanRead, device_token_id: Id, merchant_id: MerchantId | None = None
) -> DeviceTokenView:
    """One device token."""
    return DeviceTokenView.model_validate(await _read(call, f"/v1/device-tokens/{device_token_id}", merchant_id))


@router.post("/{device_token_id}/code", status_code=200, response_model=DeviceTokenView)
async def enter_code(call: CanWrite, device_token_id: Id, body: CodeBody) -> Response:
    """Enter the code that the buyer got: three tries in ten minutes, then the token is held back."""
    return await _ask(call, body, f"/v1/device-tokens/{device_token_id}/code", DeviceTokenView)


@router.post("/{device_token_id}/code/resend", status_code=200, response_model=DeviceTokenView)
async def resend_code(call: CanWrite, device_token_id: Id, body: CodeResendBody) -> Response:
    """Send another code; the last one ends."""
    return await _ask(call, body, f"/v1/device-tokens/{device_token_id}/code/resend", DeviceTokenView)


@router.post("/{device_token_id}/keys", status_code=200, response_model=DeviceKeysView)
async def deliver_keys(call: CanWrite, device_token_id: Id, body: DeviceKeysBody) -> Response:
    """Bring a device its next ten keys, each for one payment. The first make the token active."""
    return await _ask(call, body, f"/v1/device-tokens/{device_token_id}/keys", DeviceKeysView)


@router.post("/{device_token_id}/suspend", status_code=200, response_model=DeviceTokenView)
async def suspend_device_token(call: CanWrite, device_token_id: Id, body: SuspensionBody) -> Response:
    """Hold a token back in the name of one party."""
    _check_party(call, body.suspender)
    return await _ask(call, body, f"/v1/device-tokens/{device_token_id}/suspend", DeviceTokenView)


@router.post("/{device_token_id}/resume", status_code=200, response_model=DeviceTokenView)
async def resume_device_token(call: CanWrite, device_token_id: Id, body: ResumptionBody) -> Response:
    """Let go of what this party held back; the token works again when the last has let go."""
    _check_party(call, body.suspender)
    return await _ask(call, body, f"/v1/device-tokens/{device_token_id}/resume", DeviceTokenView)


@router.post("/{device_token_id}/delete", status_code=200, response_model=DeviceTokenView)
async def delete_device_token(call: CanWrite, device_token_id: Id, body: DeviceOwnerBody) -> Response:
    """Take a token off its device, for ever."""
    return await _ask(call, body, f"/v1/device-tokens/{device_token_id}/delete", DeviceTokenView)


@devices_router.get("/{device_id}/tokens")
async def list_tokens_of_device(
    call: CanRead, device_id: Id, merchant_id: MerchantId | None = None
) -> DeviceTokensView:
    """The tokens of a device."""
    return DeviceTokensView.model_validate(await _read(call, f"/v1/token-devices/{device_id}/tokens", merchant_id))


@devices_router.post("/{device_id}/lose", status_code=200, response_model=DeviceTokensView)
async def lose_device(call: CanWrite, device_id: Id, body: DeviceOwnerBody) -> Response:
    """A device is lost: the buyer holds back every token on it."""
    return await _ask(call, body, f"/v1/token-devices/{device_id}/lose", DeviceTokensView)


@devices_router.post("/{device_id}/find", status_code=200, response_model=DeviceTokensView)
async def find_device(call: CanWrite, device_id: Id, body: DeviceOwnerBody) -> Response:
    """A lost device was found; the buyer resumes its tokens one by one."""
    return await _ask(call, body, f"/v1/token-devices/{device_id}/find", DeviceTokensView)


@devices_router.post("/{device_id}/wipe", status_code=200, response_model=DeviceTokensView)
async def wipe_device(call: CanWrite, device_id: Id, body: DeviceOwnerBody) -> Response:
    """A device was wiped: its tokens end for ever."""
    return await _ask(call, body, f"/v1/token-devices/{device_id}/wipe", DeviceTokensView)


def _check_party(call: Call, suspender: Suspender) -> None:
    """A merchant does not speak for the bank. Raises: ScopeMissing."""
    if suspender not in OWN_PARTIES:
        call.caller.require("admin")


async def _ask(
    call: Call, body: Body, path: str, view: type[View], location: str | None = None, **beside: bool
) -> Response:
    asked: dict[str, Any] = body.model_dump(mode="json", exclude_none=True) | beside
    asked["merchant_id"] = whose(call, asked.get("merchant_id"))
    status = 200 if location is None else 201
    return await in_vault(call, path, asked, view, location=location, prefix="dtk", status=status)


async def _read(call: Call, path: str, merchant_id: str | None) -> Any:
    return await call.door.wiring.vault.call(
        "GET", path, request_id=call.request_id, query={"merchant_id": whose(call, merchant_id)}
    )
