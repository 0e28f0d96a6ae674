"""Reports of plans (отчёты): arrears by days past due, how the portfolio moves, merchants' registers."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.errors import FieldFault, RequestInvalid
from api.routes.installment_plans import CanRead
from api.vault_calls import whose
from api.wire import Day, View
from checkout.repository import load_merchant
from installments import portfolio, regulator
from installments.arrears import Bucket
from installments.merchant_register import RegisterPeriod, make_register
from installments.portfolio import RollRate, Vintage
from installments.regulator import ArrearsLine
from ledger.clock import moscow_day
from ledger.database import transaction

router = door_router("/v1/installments/reports", "installments")

CanManage = Annotated[Call, needs("installments:manage")]
OnDay = Annotated[Day, Query(description="A Moscow day.", examples=["2026-11-22"])]


class ArrearsLineView(View):
    """All plans with a debt that are equally late."""

    bucket: Bucket
    plans: int
    price_kopecks: int
    outstanding_kopecks: int
    penalty_kopecks: int
    average_price_kopecks: int
    average_term_days: int

    @classmethod
    def of(cls, line: ArrearsLine) -> ArrearsLineView:
        """The line as it is shown."""
        return cls(
            bucket=line.bucket, plans=line.plans, price_kopecks=int(line.price),
            outstanding_kopecks=int(line.outstanding), penalty_kopecks=int(line.penalty),
            average_price_kopecks=int(line.average_price), average_term_days=line.average_term_days,
        )  # fmt: skip


class ArrearsView(View):
    """The portfolio on one day, a line for each bucket."""

    on: Day
    plans: int
    outstanding_kopecks: int
    lines: list[ArrearsLineView]


class RollRateView(View):
    """What stood in one bucket on the first day, and where it stood on the second."""

    of: Bucket
    to: str
    """A bucket, ``repaid`` or ``written_off``."""
    plans: int
    amount_kopecks: int

    @classmethod
    def shown(cls, rate: RollRate) -> RollRateView:
        """The cell as it is shown."""
        return cls(of=rate.of, to=rate.to, plans=rate.plans, amount_kopecks=int(rate.amount))


class VintageView(View):
    """Plans of one month of contract, as they stood on a snapshot's day."""

    month_on: Day
    plans: int
    sold_kopecks: int
    outstanding_kopecks: int
    late_kopecks: int
    written_off_kopecks: int

    @classmethod
    def of(cls, vintage: Vintage) -> VintageView:
        """The month as it is shown."""
        return cls(
            month_on=vintage.month_on, plans=vintage.plans, sold_kopecks=int(vintage.sold),
            outstanding_kopecks=int(vintage.outstanding), late_kopecks=int(vintage.late),
            written_off_kopecks=int(vintage.written_off),
        )  # fmt: skip


@router.get("/arrears")
async def read_arrears(call: CanManage, on: OnDay | None = None) -> ArrearsView:
    """The portfolio by days past due: of a day that is over as it was kept, of today as plans stand."""
    today = moscow_day(call.now)
    async with transaction(call.engine) as session:
        report = await regulator.portfolio_report(session, on or today, today=today)
    plans, outstanding = report.total
    lines = [ArrearsLineView.of(line) for line in report.lines]
    return ArrearsView(on=report.on, plans=plans, outstanding_kopecks=int(outstanding), lines=lines)


@router.get("/roll-rates")
async def read_roll_rates(call: CanManage, from_on: OnDay, to_on: OnDay) -> list[RollRateView]:
    """Where the debt of one snapshot stood at a later one, by bucket."""
    if to_on <= from_on:
        raise RequestInvalid((FieldFault("query/to_on", "later than from_on"),))
    async with transaction(call.engine) as session:
        return [RollRateView.shown(rate) for rate in await portfolio.roll_rates(session, from_on, to_on)]


@router.get("/vintages")
async def read_vintages(call: CanManage, on: OnDay) -> list[VintageView]:
    """By month of contract: what was sold, and what of it is owed, late and written off as of a snapshot."""
    async with transaction(call.engine) as session:
        return [VintageView.of(vintage) for vintage in await portfolio.vintages(session, on)]


@router.get("/registers/{period}/{begins_on}", response_class=Response)
async def download_plan_register(
    period: RegisterPeriod, begins_on: Day, call: CanRead, merchant_id: str | None = None
) -> Response:
    """A merchant's register of a day or month that is over, as CSV: the same bytes each time."""
    merchant = whose(call, merchant_id)
    async with transaction(call.engine) as session:
        await load_merchant(session, merchant)
        register = await make_register(session, merchant, period, begins_on, now=call.now)
    headers = {"content-disposition": f'attachment; filename="{register.name}"', "etag": f'"{register.sha256}"'}
    return Response(register.content, 200, headers, "text/csv; charset=utf-8")
