"""Cashiers (кассиры): who stands at tills."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.till_callers import merchant_of, till_actor
from api.wire import Body, Instant, Text, View
from checkout import cashiers
from checkout.premises import Cashier
from ledger.database import Session, transaction

router = door_router("/v1/cashiers", "cashiers")

CanManage = Annotated[Call, needs("tills:manage")]
CanRead = Annotated[Call, needs("orders:read")]


class CashierBody(Body):
    """A cashier to be taken in."""

    merchant_id: Annotated[str, Field(strict=True, max_length=40)] | None = None
    number: Annotated[str, Field(strict=True, pattern=r"^[0-9A-Za-z._-]{1,36}$", examples=["0042"])]
    name: Annotated[Text, Field(max_length=64, examples=["Иванова А. П."])]


class CashierView(View):
    """A cashier."""

    id: str
    merchant_id: str
    number: str
    name: str
    created_at: Instant
    left_at: Instant | None

    @classmethod
    def of(cls, cashier: Cashier) -> CashierView:
        """The cashier as slips and reports show them."""
        return cls(
            id=cashier.id, merchant_id=cashier.merchant_id, number=cashier.number, name=cashier.name,
            created_at=cashier.created_at, left_at=cashier.left_at,
        )  # fmt: skip


@router.post("", status_code=201, response_model=CashierView)
async def create_cashier(body: CashierBody, call: CanManage) -> Response:
    """Take a cashier in."""
    merchant_id = merchant_of(call, body.merchant_id)

    async def work(session: Session, claim: Claim) -> CashierView:
        cashier = await cashiers.add_cashier(
            session, claim.resource_id, merchant_id=merchant_id, number=body.number, name=body.name,
            by=till_actor(call), now=call.now,
        )  # fmt: skip
        return CashierView.of(cashier)

    return await once(call, work, prefix="csr", location="/v1/cashiers/{id}")


@router.post("/{cashier_id}/close", status_code=200, response_model=CashierView)
async def close_cashier(cashier_id: str, call: CanManage) -> Response:
    """A cashier leaves: no shift or turn begins with them any more."""

    async def work(session: Session, _claim: Claim) -> CashierView:
        return CashierView.of(
            await cashiers.end_cashier(
                session, cashier_id, merchant_id=call.caller.merchant_id, by=till_actor(call), now=call.now
            )
        )

    return await once(call, work, status=200)


@router.get("/{cashier_id}")
async def read_cashier(cashier_id: str, call: CanRead) -> CashierView:
    """One cashier."""
    async with transaction(call.engine) as session:
        return CashierView.of(await cashiers.load_cashier(session, cashier_id, merchant_id=call.caller.merchant_id))


@router.get("")
async def list_cashiers(
    call: CanRead, merchant_id: str | None = None, after: After = None, limit: Limit = PAGE_USUAL
) -> Page[CashierView]:
    """Cashiers, oldest first."""
    whose = call.caller.merchant_id or merchant_id
    start = read_cursor("cashiers", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await cashiers.list_cashiers(session, merchant_id=whose, after=start, limit=limit)
    views = [CashierView.of(cashier) for cashier in found]
    return page_of("cashiers", views, has_more, views[-1].id if views else None, after)
