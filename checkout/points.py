"""Points (баллы): what happens to a card's points when its orders are placed, paid, canceled and refunded.

Where points stand is said twice: in the books, which count them, and in lots, which say when they end. Every verb moves
both in the transaction of its order, so they agree whatever repeats.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from checkout import points_rows, points_vouchers
from checkout.basket_rows import OrderBasket
from checkout.errors import (
    PointsAmountNotPositive,
    PointsNotEnough,
    PointsProgrammeNotFound,
    PointsReturnAboveSpent,
)
from checkout.points_rows import NewLot, PointsEarner, Spending
from checkout.points_rules import POINTS_MAX, Programme, Rule, earned
from checkout.points_vouchers import PointsMove
from checkout.telling import BY_ITSELF, Fact, TillActor, tell
from ledger import accounts, chart, outbox
from ledger.clock import moscow_day
from ledger.database import Session
from ledger.entry import Booked, Entry, Posting
from ledger.ids import new_id
from ledger.outbox import Event


@dataclass(frozen=True, slots=True)
class PointsBalance:
    """A card's points."""

    posted: int
    """All that the card has, with what is set aside and what cannot be spent yet."""
    pending: int
    """Of them, what cannot be spent yet."""
    available: int
    """Of them, what can be spent now."""
    reserved: int = 0
    """Of them, what waits for an order to be paid."""


@dataclass(frozen=True, slots=True)
class PointsEarning:
    """What one paid order gives its card."""

    earner: PointsEarner
    points: int
    kept: int
    """Of them, what the card owed."""

    @property
    def move(self) -> PointsMove:
        """All of them, before anything is kept back."""
        return PointsMove(self.earner.card_id, self.earner.programme, self.points)


async def balance(session: Session, card_id: str, *, now: datetime) -> PointsBalance:
    """The card's points; a card that never had any has none. Raises: PointsProgrammeNotFound."""
    programme, _ = await rule_of(session, card_id, now=now)
    card = await accounts.find_account(session, chart.points(programme.code, card_id))
    aside = await accounts.find_account(session, chart.points_reserved(programme.code, card_id))
    if card is None or aside is None:
        return PointsBalance(0, 0, 0)
    available, pending = await points_rows.counted_of(session, card_id, now=now)
    return PointsBalance(card.balance + aside.balance, pending, available, aside.balance)


async def rule_of(session: Session, card_id: str, *, now: datetime) -> tuple[Programme, Rule]:
    """The programme of a card and the rule that counts today. Raises: PointsProgrammeNotFound."""
    found = await points_rows.rule_of_card(session, card_id, moscow_day(now))
    if found is None:
        raise PointsProgrammeNotFound(loyalty_card_id=card_id)
    return found


async def reserve_points(session: Session, card_id: str, order_id: str, points: int, *, now: datetime) -> Spending:
    """Set points aside for an order that is being placed; the caller has looked how many its basket may take.

    Raises: PointsAmountNotPositive, PointsNotEnough.
    Locks: the lots taken from, then the card's accounts.
    """
    if not 1 <= points <= POINTS_MAX:
        raise PointsAmountNotPositive(points_max=POINTS_MAX)
    spending = await points_rows.reserve(session, card_id, order_id, points, now=now)
    if spending is None:
        available = await points_rows.spendable_of(session, card_id, now=now)
        raise PointsNotEnough(points=points, points_available=available)
    await _book(session, [spending], "reserve", now=now)
    return spending


