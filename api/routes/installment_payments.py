"""Payments of a plan (платежи по плану): paying early, charges, and the documents that tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from api import plan_early_payments
from api.door import Call, door_router, needs
from api.idempotency import Claim, in_phases, once
from api.plan_early_payments import EarlyPayment
from api.routes.installment_plans import CanRead, actor_of, load_own
from api.routes.installment_products import PRICE_KOPECKS_MAX
from api.wire import Body, Day, Instant, View
from installments import charge_rows
from installments.charges import Charge, ChargeKind, ChargeOutcome, ChargeStatus
from installments.collecting import AskedCharge
from installments.documents.document import DocumentFormat, DocumentLanguage, PlanDocumentKind
from installments.documents.issuing import (
    IssuedDocument,
    issue_schedule,
    issue_statement,
    issue_terms,
    list_documents,
    show_document,
)
from installments.plan import CollectorName, Plan
from ledger.clock import moscow_day
from ledger.database import Session, transaction
from ledger.money import Kopecks

router = door_router("/v1/installments/plans", "installments")

CanWrite = Annotated[Call, needs("installments:write")]
CanManage = Annotated[Call, needs("installments:manage")]


class EarlyPaymentBody(Body):
    """How much the buyer pays now; nothing said: all that is left, with penalty."""

    amount_kopecks: Annotated[int, Field(strict=True, ge=1, le=PRICE_KOPECKS_MAX, examples=[250_014])] | None = None


class PayOffView(View):
    """What it takes to end a plan today. Paying early costs nothing, by law."""

    plan_id: str
    on: Day
    outstanding_kopecks: int
    penalty_kopecks: int
    total_kopecks: int
    fee_kopecks: int = 0


class ChargeView(View):
    """One try to take what a plan owes; ``unknown`` is an answer too: read it again later."""

    id: str
    plan_id: str
    kind: ChargeKind
    due_on: Day
    tries: int
    amount_kopecks: int
    captured_kopecks: int
    collector: CollectorName
    status: ChargeStatus
    reason: str | None
    created_at: Instant
    ended_at: Instant | None

    @classmethod
    def of(cls, charge: Charge) -> ChargeView:
        """The try as it is shown."""
        return cls(
            id=charge.id, plan_id=charge.plan_id, kind=charge.kind, due_on=charge.due_on, tries=charge.tries,
            amount_kopecks=int(charge.amount), captured_kopecks=int(charge.captured), collector=charge.collector,
            status=charge.status, reason=charge.reason, created_at=charge.created_at, ended_at=charge.ended_at,
        )  # fmt: skip


class PlanDocumentView(View):
    """One issue of a document. It names no person."""

    id: str
    plan_id: str
    kind: PlanDocumentKind
    language: DocumentLanguage
    number: int
    issued_on: Day
    issued_at: Instant
    text_version: int
    sha256: str
    """Of its HTML, as a buyer is shown it."""

    @classmethod
    def of(cls, issued: IssuedDocument) -> PlanDocumentView:
        """The issue as it is shown."""
        return cls(
            id=issued.id, plan_id=issued.plan_id, kind=issued.kind, language=issued.language, number=issued.number,
            issued_on=issued.issued_on, issued_at=issued.issued_at, text_version=issued.text_version,
            sha256=issued.sha256,
        )  # fmt: skip


class PlanDocumentBody(Body):
    """Which document is wanted, as it stands today."""

    kind: PlanDocumentKind
    language: DocumentLanguage = DocumentLanguage.RU
    on: Day | None = None
    """For a statement: as of the end of which day; today when not said."""


@router.get("/{plan_id}/pay-off")
async def read_plan_pay_off(plan_id: str, call: CanRead) -> PayOffView:
    """What it takes to end a plan today."""
    async with transaction(call.engine) as session:
        plan = await load_own(session, plan_id, call)
    return PayOffView(
        plan_id=plan.id, on=moscow_day(call.now), outstanding_kopecks=int(plan.outstanding),
        penalty_kopecks=int(plan.penalty), total_kopecks=int(plan.outstanding + plan.penalty),
    )  # fmt: skip


@router.post("/{plan_id}/payments", status_code=201, response_model=ChargeView)
async def pay_plan_early(plan_id: str, body: EarlyPaymentBody, call: CanManage) -> Response:
    """Pay now for the buyer who asks for it, in part or all, by the plan's own card or binding.

    Intent: a charge. Call: the bank. Outcome: the plan. Buyers do it themselves at their link.
    """
    amount = None if body.amount_kopecks is None else Kopecks(body.amount_kopecks)

    async def intent(session: Session, claim: Claim) -> tuple[str, AskedCharge | None]:
        await load_own(session, plan_id, call)
        wanted = EarlyPayment(plan_id, amount, actor_of(call), claim.resource_id)
        return claim.resource_id, await plan_early_payments.begin(session, call.door, wanted)

    async def act(intended: tuple[str, AskedCharge | None]) -> Sequence[ChargeOutcome]:
        return await plan_early_payments.ask(call.door, intended[1])

    async def outcome(
        session: Session, intended: tuple[str, AskedCharge | None], told: Sequence[ChargeOutcome]
    ) -> ChargeView:
        return ChargeView.of(await plan_early_payments.finish(session, call.door, intended[0], told))

    return await in_phases(call, intent=intent, act=act, outcome=outcome, prefix="chg")


@router.get("/{plan_id}/payments")
async def list_plan_payments(plan_id: str, call: CanManage) -> list[ChargeView]:
    """All tries to take what a plan owes, oldest first. What they changed is among its movements."""
    async with transaction(call.engine) as session:
        plan = await load_own(session, plan_id, call)
        return [ChargeView.of(charge) for charge in await charge_rows.list_charges(session, plan.id)]


@router.get("/{plan_id}/documents")
async def list_plan_documents(plan_id: str, call: CanRead) -> list[PlanDocumentView]:
    """The documents of a plan that were issued, oldest first."""
    async with transaction(call.engine) as session:
        plan = await load_own(session, plan_id, call)
        return [PlanDocumentView.of(issued) for issued in await list_documents(session, plan.id)]


@router.post("/{plan_id}/documents", status_code=201, response_model=PlanDocumentView)
async def issue_plan_document(plan_id: str, body: PlanDocumentBody, call: CanWrite) -> Response:
    """Issue a document as it stands today; with nothing changed, it is the one that was issued before."""

    async def issue(session: Session, _claim: Claim) -> PlanDocumentView:
        plan = await load_own(session, plan_id, call)
        issued = await _issue(session, plan, body, body.on or moscow_day(call.now), call)
        return PlanDocumentView.of(issued)

    return await once(call, issue)


@router.get("/{plan_id}/documents/{document_id}", response_class=Response)
async def download_plan_document(
    plan_id: str,
    document_id: str,
    call: CanRead,
    format_: Annotated[DocumentFormat, Query(alias="format")] = DocumentFormat.PDF,
) -> Response:
    """The bytes of a document, the same each time."""
    async with transaction(call.engine) as session:
        plan = await load_own(session, plan_id, call)
        file = await show_document(session, document_id, format_, plan_id=plan.id, now=call.now)
    headers = {"content-disposition": f'attachment; filename="{file.name}"', "etag": f'"{file.sha256}"'}
    return Response(file.content, 200, headers, file.media_type)


async def _issue(session: Session, plan: Plan, body: PlanDocumentBody, on: date, call: Call) -> IssuedDocument:
    if body.kind is PlanDocumentKind.SCHEDULE:
        return await issue_schedule(session, plan.id, language=body.language, now=call.now)
    if body.kind is PlanDocumentKind.STATEMENT:
        return await issue_statement(session, plan.id, on, language=body.language, now=call.now)
    return await issue_terms(session, plan, body.kind, language=body.language, now=call.now)
