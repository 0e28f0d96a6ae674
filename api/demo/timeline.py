"""One order's way, from the till to the books, for the report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from api.demo.caller import Caller
from api.demo.sale import Sale
from api.demo.selling import Shop
from ledger.clock import MOSCOW


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to the order."""

    at: datetime
    what: str
    is_trouble: bool = False

    @property
    def time(self) -> str:
        """Moscow time to the millisecond."""
        return f"{self.at.astimezone(MOSCOW):%H:%M:%S}.{self.at.microsecond // 1000:03}"


@dataclass(frozen=True, slots=True)
class Timeline:
    """An order as the report tells it."""

    sale: Sale
    moments: list[Moment]
    entry: dict[str, Any]
    """With its postings, as the API shows it."""


async def troubled_sale(caller: Caller, shop: Shop) -> Timeline | None:
    """The way of the order that had the most trouble; nothing if none was paid."""
    if not shop.stories:
        return None
    sale = max(shop.stories, key=lambda sale: (len(sale.story), sale.was_unknown))
    order = await caller.get(f"/v1/orders/{sale.order_id}")
    event = shop.hearing.paid[sale.order_id]
    reference = f"sbp_payment:{event['trx_id']}"
    (entry,) = (await caller.get(f"/v1/ledger/entries?reference_prefix={quote(reference)}"))["items"]
    return Timeline(sale, _moments(sale, order, event, entry), entry)


def _moments(sale: Sale, order: dict[str, Any], event: dict[str, Any], entry: dict[str, Any]) -> list[Moment]:
    attempt = order["attempts"][-1]
    assert sale.payer_at is not None
    told = [
        Moment(_at(order["created_at"]), f"Order {order['number']} placed at {sale.till.merchant_name}: {order['id']}"),
        Moment(_at(attempt["created_at"]), f"Attempt by SBP begun: {attempt['id']}"),
        Moment(sale.payer_at, f"The payer scans the QR {attempt['qr']['qrc_id']} and confirms"),
        Moment(
            _at(entry["recorded_at"]),
            f"NSPK was asked and says yes. In one transaction: payment {event['payment_id']} ({event['trx_id']}), "
            f"entry {entry['id']}, order paid, event order.paid",
        ),
    ]
    troubles = [Moment(at, what, is_trouble=True) for at, what in sale.story]
    return sorted(told + troubles, key=lambda moment: moment.at)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
