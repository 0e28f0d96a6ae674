"""A register that was taken in, and what checking it against our operations has shown. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from ledger.errors import InvariantBroken
from sbp_gateway.registers.lines import Totals
from sbp_gateway.registers.reading import FooterVerdict


class RegisterStatus(StrEnum):
    """Where a register is in its life."""

    TAKEN = "taken"
    CHECKED = "checked"


ALLOWED: Mapping[RegisterStatus, frozenset[RegisterStatus]] = {
    RegisterStatus.TAKEN: frozenset({RegisterStatus.CHECKED}),
    RegisterStatus.CHECKED: frozenset({RegisterStatus.CHECKED}),
}
"""A checked register may be checked again: ours may have learnt more since."""


@dataclass(frozen=True, slots=True)
class RegisterScope:
    """Whose operations a register should have: of one bank, of one merchant, or of all."""

    member_id: str | None = None
    """NSPK's number of the bank."""
    merchant_id: str | None = None


@dataclass(frozen=True, slots=True)
class Register:
    """One file of a bank for one day, or the fact that there was none."""

    id: str
    number: int
    """By which its lines know it."""
    profile: str
    day_on: date
    scope: RegisterScope
    is_absent: bool
    """The bank sent no file, which for this bank means a day without operations."""
    totals: Totals
    footer: FooterVerdict
    footer_amount: int | None
    footer_fee: int | None
    status: RegisterStatus
    taken_at: datetime


class CheckVerdict(StrEnum):
    """What became of a line of the register, or of an operation of ours."""

    MATCHED = "matched"
    MATCHED_OTHER_DAY = "matched_other_day"
    """The same amount and fee; the bank has it on this day and we on another."""
    AMOUNT_DIFFERS = "amount_differs"
    FEE_DIFFERS = "fee_differs"
    """By more than the profile tolerates."""
    ONLY_IN_REGISTER = "only_in_register"
    ONLY_WITH_US = "only_with_us"
    IN_OTHER_REGISTER = "in_other_register"
    """Ours of this day, which the bank has in the register of another day."""
    DUPLICATE = "duplicate"
    """A second line of one operation."""
    NOT_COMPARED = "not_compared"
    """Lines of other rails, and payouts."""
    DIFFERS_FROM_BOOKS = "differs_from_books"
    """Ours of this day, whose entry the books do not have or have with another gross amount."""


@dataclass(frozen=True, slots=True)
class CheckTotal:
    """Everything that got one verdict, on both sides. Kopecks."""

    verdict: CheckVerdict
    lines: int
    line_amount: int
    line_fee: int
    operations: int
    operation_amount: int
    operation_fee: int


@dataclass(frozen=True, slots=True)
class BookTotal:
    """One kind of operation on all three sides: the register, ours of its day, and the books. Kopecks."""

    kind: str
    line_amount: int
    operation_amount: int
    book_amount: int
    operations: int
    differing: int
    """Operations that the books do not have, or have with another gross amount."""

    @property
    def register_less_ours(self) -> int:
        """How much more the register has than we do."""
        return self.line_amount - self.operation_amount

    @property
    def ours_less_books(self) -> int:
        """How much more we have than the books do."""
        return self.operation_amount - self.book_amount


@dataclass(frozen=True, slots=True)
class RegisterCheck:
    """One comparison of a register with our operations of its day, and of these with the books."""

    number: int
    checked_at: datetime
    totals: tuple[CheckTotal, ...]
    books: tuple[BookTotal, ...] = ()
    """Nothing when the books were not asked, or nobody has an operation on this day."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        fine = {CheckVerdict.MATCHED, CheckVerdict.NOT_COMPARED, CheckVerdict.MATCHED_OTHER_DAY}
        is_booked = all(total.differing == 0 for total in self.books)
        return is_booked and all(total.verdict in fine or total.lines + total.operations == 0 for total in self.totals)


@dataclass(frozen=True, slots=True)
class RegisterDifference:
    """A line, an operation of ours, or a pair of them, that did not simply match. Kopecks."""

    place: int
    verdict: CheckVerdict
    is_other_day: bool
    """The operation of ours is of another day than the register."""
    kind: str
    line_number: int | None
    operation_id: str | None
    trx_id: str | None
    qrc_id: str | None
    line_amount: int | None
    line_fee: int | None
    operation_amount: int | None
    operation_fee: int | None
    book_amount: int | None
    """What the books have, when it differs from ours; nothing when they have no entry."""


def prove_matched(rest: CheckTotal) -> CheckTotal:
    """What is left of both sides when all that differs is taken away must be the same on both.

    Both sides were counted by themselves, so a line, an operation or a kopeck that the comparison lost
    or took twice shows here.
    Raises: InvariantBroken.
    """
    if (rest.lines, rest.line_amount) != (rest.operations, rest.operation_amount):
        raise InvariantBroken("a check of a register loses lines or kopecks", lines=rest.lines, ours=rest.operations)
    return rest
