"""What tills send. Fields of the public pages by their names; the others are named by us, see README.md.

Unknown fields are let through, for the interface is not ours. Source: the wallet's developer pages, Pay API: objects
CheckoutInvoice, Item, Invoice; an order id of at most 36 characters, an amount of at most ten digits in kopecks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from api.contracts.koshelek_pay.errors import ParameterInvalid
from api.wire import Text
from checkout.baskets import LINES_MAX, PRICE_KOPECKS_MAX, QUANTITY_MAX, Basket, Line, Measure, part_of, spread
from checkout.errors import OrderNotRoubles
from checkout.item_refund_rows import Returned
from ledger.money import Kopecks

TOTAL_KOPECKS_MAX = 9_999_999_999
"""Ten digits."""
ORDER_ID_CHARACTERS_MAX = 36


class PaymentType(StrEnum):
    """How a buyer pays. Source: the ways that the wallet's pages tell of: SBP and Долями."""

    SBP = "SBP"
    DOLYAME = "DOLYAME"


RAIL_OF = {PaymentType.SBP: "sbp", PaymentType.DOLYAME: "dolyame"}
TYPE_OF = {rail: kind for kind, rail in RAIL_OF.items()}


def read_quantity(given: Any) -> int:
    """A whole quantity, with or without a zero after the point: 1.125 kg are 1125 grams, never 1.1."""
    if isinstance(given, bool) or not isinstance(given, (int, Decimal)):
        raise ValueError("a number")
    if isinstance(given, Decimal) and (not given.is_finite() or abs(given) > QUANTITY_MAX or given != int(given)):
        raise ValueError("a whole number: send a smaller measure instead of a fraction")
    return int(given)


Id = Annotated[str, Field(strict=True, min_length=1, max_length=64)]
Amount = Annotated[StrictInt, Field(ge=0, le=TOTAL_KOPECKS_MAX)]


class ContractBody(BaseModel):
    """What the contract takes."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ItemBody(ContractBody):
    """One line of the invoice."""

    name: Annotated[Text, Field(min_length=1, max_length=128)]
    article: Annotated[Text, Field(min_length=1, max_length=64)]
    price: Annotated[StrictInt, Field(ge=0, le=PRICE_KOPECKS_MAX)]
    """In kopecks; of measured goods as the shelf says it: for a kilogram, a metre, a litre."""
    quantity: Annotated[int, BeforeValidator(read_quantity), Field(ge=1, le=QUANTITY_MAX)]
    measure: Annotated[str, Field(strict=True, pattern=r"^[A-Z_]{1,32}$")] = "PIECE"


class InvoiceBody(ContractBody):
    """CheckoutInvoice: what is paid for."""

    orderId: Annotated[str, Field(strict=True, min_length=1, max_length=ORDER_ID_CHARACTERS_MAX)]  # noqa: N815
    totalAmount: Annotated[StrictInt, Field(le=TOTAL_KOPECKS_MAX)]  # noqa: N815  # the contract's own letters
    currency: Annotated[str, Field(strict=True, max_length=8)]
    discountAmount: Amount = 0  # noqa: N815
    subTotalAmount: Amount | None = None  # noqa: N815
    taxAmount: Amount | None = None  # noqa: N815
    items: Annotated[list[ItemBody], Field(min_length=1, max_length=LINES_MAX)]


class TillBody(ContractBody):
    """Which till calls."""

    storeId: Id  # noqa: N815
    terminalId: Id  # noqa: N815


class AvailabilityBody(TillBody):
    """A scanned card: which ways of paying does its buyer have here?"""

    cardSession: Annotated[str, Field(strict=True, min_length=1, max_length=256)]  # noqa: N815


class CheckoutBody(TillBody):
    """A payment to be begun."""

    paymentType: PaymentType  # noqa: N815
    sessionId: Id | None = None  # noqa: N815
    subscriptionId: Id | None = None  # noqa: N815
    promoCode: Annotated[Text, Field(min_length=1, max_length=64)] | None = None  # noqa: N815
    points: Annotated[StrictInt, Field(ge=1, le=TOTAL_KOPECKS_MAX)] | None = None
    invoice: InvoiceBody


class StatusBody(ContractBody):
    """Which payment is meant: by our id of it, or by the till's own order."""

    paymentTransactionId: Id | None = None  # noqa: N815
    orderId: Id | None = None  # noqa: N815


