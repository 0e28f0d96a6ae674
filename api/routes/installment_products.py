"""Products of installments (продукты рассрочки), merchants' terms, and our own entry in the register of operators."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.errors import FieldFault, RequestInvalid
from api.idempotency import Claim, once
from api.wire import Body, Day, Flag, Text, View
from checkout.errors import MerchantNotFound
from checkout.repository import load_merchant
from installments import law, offering
from installments.products import MerchantTerms, PartRounding, Product, RefundPolicy, Step
from installments.repository import Licence
from ledger.database import Session, transaction
from ledger.money import Kopecks

router = door_router("/v1/installments", "installments")

PRICE_KOPECKS_MAX = 100_000_000
"""A million roubles: what one plan may be at most."""
LIFETIME_SECONDS_MAX = 30 * 24 * 3600
CAPITAL_KOPECKS_MAX = 10**15
CanRead = Annotated[Call, needs("installments:read")]
CanManage = Annotated[Call, needs("installments:manage")]
ProductCode = Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z0-9_]{1,31}$", examples=["dolyame"])]
MerchantId = Annotated[
    str, Field(strict=True, pattern=r"^mer_[0-9a-z]{26}$", examples=["mer_01kahs9m00e6srk3cffkt0m0ax"])
]
Price = Annotated[int, Field(strict=True, ge=1, le=PRICE_KOPECKS_MAX, examples=[150_000])]
BasisPoints = Annotated[int, Field(strict=True, ge=0, le=9_999, examples=[690])]
Lifetime = Annotated[int, Field(strict=True, ge=60, le=LIFETIME_SECONDS_MAX, examples=[21_600])]


class ProductBody(Body):
    """Terms of plans from a day on: the next version of a product, or the first."""

    code: ProductCode
    name: Annotated[Text, Field(max_length=100, examples=["Четыре платежа раз в две недели"])]
    """As buyers read it, in Russian."""
    effective_on: Day
    installments: Annotated[int, Field(strict=True, ge=2, le=24, examples=[4])]
    step: Step = Step.DAYS
    every: Annotated[int, Field(strict=True, ge=1, le=92, examples=[14])]
    first_share_basis_points: Annotated[int, Field(strict=True, ge=0, le=9_999, examples=[2_500])]
    rounding: PartRounding = PartRounding.KOPECK_FIRST
    price_min_kopecks: Price
    price_max_kopecks: Price
    order_lifetime_seconds: Lifetime = 21_600
    hold_lifetime_seconds: Lifetime = 432_000
    refund_policy: RefundPolicy = RefundPolicy.PROPORTIONAL
    penalty_basis_points: BasisPoints = 2_000
    """A year, of the overdue part."""
    penalty_grace_days: Annotated[int, Field(strict=True, ge=0, le=365)] = 0
    is_committed_at_once: Flag = False
    is_fee_returned: Flag = True

    def product(self) -> Product:
        """The terms as the rules know them; the version is given later. Raises: RequestInvalid."""
        refuse_disorder(self.price_min_kopecks, self.price_max_kopecks)
        return Product(
            code=self.code, version=1, name=self.name, effective_on=self.effective_on, installments=self.installments,
            step=self.step, every=self.every, first_share_basis_points=self.first_share_basis_points,
            rounding=self.rounding, price_min=Kopecks(self.price_min_kopecks),
            price_max=Kopecks(self.price_max_kopecks),
            order_lifetime=timedelta(seconds=self.order_lifetime_seconds),
            hold_lifetime=timedelta(seconds=self.hold_lifetime_seconds), refund_policy=self.refund_policy,
            penalty_basis_points=self.penalty_basis_points, penalty_grace_days=self.penalty_grace_days,
            is_committed_at_once=self.is_committed_at_once, is_fee_returned=self.is_fee_returned,
        )  # fmt: skip


class ProductView(View):
    """One version of a product."""

    code: str
    version: int
    name: str
    effective_on: Day
    installments: int
    step: Step
    every: int
    first_share_basis_points: int
    rounding: PartRounding
    price_min_kopecks: int
    price_max_kopecks: int
    order_lifetime_seconds: int
    hold_lifetime_seconds: int
    refund_policy: RefundPolicy
    penalty_basis_points: int
    penalty_grace_days: int
    is_committed_at_once: bool
    is_fee_returned: bool

    @classmethod
    def of(cls, product: Product) -> ProductView:
        """The version as it is shown."""
        return cls(
            code=product.code, version=product.version, name=product.name, effective_on=product.effective_on,
            installments=product.installments, step=product.step, every=product.every,
            first_share_basis_points=product.first_share_basis_points, rounding=product.rounding,
            price_min_kopecks=int(product.price_min), price_max_kopecks=int(product.price_max),
            order_lifetime_seconds=int(product.order_lifetime.total_seconds()),
            hold_lifetime_seconds=int(product.hold_lifetime.total_seconds()), refund_policy=product.refund_policy,
            penalty_basis_points=product.penalty_basis_points, penalty_grace_days=product.penalty_grace_days,
            is_committed_at_once=product.is_committed_at_once, is_fee_returned=product.is_fee_returned,
        )  # fmt: skip


class MerchantTermsBody(Body):
    """What a merchant pays for a product, from a day on."""

    merchant_id: MerchantId
    product_code: ProductCode
    effective_on: Day
    fee_basis_points: BasisPoints
    price_min_kopecks: Price | None = None
    price_max_kopecks: Price | None = None


class MerchantTermsView(View):
    """What a merchant pays for a product, from a day on."""

    merchant_id: str
    product_code: str
    effective_on: Day
    fee_basis_points: int
    price_min_kopecks: int | None
    price_max_kopecks: int | None

    @classmethod
    def of(cls, terms: MerchantTerms) -> MerchantTermsView:
        """The terms as they are shown."""
        return cls(
            merchant_id=terms.merchant_id, product_code=terms.product_code, effective_on=terms.effective_on,
            fee_basis_points=terms.fee_basis_points, price_min_kopecks=_plain(terms.price_min),
            price_max_kopecks=_plain(terms.price_max),
        )  # fmt: skip


class LicenceBody(Body):
    """What our entry in the Bank of Russia's register says from a day on."""

    effective_on: Day
    register_number: Annotated[Text, Field(max_length=64, examples=["26-0001"])]
    is_active: Flag
    capital_kopecks: Annotated[int, Field(strict=True, ge=0, le=CAPITAL_KOPECKS_MAX, examples=[500_000_000])]


