"""Cash links: set up from a plate, read, switched on and off, moved to another till."""

from __future__ import annotations

from typing import Annotated

from starlette.responses import Response

from api.answers import Answer
from api.contracts.outer_ids import inner_id
from api.contracts.yookassa import pos_links, tills
from api.contracts.yookassa.bodies import PosLinkCreateBody, PosLinkMoveBody, TillBody
from api.contracts.yookassa.entrance import contract_router, shop_id_of
from api.contracts.yookassa.errors import ParameterInvalid, PaymentProcessing
from api.contracts.yookassa.pos_links import PosLink, pos_link_object
from api.contracts.yookassa.routes.payments import said
from api.door import Call, needs
from api.idempotency import Claim, in_phases, once
from api.sale_watching import register, take_back
from api.settings import Mode
from checkout import repository as till_rows
from ledger.database import Session, transaction
from sbp_gateway import activating
from sbp_gateway import cash_link_repository as rows
from sbp_gateway.cash_links import Activation, CashLink, CashLinkStatus
from sbp_gateway.errors import ActivationPaying, NspkUnavailable, NspkUnknown
from sbp_gateway.payload import parse, parse_leniently

router = contract_router("yookassa cash links")

CanWrite = Annotated[Call, needs("orders:write")]
CanRead = Annotated[Call, needs("orders:read")]
LINK = "pos_link_data.link"


@router.post("/pos_links")
async def create_pos_link(call: CanWrite, body: PosLinkCreateBody) -> Response:
    """Set a plate up for a till. A plate that we registered before is taken over; a new one is registered at NSPK."""
    merchant_id = shop_id_of(call.caller)
    gateway_id, qrc_id = gateway_of(body.recipient), qrc_id_of(call, body)

    async def intent(session: Session, claim: Claim) -> CashLink:
        if claim.attempt_no > 1:
            found = await rows.find_cash_link(session, claim.resource_id, merchant_id=merchant_id)
            if found is not None:
                return found
        return await _set_up(session, call, gateway_id, qrc_id, claim.resource_id)

    async def act(link: CashLink) -> None:
        if link.status is not CashLinkStatus.REQUESTED:
            return
        try:
            await register(call.door.wiring.sales, link)
        except (NspkUnknown, NspkUnavailable):
            return  # the worker goes on, and the answer is "processing"

    async def outcome(session: Session, link: CashLink, _done: None) -> Answer:
        now = await rows.load_cash_link(session, link.id, merchant_id=merchant_id)
        if now.status is CashLinkStatus.REQUESTED:
            raise PaymentProcessing()
        if now.status is CashLinkStatus.REFUSED:
            raise ParameterInvalid("NSPK refused the link.", parameter=LINK)
        return answer_of(await pos_links.load_pos_link(session, link.id, merchant_id=merchant_id))

    return await in_phases(call, intent=intent, act=act, outcome=outcome, status=200, prefix="csh")


def gateway_of(recipient: TillBody) -> str:
    """The till that is named. Raises: ParameterInvalid."""
    if recipient.gateway_id is None:
        raise ParameterInvalid("Say at which till the plate stands.", parameter="recipient.gateway_id")
    return recipient.gateway_id


def qrc_id_of(call: Call, body: PosLinkCreateBody) -> str | None:
    """NSPK's id of the plate that was scanned; nothing when a new link is wished. Raises: InvalidPayload."""
    if body.pos_link_data is None or body.pos_link_data.link is None:
        return None
    read = parse if call.door.settings.mode is Mode.PRODUCTION else parse_leniently
    return read(body.pos_link_data.link).qrc_id


