"""Service routes of card entry: forms are opened and looked at, sealed cards come in, public keys go out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage
from pci.card_numbers import without_long_number
from tokenization import card_entry, card_sessions, sealed_cards
from tokenization.card_entry import CardEntrant
from tokenization.card_sessions import CardSession, WantedCardSession
from tokenization.entry_terms import TermsBody
from tokenization.errors import RequestInvalid
from tokenization.routes.cards import CardView
from tokenization.vault import Vault
from tokenization.wire import Body, Peer, View, answer, idempotency_key_of, peer_of, read

MerchantId = Annotated[str, Field(pattern="^[a-z]{3}_[0-9A-Za-z]{1,40}$")]
BuyerId = Annotated[str, Field(pattern="^[!-~]{1,64}$"), AfterValidator(without_long_number)]


class CardSessionBody(Body):
    """A form that is wanted."""

    merchant_id: MerchantId
    origin: Annotated[str, Field(min_length=1, max_length=270)]
    buyer_id: BuyerId | None = None
    wants_cvc: bool = True
    terms: TermsBody = TermsBody()


class CardSessionView(View):
    """A form: where it is, and what became of it."""

    id: str
    merchant_id: str
    status: str
    """``open``, ``used``, ``blocked``, ``expired``."""
    form_url: str
    origin: str
    buyer_id: str | None
    wants_cvc: bool
    token: str | None
    expires_at: datetime


class SealedCardEntryBody(Body):
    """A card that a merchant's server sealed."""

    merchant_id: MerchantId
    sealed_card: Annotated[str, Field(min_length=1, max_length=sealed_cards.SEALED_CHARACTERS_MAX)]
    buyer_id: BuyerId | None = None
    terms: TermsBody = TermsBody()


def routes(vault: Vault) -> list[BaseRoute]:
    """For the api and the worker."""

    async def open_session(request: Request) -> Response:
        peer, body = peer_of(request), await read(request, CardSessionBody)
        origin = card_sessions.checked_origin(body.origin, is_production=vault.settings.is_production)
        body.terms.terms(body.merchant_id, now=vault.now())  # refused now and not when a buyer has typed
        opened = await _open(vault, peer, body, origin, request_key=_key_of(request))
        return answer(view_of(vault, opened), 201)

    async def look(request: Request) -> Response:
        peer_of(request)
        async with vault.transactions() as session:
            found = await card_sessions.find_session(
                session, request.path_params["id"], merchant_id=request.path_params["merchant_id"]
            )
        return answer(view_of(vault, found))

    async def take_sealed(request: Request) -> Response:
        peer, body = peer_of(request), await read(request, SealedCardEntryBody)
        tokenized = await card_entry.take_sealed(
            vault, body.sealed_card, merchant_id=body.merchant_id, buyer_id=body.buyer_id, terms=body.terms,
            request_key=_key_of(request), entrant=CardEntrant(peer.actor, peer.origin),
        )  # fmt: skip
        return answer(CardView.of_tokenized(tokenized), 201)

    async def show_keys(request: Request) -> Response:
        peer_of(request)
        keys: Any = await sealed_cards.public_keys(vault.ring, vault.now())
        return JSONResponse(keys, headers={"cache-control": f"public, max-age={sealed_cards.KEY_AGE_MAX_SECONDS}"})

    return [
        Route("/card-sessions", open_session, methods=["POST"]),
        Route("/merchants/{merchant_id}/card-sessions/{id}", look),
        Route("/sealed-cards", take_sealed, methods=["POST"]),
        Route("/card-keys", show_keys),
    ]


async def _open(vault: Vault, peer: Peer, body: CardSessionBody, origin: str, *, request_key: str) -> CardSession:
    now = vault.now()
    wanted = WantedCardSession(body.merchant_id, origin, body.buyer_id, body.wants_cvc, body.terms.kept())
    async with vault.transactions() as session:
        opened, is_new = await card_sessions.open_session(
            session, wanted, request_key=request_key, minutes=vault.settings.card_session_minutes, now=now
        )
        if is_new:
            event = AuditEvent(
                "card_session.opened", peer.actor, peer.origin, f"card_session:{opened.id}", now,
                merchant_id=body.merchant_id, facts={"origin": origin},
            )  # fmt: skip
            await stage(session, [event])
    return opened


def view_of(vault: Vault, form: CardSession) -> CardSessionView:
    """A form as the merchant's backend sees it."""
    is_over = form.status is card_sessions.CardSessionStatus.OPEN and form.expires_at <= vault.now()
    return CardSessionView(
        id=form.id, merchant_id=form.merchant_id, status="expired" if is_over else str(form.status),
        form_url=f"{vault.settings.public_url}/card-forms/{form.id}", origin=form.origin, buyer_id=form.buyer_id,
        wants_cvc=form.wants_cvc, token=form.token, expires_at=form.expires_at,
    )  # fmt: skip


def _key_of(request: Request) -> str:
    key = idempotency_key_of(request)
    if key is None or not 1 <= len(key) <= 255:
        raise RequestInvalid()
    return key
