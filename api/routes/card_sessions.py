"""Card sessions (сеансы ввода карты): forms of the vault's origin, in which buyers enter their cards."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.vault_calls import in_vault, path_of, whose
from api.wire import Body, Flag, Instant, View
from pci.card_numbers import without_long_number

router = door_router("/v1/card-sessions", "cards")

CanWrite = Annotated[Call, needs("cards:write")]
CanRead = Annotated[Call, needs("cards:read")]
MerchantId = Annotated[str, Field(strict=True, pattern=r"^mer_[0-9a-z]{26}$")]
BuyerId = Annotated[
    str,
    Field(
        strict=True, pattern=r"^[!-~]{1,64}$", examples=["buyer-7"],
        description="Your own word for the buyer: no name, no phone, no 13 digits in a row.",
    ),
    AfterValidator(without_long_number),
]  # fmt: skip
Word = Annotated[str, Field(strict=True, min_length=1, max_length=253)]


class CardRestrictionsBody(Body):
    """Where, for how much and when the token may be used; what is left out is not restricted."""

    channels: Annotated[tuple[Word, ...], Field(max_length=16)] = ()
    hosts: Annotated[tuple[Word, ...], Field(max_length=16)] = ()
    amount_max_kopecks: Annotated[int, Field(strict=True, ge=1, le=10**15)] | None = None
    currency: Annotated[str, Field(strict=True, pattern=r"^[A-Z]{3}$")] | None = None
    usable_from: AwareDatetime | None = None
    usable_until: AwareDatetime | None = None


class CardTermsBody(Body):
    """How the card is to be kept."""

    scope: Annotated[str, Field(strict=True, pattern=r"^[a-z0-9_]{1,32}$")] | None = None
    wants_digits: Flag = False
    days: Annotated[int, Field(strict=True, ge=1, le=3_650)] | None = None
    restrictions: CardRestrictionsBody | None = None

    def told(self) -> dict[str, Any]:
        """As the vault is told."""
        return self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


class CardSessionBody(Body):
    """A form for one card of one buyer."""

    merchant_id: MerchantId | None = None
    """Whose card it will be; a key of one merchant need not say."""
    origin: Annotated[
        str,
        Field(
            strict=True, max_length=270, examples=["https://shop.example"],
            description="Scheme, host and port of the page that shows the form; no other page may.",
        ),
    ]  # fmt: skip
    buyer_id: BuyerId | None = None
    wants_cvc: Flag = True
    """Ask for the CVC, for a charge within the hour."""
    terms: CardTermsBody = CardTermsBody()


class CardSessionView(View):
    """A form. Show ``form_url`` in an iframe of the declared page; it hears of the token by ``postMessage``."""

    id: str
    merchant_id: str
    status: str
    """``open``, ``used``, ``blocked`` or ``expired``."""
    form_url: str
    origin: str
    buyer_id: str | None
    wants_cvc: bool
    token: str | None
    """Once a card was entered. Believe this, not the page."""
    expires_at: Instant


@router.post("", status_code=201, response_model=CardSessionView)
async def open_card_session(call: CanWrite, body: CardSessionBody) -> Response:
    """Open a form for a quarter of an hour and one card."""
    asked = {
        "merchant_id": whose(call, body.merchant_id), "origin": body.origin, "buyer_id": body.buyer_id,
        "wants_cvc": body.wants_cvc, "terms": body.terms.told(),
    }  # fmt: skip
    return await in_vault(call, "/card-sessions", asked, CardSessionView, location="/v1/card-sessions/{id}")


@router.get("/{session_id}")
async def read_card_session(call: CanRead, session_id: str, merchant_id: MerchantId | None = None) -> CardSessionView:
    """What became of a form."""
    path = path_of(whose(call, merchant_id), "card-sessions", session_id)
    said = await call.door.wiring.vault.call("GET", path, request_id=call.request_id)
    return CardSessionView.model_validate(said)
