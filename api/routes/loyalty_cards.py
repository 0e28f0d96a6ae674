"""Loyalty cards (карты лояльности): issued, found by phone or number, blocked; and phones that show them."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Annotated

from pydantic import Field, model_validator
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, once
from api.loyalty_key import loyalty_key
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.till_callers import merchant_of, till_actor
from api.wire import Body, Instant, Text, View
from checkout import loyalty_cards, showings
from checkout.barcode import CODE_DIGITS, ShownBarcode
from checkout.barcode_drawing import BarcodeKind, draw_barcode
from checkout.loyalty_cards import LoyaltyCard, LoyaltyCardStatus
from checkout.loyalty_errors import LoyaltyCardNotFound
from checkout.phones import normalised_phone, phone_digest
from checkout.showings import Showing
from checkout.telling import tell
from checkout.time_codes import STEP_SECONDS
from ledger.database import Session, transaction

router = door_router("/v1/loyalty-cards", "loyalty cards")

CanWrite = Annotated[Call, needs("loyalty:write")]
CanRead = Annotated[Call, needs("loyalty:read")]
MerchantId = Annotated[str, Field(strict=True, max_length=40, description="Whose; a merchant's own key need not say.")]
Phone = Annotated[str, Field(strict=True, max_length=40, examples=["+7 916 123-45-67"])]
Number = Annotated[str, Field(strict=True, pattern=r"^[0-9]{12}$", examples=["291234567899"])]


class LoyaltyCardBody(Body):
    """A card to be issued; without a phone it is anonymous."""

    merchant_id: MerchantId | None = None
    programme: Annotated[str, Field(strict=True, max_length=64, examples=["kofeinya"])]
    phone: Phone | None = None


class LoyaltyCardLookupBody(Body):
    """Whose cards are looked for."""

    merchant_id: MerchantId | None = None
    phone: Phone | None = None
    number: Number | None = None

    @model_validator(mode="after")
    def check_one(self) -> LoyaltyCardLookupBody:
        """By one of the two."""
        if (self.phone is None) == (self.number is None):
            raise ValueError("either phone or number")
        return self


class LoyaltyCardBlockBody(Body):
    """Why a card is to be good at no till."""

    reason: Annotated[Text, Field(max_length=200, examples=["Потеряна"])]


class LoyaltyCardPhoneBody(Body):
    """Whose a card is."""

    phone: Phone


class LoyaltyCardView(View):
    """A loyalty card. A phone is never shown: only whether there is one."""

    id: str
    merchant_id: str
    programme: str
    number: str
    is_anonymous: bool
    status: LoyaltyCardStatus
    blocked_reason: str | None
    issued_at: Instant
    version: int

    @classmethod
    def of(cls, card: LoyaltyCard) -> LoyaltyCardView:
        """The card as it is shown."""
        return cls(
            id=card.id, merchant_id=card.merchant_id, programme=card.programme, number=card.number,
            is_anonymous=card.is_anonymous, status=card.status, blocked_reason=card.blocked_reason,
            issued_at=card.issued_at, version=card.version,
        )  # fmt: skip


class LoyaltyCardsView(View):
    """The cards found: one in each programme."""

    items: list[LoyaltyCardView]


class ShowingView(View):
    """A phone that shows a card."""

    id: str
    loyalty_card_id: str
    number: int
    started_at: Instant
    ended_at: Instant | None

    @classmethod
    def of(cls, showing: Showing) -> ShowingView:
        """The phone as it is shown."""
        return cls(
            id=showing.id, loyalty_card_id=showing.card_id, number=showing.number, started_at=showing.started_at,
            ended_at=showing.ended_at,
        )  # fmt: skip


class ShowingsView(View):
    """Every phone that ever showed a card."""

    items: list[ShowingView]


class ShowingSecretView(View):
    """What a phone makes its time codes of, without asking us again. RFC 6238 with SHA-256."""

    secret_base32: str
    digits: int
    step_seconds: int
    hash: str
    barcode_prefix: str
    """What stands in front of each code: the format, the card's number and the phone's."""


class BarcodeView(View):
    """What a phone shows now."""

    text: str
    renews_at: Instant


@router.post("", status_code=201, response_model=LoyaltyCardView)
async def issue_loyalty_card(body: LoyaltyCardBody, call: CanWrite) -> Response:
    """Issue a card: to a phone, or to nobody yet."""

    async def work(session: Session, claim: Claim) -> LoyaltyCardView:
        merchant_id = merchant_of(call, body.merchant_id)
        card = await loyalty_cards.issue_card(
            session, claim.resource_id, merchant_id=merchant_id, programme=body.programme,
            digest=_digest_of(call, merchant_id, body.phone), by=till_actor(call), now=call.now,
        )  # fmt: skip
        return LoyaltyCardView.of(card)

    return await once(call, work, prefix="lcd", location="/v1/loyalty-cards/{id}")


@router.post("/find", status_code=200, response_model=LoyaltyCardsView)
async def find_loyalty_cards(body: LoyaltyCardLookupBody, call: CanWrite) -> Response:
    """A merchant's cards of one phone, however it is written, or of one number. The phone stands in no address.

    A key under which 200 were not found may look for one more in ten seconds (`api.rate_limited`, with `Retry-After`).
    """
    call.door.misses.refuse_more(call.caller.key_id)

    async def work(session: Session, _claim: Claim) -> LoyaltyCardsView:
        found = await _found(session, call, body)
        if not found:
            call.door.misses.count(call.caller.key_id)
            raise LoyaltyCardNotFound()
        return LoyaltyCardsView(items=[LoyaltyCardView.of(card) for card in found])

    return await once(call, work, status=200)


async def _found(session: Session, call: Call, body: LoyaltyCardLookupBody) -> Sequence[LoyaltyCard]:
    merchant_id = merchant_of(call, body.merchant_id)
    if body.number is not None:
        with suppress(LoyaltyCardNotFound):
            return [await loyalty_cards.find_card(session, merchant_id, number=body.number)]
        return []
    digest = _digest_of(call, merchant_id, body.phone)
    assert digest is not None, "one of the two is there"
    return await loyalty_cards.find_cards(session, merchant_id, digest=digest)


@router.get("")
async def list_loyalty_cards(
    call: CanRead,
    merchant_id: str | None = None,
    programme: str | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[LoyaltyCardView]:
    """Cards, oldest first."""
    start = read_cursor("loyalty-cards", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await loyalty_cards.list_cards(
            session, merchant_id=call.caller.merchant_id or merchant_id, programme=programme, after=start, limit=limit
        )
    views = [LoyaltyCardView.of(card) for card in found]
    return page_of("loyalty-cards", views, has_more, views[-1].id if views else None, after)


@router.get("/{loyalty_card_id}")
async def read_loyalty_card(loyalty_card_id: str, call: CanRead) -> LoyaltyCardView:
    """One card."""
    async with transaction(call.engine) as session:
        card = await loyalty_cards.load_card(session, loyalty_card_id, merchant_id=call.caller.merchant_id)
    return LoyaltyCardView.of(card)


@router.post("/{loyalty_card_id}/block", status_code=200, response_model=LoyaltyCardView)
async def block_loyalty_card(loyalty_card_id: str, body: LoyaltyCardBlockBody, call: CanWrite) -> Response:
    """Let a card be good at no till. Repeating it changes nothing."""

    async def change(session: Session, card: LoyaltyCard) -> LoyaltyCard:
        return await loyalty_cards.block_card(session, card, body.reason, by=till_actor(call), now=call.now)

    return await _changed(call, loyalty_card_id, change)


@router.post("/{loyalty_card_id}/resume", status_code=200, response_model=LoyaltyCardView)
async def resume_loyalty_card(loyalty_card_id: str, call: CanWrite) -> Response:
    """Let a blocked card be good again. Repeating it changes nothing."""

    async def change(session: Session, card: LoyaltyCard) -> LoyaltyCard:
        return await loyalty_cards.unblock_card(session, card, by=till_actor(call), now=call.now)

    return await _changed(call, loyalty_card_id, change)


@router.post("/{loyalty_card_id}/phone", status_code=200, response_model=LoyaltyCardView)
async def give_phone(loyalty_card_id: str, body: LoyaltyCardPhoneBody, call: CanWrite) -> Response:
    """Say whose an anonymous card is, or that its buyer has a new number."""

    async def change(session: Session, card: LoyaltyCard) -> LoyaltyCard:
        digest = _digest_of(call, card.merchant_id, body.phone)
        assert digest is not None, "there is a phone"
        return await loyalty_cards.give_phone(session, card, digest, by=till_actor(call), now=call.now)

    return await _changed(call, loyalty_card_id, change)


@router.get("/{loyalty_card_id}/barcode", response_class=Response, responses={200: {"content": {"image/svg+xml": {}}}})
async def draw_loyalty_card(loyalty_card_id: str, call: CanRead, kind: BarcodeKind = BarcodeKind.EAN_13) -> Response:
    """The picture of a plastic card's barcode: its number alone, good for loyalty and not for paying."""
    async with transaction(call.engine) as session:
        card = await loyalty_cards.load_card(session, loyalty_card_id, merchant_id=call.caller.merchant_id)
    return _picture(draw_barcode(card.number, kind, card.number))


