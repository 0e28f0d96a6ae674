"""Stores (торговые точки): one place or site of a merchant."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.wire import Body, Instant, Text, View
from checkout import onboarding, repository
from checkout.errors import MerchantNotFound, StoreNotFound
from checkout.merchants import Store
from ledger.database import Session, transaction

router = door_router("/v1/stores", "stores")


class StoreBody(Body):
    """A store to be opened."""

    merchant_id: Annotated[str, Field(strict=True, max_length=40)]
    name: Annotated[Text, Field(max_length=100, examples=["На Тверской"])]
    address: Annotated[Text, Field(max_length=300, examples=["Москва, Тверская, 1"])]


class StoreView(View):
    """A store."""

    id: str
    merchant_id: str
    name: str
    address: str
    created_at: Instant

    @classmethod
    def of(cls, store: Store) -> StoreView:
        """The store as it is shown."""
        return cls(
            id=store.id, merchant_id=store.merchant_id, name=store.name, address=store.address,
            created_at=store.created_at,
        )  # fmt: skip


@router.post("", status_code=201, response_model=StoreView)
async def create_store(body: StoreBody, call: Annotated[Call, needs("merchants:write")]) -> Response:
    """Open a store of a merchant."""

    async def work(session: Session, claim: Claim) -> StoreView:
        if not call.caller.sees(body.merchant_id):
            raise MerchantNotFound(merchant_id=body.merchant_id)
        store = await onboarding.open_store(
            session, claim.resource_id, merchant_id=body.merchant_id, name=body.name, address=body.address,
            now=call.now,
        )  # fmt: skip
        return StoreView.of(store)

    return await once(call, work, prefix="sto", location="/v1/stores/{id}")


@router.get("/{store_id}")
async def read_store(store_id: str, call: Annotated[Call, needs("orders:read")]) -> StoreView:
    """One store."""
    async with transaction(call.engine) as session:
        store = await repository.load_store(session, store_id)
    if not call.caller.sees(store.merchant_id):
        raise StoreNotFound(store_id=store_id)
    return StoreView.of(store)


@router.get("")
async def list_stores(
    call: Annotated[Call, needs("orders:read")],
    merchant_id: str | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[StoreView]:
    """Stores, oldest first."""
    whose = call.caller.merchant_id or merchant_id
    start = read_cursor("stores", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await repository.list_stores(session, merchant_id=whose, after=start, limit=limit)
    views = [StoreView.of(store) for store in found]
    return page_of("stores", views, has_more, views[-1].id if views else None, after)
