"""Reports of the books: trial balance, proofs, period closes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.wire import Body, Day, Instant, View, Whole
from ledger import balances, periods, proofs
from ledger.database import Session, transaction
from ledger.periods import PeriodClose

router = door_router("/v1/ledger", "ledger reports")

Reader = Annotated[Call, needs("ledger:read")]
Writer = Annotated[Call, needs("ledger:write")]


class TrialLineView(View):
    """One account that has moved."""

    code: str
    commodity: str
    normal_side: Literal["debit", "credit"]
    debits: Whole
    credits: Whole
    balance: Whole


class TrialTotalView(View):
    """All accounts of one commodity: debits equal credits."""

    commodity: str
    debits: Whole
    credits: Whole


class TrialBalanceView(View):
    """Оборотно-сальдовая ведомость, now or at the end of a Moscow day."""

    through_on: Day | None
    lines: list[TrialLineView]
    totals: list[TrialTotalView]
    is_balanced: bool


class BrokenProofView(View):
    """One place where a proof does not hold."""

    proof: str
    account: str | None
    facts: dict[str, Any]


class ProofsView(View):
    """What was proved, and where it does not hold."""

    holds: bool
    proofs: dict[str, str]
    broken: list[BrokenProofView]


class PeriodCloseBody(Body):
    """Close every day through this one."""

    through_on: Day


class PeriodCloseView(View):
    """A closed period with the proof of its balances."""

    through_on: Day
    closed_at: Instant
    closed_by: str
    accounts: int
    postings: int
    proof: str
    """SHA-256 over the lines ``code debits credits`` of every account."""

    @classmethod
    def of(cls, close: PeriodClose) -> PeriodCloseView:
        return cls(
            through_on=close.closed_through_on, closed_at=close.closed_at, closed_by=close.closed_by,
            accounts=close.accounts, postings=close.postings, proof=close.proof,
        )  # fmt: skip


class PeriodClosesView(View):
    """Every close of the book, the latest first."""

    items: list[PeriodCloseView]


@router.get("/trial-balance", response_model=TrialBalanceView)
async def read_trial_balance(
    call: Reader, through_on: Annotated[Day | None, Query(description="End of this Moscow day.")] = None
) -> TrialBalanceView:
    """Every account that has moved. Debits equal credits in each commodity."""
    async with transaction(call.engine) as session:
        found = await balances.trial_balance(session, through_on=through_on)
    totals = {
        commodity: TrialTotalView(
            commodity=commodity,
            debits=sum(line.debits for line in found if line.commodity == commodity),
            credits=sum(line.credits for line in found if line.commodity == commodity),
        )
        for commodity in sorted({line.commodity for line in found})
    }
    return TrialBalanceView(
        through_on=through_on,
        lines=[TrialLineView.model_validate(line, from_attributes=True) for line in found],
        totals=list(totals.values()),
        is_balanced=all(total.debits == total.credits for total in totals.values()),
    )


@router.get("/proofs", response_model=ProofsView)
async def read_proofs(call: Reader) -> ProofsView:
    """Prove the books over every row. Slow on large books, where ``kopeyka verify`` is the way."""
    async with transaction(call.engine) as session:
        broken = await proofs.broken_proofs(session)
    return ProofsView(
        holds=not broken,
        proofs=proofs.PROOFS,
        broken=[BrokenProofView.model_validate(one, from_attributes=True) for one in broken],
    )


@router.post("/period-closes", status_code=201, response_model=PeriodCloseView)
async def close_period(call: Writer, body: PeriodCloseBody) -> Response:
    """Close every day through one: nothing may be dated on or before it any more."""

    async def work(session: Session, _claim: Claim) -> PeriodCloseView:
        by = call.caller.name
        close = await periods.close_period(session, through_on=body.through_on, closed_by=by, now=call.now)
        return PeriodCloseView.of(close)

    return await once(call, work)


@router.get("/period-closes", response_model=PeriodClosesView)
async def list_period_closes(call: Reader) -> PeriodClosesView:
    """The closes of the book, the latest first."""
    async with transaction(call.engine) as session:
        found = await periods.list_closes(session)
    return PeriodClosesView(items=[PeriodCloseView.of(one) for one in found])
