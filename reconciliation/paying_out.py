"""Payout runs: set the money aside, ask the bank, book what it did. Intent, call, outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta

from ledger import accounts, balances, holds, outbox
from ledger.clock import MOSCOW
from ledger.database import Session
from ledger.errors import EntryRejected
from ledger.holds import HoldRequest
from ledger.ids import new_id
from ledger.money import Kopecks
from ledger.outbox import Event
from reconciliation import repository
from reconciliation.bank import BankAnswer, BankStatus
from reconciliation.payouts import ALLOWED, MERCHANTS_MAX, Payee, Payout, PayoutRun, PayoutStatus, wait_before_try


async def start_run(
    session: Session, payees: Sequence[Payee], *, through_on: date | None, now: datetime
) -> tuple[PayoutRun, list[Payout]]:
    """Intent: set aside what each merchant is owed and write down its payout. Merchants owed nothing get none.

    Дт liability:merchant_payable:<merchant> Кт asset:sbp_settlement:<member>  held, booked when the bank has paid
    Дт liability:plan_payable:<merchant>     Кт asset:operator_bank            the same for money of plans

    Locks: the accounts of all payees, in their one order.
    """
    assert len(payees) <= MERCHANTS_MAX
    codes = {code for payee in payees for code in (payee.owed_in, payee.settlement_account)}
    await accounts.lock_accounts(session, codes)
    run_id = new_id("run", now)
    payouts = [
        payout
        for payee in sorted(payees, key=lambda payee: payee.merchant_id)
        if (payout := await _set_aside(session, run_id, payee, through_on, now)) is not None
    ]
    total = sum((payout.amount for payout in payouts), Kopecks(0))
    run = PayoutRun(run_id, through_on, len(payouts), total, now)
    await repository.add_run(session, run)
    await repository.add_payouts(session, payouts, next_try_at=now)
    return run, payouts


async def _set_aside(
    session: Session, run_id: str, payee: Payee, through_on: date | None, now: datetime
) -> Payout | None:
    amount = await amount_owed(session, payee, through_on=through_on)
    if amount <= 0:
        return None
    payout_id = new_id("pyo", now)
    try:
        async with session.begin_nested():
            hold = await holds.place(
                session,
                HoldRequest(
                    reference=f"payout:{payout_id}",
                    kind="payout",
                    debit=payee.owed_in,
                    credit=payee.settlement_account,
                    amount=amount,
                    happened_at=now,
                    metadata={"payout_id": payout_id, "merchant_id": payee.merchant_id},
                ),
                now=now,
            )
    except EntryRejected as refusal:
        if refusal.code != "ledger.overdrawn":
            raise
        return None  # another run or entry took it at this moment
    return Payout(
        id=payout_id, run_id=run_id, merchant_id=payee.merchant_id, amount=amount, bik=payee.bik,
        account_number=payee.account_number, status=PayoutStatus.REQUESTED, hold_id=hold.id, entry_id=None, tries=0,
        reason=None, created_at=now, sent_at=None,
    )  # fmt: skip


async def amount_owed(session: Session, payee: Payee, *, through_on: date | None) -> Kopecks:
    """What a merchant can be paid now: what is available, and no more than it was owed at the end of a day."""
    code = payee.owed_in
    account = await accounts.find_account(session, code)
    if account is None:
        return Kopecks(0)
    owed = account.available
    if through_on is not None and owed > 0:
        day_end = datetime.combine(through_on + timedelta(days=1), time.min, tzinfo=MOSCOW)
        then = await balances.balance_happened_at(session, code, day_end - timedelta(microseconds=1))
        owed = min(owed, then.balance - await repository.paid_out_since(session, payee, day_end))
    return Kopecks(max(owed, 0))


async def record_answer(session: Session, payout_id: str, answer: BankAnswer | None, *, now: datetime) -> Payout:
    """Outcome: book or give back the money as the bank says. No answer leaves the payout unknown.

    Дт and Кт as ``start_run`` lists them, when the bank has paid.

    Raises: PayoutNotFound. Locks: the payout, then the hold and its accounts.
    """
    payout = await repository.lock_payout(session, payout_id)
    to = _status_after(answer)
    if to not in ALLOWED[payout.status] and to is not payout.status:
        return payout  # the end was written down before
    if to is PayoutStatus.SENT:
        return await _book_sent(session, payout, now)
    if to is PayoutStatus.REJECTED:
        return await _give_back(session, payout, answer.reason if answer else None, now)
    waiting = replace(payout, status=PayoutStatus.UNKNOWN)
    await repository.save_payout(session, waiting, next_try_at=now + wait_before_try(payout.tries))
    return waiting


def _status_after(answer: BankAnswer | None) -> PayoutStatus:
    if answer is None or answer.status is BankStatus.PROCESSING:
        return PayoutStatus.UNKNOWN
    return PayoutStatus.SENT if answer.status is BankStatus.EXECUTED else PayoutStatus.REJECTED


async def _book_sent(session: Session, payout: Payout, now: datetime) -> Payout:
    if payout.status is PayoutStatus.SENT:
        return payout
    entry_id = await holds.post_part(
        session, payout.hold_id, reference=f"payout_sent:{payout.id}", happened_at=now, now=now,
        metadata={"payout_id": payout.id, "merchant_id": payout.merchant_id},
    )  # fmt: skip
    sent = replace(payout, status=PayoutStatus.SENT, entry_id=entry_id, sent_at=now)
    await repository.save_payout(session, sent, next_try_at=None)
    await _publish(session, "payout.sent", sent, now)
    return sent


async def _give_back(session: Session, payout: Payout, reason: str | None, now: datetime) -> Payout:
    if payout.status is PayoutStatus.REJECTED:
        return payout
    await holds.release(session, payout.hold_id, reference=f"payout_rejected:{payout.id}", happened_at=now)
    rejected = replace(payout, status=PayoutStatus.REJECTED, reason=reason)
    await repository.save_payout(session, rejected, next_try_at=None)
    await _publish(session, "payout.rejected", rejected, now)
    return rejected


async def _publish(session: Session, event_type: str, payout: Payout, now: datetime) -> None:
    data = {
        "payout_id": payout.id,
        "run_id": payout.run_id,
        "merchant_id": payout.merchant_id,
        "amount_kopecks": int(payout.amount),
        "status": payout.status.value,
    }
    await outbox.publish(session, Event(event_type, payout.id, payout.merchant_id, data), now=now)
