"""Which rows belong to one story: each table with the ids by which it hangs together with others, as data.

What is shared by many stories is no relation: merchants, tills, buyers, cards, codes. A table is asked only by columns
that have an index, or that is small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from api.timeline.moments import MomentKind

ORD, ATT, PLN = ("ord",), ("att",), ("pln",)
PAYMENTS, REFUNDS = ("pay", "cpy"), ("ref",)
RAIL, OBJECT = MomentKind.RAIL, MomentKind.OBJECT


@dataclass(frozen=True, slots=True)
class Relation:
    """One table, as a story sees it."""

    table: str
    keys: Mapping[str, tuple[str, ...]]
    """Columns that hold ids, with the prefixes of what they name; the first is what the moments are about."""
    times: Mapping[str, str]
    """Columns that hold instants, with the code of what happened then."""
    facts: tuple[str, ...] = ()
    kind: MomentKind = OBJECT
    is_of_merchant: bool = False
    """Whether the table says whose a row is."""
    is_of_house: bool = False
    """What merchants are not told: how the house decided about a buyer, and how it collects."""
    entries: tuple[str, ...] = ()
    """Columns with ids of entries."""
    holds: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    """Columns whose value entries are booked under, besides ids."""
    only: str = ""
    """A condition that an index has."""
    time_facts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Facts that are known from this moment on, and not before."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Everything that is read, each column once."""
        more = (name for names in self.time_facts.values() for name in names)
        return tuple(
            dict.fromkeys((*self.keys, *self.times, *self.facts, *more, *self.entries, *self.holds, *self.words))
        )


