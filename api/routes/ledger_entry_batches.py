"""Batches of entries: up to a thousand in one request, with a status for each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.answers import JSON, Answer
from api.bodies import ENTRY_BATCH_BYTES_MAX
from api.door import Call, DirectRoute, needs, takes_body
from api.idempotency import Claim, once
from api.problems import to_bytes
from api.routes.ledger_entries import TAG, EntryBody, entry_of
from api.wire import Body, Flag, Instant, View, show_instant
from ledger import journal
from ledger.database import Session
from ledger.entry import ENTRIES_MAX, Entry, Refused, Verdict, check_batch
from ledger.errors import LEDGER_REFUSALS, EntryRejected
from ledger.ids import new_uuids, show
from pci.redaction import redact

router = APIRouter(prefix="/v1/ledger/entry-batches", tags=[TAG], route_class=DirectRoute)


class EntryBatchBody(Body):
    """Entries to book, in order."""

    atomic: Flag
    """All or none. Otherwise one refused entry does not sink the others."""
    entries: Annotated[list[EntryBody], Field(min_length=1, max_length=ENTRIES_MAX)]


class BatchItemView(View):
    """What became of one entry."""

    reference: str
    status: Literal["booked", "replayed", "refused"]
    id: str | None = None
    recorded_at: Instant | None = None
    code: str | None = None
    """Why it was refused."""
    detail: str | None = None
    facts: dict[str, Any] | None = None


class EntryBatchView(View):
    """What became of a batch."""

    booked: int
    replayed: int
    refused: int
    items: list[BatchItemView]


@router.post("", status_code=200, response_model=EntryBatchView)
@takes_body(bytes_max=ENTRY_BATCH_BYTES_MAX)
async def post_batch(call: Annotated[Call, needs("ledger:write")], body: EntryBatchBody) -> Response:
    """Book a batch. Each entry's reference is its own key: what was booked before is not booked again."""
    entries = [entry_of(one, is_linked=body.atomic) for one in body.entries]
    entries[-1] = entry_of(body.entries[-1])
    check_batch(entries)

    async def work(session: Session, _claim: Claim) -> Answer:
        ids = new_uuids(call.now, len(entries))
        expected = [_expected(entry, one) for entry, one in zip(entries, ids, strict=True)]  # while no account waits
        verdicts = await journal.post_batch_as(session, entries, ids, now=call.now)
        if isinstance(verdicts, datetime):
            return Answer(200, _all_booked(expected, verdicts), JSON)
        if body.atomic:
            _refuse_whole(verdicts)
        items = [_item(entry, verdict) for entry, verdict in zip(entries, verdicts, strict=True)]
        return Answer(200, to_bytes(_summary(items)), JSON)

    return await once(call, work, status=200, prefix="bat")


def _refuse_whole(verdicts: list[Verdict]) -> None:
    """Refuse an atomic batch for the entry that sank it.

    Raises: EntryRejected, with the entry's place in the batch.
    """
    refused = [(place, verdict) for place, verdict in enumerate(verdicts) if isinstance(verdict, Refused)]
    for place, verdict in refused:
        if verdict.code != "ledger.linked_entry_refused":
            raise EntryRejected(verdict.code, **{**verdict.facts, "entry": place})
    if refused:
        raise refused[0][1].error()


def _expected(entry: Entry, entry_id: UUID) -> bytes:
    """The item of an entry that will be booked, but for the time, which only the books know."""
    reference = to_bytes(entry.reference)
    return b'{"reference":%b,"status":"booked","id":"%b"' % (reference, show("ent", entry.id or entry_id).encode())


def _all_booked(items: Sequence[bytes], recorded_at: datetime) -> bytes:
    tail = b',"recorded_at":"%s"}' % show_instant(recorded_at).encode()
    head = b'{"booked":%d,"replayed":0,"refused":0,"items":[' % len(items)
    return head + (tail + b",").join(items) + tail + b"]}"


def _item(entry: Entry, verdict: Verdict) -> dict[str, Any]:
    if isinstance(verdict, Refused):
        return {
            "reference": entry.reference, "status": "refused", "code": verdict.code,
            "detail": LEDGER_REFUSALS[verdict.code], "facts": redact(verdict.facts),
        }  # fmt: skip
    return {
        "reference": entry.reference, "status": "replayed" if verdict.is_replay else "booked",
        "id": show("ent", verdict.entry_id), "recorded_at": show_instant(verdict.recorded_at),
    }  # fmt: skip


def _summary(items: list[dict[str, Any]]) -> dict[str, Any]:
    statuses = [item["status"] for item in items]
    return {name: statuses.count(name) for name in ("booked", "replayed", "refused")} | {"items": items}
