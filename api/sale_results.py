"""What NSPK says about sales by cash links, turned into paid orders, ended attempts and links that are free again.

The word of NSPK's authenticated answer about one activation moves money, and nothing else does.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from api import unmatched_money
from api.paying import pay
from checkout import till
from checkout.attempts import AttemptStatus
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction, transaction
from sbp_gateway import activating, late_watches
from sbp_gateway import cash_link_repository as rows
from sbp_gateway import repository as sbp
from sbp_gateway import unmatched_repository as unmatched
from sbp_gateway.cash_links import (
    ALLOWED,
    ARMED,
    LIVE,
    Activation,
    ActivationStatus,
    CashLink,
    LinkState,
    SaleState,
    is_of,
)
from sbp_gateway.errors import NspkRefused, NspkUnavailable, NspkUnknown
from sbp_gateway.nspk import OperationStatus
from sbp_gateway.nspk_cash_links import NspkCashLinks
from sbp_gateway.payments import AcceptedOperation, is_trx_id
from sbp_gateway.qr_codes import FIRST_POLL_WAIT
from sbp_gateway.unmatched_payments import UnmatchedReason


@dataclass(frozen=True, slots=True)
class SaleReader:
    """Asks NSPK about sales by cash links and carries out what it says."""

    engine: Engine
    nspk: NspkCashLinks
    clock: Clock

    async def read(self, activation: Activation) -> None:
        """Ask about an activation and do what the answer means.

        One that NSPK has not named to us yet is looked for on its link first.
        Raises: NspkRefused, NspkUnknown, NspkUnavailable.
        """
        params_id = activation.params_id or await self.find(activation)
        if params_id is None:
            await in_transaction(self.engine, lambda session: self._give_up(session, activation))
            return
        sale = await self.nspk.sale_state(activation.qrc_id, params_id)
        await in_transaction(
            self.engine, lambda session: self._settle(session, activation, activation, params_id, sale)
        )

    async def find(self, activation: Activation) -> str | None:
        """What the link is or was last armed with, if that can only be this activation: by its sum, nobody else's.

        One that is over and was not paid is given up: the link may be armed anew.
        Raises: NspkRefused, NspkUnknown, NspkUnavailable.
        """
        said = await self.nspk.link_state(activation.qrc_id)
        if said.params_id is None:
            return None
        async with transaction(self.engine) as session:
            if await rows.activation_by_sale(session, activation.qrc_id, said.params_id) is not None:
                return None
        sale = await self.nspk.sale_state(activation.qrc_id, said.params_id)
        if sale.status is not OperationStatus.ACCEPTED and said.link_state not in ARMED:
            return None
        return said.params_id if is_of(activation, said.params_id, sale) else None

    async def _give_up(self, session: Session, activation: Activation) -> None:
        """NSPK knows no activation that could be ours: the link is free, the attempt is over.

        Not before what NSPK was asked must have been carried out, or never will be.
        """
        now = self.clock.now()
        locked = await rows.lock_activation(session, activation.id)
        is_nameless = locked.status is ActivationStatus.DEACTIVATING and locked.params_id is None
        if is_nameless and now >= locked.is_answered_at:
            await end(session, locked, AttemptStatus.EXPIRED, now=now)

    async def disarm_left_over(self, activation: Activation) -> None:
        """Ask about an activation given up, and disarm the link if it is armed with it after all.

        Without a name it is looked for while nobody else uses the link.
        Raises: NspkRefused, NspkUnknown, NspkUnavailable.
        """
        async with transaction(self.engine) as session:
            if await rows.live_activation(session, activation.cash_link_id) is not None and not activation.params_id:
                return
        await self.read(activation)
        async with transaction(self.engine) as session:
            named = await rows.lock_activation(session, activation.id)
        if named.params_id is None or named.status is not ActivationStatus.DEACTIVATED:
            return
        said = await self.nspk.link_state(named.qrc_id)
        if (said.link_state, said.params_id) == (LinkState.WAITING_PAYMENT, named.params_id):
            await self.nspk.deactivate(named.qrc_id)

    async def look_up(self, qrc_id: str, params_id: str) -> bool:
        """Ask about a sale that a notification named, and say whether it is ours.

        Raises: NspkUnknown, NspkUnavailable, and what the database raises; the worker asks again later.
        """
        async with transaction(self.engine) as session:
            link = await rows.cash_link_by_qrc_id(session, qrc_id)
            known = await rows.activation_by_sale(session, qrc_id, params_id)
            if link is not None and known is None:
                known = await rows.live_activation(session, link.id)
        if link is None:
            return False
        try:
            sale = await self.nspk.sale_state(qrc_id, params_id)
        except NspkRefused:
            return False  # NSPK knows of no such sale
        is_ours = await in_transaction(self.engine, lambda session: self._settle(session, link, known, params_id, sale))
        if is_ours and known is not None and known.params_id not in (None, params_id):
            with suppress(NspkRefused, NspkUnknown, NspkUnavailable):  # armed twice and paid once: nobody pays again
                await self.nspk.deactivate(qrc_id)
        return is_ours

    async def _settle(
        self, session: Session, owner: CashLink | Activation, known: Activation | None, params_id: str, sale: SaleState
    ) -> bool:
        """Do what a sale's state means for its activation; money that is no activation's waits for a person."""
        now = self.clock.now()
        if sale.trx_id is not None and await unmatched.is_kept(session, sale.trx_id):
            return True
        if known is not None and await carry_out(session, known.id, params_id, sale, now=now):
            return True
        if sale.status is not OperationStatus.ACCEPTED or not is_trx_id(sale.trx_id):
            return False
        link_id = owner.cash_link_id if isinstance(owner, Activation) else owner.id
        reason = UnmatchedReason.ACTIVATION_UNKNOWN
        await unmatched_money.keep_sale(session, owner.merchant_id, link_id, sale, reason, now=now)
        return True


async def carry_out(session: Session, activation_id: str, params_id: str, sale: SaleState, *, now: datetime) -> bool:
    """Do what NSPK's answer about a sale means: pay the order, end the attempt, or nothing yet.

    False if the sale is not the activation's. Locks: the activation, then order, attempt and accounts.
    """
    activation = await _named(session, activation_id, params_id, sale, now=now)
    if activation is None:
        return False
    if sale.status is OperationStatus.ACCEPTED and is_trx_id(sale.trx_id):
        await _take_money(session, activation, sale, now=now)
    elif sale.link_state in ARMED or sale.status is OperationStatus.RECEIVED:
        await _go_on(session, activation, sale, now=now)
    elif sale.status is OperationStatus.REJECTED:
        await end(session, activation, AttemptStatus.REJECTED, now=now)
    elif is_over(activation, sale, now):
        await end(session, activation, AttemptStatus.EXPIRED, now=now)
    return True


def is_over(activation: Activation, sale: SaleState, now: datetime) -> bool:
    """Whether nobody can have paid: we took it back and NSPK says so, or its time and the grace have passed."""
    if activation.status is ActivationStatus.DEACTIVATING and sale.is_over:
        return True
    return sale.status is OperationStatus.NOT_STARTED and now >= activation.is_over_at


async def _named(
    session: Session, activation_id: str, params_id: str, sale: SaleState, *, now: datetime
) -> Activation | None:
    """The activation, locked, with NSPK's name for it; nothing if the sale is not its own after all."""
    activation = await rows.lock_activation(session, activation_id)
    if activation.params_id == params_id or not is_of(activation, params_id, sale):
        return activation if activation.params_id == params_id else None
    await rows.name_activation(session, activation.id, params_id, next_poll_at=now)
    if activation.status is not ActivationStatus.DEACTIVATED:
        await till.close_attempts(session, [activation.attempt_id], AttemptStatus.WAITING)
    return await rows.lock_activation(session, activation.id)