class LicenceView(View):
    """What our entry in the register says from a day on."""

    effective_on: Day
    register_number: str
    is_active: bool
    capital_kopecks: int
    is_capital_enough: bool
    """Own funds are at what the law asks; shown, no plan is refused for it."""

    @classmethod
    def of(cls, licence: Licence) -> LicenceView:
        """The entry as it is shown."""
        return cls(
            effective_on=licence.effective_on, register_number=licence.register_number, is_active=licence.is_active,
            capital_kopecks=int(licence.capital),
            is_capital_enough=law.is_capital_enough(licence.capital, on=licence.effective_on),
        )  # fmt: skip


@router.post("/products", status_code=201, response_model=ProductView)
async def create_installment_product(body: ProductBody, call: CanManage) -> Response:
    """Offer a product, or its next version, from a day on. Plans keep the version they were made by."""

    async def work(session: Session, _claim: Claim) -> ProductView:
        return ProductView.of(await offering.offer_product(session, body.product(), **who(call), now=call.now))

    return await once(call, work)


@router.get("/products")
async def list_installment_products(call: CanRead) -> list[ProductView]:
    """All versions of all products, by code and version."""
    async with transaction(call.engine) as session:
        return [ProductView.of(product) for product in await offering.list_products(session)]


@router.post("/merchant-terms", status_code=201, response_model=MerchantTermsView)
async def create_merchant_terms(body: MerchantTermsBody, call: CanManage) -> Response:
    """Write down what a merchant has agreed to. Plans committed before keep their fee."""

    async def work(session: Session, _claim: Claim) -> MerchantTermsView:
        if not call.caller.sees(body.merchant_id):
            raise MerchantNotFound(merchant_id=body.merchant_id)
        refuse_disorder(body.price_min_kopecks, body.price_max_kopecks)
        await load_merchant(session, body.merchant_id)
        terms = MerchantTerms(
            body.merchant_id, body.product_code, body.effective_on, body.fee_basis_points,
            _kopecks(body.price_min_kopecks), _kopecks(body.price_max_kopecks),
        )  # fmt: skip
        await offering.agree_terms(session, terms, **who(call), now=call.now)
        return MerchantTermsView.of(terms)

    return await once(call, work)


@router.get("/merchant-terms")
async def list_merchant_terms(
    call: CanRead, merchant_id: str | None = None, product_code: str | None = None
) -> list[MerchantTermsView]:
    """What merchants have agreed to, by merchant, product and day."""
    whose = call.caller.merchant_id or merchant_id
    async with transaction(call.engine) as session:
        found = await offering.list_terms(session, merchant_id=whose, product_code=product_code)
        return [MerchantTermsView.of(terms) for terms in found]


@router.post("/licences", status_code=201, response_model=LicenceView)
async def create_operator_licence(body: LicenceBody, call: CanManage) -> Response:
    """Write down what the register says of us from a day on. Without an active entry no plan is made."""

    async def work(session: Session, _claim: Claim) -> LicenceView:
        capital = Kopecks(body.capital_kopecks)
        licence = Licence(body.effective_on, body.register_number, body.is_active, capital)
        await offering.record_licence(session, licence, **who(call), now=call.now)
        return LicenceView.of(licence)

    return await once(call, work)


@router.get("/licences")
async def list_operator_licences(call: CanRead) -> list[LicenceView]:
    """What the register has said of us, by day."""
    async with transaction(call.engine) as session:
        return [LicenceView.of(licence) for licence in await offering.list_licences(session)]


def who(call: Call) -> dict[str, str]:
    """Who acts, for the log."""
    return {"actor": f"caller:{call.caller.key_id}", "origin": call.request_id}


def refuse_disorder(least: int | None, most: int | None) -> None:
    """The least price is not above the most. Raises: RequestInvalid."""
    if least is not None and most is not None and least > most:
        raise RequestInvalid((FieldFault("/price_max_kopecks", "not below price_min_kopecks"),))


def _kopecks(amount: int | None) -> Kopecks | None:
    return None if amount is None else Kopecks(amount)


def _plain(amount: Kopecks | None) -> int | None:
    return None if amount is None else int(amount)
