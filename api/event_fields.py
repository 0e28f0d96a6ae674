"""The fields of events: one name means one thing in all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "array": list,
    "any": object,
}


@dataclass(frozen=True, slots=True)
class EventField:
    """One field of events' data."""

    kind: str
    """As JSON Schema names types."""
    example: Any

    def takes(self, value: Any) -> bool:
        """Whether a value is of this kind."""
        is_truth = isinstance(value, bool)
        return isinstance(value, _TYPES[self.kind]) and (not is_truth or self.kind in ("boolean", "any"))


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
    "attempt_id": _shown("att"),
    "buyer_id": _shown("byr"),
    "card_refund_id": _shown("cpr"),
    "cashier_id": _shown("csr"),
    "charge_id": _shown("chg"),
    "code_id": _shown("otc"),
    "consent_id": _shown("csn"),
    "dispute_id": _shown("dsp"),
    "merchant_id": _shown("mer"),
    "movement_id": _shown("mov"),
    "order_id": _shown("ord"),
    "lot_id": _shown("lot"),
    "owner_card_id": _shown("lcd"),
    "promo_code_id": _shown("pmc"),
    "redemption_id": _shown("rdm"),
    "reward_code_id": _shown("pmc"),
    "rule_id": _shown("ptr"),
    "showing_id": _shown("shw"),
    "terminal_id": _shown("ter"),
    "payment_id": _shown("pay"),
    "payment_movement_id": _shown("mov"),
    "payout_id": _shown("pyo"),
    "plan_id": _shown("pln"),
    "refund_id": _shown("ref"),
    "registration_id": _shown("sbr"),
    "asked_rail": _text("sbp"),
    "next_rail": _text("card"),
    "provider": _text("nspk"),
    "switch_id": _shown("rsw"),
    "sale_id": _shown("sal"),
    "sold_kopecks": _whole(50_000),
    "to_inn": _text("7707083893"),
    "run_id": _shown("run"),
    "unmatched_payment_id": _shown("unm"),
    "webhook_id": _shown("whk"),
    # The other side's own numbers
    "bank_member_id": _text("100000000008"),
    "bik": _text("044525225"),
    "member_id": _text("100000000007"),
    "nspk_merchant_id": _text("MA0000000001"),
    "scoring": _text("history"),
    "register_number": _text("2026-000017"),
    "trx_id": _text("A60010600000000000000000000000A1"),
    # Money, in kopecks
    "amount_kopecks": _whole(149_990),
    "before_kopecks": _whole(3_000_000),
    "captured_kopecks": _whole(149_990),
    "fee_billed_kopecks": _whole(0),
    "fee_kopecks": _whole(599),
    "fee_returned_kopecks": _whole(0),
    "discount_kopecks": _whole(30_000),
    "promo_kopecks": _whole(30_000),
    "takings_kopecks": _whole(12_345_600),
    "point_kopecks": _whole(1),
    "limit_kopecks": _whole(5_000_000),
    "outstanding_kopecks": _whole(112_493),
    "overpaid_kopecks": _whole(0),
    "penalty_kopecks": _whole(0),
    "prepaid_kopecks": _whole(0),
    "price_kopecks": _whole(149_990),
    "refunded_kopecks": _whole(0),
    "refused_kopecks": _whole(0),
    "released_kopecks": _whole(0),
    "reserved_kopecks": _whole(149_990),
    "total_kopecks": _whole(149_990),
    # Counts and shares
    "accrued_back": _whole(10),
    "accrued_owed": _whole(0),
    "basis_points": _whole(200),
    "changed": _whole(3),
    "differences": _whole(0),
    "kept_back": _whole(0),
    "lines": _whole(120),
    "opened": _whole(2),
    "operations": _whole(214),
    "points": _whole(600),
    "points_back": _whole(100),
    "shift_number": _whole(17),
    "terminals_added": _whole(4),
    "threshold": _whole(600),
    "tries": _whole(3),
    "days_past_due": _whole(8),
    "fee_basis_points": _whole(490),
    "refunds": _whole(5),
    "try": _whole(2),
    "version": _whole(3),
    # Days and instants
    "expires_at": _text("2027-11-22T09:00:00+00:00"),
    "valid_from_on": _text("2026-12-01"),
    "due_on": _text("2026-12-06"),
    "effective_on": _text("2026-12-01"),
    "failing_since": _text("2026-11-22T09:00:00+00:00"),
    "happened_at": _text("2026-11-22T09:00:00+00:00"),
    "next_due_on": _text("2026-12-06"),
    "next_try_at": _text("2026-11-22T15:00:00+00:00"),
    "overdue_since": _text("2026-12-06"),
    "paid_at": _text("2026-11-22T09:00:00+00:00"),
    # Words
    "card_mask": _text("220070******0002"),
    "card_token": _text("ctk_0000000000000000000000000"),
    "cashier_number": _text("0017"),
    "identification_level": _text("simplified"),
    "level": _text("store"),
    "name": _text("Баллы Пятницы"),
    "place": _text("sto_01kahs9m00e6srk3cffkt0m0ax"),
    "programme": _text("main"),
    "promo_code_kind": _text("referral"),
    "region": _text("Москва"),
    "setting_name": _text("code_retries"),
    "source": _text("gosuslugi"),
    "store_number": _text("0042"),
    "value": EventField("any", 3),
    "initiator": _text("buyer"),
    "kind": _text("installment_payment"),
    "order_number": _text("A-1001"),
    "pack_digest": _text("0" * 64),
    "phone_mask": _text("+7******4444"),
    "product_code": _text("dolyame"),
    "rail": _text("card"),
    "reason": _text("limit_exceeded"),
    "reference": _text("plan_charge:1"),
    "refund_kind": _text("goods"),
    "refusal": _text("not_enough_money"),
    "refusal_code": _text("RQ05042"),
    "ruling": _text("buyer"),
    "settlement_mode": _text("collected"),
    "stage": _whole(1),
    "standing": _text("current"),
    "status": _text("succeeded"),
    "suspension_reason": _text("failing"),
    "text_version": _text("2026-11-01"),
    # Yes or no
    "is_anonymous": _flag(True),
    "is_on": _flag(True),
    "is_whole": _flag(False),
    "was_anonymous": _flag(True),
    "is_active": _flag(True),
    "is_automatic": _flag(False),
    # Lists
    "event_types": EventField("array", ["order.paid", "refund.*"]),
}
"""Every field that an event may carry, with an example."""
