"""The plan for its buyer: what is paid and left, paying early, and the documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from api.errors import ResourceUnknown
from api.plan_early_payments import EarlyPayment, new_charge_id, pay_early
from api.plan_form import card_change
from api.plan_form.fields import amount_of
from api.plan_form.pages import paper_policy
from api.plan_form.texts import LANGS, card_reason, day, money
from api.plan_form.visit import Visit
from api.plan_views import movement_views
from checkout import card_payment_rows as cards
from installments import charge_rows
from installments.charges import LIVE, ChargeStatus
from installments.documents.document import DocumentFormat, DocumentLanguage, PlanDocumentKind
from installments.documents.issuing import (
    issue_schedule,
    issue_statement,
    issue_terms,
    list_documents,
    show_document,
)
from installments.documents.wording import MOVEMENTS
from installments.plan import PlanStatus, Standing
from ledger.clock import moscow_day
from ledger.database import Session, transaction
from ledger.money import Kopecks

REFRESH_SECONDS = 3
OPEN = frozenset({Standing.CURRENT, Standing.OVERDUE})


async def show_plan(visit: Visit, faults: Mapping[str, str] | None = None) -> Response:
    """How the plan stands."""
    if visit.session.charge_id is not None:
        return await show_payment(visit)
    if visit.session.change_id is not None:
        return await card_change.show_change(visit)
    plan = visit.plan
    async with transaction(visit.door.engine) as session:
        papers = await papers_of(session, visit)
        moves = await movement_views(session, plan.id)
        mask = await _card_mask(session, visit)
    movements = [
        {
            "name": MOVEMENTS[one.kind][LANGS.index(visit.lang)], "day": day(visit.lang, moscow_day(one.happened_at)),
            "amount": money(one.amount_kopecks) if one.amount_kopecks else "",
        }
        for one in moves
    ]  # fmt: skip
    total = plan.outstanding + plan.penalty
    return visit.shows(
        "plan.html", status=422 if faults else 200, **_standing(visit), facts=_facts(visit),
        can_pay=plan.standing in OPEN and total > 0 and not plan.is_paused, card_mask=mask,
        can_change_card=card_change.is_possible(visit), pay_choices=_choices(visit), documents=papers,
        movements=movements, faults=faults or {},
    )  # fmt: skip


async def pay(visit: Visit, form: Mapping[str, str]) -> Response:
    """Charge the plan's card now: what the buyer chose."""
    plan = visit.plan
    total = int(plan.outstanding + plan.penalty)
    wanted: Kopecks | None = None
    if form.get("part") == "amount":
        amount = amount_of(form.get("amount", ""), most=total, lang=visit.lang)
        if not isinstance(amount, int):
            return await show_plan(visit, {"amount": amount})
        wanted = Kopecks(amount)
    elif form.get("part") == "next":
        wanted = Kopecks(_next_amount(visit))
    charge_id = new_charge_id(visit.door)
    await pay_early(visit.door, EarlyPayment(plan.id, wanted, visit.by, charge_id, visit.session.buyer_id))
    return visit.with_session(charge_id=charge_id, is_fresh=False).goes_on("?view=plan")


async def show_payment(visit: Visit) -> Response:
    """What became of a payment: once it is known, it is told once."""
    assert visit.session.charge_id is not None
    async with transaction(visit.door.engine) as session:
        charge = await charge_rows.find_charge(session, visit.session.charge_id)
    if charge is not None and charge.status in LIVE:
        return visit.ends("wait", "checking", refresh_seconds=REFRESH_SECONDS)
    done = visit.with_session(charge_id=None)
    if charge is not None and charge.status is ChargeStatus.CAPTURED:
        lines = [visit.says("pay_done_lead", amount=money(charge.captured))]
        return done.ends("good", "pay_done", lines=lines, plan_link=True)
    why = card_reason(visit.lang, None if charge is None else charge.reason)
    return done.ends("bad", "pay_refused", lines=[visit.says("card_refused_lead", why=why)], plan_link=True)


