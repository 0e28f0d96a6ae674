"""Slips on paper: every width holds, everything adds up, and a printer gets bytes that say the same."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout.baskets import Line, Measure
from checkout.orders import Order, OrderStatus
from checkout.paper import COLUMNS
from checkout.slip_text import NOT_FISCAL, render_escpos, render_text
from checkout.slips import (
    Slip,
    SlipCopy,
    SlipPayment,
    SlipPlace,
    SlipRefund,
    SlipTenders,
    by_payment_kind,
    receipt_block,
    slip_of,
)
from ledger.money import Kopecks

AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
PLACE = SlipPlace("Кофейня", "ООО «Кофейня»", "7707083893", "Тверская", "Москва, Тверская ул., 1", "Касса 1")
COFFEE = Line("C-1", "Кофе «Эфиопия» в зёрнах", Measure.GRAM, 1_125, Kopecks(199_900), Kopecks(4_888))
CUP = Line("K-1", "Кружка", Measure.PIECE, 2, Kopecks(50_000))
TENDERS = SlipTenders((COFFEE, CUP), Kopecks(4_888), Kopecks(20_000), 500, Kopecks(50_000), Kopecks(5_000))
ORDER = Order(
    "ord_" + "0" * 26, "mer_1", "sto_1", "ter_1", "A-1001", Kopecks(245_000), None, OrderStatus.PAID, AT, AT, AT, 2
)  # fmt: skip
BY_SBP = SlipPayment("sbp", "AD10000000000000000000000000TEST", "9F2C", "B" * 32)
PARTS = tuple((date(2026, 11, 22 + number), Kopecks(61_250)) for number in range(4))
BY_PLAN = SlipPayment("dolyame", parts=PARTS)
BACK = SlipRefund("irf_" + "0" * 26, Kopecks(45_000), 100, True, AT)

ON_48 = """\
                    Кофейня
         ООО «Кофейня», ИНН 7707083893
       Тверская, Москва, Тверская ул., 1
                      СЛИП
             НЕ ФИСКАЛЬНЫЙ ДОКУМЕНТ
              ЭКЗЕМПЛЯР ПОКУПАТЕЛЯ
================================================
Чек                                       A-1001
Касса 1                         22.11.2026 12:30
------------------------------------------------
Кофе «Эфиопия» в зёрнах
  1125 г × 1999.00/кг                    2248.88
  скидка                                  -48.88
Кружка
  2 шт × 500.00                          1000.00
------------------------------------------------
Сумма                                    3248.88
Скидки                                    -48.88
Промокод                                 -200.00
Баллы: 500                               -500.00
Скидка за способ оплаты                   -50.00
ОПЛАЧЕНО                                 2450.00
Способ                                       СБП
------------------------------------------------
orderId                                   A-1001
paymentTransactionId
00000000-0000-0000-0000-000000000000
paymentType                                  SBP
qrcId           AD10000000000000000000000000TEST
kzo                                         9F2C
Операция СБП    BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB
================================================
"""


def paid(**more: object) -> Slip:
    return slip_of(PLACE, ORDER, TENDERS, BY_SBP, **more)  # type: ignore[arg-type]  # named as the function names them


def test_a_slip_on_80_mm_says_what_was_bought_what_was_taken_off_and_who_to_ask() -> None:
    assert render_text(paid(), 48) == ON_48


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("slip", [paid(), paid(refund=BACK), slip_of(PLACE, ORDER, SlipTenders(), BY_PLAN, issue=3)])
def test_no_line_is_longer_than_the_paper_and_no_sum_is_cut(slip: Slip, columns: int) -> None:
    said = render_text(slip, columns)

    assert max(map(len, said.splitlines())) <= columns
    assert NOT_FISCAL in said
    assert re.search(rf" {int(slip.amount) // 100}\.\d\d$", said, re.MULTILINE)
    for value in receipt_block(slip).values():
        assert value in said.replace("\n", "")


def test_a_plan_shows_its_days_and_a_second_slip_is_a_copy() -> None:
    said = render_text(slip_of(PLACE, ORDER, SlipTenders(), BY_PLAN, issue=2, copy=SlipCopy.MERCHANT))

    assert [line.split() for line in said.splitlines() if line.startswith("  ")][-4:] == [
        [f"{number}.", f"{21 + number}.11.2026", "612.50"] for number in range(1, 5)
    ]
    assert "КОПИЯ 1" in said
    assert "ЭКЗЕМПЛЯР ПРОДАВЦА" in said


def test_a_refund_has_its_own_slip() -> None:
    slip = paid(refund=BACK)
    said = render_text(slip)

    assert (slip.amount, receipt_block(slip)["refundTransactionId"]) == (45_000, "00000000-0000-0000-0000-000000000000")
    assert "СЛИП ВОЗВРАТА" in said
    assert "ВОЗВРАЩЕНО" in said
    assert "ВОЗВРАТ ПРИНЯТ" in render_text(paid(refund=replace(BACK, is_done=False)))
    assert by_payment_kind(slip) == {"electronic_kopecks": 45_000, "discount_kopecks": 0}


def test_the_fiscal_receipt_is_paid_electronically_and_the_rest_is_a_discount() -> None:
    assert by_payment_kind(paid()) == {"electronic_kopecks": 245_000, "discount_kopecks": 79_888}
    assert paid().gross == 324_888


@pytest.mark.parametrize("columns", COLUMNS)
def test_a_printer_gets_the_same_words_in_its_code_page(columns: int) -> None:
    sent = render_escpos(paid(), columns)

    assert sent.startswith(b"\x1b@\x1bt\x11")
    assert sent.endswith(b"\x1dV\x42\x00")
    words, qr = printed(sent)
    assert qr == ORDER.id
    shown = render_text(paid(), columns).translate(str.maketrans("«»×", '""x'))
    assert words == shown
    assert b"\x1bE\x01" + "НЕ ФИСКАЛЬНЫЙ".encode("cp866") in re.sub(rb"\x01 +", b"\x01", sent)


def printed(sent: bytes) -> tuple[str, str]:
    """What a printer would print: text with its commands carried out, and the QR."""
    qr = re.search(rb"\x1d\(k(..)1P0([!-~]+?)\x1d\(k", sent, re.DOTALL)
    assert qr is not None
    assert int.from_bytes(qr[1], "little") == len(qr[2]) + 3
    text = sent[: sent.index(b"\x1ba\x01")]
    return re.sub(rb"\x1b(@|[tE].)", b"", text, flags=re.DOTALL).decode("cp866"), qr[2].decode()


LINES = st.builds(
    Line, st.just("A-1"), st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=128),
    st.sampled_from(Measure), st.integers(1, 10_000_000), st.integers(0, 100_000).map(Kopecks),
)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(LINES, min_size=1, max_size=4), st.sampled_from(COLUMNS))
def test_whatever_is_sold_fits_the_paper_and_can_be_printed(lines: list[Line], columns: int) -> None:
    order = replace(ORDER, amount=Kopecks(sum(line.gross for line in lines)))
    slip = slip_of(PLACE, order, SlipTenders(tuple(lines)), BY_SBP)

    assert max(map(len, render_text(slip, columns).splitlines())) <= columns
    assert render_escpos(slip, columns).endswith(b"\x1dV\x42\x00")
