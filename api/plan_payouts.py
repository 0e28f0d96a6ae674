"""Payouts of plan money, T+1: each night merchants get what they were owed for plans by the end of the day before, net
of our discount and of what they owe us for returned goods. What waits for a dispute is reserved, and stays.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import structlog

from api.plan_night import night_of
from checkout import repository as till_rows
from checkout.merchants import Merchant
from installments import nightly
from installments.merchant_money import net_claims, open_purses, owed_merchants, terms_of
from installments.nightly import PAYOUTS, Batch, Place
from ledger import accounts, chart
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction
from ledger.errors import KopeykaError
from reconciliation import paying_out
from reconciliation.payouts import Payee

MERCHANTS_MAX = 100
"""Merchants of one batch: each takes a hold."""

log = structlog.get_logger("plan_payouts")


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
    amount = await _pay_out_all(session, ids, place.night_on - timedelta(days=1), now)
    batch = Batch(0, amount, ids[-1] if ids else place.after_plan_id, len(ids) < MERCHANTS_MAX)
    await nightly.keep_place(session, place, batch, now=now)
    return len(ids)


async def _pay_out_all(session: Session, merchant_ids: list[str], through_on: date, now: datetime) -> int:
    """All at once, or each half: a merchant that the books refuse keeps no other from its money, and waits a night."""
    if not merchant_ids:
        return 0
    try:
        async with session.begin_nested():
            return await pay_out(session, merchant_ids, through_on=through_on, now=now)
    except KopeykaError as error:
        if len(merchant_ids) == 1:
            log.error("merchant_not_paid_out", merchant_id=merchant_ids[0], code=error.code)
            return 0
    middle = len(merchant_ids) // 2
    halves = (merchant_ids[:middle], merchant_ids[middle:])
    return sum([await _pay_out_all(session, half, through_on, now) for half in halves])


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
