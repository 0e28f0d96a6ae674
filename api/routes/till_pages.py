"""The sandbox's till and phone: pages that call our own API as a till does, and a diagram of every call.

Sandbox alone: with real money there is no such address. A session's link is all that opens it.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api.door import Door
from api.errors import MediaTypeUnsupported, RouteUnknown
from api.loyalty_key import loyalty_key
from api.plan_form.texts import Lang
from api.plan_form.visit import lang_of
from api.rate_limit import Buckets
from api.routes.plan_form import FormRoute, is_ours
from api.settings import Mode
from api.till_pages.asking import Asking, OwnKey
from api.till_pages.at_till import AtTill
from api.till_pages.deeds import PHONE_DEEDS, TILL_DEEDS
from api.till_pages.devices import Devices
from api.till_pages.pages import ASSETS, asset_answer, fragment, page
from api.till_pages.phone_messages import texts_of
from api.till_pages.reading import read_again
from api.till_pages.sessions import TillSession, find_session, messages_of, save_changes, save_state
from api.till_pages.shop import open_session
from api.till_pages.views import PageOf, diagram_values, phone_values, till_values
from checkout import showings
from checkout.barcode_drawing import BarcodeKind
from ledger.database import transaction
from sbp_gateway.bank_list import list_banks

router = APIRouter(prefix="/till", route_class=FormRoute, include_in_schema=False)
OPENED_PER_SECOND = 1
"""Sessions of one address: each makes a till and a card."""
BANKS_SHOWN_MAX = 6
VIEWS = ("all", "till", "phone")
openings = Buckets(OPENED_PER_SECOND, burst_seconds=10)


@router.get("/assets/{name}")
async def load_till_asset(name: str) -> Response:
    """A script or the style of the pages."""
    if name not in ASSETS:
        raise RouteUnknown()
    return asset_answer(name)


@router.get("")
async def show_opening(request: Request) -> Response:
    """What the pages are, and the button that opens a till."""
    _sandbox(request)
    return page("opening.html", lang_of(request), {"path": "/till", "view": ""})


@router.post("")
async def open_till(request: Request) -> Response:
    """A till and a card of one's own."""
    door = _sandbox(request)
    client = request.client.host if request.client is not None else "unknown"
    if not is_ours(request) or not openings.take(client, "writes").is_granted:
        raise MediaTypeUnsupported()
    made = await open_session(_asking(request, None), now=door.clock.now())
    return RedirectResponse(f"/till/{made.link_code}?lang={lang_of(request)}", 303)


@router.get("/{link_code}")
async def show_till(link_code: str, request: Request) -> Response:
    """The till, the phone and the calls between them; ``view`` leaves one of the two out."""
    door, kept = await _opened(request, link_code)
    if kept is None:
        return _gone(request)
    view = request.query_params.get("view", "all")
    of = PageOf(kept, lang_of(request), door.clock.now())
    values = {panel: await _values(door, of, request, panel) for panel in ("phone", "till", "diagram")}
    panels = {panel: fragment(f"{panel}.html", of.lang, told) for panel, told in values.items()}
    shown = {"view": view if view in VIEWS else "all", "path": of.path, "panels": panels}
    return page("whole.html", of.lang, shown, form_origin=values["till"]["form_origin"])


@router.get("/{link_code}/{panel}")
async def show_panel(link_code: str, panel: str, request: Request) -> Response:
    """One panel anew, or nothing when it shows what is true."""
    door, kept = await _opened(request, link_code)
    if kept is None or panel not in ("till", "phone", "diagram"):
        raise RouteUnknown()
    if panel == "till":
        kept = await _read(request, door, kept)
    of = PageOf(kept, lang_of(request), door.clock.now())
    values = await _values(door, of, request, panel)
    if request.query_params.get("seen") == str(values["seen"]):
        return Response(status_code=204)
    return _panel(panel, of, values)


@router.post("/{link_code}/messages")
async def show_messages(link_code: str, request: Request) -> Response:
    """What a buyer's phone has got, the newest last: the code that signs a plan is among it. Kept nowhere."""
    door, kept = await _opened(request, link_code)
    if kept is None:
        raise RouteUnknown()
    if not is_ours(request):
        raise MediaTypeUnsupported()
    form: dict[str, str] = request.scope["kopeyka.json"] or {}
    return page("texts.html", lang_of(request), {"texts": await texts_of(door.settings, form.get("phone", ""))})


