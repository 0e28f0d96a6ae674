"""A net under payments by card: what the vault says of a charge is what the books were told. Cheap, and only a reader.

Every worker walks over the payments that came to rest, oldest first, and asks the vault about each. A difference is
told to people by the log: nothing is put right by itself, because somebody must first know which side errs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from api.card_calls import CardCalls
from checkout import card_payment_rows as rows
from checkout.card_payments import UNSURE, CardPayment, CardPaymentStatus
from ledger.database import transaction
from ledger.ids import new_id

log = structlog.get_logger("card_comparing")

COMPARED_MAX = 50
"""Payments of one round; each is a question to the vault."""
REST_MIN = timedelta(minutes=5)
"""Younger payments may still move."""
LOOK_BACK = timedelta(hours=1)
"""Where a worker begins when it starts."""
_THEIRS = {
    CardPaymentStatus.AUTHORISED: frozenset({"authorised"}),
    CardPaymentStatus.CAPTURED: frozenset({"captured"}),
    CardPaymentStatus.VOIDED: frozenset({"voided", "refused", "reversed"}),
    CardPaymentStatus.REFUSED: frozenset({"refused", "reversed"}),
}
"""What the vault may say of a payment at rest."""


@dataclass(slots=True)
class Walk:
    """How far one worker has come."""

    after: str = ""


async def compare_card_payments(calls: CardCalls, walk: Walk) -> int:
    """Compare the next payments with the vault's charges; how many there were."""
    now = calls.clock.now()
    walk.after = walk.after or new_id("cpy", now - LOOK_BACK)
    async with transaction(calls.engine) as session:
        found, _ = await rows.list_payments(
            session, merchant_id=None, status=None, after=walk.after, limit=COMPARED_MAX
        )
    due = [payment for payment in found if payment.created_at < now - REST_MIN]
    for payment in due:
        if payment.status not in UNSURE:
            await _compare(calls, payment)
        walk.after = payment.id
    return len(due)


async def _compare(calls: CardCalls, payment: CardPayment) -> None:
    theirs = await calls.look_up(f"/v1/charges/{payment.id}", payment.merchant_id, payment.created_at)
    if is_same(payment, theirs) or not await _is_at_rest(calls, payment):
        return
    said = theirs or {}
    log.error(
        "card_money_differs", payment_id=payment.id, status=payment.status.value, charge_status=said.get("status"),
        captured_kopecks=int(payment.captured), charge_captured_kopecks=said.get("captured_kopecks"),
        refund_kopecks=int(payment.refunded), charge_refund_kopecks=said.get("refund_kopecks"),
    )  # fmt: skip


def is_same(payment: CardPayment, theirs: Mapping[str, Any] | None) -> bool:
    """Whether the vault's charge is what the payment says. The vault has none of what it refused to begin."""
    if theirs is None:
        return payment.status is CardPaymentStatus.REFUSED
    if not theirs:  # the vault is away: nobody can say
        return True
    money = int(payment.captured), int(payment.refunded)
    return theirs["status"] in _THEIRS[payment.status] and money == (
        theirs["captured_kopecks"], theirs["refund_kopecks"],
    )  # fmt: skip


async def _is_at_rest(calls: CardCalls, payment: CardPayment) -> bool:
    """Whether nothing has moved while the vault was asked, and no refund is under way."""
    async with transaction(calls.engine) as session:
        again = await rows.load_payment(session, payment.id)
        refunds = await rows.list_refunds(session, payment_ids=[payment.id], merchant_id=None)
    return again.version == payment.version and all(refund.is_final for refund in refunds)