@router.post("/{loyalty_card_id}/showings", status_code=201, response_model=ShowingView)
async def begin_showing(loyalty_card_id: str, call: CanWrite) -> Response:
    """Let a phone show the card: its barcode changes each 30 seconds, counts once, and may be paid by."""

    async def work(session: Session, claim: Claim) -> ShowingView:
        card = await loyalty_cards.lock_card(session, loyalty_card_id, merchant_id=call.caller.merchant_id)
        return ShowingView.of(
            await showings.begin_showing(session, claim.resource_id, card, by=till_actor(call), now=call.now)
        )

    return await once(call, work, prefix="shw")


@router.get("/{loyalty_card_id}/showings")
async def list_showings(loyalty_card_id: str, call: CanRead) -> ShowingsView:
    """Every phone that ever showed the card."""
    async with transaction(call.engine) as session:
        card = await loyalty_cards.load_card(session, loyalty_card_id, merchant_id=call.caller.merchant_id)
        return ShowingsView(items=[ShowingView.of(showing) for showing in await showings.list_showings(session, card)])


@router.post("/{loyalty_card_id}/showings/{showing_id}/close", status_code=200, response_model=ShowingView)
async def end_showing(loyalty_card_id: str, showing_id: str, call: CanWrite) -> Response:
    """Let a phone show the card no more: it was lost, or another took its place."""

    async def work(session: Session, _claim: Claim) -> ShowingView:
        card = await loyalty_cards.load_card(session, loyalty_card_id, merchant_id=call.caller.merchant_id)
        return ShowingView.of(await showings.end_showing(session, card, showing_id, by=till_actor(call), now=call.now))

    return await once(call, work, status=200)


