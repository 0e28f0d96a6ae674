"""Vouchers of plans, one function for each row of the book-keeping table: what is debited (Дт) and credited (Кт).

Functions of one movement give its effect, which ``reckoning`` books; those that begin with ``book_`` book by
themselves. ``<bucket>`` is the bucket of an installment, ``clearing`` the account that ``clearing.source_of`` says.

Source: installments.md 5.2, rows 1 to 24. Row 7, the payout, is reconciliation's; rows 8, 10, 11 and 21 the night's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from installments.arrears import Bucket
from installments.clearing import clearing_terms
from installments.effects import Effect, entry_of, total
from installments.merchant_money import terms_of
from installments.plan import Plan
from installments.state import Allocation
from ledger import accounts, chart, journal
from ledger.accounts import AccountTerms, open_account
from ledger.database import Session, text
from ledger.entry import Entry, Posting, Refused, check_batch
from ledger.ids import new_id, new_uuids
from ledger.money import Kopecks

Buckets = Mapping[int, Bucket]
"""The bucket of each installment, by its number."""


def told(allocation: Allocation, buckets: Buckets) -> dict[str, int]:
    """What a movement does to a debt, whatever pays for it.

    Кт asset:plan_receivable:<bucket>     what is owed less; Дт where more is owed
    Кт asset:plan_penalty_receivable      penalty paid or waived
    Кт liability:plan_overpayment         the buyer's money above the debt; Дт where it was used or returned
    Кт income:plan_recovery               what it brought of a debt written off
    """
    effect: dict[str, int] = {}
    for number, amount in allocation.principal:
        code = chart.plan_receivable(buckets[number])
        effect[code] = effect.get(code, 0) - int(amount)
    effect[chart.PLAN_PENALTY_RECEIVABLE] = -int(allocation.penalty)
    effect[chart.PLAN_OVERPAYMENT] = -int(allocation.overpaid)
    effect[chart.PLAN_RECOVERY] = -int(allocation.recovered)
    return effect


def payment(amount: Kopecks, allocation: Allocation, buckets: Buckets, clearing: str) -> Effect:
    """Rows 5, 9, 17 and 23: a buyer's money, on time, late, too much, or after a write-off.

    Дт clearing                           Кт asset:plan_receivable:<bucket>     installments
    Дт clearing                           Кт asset:plan_penalty_receivable      penalty
    Дт clearing                           Кт liability:plan_overpayment         above the debt
    Дт clearing                           Кт income:plan_recovery               of a debt written off
    """
    return total(({clearing: int(amount)}, told(allocation, buckets)))


def merchant_refund(allocation: Allocation, buckets: Buckets, taken: Effect) -> Effect:
    """Rows 13 and 16: goods came back, or the merchant pays for its buyer.

    Дт what ``merchant_money`` takes      Кт asset:plan_receivable:<bucket>     what is not owed any more
    Дт what ``merchant_money`` takes      Кт liability:plan_overpayment         what was paid for it
    Дт what ``merchant_money`` takes      Кт expense:plan_loss                  of a debt written off
    """
    return with_loss(taken, told(allocation, buckets))


def with_loss(*effects: Effect) -> Effect:
    """What a debt that was written off does not take or bring any more is a smaller or a greater loss.

    Дт or Кт expense:plan_loss            what the others lack
    """
    effect = total(effects)
    return total((effect, {chart.PLAN_LOSS: -sum(effect.values())}))


def fee_returned(fee: int, earned: int, merchant: Effect) -> Effect:
    """Row 15: the refund's share of the discount goes back to the merchant; ``earned`` of ``fee`` was income already.

    Дт liability:plan_deferred_fee        Кт liability:plan_payable:<merchant>  not earned yet
    Дт income:plan_fee                    Кт liability:plan_payable:<merchant>  earned
    """
    return total(({chart.PLAN_DEFERRED_FEE: fee - earned, chart.PLAN_FEE: earned}, merchant))


def credit_refund(amount: Kopecks, allocation: Allocation, buckets: Buckets) -> Effect:
    """Row 14, its first half: the buyer's money begins its way back to the card.

    Дт liability:plan_overpayment         Кт liability:plan_refund_payable
    Дт asset:plan_receivable:<bucket>     Кт liability:plan_refund_payable      where the debt has grown since
    Дт expense:plan_loss                  Кт liability:plan_refund_payable      where it was written off since
    """
    return with_loss(told(allocation, buckets), {chart.PLAN_REFUND_PAYABLE: -int(amount)})


def chargeback(amount: Kopecks, allocation: Allocation, buckets: Buckets, clearing: str) -> Effect:
    """Row 18: a bank took a payment back. What the acquirer takes of us is ``book_chargeback_taken``.

    Дт asset:plan_receivable:<bucket>     Кт clearing                           owed again
    Дт asset:plan_penalty_receivable      Кт clearing
    Дт liability:plan_overpayment         Кт clearing
    Дт income:plan_recovery               Кт clearing                           of a debt written off
    Дт expense:plan_loss                  Кт clearing                           the same, above what had come back
    """
    return with_loss(told(allocation, buckets), {clearing: -int(amount)})


def goodwill(amount: Kopecks, allocation: Allocation, buckets: Buckets) -> Effect:
    """Row 19: we forgive a part of the debt.

    Дт expense:plan_goodwill              Кт asset:plan_receivable:<bucket>
    """
    return total(({chart.PLAN_GOODWILL: int(amount)}, told(allocation, buckets)))


def waiver(allocation: Allocation) -> Effect:
    """Row 12: penalty is forgiven.

    Дт income:plan_penalty                Кт asset:plan_penalty_receivable
    """
    penalty = int(allocation.penalty)
    return {chart.PLAN_PENALTY: penalty, chart.PLAN_PENALTY_RECEIVABLE: -penalty}


def penalty_accrued(amount: int) -> Effect:
    """Row 11: penalty for what is past due, up to a day.

    Дт asset:plan_penalty_receivable      Кт income:plan_penalty
    """
    return {chart.PLAN_PENALTY_RECEIVABLE: amount, chart.PLAN_PENALTY: -amount}


def write_off(allocation: Allocation, buckets: Buckets, of_allowance: int) -> Effect:
    """Row 22: we stop expecting the rest of a debt.

    Дт asset:plan_allowance               Кт asset:plan_receivable:<bucket>     as far as losses were expected
    Дт expense:plan_loss                  Кт asset:plan_receivable:<bucket>     the rest
    Дт income:plan_penalty                Кт asset:plan_penalty_receivable      penalty that nobody will pay
    """
    loss = {chart.PLAN_ALLOWANCE: of_allowance, chart.PLAN_LOSS: lost_by(allocation) - of_allowance}
    return total((loss, {chart.PLAN_PENALTY: int(allocation.penalty)}, told(allocation, buckets)))


def lost_by(allocation: Allocation) -> int:
    """Kopecks of principal that a write-off stops expecting."""
    return sum(int(amount) for _, amount in allocation.principal)


async def book_hold(session: Session, plan: Plan, amount: Kopecks, *, now: datetime) -> None:
    """Row 1: the first installment is held on the buyer's card. Off the balance sheet.

    Дт memo:plan_hold:cards               Кт memo:plan_hold:buyers
    """
    added = await session.scalar(
        text("""INSERT INTO plan_books AS b (plan_id, held_kopecks) VALUES (:id, :amount)
                ON CONFLICT (plan_id) DO UPDATE SET held_kopecks = excluded.held_kopecks WHERE b.held_kopecks = 0
                RETURNING held_kopecks"""),
        {"id": plan.id, "amount": int(amount)},
    )
    if added is not None:
        await open_accounts(session, [], now=now)
        effect = {chart.PLAN_HOLD: int(amount), chart.PLAN_HOLD_BUYERS: -int(amount)}
        await book(session, effect, plan, kind="plan.held", reference=_new_reference("held", plan, now), now=now)


async def book_hold_released(session: Session, plan: Plan, *, now: datetime) -> None:
    """Row 2, and the memo's half of row 5: nothing is held any more. Nothing is booked where nothing was.

    Дт memo:plan_hold:buyers              Кт memo:plan_hold:cards
    """
    held = await session.scalar(
        text("""UPDATE plan_books AS b SET held_kopecks = 0
                  FROM (SELECT plan_id, held_kopecks FROM plan_books WHERE plan_id = :id FOR UPDATE) AS o
                 WHERE b.plan_id = o.plan_id RETURNING o.held_kopecks"""),
        {"id": plan.id},
    )
    if held:
        reference = _new_reference("released", plan, now)
        await book(session, hold_released(held), plan, kind="plan.released", reference=reference, now=now)


def hold_released(held: int) -> Effect:
    """Дт and Кт as ``book_hold_released`` lists them."""
    return {chart.PLAN_HOLD_BUYERS: held, chart.PLAN_HOLD: -held}


def commit(plan: Plan, *, now: datetime) -> Entry:
    """Rows 3 and 4: the goods go out, the debt begins, the merchant is owed the price less our discount.

    Дт asset:plan_receivable:not_due      Кт liability:plan_payable:<merchant>  the price
    Дт liability:plan_payable:<merchant>  Кт liability:plan_deferred_fee        the discount, not earned yet
    """
    owner = chart.plan_payable(plan.merchant_id)
    postings = [Posting(chart.plan_receivable(Bucket.NOT_DUE), owner, plan.price)]
    if plan.fee > 0:
        postings.append(Posting(owner, chart.PLAN_DEFERRED_FEE, plan.fee))
    return Entry(f"plan_committed:{plan.id}", "plan.committed", now, tuple(postings), facts_of(plan))


async def book_commit(session: Session, plan: Plan, *, now: datetime) -> None:
    """Book ``commit``. A plan begins once: its id is the reference.

    Raises: EntryRejected. Locks: the accounts, in their one order.
    """
    await open_accounts(session, [plan.merchant_id], now=now)
    await journal.post(session, commit(plan, now=now), now=now)


async def book_acquirer_settlement(
    session: Session, acquirer_id: str, gross: Kopecks, fee: Kopecks, *, reference: str, now: datetime
) -> None:
    """Row 6: an acquirer has sent us the money of installments, less its own fee.

    Дт asset:operator_bank                Кт asset:card_settlement:<acquirer>   what came
    Дт expense:plan_acquiring             Кт asset:card_settlement:<acquirer>   its fee
    """
    effect = {
        chart.OPERATOR_BANK: int(gross) - int(fee), chart.PLAN_ACQUIRING: int(fee),
        chart.card_settlement(acquirer_id): -int(gross),
    }  # fmt: skip
    await open_accounts(session, [], now=now)
    await _book_of_house(session, effect, "plan.acquirer_settled", f"plan_settled:{reference}", now)


async def book_chargeback_taken(
    session: Session, acquirer_id: str, clearing: str, amount: Kopecks, fee: Kopecks, *, reference: str, now: datetime
) -> None:
    """Row 18, the acquirer's half: it took a payment back from us, and its fee.

    Дт clearing                           Кт asset:card_settlement:<acquirer>   what it took
    Дт expense:plan_acquiring             Кт asset:card_settlement:<acquirer>   its fee
    """
    effect = {
        clearing: int(amount), chart.PLAN_ACQUIRING: int(fee),
        chart.card_settlement(acquirer_id): -int(amount) - int(fee),
    }  # fmt: skip
    await open_accounts(session, [], now=now)
    await _book_of_house(session, effect, "plan.chargeback_taken", f"plan_chargeback:{reference}", now)


async def fund_credit_refund(
    session: Session, clearing: str, amount: Kopecks, *, reference: str, now: datetime
) -> None:
    """Row 14, its second half: money for the card refund of what a buyer paid too much, before the rail sets it aside.

    Дт liability:plan_refund_payable      Кт clearing
    """
    effect = {chart.PLAN_REFUND_PAYABLE: int(amount), clearing: -int(amount)}
    await _book_of_house(session, effect, "plan.credit_refund_funded", f"plan_credit:{reference}", now)


async def take_back_credit_refund(
    session: Session, clearing: str, amount: Kopecks, *, reference: str, now: datetime
) -> None:
    """The card refund was refused: its money waits for another way back.

    Дт clearing                           Кт liability:plan_refund_payable
    """
    effect = {clearing: int(amount), chart.PLAN_REFUND_PAYABLE: -int(amount)}
    await _book_of_house(session, effect, "plan.credit_refund_refused", f"plan_credit_refused:{reference}", now)


async def pay_credit_by_bank(session: Session, amount: Kopecks, *, reference: str, now: datetime) -> None:
    """Row 14, its second half by a person's hand: what a buyer paid too much left our bank account.

    Дт liability:plan_refund_payable      Кт asset:operator_bank
    """
    effect = {chart.PLAN_REFUND_PAYABLE: int(amount), chart.OPERATOR_BANK: -int(amount)}
    await _book_of_house(session, effect, "plan.credit_returned", f"plan_credit_returned:{reference}", now)


async def book_sale(session: Session, sale_id: str, proceeds: Kopecks, *, now: datetime) -> None:
    """Row 24: debts were sold. Each was written off by row 22; what the buyer of debts paid makes the loss smaller.

    Дт asset:operator_bank                Кт expense:plan_loss
    """
    effect = {chart.OPERATOR_BANK: int(proceeds), chart.PLAN_LOSS: -int(proceeds)}
    await open_accounts(session, [], now=now)
    await _book_of_house(session, effect, "plan.debts_sold", f"plan_sale:{sale_id}", now)


async def book(session: Session, effect: Effect, plan: Plan, *, kind: str, reference: str, now: datetime) -> None:
    """Book one effect on a plan. Raises: EntryRejected."""
    entry = entry_of(effect, kind=kind, reference=reference, happened_at=now, metadata=facts_of(plan))
    if entry is not None:
        await journal.post(session, entry, now=now)


async def book_all(session: Session, entries: Sequence[Entry], *, now: datetime) -> None:
    """Book entries, all or nothing. Raises: EntryRejected of the first that the books refuse."""
    for start in range(0, len(entries), BATCH_MAX):
        batch = entries[start : start + BATCH_MAX]
        check_batch(batch)
        answer = await journal.post_batch_as(session, batch, new_uuids(now, len(batch)), now=now)
        refused = [] if isinstance(answer, datetime) else [one for one in answer if isinstance(one, Refused)]
        if refused:
            raise refused[0].error()


BATCH_MAX = 1_000
"""Entries in one call of the journal."""


def facts_of(plan: Plan, **more: Any) -> dict[str, Any]:
    """What every entry of a plan says of it."""
    return {"plan_id": plan.id, "merchant_id": plan.merchant_id, **more}


async def _book_of_house(session: Session, effect: Effect, kind: str, reference: str, now: datetime) -> None:
    entry = entry_of(effect, kind=kind, reference=reference, happened_at=now, metadata={})
    if entry is not None:
        await journal.post(session, entry, now=now)


HOUSE_TERMS = (
    *(AccountTerms(chart.plan_receivable(bucket)) for bucket in Bucket),
    AccountTerms(chart.PLAN_PENALTY_RECEIVABLE),
    AccountTerms(chart.PLAN_ALLOWANCE, normal_side="credit", available_min=0),
    AccountTerms(chart.OPERATOR_BANK),
    AccountTerms(chart.PLAN_DEFERRED_FEE, available_min=0),
    AccountTerms(chart.PLAN_OVERPAYMENT, available_min=0),
    AccountTerms(chart.PLAN_REFUND_PAYABLE, available_min=0),
    *(AccountTerms(code) for code in (chart.PLAN_FEE, chart.PLAN_PENALTY, chart.PLAN_RECOVERY)),
    *(AccountTerms(code) for code in (chart.PLAN_LOSS, chart.PLAN_GOODWILL, chart.PLAN_ACQUIRING)),
    AccountTerms(chart.PLAN_HOLD),
    AccountTerms(chart.PLAN_HOLD_BUYERS, normal_side="credit", available_min=0),
)
"""Accounts of all plans."""


async def open_accounts(session: Session, merchant_ids: Iterable[str], *, now: datetime, operator_id: str = "") -> None:
    """Open what vouchers of these merchants' plans move; one look when all are open."""
    terms = [*HOUSE_TERMS, *(one for merchant_id in sorted(set(merchant_ids)) for one in terms_of(merchant_id))]
    terms += clearing_terms(operator_id) if operator_id else []
    rows = await session.execute(
        text("""SELECT a.code FROM books AS b JOIN accounts AS a ON a.book = b.number
                 WHERE b.name = 'main' AND a.code = ANY(CAST(:codes AS text[]))"""),
        {"codes": [one.code for one in terms]},
    )
    known = {row.code for row in rows}
    for one in terms:
        if one.code not in known:
            await open_account(session, one, now=now)


async def lock_accounts(session: Session, codes: Iterable[str]) -> None:
    """Take the accounts of all plans and these, before the first of several vouchers of one transaction.

    Locks: the accounts, in their one order.
    """
    await accounts.lock_accounts(session, {*(terms.code for terms in HOUSE_TERMS), *codes})


def _new_reference(what: str, plan: Plan, now: datetime) -> str:
    """A card may be held anew after another was released: what is held now is in ``plan_books``."""
    return f"plan_{what}:{plan.id}:{new_id('hld', now)}"