async def give_document(visit: Visit, document_id: str) -> Response:
    """A document of this plan. Raises: ResourceUnknown, PlanDocumentNotFound."""
    now = visit.now
    async with transaction(visit.door.engine) as session:
        if document_id == "statement":
            language = DocumentLanguage(visit.lang)
            issued = await issue_statement(session, visit.plan.id, moscow_day(now), language=language, now=now)
            document_id = issued.id
        as_pdf = visit.request.query_params.get("as") == "pdf"
        format_ = DocumentFormat.PDF if as_pdf else DocumentFormat.HTML
        file = await show_document(session, document_id, format_, plan_id=visit.plan.id, now=now)
    headers = {"content-disposition": f'inline; filename="{file.name}"'}
    if not as_pdf:  # a browser's own reader of PDF runs in no sandbox
        headers["content-security-policy"] = paper_policy()
    return Response(file.content, 200, headers, file.media_type)


async def papers_of(session: Session, visit: Visit) -> list[dict[str, Any]]:
    """Documents of the plan: the agreement, the schedule as it stands, a statement made when it is asked for."""
    language, plan = DocumentLanguage(visit.lang), visit.plan
    if plan.status not in (PlanStatus.COMMITTED, PlanStatus.COMPLETED, PlanStatus.REFUNDED):
        raise ResourceUnknown()
    await issue_terms(session, plan, PlanDocumentKind.AGREEMENT, language=language, now=visit.now)
    await issue_schedule(session, plan.id, language=language, now=visit.now)
    issued = [one for one in await list_documents(session, plan.id) if one.language is language]
    shown = {}
    for one in issued:
        if one.kind is not PlanDocumentKind.STATEMENT:
            name = f"{visit.says(f'paper_{one.kind}')}{f' № {one.number}' if one.number > 1 else ''}"
            shown[one.kind, one.number] = {"id": one.id, "name": name, "day": day(visit.lang, one.issued_on)}
    today = {"id": "statement", "name": visit.says("paper_statement"), "day": day(visit.lang, moscow_day(visit.now))}
    return [*shown.values(), today]


async def _card_mask(session: Session, visit: Visit) -> str:
    if visit.plan.first_payment_id is None:
        return "••••"
    payment = await cards.load_payment(session, visit.plan.first_payment_id)
    return f"•••• {(payment.card_mask or '')[-4:]}"


def _standing(visit: Visit) -> dict[str, Any]:
    plan = visit.plan
    title, lead, late = visit.says(f"plan_{plan.standing}"), "", plan.standing is Standing.OVERDUE
    if plan.status is PlanStatus.REFUNDED:
        title, lead = visit.says("refunded"), visit.says("refunded_lead")
    elif plan.is_paused:
        lead = visit.says("plan_paused")
    elif late:
        lead = visit.says("plan_overdue_lead", amount=money(_due_amount(visit)))
    elif plan.standing is Standing.REPAID:
        lead = visit.says("plan_repaid_lead")
    elif plan.next_due_on is not None:
        on = day(visit.lang, plan.next_due_on)
        lead = visit.says("plan_next", amount=money(_next_amount(visit)), day=on)
    return {"standing_title": title, "standing_lead": lead, "is_late": late}


def _facts(visit: Visit) -> list[tuple[str, str]]:
    plan = visit.plan
    told = [
        ("fact_left", int(plan.outstanding)), ("fact_paid", sum(int(part.paid) for part in visit.parts)),
        ("fact_penalty_due", int(plan.penalty)), ("fact_refunded", int(plan.refunded)),
        ("fact_overpaid", int(plan.overpaid)),
    ]  # fmt: skip
    always = ("fact_left", "fact_paid")
    return [(visit.says(name), money(amount)) for name, amount in told if amount or name in always]


def _choices(visit: Visit) -> list[dict[str, Any]]:
    plan, total, part = visit.plan, int(visit.plan.outstanding + visit.plan.penalty), _next_amount(visit)
    name = "pay_due" if plan.standing is Standing.OVERDUE else "pay_next"
    choices = [{"part": "next", "kopecks": part, "text": visit.says(name, amount=money(part))}] if part < total else []
    return [*choices, {"part": "whole", "kopecks": total, "text": visit.says("pay_whole", amount=money(total))}]


def _next_amount(visit: Visit) -> int:
    """What is overdue with its penalty, or else the next installment."""
    if (due := _due_amount(visit)) > 0:
        return due
    unpaid = [int(part.unpaid) for part in visit.parts if part.unpaid > 0]
    return unpaid[0] if unpaid else 0


def _due_amount(visit: Visit) -> int:
    today = moscow_day(visit.now)
    late = sum(int(part.unpaid) for part in visit.parts if part.due_on < today)
    return late + int(visit.plan.penalty) if late or visit.plan.penalty else 0
