"""Terminals (кассы): the tills of a store."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.wire import Body, Instant, Text, View
from checkout import onboarding, repository
from checkout.errors import TerminalNotFound
from checkout.merchants import Terminal
from ledger.database import Session, transaction

router = door_router("/v1/terminals", "terminals")


class TerminalBody(Body):
    """A till to be put into a store."""

    store_id: Annotated[str, Field(strict=True, max_length=40)]
    name: Annotated[Text, Field(max_length=100, examples=["Касса 1"])]


class TerminalView(View):
    """A till."""

    id: str
    store_id: str
    merchant_id: str
    name: str
    created_at: Instant

    @classmethod
    def of(cls, terminal: Terminal) -> TerminalView:
        """The till as it is shown."""
        return cls(
            id=terminal.id, store_id=terminal.store_id, merchant_id=terminal.merchant_id, name=terminal.name,
            created_at=terminal.created_at,
        )  # fmt: skip


@router.post("", status_code=201, response_model=TerminalView)
async def create_terminal(body: TerminalBody, call: Annotated[Call, needs("merchants:write")]) -> Response:
    """Put a till into a store."""

    async def work(session: Session, claim: Claim) -> TerminalView:
        terminal = await onboarding.add_terminal(
            session, claim.resource_id, store_id=body.store_id, name=body.name,
            merchant_id=call.caller.merchant_id, now=call.now,
        )  # fmt: skip
        return TerminalView.of(terminal)

    return await once(call, work, prefix="ter", location="/v1/terminals/{id}")


@router.get("/{terminal_id}")
async def read_terminal(terminal_id: str, call: Annotated[Call, needs("orders:read")]) -> TerminalView:
    """One till."""
    async with transaction(call.engine) as session:
        terminal = await repository.load_terminal(session, terminal_id)
    if not call.caller.sees(terminal.merchant_id):
        raise TerminalNotFound(terminal_id=terminal_id)
    return TerminalView.of(terminal)


@router.get("")
async def list_terminals(
    call: Annotated[Call, needs("orders:read")],
    merchant_id: str | None = None,
    store_id: str | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[TerminalView]:
    """Tills, oldest first."""
    whose = call.caller.merchant_id or merchant_id
    start = read_cursor("terminals", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await repository.list_terminals(
            session, merchant_id=whose, store_id=store_id, after=start, limit=limit
        )
    views = [TerminalView.of(terminal) for terminal in found]
    return page_of("terminals", views, has_more, views[-1].id if views else None, after)
