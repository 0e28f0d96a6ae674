"""Shifts (смены) of tills: opened, X at any time, Z numbered and closing."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.till_callers import till_actor
from api.wire import Body, Instant, Text, View
from checkout import shift_rows, shifts
from checkout.premises_settings import setting_of
from checkout.shift_report import OperationKind, Shift, ShiftDifference, ShiftReport, ShiftTotal
from checkout.shift_sheet import render_xlsx
from checkout.shift_text import render_text
from ledger.database import Session, transaction
from ledger.money import Kopecks

router = door_router("/v1/shifts", "shifts")

CanRead = Annotated[Call, needs("orders:read")]
CanWrite = Annotated[Call, needs("orders:write")]
TOTALS_MAX = 32
"""Rails and kinds of operation that a till names: four times what there are."""
OPERATIONS_MAX = 2**31 - 1
TOLD_KOPECKS_MAX = 10**13
"""A hundred thousand million roubles in one shift: more is a mistake in the till's program."""
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Id = Annotated[str, Field(strict=True, max_length=40)]


OTHER_FORMS: dict[str, Any] = {"text/plain": {}, XLSX: {}}


class Form(StrEnum):
    """How a report is wanted: for programs, for a till's paper, for an accountant."""

    JSON = "json"
    TEXT = "text"
    XLSX = "xlsx"


class Columns(IntEnum):
    """Paper of 58 mm, of 76 mm, of 80 mm."""

    NARROW = 32
    MIDDLE = 42
    WIDE = 48


class ShiftBody(Body):
    """A shift to be opened, with a cashier at the till."""

    terminal_id: Id
    cashier_id: Id


class ShiftTurnBody(Body):
    """Another cashier at the till."""

    cashier_id: Id


class ShiftTotalBody(Body):
    """What the till itself has counted of one rail and kind of operation."""

    rail: Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z_]{0,31}$", examples=["sbp"])]
    kind: OperationKind
    operations: Annotated[int, Field(strict=True, ge=0, le=OPERATIONS_MAX)]
    amount_kopecks: Annotated[int, Field(strict=True, ge=0, le=TOLD_KOPECKS_MAX)]


class ShiftCloseBody(Body):
    """The end of a shift."""

    cashier_id: Id
    till_totals: Annotated[list[ShiftTotalBody], Field(max_length=TOTALS_MAX)] | None = None
    """The till's own totals, to be compared; what it does not name it counted as nothing, but for `points`."""
    difference_reason: Annotated[Text, Field(max_length=300)] | None = None
    """Needed where they differ."""


class ShiftView(View):
    """A shift of a till."""

    id: str
    terminal_id: str
    store_id: str
    merchant_id: str
    number: int
    opened_by: str
    opened_at: Instant
    closed_by: str | None
    closed_at: Instant | None
    difference_reason: str | None

    @classmethod
    def of(cls, shift: Shift) -> ShiftView:
        """The shift as it is shown."""
        return cls(
            id=shift.id, terminal_id=shift.terminal_id, store_id=shift.store_id, merchant_id=shift.merchant_id,
            number=shift.number, opened_by=shift.opened_by, opened_at=shift.opened_at, closed_by=shift.closed_by,
            closed_at=shift.closed_at, difference_reason=shift.difference_reason,
        )  # fmt: skip


class ShiftTotalView(View):
    """Operations of one rail and kind, of one cashier or of all."""

    rail: str
    kind: OperationKind
    operations: int
    amount_kopecks: int
    cashier_id: str | None = None
    cashier_name: str | None = None

    @classmethod
    def of(cls, total: ShiftTotal, name: str | None = None) -> ShiftTotalView:
        """The total as it is shown."""
        return cls(
            rail=total.rail, kind=total.kind, operations=total.operations, amount_kopecks=int(total.amount),
            cashier_id=total.cashier_id, cashier_name=name,
        )  # fmt: skip


class ShiftDifferenceView(View):
    """What the till counted otherwise."""

    rail: str
    kind: OperationKind
    operations: int
    amount_kopecks: int
    till_operations: int
    till_amount_kopecks: int

    @classmethod
    def of(cls, found: ShiftDifference) -> ShiftDifferenceView:
        """The difference as it is shown."""
        return cls(
            rail=found.rail, kind=found.kind, operations=found.operations, amount_kopecks=int(found.amount),
            till_operations=found.told, till_amount_kopecks=int(found.told_amount),
        )  # fmt: skip


