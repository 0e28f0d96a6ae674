"""Shifts (смены): opened, X at any time, Z numbered and closing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from checkout import cashiers, repository, shift_rows
from checkout.errors import ShiftClosed, ShiftDiffers, ShiftOpen, TerminalNotFound
from checkout.premises_settings import setting_of
from checkout.shift_report import Shift, ShiftDifference, ShiftReport, ShiftTotal, differences_of
from checkout.telling import Fact, TillActor, tell
from ledger.database import Session


async def open_shift(
    session: Session, shift_id: str, terminal_id: str, *, cashier_id: str, merchant_id: str | None, by: TillActor,
    now: datetime,
) -> Shift:  # fmt: skip
    """Begin a till's shift with a cashier at it; money that came since the last one is counted in it.

    Raises: TerminalNotFound, CashierNotFound, CashierGone, ShiftOpen. Locks: the numbering of the till's shifts.
    """
    terminal = await repository.load_terminal(session, terminal_id)
    if merchant_id not in (None, terminal.merchant_id):
        raise TerminalNotFound(terminal_id=terminal_id)
    await cashiers.load_working(session, cashier_id, merchant_id=terminal.merchant_id)
    shift = await shift_rows.add_shift(session, shift_id, terminal_id, cashier_id, now)
    if shift is None:
        raise ShiftOpen(terminal_id=terminal_id)
    await shift_rows.begin_turn(session, shift, cashier_id, now)
    await shift_rows.adopt(session, shift)
    facts: dict[str, Fact] = {"terminal_id": terminal_id, "number": shift.number, "cashier_id": cashier_id}
    await tell(session, "shift.opened", shift.id, shift.merchant_id, by, facts, now=now)
    return shift


async def begin_turn(
    session: Session, shift_id: str, *, cashier_id: str, merchant_id: str | None, now: datetime
) -> Shift:
    """Another cashier stands at the till; the same one again changes nothing.

    Raises: ShiftNotFound, ShiftClosed, CashierNotFound, CashierGone. Locks: the shift.
    """
    shift = await _lock_open(session, shift_id, merchant_id)
    await cashiers.load_working(session, cashier_id, merchant_id=shift.merchant_id)
    await shift_rows.begin_turn(session, shift, cashier_id, now)
    return shift


async def report_of(session: Session, shift_id: str, *, merchant_id: str | None, now: datetime) -> ShiftReport:
    """X while the shift is open, Z when it is closed. Raises: ShiftNotFound."""
    shift = await shift_rows.load_shift(session, shift_id, merchant_id=merchant_id)
    return await _report(session, shift, now)


async def close_shift(
    session: Session, shift_id: str, *, cashier_id: str, merchant_id: str | None, by: TillActor, now: datetime,
    told: Sequence[ShiftTotal] | None = None, difference_reason: str | None = None,
) -> ShiftReport:  # fmt: skip
    """End a shift by its Z report. Money that comes later is the next shift's.

    ``told`` is what the till itself has counted; where it differs, somebody has to say why.
    Raises: ShiftNotFound, ShiftClosed, CashierNotFound, CashierGone, ShiftTotalsRefused, ShiftDiffers.
    Locks: the shift; whoever brings money to it is waited for.
    """
    shift = await _lock_open(session, shift_id, merchant_id)
    await cashiers.load_working(session, cashier_id, merchant_id=shift.merchant_id)
    await shift_rows.adopt(session, shift)
    ours = await shift_rows.totals_of(session, shift)
    differences = () if told is None else differences_of(ours, told)
    if differences and difference_reason is None:
        raise ShiftDiffers(shift_id=shift_id, differences=_shown(differences))
    reason = difference_reason if differences else None
    closed = await shift_rows.close(session, shift, cashier_id, reason, differences, max(now, shift.opened_at))
    report = await _report(session, closed, now)
    facts: dict[str, Fact] = {
        "terminal_id": shift.terminal_id, "number": shift.number, "operations": sum(each.operations for each in ours),
        "takings_kopecks": report.takings, "differences": len(differences),
    }  # fmt: skip
    await tell(session, "shift.closed", shift.id, shift.merchant_id, by, facts, now=now)
    return report


async def _lock_open(session: Session, shift_id: str, merchant_id: str | None) -> Shift:
    shift = await shift_rows.load_shift(session, shift_id, merchant_id=merchant_id, lock=True)
    if shift.closed_at is not None:
        raise ShiftClosed(shift_id=shift_id, number=shift.number)
    return shift


async def _report(session: Session, shift: Shift, now: datetime) -> ShiftReport:
    hours = await setting_of(session, shift.terminal_id, "shift_hours_max")
    assert isinstance(hours, int)
    return ShiftReport(
        shift=shift,
        store_name=(await repository.load_store(session, shift.store_id)).name,
        terminal_name=(await repository.load_terminal(session, shift.terminal_id)).name,
        printed_at=now,
        totals=await shift_rows.totals_of(session, shift),
        names=await shift_rows.names_of(session, shift),
        baskets=await shift_rows.baskets_of(session, shift),
        differences=await shift_rows.differences_of(session, shift.id),
        is_overdue=(shift.closed_at or now) - shift.opened_at > timedelta(hours=hours),
    )


def _shown(differences: Sequence[ShiftDifference]) -> str:
    return "; ".join(
        f"{each.rail} {each.kind.value}: here {each.operations} for {int(each.amount)}, "
        f"till {each.told} for {int(each.told_amount)}"
        for each in differences
    )
