"""Links used many times, as NSPK's simulator remembers them: cash links with their sales, and stickers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ledger.money import Kopecks
from sbp_gateway import payload
from sbp_gateway.cash_links import ACTIVATION_MINUTES_MAX, ARMED, LinkState
from sbp_gateway.nspk import OperationStatus
from sbp_gateway.simulator.links import Links, PayRefused, letters, trx_id_at

KZO_CHARACTERS = 16


class CashLinkRefused(Exception):
    """NSPK says no to the agent."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


UNKNOWN = ("RQ05000", "no such link or activation")
ARMED_ALREADY = ("RQ05003", "the link is armed already")
BEING_PAID = ("RQ05004", "a buyer is paying")
NOT_ARMED = ("RQ05005", "the link is not armed")
NOT_RESERVED = ("RQ05006", "the id is not reserved or in use")
"""Business refusals; the real list of codes is not public."""


@dataclass(slots=True)
class SimulatedSale:
    """One activation of a cash link, or one operation of a sticker."""

    params_id: str
    amount: int
    expires_at: datetime
    link_state: LinkState = LinkState.WAITING_PAYMENT
    status: OperationStatus = OperationStatus.NOT_STARTED
    trx_id: str | None = None
    kzo: str | None = None
    paid_at: datetime | None = None


@dataclass(slots=True)
class SimulatedCashLink:
    """A cash link with every sale by it, or a sticker with its operations."""

    qrc_id: str
    member_id: str
    account: str
    is_sticker: bool = False
    amount: int | None = None
    """A sticker's fixed sum."""
    sales: dict[str, SimulatedSale] = field(default_factory=dict)

    @property
    def payload(self) -> str:
        """The text on the plate."""
        return payload.build_static(self.qrc_id, self.member_id, None if self.amount is None else Kopecks(self.amount))

    @property
    def last(self) -> SimulatedSale | None:
        """What happened last."""
        return next(reversed(self.sales.values()), None)

    def armed(self, now: datetime) -> SimulatedSale | None:
        """The sale that the link is armed with, if its time is not over."""
        last = self.last
        if last is not None and last.link_state is LinkState.WAITING_PAYMENT and now >= last.expires_at:
            last.link_state = LinkState.DEACTIVATED
        return last if last is not None and last.link_state in ARMED else None


