"""Payments (платежи): a buyer's money that came through SBP."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ledger.money import Kopecks
from sbp_gateway.merchants import SettlementMode
from sbp_gateway.nspk import PROCESSED, LinkStatus, OperationStatus

NO_FEE = Kopecks(0)
_TRX_ID = re.compile(r"[0-9A-Z]{32}")


@dataclass(frozen=True, slots=True)
class AcceptedOperation:
    """Money that NSPK says has moved for an attempt of ours: under a dynamic code or an activated cash link."""

    attempt_id: str | None
    """Nothing for money that belongs to no order and goes back."""
    merchant_id: str
    amount: Kopecks
    trx_id: str
    kzo: str | None
    offered_at: datetime
    """When we asked for what the buyer paid; nothing was paid before."""
    said_at: datetime | None
    """When the buyer paid, as a notification or NSPK's answer says."""
    qr_id: str | None = None
    activation_id: str | None = None
    unmatched_payment_id: str | None = None
    payer_mask: str | None = None
    """The payer's phone, masked."""


@dataclass(frozen=True, slots=True)
class Payment:
    """One accepted operation of SBP. A dynamic code or an activation has at most one."""

    id: str
    qr_id: str | None
    """The dynamic code that was paid; empty where one of the last two fields says what was."""
    attempt_id: str | None
    """Nothing for money that belongs to no order and goes back."""
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
    """Came for an attempt already over, or for no order at all; owed back to the buyer."""
    entry_id: UUID
    paid_at: datetime
    recorded_at: datetime
    settlement_mode: SettlementMode = SettlementMode.COLLECTED
    """As it was when the code was asked for: the books and refunds of the payment keep to it."""
    activation_id: str | None = None
    """The activation of a cash link that was paid."""
    unmatched_payment_id: str | None = None
    """The money that waited for a person to say whose order it pays, or that it goes back."""
    registration_id: str | None = None
    """The registration by whose numbers a refund must be asked for."""
    bank_fee: Kopecks = NO_FEE
    """What the bank charges us; nothing when the money is not ours or no tariff of the bank is known."""
    is_bank_fee_withheld: bool = True
    """The bank keeps its fee back when it credits the money; otherwise it sends a bill."""
    payer_mask: str | None = None
    """The payer's phone, masked; never kept whole."""


def is_paid(status: LinkStatus) -> bool:
    """Whether NSPK says that the money of a link moved."""
    return status.code == PROCESSED and status.status is OperationStatus.ACCEPTED and is_trx_id(status.trx_id)


def is_trx_id(said: str | None) -> bool:
    """Whether a text can be NSPK's id of an operation."""
    return said is not None and _TRX_ID.fullmatch(said) is not None


def paid_at_of(operation: AcceptedOperation, now: datetime) -> datetime:
    """When the buyer paid: the time that was said if it can be true, else when we learnt.

    A notification is only a hint and may be forged: it can move a payment no further than
    between our offer and now.
    """
    if operation.said_at is not None and operation.offered_at <= operation.said_at <= now:
        return operation.said_at
    return now
