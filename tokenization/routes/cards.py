"""Service routes of kept cards: masks are read, listed, and cards deleted. No number leaves here."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tokenization import buyer_cards, cards, sad
from tokenization.card import Card, Tokenized
from tokenization.card_use import to_json
from tokenization.ending import CardDoing, delete_card
from tokenization.enumeration import guarded
from tokenization.errors import FieldFault, RequestInvalid
from tokenization.vault import Vault
from tokenization.wire import View, answer, peer_of

PAGE_USUAL = 50
_LIMIT = re.compile(r"[0-9]{1,9}")


class CardView(View):
    """A card as everybody may know it."""

    token: str
    merchant_id: str
    mask: str
    scheme: str
    expires_on: str
    """The last month it is good in: YYYY-MM."""
    fingerprint: str
    """The same for the same number of this merchant's; drawn, so it tells nothing of the number."""
    status: str
    created_at: datetime
    expires_at: datetime | None
    """When the token ends, if it does."""
    digits_token: str | None = None
    restrictions: dict[str, Any] | None = None
    is_new: bool | None = None
    """Of a card that has just come in: whether it was not known."""
    metadata_changed: bool | None = None
    """Of a card that has just come in: it was known with another expiry, so it was issued again."""

    @classmethod
    def of(cls, card: Card, *, is_new: bool | None = None, metadata_changed: bool | None = None) -> CardView:
        """The card as it is shown."""
        return cls(
            token=card.token, merchant_id=card.merchant_id, mask=card.mask, scheme=str(card.scheme),
            expires_on=card.expires, fingerprint=card.fingerprint_id, status=str(card.status),
            created_at=card.tokenized_at, expires_at=card.expires_at, digits_token=card.digits_token,
            restrictions=to_json(card.restrictions), is_new=is_new, metadata_changed=metadata_changed,
        )  # fmt: skip

    @classmethod
    def of_tokenized(cls, tokenized: Tokenized) -> CardView:
        """A card that has just come in."""
        return cls.of(tokenized.card, is_new=tokenized.is_new, metadata_changed=tokenized.metadata_changed)


class CardListView(View):
    """A page of a merchant's cards."""

    items: list[CardView]
    has_more: bool


def routes(vault: Vault) -> list[BaseRoute]:
    """For the api, the worker and the operator, who looks into a merchant's question."""

    async def look(request: Request) -> Response:
        peer, merchant_id = peer_of(request), request.path_params["merchant_id"]
        doing = CardDoing(merchant_id, peer.actor, peer.origin, vault.now())
        async with guarded(vault.transactions, vault.unknown_tokens, doing) as session:
            found = await cards.find_card(session, request.path_params["token"], merchant_id)
        return answer(CardView.of(found))

    async def list_all(request: Request) -> Response:
        peer_of(request)
        asked, limit = request.query_params, _limit_of(request)
        async with vault.transactions() as session:
            found = await buyer_cards.list_cards(
                session, merchant_id=request.path_params["merchant_id"], buyer_id=asked.get("buyer_id"),
                after=asked.get("after"), limit=limit + 1,
            )  # fmt: skip
        return answer(CardListView(items=[CardView.of(card) for card in found[:limit]], has_more=len(found) > limit))

    async def delete(request: Request) -> Response:
        peer, merchant_id = peer_of(request), request.path_params["merchant_id"]
        doing = CardDoing(merchant_id, peer.actor, peer.origin, vault.now())
        async with guarded(vault.transactions, vault.unknown_tokens, doing) as session:
            gone = await delete_card(session, request.path_params["token"], doing)
            await sad.forget(session, gone.token)
        return answer(CardView.of(gone))

    return [
        Route("/merchants/{merchant_id}/cards", list_all),
        Route("/merchants/{merchant_id}/cards/{token}", look),
        Route("/merchants/{merchant_id}/cards/{token}", delete, methods=["DELETE"]),
    ]


def _limit_of(request: Request) -> int:
    given = request.query_params.get("limit", str(PAGE_USUAL))
    if not _LIMIT.fullmatch(given) or not 1 <= int(given) < buyer_cards.PAGE_MAX:
        raise RequestInvalid((FieldFault("query/limit", f"from 1 to {buyer_cards.PAGE_MAX - 1}"),))
    return int(given)
