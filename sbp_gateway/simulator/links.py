"""What NSPK's simulator remembers: links, the payments of them, and a file to remember by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ledger.clock import MOSCOW
from ledger.money import Kopecks
from sbp_gateway import payload
from sbp_gateway.nspk import OperationStatus

LATE_AFTER = timedelta(minutes=6)
"""How long after a link's time a late success comes: later than the agent's grace of five minutes."""
_BASE_32 = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
Remember = Callable[[Mapping[str, Any]], None]
"""Writes one line of the simulator's journal."""


class PayRefused(Exception):
    """The payer's bank refuses: no such link, its time is over, it was paid or is being paid."""

    def __init__(self, reason: str, trx_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.trx_id = trx_id


@dataclass(slots=True)
class SimulatedLink:
    """A dynamic link and the payment of it."""

    qrc_id: str
    member_id: str
    amount: int
    expires_at: datetime
    merchant_id: str = ""
    """NSPK's id of who is paid."""
    purpose: str = ""
    status: OperationStatus = OperationStatus.NOT_STARTED
    trx_id: str | None = None
    kzo: str | None = None
    paid_at: datetime | None = None
    payer_bank: str | None = None
    """The name of the bank the buyer chose, if one did."""
    late_at: datetime | None = None
    """When a payment that was confirmed and is still silent will be accepted."""

    @property
    def payload(self) -> str:
        """The text behind its QR."""
        return payload.build_dynamic(self.qrc_id, self.member_id, Kopecks(self.amount))


@dataclass(slots=True)
class Links:
    """Every link of one simulator."""

    remember: Remember
    seed: str = ""
    """Makes ids of one simulator unlike those of another."""
    by_id: dict[str, SimulatedLink] = field(default_factory=dict)
    by_trx_id: dict[str, SimulatedLink] = field(default_factory=dict)
    """Links by the operations under them."""
    paid: int = 0
    paid_kopecks: int = 0
    late: dict[str, datetime] = field(default_factory=dict)
    """Links whose payment is confirmed and silent, and when it will be accepted."""

    def register(
        self, member_id: str, amount: int, ttl_minutes: int, now: datetime, *, merchant_id: str = "", purpose: str = ""
    ) -> SimulatedLink:
        """Make a dynamic link."""
        qrc_id = f"AD10{letters(f'{self.seed}/link/{len(self.by_id)}', 28)}"
        expires_at = now + timedelta(minutes=ttl_minutes)
        link = SimulatedLink(qrc_id, member_id, amount, expires_at, merchant_id, purpose)
        self.by_id[qrc_id] = link
        self.remember({
            "link": qrc_id, "member_id": member_id, "amount": amount, "expires_at": link.expires_at.isoformat(),
            "merchant_id": merchant_id, "purpose": purpose,
        })  # fmt: skip
        return link

    def pay(self, qrc_id: str, now: datetime, *, accept: bool = True) -> SimulatedLink:
        """The payer pays, or the payer's bank rejects it.

        Raises: PayRefused, the same way however often it is asked.
        """
        link = self.payable(qrc_id, now)
        return self._move(link, OperationStatus.ACCEPTED if accept else OperationStatus.REJECTED, now)

    def pay_late(self, qrc_id: str, now: datetime) -> SimulatedLink:
        """The payer confirms, and the money moves only when the link's time is long over. Raises: PayRefused."""
        link = self.payable(qrc_id)
        link.late_at = self.late[qrc_id] = max(now, link.expires_at + LATE_AFTER)
        self.remember({"late": qrc_id, "at": link.late_at.isoformat()})
        return link

    def accept_late(self, now: datetime) -> list[SimulatedLink]:
        """Move the money whose time has come."""
        due = [qrc_id for qrc_id, at in self.late.items() if at <= now]
        return [self._move(self.by_id[qrc_id], OperationStatus.ACCEPTED, now) for qrc_id in due]

    def payable(self, qrc_id: str, now: datetime | None = None) -> SimulatedLink:
        """The link, if a buyer may confirm a payment of it at ``now``, or ever. Raises: PayRefused."""
        link = self.by_id.get(qrc_id)
        if link is None:
            raise PayRefused("unknown_link")
        if link.status is OperationStatus.ACCEPTED:
            raise PayRefused("already_paid", link.trx_id)
        if link.late_at is not None:
            raise PayRefused("in_processing")
        if now is not None and now >= link.expires_at:
            raise PayRefused("link_expired")
        return link

    def _move(self, link: SimulatedLink, status: OperationStatus, now: datetime) -> SimulatedLink:
        trx_id = trx_id_at(f"{self.seed}/{link.qrc_id}/{link.trx_id}", now)
        self._settle(link, status, trx_id, now)
        self.remember({"paid": link.qrc_id, "status": status.value, "trx_id": trx_id, "at": now.isoformat(),
                       "payer_bank": link.payer_bank})  # fmt: skip
        return link

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take a line of the journal back in."""
        if "link" in line:
            expires_at = datetime.fromisoformat(line["expires_at"])
            told = (line.get("merchant_id", ""), line.get("purpose", ""))
            self.by_id[line["link"]] = SimulatedLink(line["link"], line["member_id"], line["amount"], expires_at, *told)
        elif "paid" in line:
            at = datetime.fromisoformat(line["at"])
            self.by_id[line["paid"]].payer_bank = line.get("payer_bank")
            self._settle(self.by_id[line["paid"]], OperationStatus(line["status"]), line["trx_id"], at)
        elif "late" in line:
            link = self.by_id[line["late"]]
            link.late_at = self.late[link.qrc_id] = datetime.fromisoformat(line["at"])

    def _settle(self, link: SimulatedLink, status: OperationStatus, trx_id: str, at: datetime) -> None:
        link.status, link.trx_id, link.paid_at, link.late_at = status, trx_id, at, None
        self.late.pop(link.qrc_id, None)
        self.by_trx_id[trx_id] = link
        if status is OperationStatus.ACCEPTED:
            link.kzo = hashlib.sha256(trx_id.encode()).hexdigest()[:16].upper()
            self.paid += 1
            self.paid_kopecks += link.amount


def letters(of: str, count: int) -> str:
    """Letters of NSPK's alphabet that look random and are always the same for ``of``."""
    number = int.from_bytes(hashlib.sha256(of.encode()).digest(), "big")
    return "".join(_BASE_32[number >> (5 * place) & 31] for place in range(count))


def trx_id_at(of: str, at: datetime) -> str:
    """32 characters in the layout seen in banks' documents: site, year, day of year, time, then a hash."""
    moscow = at.astimezone(MOSCOW)
    return "A" + f"{moscow:%Y%j%H%M%S}"[3:] + letters(f"{of}/trx", 21)