class RefundItemBody(ContractBody):
    """What comes back of one line."""

    article: Annotated[Text, Field(min_length=1, max_length=64)]
    quantity: Annotated[int, BeforeValidator(read_quantity), Field(ge=1, le=QUANTITY_MAX)]


class RefundBody(TillBody):
    """Goods and money that go back. ``requestId`` is needed: the same one is the same refund."""

    requestId: Id  # noqa: N815
    paymentTransactionId: Id  # noqa: N815
    refundAmount: Annotated[StrictInt, Field(ge=1, le=TOTAL_KOPECKS_MAX)]  # noqa: N815
    items: Annotated[list[RefundItemBody], Field(min_length=1, max_length=LINES_MAX)]


class ReceiptBody(ContractBody):
    """A fiscal receipt, as the QR code printed on it says."""

    paymentTransactionId: Id  # noqa: N815
    qrCode: Annotated[str, Field(strict=True, min_length=1, max_length=200)]  # noqa: N815


def basket_of(invoice: InvoiceBody) -> Basket:
    """The invoice as a basket of ours; its discount is spread over the lines by what they cost.

    Raises: OrderNotRoubles, ParameterInvalid.
    """
    if invoice.currency != "RUB":
        raise OrderNotRoubles(currency_expected="RUB")
    lines = [_line(item, number) for number, item in enumerate(invoice.items)]
    gross = sum(line.gross for line in lines)
    _check_sums(invoice, gross)
    shares = spread(invoice.discountAmount, [int(line.gross) for line in lines])
    return Basket(tuple(_discounted(line, share) for line, share in zip(lines, shares, strict=True)))


def _line(item: ItemBody, number: int) -> Line:
    if item.measure not in Measure.__members__:
        names = ", ".join(Measure.__members__)
        raise ParameterInvalid(f"One of {names}.", parameter=f"invoice.items.{number}.measure")
    return Line(item.article, item.name, Measure[item.measure], item.quantity, Kopecks(item.price))


def _discounted(line: Line, discount: int) -> Line:
    return Line(line.article, line.name, line.measure, line.quantity, line.price, Kopecks(discount))


def _check_sums(invoice: InvoiceBody, gross: int) -> None:
    if invoice.subTotalAmount not in (None, gross):
        raise ParameterInvalid(f"The items cost {gross}.", parameter="invoice.subTotalAmount")
    if invoice.discountAmount > gross:
        raise ParameterInvalid(f"The items cost {gross} only.", parameter="invoice.discountAmount")
    if invoice.totalAmount != gross - invoice.discountAmount:
        raise ParameterInvalid(
            f"The items less the discount come to {gross - invoice.discountAmount}.", parameter="invoice.totalAmount"
        )


def lines_back(items: Sequence[RefundItemBody], basket: Basket, gone: Mapping[int, int]) -> list[Returned]:
    """Which lines of the basket come back: tills name articles, and one article may stand in several lines.

    Raises: ParameterInvalid.
    """
    wanted = {item.article: item.quantity for item in items}
    if len(wanted) != len(items):
        raise ParameterInvalid("Each article once.", parameter="items")
    found = []
    for number, line in enumerate(basket.lines, 1):
        taken = min(wanted.get(line.article, 0), line.quantity - gone.get(number, 0))
        if taken > 0:
            found.append(Returned(number, taken))
            wanted[line.article] -= taken
    if any(wanted.values()):
        missing = next(article for article, left in wanted.items() if left)
        raise ParameterInvalid(f"So much of {missing} was not sold, or came back already.", parameter="items")
    return found


def worth_of(lines: Sequence[Returned], basket: Basket, gone: Mapping[int, int]) -> Kopecks:
    """What the goods that come back cost their buyer, by money, code and points together."""
    return Kopecks(sum(
        part_of(
            int(basket.lines[each.line - 1].amount), basket.lines[each.line - 1].quantity,
            before=gone.get(each.line, 0), taken=each.quantity,
        )
        for each in lines
    ))  # fmt: skip
