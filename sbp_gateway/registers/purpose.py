"""The purpose of a bank order about SBP: what ties a line of a statement to an operation.

A payment: ``200648 IPS MA0000000279 Расч по дог. б/н по операции СБП [200648 - AD10… - 0079066312345] за 24/03/21``.
A refund says ``RTRN``; the fee of a day says ``IPS FEE``, the contract, ``ON-US`` or ``OFF-US``, and no operation.
Source: Raiffeisen ecom-API, sample statement in the form 1CClientBankExchange 1.03.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class PurposeKind(StrEnum):
    """What a bank order was for."""

    PAYMENT = "payment"
    REFUND = "refund"
    FEE = "fee"


@dataclass(frozen=True, slots=True)
class OperationPurpose:
    """What the purpose of a bank order says."""

    kind: PurposeKind
    on: date
    """The day of the operations: a fee is taken the day after."""
    number: str | None = None
    """The bank's own number of the operation."""
    merchant: str | None = None
    """The merchant as NSPK names it."""
    qrc_id: str | None = None
    """As the bank prints it: one of its own samples has lost a character."""
    payer_mask: str | None = None
    """The bank prints the whole phone here; it is masked before anybody keeps it."""
    contract: str | None = None
    """Of a fee: the number it is charged under."""
    is_own_bank: bool | None = None
    """Of a fee: for payers of the same bank, or of others."""


_DAY = r"за (?P<day>[0-9]{2}/[0-9]{2}/[0-9]{2})"
_OPERATION = re.compile(
    r"(?P<number>[0-9]{1,20}) (?P<word>IPS|RTRN) (?P<merchant>M[A-Z][0-9]{10}) .*"
    rf"\[(?P<again>[0-9]{{1,20}}) - (?P<qrc>[0-9A-V]{{20,32}}) - (?P<payer>[0-9*]{{5,20}})\] {_DAY}\b"
)
_FEE = re.compile(rf"IPS FEE (?P<contract>[0-9]{{1,20}}) (?P<whose>ON-US|OFF-US)\. .*{_DAY}\b")


def parse_purpose(text: str) -> OperationPurpose | None:
    """What a purpose says about SBP; nothing if it is of something else, or says two different numbers."""
    fee = _FEE.match(text)
    if fee is not None:
        return OperationPurpose(
            PurposeKind.FEE, _day(fee["day"]), contract=fee["contract"], is_own_bank=fee["whose"] == "ON-US"
        )
    found = _OPERATION.match(text)
    if found is None or found["number"] != found["again"]:
        return None
    kind = PurposeKind.PAYMENT if found["word"] == "IPS" else PurposeKind.REFUND
    return OperationPurpose(
        kind, _day(found["day"]), found["number"], found["merchant"], found["qrc"], _masked(found["payer"])
    )


def _day(text: str) -> date:
    return datetime.strptime(text, "%d/%m/%y").date()  # noqa: DTZ007  # a calendar day has no zone


def _masked(phone: str) -> str:
    return phone if "*" in phone else f"{phone[:4]}{'*' * (len(phone) - 6)}{phone[-2:]}"
