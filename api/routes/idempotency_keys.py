"""Did it happen? What is known of an idempotency key or of a request."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path
from sqlalchemy import Row

from api.door import KEY_CHARACTERS_MAX, Call, door_router, needs
from api.errors import IdempotencyKeyUnknown, ResourceUnknown
from api.wire import Instant, View
from ledger.database import text, transaction

router = door_router("/v1", "idempotency")

Anyone = Annotated[Call, needs("")]


class KeyView(View):
    """One request that was to be carried out once."""

    key: str
    status: Literal["started", "finished"]
    """Started: its outcome is not known yet; repeat the request with the same key."""
    method: str
    route: str
    request_id: str
    api_key_id: str
    reason: str | None
    resource_id: str | None
    response_status: int | None
    is_answer_kept: bool
    """Whether a repeat still gets the first answer."""
    attempts: int
    created_at: Instant
    finished_at: Instant | None

    @classmethod
    def of(cls, row: Row[Any]) -> KeyView:
        return cls.model_validate(row, from_attributes=True)


class RequestsView(View):
    """The writes made under one request id."""

    items: list[KeyView]


@router.get("/idempotency-keys/{key}", response_model=KeyView)
async def read_key(call: Anyone, key: Annotated[str, Path(max_length=KEY_CHARACTERS_MAX)]) -> KeyView:
    """Whether the request with this key was carried out, and with what result."""
    async with transaction(call.engine) as session:
        query = text(f"{_SELECT} WHERE scope = :scope AND key = :key")
        row = (await session.execute(query, {"scope": call.caller.idempotency_scope, "key": key})).first()
    if row is None:
        raise IdempotencyKeyUnknown()
    return KeyView.of(row)


@router.get("/requests/{request_id}", response_model=RequestsView)
async def read_request(call: Anyone, request_id: Annotated[str, Path(max_length=64)]) -> RequestsView:
    """The caller's own writes under a ``Request-Id``. Refusals before the write, and reads, leave nothing."""
    async with transaction(call.engine) as session:
        query = text(f"{_SELECT} WHERE request_id = :id AND scope = :scope ORDER BY created_at, key LIMIT 200")
        rows = await session.execute(query, {"scope": call.caller.idempotency_scope, "id": request_id})
        found = [KeyView.of(row) for row in rows]
    if not found:
        raise ResourceUnknown()
    return RequestsView(items=found)


_SELECT = """SELECT key, status, method, route, request_id, api_key_id, reason, resource_id, response_status,
    response_body IS NOT NULL AS is_answer_kept, attempt_no AS attempts, created_at, finished_at
    FROM idempotency_keys"""