async def release_points(session: Session, order_ids: Sequence[str], *, now: datetime) -> list[Spending]:
    """Orders will not be paid: what they had set aside goes back to the lots it came from.

    What the card owes after a refund is kept back of them.
    Locks: the purses, the lots, then the accounts; the orders are locked.
    """
    done = await points_rows.end_spendings(session, order_ids, "released", now=now)
    if not done:
        return done
    owed = await points_rows.lock_purses(session, sorted({each.card_id for each in done}))
    await points_rows.refill_lots(session, [each.order_id for each in done])
    entries = []
    for each in done:
        kept = min(each.points, owed[each.card_id])
        kept = await points_rows.take_of_lots(session, each.card_id, each.order_id, kept) if kept else 0
        owed[each.card_id] -= kept
        entries.append(_entry(each, "release", kept=kept, now=now))
    await points_rows.save_owed(session, owed)
    await points_vouchers.book(session, entries, now=now)
    return done


async def confirm_points(session: Session, baskets: Sequence[OrderBasket], *, now: datetime) -> int:
    """Orders are paid: what they had set aside is spent, and each earns by the rule of today, once. Gives what it was.

    What a card still owes after a refund is kept back first.
    Locks: the purses of cards that owe, in the order of their cards; then the accounts. The orders are locked.
    """
    spent = await points_rows.end_spendings(
        session, [each.order_id for each in baskets if each.points], "spent", now=now
    )
    earnings = await _earnings(session, baskets, now=now)
    if earnings:
        lots = [_earned_lot(each, now) for each in earnings]
        await points_rows.add_lots(session, lots, now=now)
    entries = [_entry(each, "spend", now=now) for each in spent]
    entries += [_accrual(each, now=now) for each in earnings]
    booked = await points_vouchers.book(session, entries, now=now)
    events = [_spent_event(each) for each in spent] + [_earned_event(each, now) for each in earnings]
    for each, entry in zip(earnings, booked[len(spent) :], strict=True):
        events += _reached(each.move, entry)
    for start in range(0, len(events), outbox.PUBLISH_MAX):
        await outbox.publish_all(session, events[start : start + outbox.PUBLISH_MAX], now=now)
    return sum(each.points for each in earnings)


async def _earnings(session: Session, baskets: Sequence[OrderBasket], *, now: datetime) -> list[PointsEarning]:
    by_order = {each.order_id: each for each in baskets if each.loyalty_card_id is not None}
    if not by_order:
        return []
    earners = await points_rows.earners(session, list(by_order), moscow_day(now))
    owed = {each.card_id: each.owed for each in earners}
    if any(owed.values()):
        owed = await points_rows.lock_purses(session, sorted(owed))
    earnings = []
    for each in earners:
        basket = by_order[each.order_id]
        points = earned(basket.basket.lines, each.rule, basket.amount)
        if points:
            kept = min(points, owed.get(each.card_id, 0))
            owed[each.card_id] = owed.get(each.card_id, 0) - kept
            earnings.append(PointsEarning(each, points, kept))
    without = {each.earner.card_id: each.earner.programme for each in earnings if not each.earner.has_purse}
    if without:
        await _open(session, without, now=now)
    if any(each.kept for each in earnings):
        await points_rows.save_owed(session, owed)
    return earnings


async def grant(
    session: Session, card_id: str, points: int, reference: str, *, reason: str, by: TillActor = BY_ITSELF,
    now: datetime,
) -> PointsBalance:  # fmt: skip
    """Give a card points that no order earned: a welcome, an apology, a reward. The reference gives them once.

    Raises: PointsAmountNotPositive, PointsProgrammeNotFound. Locks: the purse, then the accounts.
    """
    if not 1 <= points <= POINTS_MAX:
        raise PointsAmountNotPositive(points_max=POINTS_MAX)
    programme, rule = await rule_of(session, card_id, now=now)
    await _open(session, {card_id: programme}, now=now)
    await points_rows.lock_purses(session, [card_id])
    move = PointsMove(card_id, programme, points)
    entry = points_vouchers.entry_of(
        f"points_grant:{reference}", "points.grant", points_vouchers.given(move), now=now, reason=reason
    )
    (booked,) = await points_vouchers.book(session, [entry], now=now)
    if not booked.is_replay:
        lot = _lot(card_id, rule, "granted", None, points, points, now)
        await points_rows.add_lots(session, [lot], now=now)
        facts: dict[str, Fact] = {"points": points, "reason": reason, "expires_at": lot.expires_at.isoformat()}
        await tell(session, "points.granted", card_id, programme.merchant_id, by, facts, now=now)
        await outbox.publish_all(session, _reached(move, booked), now=now)
    return await balance(session, card_id, now=now)


