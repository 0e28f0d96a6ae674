"""Charges by an account binding: SBP's rail, with a code that NSPK is asked to take by the buyer's consent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from checkout.rail import Offer, Rail, ShownQr, Start
from ledger.clock import Clock
from ledger.database import Engine, Session, transaction
from sbp_gateway import binding_repository as rows
from sbp_gateway.bindings import (
    CHARGE_BATCH_MAX,
    CHARGE_WAIT,
    NO_CONSENT,
    Binding,
    BindingStatus,
    DueCharge,
    wait_before_poll,
)
from sbp_gateway.errors import BindingNotBound, NspkRefused, NspkUnavailable, NspkUnknown
from sbp_gateway.nspk_bindings import NspkBindings

CALLS_AT_ONCE = 8
SILENCE_WAIT = timedelta(seconds=2)
"""Before a question whose answer was lost is asked again."""


@dataclass(frozen=True, slots=True)
class BindingRail:
    """SBP by a buyer's consent: a code as ever, and a note that it is to be charged."""

    sbp: Rail
    binding_id: str
    name: str = "sbp"

    async def offer(self, session: Session, offer: Offer, *, now: datetime) -> Offer:
        """Intent: a code and its charge. Raises: BindingNotFound, BindingNotBound, what the rail raises."""
        binding = await rows.load_binding(session, self.binding_id, merchant_id=offer.merchant_id)
        if binding.status is not BindingStatus.BOUND:
            raise BindingNotBound(binding_id=binding.id, status=binding.status.value)
        await rows.add_charge(session, offer.attempt_id, binding.id, now=now, next_try_at=now)
        return await self.sbp.offer(session, offer, now=now)

    async def start(self, offer: Offer) -> Start:
        """Call: register the code. The worker charges it as soon as it is known."""
        return await self.sbp.start(offer)

    async def record_start(self, session: Session, offer: Offer, start: Start, *, now: datetime) -> bool:
        """Outcome."""
        return await self.sbp.record_start(session, offer, start, now=now)

    async def shown(self, session: Session, attempt_ids: Sequence[str]) -> Mapping[str, ShownQr]:
        """The codes; a buyer whose consent is gone may scan them."""
        return await self.sbp.shown(session, attempt_ids)


@dataclass(frozen=True, slots=True)
class BindingCalls:
    """What the worker does about bindings."""

    engine: Engine
    nspk: NspkBindings
    clock: Clock

    async def charge_due(self) -> int:
        """Ask NSPK to take what is to be charged. Asking again is safe: a code is paid once."""
        now = self.clock.now()
        async with transaction(self.engine) as session:
            due = await rows.take_due_charges(session, now=now, lease_until=now + CHARGE_WAIT, limit=CHARGE_BATCH_MAX)
        await asyncio.gather(*(self._charge(charge) for charge in due))
        return len(due)

    async def _charge(self, charge: DueCharge) -> None:
        refusal = None
        try:
            await self.nspk.charge(charge.subscription_id, charge.qrc_id)
        except (NspkUnknown, NspkUnavailable):
            async with transaction(self.engine) as session:
                await rows.retry_charge(session, charge.attempt_id, self.clock.now() + SILENCE_WAIT)
            return
        except NspkRefused as refused:
            refusal = str(refused.facts.get("nspk_code", refused))
        async with transaction(self.engine) as session:
            await rows.end_charge(session, charge.attempt_id, refusal)
            if refusal == NO_CONSENT:
                await rows.end(session, charge.binding_id)

    async def poll_due(self) -> int:
        """Ask about consents that are waited for."""
        now = self.clock.now()
        async with transaction(self.engine) as session:
            due = await rows.take_due_bindings(session, now=now, lease_until=now + CHARGE_WAIT, limit=CHARGE_BATCH_MAX)
        await asyncio.gather(*(self._poll(binding) for binding in due))
        return len(due)

    async def _poll(self, binding: Binding) -> None:
        try:
            consent = await self.nspk.consent(binding.qrc_id)
        except NspkRefused:
            consent = None  # as good as silence: its time runs on
        except (NspkUnknown, NspkUnavailable):
            async with transaction(self.engine) as session:
                await rows.save_next_poll(session, binding.id, self.clock.now() + SILENCE_WAIT)
            return
        async with transaction(self.engine) as session:
            if consent is not None:
                await rows.bind(session, binding.id, consent)
            elif self.clock.now() >= binding.is_over_at:
                await rows.expire(session, binding.id)
            else:
                await rows.save_next_poll(session, binding.id, self.clock.now() + wait_before_poll(binding))
