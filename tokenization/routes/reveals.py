"""Cards as people of the vault see them: masks, and one number at a time for a reason."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pci.access.deeds import deed
from pci.access.roles import Scope
from tokenization import card_lookup, refusals, reveal_requests, reveals
from tokenization.card import Card
from tokenization.errors import FieldFault, RequestInvalid
from tokenization.reveal_requests import RevealRequest, RevealTerms
from tokenization.sign_in_cookie import wish_of
from tokenization.vault import Vault
from tokenization.wire import Body, View, answer, read

Short = Annotated[str, Field(max_length=64)]
SHOWN_HEADERS = {"cache-control": "no-store, max-age=0", "pragma": "no-cache", "clear-site-data": '"cache"'}
"""Source: PCI DSS 3.4.2: what is shown stays nowhere."""


class CardSearchBody(Body):
    """What is known of the card: its token, or the digits and the month that stand on it."""

    token: Short | None = None
    last4: Short | None = None
    expires_on: Short | None = None


class RevealTermsBody(Body):
    """Which card, and why."""

    token: Short
    reason: Short
    ticket: Short

    def terms(self) -> RevealTerms:
        """As the rules take it."""
        return RevealTerms(self.token, self.reason, self.ticket)


class RevealBody(RevealTermsBody):
    """Which card, why, and who approved, where that is needed."""

    request_id: Short | None = None


class CardView(View):
    """A card as everybody may know it."""

    token: str
    merchant_id: str
    mask: str
    scheme: str
    expires: str
    status: str

    @classmethod
    def of(cls, card: Card) -> CardView:
        """Show a card."""
        return cls(
            token=card.token, merchant_id=card.merchant_id, mask=card.mask, scheme=str(card.scheme),
            expires=card.expires, status=str(card.status),
        )  # fmt: skip


class CardsView(View):
    """What was found."""

    cards: list[CardView]


class CardRevealView(View):
    """One card number, on its way to one person."""

    token: str
    card_number: str = Field(repr=False)
    expires: str
    scheme: str


class RevealView(View):
    """That somebody was shown a card number."""

    id: str
    login: str
    token: str
    mask: str
    merchant_id: str
    reason: str
    ticket: str
    request_id: str | None
    revealed_at: datetime


class RevealsView(View):
    """What was shown, the latest first."""

    reveals: list[RevealView]


class RevealRequestView(View):
    """A wish that a second person decides on."""

    id: str
    person_id: str
    person_name: str
    token: str
    mask: str
    reason: str
    ticket: str
    status: str
    requested_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, request: RevealRequest) -> RevealRequestView:
        """Show a request."""
        terms = request.terms
        return cls(
            id=request.id, person_id=request.person_id, person_name=request.person_name, mask=request.mask,
            token=terms.token, reason=terms.reason, ticket=terms.ticket,
            status=str(request.status), requested_at=request.requested_at, expires_at=request.expires_at,
        )  # fmt: skip


class RevealRequestsView(View):
    """What is open."""

    reveal_requests: list[RevealRequestView]


def routes(vault: Vault) -> list[BaseRoute]:
    """Searching, showing, and saying what was shown."""

    async def search(request: Request) -> Response:
        wish = wish_of(vault, request, "card.searched", Scope.CARDS_SEARCH, "cards:all")
        body = await read(request, CardSearchBody)
        async with deed(partial(refusals.kept, vault.transactions), wish) as tried:
            if body.token is not None:
                found = await card_lookup.by_token(tried, vault.unknown_tokens, body.token)
            elif body.last4 is not None and body.expires_on is not None:
                found = await card_lookup.by_digits(tried, body.last4, body.expires_on)
            else:
                raise RequestInvalid((FieldFault("", "a token, or last4 and expires_on"),))
        return answer(CardsView(cards=list(map(CardView.of, found))))

    async def show(request: Request) -> Response:
        wish = wish_of(vault, request, "card.revealed", Scope.CARDS_REVEAL, "card:unknown")
        body = await read(request, RevealBody)
        opened = await reveals.reveal(
            vault.transactions, vault.ring, wish, body.terms(),
            request_id=body.request_id, share_of_the_day=vault.settings.reveals_per_day,
            unknown=vault.unknown_tokens,
        )  # fmt: skip
        view = CardRevealView(
            token=opened.token, card_number=opened.pan.expose(), expires=opened.expires, scheme=str(opened.scheme)
        )
        return answer(view, 201, SHOWN_HEADERS)

    async def list_shown(request: Request) -> Response:
        wish = wish_of(vault, request, "reveals.listed", None)
        async with deed(vault.transactions, wish) as tried:
            everybody = tried.actor.may(Scope.REVEALS_READ)
            if not everybody:
                tried.actor.require(Scope.CARDS_REVEAL)
            found = await reveals.list_reveals(tried.session, of=None if everybody else tried.actor.person_id)
            await tried.record("reveals:all" if everybody else "reveals:own", found=len(found))
        shown = [RevealView.model_validate(reveal, from_attributes=True) for reveal in found]
        return answer(RevealsView(reveals=shown))

    return [
        Route("/vault/v1/card-searches", search, methods=["POST"]),
        Route("/vault/v1/reveals", show, methods=["POST"]),
        Route("/vault/v1/reveals", list_shown, methods=["GET"]),
        *_requests(vault),
    ]


def _requests(vault: Vault) -> list[BaseRoute]:
    """Four eyes."""

    async def ask(request: Request) -> Response:
        wish = wish_of(vault, request, "card.reveal_requested", Scope.CARDS_REVEAL, "card:unknown")
        body = await read(request, RevealTermsBody)
        async with deed(partial(refusals.kept, vault.transactions), wish) as tried:
            asked = await reveal_requests.ask(tried, vault.unknown_tokens, body.terms())
        return answer(RevealRequestView.of(asked), 201)

    async def list_open(request: Request) -> Response:
        wish = wish_of(vault, request, "reveal_requests.listed", None)
        async with deed(vault.transactions, wish) as tried:
            decides = tried.actor.may(Scope.REVEALS_APPROVE)
            if not decides:
                tried.actor.require(Scope.CARDS_REVEAL)
            of = None if decides else tried.actor.person_id
            found = await reveal_requests.list_requests(tried.session, now=wish.now, of=of)
        return answer(RevealRequestsView(reveal_requests=list(map(RevealRequestView.of, found))))

    async def approve(request: Request) -> Response:
        return await _decide(request, "card.reveal_approved", is_approved=True)

    async def refuse(request: Request) -> Response:
        return await _decide(request, "card.reveal_refused", is_approved=False)

    async def _decide(request: Request, action: str, *, is_approved: bool) -> Response:
        wish = wish_of(vault, request, action, Scope.REVEALS_APPROVE, "card:unknown")
        async with deed(vault.transactions, wish) as tried:
            request_id = str(request.path_params["request_id"])
            decided = await reveal_requests.decide(tried, request_id, is_approved=is_approved)
        return answer(RevealRequestView.of(decided))

    return [
        Route("/vault/v1/reveal-requests", ask, methods=["POST"]),
        Route("/vault/v1/reveal-requests", list_open, methods=["GET"]),
        Route("/vault/v1/reveal-requests/{request_id}/approvals", approve, methods=["POST"]),
        Route("/vault/v1/reveal-requests/{request_id}/refusals", refuse, methods=["POST"]),
    ]
