"""QR codes (QR-коды) of SBP: their pictures, and links into buyers' bank applications."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.pagination import PAGE_MAX, After, Limit, page_of, read_cursor
from api.pictures import IMAGE_RESPONSES, ImageFormat, ImageSize, picture
from api.routes.sbp_banks import Search, page_after
from api.wire import Instant, View
from checkout import repository as till_rows
from checkout.attempts import LIVE
from ledger.database import transaction
from sbp_gateway import repository
from sbp_gateway.bank_list import list_banks
from sbp_gateway.banks import CHOSEN_BANKS_MAX, Bank, Deeplink, chosen_first, deeplink, find_banks
from sbp_gateway.errors import QrCodeNotFound, QrCodeOver
from sbp_gateway.qr_codes import QrCode, QrStatus, shown_payload
from sbp_gateway.qr_images import QrFormat, QrSize

router = door_router("/v1/sbp/qr-codes", "sbp")

CanRead = Annotated[Call, needs("orders:read")]
Chosen = Annotated[
    list[str] | None,
    Query(
        max_length=CHOSEN_BANKS_MAX,
        description="Ids of banks the buyer chose before: they stand first.",
        examples=[["100000000111"]],
    ),
]


class QrCodeView(View):
    """A dynamic QR code of an attempt."""

    id: str
    attempt_id: str
    merchant_id: str
    amount_kopecks: int
    status: QrStatus
    qrc_id: str | None
    payload: str | None
    requested_at: Instant
    expires_at: Instant

    @classmethod
    def of(cls, qr: QrCode) -> QrCodeView:
        """The code as it is shown."""
        return cls(
            id=qr.id, attempt_id=qr.attempt_id, merchant_id=qr.merchant_id, amount_kopecks=int(qr.amount),
            status=qr.status, qrc_id=qr.qrc_id, payload=qr.payload, requested_at=qr.requested_at,
            expires_at=qr.expires_at,
        )  # fmt: skip


class DeeplinkView(View):
    """A link into one bank."""

    bank_id: str
    name: str
    logo_url: str | None
    package: str | None
    app_link: str
    """Opens the bank's application, if the buyer has it."""
    web_link: str | None
    """Opens its web client."""

    @classmethod
    def of(cls, link: Deeplink) -> DeeplinkView:
        """The link as it is shown."""
        return cls(
            bank_id=link.bank.id, name=link.bank.name, logo_url=link.bank.logo_url, package=link.bank.package,
            app_link=link.app_link, web_link=link.web_link,
        )  # fmt: skip


class DeeplinksView(View):
    """Links into banks, in NSPK's order."""

    payload: str
    """The plain link, for every bank that is not here or whose application does not open."""
    items: list[DeeplinkView]
    has_more: bool
    next: str | None = None


@router.get("/{qr_id}")
async def read_qr_code(qr_id: str, call: CanRead) -> QrCodeView:
    """One QR code."""
    return QrCodeView.of(await load_qr(call, qr_id))


@router.get("/{qr_id}/image", response_class=Response, responses=IMAGE_RESPONSES)
async def draw_qr_code(
    qr_id: str, call: CanRead, image_format: ImageFormat = QrFormat.SVG, size: ImageSize = QrSize.SCREEN
) -> Response:
    """The picture of a QR code that may still be paid."""
    qr = await load_qr(call, qr_id)
    payload = await payload_to_show(call, qr)
    return picture(payload, image_format, size, kept_seconds=int((qr.expires_at - call.now).total_seconds()))


@router.get("/{qr_id}/deeplinks")
async def list_deeplinks(
    qr_id: str,
    call: CanRead,
    search: Search = None,
    first: Chosen = None,
    after: After = None,
    limit: Limit = PAGE_MAX,
) -> DeeplinksView:
    """Links by which the buyer pays in one of the banks' applications or web clients."""
    start = read_cursor("deeplinks", after)
    payload = await payload_to_show(call, await load_qr(call, qr_id))
    async with transaction(call.engine) as session:
        banks = chosen_first(await list_banks(session), first or ())
    found, has_more = page_after(find_banks(banks, search), start, limit)
    views = [DeeplinkView.of(deeplink(bank, payload)) for bank in found]
    page = page_of("deeplinks", views, has_more, _last_id(found), after)
    return DeeplinksView(payload=payload, items=page.items, has_more=page.has_more, next=page.next)


async def load_qr(call: Call, qr_id: str) -> QrCode:
    """A code of the caller's. Raises: QrCodeNotFound."""
    async with transaction(call.engine) as session:
        qr = await repository.find_qr(session, qr_id)
    if qr is None or not call.caller.sees(qr.merchant_id):
        raise QrCodeNotFound(qr_id=qr_id)
    return qr


async def payload_to_show(call: Call, qr: QrCode) -> str:
    """The link of a code whose money somebody waits for. Raises: QrCodeNotReady; QrCodeOver."""
    payload = shown_payload(qr, call.now)
    async with transaction(call.engine) as session:
        attempt = await till_rows.load_attempt(session, qr.attempt_id)
    if attempt is None or attempt.status not in LIVE:  # the order was canceled, or the buyer's bank said no
        raise QrCodeOver(qr_id=qr.id, status=qr.status.value, expires_at=qr.expires_at.isoformat())
    return payload


def _last_id(banks: list[Bank]) -> str | None:
    return banks[-1].id if banks else None