async def give_back(
    session: Session, order_id: str, refund_id: str, points_back: int, accrued_back: int, *, now: datetime
) -> None:
    """A refund of an order is booked: points that paid for it come back, points that it earned go, once a refund.

    What the buyer has spent of the earned points meanwhile is owed, and kept back from what the card gets next: what it
    earns, what comes back of another order, what an order lets go.
    Raises: PointsReturnAboveSpent. Locks: the spending, the purse, the lots, the accounts.
    """
    if (points_back < 1 and accrued_back < 1) or await points_rows.has_return(session, refund_id):
        return
    spending = await points_rows.lock_spending(session, order_id)
    if points_back and (spending is None or spending.points_returned + points_back > spending.points):
        raise PointsReturnAboveSpent(points=points_back)
    card_id, programme = await _card_of(session, order_id, spending)
    owed = await points_rows.lock_purses(session, [card_id])
    postings: list[Posting] = []
    if points_back and spending is not None:
        await points_rows.save_returned(session, order_id, spending.points_returned + points_back)
        await _return_lot(session, spending, points_back, now=now)
        postings += points_vouchers.given(PointsMove(card_id, programme, points_back))
    due = owed[card_id] + accrued_back
    taken = await points_rows.take_of_lots(session, card_id, order_id, due) if due else 0
    if taken:
        postings += points_vouchers.taken(PointsMove(card_id, programme, taken))
    await points_rows.save_owed(session, {card_id: due - taken})
    back = (points_back, accrued_back, min(accrued_back, due - taken))
    await points_rows.add_return(session, refund_id, order_id, card_id, back, now=now)
    if postings:
        entry = points_vouchers.entry_of(
            f"points_return:{refund_id}", "points.return", postings, now=now, order_id=order_id, refund_id=refund_id
        )
        await points_vouchers.book(session, [entry], now=now)
    data = dict(zip(("points_back", "accrued_back", "accrued_owed"), back, strict=True))
    told = {"order_id": order_id, "refund_id": refund_id, **data}
    await outbox.publish(session, Event("points.returned", card_id, programme.merchant_id, told), now=now)


async def expire(session: Session, lot_ids: Sequence[str], *, now: datetime) -> int:
    """Those of the lots whose time is over are emptied, and say how many there were. Skips what others hold.

    Locks: the lots, then the accounts.
    """
    due = await points_rows.empty_expired(session, lot_ids, now=now)
    if not due:
        return 0
    known = {each.code: each for each in await points_rows.list_programmes(session, merchant_id=None)}
    entries = [
        points_vouchers.entry_of(
            f"points_expiry:{lot_id}:{new_id('exp', now)}", "points.expiry",
            points_vouchers.taken(PointsMove(card_id, known[code], points)), now=now, lot_id=lot_id,
        )
        for lot_id, card_id, code, points in due
    ]  # fmt: skip
    await points_vouchers.book(session, entries, now=now)
    events = [
        Event("points.expired", card_id, known[code].merchant_id, {"lot_id": lot_id, "points": points})
        for lot_id, card_id, code, points in due
    ]
    await outbox.publish_all(session, events, now=now)
    return len(due)


async def _open(session: Session, cards: dict[str, Programme], *, now: datetime) -> None:
    programmes = {card_id: programme.code for card_id, programme in cards.items()}
    for card_id in sorted(await points_rows.open_purses(session, programmes, now=now)):
        await points_vouchers.open_card_accounts(session, card_id, cards[card_id], now=now)


