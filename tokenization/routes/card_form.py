"""The vault's origin: the card form, what it loads, where it posts, and where browsers tell of what it may not do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import structlog
from pydantic import Field
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from pci.redaction import redact_text
from tokenization import card_entry, card_sessions
from tokenization.card_entry import CardEntrant, TypedCard
from tokenization.errors import CardSessionNotFound, OriginForeign
from tokenization.ids import is_id, new_nonce
from tokenization.pages.card_form import ASSETS, asset, form_page, unknown_page
from tokenization.vault import Vault
from tokenization.wire import Body, View, answer, read, read_bytes, request_id_of

TYPED_BYTES_MAX = 1_024
"""A number, a month, a code and a name."""
REPORT_BYTES_MAX = 8_192
REPORT_CHARACTERS_MAX = 500
ASSET_SECONDS = 300

log = structlog.get_logger("vault")


class TypedCardBody(Body):
    """What the form sends. None of it is ever shown again."""

    pan: Annotated[str, Field(min_length=1, max_length=40)]
    expires_on: Annotated[str, Field(min_length=1, max_length=7)]
    cvc: Annotated[str, Field(max_length=4)] | None = None
    holder_name: Annotated[str, Field(max_length=64)] | None = None

    def __repr__(self) -> str:
        return "TypedCardBody(***)"

    __str__ = __repr__


class EnteredCardView(View):
    """What the page hears of the card."""

    session_id: str
    token: str
    mask: str
    scheme: str


def routes(vault: Vault) -> list[BaseRoute]:
    """Open to browsers."""

    async def show(request: Request) -> Response:
        id_, nonce = request.path_params["id"], new_nonce()
        try:
            if not is_id(card_sessions.PREFIX, id_):
                raise CardSessionNotFound
            async with vault.transactions() as session:
                form = await card_sessions.find_session(session, id_)
        except CardSessionNotFound:
            page = unknown_page(nonce)
            return HTMLResponse(page.html, 404, page.headers)
        page = form_page(form, is_over=form.expires_at <= vault.now(), nonce=nonce)
        return HTMLResponse(page.html, 200, page.headers)

    async def enter(request: Request) -> Response:
        refuse_foreign_page(request, vault.settings.public_url)
        body = await read(request, TypedCardBody, bytes_max=TYPED_BYTES_MAX)
        id_, client = request.path_params["id"], request.client.host if request.client else "unknown"
        entrant = CardEntrant("buyer", f"{client} {request_id_of(request)}")
        typed = TypedCard(body.pan, body.expires_on, body.cvc, body.holder_name)
        tokenized = await card_entry.enter(vault, id_, typed, entrant)
        card = tokenized.card
        return answer(EnteredCardView(session_id=id_, token=card.token, mask=card.mask, scheme=str(card.scheme)), 201)

    async def hear(request: Request) -> Response:
        said = redact_text((await read_bytes(request, REPORT_BYTES_MAX)).decode("utf-8", "replace"))
        log.warning("page_violation", said=said[:REPORT_CHARACTERS_MAX])
        return Response(status_code=204)

    return [
        Route("/card-forms/{id}", show),
        Route("/card-forms/{id}/card", enter, methods=["POST"]),
        *(Route(f"/assets/{name}", _load(name)) for name in ASSETS),
        Route("/csp-reports", hear, methods=["POST"]),
    ]


def _load(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def load(_request: Request) -> Response:
        headers = {"cache-control": f"public, max-age={ASSET_SECONDS}", "cross-origin-resource-policy": "same-origin"}
        return Response(asset(name), 200, headers, ASSETS[name])

    return load


def refuse_foreign_page(request: Request, own_origin: str) -> None:
    """Only our own page posts cards here: a browser says where its page is from. Raises: OriginForeign."""
    origin, site = request.headers.get("origin", ""), request.headers.get("sec-fetch-site", "same-origin")
    if origin != own_origin.rstrip("/") or site != "same-origin":
        raise OriginForeign()