@router.post("/{link_code}/{deed}")
async def act_at_till(link_code: str, deed: str, request: Request) -> Response:
    """What the cashier or the buyer does."""
    door, kept = await _opened(request, link_code)
    act = TILL_DEEDS.get(deed) or PHONE_DEEDS.get(deed)
    if kept is None or act is None:
        raise RouteUnknown()
    if not is_ours(request):
        raise MediaTypeUnsupported()
    form: dict[str, str] = request.scope["kopeyka.json"] or {}
    state = await act(_at(request, kept), form)
    async with transaction(door.engine) as session:
        kept = await save_changes(session, kept, state)
    if "hx-request" not in request.headers:
        return RedirectResponse(f"/till/{link_code}?lang={lang_of(request)}&kind={_kind(request)}", 303)
    panel = "till" if deed in TILL_DEEDS else "phone"
    of = PageOf(kept, lang_of(request), door.clock.now())
    return _panel(panel, of, await _values(door, of, request, panel))


def _panel(panel: str, of: PageOf, values: dict[str, Any]) -> Response:
    """A part of a page. A page with the vault's form in it is loaded whole: its policy has to name the vault."""
    answered = page(f"{panel}.html", of.lang, values)
    if values.get("form") is not None:
        answered.headers["hx-refresh"] = "true"
    return answered


async def _read(request: Request, door: Door, kept: TillSession) -> TillSession:
    """The session after the till has asked how its order stands."""
    if kept.state.order is None:
        return kept
    state = await read_again(_at(request, kept), kept.state)
    if state == kept.state:
        return kept
    async with transaction(door.engine) as session:
        return await save_state(session, kept, state) or await find_session(session, kept.link_code) or kept


async def _values(door: Door, of: PageOf, request: Request, panel: str) -> dict[str, Any]:
    if panel == "till":
        return till_values(of)
    return await _phone(door, of, request) if panel == "phone" else await _diagram(door, of)


async def _phone(door: Door, of: PageOf, request: Request) -> dict[str, Any]:
    key = loyalty_key(door)
    async with transaction(door.engine) as session:
        card, showing = await showings.card_of_showing(
            session, of.kept.loyalty_card_id, of.kept.showing_id, merchant_id=of.kept.merchant_id
        )
        banks = await list_banks(session)
    asked = await _asking(request, None).ask("phone", "GET", f"/v1/loyalty-cards/{card.id}/points", is_told=False)
    points = int(asked.body["available"]) if asked.is_done else 0
    shown = showings.barcode_of(key, card, showing, now=of.now)
    values = phone_values(of, shown, card.number, _kind(request), points)
    return values | {"banks": [bank.name for bank in banks[:BANKS_SHOWN_MAX]]}


def _kind(request: Request) -> BarcodeKind:
    """How the phone is to draw its barcode: as it is asked to, else as a QR code."""
    return BarcodeKind.CODE_128 if request.query_params.get("kind") == "code_128" else BarcodeKind.QR_CODE


async def _diagram(door: Door, of: PageOf) -> dict[str, Any]:
    async with transaction(door.engine) as session:
        return diagram_values(of, await messages_of(session, of.kept.link_code))


def _sandbox(request: Request) -> Door:
    """The door of a sandbox. Raises: RouteUnknown where money is real."""
    door: Door = request.app.state.door
    if door.settings.mode is Mode.PRODUCTION:
        raise RouteUnknown()
    return door


async def _opened(request: Request, link_code: str) -> tuple[Door, TillSession | None]:
    door = _sandbox(request)
    if "\0" in link_code:
        return door, None
    async with transaction(door.engine) as session:
        return door, await find_session(session, link_code)


def _asking(request: Request, link_code: str | None) -> Asking:
    state = request.app.state
    if not hasattr(state, "till_pages_key"):
        state.till_pages_key = OwnKey()
    return Asking(request.app, state.door, state.till_pages_key, link_code)


def _at(request: Request, kept: TillSession) -> AtTill:
    state = request.app.state
    if not hasattr(state, "till_pages_devices"):
        state.till_pages_devices = Devices()
    door: Door = state.door
    scheme = "https" if door.settings.public_url.startswith("https://") else request.url.scheme
    origin = f"{scheme}://{request.headers.get('host', '')}"
    return AtTill(kept, _asking(request, kept.link_code), door.clock.now(), state.till_pages_devices, origin)


def _gone(request: Request) -> Response:
    lang: Lang = lang_of(request)
    return page("gone.html", lang, {"path": "/till", "view": ""}, status=404)
