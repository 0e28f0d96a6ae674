"""Registers (реестры) of banks: taken in as files, compared with our operations."""

from __future__ import annotations

import io
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from api.door import Call, door_router, needs, takes_body
from api.files import FILE_BODY, file_router
from api.idempotency import Claim, once
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.wire import Day, Instant, View
from ledger.database import Session, transaction
from sbp_gateway.errors import RegisterNotAbsent, RegisterNotFound
from sbp_gateway.registers import checking, intake, repository
from sbp_gateway.registers.intake import RegisterArrival
from sbp_gateway.registers.profile import load_profile
from sbp_gateway.registers.reading import FooterVerdict
from sbp_gateway.registers.register import (
    BookTotal,
    CheckTotal,
    CheckVerdict,
    Register,
    RegisterCheck,
    RegisterDifference,
    RegisterScope,
    RegisterStatus,
)

router = door_router("/v1/sbp/registers", "SBP registers")
intake_router = file_router("/v1/sbp/registers", "SBP registers")

FILE_BYTES_MAX = 8 * 1024 * 1024
"""About fifty thousand lines: as much as one request may keep a connection for. Larger files go in by the
command line."""
CanRead = Annotated[Call, needs("orders:read")]
CanWrite = Annotated[Call, needs("ledger:write")]


class CheckTotalView(View):
    """Everything that got one verdict, on both sides."""

    verdict: CheckVerdict
    lines: int
    line_kopecks: int
    line_fee_kopecks: int
    operations: int
    operation_kopecks: int
    operation_fee_kopecks: int

    @classmethod
    def of(cls, total: CheckTotal) -> CheckTotalView:
        """The total as it is shown."""
        return cls(
            verdict=total.verdict, lines=total.lines, line_kopecks=total.line_amount, line_fee_kopecks=total.line_fee,
            operations=total.operations, operation_kopecks=total.operation_amount,
            operation_fee_kopecks=total.operation_fee,
        )  # fmt: skip


class BookTotalView(View):
    """One kind of operation on all three sides."""

    kind: str
    register_kopecks: int
    operation_kopecks: int
    book_kopecks: int
    """The gross amounts of the operations' entries."""
    register_less_operations_kopecks: int
    operations_less_books_kopecks: int
    operations: int
    differing: int
    """Operations that the books do not have, or have with another gross amount."""

    @classmethod
    def of(cls, total: BookTotal) -> BookTotalView:
        """The total as it is shown."""
        return cls(
            kind=total.kind, register_kopecks=total.line_amount, operation_kopecks=total.operation_amount,
            book_kopecks=total.book_amount, register_less_operations_kopecks=total.register_less_ours,
            operations_less_books_kopecks=total.ours_less_books, operations=total.operations,
            differing=total.differing,
        )  # fmt: skip


class RegisterCheckView(View):
    """The latest comparison of a register with our operations of its day, and of these with the books."""

    number: int
    checked_at: Instant
    is_clean: bool
    """Nothing differs."""
    totals: list[CheckTotalView]
    books: list[BookTotalView]
    """The third side; empty when nobody has an operation on the day."""

    @classmethod
    def of(cls, check: RegisterCheck) -> RegisterCheckView:
        """The comparison as it is shown."""
        totals = [CheckTotalView.of(total) for total in check.totals]
        books = [BookTotalView.of(total) for total in check.books]
        return cls(
            number=check.number, checked_at=check.checked_at, is_clean=check.is_clean, totals=totals, books=books
        )  # fmt: skip


class RegisterView(View):
    """A bank's register of one day."""

    id: str
    profile: str
    day: Day
    member_id: str | None
    merchant_id: str | None
    is_absent: bool
    """The bank sent no file for this day."""
    lines: int
    payments_kopecks: int
    refunds_kopecks: int
    payouts_kopecks: int
    fees_kopecks: int
    footer: FooterVerdict
    """The bank's own totals against the lines added again."""
    footer_amount_kopecks: int | None
    footer_fee_kopecks: int | None
    status: RegisterStatus
    taken_at: Instant
    check: RegisterCheckView | None

    @classmethod
    def of(cls, register: Register, check: RegisterCheck | None) -> RegisterView:
        """The register as it is shown."""
        totals = register.totals
        return cls(
            id=register.id, profile=register.profile, day=register.day_on, member_id=register.scope.member_id,
            merchant_id=register.scope.merchant_id, is_absent=register.is_absent, lines=totals.lines,
            payments_kopecks=totals.payments, refunds_kopecks=totals.refunds, payouts_kopecks=totals.payouts,
            fees_kopecks=totals.fees, footer=register.footer, footer_amount_kopecks=register.footer_amount,
            footer_fee_kopecks=register.footer_fee, status=register.status, taken_at=register.taken_at,
            check=None if check is None else RegisterCheckView.of(check),
        )  # fmt: skip


