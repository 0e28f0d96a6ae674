"""Debts that were written off and are sold."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.routes.installment_plans import actor_of
from api.wire import Body, Instant, Text, View
from checkout.bank_details import check_inn
from installments import debt_sales
from installments.debt_sales import SALE_PLANS_MAX, DebtSale
from installments.errors import DebtSaleNotFound
from ledger.database import Session, transaction
from ledger.money import Kopecks

router = door_router("/v1/installments/debt-sales", "installments")

CanManage = Annotated[Call, needs("installments:manage")]
PROCEEDS_KOPECKS_MAX = 10**13
PlanId = Annotated[str, Field(strict=True, pattern=r"^pln_[0-9a-z]{26}$")]


class DebtSaleBody(Body):
    """Which debts, to whom and for how much."""

    to_inn: Annotated[str, Field(strict=True, pattern=r"^([0-9]{10}|[0-9]{12})$", examples=["7707083893"])]
    contract_number: Annotated[Text, Field(max_length=64, examples=["Ц-2026/11"])]
    proceeds_kopecks: Annotated[int, Field(strict=True, ge=0, le=PROCEEDS_KOPECKS_MAX, examples=[1_500_000])]
    """What is paid for all of them."""
    plan_ids: Annotated[list[PlanId], Field(min_length=1, max_length=SALE_PLANS_MAX)]

    @model_validator(mode="after")
    def _check(self) -> DebtSaleBody:
        if len(set(self.plan_ids)) < len(self.plan_ids):
            raise ValueError("each debt is sold once")
        return self


class DebtSaleView(View):
    """A sale as it is booked."""

    id: str
    to_inn: str
    contract_number: str
    proceeds_kopecks: int
    owed_kopecks: int
    """What buyers still owed of these debts."""
    plan_ids: list[str]
    sold_at: Instant

    @classmethod
    def of(cls, sale: DebtSale, owed: Kopecks) -> DebtSaleView:
        """The sale, and what was owed of its debts."""
        return cls(
            id=sale.id, to_inn=sale.to_inn, contract_number=sale.contract_number, proceeds_kopecks=int(sale.proceeds),
            owed_kopecks=int(owed), plan_ids=sorted(sale.plan_ids), sold_at=sale.sold_at,
        )  # fmt: skip


@router.post("", status_code=201, response_model=DebtSaleView)
async def sell_plan_debts(body: DebtSaleBody, call: CanManage) -> Response:
    """Make debts over that were written off: the price makes the loss smaller, and later money is not ours."""
    check_inn(body.to_inn)

    async def work(session: Session, claim: Claim) -> DebtSaleView:
        sale = DebtSale(
            claim.resource_id, body.to_inn, body.contract_number, Kopecks(body.proceeds_kopecks),
            tuple(body.plan_ids), call.now,
        )  # fmt: skip
        return DebtSaleView.of(sale, await debt_sales.sell_debts(session, sale, actor_of(call)))

    return await once(call, work, prefix="dsl")


@router.get("/{sale_id}", response_model=DebtSaleView)
async def read_debt_sale(sale_id: str, call: CanManage) -> DebtSaleView:
    """A sale and its debts."""
    async with transaction(call.engine) as session:
        found = await debt_sales.load_sale(session, sale_id)
    if found is None:
        raise DebtSaleNotFound(sale_id=sale_id)
    return DebtSaleView.of(*found)
