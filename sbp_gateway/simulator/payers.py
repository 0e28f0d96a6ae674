"""Buyers with their phones: they confirm or refuse, NSPK moves the money and tells the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sbp_gateway.simulator.clock import SimulatorClock
from sbp_gateway.simulator.faults import Faults
from sbp_gateway.simulator.links import Links, PayRefused, SimulatedLink
from sbp_gateway.simulator.notifications import PATH, Notifier
from sbp_gateway.simulator.scripts import PaymentFault, Scripts

PAYER_ID = "0079******12"
"""A masked phone."""
SECOND_TRY_SECONDS = 1.0
"""How soon a buyer whose bank said no tries again."""
LOOK_SECONDS = 0.2
"""How often it is looked whether late money is due."""


Tell = Callable[[SimulatedLink], tuple[str, dict[str, Any]]]
"""Where a payment of a link is told of, and how; an empty path: nowhere."""


class BuyerWish(StrEnum):
    """What the buyer does."""

    PAY = "accepted"
    REFUSE = "rejected"
    PAY_LATE = "late"


WISH_AFTER = {
    PaymentFault.REJECTED: BuyerWish.REFUSE,
    PaymentFault.REJECTED_THEN_ACCEPTED: BuyerWish.REFUSE,
    PaymentFault.LATE_SUCCESS: BuyerWish.PAY_LATE,
}
"""What becomes of a buyer's wish to pay when a script wants it otherwise."""


@dataclass(frozen=True, slots=True)
class BuyerPhones:
    """Every buyer's phone."""

    links: Links
    scripts: Scripts
    faults: Faults
    notifier: Notifier
    clock: SimulatorClock
    tell: dict[str, Tell] = field(default_factory=dict)
    """How others than NSPK itself tell of their links."""

    def confirm(
        self, qrc_id: str, wish: BuyerWish = BuyerWish.PAY, delay_seconds: float = 0.0, *, payer_bank: str | None = None
    ) -> SimulatedLink:
        """The buyer decides in the bank's application; the notification follows after ``delay_seconds``.

        Raises: PayRefused.
        """
        self.accept_late()
        now = self.clock.now()
        self.links.payable(qrc_id, None if wish is BuyerWish.PAY_LATE else now).payer_bank = payer_bank
        fault = self._fault(qrc_id) if wish is BuyerWish.PAY else PaymentFault.NONE
        wish = WISH_AFTER.get(fault, wish)
        if wish is BuyerWish.PAY_LATE:
            link = self.links.pay_late(qrc_id, now)
            self.accept_late()
            return link
        link = self.links.pay(qrc_id, now, accept=wish is BuyerWish.PAY)
        self._notify(link, delay_seconds)
        if fault is PaymentFault.REJECTED_THEN_ACCEPTED:
            self.notifier.later(SECOND_TRY_SECONDS, lambda: self._try_again(qrc_id))
        return link

    def _fault(self, qrc_id: str) -> PaymentFault:
        ordered = self.scripts.spend_payment(qrc_id)
        if ordered is not PaymentFault.NONE:
            return ordered
        if self.faults.happens("rejected_payment"):
            return PaymentFault.REJECTED
        return PaymentFault.LATE_SUCCESS if self.faults.happens("late_success") else PaymentFault.NONE

    def _try_again(self, qrc_id: str) -> None:
        with suppress(PayRefused):
            self._notify(self.links.pay(qrc_id, self.clock.now()), 0.0)

    def accept_late(self) -> int:
        """Move late money whose time has come, and tell the agent."""
        accepted = self.links.accept_late(self.clock.now())
        for link in accepted:
            self._notify(link, 0.0)
        return len(accepted)

    async def watch(self) -> None:
        """Look after late money until told to stop."""
        with suppress(asyncio.CancelledError):
            while True:
                self.accept_late()
                await asyncio.sleep(LOOK_SECONDS)

    def _notify(self, link: SimulatedLink, delay_seconds: float) -> None:
        path, said = self.tell.get(link.qrc_id, tell_agent)(link)
        if path:
            self.notifier.notify(said, delay_seconds, self.scripts.of(link.qrc_id), path)


def tell_agent(link: SimulatedLink) -> tuple[str, dict[str, Any]]:
    """NSPK's own way."""
    return PATH, notification_of(link)


def notification_of(link: SimulatedLink) -> dict[str, Any]:
    """What NSPK tells the agent about a payment."""
    assert link.paid_at is not None
    said = {
        "qrcId": link.qrc_id,
        "trxId": link.trx_id,
        "status": link.status.value,
        "amount": link.amount,
        "timestamp": link.paid_at.isoformat(timespec="milliseconds"),
        "payerId": PAYER_ID,
        "kzo": link.kzo,
    }
    return {name: value for name, value in said.items() if value is not None}