RELATIONS: tuple[Relation, ...] = (
    Relation(
        "orders", {"id": ORD}, {"created_at": "order.placed", "paid_at": "order.paid"},
        ("number", "amount_kopecks", "terminal_id", "placed_at"), is_of_merchant=True, time_facts={"paid_at": ()},
    ),
    Relation(
        "order_baskets", {"order_id": ORD, "redemption_id": ("rdm",), "presentment_id": ("prs",)},
        {"created_at": "basket.kept", "ended_at": "tenders.ended"},
        ("gross_kopecks", "discount_kopecks", "promo_kopecks", "points", "points_kopecks", "offer_kopecks",
         "amount_kopecks", "loyalty_card_id", "expires_at"), time_facts={"ended_at": ("status",)},
    ),
    Relation("presentments", {"id": ("prs",)}, {"presented_at": "card.presented"}, ("terminal_id",)),
    Relation(
        "promo_redemptions", {"id": ("rdm",), "order_id": ORD},
        {"reserved_at": "redemption.reserved", "confirmed_at": "redemption.confirmed", "ended_at": "redemption.ended"},
        ("promo_code_id", "discount_kopecks"), is_of_merchant=True,
        time_facts={"confirmed_at": (), "ended_at": ("status",)},
    ),
    Relation(
        "points_spendings", {"order_id": ORD}, {"reserved_at": "points.reserved", "ended_at": "points.spending_ended"},
        ("card_id", "points", "amount_kopecks"), time_facts={"ended_at": ("status",)},
    ),
    Relation(
        "points_lots", {"id": ("lot",), "order_id": ORD}, {"earned_at": "points.earned"},
        ("card_id", "points", "rule_id", "spendable_at", "expires_at"), only="reason = 'earned'",
    ),
    Relation(
        "points_returns", {"refund_id": ("ref", "itr"), "order_id": ORD}, {"returned_at": "points.returned"},
        ("points_back", "accrued_back", "accrued_owed"),
    ),
    Relation(
        "item_refunds", {"id": ("itr",), "order_id": ORD, "refund_id": REFUNDS},
        {"created_at": "item_refund.asked", "ended_at": "item_refund.ended"},
        ("amount_kopecks", "points_back", "reason"), time_facts={"ended_at": ("status",)},
    ),
    Relation("slip_issues", {"order_id": ORD}, {"issued_at": "slip.issued"}, ("issue", "issued_by")),
    Relation(
        "attempts", {"id": ATT, "order_id": ORD}, {"created_at": "attempt.begun"},
        ("rail", "amount_kopecks", "status", "payment_id"),
    ),
    Relation(
        "attempt_failovers", {"attempt_id": ATT}, {"created_at": "attempt.went_elsewhere"}, ("asked_rail", "rail"),
    ),
    Relation("unanswered_attempts", {"attempt_id": ATT}, {"ended_at": "attempt.unanswered"}, ("tries",), RAIL),
    Relation("plan_attempts", {"attempt_id": ATT, "plan_id": PLN}, {"created_at": "plan.of_attempt"}),
    Relation(
        "qr_codes", {"id": ("qr",), "attempt_id": ATT}, {"requested_at": "sbp.link_asked_for"},
        ("qrc_id", "amount_kopecks", "status", "expires_at", "polls"), RAIL, is_of_merchant=True,
        only="status NOT IN ('refused', 'abandoned')",
    ),
    Relation(
        "cash_link_activations", {"id": ("acv",), "attempt_id": ATT}, {"requested_at": "sbp.cash_link_armed"},
        ("cash_link_id", "params_id", "amount_kopecks", "status", "arms", "polls", "expires_at"), RAIL,
        is_of_merchant=True,
    ),
    Relation(
        "binding_charges", {"attempt_id": ATT}, {"requested_at": "sbp.binding_charged"}, ("binding_id", "refusal"),
        RAIL,
    ),
    Relation(
        "sbp_payments",
        {"id": ("pay",), "attempt_id": ATT, "qr_id": ("qr",), "activation_id": ("acv",),
         "unmatched_payment_id": ("ump",)},
        {"recorded_at": "sbp.paid"},
        ("trx_id", "kzo", "amount_kopecks", "fee_kopecks", "is_late", "paid_at", "payer_mask"), RAIL,
        is_of_merchant=True, entries=("entry_id",), words=("trx_id",),
    ),
    Relation(
        "sbp_unmatched_payments", {"id": ("ump",), "order_id": ORD, "qr_id": ("qr",)},
        {"recorded_at": "sbp.unmatched", "matched_at": "sbp.matched", "returned_at": "sbp.returned"},
        ("trx_id", "amount_kopecks", "reason", "paid_at"), RAIL, is_of_merchant=True, entries=("entry_id",),
        words=("trx_id",),
    ),
    Relation(
        "sbp_refunds", {"id": REFUNDS, "payment_id": ("pay",)},
        {"created_at": "refund.asked_for", "ended_at": "refund.ended"},
        ("amount_kopecks", "reason", "is_automatic", "agent_request_id", "opkc_request_id", "tries"),
        is_of_merchant=True, entries=("entry_id",), holds=("hold_id", "fee_hold_id"),
        time_facts={"ended_at": ("status", "trx_id", "refusal_code", "payee_mask")},
    ),
    Relation(
        "sbp_refund_tries", {"refund_id": REFUNDS}, {"asked_at": "sbp.refund_asked"},
        ("number", "is_unheard"), RAIL,
    ),
    Relation(
        "card_payments", {"id": ("cpy",), "attempt_id": ATT},
        {"created_at": "card.charge_asked", "captured_at": "card.captured", "ended_at": "card.ended"},
        ("amount_kopecks", "card_mask", "initiator", "looks"), RAIL, is_of_merchant=True, entries=("entry_id",),
        time_facts={
            "captured_at": ("captured_kopecks", "fee_kopecks", "acquirer_id", "rrn", "approval_code"),
            "ended_at": ("status", "reason"),
        },
    ),
    Relation(
        "card_refunds", {"id": REFUNDS, "payment_id": ("cpy",)},
        {"created_at": "refund.asked_for", "ended_at": "refund.ended"}, ("amount_kopecks", "reason", "looks"), RAIL,
        is_of_merchant=True, entries=("entry_id",), holds=("hold_id", "fee_hold_id"),
        time_facts={"ended_at": ("status", "rrn", "refusal")},
    ),
    Relation(
        "installment_plans", {"id": PLN},
        {"created_at": "plan.opened", "committed_at": "plan.committed", "ended_at": "plan.ended"},
        ("order_number", "product_code", "product_version", "price_kopecks"), is_of_merchant=True,
        time_facts={"ended_at": ("status", "standing", "reason")},
    ),
    Relation(
        "plan_first_payments", {"plan_id": PLN, "payment_id": ("cpy",)},
        {"created_at": "plan.first_payment", "settled_at": "plan.first_payment_settled"}, ("number",),
    ),
    Relation(
        "plan_charges", {"id": ("chg",), "plan_id": PLN, "payment_id": PAYMENTS},
        {"created_at": "plan.charge_asked", "ended_at": "plan.charge_ended"},
        ("kind", "due_on", "tries", "amount_kopecks", "collector"),
        is_of_house=True, time_facts={"ended_at": ("status", "captured_kopecks", "reason")},
    ),
    Relation(
        "plan_movements", {"id": ("mov",), "plan_id": PLN}, {"recorded_at": "plan.movement"},
        ("kind", "amount_kopecks", "happened_at", "installment_number", "new_due_on", "undoes"),
        words=("reference",),
    ),
    Relation(
        "plan_refunds", {"plan_id": PLN}, {"created_at": "plan.goods_back"}, ("refund_id", "kind", "amount_kopecks"),
    ),
    Relation(
        "plan_credit_refunds", {"plan_id": PLN, "card_refund_id": REFUNDS, "movement_id": ("mov",)},
        {"created_at": "plan.credit_refund", "ended_at": "plan.credit_refund_ended"}, ("amount_kopecks",),
        time_facts={"ended_at": ("is_refused",)},
    ),
    Relation(
        "plan_bank_returns", {"plan_id": PLN}, {"created_at": "plan.bank_return"}, ("amount_kopecks",),
        is_of_house=True, words=("bank_reference",),
    ),
    Relation(
        "plan_notices", {"id": ("ntc",), "plan_id": PLN}, {"created_at": "notice.written", "ended_at": "notice.ended"},
        ("template", "installment_number", "channel", "language"), is_of_house=True,
        time_facts={"ended_at": ("status", "tries", "reason")},
    ),
    Relation(
        "plan_disputes", {"id": ("dsp",), "plan_id": PLN},
        {"opened_at": "dispute.opened", "closed_at": "dispute.closed"},
        ("reserved_kopecks", "opened_by"), time_facts={"closed_at": ("ruling", "closed_by")},
    ),
    Relation(
        "plan_reliefs", {"id": ("rlf",), "plan_id": PLN}, {"granted_at": "relief.granted"}, ("kind", "granted_by"),
        is_of_house=True,
    ),
    Relation(
        "receipt_intents", {"id": ("rcp",), "plan_id": PLN},
        {"created_at": "receipt.wanted", "fetched_at": "receipt.fetched", "ended_at": "receipt.ended"},
        ("stage", "amount_kopecks", "is_return", "profile"), is_of_merchant=True,
        time_facts={"ended_at": ("state", "fiscal_document")},
    ),
    Relation(
        "payouts", {"id": ("pyo",)}, {"created_at": "payout.asked_for", "sent_at": "payout.sent"},
        ("run_id", "amount_kopecks", "tries"), RAIL, is_of_merchant=True, entries=("entry_id",), holds=("hold_id",),
        time_facts={"sent_at": ("status",)},
    ),
    Relation(
        "buyer_payouts", {"id": ("bpo",)},
        {"created_at": "buyer_payout.asked_for", "asked_at": "buyer_payout.bank_asked",
         "finished_at": "buyer_payout.ended"},
        ("amount_kopecks", "phone_mask", "bank_member_id", "tries"), RAIL, is_of_merchant=True, entries=("entry_id",),
        holds=("hold_id",), time_facts={"finished_at": ("status", "reason")},
    ),
    Relation(
        "yookassa_payments", {"order_id": ORD, "attempt_id": ATT}, {"created_at": "contract.yookassa_payment"},
        ("confirmation_type",), is_of_merchant=True,
    ),
    Relation(
        "koshelek_pay_payments", {"order_id": ORD, "attempt_id": ATT}, {"created_at": "contract.koshelek_pay_payment"},
        ("payment_type", "total_kopecks"), is_of_merchant=True,
    ),
    Relation(
        "plan_decisions", {"id": ("dec",), "plan_id": PLN}, {"made_at": "plan.decided"},
        ("policy", "policy_version", "outcome", "reason", "score"), is_of_house=True,
    ),
    Relation(
        "buyer_consents", {"id": ("csn",), "plan_id": PLN}, {"given_at": "consent.given"}, ("text_version",),
        is_of_house=True,
    ),
    Relation(
        "plan_documents", {"id": ("doc",), "plan_id": PLN}, {"issued_at": "document.issued"},
        ("kind", "number", "language", "text_version"),
    ),
    Relation(
        "bureau_events", {"id": ("bur",), "plan_id": PLN}, {"recorded_at": "bureau.told"},
        ("kind", "sequence", "happened_on"), is_of_house=True,
    ),
    Relation(
        "yookassa_refunds", {"refund_id": REFUNDS, "order_id": ORD}, {"created_at": "contract.yookassa_refund"},
        is_of_merchant=True,
    ),
    Relation(
        "koshelek_pay_refunds", {"refund_id": ("ref", "itr"), "order_id": ORD},
        {"created_at": "contract.koshelek_pay_refund"}, ("request_id",),
    ),
    Relation(
        "koshelek_pay_receipts", {"order_id": ORD}, {"sent_at": "contract.koshelek_pay_receipt"},
    ),
    Relation(
        "dolyame_orders", {"plan_id": PLN}, {"created_at": "contract.dolyame_order"}, ("login",), is_of_merchant=True,
    ),
    Relation(
        "dolyame_refunds", {"id": ("dlr",), "plan_id": PLN},
        {"created_at": "contract.dolyame_refund", "answered_at": "contract.dolyame_refund_answered"}, ("operation",),
    ),
    Relation(
        "promo_codes", {"id": ("pmc",)}, {"created_at": "promo_code.made", "ended_at": "promo_code.ended"},
        ("code", "kind", "redemptions_max", "taken", "confirmed", "reward_code_id"), is_of_merchant=True,
    ),
)  # fmt: skip

REFERENCES = (
    "sbp_payment", "sbp_match", "sbp_refund", "sbp_refund_fee", "sbp_refund_moved", "sbp_refund_fee_moved",
    "sbp_refund_released", "sbp_refund_fee_released", "buyer_payout", "buyer_payout_sent", "buyer_payout_rejected",
    "card_payment", "card_refund", "card_refund_fee", "card_refund_moved", "card_refund_fee_moved",
    "card_refund_released", "card_refund_fee_released", "payout", "payout_sent", "payout_rejected", "plan_committed",
    "plan_movement", "plan_penalty", "plan_released", "plan_fee", "plan_settled", "plan_chargeback", "plan_credit",
    "plan_credit_refused", "plan_sale", "points_accrual", "points_return", "points_reserve", "points_spend",
    "points_release",
)  # fmt: skip
"""By what names entries and holds are booked: ``sbp_refund:ref_…``. The part after the colon is an id or a word."""
REPEATED_REFERENCES = ("plan_held", "plan_released", "points_expiry")
"""The same with a part of chance at the end, as it may happen again to one object: ``plan_held:pln_…:hld_…``."""
