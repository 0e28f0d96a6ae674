"""The fields of events: one name means one thing in all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TYPES: Mapping[str, type | tuple[type, ...]] = {"string": str, "integer": int, "boolean": bool, "array": list}


@dataclass(frozen=True, slots=True)
class EventField:
    """One field of events' data."""

    kind: str
    """As JSON Schema names types."""
    example: Any

    def takes(self, value: Any) -> bool:
        """Whether a value is of this kind."""
        return isinstance(value, _TYPES[self.kind]) and (self.kind == "boolean" or not isinstance(value, bool))


def _shown(prefix: str) -> EventField:
    return EventField("string", f"{prefix}_01kahs9m00e6srk3cffkt0m0ax")


def _text(example: str) -> EventField:
    return EventField("string", example)


def _whole(example: int) -> EventField:
    return EventField("integer", example)


def _flag(example: bool) -> EventField:
    return EventField("boolean", example)


FIELDS: Mapping[str, EventField] = {
    # Ids
    "attempt_id": _shown("att"), "buyer_id": _shown("byr"), "card_refund_id": _shown("cpr"),
    "charge_id": _shown("chg"), "code_id": _shown("otc"), "consent_id": _shown("csn"), "dispute_id": _shown("dsp"),
    "merchant_id": _shown("mer"), "movement_id": _shown("mov"), "order_id": _shown("ord"),
    "payment_id": _shown("pay"), "payment_movement_id": _shown("mov"), "payout_id": _shown("pyo"),
    "plan_id": _shown("pln"), "refund_id": _shown("ref"), "registration_id": _shown("sbr"), "run_id": _shown("run"),
    "unmatched_payment_id": _shown("unm"), "webhook_id": _shown("whk"),
    # The other side's own numbers
    "bank_member_id": _text("100000000008"), "bik": _text("044525225"), "member_id": _text("100000000007"),
    "nspk_merchant_id": _text("MA0000000001"), "register_number": _text("2026-000017"),
    "trx_id": _text("A60010600000000000000000000000A1"),
    # Money, in kopecks
    "amount_kopecks": _whole(149_990), "before_kopecks": _whole(3_000_000), "captured_kopecks": _whole(149_990),
    "fee_billed_kopecks": _whole(0), "fee_kopecks": _whole(599), "fee_returned_kopecks": _whole(0),
    "limit_kopecks": _whole(5_000_000), "outstanding_kopecks": _whole(112_493), "overpaid_kopecks": _whole(0),
    "penalty_kopecks": _whole(0), "prepaid_kopecks": _whole(0), "price_kopecks": _whole(149_990),
    "refunded_kopecks": _whole(0), "released_kopecks": _whole(0), "reserved_kopecks": _whole(149_990),
    "total_kopecks": _whole(149_990),
    # Counts and shares
    "days_past_due": _whole(8), "fee_basis_points": _whole(490), "refunds": _whole(5), "try": _whole(2),
    "version": _whole(3),
    # Days and instants
    "due_on": _text("2026-12-06"), "effective_on": _text("2026-12-01"),
    "failing_since": _text("2026-11-22T09:00:00+00:00"), "happened_at": _text("2026-11-22T09:00:00+00:00"),
    "next_due_on": _text("2026-12-06"), "next_try_at": _text("2026-11-22T15:00:00+00:00"),
    "overdue_since": _text("2026-12-06"), "paid_at": _text("2026-11-22T09:00:00+00:00"),
    # Words
    "card_mask": _text("220070******0002"), "card_token": _text("ctk_0000000000000000000000000"),
    "initiator": _text("buyer"), "kind": _text("installment_payment"), "order_number": _text("A-1001"),
    "pack_digest": _text("0" * 64), "phone_mask": _text("+7******4444"), "product_code": _text("dolyame"),
    "rail": _text("card"), "reason": _text("limit_exceeded"), "reference": _text("plan_charge:1"),
    "refund_kind": _text("goods"), "refusal": _text("not_enough_money"), "refusal_code": _text("RQ05042"),
    "ruling": _text("buyer"), "settlement_mode": _text("collected"), "stage": _text("soft"),
    "standing": _text("current"), "status": _text("succeeded"), "suspension_reason": _text("failing"),
    "text_version": _text("2026-11-01"),
    # Yes or no
    "is_active": _flag(True), "is_automatic": _flag(False),
    # Lists
    "event_types": EventField("array", ["order.paid", "refund.*"]),
}  # fmt: skip
"""Every field that an event may carry, with an example."""
