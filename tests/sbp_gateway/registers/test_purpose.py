"""The purposes of a bank's real statement say which operation each order was about."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from sbp_gateway.registers.purpose import OperationPurpose, PurposeKind, parse_purpose

STATEMENT = Path(__file__).parent / "samples" / "statement_1c_cp1251.txt"
DAY = date(2021, 3, 24)


def purposes() -> list[str]:
    lines = STATEMENT.read_text(encoding="cp1251").splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith("НазначениеПлатежа=")]


def test_every_order_of_the_banks_statement_is_understood() -> None:
    assert [parse_purpose(text) for text in purposes()] == [
        OperationPurpose(PurposeKind.FEE, date(2021, 3, 23), contract="1785123001", is_own_bank=True),
        OperationPurpose(
            PurposeKind.REFUND, DAY, "201083", "MA0000000279", "AD100012345RF0U29DF839EBBSVE6944", "0079*******45"
        ),
        OperationPurpose(PurposeKind.FEE, date(2021, 3, 23), contract="1785123001", is_own_bank=False),
        OperationPurpose(
            PurposeKind.PAYMENT, DAY, "200648", "MA0000000279", "AD1000123456E7UG9FTRSF7GLJ3T6H0S", "0079*******45"
        ),
        OperationPurpose(
            PurposeKind.PAYMENT, DAY, "200529", "MA0000000279", "AD1000123456DRE9A0R9N7IK7CI0SEG", "0079*******45"
        ),
    ]  # fmt: skip


def test_a_phone_is_masked_before_anybody_keeps_it() -> None:
    found = parse_purpose(purposes()[3])

    assert found is not None
    assert "66312" not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Оплата по счёту 200648 от 24/03/21",
        purposes()[3].replace("[200648", "[200649"),
        purposes()[3].replace("MA0000000279", "MA279"),
        purposes()[3].replace("за 24/03/21", ""),
    ],
    ids=["nothing", "something else", "two numbers", "no merchant", "no day"],
)
def test_what_is_not_such_an_order_is_left_alone(text: str) -> None:
    assert parse_purpose(text) is None