@dataclass(slots=True)
class CashLinks:
    """Every link used many times of one simulator."""

    links: Links
    """Dynamic links: their journal, their seed, and the totals of what was paid."""
    by_id: dict[str, SimulatedCashLink] = field(default_factory=dict)
    reserved: set[str] = field(default_factory=set)
    numbers: int = 0

    def reserve(self, quantity: int) -> list[str]:
        """Set ids aside."""
        ids = [self._new_id("AS1R", place) for place in range(quantity)]
        self._keep({"reserved": ids})
        return ids

    def register(self, member_id: str, account: str, qrc_id: str | None) -> SimulatedCashLink:
        """Register a cash link. Raises: CashLinkRefused."""
        if qrc_id is not None and (qrc_id not in self.reserved or qrc_id in self.by_id):
            raise CashLinkRefused(*NOT_RESERVED)
        made = qrc_id or self._new_id("AS1R")
        self._keep({"cash_link": made, "member_id": member_id, "account": account})
        return self.by_id[made]

    def register_sticker(self, member_id: str, account: str, amount: int | None) -> SimulatedCashLink:
        """Register a static link."""
        made = self._new_id("AS1A")
        self._keep({"cash_link": made, "member_id": member_id, "account": account, "sticker": True, "amount": amount})
        return self.by_id[made]

    def activate(self, qrc_id: str, amount: int, now: datetime) -> SimulatedSale:
        """Arm a cash link. Raises: CashLinkRefused."""
        link = self.find(qrc_id)
        if link.armed(now) is not None:
            raise CashLinkRefused(*ARMED_ALREADY)
        params_id = hashlib.sha256(f"{self.links.seed}/{self.numbers}/params".encode()).hexdigest()[:16]
        over = now + timedelta(minutes=ACTIVATION_MINUTES_MAX)
        self._keep({"armed": qrc_id, "params_id": params_id, "amount": amount, "at": over.isoformat()})
        return link.sales[params_id]

    def deactivate(self, qrc_id: str, now: datetime) -> None:
        """Disarm a cash link. Raises: CashLinkRefused, also while a buyer pays."""
        sale = self.find(qrc_id).armed(now)
        if sale is None:
            raise CashLinkRefused(*NOT_ARMED)
        if sale.link_state is LinkState.IN_PROGRESS:
            raise CashLinkRefused(*BEING_PAID)
        self._keep({"sale": qrc_id, "params_id": sale.params_id, "link_state": LinkState.DEACTIVATED.value})

    def move(self, qrc_id: str, account: str) -> SimulatedCashLink:
        """Let payments arrive at another account. Raises: CashLinkRefused."""
        self.find(qrc_id)
        self._keep({"moved": qrc_id, "account": account})
        return self.by_id[qrc_id]

    def find(self, qrc_id: str) -> SimulatedCashLink:
        """The cash link. Raises: CashLinkRefused."""
        link = self.by_id.get(qrc_id)
        if link is None or link.is_sticker:
            raise CashLinkRefused(*UNKNOWN)
        return link

    def pay(self, qrc_id: str, now: datetime, *, outcome: str, amount: int | None, params_id: str | None) -> Any:
        """A buyer scans the plate and decides; ``begin`` only opens the bank's application.

        With ``params_id`` the sale is paid even if it was taken back: money that was on its way.
        Raises: PayRefused.
        """
        link = self.by_id[qrc_id]
        if link.is_sticker:
            sale = self._begin_sticker(link, amount, now)
        else:
            found = link.armed(now) if params_id is None else link.sales.get(params_id)
            if found is None:
                raise PayRefused("not_armed")
            if found.status in (OperationStatus.ACCEPTED, OperationStatus.REJECTED):
                raise PayRefused("already_paid", found.trx_id)
            sale = found
        if outcome == "begin":
            self._keep({"sale": qrc_id, "params_id": sale.params_id, "link_state": LinkState.IN_PROGRESS.value})
        else:
            self._pay(link, sale, outcome == "accepted", now)
        return sale

    def _begin_sticker(self, link: SimulatedCashLink, amount: int | None, now: datetime) -> SimulatedSale:
        paid = link.amount if link.amount is not None else amount
        if paid is None or paid < 1:
            raise PayRefused("amount_missing")
        params_id = f"operation-{self.numbers}"
        self._keep({"armed": link.qrc_id, "params_id": params_id, "amount": paid, "at": now.isoformat()})
        return link.sales[params_id]

    def _pay(self, link: SimulatedCashLink, sale: SimulatedSale, is_accepted: bool, now: datetime) -> None:
        status = OperationStatus.ACCEPTED if is_accepted else OperationStatus.REJECTED
        trx_id = trx_id_at(f"{self.links.seed}/{link.qrc_id}/{sale.params_id}", now)
        self._keep({
            "sale": link.qrc_id, "params_id": sale.params_id, "link_state": LinkState.INACTIVATED.value,
            "status": status.value, "trx_id": trx_id, "at": now.isoformat(),
        })  # fmt: skip

    def _new_id(self, kind: str, place: int = 0) -> str:
        return kind + letters(f"{self.links.seed}/{kind}/{self.numbers + place}", 28)

    def _keep(self, line: Mapping[str, Any]) -> None:
        """Do what a line of the journal says, and write it."""
        self.recall(line)
        self.links.remember(line)

    def recall(self, line: Mapping[str, Any]) -> None:
        """Take a line of the journal back in."""
        if "reserved" in line:
            self.reserved.update(line["reserved"])
            self.numbers += len(line["reserved"])
        elif "cash_link" in line:
            self.by_id[line["cash_link"]] = SimulatedCashLink(
                line["cash_link"], line["member_id"], line["account"], line.get("sticker", False), line.get("amount")
            )
            self.numbers += 1
        elif "armed" in line:
            over = datetime.fromisoformat(line["at"])
            sales = self.by_id[line["armed"]].sales
            sales[line["params_id"]] = SimulatedSale(line["params_id"], line["amount"], over)
            self.numbers += 1
        elif "moved" in line:
            self.by_id[line["moved"]].account = line["account"]
        elif "sale" in line:
            self._recall_sale(self.by_id[line["sale"]].sales[line["params_id"]], line)

    def _recall_sale(self, sale: SimulatedSale, line: Mapping[str, Any]) -> None:
        sale.link_state = LinkState(line["link_state"])
        if "trx_id" not in line:
            return
        sale.status, sale.trx_id = OperationStatus(line["status"]), line["trx_id"]
        sale.paid_at = datetime.fromisoformat(line["at"])
        if sale.status is OperationStatus.ACCEPTED:
            sale.kzo = hashlib.sha256(line["trx_id"].encode()).hexdigest()[:KZO_CHARACTERS].upper()
            self.links.paid += 1
            self.links.paid_kopecks += sale.amount
