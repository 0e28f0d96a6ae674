"""The timeline as a page, for support: an API key is typed once, and an id each time."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api.buyer_key import buyers_key, required_key
from api.callers import Caller
from api.door import REQUEST_ID, Door
from api.errors import CallRejected, RateLimited, ResourceUnknown
from api.rate_limit import Buckets
from api.routes.plan_form import FormRoute, is_ours
from api.settings import Mode
from api.timeline import remembering
from api.timeline.moments import MomentKind
from api.timeline.pages import page, timeline_page
from api.timeline.telling import Reader, tell_timeline
from api.timeline.texts import Lang
from ledger.database import transaction
from ledger.errors import KopeykaError
from pci.secret import Secret

PATH = "/timeline"
OBJECT_CHARACTERS_MAX = 200
KEY_CHARACTERS_MAX = 200

READS_PER_SECOND = 5
"""From one address: more than a person opens, fewer than it takes to guess keys."""
visits = Buckets(READS_PER_SECOND)

router = APIRouter(prefix=PATH, route_class=FormRoute, include_in_schema=False)
log = structlog.get_logger("timeline")


@router.get("")
async def show_timeline_form(request: Request) -> Response:
    """What is asked about, and by whom."""
    return page(lang_of(request), is_known=_remembered(request) is not None)


@router.post("")
async def ask_for_timeline(request: Request) -> Response:
    """Keep the key that was typed, and go on to the story."""
    form: dict[str, str] = request.scope["kopeyka.json"]
    lang, asked = lang_of(request), form.get("object_id", "").strip()
    if not is_ours(request):
        return page(lang, is_known=False, fault="refused", status=403)
    if form.get("leave"):
        return _with_cookie(request, RedirectResponse(f"{PATH}?lang={lang}", 303), "")
    if not (asked.isascii() and asked.isprintable() and 1 <= len(asked) <= OBJECT_CHARACTERS_MAX and "/" not in asked):
        return page(lang, is_known=_remembered(request) is not None, fault="unknown", status=404)
    onward = RedirectResponse(f"{request.url_for('show_timeline', object_id=asked).path}?lang={lang}", 303)
    typed = form.get("api_key", "").strip()
    if not typed:
        return onward
    try:
        await _caller(request, Secret(typed[:KEY_CHARACTERS_MAX]))
    except KopeykaError as refused:
        return _failed(request, refused, asked, is_known=False)
    door: Door = request.app.state.door
    sealed = remembering.seal(Secret(typed), required_key(buyers_key(door.settings)), door.clock.now())
    return _with_cookie(request, onward, sealed)


@router.get("/{object_id}")
async def show_timeline(object_id: str, request: Request) -> Response:
    """The story of what is asked about."""
    door: Door = request.app.state.door
    api_key, lang = _remembered(request), lang_of(request)
    if api_key is None:
        return page(lang, is_known=False, asked=object_id[:OBJECT_CHARACTERS_MAX])
    only = request.query_params.get("only", "")
    try:
        caller = await _caller(request, api_key)
        is_auditor = caller.merchant_id is None and "admin" in caller.scopes
        reader = Reader(f"caller:{caller.key_id}", request.scope[REQUEST_ID], caller.merchant_id, is_auditor)
        async with transaction(door.engine) as session:
            timeline = await tell_timeline(session, object_id, reader, now=door.clock.now())
    except KopeykaError as refused:
        return _failed(request, refused, object_id[:OBJECT_CHARACTERS_MAX], is_known=True)
    return timeline_page(lang, timeline, object_id, only if only in list(MomentKind) else "")


def lang_of(request: Request) -> Lang:
    """Russian, unless English is asked for."""
    return "en" if request.query_params.get("lang") == "en" else "ru"


def _failed(request: Request, refused: KopeykaError, asked: str, *, is_known: bool) -> Response:
    """A page whatever happens: a browser is at the other end."""
    lang = lang_of(request)
    if isinstance(refused, ResourceUnknown):
        return page(lang, is_known=is_known, fault="unknown", asked=asked, status=404)
    if isinstance(refused, RateLimited):
        return page(lang, is_known=is_known, fault="slow_down", asked=asked, status=429)
    if isinstance(refused, CallRejected):
        return page(lang, is_known=False, fault="refused", asked=asked, status=403)
    log.warning("timeline_failed", code=refused.code)
    return page(lang, is_known=is_known, fault="trouble", asked=asked, status=503)


async def _caller(request: Request, api_key: Secret) -> Caller:
    """Who reads. Raises: CallRejected."""
    door: Door = request.app.state.door
    allowance = visits.take(request.client.host if request.client is not None else "unknown", "reads")
    if not allowance.is_granted:
        raise RateLimited(retry_after_seconds=allowance.reset_seconds)
    caller = await door.callers.identify(f"Bearer {api_key.expose()}".encode(), door.clock.now())
    caller.require("orders:read")
    return caller


def _remembered(request: Request) -> Secret | None:
    door: Door = request.app.state.door
    value = request.cookies.get(remembering.SECURE_NAME) or request.cookies.get(remembering.NAME) or ""
    key = buyers_key(door.settings)
    return None if key is None else remembering.unseal(value, key, door.clock.now())


def _with_cookie(request: Request, answer: Response, value: str) -> Response:
    door: Door = request.app.state.door
    is_secure = door.settings.mode is Mode.PRODUCTION
    answer.headers["set-cookie"] = remembering.setting(value, PATH, is_secure=is_secure)
    return answer
