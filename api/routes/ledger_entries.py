"""Entries (операции): book one or a thousand, try without booking, undo, read."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.door import Call, DirectRoute, needs
from api.entry_commit import book_once
from api.problems import to_bytes
from api.wire import AccountCode, Amount, Body, Commodity, Flag, Instant, Kind, Reference, View, Whole
from api.wire import show_instant, show_whole
from ledger import entry as forms
from ledger.entry import Booked, Condition, Entry, Posting
from ledger.ids import show

router = APIRouter(prefix="/v1/ledger/entries", tags=["ledger entries"], route_class=DirectRoute)


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
    metadata: dict[str, Any] = {}
    conditions: Annotated[list[ConditionBody], Field(max_length=forms.CONDITIONS_MAX)] = []


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


def entry_of(body: EntryBody) -> Entry:
    """The entry that a client asks for.

    Raises: EntryRejected if it breaks a rule of form.
    """
    entry = Entry(
        reference=body.reference,
        kind=body.kind,
        happened_at=body.happened_at,
        postings=tuple(Posting(p.debit, p.credit, p.amount, p.commodity) for p in body.postings),
        metadata=body.metadata,
        conditions=tuple(Condition(c.account, c.if_version, c.min_available_after) for c in body.conditions),
    )
    forms.check(entry)
    return entry


def entry_bytes(entry: Entry, booked: Booked) -> bytes:
    """A booked entry as ``EntryView`` in JSON, made once and kept."""
    return to_bytes(
        {
            "id": show("ent", booked.entry_id),
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


@router.post("", status_code=201, response_model=EntryView)
async def post_entry(call: Annotated[Call, needs("ledger:write")], body: EntryBody) -> Response:
    """Book one entry. The same reference and body under a new key gives the entry that is there, with 200."""
    return await book_once(call, entry_of(body))