class ShiftReportView(View):
    """X while the shift is open, Z when it is closed."""

    kind: Literal["x", "z"]
    shift: ShiftView
    store_name: str
    terminal_name: str
    printed_at: Instant
    is_overdue: bool
    """The shift lasts longer than the setting ``shift_hours_max`` allows."""
    by_rail: list[ShiftTotalView]
    by_cashier: list[ShiftTotalView]
    sales_kopecks: int
    refunds_kopecks: int
    takings_kopecks: int
    """Sales less refunds, in money: what came back in points stands in a row `points` of its own."""
    gross_kopecks: int
    """What the goods of all sales cost before discounts, promo codes and points."""
    discount_kopecks: int
    promo_kopecks: int
    points_kopecks: int
    differences: list[ShiftDifferenceView]

    @classmethod
    def of(cls, report: ShiftReport) -> ShiftReportView:
        """The report as it is shown."""
        baskets = report.baskets
        return cls(
            kind="z" if report.is_final else "x", shift=ShiftView.of(report.shift), store_name=report.store_name,
            terminal_name=report.terminal_name, printed_at=report.printed_at, is_overdue=report.is_overdue,
            by_rail=[ShiftTotalView.of(total) for total in report.by_rail],
            by_cashier=[ShiftTotalView.of(total, report.names.get(total.cashier_id or "")) for total in report.totals],
            sales_kopecks=int(report.of_kind(OperationKind.SALE)),
            refunds_kopecks=int(report.of_kind(OperationKind.REFUND)), takings_kopecks=report.takings,
            gross_kopecks=int(baskets.gross), discount_kopecks=int(baskets.discounts),
            promo_kopecks=int(baskets.promo_codes), points_kopecks=int(baskets.points),
            differences=[ShiftDifferenceView.of(each) for each in report.differences],
        )  # fmt: skip


@router.post("", status_code=201, response_model=ShiftView)
async def open_shift(body: ShiftBody, call: CanWrite) -> Response:
    """Open a till's shift; money that came since the last one is counted in it."""

    async def work(session: Session, claim: Claim) -> ShiftView:
        shift = await shifts.open_shift(
            session, claim.resource_id, body.terminal_id, cashier_id=body.cashier_id,
            merchant_id=call.caller.merchant_id, by=till_actor(call), now=call.now,
        )  # fmt: skip
        return ShiftView.of(shift)

    return await once(call, work, prefix="shf", location="/v1/shifts/{id}")


@router.post("/{shift_id}/turns", status_code=201, response_model=ShiftView)
async def begin_turn(shift_id: str, body: ShiftTurnBody, call: CanWrite) -> Response:
    """Another cashier stands at the till from now on; what is sold is counted as theirs."""

    async def work(session: Session, _claim: Claim) -> ShiftView:
        shift = await shifts.begin_turn(
            session, shift_id, cashier_id=body.cashier_id, merchant_id=call.caller.merchant_id, now=call.now
        )
        return ShiftView.of(shift)

    return await once(call, work, prefix="trn")


@router.post("/{shift_id}/close", status_code=200, response_model=ShiftReportView)
async def close_shift(shift_id: str, body: ShiftCloseBody, call: CanWrite) -> Response:
    """Close a shift by its Z report. Where the till counted otherwise, a reason is needed."""
    told = None
    if body.till_totals is not None:
        told = [
            ShiftTotal(each.rail, each.kind, each.operations, Kopecks(each.amount_kopecks))
            for each in body.till_totals
        ]  # fmt: skip

    async def work(session: Session, _claim: Claim) -> ShiftReportView:
        report = await shifts.close_shift(
            session, shift_id, cashier_id=body.cashier_id, merchant_id=call.caller.merchant_id, by=till_actor(call),
            now=call.now, told=told, difference_reason=body.difference_reason,
        )  # fmt: skip
        return ShiftReportView.of(report)

    return await once(call, work, status=200)


@router.get("/{shift_id}")
async def read_shift(shift_id: str, call: CanRead) -> ShiftView:
    """One shift."""
    async with transaction(call.engine) as session:
        return ShiftView.of(await shift_rows.load_shift(session, shift_id, merchant_id=call.caller.merchant_id))


@router.get("/{shift_id}/report", response_model=ShiftReportView, responses={200: {"content": OTHER_FORMS}})
async def read_report(
    shift_id: str,
    call: CanRead,
    form: Annotated[Form, Query(alias="format", description="How it is wanted.")] = Form.JSON,
    columns: Annotated[
        Columns | None, Query(description="Of the text; the till's setting slip_columns when not said.")
    ] = None,
) -> Response | ShiftReportView:
    """X while the shift is open, Z when it is closed; as often as wanted."""
    async with transaction(call.engine) as session:
        report = await shifts.report_of(session, shift_id, merchant_id=call.caller.merchant_id, now=call.now)
        width = columns or await setting_of(session, report.shift.terminal_id, "slip_columns")
    if form is Form.JSON:
        return ShiftReportView.of(report)
    if form is Form.TEXT:
        return Response(render_text(report, int(width)), media_type="text/plain; charset=utf-8")
    name = f"{'Z' if report.is_final else 'X'}-{report.shift.number}.xlsx"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(render_xlsx(report), media_type=XLSX, headers=headers)


@router.get("")
async def list_shifts(
    call: CanRead,
    merchant_id: str | None = None,
    terminal_id: str | None = None,
    is_open: bool | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[ShiftView]:
    """Shifts, oldest first."""
    whose = call.caller.merchant_id or merchant_id
    start = read_cursor("shifts", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await shift_rows.list_shifts(
            session, merchant_id=whose, terminal_id=terminal_id, is_open=is_open, after=start, limit=limit
        )
    views = [ShiftView.of(shift) for shift in found]
    return page_of("shifts", views, has_more, views[-1].id if views else None, after)
