"""What the credit bureau will not take (отказы бюро): a person settles it, and it is sent again."""

from __future__ import annotations

from typing import Annotated, Any

from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.routes.installment_plans import actor_of
from api.wire import Day, Instant, View
from installments import bureau_deliveries
from installments.bureau import BureauEvent, BureauEventKind
from ledger.database import Session, transaction

router = door_router("/v1/installments/bureau-events", "installments")

CanManage = Annotated[Call, needs("installments:manage")]


class BureauEventView(View):
    """An event in its place of its plan's stream. Nobody is named in it."""

    id: str
    plan_id: str
    sequence: int
    kind: BureauEventKind
    happened_on: Day
    recorded_at: Instant
    facts: dict[str, Any]
    refusal: str | None = None
    """Why the bureau does not take it."""
    attempts: int | None = None

    @classmethod
    def of(cls, event: BureauEvent, refusal: str | None = None, attempts: int | None = None) -> BureauEventView:
        """The event as it is shown."""
        return cls(
            id=event.id, plan_id=event.plan_id, sequence=event.sequence, kind=event.kind,
            happened_on=event.happened_on, recorded_at=event.recorded_at, facts=dict(event.facts), refusal=refusal,
            attempts=attempts,
        )  # fmt: skip


@router.get("/refused")
async def list_refused_bureau_events(
    call: CanManage, after: After = None, limit: Limit = PAGE_USUAL
) -> Page[BureauEventView]:
    """Events that wait for a person, oldest first. Until one is taken, nothing later of its plan is told."""
    start = read_cursor("refused-bureau-events", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await bureau_deliveries.list_refused(session, after=start, limit=limit)
    views = [BureauEventView.of(each.event, each.refusal, each.attempts) for each in found]
    return page_of("refused-bureau-events", views, has_more, found[-1].event.id if found else None, after)


@router.post("/{event_id}/deliveries", status_code=201, response_model=BureauEventView)
async def resend_bureau_event(event_id: str, call: CanManage) -> Response:
    """Send a refused event again, under the same id."""

    async def work(session: Session, _claim: Claim) -> BureauEventView:
        return BureauEventView.of(
            await bureau_deliveries.resend_refused(session, event_id, actor_of(call), now=call.now)
        )

    return await once(call, work)