@router.get("/{loyalty_card_id}/showings/{showing_id}/secret")
async def read_showing_secret(
    loyalty_card_id: str, showing_id: str, call: CanWrite, response: Response
) -> ShowingSecretView:
    """What a phone needs to make its barcodes without a network. Each reading is a line of the audit log."""
    response.headers["cache-control"] = "no-store"
    key = loyalty_key(call.door)
    async with transaction(call.engine) as session:
        card, showing = await showings.card_of_showing(
            session, loyalty_card_id, showing_id, merchant_id=call.caller.merchant_id
        )
        facts = {"showing_id": showing.id}
        await tell(
            session, "loyalty_card.secret_read", card.id, card.merchant_id, till_actor(call), facts, now=call.now
        )
    now_shown = showings.barcode_of(key, card, showing, now=call.now).text
    return ShowingSecretView(
        secret_base32=b32encode(showings.secret_of(key, card, showing)).decode().rstrip("="), digits=CODE_DIGITS,
        step_seconds=STEP_SECONDS, hash="sha256", barcode_prefix=now_shown[:-CODE_DIGITS],
    )  # fmt: skip


@router.get("/{loyalty_card_id}/showings/{showing_id}/barcode")
async def read_barcode(loyalty_card_id: str, showing_id: str, call: CanRead, response: Response) -> BarcodeView:
    """What the phone shows now, for a phone that has a network."""
    response.headers["cache-control"] = "no-store"
    shown = await _shown(call, loyalty_card_id, showing_id)
    return BarcodeView(text=shown.text, renews_at=shown.renews_at)


@router.get(
    "/{loyalty_card_id}/showings/{showing_id}/image",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}}}},
)
async def draw_showing(
    loyalty_card_id: str, showing_id: str, call: CanRead, kind: BarcodeKind = BarcodeKind.QR_CODE
) -> Response:
    """The picture of what the phone shows now. EAN-13 has no room for it and is refused."""
    shown = await _shown(call, loyalty_card_id, showing_id)
    return _picture(draw_barcode(shown.text, kind, shown.text[2:14]))


def _digest_of(call: Call, merchant_id: str, phone: str | None) -> bytes | None:
    if phone is None:
        return None
    return phone_digest(loyalty_key(call.door), merchant_id, normalised_phone(phone))


async def _changed(
    call: Call, card_id: str, change: Callable[[Session, LoyaltyCard], Awaitable[LoyaltyCard]]
) -> Response:
    async def work(session: Session, _claim: Claim) -> LoyaltyCardView:
        card = await loyalty_cards.lock_card(session, card_id, merchant_id=call.caller.merchant_id)
        return LoyaltyCardView.of(await change(session, card))

    return await once(call, work, status=200)


async def _shown(call: Call, card_id: str, showing_id: str) -> ShownBarcode:
    key = loyalty_key(call.door)
    async with transaction(call.engine) as session:
        card, showing = await showings.card_of_showing(
            session, card_id, showing_id, merchant_id=call.caller.merchant_id
        )
    return showings.barcode_of(key, card, showing, now=call.now)


def _picture(svg: str) -> Response:
    return Response(svg, media_type="image/svg+xml", headers={"cache-control": "no-store"})
