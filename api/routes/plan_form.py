"""The buyer's form of a plan (анкета покупателя) at its link: pages of ours for browsers, and none of the API's.

No API key: a plan's link is its buyer's. What a visitor may do is decided by how the plan stands and by a code that
came to the buyer's phone. A form is taken from our own pages only: by its origin, and by a word in the cookie that it
repeats.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from api.bodies import read_body
from api.door import HEADERS, Door, OpenRoute
from api.errors import MediaTypeUnsupported, RequestInvalid, ResourceUnknown, RouteUnknown
from api.plan_form import cookie
from api.plan_form.deeds import DEEDS
from api.plan_form.opening import open_visit
from api.plan_form.pages import ASSETS, asset_answer, page, paper_policy
from api.plan_form.plan_page import give_document
from api.plan_form.steps import pack_of, show_step
from api.plan_form.texts import say
from api.plan_form.visit import Visit, lang_of
from api.rate_limit import Buckets
from installments.documents.document import DocumentFormat
from installments.documents.issuing import show_document
from installments.errors import (
    ChargeUnderWay,
    FirstPaymentBusy,
    LicenceNotActive,
    PlanDocumentNotFound,
    PlanNotCommitted,
    PlanNotFound,
)
from installments.plan import PlanStatus
from ledger.database import transaction
from ledger.errors import KopeykaError, Rejected
from ledger.ids import new_secret

FORM_BYTES_MAX = 8 * 1024
FIELDS_MAX = 20
VISITS_PER_SECOND = 5
"""Of one link: more than a person opens, with twice as many at once."""
DEEDS_PER_SECOND = 1
"""Of one link."""
NOT_THERE = (PlanNotFound, PlanDocumentNotFound, PlanNotCommitted, ResourceUnknown)

log = structlog.get_logger("plan_form")


class FormRoute(OpenRoute):
    """A route whose body is a form of a page of ours."""

    async def read(self, scope: Scope, receive: Receive) -> tuple[bytes, Any]:
        """The form's fields, each once. Raises: MediaTypeUnsupported, RequestInvalid, BodyTooLarge."""
        if scope["method"] in ("GET", "HEAD"):
            return b"", None
        raw = await read_body(receive, scope[HEADERS], FORM_BYTES_MAX)
        kind = scope[HEADERS].get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/x-www-form-urlencoded":
            raise MediaTypeUnsupported()
        try:
            fields = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
        except ValueError:
            raise RequestInvalid(()) from None
        if any("\0" in value for _, value in fields):
            raise RequestInvalid(())
        return raw, dict(fields)


router = APIRouter(prefix="/plans", route_class=FormRoute, include_in_schema=False)
visits, deeds = Buckets(VISITS_PER_SECOND), Buckets(DEEDS_PER_SECOND, burst_seconds=15)


@router.get("/assets/{name}")
async def load_plan_form_asset(name: str) -> Response:
    """The script or the style of the pages."""
    if name not in ASSETS:
        raise RouteUnknown()
    return asset_answer(name)


@router.get("/{link_code}")
async def show_plan_form(link_code: str, request: Request) -> Response:
    """The page of now."""
    return await _answered(request, link_code, visits, show_step)


@router.get("/{link_code}/pack")
async def show_plan_pack(link_code: str, request: Request) -> Response:
    """The terms, whole, before the buyer agrees."""

    async def show(visit: Visit) -> Response:
        async with transaction(visit.door.engine) as session:
            if visit.plan.status is not PlanStatus.NEW:
                raise PlanNotCommitted(plan_id=visit.plan.id)
            pack = await pack_of(session, visit)
            file = await show_document(session, pack.id, DocumentFormat.HTML, plan_id=visit.plan.id, now=visit.now)
        headers = {"content-security-policy": paper_policy(), "x-frame-options": "SAMEORIGIN"}
        return Response(file.content, 200, headers, file.media_type)

    return await _answered(request, link_code, visits, show)


@router.get("/{link_code}/documents/{document_id}")
async def show_plan_document(link_code: str, document_id: str, request: Request) -> Response:
    """A document of the plan, for its buyer."""

    async def show(visit: Visit) -> Response:
        return await give_document(visit, document_id) if visit.is_known else await show_step(visit)

    return await _answered(request, link_code, visits, show)


@router.post("/{link_code}/{deed}")
async def act_on_plan_form(link_code: str, deed: str, request: Request) -> Response:
    """What the buyer does."""
    form: dict[str, str] = request.scope["kopeyka.json"]
    if deed not in DEEDS:
        raise RouteUnknown()

    async def act(visit: Visit) -> Response:
        if not is_ours(request) or not cookie.is_same(form.get("csrf", ""), visit.session):
            return visit.ends("bad", "foreign", status=403)
        try:
            return await DEEDS[deed](visit, form)
        except LicenceNotActive:
            return visit.ends("bad", "closed", lines=(), return_url=visit.urls.fail_url)
        except (Rejected, ChargeUnderWay, FirstPaymentBusy) as refused:  # another tab was faster: what is true is shown
            log.info("plan_form_refused", code=refused.code)
            return visit.goes_on()

    return await _answered(request, link_code, deeds, act)


async def _answered(
    request: Request, link_code: str, buckets: Buckets, show: Callable[[Visit], Awaitable[Response]]
) -> Response:
    """A page whatever happens: a browser is at the other end."""
    door: Door = request.app.state.door
    client = request.client.host if request.client is not None else "unknown"
    try:
        visit = await open_visit(door, request, link_code)
        allowance = buckets.take(client if visit is None else visit.plan.id, "reads")
        if not allowance.is_granted:
            return _plain(request, "slow_down", 429, "wait")
        return _plain(request, "unknown", 404) if visit is None else await show(visit)
    except NOT_THERE as refused:
        log.info("plan_form_refused", code=refused.code)
        return _plain(request, "unknown", 404)
    except KopeykaError as error:
        log.warning("plan_form_failed", code=error.code)
        return _plain(request, "trouble", 503, "wait")


def is_ours(request: Request) -> bool:
    """Whether a form comes from a page of ours: a browser says where its page is from."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
    is_near = origin is None or origin.partition("://")[2] == request.headers.get("host")
    return is_near and site == "same-origin"


def _plain(request: Request, name: str, status: int, tone: str = "bad") -> Response:
    """A page about nobody's plan."""
    lang = lang_of(request)
    told = {"tone": tone, "heading": say(lang, name), "lines": [say(lang, f"{name}_lead")]}
    return page("outcome.html", lang, told, nonce=new_secret(""), status=status)
