"""Accounts of the books: open, read, list, close; their balances and statements."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import Field, WithJsonSchema
from starlette.responses import Response

from api.answers import JSON
from api.door import Call, door_router, needs, reads_directly
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.wire import ACCOUNT_CODE, SAFE_MAX, AccountCode, Body, Commodity, Instant, View, Whole
from ledger import accounts, balances, entry, statements
from ledger.accounts import Account, AccountTerms
from ledger.database import Session, transaction
from ledger.errors import EntryRejected
from ledger.ids import show

router = door_router("/v1/ledger/accounts", "ledger accounts")

_NOT_ABOVE_ZERO = {
    "oneOf": [
        {"type": "integer", "minimum": -SAFE_MAX, "maximum": 0},
        {"type": "string", "pattern": "^(0|-[1-9][0-9]{0,17})$"},
    ]
}
Side = Literal["debit", "credit"]
Code = Annotated[str, Path(pattern=ACCOUNT_CODE, max_length=250, examples=["asset:cash:till_1"])]
Reader = Annotated[Call, needs("ledger:read")]
Writer = Annotated[Call, needs("ledger:write")]


class AccountBody(Body):
    """The terms of a new account."""

    code: AccountCode
    commodity: Commodity = "RUB"
    normal_side: Side | None = None
    """The side that grows it; follows the first word of the code."""
    available_min: Annotated[Whole, WithJsonSchema(_NOT_ABOVE_ZERO)] | None = None
    """What must stay available: 0 means that it may not be overdrawn."""
    balance_max: Whole | None = None
    metadata: Annotated[dict[str, Any], Field(default_factory=dict)]


class AccountView(View):
    """An account. Balances are on its normal side."""

    code: str
    commodity: str
    normal_side: Side
    balance: Whole
    """What is booked."""
    pending: Whole
    """What the balance will be when every hold is posted."""
    available: Whole
    """What can be spent."""
    debits_posted: Whole
    credits_posted: Whole
    debits_held: Whole
    credits_held: Whole
    available_min: Whole | None
    balance_max: Whole | None
    version: int
    opened_at: Instant
    closed_at: Instant | None
    metadata: dict[str, Any]

    @classmethod
    def of(cls, account: Account) -> AccountView:
        return cls.model_validate(account, from_attributes=True)


class BalanceView(View):
    """A balance, now or at an instant of one of the two times."""

    account: str
    commodity: str
    normal_side: Side
    balance: Whole
    available: Whole | None = None
    """Only of the present."""
    pending: Whole | None = None
    version: int | None = None
    debits: Whole | None = None
    """Turnover, for ``happened_at``."""
    credits: Whole | None = None
    recorded_at: Instant | None = None
    happened_at: Instant | None = None


class StatementLineView(View):
    """One posting as one of its accounts sees it."""

    version: int
    entry_id: str
    number: int
    counter_account: str
    debit: Whole
    credit: Whole
    balance: Whole
    kind: str
    reference: str
    happened_at: Instant
    recorded_at: Instant


class StatementView(View):
    """A page of an account's movements between two balances."""

    account: str
    commodity: str
    opening: Whole
    closing: Whole
    lines: list[StatementLineView]
    has_more: bool
    next: str | None


@router.post("", status_code=201, response_model=AccountView)
async def open_account(call: Writer, body: AccountBody) -> Response:
    """Open an account. The same terms again give the account that is there."""

    async def work(session: Session, _claim: Claim) -> AccountView:
        if body.metadata:
            entry.check_metadata(body.metadata)
        terms = AccountTerms(**body.model_dump())
        return AccountView.of(await accounts.open_account(session, terms, now=call.now))

    return await once(call, work, location=f"/v1/ledger/accounts/{body.code}")


@router.get("", response_model=Page[AccountView])
async def list_accounts(
    call: Reader,
    prefix: Annotated[str, Query(max_length=250, examples=["liability:merchant_payable"])] = "",
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[AccountView]:
    """Accounts under a path, in the order of their codes."""
    start = read_cursor("accounts", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await accounts.list_accounts(session, prefix=prefix, after=start, limit=limit)
    return page_of(
        "accounts", [AccountView.of(one) for one in found], has_more, found[-1].code if found else None, after
    )


@router.get("/{code}", response_model=AccountView)
async def read_account(call: Reader, code: Code) -> AccountView:
    """One account."""
    async with transaction(call.engine) as session:
        return AccountView.of(await balances.known_account(session, code))


@router.post("/{code}/close", status_code=200, response_model=AccountView)
async def close_account(call: Writer, code: Code) -> Response:
    """Close an account that is at zero and holds nothing."""

    async def work(session: Session, _claim: Claim) -> AccountView:
        await accounts.close_account(session, code, now=call.now)
        return AccountView.of(await balances.known_account(session, code))

    return await once(call, work, status=200)


async def read_balance_now(call: Call, code: str) -> Response:
    """The balance now, read together with those that others ask for."""
    return Response(await call.door.balances.submit(code), 200, media_type=JSON)


@router.get("/{code}/balance", response_model=BalanceView, response_model_exclude_none=True)
@reads_directly(read_balance_now)
async def read_balance(
    call: Reader,
    code: Code,
    recorded_at: Annotated[Instant | None, Query(description="As the books knew it then.")] = None,
    happened_at: Annotated[Instant | None, Query(description="As the world was then.")] = None,
) -> BalanceView:
    """The balance now, or as of an instant by one of the two clocks."""
    if recorded_at is not None and happened_at is not None:
        raise EntryRejected("ledger.invalid_entry", field="recorded_at", expected="one of the two times, not both")
    async with transaction(call.engine) as session:
        account = await balances.known_account(session, code)
        head = {"account": code, "commodity": account.commodity, "normal_side": account.normal_side}
        if recorded_at is not None:
            known = await balances.balance_recorded_at(session, code, recorded_at)
            return BalanceView(**head, balance=known.posted, version=known.version, recorded_at=recorded_at)
        if happened_at is not None:
            turnover = await balances.balance_happened_at(session, code, happened_at)
            return BalanceView(
                **head, balance=turnover.balance, debits=turnover.debits, credits=turnover.credits,
                happened_at=happened_at,
            )  # fmt: skip
    return BalanceView(
        **head, balance=account.balance, available=account.available, pending=account.pending, version=account.version
    )


@router.get("/{code}/statement", response_model=StatementView)
async def read_statement(call: Reader, code: Code, after: After = None, limit: Limit = PAGE_USUAL) -> StatementView:
    """A page of the account's movements, in the order they were booked."""
    kind = f"statement {code}"
    start = int(read_cursor(kind, after) or 0)
    async with transaction(call.engine) as session:
        found = await statements.statement(session, code, after_version=start, limit=limit)
    lines = [
        StatementLineView(
            version=line.version, entry_id=show("ent", line.entry_id), number=line.number,
            counter_account=line.counter_account, debit=line.debit, credit=line.credit, balance=line.balance,
            kind=line.kind, reference=line.reference, happened_at=line.happened_at, recorded_at=line.recorded_at,
        )
        for line in found.lines
    ]  # fmt: skip
    page = page_of(kind, lines, found.has_more, str(lines[-1].version) if lines else None, after)
    return StatementView(
        account=code, commodity=found.commodity, opening=found.opening, closing=found.closing, lines=lines,
        has_more=page.has_more, next=page.next,
    )  # fmt: skip
