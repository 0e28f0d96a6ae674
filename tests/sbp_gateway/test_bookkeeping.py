"""What the books say when a payment comes in, in either settlement mode."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from ledger import chart
from ledger.entry import Posting
from ledger.ids import new_uuid
from ledger.money import Kopecks
from sbp_gateway.bookkeeping import late_voucher, payment_voucher, sides_of, terms_of
from sbp_gateway.merchants import SbpMerchant, SettlementMode
from sbp_gateway.payments import Payment

BANK, PAYABLE = "asset:sbp_settlement:100000000999", "liability:merchant_payable:mer_1"
DIRECT, SALES, LATE = "memo:sbp_direct:mer_1", "memo:sbp_direct_sales:mer_1", "memo:sbp_direct_late:mer_1"
RECEIVABLE, BILL = "asset:fee_receivable:mer_1", "liability:bank_fee_payable:100000000999"


def payment(now: datetime, fee: int, *, is_late: bool = False) -> Payment:
    return Payment(
        "pay_1", "qr_1", "att_1", "mer_1", "100000000999", "A" * 32, "9F2C", Kopecks(149_990), Kopecks(fee), is_late,
        new_uuid(now), now, now,
    )  # fmt: skip


def direct(found: Payment) -> Payment:
    return replace(found, settlement_mode=SettlementMode.DIRECT)


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


@pytest.mark.parametrize(
    ("fee", "postings"),
    [
        pytest.param(
            599,
            (Posting(DIRECT, SALES, 149_990), Posting(RECEIVABLE, chart.SBP_FEE_INCOME, 599)),
            id="gross off the balance sheet, our fee to be billed",
        ),
        pytest.param(0, (Posting(DIRECT, SALES, 149_990),), id="no posting for no fee"),
    ],
)
def test_direct_money_is_only_remembered(now: datetime, fee: int, postings: tuple[Posting, ...]) -> None:
    assert payment_voucher(direct(payment(now, fee))).postings == postings


def test_a_late_payment_is_owed_to_the_buyer_in_full(now: datetime) -> None:
    entry = late_voucher(payment(now, 0, is_late=True))
    assert entry.postings == (Posting(BANK, "liability:late_receipts:sbp", 149_990),)
    assert entry.reference == f"sbp_payment:{'A' * 32}"


def test_late_direct_money_makes_no_liability_of_ours(now: datetime) -> None:
    entry = late_voucher(direct(payment(now, 0, is_late=True)))
    assert entry.postings == (Posting(DIRECT, LATE, 149_990),)
    assert entry.kind == "sbp.late_payment"


@pytest.mark.parametrize(
    ("is_withheld", "credit"),
    [pytest.param(True, BANK, id="kept back"), pytest.param(False, BILL, id="charged apart")],
)
@pytest.mark.parametrize("is_late", [False, True])
def test_the_banks_fee_is_our_expense(now: datetime, is_late: bool, is_withheld: bool, credit: str) -> None:
    charged = replace(payment(now, 0, is_late=is_late), bank_fee=Kopecks(300), is_bank_fee_withheld=is_withheld)
    entry = late_voucher(charged) if is_late else payment_voucher(charged)
    assert entry.postings[-1] == Posting("expense:bank_fee:sbp", credit, 300)


@pytest.mark.parametrize("mode", SettlementMode)
@pytest.mark.parametrize("is_late", [False, True])
def test_every_account_of_a_payment_is_opened_with_its_merchant(mode: SettlementMode, is_late: bool) -> None:
    merchant = SbpMerchant("mer_1", "MA0000000001", "100000000999", "4" * 20, mode)
    opened = {terms.code for terms in terms_of(merchant)} | {PAYABLE}
    sides = sides_of(mode, merchant_id="mer_1", member_id="100000000999", is_late=is_late)
    assert {sides.money, sides.owner, chart.SBP_FEE_INCOME} <= opened


def test_nobody_takes_back_more_direct_money_than_came() -> None:
    merchant = SbpMerchant("mer_1", "MA0000000001", "100000000999", "4" * 20, SettlementMode.DIRECT)
    owners = {terms.code: terms for terms in terms_of(merchant) if terms.code in (SALES, LATE)}
    assert {terms.available_min for terms in owners.values()} == {0}
    assert {terms.normal_side for terms in owners.values()} == {"credit"}
