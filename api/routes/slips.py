"""Slips (слипы) of paid orders and of refunds: as JSON, as text, as a printer takes it, as a page to look at."""

from __future__ import annotations

from enum import StrEnum
from html import escape
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.errors import FieldFault, RequestInvalid
from api.idempotency import Claim, once
from api.slip_reads import issue_slip, read_slip
from api.wire import Body, View
from checkout.paper import COLUMNS
from checkout.premises_settings import setting_of
from checkout.slip_text import render_escpos, render_text
from checkout.slips import Slip, SlipCopy, by_payment_kind, receipt_block
from ledger.database import Session, transaction

router = door_router("/v1/orders", "orders")

CanRead = Annotated[Call, needs("orders:read")]
CanWrite = Annotated[Call, needs("orders:write")]
SETTING = "slip_columns"


class SlipFormat(StrEnum):
    """How a slip is written."""

    JSON = "json"
    TEXT = "text"
    ESCPOS = "escpos"
    HTML = "html"


class SlipBody(Body):
    """Whom the slip is for."""

    copy_for: SlipCopy = SlipCopy.BUYER


class SlipView(View):
    """A slip: the block that support and refunds need, sums for the till's own receipt, and its text."""

    order_id: str
    order_number: str
    issue: int
    """Which time it is handed out: above 1 a copy, 0 a preview."""
    copy_for: SlipCopy
    is_fiscal: bool = False
    amount_kopecks: int
    receipt_block: dict[str, str]
    by_payment_kind: dict[str, int]
    """For the fiscal receipt, which the till prints itself by 54-FZ."""
    columns: int
    text: str


FORMATS: dict[int | str, dict[str, object]] = {
    200: {"content": {"text/plain": {}, "application/octet-stream": {}, "text/html": {}}}
}


@router.post("/{order_id}/slips", status_code=201, response_model=SlipView)
async def create_slip(order_id: str, body: SlipBody, call: CanWrite) -> Response:
    """Hand a slip out: from the second time on it is a copy, and says so. Only a paid order has one."""

    async def work(session: Session, _claim: Claim) -> SlipView:
        slip = await issue_slip(
            session, order_id, merchant_id=call.caller.merchant_id, issued_by=f"caller:{call.caller.key_id}",
            copy=body.copy_for, now=call.now,
        )  # fmt: skip
        return _view(slip, await _columns(session, slip, None))

    return await once(call, work)


@router.get("/{order_id}/slip", responses=FORMATS, response_model=SlipView)
async def read_order_slip(
    order_id: str,
    call: CanRead,
    slip_format: Annotated[SlipFormat, Query(alias="format")] = SlipFormat.JSON,
    columns: Annotated[int | None, Query(description="32, 42 or 48; what is set for the till when not said.")] = None,
    copy_for: SlipCopy = SlipCopy.BUYER,
    refund_id: Annotated[str | None, Query(max_length=64, description="The slip of this refund.")] = None,
) -> Response:
    """Look at the slip of a paid order, or of a refund of it; nothing is written down."""
    async with transaction(call.engine) as session:
        slip = await read_slip(
            session, order_id, merchant_id=call.caller.merchant_id, copy=copy_for, refund_id=refund_id
        )
        width = await _columns(session, slip, columns)
    return _response(slip, slip_format, width)


async def _columns(session: Session, slip: Slip, asked: int | None) -> int:
    if asked is None:
        return int(await setting_of(session, slip.order.terminal_id, SETTING))
    if asked not in COLUMNS:
        raise RequestInvalid((FieldFault("/columns", "32, 42 or 48"),))
    return asked


def _response(slip: Slip, slip_format: SlipFormat, columns: int) -> Response:
    if slip_format is SlipFormat.TEXT:
        return Response(render_text(slip, columns), media_type="text/plain; charset=utf-8")
    if slip_format is SlipFormat.ESCPOS:
        return Response(render_escpos(slip, columns), media_type="application/octet-stream")
    if slip_format is SlipFormat.HTML:
        return Response(page_of(slip, columns), media_type="text/html; charset=utf-8", headers=PAGE_HEADERS)
    return Response(_view(slip, columns).model_dump_json(), media_type="application/json")


PAGE_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"}
"""The page is text and one rule of style; nothing is loaded."""


def page_of(slip: Slip, columns: int) -> str:
    """The slip as it will look on paper."""
    return (
        "<!doctype html><html lang=ru><meta charset=utf-8><title>Слип</title>"
        "<meta name=viewport content='width=device-width'>"
        "<style>body{background:#ddd}pre{background:#fff;width:max-content;margin:2em auto;padding:1em;"
        "font:14px/1.3 monospace}@media print{body{background:none}pre{margin:0;padding:0}}</style>"
        f"<pre>{escape(render_text(slip, columns))}</pre></html>"
    )


def _view(slip: Slip, columns: int) -> SlipView:
    return SlipView(
        order_id=slip.order.id, order_number=slip.order.number, issue=slip.issue, copy_for=slip.copy,
        amount_kopecks=int(slip.amount), receipt_block=receipt_block(slip), by_payment_kind=by_payment_kind(slip),
        columns=columns, text=render_text(slip, columns),
    )  # fmt: skip
