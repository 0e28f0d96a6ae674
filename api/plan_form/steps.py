"""Which page a plan's link shows now: by how the plan stands and what the visitor has proven."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import Response

from api.plan_form.card_step import show_card_step
from api.plan_form.fields import phone_of, shown_phone
from api.plan_form.plan_page import show_plan
from api.plan_form.reasons import reasons_told
from api.plan_form.texts import day, money
from api.plan_form.visit import Visit
from installments import repository as rows
from installments.buyers import load_buyer
from installments.cancelling import CancelReason
from installments.deciding import find_decision
from installments.documents.document import DocumentLanguage, PlanDocumentKind
from installments.documents.issuing import IssuedDocument, issue_terms
from installments.plan import PlanStatus
from ledger.database import Session, transaction

EXPIRED = frozenset({CancelReason.ORDER_EXPIRED, CancelReason.HOLD_EXPIRED})
CONSENTS = ("agreement", "card")
"""What a plan is not made without. Telling a credit bureau is the law's, not the buyer's choice."""


async def show_step(visit: Visit) -> Response:
    """The page of now."""
    return await _STEPS[visit.plan.status](visit)


async def show_new(visit: Visit) -> Response:
    """A plan that waits for its buyer: details, then terms, then the code."""
    plan, session = visit.plan, visit.session
    if plan.expires_at is not None and plan.expires_at <= visit.now:
        return visit.ends("bad", "expired", status=410, return_url=visit.urls.fail_url)
    if session.code_sent_at is not None:
        return await show_code(visit)
    if session.typed.get("is_read"):
        return await show_terms(visit)
    return show_details(visit, session.typed, {})


def show_details(visit: Visit, typed: Mapping[str, str], faults: Mapping[str, str]) -> Response:
    """Who the buyer is."""
    status = 422 if faults else 200
    return visit.shows("details.html", status=status, steps=True, step=1, typed=typed, faults=faults)


async def show_terms(visit: Visit, faults: Mapping[str, str] | None = None) -> Response:
    """What the buyer agrees to, whole, before agreeing. Source: 283-FZ: the full text before the contract."""
    async with transaction(visit.door.engine) as session:
        pack = await pack_of(session, visit)
        product = await rows.load_product(session, visit.plan.product_code, visit.plan.product_version)
    percent = f"{product.penalty_basis_points / 100:g}".replace(".", "," if visit.lang == "ru" else ".")
    facts = [
        (visit.says("fact_price"), money(visit.plan.price)),
        (visit.says("fact_parts"), str(len(visit.parts))),
        (visit.says("fact_first"), money(visit.first_amount)),
        (visit.says("fact_last"), day(visit.lang, visit.parts[-1].due_on)),
        (visit.says("fact_fee"), money(0)),
        (visit.says("fact_penalty"), visit.says("penalty", percent=percent)),
    ]
    consents = [{"name": name, "text": visit.says(f"consent_{name}"), "is_needed": True} for name in CONSENTS]
    return visit.shows(
        "terms.html", status=422 if faults else 200, steps=True, step=2, facts=facts, consents=consents,
        pack_hash=pack.sha256, faults=faults or {},
    )  # fmt: skip


async def pack_of(session: Session, visit: Visit) -> IssuedDocument:
    """The pre-contract pack in the visitor's language, with today's schedule."""
    language = DocumentLanguage(visit.lang)
    return await issue_terms(session, visit.plan, PlanDocumentKind.PACK, language=language, now=visit.now)


async def show_code(visit: Visit, fault: str = "", *, status: int = 200) -> Response:
    """The code that signs, or that opens a plan to its buyer."""
    is_signing = visit.plan.status is PlanStatus.NEW
    return visit.shows(
        "code.html", status=status, steps=is_signing, step=3, is_signing=is_signing,
        phone_mask=await shown_phone_of(visit), faults={"code": fault},
    )  # fmt: skip


async def shown_phone_of(visit: Visit) -> str:
    """The phone that codes go to, with its middle hidden."""
    if visit.plan.buyer_id is None:
        phone = phone_of(visit.session.typed.get("phone", ""))
    else:
        async with transaction(visit.door.engine) as session:
            phone = (await load_buyer(session, visit.plan.buyer_id)).phone
    return "" if phone is None else shown_phone(phone)


async def show_approved(visit: Visit) -> Response:
    """A yes: the card comes next, or the bank is being asked."""
    return await show_card_step(visit) if visit.is_known else await show_locked(visit)


async def show_locked(visit: Visit) -> Response:
    """A plan that is somebody's: a code to that buyer's phone opens it."""
    if visit.session.buyer_id is not None:
        return visit.ends("bad", "elsewhere", status=409, again="leave", again_text=visit.says("leave"))
    if visit.session.code_sent_at is not None:
        return await show_code(visit)
    return visit.shows("known.html", phone_mask=await shown_phone_of(visit))


async def show_waiting(visit: Visit) -> Response:
    """The first installment is held."""
    return show_done(visit, "done_lead") if visit.is_known else await show_locked(visit)


async def show_begun(visit: Visit) -> Response:
    """The debt has begun: the way back to the shop once, then the plan."""
    if not visit.is_known:
        return await show_locked(visit)
    if visit.session.is_fresh and visit.request.query_params.get("view") != "plan":
        return show_done(visit, "paid_lead" if visit.plan.status is PlanStatus.COMPLETED else "done_lead")
    return await show_plan(visit)


def show_done(visit: Visit, lead: str) -> Response:
    """All is well: back to the shop."""
    is_begun = visit.plan.committed_at is not None
    lines = [visit.says(lead, amount=money(visit.first_amount))]
    return visit.ends("good", "done", lines=lines, return_url=visit.urls.success_url, plan_link=is_begun)


async def show_rejected(visit: Visit) -> Response:
    """A no, with its reasons for whom they are about."""
    reasons: tuple[str, ...] = ()
    if visit.is_known:
        async with transaction(visit.door.engine) as session:
            decision = await find_decision(session, visit.plan.id)
        codes = decision.reasons if decision is not None and decision.reasons else (visit.plan.reason or "",)
        reasons = reasons_told(visit.lang, codes)
    return visit.ends("bad", "rejected", reasons=reasons, return_url=visit.urls.fail_url)


async def show_canceled(visit: Visit) -> Response:
    """Given up: by time, by the shop, or by the buyer."""
    name = "expired" if visit.plan.reason in EXPIRED else "canceled"
    return visit.ends("bad", name, return_url=visit.urls.fail_url)


async def show_refunded(visit: Visit) -> Response:
    """All goods came back."""
    return await show_plan(visit) if visit.is_known else visit.ends("good", "refunded")


_STEPS: dict[PlanStatus, Callable[[Visit], Awaitable[Response]]] = {
    PlanStatus.NEW: show_new,
    PlanStatus.APPROVED: show_approved,
    PlanStatus.REJECTED: show_rejected,
    PlanStatus.WAIT_FOR_COMMIT: show_waiting,
    PlanStatus.COMMITTED: show_begun,
    PlanStatus.COMPLETED: show_begun,
    PlanStatus.CANCELED: show_canceled,
    PlanStatus.REFUNDED: show_refunded,
}