async def _set_up(session: Session, call: Call, gateway_id: str, qrc_id: str | None, new_id: str) -> CashLink:
    """The plate's own link if we know it, or a new one. Raises: ParameterInvalid, what registering refuses."""
    merchant_id = shop_id_of(call.caller)
    terminal_id = await tills.terminal_of(session, merchant_id, gateway_id, now=call.now)
    known = None if qrc_id is None else await rows.cash_link_by_qrc_id(session, qrc_id)
    if known is not None and known.merchant_id == merchant_id:
        if known.terminal_id != terminal_id:
            raise ParameterInvalid("The plate is at another gateway: move it by recipient.", parameter=LINK)
        if await pos_links.find_pos_link(session, known.id, merchant_id=merchant_id) is not None:
            return known
        link = known
    else:
        terminal = await till_rows.load_terminal(session, terminal_id)
        link = await activating.request_cash_link(
            session, new_id, merchant_id=merchant_id, store_id=terminal.store_id, terminal_id=terminal.id,
            qrc_id=qrc_id, elsewhere=call.door.settings.tkassa_members, now=call.now,
        )  # fmt: skip
    await pos_links.add_pos_link(session, link.id, merchant_id=merchant_id, gateway_id=gateway_id, now=call.now)
    return link


@router.get("/pos_links/{pos_link_id}")
async def read_pos_link(pos_link_id: str, call: CanRead) -> Response:
    """One cash link and its last payment."""
    async with transaction(call.engine) as session:
        return answer_of(await _pos_link(session, call, pos_link_id)).response()


@router.post("/pos_links/{pos_link_id}/activate")
async def activate(pos_link_id: str, call: CanWrite) -> Response:
    """Let payments be made by the link again."""

    async def work(session: Session, _claim: Claim) -> Answer:
        link = await _pos_link(session, call, pos_link_id)
        await pos_links.set_active(session, link.cash_link_id, is_active=True)
        return answer_of(await _pos_link(session, call, pos_link_id))

    return await once(call, work, status=200)


@router.post("/pos_links/{pos_link_id}/deactivate")
async def deactivate(pos_link_id: str, call: CanWrite) -> Response:
    """Let no more payments be made by the link; one that waits is taken back from NSPK.

    Refused while a buyer pays.
    """

    async def intent(session: Session, _claim: Claim) -> Activation | None:
        link = await _pos_link(session, call, pos_link_id)
        live = await rows.live_activation(session, link.cash_link_id)
        return None if live is None else await activating.begin_deactivation(session, live, now=call.now)

    async def act(live: Activation | None) -> None:
        if live is not None:
            await take_back(call.door.wiring.sales, live)

    async def outcome(session: Session, before: Activation | None, _done: None) -> Answer:
        link = await _pos_link(session, call, pos_link_id)
        if before is not None:
            live = await rows.live_activation(session, link.cash_link_id)
            if live is not None and live.id == before.id:
                raise ActivationPaying(cash_link_id=link.cash_link_id)
        await pos_links.set_active(session, link.cash_link_id, is_active=False)
        return answer_of(await _pos_link(session, call, pos_link_id))

    return await in_phases(call, intent=intent, act=act, outcome=outcome, status=200)


@router.post("/pos_links/{pos_link_id}/recipient")
async def change_recipient(pos_link_id: str, call: CanWrite, body: PosLinkMoveBody) -> Response:
    """Take the plate to another till. Refused while it is armed."""
    merchant_id, gateway_id = shop_id_of(call.caller), gateway_of(body.recipient)

    async def work(session: Session, _claim: Claim) -> Answer:
        link = await _pos_link(session, call, pos_link_id)
        terminal = await till_rows.load_terminal(
            session, await tills.terminal_of(session, merchant_id, gateway_id, now=call.now)
        )
        plate = await activating.lock_movable(session, link.cash_link_id, merchant_id=merchant_id)
        place = (terminal.store_id, terminal.id)
        await activating.move_cash_link(session, plate, place=place, bank_account=None)
        await pos_links.set_gateway(session, link.cash_link_id, gateway_id)
        return answer_of(await _pos_link(session, call, pos_link_id))

    return await once(call, work, status=200)


async def _pos_link(session: Session, call: Call, pos_link_id: str) -> PosLink:
    return await pos_links.load_pos_link(session, inner_id("csh", pos_link_id), merchant_id=shop_id_of(call.caller))


def answer_of(link: PosLink) -> Answer:
    """The cash link as an answer."""
    return said(pos_link_object(link), resource_id=link.cash_link_id)
