"""What checkout asks of a payment rail. SBP is fitted to this in ``api.wiring``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from ledger.database import Session
from ledger.money import Kopecks


@dataclass(frozen=True, slots=True)
class Offer:
    """What a buyer is offered to pay through a rail."""

    attempt_id: str
    merchant_id: str
    amount: Kopecks
    purpose: str
    """What the buyer reads in the bank's application."""
    reference: str = ""
    """The rail's own id of the offer; filled by ``Rail.offer``."""
    request: object = None
    """What the rail will be asked, in its own words; filled by ``Rail.offer``."""
    terminal_id: str = ""
    """The till that asks."""


class StartStatus(StrEnum):
    """How the call to a rail went."""

    STARTED = "started"
    """The buyer can pay."""
    REFUSED = "refused"
    """The rail says no, and will say it again."""
    UNKNOWN = "unknown"
    """The answer was lost: the rail may or may not have heard us."""


@dataclass(frozen=True, slots=True)
class Start:
    """The rail's answer to an offer."""

    status: StartStatus
    link_id: str | None = None
    """The rail's id of the link that the buyer pays by."""
    payload: str | None = None
    """What the QR shows."""
    use_id: str | None = None
    """Which use of the link this is, where a link is used many times."""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ShownQr:
    """The QR that the buyer sees."""

    id: str
    qrc_id: str
    payload: str


class Rail(Protocol):
    """A way for a buyer's money to come: intent, call, outcome."""

    @property
    def name(self) -> str:
        """The word for it in attempts."""

    async def offer(self, session: Session, offer: Offer, *, now: datetime) -> Offer:
        """Intent: write down what will be asked, in the attempt's own transaction."""

    async def start(self, offer: Offer) -> Start:
        """Call: ask the rail. No session is open. Never raises for what the network does."""

    async def record_start(self, session: Session, offer: Offer, start: Start, *, now: datetime) -> bool:
        """Outcome: keep the answer. False if the offer was given up meanwhile: the answer counts for nothing."""

    async def shown(self, session: Session, attempt_ids: Sequence[str]) -> Mapping[str, ShownQr]:
        """The QR of each attempt that has one to show."""
