"""Cash links (кассовые ссылки): plates of tills that are armed with the sum of each sale."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictInt, model_validator
from starlette.responses import Response

from api.door import Call, door_router, needs
from api.idempotency import Claim, in_phases
from api.pagination import PAGE_USUAL, After, Limit, Page, page_of, read_cursor
from api.pictures import IMAGE_RESPONSES, ImageFormat, ImageSize, picture
from api.sale_watching import register, take_back
from api.wire import Body, Instant, View
from checkout import repository as till_rows
from checkout.errors import TerminalNotFound
from checkout.merchants import Terminal
from ledger.database import Session, transaction
from sbp_gateway import activating
from sbp_gateway import cash_link_repository as rows
from sbp_gateway.cash_links import RESERVATION_QUANTITY_MAX, Activation, ActivationStatus, CashLink, CashLinkStatus
from sbp_gateway.errors import (
    ActivationMissing,
    ActivationPaying,
    NspkRefused,
    NspkUnavailable,
    NspkUnknown,
    QrCodeNotReady,
)
from sbp_gateway.qr_images import QrFormat, QrSize

router = door_router("/v1/sbp/cash-links", "SBP cash links")

CanWrite = Annotated[Call, needs("merchants:write")]
CanSell = Annotated[Call, needs("orders:write")]
CanRead = Annotated[Call, needs("orders:read")]
Id = Annotated[str, Field(strict=True, max_length=40)]
QrcId = Annotated[str, Field(strict=True, pattern=r"^[0-9A-V]{32}$", examples=["AS1R000000000000000000000000TEST"])]


class ReservationBody(Body):
    """Ids to be set aside, so that plates can be printed."""

    quantity: Annotated[StrictInt, Field(ge=1, le=RESERVATION_QUANTITY_MAX, examples=[10])]


class ReservationView(View):
    """Ids that NSPK set aside."""

    qrc_ids: list[str]


class CashLinkBody(Body):
    """A cash link for a till."""

    terminal_id: Id
    qrc_id: QrcId | None = None
    """From a printed plate; a new one when empty."""


class CashLinkMoveBody(Body):
    """Where a cash link goes: to another till of its merchant, or to another account at its bank."""

    terminal_id: Id | None = None
    bank_account: Annotated[str, Field(strict=True, pattern=r"^[0-9]{20}$")] | None = None

    @model_validator(mode="after")
    def check_one(self) -> CashLinkMoveBody:
        """One thing at a time."""
        if (self.terminal_id is None) == (self.bank_account is None):
            raise ValueError("either terminal_id or bank_account")
        return self


class ActivationView(View):
    """What a cash link is armed with."""

    id: str
    attempt_id: str
    params_id: str | None
    amount_kopecks: int
    status: ActivationStatus
    requested_at: Instant
    expires_at: Instant

    @classmethod
    def of(cls, activation: Activation) -> ActivationView:
        """The activation as it is shown."""
        return cls(
            id=activation.id, attempt_id=activation.attempt_id, params_id=activation.params_id,
            amount_kopecks=int(activation.amount), status=activation.status, requested_at=activation.requested_at,
            expires_at=activation.expires_at,
        )  # fmt: skip


class CashLinkView(View):
    """A cash link."""

    id: str
    merchant_id: str
    store_id: str
    terminal_id: str
    bank_account: str
    status: CashLinkStatus
    qrc_id: str | None
    payload: str | None
    created_at: Instant
    activation: ActivationView | None = None
    """What it is armed with now; told of one link, not in lists."""

    @classmethod
    def of(cls, link: CashLink, activation: Activation | None = None) -> CashLinkView:
        """The link as it is shown."""
        return cls(
            id=link.id, merchant_id=link.merchant_id, store_id=link.store_id, terminal_id=link.terminal_id,
            bank_account=link.bank_account, status=link.status, qrc_id=link.qrc_id, payload=link.payload,
            created_at=link.requested_at, activation=None if activation is None else ActivationView.of(activation),
        )  # fmt: skip


@router.post("/reservations", status_code=201, response_model=ReservationView)
async def reserve(call: CanWrite, body: ReservationBody) -> Response:
    """Set ids aside. When NSPK's answer is lost, so are its ids; the same key asks for others."""

    async def intent(_session: Session, _claim: Claim) -> None:
        return None

    async def act(_intended: None) -> list[str]:
        return await call.door.wiring.sales.nspk.reserve(body.quantity)

    async def outcome(session: Session, _intended: None, qrc_ids: list[str]) -> ReservationView:
        await rows.add_reservations(session, qrc_ids, call.caller.merchant_id, now=call.now)
        return ReservationView(qrc_ids=qrc_ids)

    return await in_phases(call, intent=intent, act=act, outcome=outcome)


@router.post("", status_code=201, response_model=CashLinkView)
async def create_cash_link(call: CanWrite, body: CashLinkBody) -> Response:
    """Register a cash link for a till. While NSPK's answer is awaited it is ``requested``; read it again."""

    async def intent(session: Session, claim: Claim) -> CashLink:
        if claim.attempt_no > 1 and (found := await rows.find_cash_link(session, claim.resource_id, merchant_id=None)):
            return found
        terminal = await terminal_of(session, call, body.terminal_id)
        return await activating.request_cash_link(
            session, claim.resource_id, merchant_id=terminal.merchant_id, store_id=terminal.store_id,
            terminal_id=terminal.id, qrc_id=body.qrc_id, elsewhere=call.door.settings.tkassa_members, now=call.now,
        )  # fmt: skip

    async def act(link: CashLink) -> None:
        try:
            await register(call.door.wiring.sales, link)
        except (NspkUnknown, NspkUnavailable):
            return  # the worker goes on

    async def outcome(session: Session, link: CashLink, _done: None) -> CashLinkView:
        return CashLinkView.of(await rows.load_cash_link(session, link.id, merchant_id=None))

    return await in_phases(
        call, intent=intent, act=act, outcome=outcome, prefix="csh", location="/v1/sbp/cash-links/{id}"
    )


