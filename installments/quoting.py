"""Quotes (предварительный расчёт): a plan as it would be, and why it would not. Nothing is kept and nobody is held.

What a merchant offers changes by the day at most, so a process remembers it for some seconds: a quote without a buyer
then asks the database nothing, and one with a buyer asks it once.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from installments import buyer_rows, law
from installments import repository as rows
from installments.buyer_rows import BuyerStanding
from installments.deciding import facts_of, judge
from installments.decision_policies import DecisionPolicy, policy_on
from installments.errors import InstallmentsRejected, MerchantTermsMissing
from installments.limits import LimitUse
from installments.opening import check_price_range
from installments.products import MerchantTerms, Product
from installments.schedule import Installment, build_schedule
from ledger.clock import moscow_day
from ledger.database import Session, text
from ledger.money import Kopecks

REMEMBERED = timedelta(seconds=15)
"""How long a merchant's terms may be old in a quote. A plan is made by those of its own moment."""
MERCHANTS_MAX = 10_000
"""Merchants remembered by a process: the one not asked for longest is forgotten first."""
PRODUCTS_MAX = 50
"""Products of one merchant that are quoted."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one merchant sells by installments on one day."""

    merchant_id: str
    on: date
    products: tuple[tuple[Product, MerchantTerms], ...]
    is_licensed: bool
    policy: DecisionPolicy


@dataclass(frozen=True, slots=True)
class Quote:
    """One product at one price."""

    product: Product
    price: Kopecks
    price_min: Kopecks
    price_max: Kopecks
    schedule: tuple[Installment, ...]
    """As it would be if the buyer agreed today; empty when the price cannot be cut."""
    reasons: tuple[str, ...]
    """Codes of refusals, the first is the one to tell. What is not known yet of a buyer is not held against them."""
    last_day_allowed: date | None
    """By the law, of the last installment."""
    needs_bureau: bool
    """This price, with the buyer's debt if a buyer was named, is to be told to a credit bureau."""
    limit_use: LimitUse | None
    """Of the buyer that was named."""

    @property
    def is_eligible(self) -> bool:
        """Whether nothing known stands against it."""
        return not self.reasons


@dataclass(slots=True)
class OfferMemory:
    """What merchants offer, as one process remembers it."""

    lifetime: timedelta = REMEMBERED
    _kept: OrderedDict[str, tuple[datetime, Offer]] = field(default_factory=OrderedDict)

    def find(self, merchant_id: str, now: datetime) -> Offer | None:
        """What is remembered and still good: of today, and not too old. A clock that went back forgets."""
        found = self._kept.get(merchant_id)
        if found is None or found[1].on != moscow_day(now) or not timedelta(0) <= now - found[0] < self.lifetime:
            return None
        self._kept.move_to_end(merchant_id)
        return found[1]

    def keep(self, offer: Offer, now: datetime) -> None:
        """Remember an offer."""
        self._kept[offer.merchant_id] = (now, offer)
        self._kept.move_to_end(offer.merchant_id)
        if len(self._kept) > MERCHANTS_MAX:
            self._kept.popitem(last=False)


async def load_offer(session: Session, merchant_id: str, *, now: datetime) -> Offer:
    """What a merchant sells by installments today."""
    on = moscow_day(now)
    codes = await session.scalars(
        text("""SELECT DISTINCT product_code FROM installment_merchant_terms
                 WHERE merchant_id = :merchant_id AND effective_on <= :on ORDER BY product_code LIMIT :limit"""),
        {"merchant_id": merchant_id, "on": on, "limit": PRODUCTS_MAX},
    )
    products = []
    for code in codes.all():
        terms = await rows.merchant_terms_on(session, merchant_id, code, on)
        assert terms is not None
        products.append((await rows.product_on(session, code, on), terms))
    licence = await rows.licence_on(session, on)
    is_licensed = licence is not None and licence.is_active
    return Offer(merchant_id, on, tuple(products), is_licensed, await policy_on(session, on))


async def is_offered(session: Session, merchant_id: str, product_code: str, *, now: datetime) -> bool:
    """Whether a merchant may sell by a product today: it has agreed to terms; our licence is active if one is due."""
    on = moscow_day(now)
    if await rows.merchant_terms_on(session, merchant_id, product_code, on) is None:
        return False
    licence = await rows.licence_on(session, on)
    return (licence is not None and licence.is_active) or not law.law_on(on).is_licence_needed


def quote_offer(
    offer: Offer, price: Kopecks, *, product_code: str | None = None, standing: BuyerStanding | None = None
) -> tuple[Quote, ...]:
    """A quote of each product of an offer, or of the one that is named. Raises: MerchantTermsMissing."""
    wanted = [pair for pair in offer.products if product_code in (None, pair[0].code)]
    if not wanted:
        raise MerchantTermsMissing(merchant_id=offer.merchant_id, product_code=product_code)
    return tuple(_quote(offer, product, terms, price, standing) for product, terms in wanted)


async def quote(
    session: Session, merchant_id: str, product_code: str, price: Kopecks, *, buyer_id: str | None = None,
    now: datetime,
) -> Quote:  # fmt: skip
    """A quote by what the database says now. Raises: MerchantTermsMissing, BuyerNotFound."""
    offer = await load_offer(session, merchant_id, now=now)
    standing = None if buyer_id is None else await buyer_rows.load_standing(session, buyer_id, on=offer.on)
    return quote_offer(offer, price, product_code=product_code, standing=standing)[0]


def _quote(
    offer: Offer, product: Product, terms: MerchantTerms, price: Kopecks, standing: BuyerStanding | None
) -> Quote:
    least = max(product.price_min, terms.price_min or product.price_min)
    most = min(product.price_max, terms.price_max or product.price_max)
    schedule, reasons = _of_product(offer, product, terms, price)
    use, debt = None, Kopecks(0)
    if standing is not None:
        use, debt = LimitUse(standing.buyer.limit, standing.counts.used), standing.counts.used
        verdicts, _ = judge(facts_of(standing, price, offer.policy, on=offer.on), offer.policy)
        reasons += [verdict.reason for verdict in verdicts if verdict.reason is not None]
    return Quote(
        product, price, least, most, schedule, tuple(reasons), law.last_day_allowed(offer.on),
        law.needs_bureau(debt, price, contract_on=offer.on), use,
    )  # fmt: skip


def _of_product(
    offer: Offer, product: Product, terms: MerchantTerms, price: Kopecks
) -> tuple[tuple[Installment, ...], list[str]]:
    """The schedule, and what stands against it whoever buys: the same checks as of a real plan."""
    reasons: list[str] = []
    schedule: tuple[Installment, ...] = ()
    try:
        law.check_licence(offer.is_licensed, contract_on=offer.on)
    except InstallmentsRejected as refusal:
        reasons.append(refusal.code)
    try:
        check_price_range(price, product, terms)
        law.check_penalty(product.penalty_basis_points, contract_on=offer.on)
        schedule = build_schedule(price, product, first_due_on=offer.on)
        law.check_term(offer.on, schedule[-1].due_on)
    except InstallmentsRejected as refusal:
        reasons.append(refusal.code)
    return schedule, reasons