class RegisterDifferenceView(View):
    """A line, an operation of ours, or a pair of them, that did not simply match."""

    verdict: CheckVerdict
    is_other_day: bool
    kind: str
    line_number: int | None
    operation_id: str | None
    trx_id: str | None
    qrc_id: str | None
    line_kopecks: int | None
    line_fee_kopecks: int | None
    operation_kopecks: int | None
    operation_fee_kopecks: int | None
    book_kopecks: int | None
    """Of `differs_from_books`: what the books have, nothing when they have no entry."""

    @classmethod
    def of(cls, found: RegisterDifference) -> RegisterDifferenceView:
        """The difference as it is shown."""
        return cls(
            verdict=found.verdict, is_other_day=found.is_other_day, kind=found.kind, line_number=found.line_number,
            operation_id=found.operation_id, trx_id=found.trx_id, qrc_id=found.qrc_id,
            line_kopecks=found.line_amount, line_fee_kopecks=found.line_fee,
            operation_kopecks=found.operation_amount, operation_fee_kopecks=found.operation_fee,
            book_kopecks=found.book_amount,
        )  # fmt: skip


@intake_router.post("", status_code=201, response_model=RegisterView, openapi_extra=FILE_BODY)
@takes_body(bytes_max=FILE_BYTES_MAX)
async def create_register(
    call: CanWrite,
    profile: Annotated[str, Query(description="How the bank writes its registers.", examples=["raiffeisen_sbp"])],
    day: Annotated[Day, Query(description="The Moscow day that the register is of.")],
    merchant_id: Annotated[str | None, Query(description="Of one merchant; of all when not given.")] = None,
    member_id: Annotated[
        str | None, Query(pattern="^[0-9]{12}$", description="Of one bank, by NSPK's number of it.")
    ] = None,
    is_absent: Annotated[bool, Query(description="The bank sent no file for this day: send no body.")] = False,
) -> Response:
    """Take a bank's file in, whole or not at all, and compare it with our operations of the day."""
    form = load_profile(profile)

    async def work(session: Session, claim: Claim) -> RegisterView:
        arrival = RegisterArrival(claim.resource_id, form, day, RegisterScope(member_id, merchant_id))
        if is_absent and call.raw:
            raise RegisterNotAbsent(bytes=len(call.raw))
        if is_absent:
            await intake.record_absence(session, arrival, now=call.now)
        else:
            await intake.take_in(session, arrival, io.BytesIO(call.raw), now=call.now)
        check = await checking.check_three_sides(session, arrival.id, now=call.now)
        return RegisterView.of(await repository.load_register(session, arrival.id), check)

    return await once(call, work, prefix="reg", location="/v1/sbp/registers/{id}")


@router.post("/{register_id}/checks", status_code=201, response_model=RegisterCheckView)
async def check_register(register_id: str, call: CanWrite) -> Response:
    """Compare a register again: we may have learnt more since."""

    async def work(session: Session, _claim: Claim) -> RegisterCheckView:
        return RegisterCheckView.of(await checking.check_three_sides(session, register_id, now=call.now))

    return await once(call, work, prefix="chk")


@router.get("/{register_id}")
async def read_register(register_id: str, call: CanRead) -> RegisterView:
    """One register, and what its latest comparison has shown."""
    async with transaction(call.engine) as session:
        register = await _seen(session, call, register_id)
        return RegisterView.of(register, await repository.last_check(session, register))


@router.get("/{register_id}/differences")
async def list_differences(
    register_id: str, call: CanRead, after: After = None, limit: Limit = PAGE_USUAL
) -> Page[RegisterDifferenceView]:
    """What the latest comparison found that did not simply match."""
    start = int(read_cursor("differences", after) or 0)
    async with transaction(call.engine) as session:
        register = await _seen(session, call, register_id)
        check = await repository.last_check(session, register)
        found, has_more = await repository.list_differences(
            session, register, check_number=check.number if check else 0, after=start, limit=limit
        )
    views = [RegisterDifferenceView.of(one) for one in found]
    return page_of("differences", views, has_more, str(found[-1].place) if found else None, after)


@router.get("")
async def list_registers(
    call: CanRead, day: Day | None = None, after: After = None, limit: Limit = PAGE_USUAL
) -> Page[RegisterView]:
    """Registers in the order they were taken in."""
    start = int(read_cursor("registers", after) or 0)
    async with transaction(call.engine) as session:
        found, has_more = await repository.list_registers(
            session, day_on=day, merchant_id=call.caller.merchant_id, after=start, limit=limit
        )
    views = [RegisterView.of(register, None) for register in found]
    return page_of("registers", views, has_more, str(found[-1].number) if found else None, after)


async def _seen(session: Session, call: Call, register_id: str) -> Register:
    """A register that the caller may see. Raises: RegisterNotFound."""
    register = await repository.load_register(session, register_id)
    if not call.caller.sees(register.scope.merchant_id or ""):
        raise RegisterNotFound(register_id=register_id)
    return register