async def _book(session: Session, spendings: Iterable[Spending], step: str, *, now: datetime) -> None:
    await points_vouchers.book(session, [_entry(each, step, now=now) for each in spendings], now=now)


def _entry(each: Spending, step: str, *, kept: int = 0, now: datetime) -> Entry:
    postings = STEPS[step](PointsMove(each.card_id, each.programme, each.points))
    if kept:
        postings += points_vouchers.taken(PointsMove(each.card_id, each.programme, kept))
    reference = f"points_{step}:{each.order_id}"
    return points_vouchers.entry_of(reference, f"points.{step}", postings, now=now, order_id=each.order_id)


STEPS = {
    "reserve": points_vouchers.set_aside,
    "spend": points_vouchers.spent,
    "release": points_vouchers.let_go,
}


def _accrual(each: PointsEarning, *, now: datetime) -> Entry:
    order_id, postings = each.earner.order_id, points_vouchers.given(each.move)
    if each.kept:
        postings += points_vouchers.taken(replace(each.move, points=each.kept))
    return points_vouchers.entry_of(
        f"points_accrual:{order_id}", "points.accrual", postings, now=now, order_id=order_id
    )


def _earned_lot(each: PointsEarning, now: datetime) -> NewLot:
    earner = each.earner
    left = each.points - each.kept
    return _lot(earner.card_id, earner.rule, "earned", earner.order_id, each.points, left, now)


def _lot(card_id: str, rule: Rule, reason: str, order_id: str | None, points: int, left: int, now: datetime) -> NewLot:
    spendable_at, expires_at = rule.times(now)
    return NewLot(card_id, rule.programme, rule.id, reason, order_id, points, left, spendable_at, expires_at)


async def _return_lot(session: Session, spending: Spending, points: int, *, now: datetime) -> None:
    """Points come back as one lot that lives as long as the longest they were taken of, or by the rule of today."""
    rule_id, ends_at = await points_rows.last_used_lot(session, spending.order_id)
    _, rule = await rule_of(session, spending.card_id, now=now)
    expires_at = max(ends_at, now + timedelta(days=rule.return_days))
    lot = NewLot(
        spending.card_id, spending.programme.code, rule_id, "returned", spending.order_id, points, points, now,
        expires_at,
    )  # fmt: skip
    await points_rows.add_lots(session, [lot], now=now)


async def _card_of(session: Session, order_id: str, spending: Spending | None) -> tuple[str, Programme]:
    if spending is not None:
        return spending.card_id, spending.programme
    earned_by = await points_rows.card_of_lot(session, order_id)
    if earned_by is None:
        raise PointsReturnAboveSpent(order_id=order_id)
    return earned_by[0], await points_rows.load_programme(session, earned_by[1])


def _reached(move: PointsMove, booked: Booked) -> list[Event]:
    """An event for each threshold that this accrual has reached."""
    after = next(each.credit_balance for each in booked.postings if each.posting.credit == move.card)
    return [
        Event(
            "points.threshold_reached", move.card_id, move.programme.merchant_id,
            {"threshold": threshold, "points": after, "programme": move.programme.code},
        )
        for threshold in move.programme.thresholds
        if after - move.points < threshold <= after
    ]  # fmt: skip


def _earned_event(each: PointsEarning, now: datetime) -> Event:
    earner = each.earner
    _, expires_at = earner.rule.times(now)
    return Event(
        "points.accrued", earner.card_id, earner.programme.merchant_id,
        {
            "order_id": earner.order_id, "points": each.points, "kept_back": each.kept,
            "expires_at": expires_at.isoformat(),
        },
    )  # fmt: skip


def _spent_event(each: Spending) -> Event:
    return Event(
        "points.spent", each.card_id, each.programme.merchant_id,
        {"order_id": each.order_id, "points": each.points, "amount_kopecks": each.amount_kopecks},
    )  # fmt: skip
