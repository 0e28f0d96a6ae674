"""A visit begun: the plan behind a link, with all that its pages show."""

from __future__ import annotations

from starlette.requests import Request

from api.door import Door
from api.plan_form import cookie
from api.plan_form.return_urls import find_return_urls
from api.plan_form.visit import Visit, key_of, lang_of
from api.plan_views import installments_of
from checkout.repository import load_merchant
from installments import repository as rows
from installments.plan import Plan
from ledger.clock import moscow_day
from ledger.database import Session, transaction

LINK_CHARACTERS_MAX = 64


async def open_visit(door: Door, request: Request, link_code: str) -> Visit | None:
    """The visit, or nothing if there is no such link."""
    if not (link_code.isascii() and link_code.isalnum() and len(link_code) <= LINK_CHARACTERS_MAX):
        return None
    async with transaction(door.engine) as session:
        plan = await rows.find_plan_by_link(session, link_code)
        return None if plan is None else await visit_of(session, door, request, plan)


async def visit_of(session: Session, door: Door, request: Request, plan: Plan) -> Visit:
    """The visit to a plan as it stands."""
    now = door.clock.now()
    merchant = await load_merchant(session, plan.merchant_id)
    operator_id = await rows.operator_merchant(session)
    operator = None if operator_id is None else await load_merchant(session, operator_id)
    remembered = cookie.read(request, key_of(door.settings), plan.id, now)
    return Visit(
        door, request, plan, remembered or cookie.begin(plan.id, now), lang_of(request), now, merchant.name,
        "" if operator is None else operator.legal_name, await find_return_urls(session, plan.id),
        await installments_of(session, plan, on=moscow_day(now)),
    )  # fmt: skip
