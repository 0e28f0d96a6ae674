"""Payouts of plan money, T+1: each night merchants get what they were owed for plans by the end of the day before, net
of our discount and of what they owe us for returned goods. What waits for a dispute is reserved, and stays.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from api.plan_night import night_of
from checkout import repository as till_rows
from checkout.merchants import Merchant
from installments import nightly
from installments.merchant_money import net_claims, open_purses, owed_merchants, terms_of
from installments.nightly import PAYOUTS, Batch, Place
from ledger import accounts, chart
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction
from reconciliation import paying_out
from reconciliation.payouts import Payee

MERCHANTS_MAX = 100
"""Merchants of one batch: each takes a hold."""


async def pay_out_plans(engine: Engine, clock: Clock) -> int:
    """Set aside the next merchants' money; the worker then asks the bank. How many merchants; none when all is done."""
    now = clock.now()
    return await in_transaction(engine, lambda session: _pay_out(session, night_of(now), now))


async def _pay_out(session: Session, on: date, now: datetime) -> int:
    if await nightly.is_later_begun(session, on):
        return 0  # a sandbox's clock was set back: a night is worked on once
    await nightly.begin_night(session, on, now=now)
    place = await nightly.take_place(session, on, PAYOUTS)
    return 0 if place is None else await _batch(session, place, now)


async def _batch(session: Session, place: Place, now: datetime) -> int:
    ids = await owed_merchants(session, after=place.after_plan_id, limit=MERCHANTS_MAX)
    amount = await pay_out(session, ids, through_on=place.night_on - timedelta(days=1), now=now) if ids else 0
    batch = Batch(0, amount, ids[-1] if ids else place.after_plan_id, len(ids) < MERCHANTS_MAX)
    await nightly.keep_place(session, place, batch, now=now)
    return len(ids)


async def pay_out(session: Session, merchant_ids: list[str], *, through_on: date | None, now: datetime) -> int:
    """One run over merchants of plans: claims are netted first; how many kopecks were set aside.

    Дт liability:plan_payable:<merchant>     Кт asset:plan_merchant_receivable:<merchant>  what the merchant owes us
    Дт liability:plan_payable:<merchant>     Кт asset:operator_bank                        held, booked when paid

    Locks: the plan money of each merchant, then the accounts of all of them.
    """
    await open_purses(session, merchant_ids)
    codes = {code.code for merchant_id in merchant_ids for code in terms_of(merchant_id)}
    await accounts.lock_accounts(session, {chart.OPERATOR_BANK, *codes})
    for merchant_id in merchant_ids:
        await net_claims(session, merchant_id, now=now)
    merchants = await till_rows.merchants_by_id(session, merchant_ids)
    payees = [payee_of(merchant) for merchant in merchants.values()]
    run, _ = await paying_out.start_run(session, payees, through_on=through_on, now=now)
    return int(run.amount)


def payee_of(merchant: Merchant) -> Payee:
    """A merchant as the payee of its plan money."""
    account = merchant.bank_account
    return Payee(merchant.id, account.bik, account.number, chart.OPERATOR_BANK, payable=chart.plan_payable(merchant.id))
