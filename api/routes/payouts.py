"""Payouts (выплаты) and the runs that make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.wire import Body, Day, Instant, View
from checkout import repository as till_rows
from checkout.errors import MerchantNotFound
from checkout.merchants import Merchant
from ledger import chart
from ledger.database import Session, transaction
from reconciliation import paying_out, repository
from reconciliation.errors import PayoutNotFound
from reconciliation.payouts import MERCHANTS_MAX, Payee, Payout, PayoutRun, PayoutStatus
from sbp_gateway import repository as sbp

router = door_router("/v1", "payouts")

CanPayOut = Annotated[Call, needs("payouts:write")]


class PayoutRunBody(Body):
    """Whom to pay out, and for sales through which day."""

    merchant_ids: Annotated[list[str], Field(min_length=1, max_length=MERCHANTS_MAX)] | None = None
    """Every merchant when not given."""
    through_on: Day | None = None
    """The last Moscow day whose payments are paid out; everything available when not given."""


class PayoutRunView(View):
    """A run over merchants."""

    id: str
    through_on: Day | None
    payouts: int
    amount_kopecks: int
    created_at: Instant

    @classmethod
    def of(cls, run: PayoutRun) -> PayoutRunView:
        """The run as it is shown."""
        return cls(
            id=run.id, through_on=run.through_on, payouts=run.payouts, amount_kopecks=int(run.amount),
            created_at=run.created_at,
        )  # fmt: skip


class PayoutView(View):
    """Money on its way to a merchant's bank account."""

    id: str
    run_id: str
    merchant_id: str
    amount_kopecks: int
    status: PayoutStatus
    reason: str | None
    created_at: Instant
    sent_at: Instant | None

    @classmethod
    def of(cls, payout: Payout) -> PayoutView:
        """The payout as it is shown."""
        return cls(
            id=payout.id, run_id=payout.run_id, merchant_id=payout.merchant_id, amount_kopecks=int(payout.amount),
            status=payout.status, reason=payout.reason, created_at=payout.created_at, sent_at=payout.sent_at,
        )  # fmt: skip


@router.post("/payout-runs", status_code=201, response_model=PayoutRunView)
async def create_payout_run(body: PayoutRunBody, call: CanPayOut) -> Response:
    """Set aside what merchants are owed; the worker asks the bank for each payout."""

    async def work(session: Session, _claim: Claim) -> PayoutRunView:
        payees = await _payees(session, body.merchant_ids)
        run, _ = await paying_out.start_run(session, payees, through_on=body.through_on, now=call.now)
        return PayoutRunView.of(run)

    return await once(call, work, prefix="run")


async def _payees(session: Session, merchant_ids: Sequence[str] | None) -> list[Payee]:
    """Merchants whose money we collect; a direct one has its money already, and is paid only what was left before."""
    merchants = await _merchants(session, merchant_ids)
    members = await sbp.collecting_members(session, [merchant.id for merchant in merchants])
    return [
        Payee(
            merchant.id,
            merchant.bank_account.bik,
            merchant.bank_account.number,
            chart.sbp_settlement(members[merchant.id]),
        )
        for merchant in merchants
        if merchant.id in members
    ]


async def _merchants(session: Session, merchant_ids: Sequence[str] | None) -> list[Merchant]:
    if merchant_ids is None:
        found, has_more = await till_rows.list_merchants(session, limit=MERCHANTS_MAX)
        if has_more:
            raise MerchantNotFound(f"There are over {MERCHANTS_MAX} merchants: name those to pay out.")
        return found
    known = await till_rows.merchants_by_id(session, merchant_ids)
    for merchant_id in merchant_ids:
        if merchant_id not in known:
            raise MerchantNotFound(merchant_id=merchant_id)
    return list(known.values())


@router.get("/payouts/{payout_id}")
async def read_payout(payout_id: str, call: CanPayOut) -> PayoutView:
    """One payout."""
    async with transaction(call.engine) as session:
        payout = await repository.load_payout(session, payout_id)
    if not call.caller.sees(payout.merchant_id):
        raise PayoutNotFound(payout_id=payout_id)
    return PayoutView.of(payout)


@router.get("/payouts")
async def list_payouts(
    call: CanPayOut,
    run_id: str | None = None,
    merchant_id: str | None = None,
    status: PayoutStatus | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[PayoutView]:
    """Payouts, oldest first."""
    whose = call.caller.merchant_id or merchant_id
    start = read_cursor("payouts", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await repository.list_payouts(
            session,
            run_id=run_id,
            merchant_id=whose,
            status=status,
            after=start,
            limit=limit,
        )
    views = [PayoutView.of(payout) for payout in found]
    return page_of("payouts", views, has_more, views[-1].id if views else None, after)
