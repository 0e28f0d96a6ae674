"""Payments (платежи): a buyer's money that came through SBP."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ledger.money import Kopecks
from sbp_gateway.merchants import SettlementMode
from sbp_gateway.nspk import PROCESSED, LinkStatus, OperationStatus
from sbp_gateway.qr_codes import QrCode

_TRX_ID = re.compile(r"[0-9A-Z]{32}")


@dataclass(frozen=True, slots=True)
class Payment:
    """One accepted operation of SBP. A dynamic code has at most one."""

    id: str
    qr_id: str
    attempt_id: str
    merchant_id: str
    member_id: str
    """The bank that holds the money."""
    trx_id: str
    """NSPK's id of the operation: never booked twice."""
    kzo: str | None
    """The control value without which no refund can be asked for."""
    amount: Kopecks
    """From the code we registered: the status call says no amount, and a dynamic code has one."""
    fee: Kopecks
    is_late: bool
    """Came for an attempt already over; owed back to the buyer."""
    entry_id: UUID
    paid_at: datetime
    recorded_at: datetime
    settlement_mode: SettlementMode = SettlementMode.COLLECTED
    """As it was when the code was asked for: the books and refunds of the payment keep to it."""
    bank_fee: Kopecks = Kopecks(0)
    """What the bank charges us; nothing when the money is not ours or no tariff of the bank is known."""
    is_bank_fee_withheld: bool = True
    """The bank keeps its fee back when it credits the money; otherwise it sends a bill."""


def is_paid(status: LinkStatus) -> bool:
    """Whether NSPK says that the money of a link moved."""
    return (
        status.code == PROCESSED
        and status.status is OperationStatus.ACCEPTED
        and status.trx_id is not None
        and _TRX_ID.fullmatch(status.trx_id) is not None
    )


def paid_at_of(qr: QrCode, hinted_at: datetime | None, now: datetime) -> datetime:
    """When the buyer paid: a notification's time if it can be true, else when we learnt.

    A notification is only a hint and may be forged: it can move a payment no further than
    between the registration of the code and now.
    """
    if hinted_at is not None and qr.requested_at <= hinted_at <= now:
        return hinted_at
    return now