async def _take_money(session: Session, activation: Activation, sale: SaleState, *, now: datetime) -> None:
    assert sale.trx_id is not None
    if ActivationStatus.PAID not in ALLOWED[activation.status]:
        if not await sbp.booked_operations(session, [sale.trx_id]):
            reason = UnmatchedReason.PAID_ALREADY
            link_id = activation.cash_link_id
            await unmatched_money.keep_sale(session, activation.merchant_id, link_id, sale, reason, now=now)
        return
    if sale.amount != activation.amount:
        reason = UnmatchedReason.AMOUNT_DIFFERS
        await unmatched_money.keep_sale(session, activation.merchant_id, activation.cash_link_id, sale, reason, now=now)
        await end(session, activation, AttemptStatus.EXPIRED, now=now)
        return
    operation = AcceptedOperation(
        activation.attempt_id, activation.merchant_id, activation.amount, sale.trx_id, sale.kzo,
        activation.requested_at, sale.said_at, activation_id=activation.id,
        payer_mask=sale.payer_mask,
    )  # fmt: skip
    await pay(session, [operation], now=now)


async def _go_on(session: Session, activation: Activation, sale: SaleState, *, now: datetime) -> None:
    """The link is armed still. One that a buyer is paying at this moment cannot be taken back: it waits again."""
    is_paying = sale.link_state is LinkState.IN_PROGRESS or sale.status is OperationStatus.RECEIVED
    if is_paying and activation.status is ActivationStatus.DEACTIVATING:
        next_poll_at = now + FIRST_POLL_WAIT
        await activating.move(session, activation, ActivationStatus.WAITING, next_poll_at=next_poll_at)


async def end(session: Session, activation: Activation, to: AttemptStatus, *, now: datetime) -> None:
    """End a locked activation that nobody can pay any more, and its attempt. Its money may come late all the same."""
    if activation.status in LIVE:
        await late_watches.begin(session, activation_ids=[activation.id], now=now)
        await activating.move(session, activation, ActivationStatus.DEACTIVATED)
        await till.close_attempts(session, [activation.attempt_id], to)
