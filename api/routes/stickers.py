"""Stickers (наклейки): static links on paper. Their payments wait among the unmatched for a person."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictInt
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, in_phases
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.pictures import IMAGE_RESPONSES, ImageFormat, ImageSize, picture
from api.routes.cash_links import terminal_of
from api.wire import Body, Instant, Text, View
from checkout.merchants import Terminal
from ledger.database import Session, transaction
from ledger.money import Kopecks
from sbp_gateway import activating
from sbp_gateway import unmatched_repository as rows
from sbp_gateway.errors import NspkRefused, StickerTaken
from sbp_gateway.merchants import SbpMerchant
from sbp_gateway.nspk import RegisteredLink
from sbp_gateway.nspk_cash_links import StickerRegistration
from sbp_gateway.qr_images import QrFormat, QrSize
from sbp_gateway.stickers import STICKER_KOPECKS_MAX, Sticker

router = door_router("/v1/sbp/stickers", "SBP stickers")


class StickerBody(Body):
    """A sticker for a till."""

    terminal_id: Annotated[str, Field(strict=True, max_length=40)]
    amount_kopecks: Annotated[StrictInt, Field(ge=1, le=STICKER_KOPECKS_MAX, examples=[5000])] | None = None
    """A fixed sum; empty when the buyer types it."""
    purpose: Annotated[Text, Field(max_length=140)] = "Оплата по СБП"


class StickerView(View):
    """A sticker."""

    id: str
    merchant_id: str
    store_id: str
    terminal_id: str
    amount_kopecks: int | None
    purpose: str
    qrc_id: str
    payload: str
    created_at: Instant

    @classmethod
    def of(cls, sticker: Sticker) -> StickerView:
        """The sticker as it is shown."""
        return cls(
            id=sticker.id, merchant_id=sticker.merchant_id, store_id=sticker.store_id,
            terminal_id=sticker.terminal_id, amount_kopecks=None if sticker.amount is None else int(sticker.amount),
            purpose=sticker.purpose, qrc_id=sticker.qrc_id, payload=sticker.payload, created_at=sticker.created_at,
        )  # fmt: skip


@router.post("", status_code=201, response_model=StickerView)
async def create_sticker(call: Annotated[Call, needs("merchants:write")], body: StickerBody) -> Response:
    """Register a sticker for a till, one of each.

    When NSPK's answer is lost nobody ever sees that link, so the same key registers another.
    """
    amount = None if body.amount_kopecks is None else Kopecks(body.amount_kopecks)

    async def intent(session: Session, claim: Claim) -> tuple[str, Terminal, SbpMerchant]:
        terminal = await terminal_of(session, call, body.terminal_id)
        elsewhere = call.door.settings.tkassa_members
        merchant = await activating.merchant_at_nspk(session, terminal.merchant_id, elsewhere)
        if await rows.has_sticker(session, terminal.id):
            raise StickerTaken(terminal_id=terminal.id)
        return claim.resource_id, terminal, merchant

    async def act(intended: tuple[str, Terminal, SbpMerchant]) -> RegisteredLink | NspkRefused:
        merchant = intended[2]
        registration = StickerRegistration(
            merchant.nspk_merchant_id, merchant.member_id, merchant.bank_account, amount, body.purpose
        )
        try:
            return await call.door.wiring.sales.nspk.register_sticker(registration)
        except NspkRefused as refused:
            return refused

    async def outcome(
        session: Session, intended: tuple[str, Terminal, SbpMerchant], link: RegisteredLink | NspkRefused
    ) -> StickerView:
        if isinstance(link, NspkRefused):
            raise link
        sticker_id, terminal, merchant = intended
        sticker = Sticker(
            sticker_id, terminal.merchant_id, terminal.store_id, terminal.id, amount, body.purpose, link.qrc_id,
            link.payload, call.now, merchant.registration_id,
        )  # fmt: skip
        if not await rows.add_sticker(session, sticker):
            raise StickerTaken(terminal_id=terminal.id)
        return StickerView.of(sticker)

    return await in_phases(
        call, intent=intent, act=act, outcome=outcome, prefix="stk", location="/v1/sbp/stickers/{id}"
    )


@router.get("/{sticker_id}")
async def read_sticker(sticker_id: str, call: Annotated[Call, needs("orders:read")]) -> StickerView:
    """One sticker."""
    async with transaction(call.engine) as session:
        return StickerView.of(await rows.load_sticker(session, sticker_id, merchant_id=call.caller.merchant_id))


@router.get("/{sticker_id}/image", response_class=Response, responses=IMAGE_RESPONSES)
async def draw_sticker(
    sticker_id: str,
    call: Annotated[Call, needs("orders:read")],
    image_format: ImageFormat = QrFormat.SVG,
    size: ImageSize = QrSize.STICKER,
) -> Response:
    """The picture of a sticker, to be printed."""
    async with transaction(call.engine) as session:
        sticker = await rows.load_sticker(session, sticker_id, merchant_id=call.caller.merchant_id)
    return picture(sticker.payload, image_format, size)


@router.get("")
async def list_stickers(
    call: Annotated[Call, needs("orders:read")],
    merchant_id: str | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[StickerView]:
    """Stickers, oldest first."""
    whose = call.caller.merchant_id or merchant_id
    start = read_cursor("stickers", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await rows.list_stickers(session, merchant_id=whose, after=start, limit=limit)
    views = [StickerView.of(sticker) for sticker in found]
    return page_of("stickers", views, has_more, views[-1].id if views else None, after)
