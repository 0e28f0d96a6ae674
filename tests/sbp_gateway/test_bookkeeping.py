"""What the books say when a payment comes in."""

from __future__ import annotations

from datetime import datetime

import pytest

from ledger import chart
from ledger.entry import Posting
from ledger.ids import new_uuid
from ledger.money import Kopecks
from sbp_gateway.bookkeeping import late_voucher, payment_voucher
from sbp_gateway.payments import Payment

BANK, PAYABLE = "asset:sbp_settlement:100000000999", "liability:merchant_payable:mer_1"


def payment(now: datetime, fee: int, *, is_late: bool = False) -> Payment:
    return Payment(
        "pay_1", "qr_1", "att_1", "mer_1", "100000000999", "A" * 32, "9F2C", Kopecks(149_990), Kopecks(fee), is_late,
        new_uuid(now), now, now,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fee", "postings"),
    [
        pytest.param(
            599,
            (Posting(BANK, PAYABLE, 149_990), Posting(PAYABLE, chart.SBP_FEE_INCOME, 599)),
            id="gross and fee",
        ),
        pytest.param(0, (Posting(BANK, PAYABLE, 149_990),), id="no posting for no fee"),
    ],
)
def test_a_payment_is_owed_to_the_merchant_less_the_fee(now: datetime, fee: int, postings: tuple[Posting, ...]) -> None:
    entry = payment_voucher(payment(now, fee))
    assert entry.postings == postings
    assert (entry.reference, entry.kind) == (f"sbp_payment:{'A' * 32}", "sbp.payment")


def test_a_late_payment_is_owed_to_the_buyer_in_full(now: datetime) -> None:
    entry = late_voucher(payment(now, 0, is_late=True))
    assert entry.postings == (Posting(BANK, "liability:late_receipts:sbp", 149_990),)
    assert entry.reference == f"sbp_payment:{'A' * 32}"
