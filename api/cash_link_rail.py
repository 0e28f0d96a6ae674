"""A till's cash link as a rail: SBP without a new QR, the plate is armed with the sum of the sale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from checkout.rail import Offer, ShownQr, Start, StartStatus
from ledger.database import Session
from sbp_gateway import activating
from sbp_gateway import cash_link_repository as rows
from sbp_gateway.cash_links import Activation, LinkState
from sbp_gateway.errors import NspkRefused, NspkUnavailable, NspkUnknown
from sbp_gateway.nspk_cash_links import NspkCashLinks


@dataclass(frozen=True, slots=True)
class CashLinkRail:
    """SBP by one cash link, fitted to what checkout asks of a rail."""

    nspk: NspkCashLinks
    cash_link_id: str
    minutes: int
    """How long the buyer may pay."""
    name: str = "sbp"

    async def offer(self, session: Session, offer: Offer, *, now: datetime) -> Offer:
        """Intent: an activation for the attempt.

        Raises: TtlOutOfRange, CashLinkNotFound, CashLinkNotRegistered, CashLinkElsewhere, ActivationLive.
        """
        activation = await activating.request_activation(
            session, cash_link_id=self.cash_link_id, attempt_id=offer.attempt_id, merchant_id=offer.merchant_id,
            terminal_id=offer.terminal_id, amount=offer.amount, purpose=offer.purpose, minutes=self.minutes, now=now,
        )  # fmt: skip
        return replace(offer, reference=activation.id, request=activation)

    async def start(self, offer: Offer) -> Start:
        """Call: arm the link."""
        assert isinstance(offer.request, Activation)
        return await arm(self.nspk, offer.request)

    async def record_start(self, session: Session, offer: Offer, start: Start, *, now: datetime) -> bool:
        """Outcome."""
        return await record_start(session, offer.reference, start, now=now)

    async def shown(self, session: Session, attempt_ids: Sequence[str]) -> Mapping[str, ShownQr]:
        """The plate of each attempt."""
        return await shown_plates(session, attempt_ids)


async def shown_plates(session: Session, attempt_ids: Sequence[str]) -> dict[str, ShownQr]:
    """The plate by which each attempt is paid."""
    found = await rows.activations_by_attempt(session, attempt_ids)
    return {
        attempt_id: ShownQr(activation.id, activation.qrc_id, activation.payload)
        for attempt_id, activation in found.items()
    }


async def record_start(session: Session, activation_id: str, start: Start, *, now: datetime) -> bool:
    """Outcome: the link is armed, refused, or looked at by the worker at once. Locks: the activation."""
    if start.use_id is not None:
        return await activating.record_armed(session, activation_id, start.use_id, now=now)
    if start.status is StartStatus.REFUSED:
        return await activating.record_refused(session, activation_id, start.reason or "refused")
    return await activating.hurry(session, activation_id, now=now)


async def arm(nspk: NspkCashLinks, activation: Activation) -> Start:
    """Arm a link with a sale.

    Nobody else of ours may arm it meanwhile, so whatever else it is armed with is left over from an answer
    that came to nobody: it is taken back, once, and the link armed anew.
    """
    try:
        return await _activate(nspk, activation)
    except NspkUnavailable as unavailable:  # nothing was sent: the cashier may try again at once
        return Start(StartStatus.REFUSED, reason=unavailable.code)
    except NspkUnknown:
        return Start(StartStatus.UNKNOWN)
    except NspkRefused as refused:
        return await _arm_anew(nspk, activation, str(refused.facts.get("nspk_code", refused)))


async def _arm_anew(nspk: NspkCashLinks, activation: Activation, reason: str) -> Start:
    try:
        if (await nspk.link_state(activation.qrc_id)).link_state is not LinkState.WAITING_PAYMENT:
            return Start(StartStatus.REFUSED, reason=reason)
        await nspk.deactivate(activation.qrc_id)
        return await _activate(nspk, activation)
    except NspkRefused as refused:
        return Start(StartStatus.REFUSED, reason=str(refused.facts.get("nspk_code", refused)))
    except (NspkUnavailable, NspkUnknown):
        return Start(StartStatus.UNKNOWN)


async def _activate(nspk: NspkCashLinks, activation: Activation) -> Start:
    params_id = await nspk.activate(activation.qrc_id, activation.amount, activation.purpose)
    return armed(activation, params_id)


def armed(activation: Activation, params_id: str) -> Start:
    """What a rail says of a link that is armed."""
    return Start(StartStatus.STARTED, activation.qrc_id, activation.payload, params_id)
