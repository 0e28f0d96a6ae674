"""Cards (карты): tokens and masks. Numbers are in the vault; a sealed one passes through here unread."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.pagination import PAGE_USUAL, After, Page, page_of, read_cursor
from api.routes.card_sessions import BuyerId, CardTermsBody, MerchantId
from api.vault_calls import in_vault, path_of, whose
from api.wire import Body, Instant, View

router = door_router("/v1/cards", "cards")
keys_router = door_router("/v1/card-keys", "cards")

CanWrite = Annotated[Call, needs("cards:write")]
CanRead = Annotated[Call, needs("cards:read")]
CARDS_MAX = 199
"""On a page: one less than the vault reads at once."""
Limit = Annotated[int, Query(ge=1, le=CARDS_MAX, description="How many at most.", examples=[PAGE_USUAL])]
SEALED_EXAMPLE = "eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkEyNTZHQ00iLCJraWQiOiJqd2VfNyJ9.w.i.c.t"


class SealedCardBody(Body):
    """A card that your server has sealed with a key of ``GET /v1/card-keys``."""

    merchant_id: MerchantId | None = None
    sealed_card: Annotated[
        str,
        Field(
            strict=True, min_length=1, max_length=8_192, examples=[SEALED_EXAMPLE],
            description="Compact JWE, ECDH-ES+A256KW and A256GCM. Inside: merchant_id, iat, jti, pan, expires_on "
            "(YYYY-MM) and, if there are any, holder_name and cvc.",
        ),
    ]  # fmt: skip
    buyer_id: BuyerId | None = None
    terms: CardTermsBody = CardTermsBody()


class CardView(View):
    """A card as everybody may know it."""

    token: str
    merchant_id: str
    mask: str
    """First six and last four digits."""
    scheme: str
    expires_on: str
    """The last month it is good in: YYYY-MM."""
    fingerprint: str
    """The same for the same number of this merchant's."""
    status: str
    """``active``, ``expired``, ``deleted`` or ``shredded``."""
    created_at: Instant
    expires_at: Instant | None
    """When the token ends, if it does."""
    digits_token: str | None = None
    restrictions: dict[str, Any] | None = None
    is_new: bool | None = None
    """Of a card that has just come in: whether it was not known."""
    metadata_changed: bool | None = None
    """Of a card that has just come in: known with another expiry, so it was issued again."""

    @property
    def id(self) -> str:
        """By which it is found again."""
        return self.token


class CardKeyView(View):
    """A public key to seal cards with (JWK)."""

    kid: str
    kty: str
    crv: str
    x: str
    y: str
    use: str
    alg: str


class CardKeysView(View):
    """The present keys (JWK set). Keep them for an hour at most."""

    keys: list[CardKeyView]


@router.post("", status_code=201, response_model=CardView)
async def take_sealed_card(call: CanWrite, body: SealedCardBody) -> Response:
    """Take a sealed card in. The same number of this merchant's keeps its token."""
    asked = {
        "merchant_id": whose(call, body.merchant_id), "sealed_card": body.sealed_card, "buyer_id": body.buyer_id,
        "terms": body.terms.told(),
    }  # fmt: skip
    return await in_vault(call, "/sealed-cards", asked, CardView, location="/v1/cards/{id}")


@router.get("")
async def list_cards(
    call: CanRead,
    merchant_id: MerchantId | None = None,
    buyer_id: BuyerId | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[CardView]:
    """A merchant's active cards, or one buyer's, oldest first."""
    asked = {"limit": str(limit), "after": read_cursor("cards", after) or "", "buyer_id": buyer_id or ""}
    said = await call.door.wiring.vault.call(
        "GET", path_of(whose(call, merchant_id), "cards"), request_id=call.request_id,
        query={name: value for name, value in asked.items() if value},
    )  # fmt: skip
    cards = [CardView.model_validate(card) for card in said["items"]]
    return page_of("cards", cards, said["has_more"], cards[-1].token if cards else None, after)


@router.get("/{token}")
async def read_card(call: CanRead, token: str, merchant_id: MerchantId | None = None) -> CardView:
    """One card by its token."""
    path = path_of(whose(call, merchant_id), "cards", token)
    return CardView.model_validate(await call.door.wiring.vault.call("GET", path, request_id=call.request_id))


@router.delete("/{token}")
async def delete_card(call: CanWrite, token: str, merchant_id: MerchantId | None = None) -> CardView:
    """Delete a card for good: its number is gone, its token opens nothing. Again changes nothing."""
    path = path_of(whose(call, merchant_id), "cards", token)
    said = await call.door.wiring.vault.call("DELETE", path, acting_for=call.caller.key_id, request_id=call.request_id)
    return CardView.model_validate(said)


@keys_router.get("")
async def read_card_keys(call: CanRead, response: Response) -> CardKeysView:
    """The public keys that cards are sealed with."""
    said = await call.door.wiring.vault.call("GET", "/card-keys", request_id=call.request_id)
    response.headers["cache-control"] = "private, max-age=3600"
    return CardKeysView.model_validate(said)