async def terminal_of(session: Session, call: Call, terminal_id: str) -> Terminal:
    """A till that the caller may see. Raises: TerminalNotFound."""
    terminal = await till_rows.load_terminal(session, terminal_id)
    if not call.caller.sees(terminal.merchant_id):
        raise TerminalNotFound(terminal_id=terminal_id)
    return terminal


@router.get("/{cash_link_id}")
async def read_cash_link(cash_link_id: str, call: CanRead) -> CashLinkView:
    """One cash link and what it is armed with."""
    async with transaction(call.engine) as session:
        return await _view_of(session, call, cash_link_id)


@router.get("/{cash_link_id}/image", response_class=Response, responses=IMAGE_RESPONSES)
async def draw_cash_link(
    cash_link_id: str, call: CanRead, image_format: ImageFormat = QrFormat.SVG, size: ImageSize = QrSize.STICKER
) -> Response:
    """The picture of a plate, to be printed. Refused while NSPK has not given its link."""
    async with transaction(call.engine) as session:
        view = await _view_of(session, call, cash_link_id)
    if view.payload is None:
        raise QrCodeNotReady(cash_link_id=cash_link_id, status=view.status.value)
    return picture(view.payload, image_format, size)


@router.get("")
async def list_cash_links(
    call: CanRead,
    merchant_id: str | None = None,
    terminal_id: str | None = None,
    after: After = None,
    limit: Limit = PAGE_USUAL,
) -> Page[CashLinkView]:
    """Cash links, oldest first."""
    whose = call.caller.merchant_id or merchant_id
    start = read_cursor("cash-links", after) or ""
    async with transaction(call.engine) as session:
        found, has_more = await rows.list_cash_links(
            session, merchant_id=whose, terminal_id=terminal_id, after=start, limit=limit
        )
    views = [CashLinkView.of(link) for link in found]
    return page_of("cash-links", views, has_more, views[-1].id if views else None, after)


@router.post("/{cash_link_id}/deactivate", status_code=200, response_model=CashLinkView)
async def deactivate(cash_link_id: str, call: CanSell) -> Response:
    """Disarm a cash link; its attempt ends. Refused while a buyer pays."""

    async def intent(session: Session, claim: Claim) -> Activation | None:
        link = await rows.load_cash_link(session, cash_link_id, merchant_id=call.caller.merchant_id)
        live = await rows.live_activation(session, link.id)
        if live is None and claim.attempt_no > 1:
            return None  # its answer was lost, and the worker has disarmed it since
        if live is None:
            raise ActivationMissing(cash_link_id=link.id)
        return await activating.begin_deactivation(session, live, now=call.now)

    async def act(activation: Activation | None) -> None:
        if activation is not None:
            await take_back(call.door.wiring.sales, activation)

    async def outcome(session: Session, activation: Activation | None, _done: None) -> CashLinkView:
        live = await rows.live_activation(session, cash_link_id)
        if live is not None and activation is not None and live.id == activation.id:
            raise ActivationPaying(cash_link_id=cash_link_id)
        return await _view_of(session, call, cash_link_id)

    return await in_phases(call, intent=intent, act=act, outcome=outcome, status=200)


@router.post("/{cash_link_id}/move", status_code=200, response_model=CashLinkView)
async def move(cash_link_id: str, call: CanWrite, body: CashLinkMoveBody) -> Response:
    """Move a plate to another till, or let its payments arrive at another account. Refused while it is armed."""

    async def intent(session: Session, _claim: Claim) -> CashLink:
        return await activating.lock_movable(session, cash_link_id, merchant_id=call.caller.merchant_id)

    async def act(link: CashLink) -> NspkRefused | None:
        if body.bank_account is None:
            return None
        assert link.qrc_id is not None
        try:
            await call.door.wiring.sales.nspk.move(link.qrc_id, body.bank_account)
        except NspkRefused as refused:
            return refused
        return None

    async def outcome(session: Session, link: CashLink, refused: NspkRefused | None) -> CashLinkView:
        if refused is not None:
            raise refused
        terminal = None if body.terminal_id is None else await terminal_of(session, call, body.terminal_id)
        if terminal is not None and terminal.merchant_id != link.merchant_id:
            raise TerminalNotFound(terminal_id=terminal.id)
        place = None if terminal is None else (terminal.store_id, terminal.id)
        moved = await activating.move_cash_link(session, link, place=place, bank_account=body.bank_account)
        return CashLinkView.of(moved)

    return await in_phases(call, intent=intent, act=act, outcome=outcome, status=200)


async def _view_of(session: Session, call: Call, cash_link_id: str) -> CashLinkView:
    link = await rows.load_cash_link(session, cash_link_id, merchant_id=call.caller.merchant_id)
    return CashLinkView.of(link, await rows.live_activation(session, link.id))
