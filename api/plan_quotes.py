"""Quotes of one process: what merchants offer is remembered, so that most of them ask the database nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from installments import buyer_rows
from installments.quoting import Offer, OfferMemory, Quote, load_offer, quote_offer
from ledger.clock import Clock
from ledger.database import Engine, transaction
from ledger.money import Kopecks


@dataclass(frozen=True, slots=True)
class PlanQuotes:
    """Quotes for merchants' carts and buyers' forms."""

    engine: Engine
    clock: Clock
    memory: OfferMemory = field(default_factory=OfferMemory)

    async def quote(
        self, merchant_id: str, price: Kopecks, *, product_code: str | None = None, buyer_id: str | None = None
    ) -> tuple[Quote, ...]:
        """A quote of each product the merchant sells, or of the one named, for anybody or for one buyer.

        Raises: MerchantTermsMissing, BuyerNotFound.
        """
        now = self.clock.now()
        offer = self.memory.find(merchant_id, now)
        if offer is not None and buyer_id is None:
            return quote_offer(offer, price, product_code=product_code)
        async with transaction(self.engine) as session:
            if offer is None:
                offer = await load_offer(session, merchant_id, now=now)
            standing = None if buyer_id is None else await buyer_rows.load_standing(session, buyer_id, on=offer.on)
        self._remember(offer)
        return quote_offer(offer, price, product_code=product_code, standing=standing)

    def _remember(self, offer: Offer) -> None:
        now = self.clock.now()
        if self.memory.find(offer.merchant_id, now) is None:
            self.memory.keep(offer, now)
