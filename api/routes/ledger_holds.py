"""Holds (резервы): place, post whole or part, release, read."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_uuid_cursor
from api.wire import ACCOUNT_CODE, AccountCode, Amount, Body, Commodity, Flag, Instant, Kind, Reference, View, Whole
from ledger import holds, ids
from ledger.database import Session, transaction
from ledger.entry import check_metadata
from ledger.errors import EntryRejected
from ledger.holds import Hold, HoldRequest

router = door_router("/v1/ledger/holds", "ledger holds")

State = Literal["open", "posted", "released", "expired"]
Reader = Annotated[Call, needs("ledger:read")]
Writer = Annotated[Call, needs("ledger:write")]


class HoldBody(Body):
    """What to set aside: a posting that may still happen."""

    reference: Reference
    kind: Kind
    debit: AccountCode
    credit: AccountCode
    amount: Amount
    commodity: Commodity = "RUB"
    happened_at: Instant
    expires_at: Instant | None = None
    metadata: Annotated[dict[str, Any], Field(default_factory=dict)]


class PostHoldBody(Body):
    """How much of a hold to book."""

    reference: Reference
    happened_at: Instant
    amount: Amount | None = None
    """All that is held, when not given."""
    keep_rest: Flag = False
    """Keep holding the rest; otherwise it is released."""


class ReleaseHoldBody(Body):
    """Give back what is still held."""

    reference: Reference
    happened_at: Instant


class HoldView(View):
    """A hold."""

    id: str
    reference: str
    kind: str
    debit: str
    credit: str
    commodity: str
    amount: Whole
    amount_held: Whole
    amount_posted: Whole
    amount_released: Whole
    state: State
    happened_at: Instant
    expires_at: Instant | None
    recorded_at: Instant
    metadata: dict[str, Any]
    entry_id: str | None = None
    """The entry that this request booked."""

    @classmethod
    def of(cls, hold: Hold, entry_id: UUID | None = None) -> HoldView:
        return cls(
            id=ids.show("hld", hold.id), reference=hold.reference, kind=hold.kind, debit=hold.debit,
            credit=hold.credit, commodity=hold.commodity, amount=hold.amount, amount_held=hold.amount_held,
            amount_posted=hold.amount_posted, amount_released=hold.amount_released, state=hold.state,
            happened_at=hold.happened_at, expires_at=hold.expires_at, recorded_at=hold.recorded_at,
            metadata=dict(hold.metadata), entry_id=None if entry_id is None else ids.show("ent", entry_id),
        )  # fmt: skip


@router.post("", status_code=201, response_model=HoldView)
async def place_hold(call: Writer, body: HoldBody) -> Response:
    """Set money aside."""

    async def work(session: Session, _claim: Claim) -> HoldView:
        check_metadata(body.metadata)
        return HoldView.of(await holds.place(session, HoldRequest(**body.model_dump()), now=call.now))

    return await once(call, work, location="/v1/ledger/holds/{id}")


@router.get("", response_model=Page[HoldView])
async def list_holds(
    call: Reader,
    account: Annotated[str | None, Query(pattern=ACCOUNT_CODE)] = None,
    state: State | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[HoldView]:
    """Holds in the order they were placed."""
    start = read_uuid_cursor("holds", after)
    async with transaction(call.engine) as session:
        found, has_more = await holds.list_holds(session, account=account, state=state, after=start, limit=limit)
    return page_of("holds", [HoldView.of(one) for one in found], has_more, str(found[-1].id) if found else None, after)


@router.get("/{hold_id}", response_model=HoldView)
async def read_hold(call: Reader, hold_id: str) -> HoldView:
    """One hold."""
    async with transaction(call.engine) as session:
        return HoldView.of(await known_hold(session, read_hold_id(hold_id)))


@router.post("/{hold_id}/post", status_code=200, response_model=HoldView)
async def post_hold(call: Writer, hold_id: str, body: PostHoldBody) -> Response:
    """Book a hold, whole or in part. Дт its debit account Кт its credit account."""
    uuid = read_hold_id(hold_id)

    async def work(session: Session, _claim: Claim) -> HoldView:
        entry_id = await holds.post_part(
            session, uuid, reference=body.reference, happened_at=body.happened_at, now=call.now,
            amount=body.amount, keep_rest=body.keep_rest,
        )  # fmt: skip
        return HoldView.of(await known_hold(session, uuid), entry_id)

    return await once(call, work, status=200)


@router.post("/{hold_id}/release", status_code=200, response_model=HoldView)
async def release_hold(call: Writer, hold_id: str, body: ReleaseHoldBody) -> Response:
    """Give back what is still held."""
    uuid = read_hold_id(hold_id)

    async def work(session: Session, _claim: Claim) -> HoldView:
        await holds.release(session, uuid, reference=body.reference, happened_at=body.happened_at)
        return HoldView.of(await known_hold(session, uuid))

    return await once(call, work, status=200)


def read_hold_id(text: str) -> UUID:
    """The id in a path; one of another form names nothing.

    Raises: EntryRejected with ``ledger.unknown_hold``.
    """
    try:
        return ids.read("hld", text)
    except ValueError:
        raise EntryRejected("ledger.unknown_hold") from None


async def known_hold(session: Session, hold_id: UUID) -> Hold:
    """The hold.

    Raises: EntryRejected with ``ledger.unknown_hold``.
    """
    hold = await holds.find_hold(session, hold_id)
    if hold is None:
        raise EntryRejected("ledger.unknown_hold", hold_id=ids.show("hld", hold_id))
    return hold
