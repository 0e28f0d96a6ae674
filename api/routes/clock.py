"""The business clock: what time it is here, and, in a sandbox, moving it ahead."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.errors import ClockFixed
from api.idempotency import Claim, once
from api.settings import Mode
from api.wire import Body, Day, Instant, View
from ledger.clock import machine_now, moscow_day, read_offset, set_offset
from ledger.database import Session

router = door_router("/v1/clock", "clock")

ADVANCE_SECONDS_MAX = 366 * 24 * 3600
"""A year at a time."""


class AdvanceBody(Body):
    """How far to move the clock. It never goes back: the books would not follow."""

    seconds: Annotated[int, Field(strict=True, ge=1, le=ADVANCE_SECONDS_MAX)]


class ClockView(View):
    """The business time."""

    now: Instant
    moscow_day: Day
    offset_seconds: int
    """How far it is ahead of the machine's clock; always 0 in production."""
    is_movable: bool


@router.get("", response_model=ClockView)
async def read_clock(call: Annotated[Call, needs("")]) -> ClockView:
    """What time it is for schedules, holds and expiries."""
    return _view(call, call.door.clock.offset)


@router.post("/advance", status_code=200, response_model=ClockView)
async def advance_clock(call: Annotated[Call, needs("admin")], body: AdvanceBody) -> Response:
    """Move the clock of every process ahead. Production refuses it."""

    async def work(session: Session, _claim: Claim) -> ClockView:
        if call.door.settings.mode is not Mode.SANDBOX:
            raise ClockFixed()
        offset = await read_offset(session) + timedelta(seconds=body.seconds)
        await set_offset(session, offset)
        return _view(call, offset)

    response = await once(call, work, status=200, prefix="clk")
    await call.door.read_clock()
    return response


def _view(call: Call, offset: timedelta) -> ClockView:
    now = machine_now() + offset
    return ClockView(
        now=now, moscow_day=moscow_day(now), offset_seconds=int(offset.total_seconds()),
        is_movable=call.door.settings.mode is Mode.SANDBOX,
    )  # fmt: skip
