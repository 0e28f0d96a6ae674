"""What a phone sees when it scans a code: one form for every kind of link the simulator keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sbp_gateway.nspk import OperationStatus
from sbp_gateway.simulator.bindings import BindingSimulator, SimulatedBinding
from sbp_gateway.simulator.cash_links import CashLinks, SimulatedCashLink
from sbp_gateway.simulator.links import Links, SimulatedLink


class ScannedLinkState(StrEnum):
    """What a buyer can do with a scanned link."""

    WAITING = "waiting"
    REJECTED = "rejected"
    """The bank said no; it may be tried again."""
    LATE = "late"
    """Confirmed, and silent until its time is over."""
    ACCEPTED = "accepted"
    EXPIRED = "expired"
    BOUND = "bound"
    """The buyer's account is bound; the consent may be taken back."""
    NOT_ARMED = "not_armed"
    """The till has set no amount."""


PAYABLE = frozenset({ScannedLinkState.WAITING, ScannedLinkState.REJECTED})


@dataclass(frozen=True, slots=True)
class ScannedLink:
    """A link on a buyer's screen. Amounts: kopecks."""

    qrc_id: str
    payload: str
    kind: str
    """``dynamic``, ``plate``, ``sticker`` or ``binding``."""
    member_id: str
    amount: int | None
    """Nothing when the buyer writes it, or nobody has set it."""
    state: ScannedLinkState
    payee: str = ""
    purpose: str = ""
    expires_at: datetime | None = None
    late_at: datetime | None = None
    trx_id: str | None = None
    payer_bank: str | None = None
    paid_before: int | None = None
    """What was paid last by a sticker."""


def scan(
    links: Links, cash_links: CashLinks, bindings: BindingSimulator, qrc_id: str, now: datetime
) -> ScannedLink | None:
    """What a link is now; nothing if NSPK does not know it."""
    if qrc_id in bindings.by_id:
        return _of_binding(bindings.by_id[qrc_id])
    if qrc_id in links.by_id:
        return _of_link(links.by_id[qrc_id], now)
    return _of_cash_link(cash_links.by_id[qrc_id], now) if qrc_id in cash_links.by_id else None


def waiting_links(links: Links, now: datetime) -> Iterator[ScannedLink]:
    """Dynamic links that a buyer may still pay, newest first."""
    for link in reversed(links.by_id.values()):
        found = _of_link(link, now)
        if found.state in PAYABLE:
            yield found


def _of_link(link: SimulatedLink, now: datetime) -> ScannedLink:
    return ScannedLink(
        link.qrc_id, link.payload, "dynamic", link.member_id, link.amount, _state_of(link, now), link.merchant_id,
        link.purpose, link.expires_at, link.late_at, link.trx_id, link.payer_bank,
    )  # fmt: skip


def _state_of(link: SimulatedLink, now: datetime) -> ScannedLinkState:
    if link.status is OperationStatus.ACCEPTED:
        return ScannedLinkState.ACCEPTED
    if link.late_at is not None:
        return ScannedLinkState.LATE
    if now >= link.expires_at:
        return ScannedLinkState.EXPIRED
    return ScannedLinkState.REJECTED if link.status is OperationStatus.REJECTED else ScannedLinkState.WAITING


def _of_binding(binding: SimulatedBinding) -> ScannedLink:
    is_bound = binding.subscription_id is not None and not binding.is_ended
    state = ScannedLinkState.BOUND if is_bound else ScannedLinkState.WAITING
    return ScannedLink(binding.qrc_id, binding.payload, "binding", binding.member_id, None, state)


def _of_cash_link(link: SimulatedCashLink, now: datetime) -> ScannedLink:
    if link.is_sticker:
        return _of_sticker(link)
    sale, last = link.armed(now), link.last
    state, amount, trx_id, expires_at = ScannedLinkState.NOT_ARMED, None, None, None
    if sale is not None:
        state, amount, expires_at = ScannedLinkState.WAITING, sale.amount, sale.expires_at
    elif last is not None and last.status is OperationStatus.ACCEPTED:
        state, amount, trx_id = ScannedLinkState.ACCEPTED, last.amount, last.trx_id
    elif last is not None and last.status is OperationStatus.REJECTED:
        state, amount, trx_id = ScannedLinkState.NOT_ARMED, None, last.trx_id
    return ScannedLink(
        link.qrc_id, link.payload, "plate", link.member_id, amount, state, expires_at=expires_at, trx_id=trx_id
    )


def _of_sticker(link: SimulatedCashLink) -> ScannedLink:
    paid = [sale for sale in link.sales.values() if sale.status is OperationStatus.ACCEPTED]
    return ScannedLink(
        link.qrc_id, link.payload, "sticker", link.member_id, link.amount, ScannedLinkState.WAITING,
        trx_id=paid[-1].trx_id if paid else None, paid_before=paid[-1].amount if paid else None,
    )  # fmt: skip
