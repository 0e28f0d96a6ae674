"""What clients send: decimal roubles, and only what SBP can do. Fields without a meaning for SBP are let through.

Source: YooKassa API v3, "Create payment", "Create refund", "Webhooks"; the public client 3.13.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from api.contracts.yookassa.errors import ParameterInvalid
from api.wire import Text, read_plain
from ledger.money import Kopecks, kopecks_of

METADATA_KEYS_MAX = 16
METADATA_KEY_CHARACTERS_MAX = 32
METADATA_VALUE_CHARACTERS_MAX = 512
DESCRIPTION_CHARACTERS_MAX = 128
REFUND_DESCRIPTION_CHARACTERS_MAX = 250
URL_CHARACTERS_MAX = 2048
GATEWAY_ID = r"^[!-~]{1,64}$"
UUID_TEXT = r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"


def read_metadata(given: Any) -> dict[str, str]:
    """Up to 16 pairs of texts; whole numbers become texts."""
    if not isinstance(given, dict) or len(given) > METADATA_KEYS_MAX:
        raise ValueError(f"an object of at most {METADATA_KEYS_MAX} pairs")
    return {_metadata_key(key): _metadata_value(value) for key, value in given.items() if value is not None}


def _metadata_key(key: str) -> str:
    if not 1 <= len(key) <= METADATA_KEY_CHARACTERS_MAX:
        raise ValueError(f"a name has 1 to {METADATA_KEY_CHARACTERS_MAX} characters")
    return key


def _metadata_value(value: Any) -> str:
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or len(text) > METADATA_VALUE_CHARACTERS_MAX:
        raise ValueError(f"a value is a text of at most {METADATA_VALUE_CHARACTERS_MAX} characters")
    return text


Metadata = Annotated[dict[str, str], BeforeValidator(read_metadata)]
Url = Annotated[str, Field(strict=True, min_length=1, max_length=URL_CHARACTERS_MAX), AfterValidator(read_plain)]
ObjectId = Annotated[str, Field(strict=True, pattern=UUID_TEXT)]


class YookassaBody(BaseModel):
    """What the contract takes; unknown fields are let through, for the interface is not ours."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class AmountBody(YookassaBody):
    """An amount in roubles with exactly two decimals."""

    value: Annotated[str, Field(strict=True, pattern=r"^(0|[1-9][0-9]{0,11})\.[0-9]{2}$", examples=["1499.90"])]
    currency: Literal["RUB"]

    @property
    def kopecks(self) -> Kopecks:
        """The same in kopecks."""
        return kopecks_of(self.value)


class TillBody(YookassaBody):
    """The till that is paid."""

    gateway_id: Annotated[str, Field(strict=True, pattern=GATEWAY_ID)] | None = None


class PaymentMethodBody(YookassaBody):
    """How the buyer pays."""

    type: Literal["sbp"]


class ConfirmationBody(YookassaBody):
    """How the buyer is brought to pay."""

    type: Literal["qr", "redirect", "external"]
    return_url: Url | None = None


class PosLinkBody(YookassaBody):
    """The cash link that the buyer scans, and until when."""

    id: ObjectId
    expires_at: str | None = None


class PaymentBody(YookassaBody):
    """A payment to be made."""

    amount: AmountBody
    capture: Annotated[bool, Field(strict=True)] = True
    payment_method_data: PaymentMethodBody | None = None
    confirmation: ConfirmationBody | None = None
    pos_link: PosLinkBody | None = None
    recipient: TillBody | None = None
    description: Annotated[Text, Field(max_length=DESCRIPTION_CHARACTERS_MAX)] | None = None
    metadata: Metadata = Field(default_factory=dict)
    merchant_customer_id: Annotated[Text, Field(max_length=200)] | None = None
    save_payment_method: bool = False
    receipt: Any = None
    payment_token: Any = None
    payment_method_id: Any = None
    transfers: Any = None
    deal: Any = None
    airline: Any = None


NOT_DONE = ("receipt", "payment_token", "payment_method_id", "transfers", "deal", "airline")
"""Parameters that would oblige us to something we do not do, so they are refused and never ignored."""


def check_payment(body: PaymentBody) -> None:
    """Refuse what SBP or this contract cannot do.

    Raises: ParameterInvalid.
    """
    for name in NOT_DONE:
        if getattr(body, name):
            raise ParameterInvalid(f"{name} is not supported.", parameter=name)
    if body.save_payment_method:
        raise ParameterInvalid("Saving of accounts is not supported.", parameter="save_payment_method")
    if not body.capture:
        raise ParameterInvalid("SBP takes no holds: capture must be true.", parameter="capture")
    _check_confirmation(body)


def _check_confirmation(body: PaymentBody) -> None:
    if body.confirmation is None:
        raise ParameterInvalid("Say how the buyer confirms: qr, redirect, or external by pos_link.",
                               parameter="confirmation")  # fmt: skip
    if (body.confirmation.type == "external") != (body.pos_link is not None):
        raise ParameterInvalid("pos_link and confirmation.type external go together.", parameter="pos_link")
    if body.pos_link is None and body.payment_method_data is None:
        raise ParameterInvalid("payment_method_data.type must be sbp.", parameter="payment_method_data")
    if body.confirmation.type == "redirect" and body.confirmation.return_url is None:
        raise ParameterInvalid("A redirect needs return_url.", parameter="confirmation.return_url")


class RefundBody(YookassaBody):
    """A refund to be made."""

    payment_id: ObjectId
    amount: AmountBody
    description: Annotated[Text, Field(max_length=REFUND_DESCRIPTION_CHARACTERS_MAX)] | None = None
    metadata: Metadata = Field(default_factory=dict)
    receipt: Any = None
    sources: Any = None
    deal: Any = None
    refund_method_data: Any = None


class WebhookBody(YookassaBody):
    """A wish to be told."""

    event: Literal["payment.succeeded", "payment.canceled", "refund.succeeded"]
    url: Url


class PosLinkDataBody(YookassaBody):
    """What was scanned from a plate."""

    link: Url | None = None


class PosLinkCreateBody(YookassaBody):
    """A cash link to be set up."""

    recipient: TillBody
    pos_link_data: PosLinkDataBody | None = None


class PosLinkMoveBody(YookassaBody):
    """Where a cash link goes."""

    recipient: TillBody
