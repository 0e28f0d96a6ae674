"""What happens to cash links and activations: asked for, armed, disarmed. The calls between are the door's."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from datetime import datetime, timedelta

from ledger.database import Session
from ledger.ids import new_id
from ledger.money import Kopecks
from sbp_gateway import cash_link_repository as rows
from sbp_gateway import late_watches, repository
from sbp_gateway.cash_links import (
    ACTIVATION_MINUTES_MAX,
    ALLOWED,
    ANSWER_WAIT,
    Activation,
    ActivationStatus,
    CashLink,
    CashLinkStatus,
)
from sbp_gateway.errors import (
    ActivationLive,
    CashLinkElsewhere,
    CashLinkNotRegistered,
    LinkKindNotOffered,
    QrcIdNotReserved,
    QrcIdTaken,
    TtlOutOfRange,
)
from sbp_gateway.merchants import SbpMerchant
from sbp_gateway.nspk_cash_links import CashLinkRegistration
from sbp_gateway.qr_codes import FIRST_POLL_WAIT, PURPOSE_CHARACTERS_MAX
from sbp_gateway.registering import live_merchant


async def request_cash_link(
    session: Session,
    cash_link_id: str,
    *,
    merchant_id: str,
    store_id: str,
    terminal_id: str,
    qrc_id: str | None,
    elsewhere: Container[str] = (),
    now: datetime,
) -> CashLink:
    """Intent: write down a cash link of a terminal, under an id from a printed plate if one is given.

    Raises: MerchantNotRegistered, LinkKindNotOffered, QrcIdNotReserved, QrcIdTaken.
    """
    merchant = await merchant_at_nspk(session, merchant_id, elsewhere)
    if qrc_id is not None and not await rows.is_reserved(session, qrc_id, merchant_id):
        raise QrcIdNotReserved(qrc_id=qrc_id)
    link = CashLink(
        cash_link_id, merchant_id, store_id, terminal_id, merchant.bank_account, CashLinkStatus.REQUESTED, qrc_id,
        None, now,
    )  # fmt: skip
    if not await rows.add_cash_link(session, link, next_try_at=now + ANSWER_WAIT):
        raise QrcIdTaken(qrc_id=qrc_id)
    return link


async def merchant_at_nspk(session: Session, merchant_id: str, elsewhere: Container[str] = ()) -> SbpMerchant:
    """A merchant for whom we may register links with NSPK ourselves; banks ``elsewhere`` have another provider.

    Raises: MerchantNotRegistered, LinkKindNotOffered.
    """
    merchant = await live_merchant(session, merchant_id)
    if merchant.member_id in elsewhere:
        raise LinkKindNotOffered(member_id=merchant.member_id)
    return merchant


async def registration_of(session: Session, link: CashLink, qrc_id: str) -> CashLinkRegistration:
    """What NSPK is asked to register."""
    merchant = (await repository.merchants_by_id(session, [link.merchant_id]))[link.merchant_id]
    return CashLinkRegistration(merchant.nspk_merchant_id, merchant.member_id, link.bank_account, qrc_id)


async def request_activation(
    session: Session,
    *,
    cash_link_id: str,
    attempt_id: str,
    merchant_id: str,
    terminal_id: str,
    amount: Kopecks,
    purpose: str,
    minutes: int,
    now: datetime,
) -> Activation:
    """Intent: write down that a link is to be armed with the sum of an attempt.

    Raises: TtlOutOfRange, CashLinkNotFound, CashLinkNotRegistered, CashLinkElsewhere, MerchantNotRegistered,
    ActivationLive.
    Locks: the link, shared, so that it is not moved meanwhile.
    """
    if not 1 <= minutes <= ACTIVATION_MINUTES_MAX:
        raise TtlOutOfRange(ttl_minutes=minutes, ttl_minutes_min=1, ttl_minutes_max=ACTIVATION_MINUTES_MAX)
    link = await rows.share_cash_link(session, cash_link_id, merchant_id=merchant_id)
    if link.qrc_id is None or link.payload is None:
        raise CashLinkNotRegistered(cash_link_id=link.id, status=link.status.value)
    if link.terminal_id != terminal_id:
        raise CashLinkElsewhere(cash_link_id=link.id, terminal_id=link.terminal_id)
    await live_merchant(session, merchant_id)

    activation = Activation(
        id=new_id("acv", now),
        cash_link_id=link.id,
        qrc_id=link.qrc_id,
        payload=link.payload,
        attempt_id=attempt_id,
        merchant_id=merchant_id,
        amount=amount,
        purpose=purpose[:PURPOSE_CHARACTERS_MAX],
        status=ActivationStatus.REQUESTED,
        params_id=None,
        requested_at=now,
        expires_at=now + timedelta(minutes=minutes),
        polls=0,
    )
    if not await rows.add_activation(session, activation, next_poll_at=now + ANSWER_WAIT):
        raise ActivationLive(cash_link_id=link.id)
    return activation


async def record_armed(session: Session, activation_id: str, params_id: str, *, now: datetime) -> bool:
    """Outcome: NSPK armed the link. False if the activation is no longer waited for. Locks: the activation.

    One that is taken back meanwhile is kept by its name all the same, so that the link is disarmed at once.
    """
    activation = await rows.lock_activation(session, activation_id)
    if activation.status in (ActivationStatus.DEACTIVATING, ActivationStatus.DEACTIVATED):
        if activation.params_id is None:
            await rows.name_activation(session, activation_id, params_id, next_poll_at=now)
            await late_watches.hurry(session, activation_id, now=now)
        return False
    return await rows.move_activation(
        session, activation_id, ActivationStatus.WAITING, [ActivationStatus.REQUESTED],
        params_id=params_id, next_poll_at=now + FIRST_POLL_WAIT,
    )  # fmt: skip


async def record_refused(session: Session, activation_id: str, refusal: str) -> bool:
    """Outcome: NSPK refused to arm the link. Locks: the activation."""
    return await rows.move_activation(
        session, activation_id, ActivationStatus.REFUSED, [ActivationStatus.REQUESTED],
        refusal=refusal, next_poll_at=None,
    )  # fmt: skip


async def hurry(session: Session, activation_id: str, *, now: datetime) -> bool:
    """Let the worker look at once at an activation whose answer was lost. Locks: the activation."""
    return await rows.move_activation(
        session, activation_id, ActivationStatus.REQUESTED, [ActivationStatus.REQUESTED], next_poll_at=now
    )


async def begin_deactivation(session: Session, activation: Activation, *, now: datetime) -> Activation:
    """Intent: the activation must not be paid any more. One that is over stays so. Locks: the activation.

    Nobody else asks NSPK meanwhile, unless the answer stays away for too long.
    """
    locked = await rows.lock_activation(session, activation.id)
    if locked.status is ActivationStatus.DEACTIVATING:
        await rows.save_next_poll(session, locked.id, now + ANSWER_WAIT)
        return locked
    if ActivationStatus.DEACTIVATING not in ALLOWED[locked.status]:
        return locked
    await move(session, locked, ActivationStatus.DEACTIVATING, next_poll_at=now + ANSWER_WAIT)
    return replace(locked, status=ActivationStatus.DEACTIVATING)


async def move(
    session: Session, activation: Activation, to: ActivationStatus, *, next_poll_at: datetime | None = None
) -> None:
    """Bring a locked activation to its next status, which the table allows."""
    assert to in ALLOWED[activation.status]
    is_moved = await rows.move_activation(session, activation.id, to, [activation.status], next_poll_at=next_poll_at)
    assert is_moved


async def lock_movable(session: Session, cash_link_id: str, *, merchant_id: str | None) -> CashLink:
    """A cash link that may be moved: registered, and not armed. Locks: the link.

    Raises: CashLinkNotFound, CashLinkNotRegistered, ActivationLive.
    """
    link = await rows.lock_cash_link(session, cash_link_id, merchant_id=merchant_id)
    if link.status is not CashLinkStatus.REGISTERED:
        raise CashLinkNotRegistered(cash_link_id=link.id, status=link.status.value)
    if await rows.live_activation(session, link.id) is not None:
        raise ActivationLive(cash_link_id=link.id)
    return link


async def move_cash_link(
    session: Session, link: CashLink, *, place: tuple[str, str] | None, bank_account: str | None
) -> CashLink:
    """Keep the store and terminal, or the bank account, that a link moved to.

    Raises: ActivationLive if it was armed meanwhile and stays with its till. Locks: the link.
    """
    locked = await rows.lock_cash_link(session, link.id, merchant_id=link.merchant_id)
    if place is not None:
        await lock_movable(session, link.id, merchant_id=link.merchant_id)
        locked = replace(locked, store_id=place[0], terminal_id=place[1])
    if bank_account is not None:
        locked = replace(locked, bank_account=bank_account)
    await rows.move_cash_link(session, locked)
    return locked
