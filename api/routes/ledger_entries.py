"""Entries (операции): book one or a thousand, try without booking, undo, read."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from api.answers import JSON, Answer
from api.door import Call, DirectRoute, door_router, needs
from api.entry_commit import book_once
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_uuid_cursor
from api.problems import to_bytes
from api.wire import (
    AccountCode,
    Amount,
    Body,
    Commodity,
    Instant,
    Kind,
    Reference,
    View,
    Whole,
    show_instant,
    show_whole,
)
from ledger import entry as forms
from ledger import ids, journal, statements
from ledger.database import Session, transaction
from ledger.entry import Booked, Condition, Entry, Posting, Refused
from ledger.errors import EntryRejected
from ledger.ids import show
from ledger.statements import EntryFilter, ListedEntry

TAG = "ledger entries"
hot_router = APIRouter(prefix="/v1/ledger/entries", tags=[TAG], route_class=DirectRoute)
router = door_router("/v1/ledger/entries", TAG)

Reader = Annotated[Call, needs("ledger:read")]
Writer = Annotated[Call, needs("ledger:write")]


class PostingBody(Body):
    """A проводка: an amount from the debit account (Дт) to the credit account (Кт)."""

    debit: AccountCode
    credit: AccountCode
    amount: Amount
    commodity: Commodity = "RUB"


class ConditionBody(Body):
    """What must hold about an account for the entry to be booked."""

    account: AccountCode
    if_version: Whole | None = None
    min_available_after: Whole | None = None


class EntryBody(Body):
    """An entry to book: 1 to 64 postings, all or nothing."""

    reference: Reference
    kind: Kind
    happened_at: Instant
    postings: Annotated[list[PostingBody], Field(min_length=1, max_length=forms.POSTINGS_MAX)]
    metadata: Annotated[dict[str, Any], Field(default_factory=dict)]
    conditions: Annotated[list[ConditionBody], Field(default_factory=list, max_length=forms.CONDITIONS_MAX)]


class ReversalBody(Body):
    """How to undo an entry."""

    reference: Reference
    happened_at: Instant


class PostingView(View):
    """A posting as the books keep it."""

    debit: str
    credit: str
    amount: Amount
    commodity: str
    debit_version: int
    debit_balance: Whole
    credit_version: int
    credit_balance: Whole


class EntryView(View):
    """A booked entry."""

    id: str
    reference: str
    kind: str
    happened_at: Instant
    recorded_at: Instant
    metadata: dict[str, Any]
    postings: list[PostingView]

    @classmethod
    def of(cls, entry: ListedEntry) -> EntryView:
        return cls(
            id=show("ent", entry.id), reference=entry.reference, kind=entry.kind, happened_at=entry.happened_at,
            recorded_at=entry.recorded_at, metadata=dict(entry.metadata),
            postings=[PostingView.model_validate(posting, from_attributes=True) for posting in entry.postings],
        )  # fmt: skip


def entry_of(body: EntryBody, *, is_linked: bool = False) -> Entry:
    """The entry that a client asks for; nobody has checked its form."""
    return Entry(
        reference=body.reference,
        kind=body.kind,
        happened_at=body.happened_at,
        postings=tuple([Posting(p.debit, p.credit, p.amount, p.commodity) for p in body.postings]),
        metadata=body.metadata,
        conditions=tuple([Condition(c.account, c.if_version, c.min_available_after) for c in body.conditions]),
        is_linked=is_linked,
    )


def checked_entry(body: EntryBody) -> Entry:
    """The entry that a client asks for.

    Raises: EntryRejected if it breaks a rule of form.
    """
    entry = entry_of(body)
    forms.check(entry)
    return entry


def entry_bytes(entry: Entry, booked: Booked, entry_id: str) -> bytes:
    """A booked entry as ``EntryView`` in JSON, made once and kept."""
    return to_bytes(
        {
            "id": entry_id,
            "reference": entry.reference,
            "kind": entry.kind,
            "happened_at": show_instant(entry.happened_at),
            "recorded_at": show_instant(booked.recorded_at),
            "metadata": entry.metadata,
            "postings": [
                {
                    "debit": b.posting.debit,
                    "credit": b.posting.credit,
                    "amount": show_whole(b.posting.amount),
                    "commodity": b.posting.commodity,
                    "debit_version": b.debit_version,
                    "debit_balance": show_whole(b.debit_balance),
                    "credit_version": b.credit_version,
                    "credit_balance": show_whole(b.credit_balance),
                }
                for b in booked.postings
            ],
        }
    )


@hot_router.post("", status_code=201, response_model=EntryView)
async def post_entry(call: Writer, body: EntryBody) -> Response:
    """Book one entry. The same reference and body under a new key gives the entry that is there, with 200."""
    return await book_once(call, checked_entry(body))


@router.post("/dry-run", status_code=200, response_model=EntryView)
async def try_entry(call: Writer, body: EntryBody) -> Response:
    """What booking the entry would answer, with the balances after it. Nothing is booked, no key is used up."""
    entry = checked_entry(body)
    async with transaction(call.engine) as session:
        (verdict,) = await journal.dry_run(session, [entry], now=call.now)
    if isinstance(verdict, Refused):
        raise verdict.error()
    return Response(entry_bytes(entry, verdict, show("ent", verdict.entry_id)), 200, media_type=JSON)


@router.get("", response_model=Page[EntryView])
async def list_entries(
    call: Reader,
    kind: Annotated[str | None, Query(max_length=64)] = None,
    reference_prefix: Annotated[str | None, Query(max_length=128)] = None,
    account_prefix: Annotated[str | None, Query(max_length=250)] = None,
    happened_from: Instant | None = None,
    happened_to: Instant | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[EntryView]:
    """Entries in the order they were made."""
    wanted = EntryFilter(kind, reference_prefix, account_prefix, happened_from, happened_to)
    start = read_uuid_cursor("entries", after)
    async with transaction(call.engine) as session:
        found, has_more = await statements.list_entries(session, wanted, after=start, limit=limit)
    return page_of(
        "entries", [EntryView.of(one) for one in found], has_more, str(found[-1].id) if found else None, after
    )


@router.get("/{entry_id}", response_model=EntryView)
async def read_entry(call: Reader, entry_id: str) -> EntryView:
    """One entry, whole."""
    async with transaction(call.engine) as session:
        return EntryView.of(await known_entry(session, read_entry_id(entry_id)))


@router.post("/{entry_id}/reversal", status_code=201, response_model=EntryView)
async def reverse_entry(call: Writer, entry_id: str, body: ReversalBody) -> Response:
    """Undo an entry (сторно): the same amounts the other way. An entry is reversed once."""
    uuid = read_entry_id(entry_id)

    async def work(session: Session, _claim: Claim) -> Answer:
        booked = await journal.reverse(
            session, uuid, reference=body.reference, happened_at=body.happened_at, now=call.now
        )
        view = EntryView.of(await known_entry(session, booked.entry_id))
        where = f"/v1/ledger/entries/{view.id}"
        return Answer(201, view.model_dump_json().encode(), JSON, where, view.id)

    return await once(call, work)


def read_entry_id(text: str) -> UUID:
    """The id in a path; one of another form names nothing.

    Raises: EntryRejected with ``ledger.unknown_entry``.
    """
    try:
        return ids.read("ent", text)
    except ValueError:
        raise EntryRejected("ledger.unknown_entry") from None


async def known_entry(session: Session, entry_id: UUID) -> ListedEntry:
    """The entry: the first on the page that begins just before it.

    Raises: EntryRejected with ``ledger.unknown_entry``.
    """
    before = UUID(int=max(entry_id.int - 1, 0))
    found, _ = await statements.list_entries(session, EntryFilter(), after=before, limit=1)
    if not found or found[0].id != entry_id:
        raise EntryRejected("ledger.unknown_entry", entry_id=show("ent", entry_id))
    return found[0]
