"""Lines of a register, one by one as values and many at once as columns.

A register of a million lines is read column by column: a value for each cell would cost more than
reading the file. ``LineBatch.lines()`` gives the same lines as values to whoever wants them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, cast


class LineKind(StrEnum):
    """What a line says that the bank did."""

    PAYMENT = "payment"
    REFUND = "refund"
    PAYOUT = "payout"


class LineRail(StrEnum):
    """How the money of a line moved: some banks print cards and SBP into one register."""

    SBP = "sbp"
    OTHER = "other"


class RegisterLine(NamedTuple):
    """One operation as the bank prints it.

    Amounts: kopecks, as plain numbers and never negative: the kind says which way the money went.
    """

    number: int
    """The line of the file, from 1, with title and header counted."""
    kind: LineKind
    rail: LineRail
    trx_id: str | None
    """NSPK's id of the operation."""
    qrc_id: str | None
    """NSPK's id of the link."""
    order_number: str | None
    """The merchant's."""
    refund_id: str | None
    operation_id: str | None
    """The bank's own id."""
    merchant: str | None
    """The merchant as the bank names it: ``MA0000001234``."""
    payer_mask: str | None
    """The payer's phone with its middle hidden."""
    amount_kopecks: int
    fee_kopecks: int | None
    """What the bank took; nothing when the register does not say."""
    happened_at: datetime


COLUMNS = RegisterLine._fields


class LineTrait(StrEnum):
    """By what a line is known, the strongest name first, and what sets it apart."""

    TRX_ID = "trx_id"
    QRC_ID = "qrc_id"
    ORDER_NUMBER = "order_number"
    NOTHING = "nothing"
    REFUND = "refund"
    NOT_COMPARED = "not_compared"
    """Of another rail, or a payout."""


@dataclass(frozen=True, slots=True)
class LineBatch:
    """Some lines that follow each other, as one sequence for each field of ``RegisterLine``."""

    columns: tuple[Sequence[Any], ...]

    @classmethod
    def of(cls, lines: Sequence[RegisterLine]) -> LineBatch:
        """Lines turned on their side."""
        return cls(tuple(zip(*lines, strict=True)))

    def __len__(self) -> int:
        return len(self.columns[0])

    def lines(self) -> Iterator[RegisterLine]:
        """The lines as values."""
        return map(RegisterLine._make, zip(*self.columns, strict=True))

    @property
    def kinds(self) -> Sequence[LineKind]:
        """The kind of each line."""
        return self.columns[1]

    @property
    def rails(self) -> Sequence[LineRail]:
        """The rail of each line."""
        return self.columns[2]

    @property
    def amounts(self) -> Sequence[int]:
        """The amount of each line. Kopecks."""
        return cast(Sequence[int], self.columns[10])

    @property
    def fees(self) -> Sequence[int | None]:
        """The fee of each line. Kopecks."""
        return cast("Sequence[int | None]", self.columns[11])


def traits_of(batch: LineBatch) -> set[LineTrait]:
    """What there is among some lines. Of most registers every line is alike, and that is cheap to see."""
    trx_ids, qrc_ids, order_numbers = batch.columns[3:6]
    is_plain = batch.kinds.count(LineKind.PAYMENT) == batch.rails.count(LineRail.SBP) == len(batch)
    if is_plain and None not in trx_ids:
        return {LineTrait.TRX_ID}
    if is_plain and not any(trx_ids) and None not in qrc_ids:
        return {LineTrait.QRC_ID}
    names = zip(trx_ids, qrc_ids, order_numbers, batch.kinds, batch.rails, strict=True)
    return {trait for line in names for trait in _traits(*line)}


def _traits(
    trx_id: str | None, qrc_id: str | None, order_number: str | None, kind: LineKind, rail: LineRail
) -> Iterator[LineTrait]:
    if rail is not LineRail.SBP or kind is LineKind.PAYOUT:
        yield LineTrait.NOT_COMPARED
        return
    if kind is LineKind.REFUND:
        yield LineTrait.REFUND
    if trx_id is not None:
        yield LineTrait.TRX_ID
    elif qrc_id is not None:
        yield LineTrait.QRC_ID
    else:
        yield LineTrait.NOTHING if order_number is None else LineTrait.ORDER_NUMBER


@dataclass(slots=True)
class Totals:
    """What the lines of a register add up to, counted by us. Kopecks."""

    lines: int = 0
    payments: int = 0
    refunds: int = 0
    payouts: int = 0
    fees: int = 0
    traits: set[LineTrait] = field(default_factory=set)

    def add(self, batch: LineBatch) -> None:
        """Add the lines of a batch."""
        self.traits |= traits_of(batch)
        self.lines += len(batch)
        kinds, amounts = batch.kinds, batch.amounts
        if kinds.count(LineKind.PAYMENT) == len(kinds):
            self.payments += sum(amounts)
        else:
            self.payments += _of_kind(kinds, amounts, LineKind.PAYMENT)
            self.refunds += _of_kind(kinds, amounts, LineKind.REFUND)
            self.payouts += _of_kind(kinds, amounts, LineKind.PAYOUT)
        self.fees += sum(filter(None, batch.fees))


def _of_kind(kinds: Iterable[LineKind], amounts: Iterable[int], kind: LineKind) -> int:
    return sum(amount for amount, is_kind in zip(amounts, kinds, strict=True) if is_kind is kind)
