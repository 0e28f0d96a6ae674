"""What clients send: roubles as numbers or texts, nulls where nothing is said, client_info at the top or in the order.

Source: the public clients of the partner API v1 (Python, PHP, Go); see README.md for where they differ.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from api.contracts.dolyame.amounts import read_amount, read_quantity
from api.wire import read_plain
from installments.plan import ITEMS_MAX, Item
from ledger.money import Kopecks

ORDER_ID_CHARACTERS_MAX = 30
"""Source: dolyame.ru/develop/api/connection."""
NAME_CHARACTERS_MAX = 256
"""Clients cut names to 128 characters; those that do not are borne with."""
SKU_CHARACTERS_MAX = 256
URL_CHARACTERS_MAX = 2048
RECEIPT_FIELDS_MAX = 10
RECEIPT_CHARACTERS_MAX = 64

_PAGE = re.compile(r"https?://[^\s/?#]+([/?#].*)?")


def _trimmed(value: str) -> str:
    if not value.strip() or value != value.strip():
        raise ValueError("no spaces at its ends")
    return value


def _receipt(given: Any) -> tuple[tuple[str, str], ...]:
    """Names and texts, as a till will want them; numbers become texts, nulls are left out."""
    if given is None or given == []:  # an empty PHP array
        return ()
    if not isinstance(given, dict) or len(given) > RECEIPT_FIELDS_MAX:
        raise ValueError(f"an object of at most {RECEIPT_FIELDS_MAX} fields")
    return tuple(sorted((_said(str(name)), _said(value)) for name, value in given.items() if value is not None))


def _said(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("receipt fields are texts")
    if len(str(value)) > RECEIPT_CHARACTERS_MAX:
        raise ValueError(f"names and texts of a receipt have at most {RECEIPT_CHARACTERS_MAX} characters")
    return read_plain(str(value))


def _empty_is_none(given: Any) -> Any:
    return None if given in ("", [], {}) else given


def _page(value: str) -> str:
    """An address that a buyer's browser may follow: no script, no other site's path."""
    if not _PAGE.fullmatch(value):
        raise ValueError("an address, such as https://shop.example/ok")
    return value


def _text_of_number(given: Any) -> Any:
    return str(given) if type(given) is int else given


Amount = Annotated[Kopecks, BeforeValidator(read_amount), Field(ge=0)]
Positive = Annotated[Kopecks, BeforeValidator(read_amount), Field(gt=0)]
Quantity = Annotated[Decimal, BeforeValidator(read_quantity)]
OrderId = Annotated[
    str,
    BeforeValidator(_text_of_number),
    Field(strict=True, min_length=1, max_length=ORDER_ID_CHARACTERS_MAX),
    AfterValidator(read_plain),
    AfterValidator(_trimmed),
]
Url = Annotated[
    Annotated[str, Field(strict=True, max_length=URL_CHARACTERS_MAX), AfterValidator(read_plain)] | None,
    BeforeValidator(_empty_is_none),
]
PageUrl = Annotated[Url, AfterValidator(lambda url: url if url is None else _page(url))]
"""Where the buyer's form leads back to."""
Said = Annotated[
    Annotated[str, Field(strict=True, max_length=256), AfterValidator(read_plain)] | None,
    BeforeValidator(_empty_is_none),
]


class DolyameBody(BaseModel):
    """What the contract takes; unknown fields are let through, for the interface is not ours."""

    model_config = ConfigDict(extra="ignore", frozen=True, arbitrary_types_allowed=True)


class ItemBody(DolyameBody):
    """A line of a basket."""

    name: Annotated[str, Field(strict=True, min_length=1, max_length=NAME_CHARACTERS_MAX), AfterValidator(read_plain)]
    quantity: Quantity
    price: Amount
    sku: Annotated[
        Annotated[str, Field(strict=True, max_length=SKU_CHARACTERS_MAX), AfterValidator(read_plain)] | None,
        BeforeValidator(_text_of_number),
        BeforeValidator(_empty_is_none),
    ] = None
    receipt: Annotated[tuple[tuple[str, str], ...], BeforeValidator(_receipt)] = ()

    @property
    def item(self) -> Item:
        """The same as plans keep it."""
        return Item(self.name, format(self.quantity, "f"), self.price, self.sku, self.receipt)


Items = Annotated[tuple[ItemBody, ...], Field(min_length=1, max_length=ITEMS_MAX)]


class BuyerInfoBody(DolyameBody):
    """What the shop knows of the buyer. Kept masked only."""

    first_name: Said = None
    last_name: Said = None
    middle_name: Said = None
    birthdate: Said = None
    phone: Said = None
    email: Said = None


class ReceiptSettingsBody(DolyameBody):
    """Whether we are to print receipts for the shop."""

    type: Literal["enabled", "disabled"]


ClientInfo = Annotated[BuyerInfoBody | None, BeforeValidator(_empty_is_none)]
Fiscalization = Annotated[ReceiptSettingsBody | None, BeforeValidator(_empty_is_none)]


def items_of(lines: tuple[ItemBody, ...]) -> tuple[Item, ...]:
    """A basket as plans keep it."""
    return tuple(line.item for line in lines)


class BasketBody(DolyameBody):
    """An amount and what it is for."""

    amount: Positive
    prepaid_amount: Amount | None = None
    items: Items

    @property
    def prepaid(self) -> Kopecks:
        """What was paid by points or a certificate."""
        return self.prepaid_amount or Kopecks(0)


class OrderBody(BasketBody):
    """An order to be paid by installments."""

    id: OrderId
    client_info: ClientInfo = None
    fiscalization_settings: Fiscalization = None


class NewOrderBody(DolyameBody):
    """POST /orders/create."""

    order: OrderBody
    client_info: ClientInfo = None
    fiscalization_settings: Fiscalization = None
    notification_url: Url = None
    success_url: PageUrl = None
    fail_url: PageUrl = None

    @property
    def client(self) -> BuyerInfoBody:
        """Wherever it stands; the top level is heard first."""
        return self.client_info or self.order.client_info or BuyerInfoBody()

    @property
    def fiscalization(self) -> str | None:
        """Wherever it stands."""
        said = self.fiscalization_settings or self.order.fiscalization_settings
        return None if said is None else said.type


class CommitBody(BasketBody):
    """POST /orders/{id}/commit."""

    fiscalization_settings: Fiscalization = None


class RefundBody(DolyameBody):
    """POST /orders/{id}/refund: goods that came back."""

    amount: Amount
    refunded_prepaid_amount: Amount | None = None
    returned_items: Items
    fiscalization_settings: Fiscalization = None

    @property
    def prepaid(self) -> Kopecks:
        """What goes back in points."""
        return self.refunded_prepaid_amount or Kopecks(0)


class CorrectionBody(DolyameBody):
    """POST /orders/{id}/correction: what is left of the basket."""

    amount: Positive
    refunded_prepaid_amount: Amount | None = None
    new_items: Annotated[Items | None, BeforeValidator(_empty_is_none)] = None
    fiscalization_settings: Fiscalization = None

    @property
    def prepaid(self) -> Kopecks:
        """What goes back in points."""
        return self.refunded_prepaid_amount or Kopecks(0)


class DeliveryBody(DolyameBody):
    """POST /orders/{id}/complete_delivery: what was handed over, if it was less."""

    order: Annotated[BasketBody | None, BeforeValidator(_empty_is_none)] = None
