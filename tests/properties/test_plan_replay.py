"""Any story of a plan, told in any order, ends the same, and no kopeck is lost on the way."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from installments.errors import PriceTooSmall
from installments.law import check_term, last_day_allowed
from installments.movements import Movement, MovementKind
from installments.products import PartRounding, Product, RefundPolicy, Step
from installments.replay import PAYMENTS, replay
from installments.schedule import Installment, build_schedule, check_parts
from installments.state import PlanState
from ledger.money import BASIS_POINTS, Kopecks

CONTRACT_ON = date(2027, 11, 20)
"""So that stories run through the leap year 2028."""
DAYS = 200
KINDS = [kind for kind in MovementKind if kind not in (MovementKind.UNDO, MovementKind.SNOOZE)]
NEW_MONEY = PAYMENTS | {MovementKind.PAYOUT_REFUND, MovementKind.GOODWILL}
WITHOUT_AMOUNT = {MovementKind.RE_AGE, MovementKind.RE_AMORTISE, MovementKind.SNOOZE}

products = st.builds(
    Product,
    st.just("any"), st.just(1), st.just("Любая"), st.just(date(2020, 1, 1)), st.integers(1, 12),
    st.sampled_from(Step), st.integers(1, 31), st.sampled_from([0, 1000, 2500, 5000]), st.sampled_from(PartRounding),
    st.just(Kopecks(1)), st.just(Kopecks(10**8)), st.just(timedelta(1)), st.just(timedelta(1)),
    st.sampled_from(RefundPolicy), st.sampled_from([0, 1999, 2000]), st.integers(0, 5), st.booleans(), st.booleans(),
)  # fmt: skip
prices = st.one_of(st.integers(1, 50_000), st.integers(50_001, 10**8)).map(Kopecks)


@dataclass(frozen=True, slots=True)
class Story:
    """A plan and what happened to it, in order of time."""

    schedule: tuple[Installment, ...]
    movements: list[Movement]
    product: Product

    def told(self, movements: list[Movement] | None = None, *, day: int = DAYS) -> PlanState:
        told = self.movements if movements is None else movements
        return replay(self.schedule, told, self.product, on=CONTRACT_ON + timedelta(day))


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Up to a dozen movements whose refunds stay within the price and chargebacks within their payments."""
    product = draw(products)
    price = Kopecks(draw(st.integers(product.installments * 100, 5_000_000)))
    try:
        schedule = build_schedule(price, product, first_due_on=CONTRACT_ON)
    except PriceTooSmall:
        price = Kopecks(price * 100 * product.installments)
        schedule = build_schedule(price, product, first_due_on=CONTRACT_ON)
    days = sorted(draw(st.lists(st.integers(0, DAYS), max_size=12)))
    movements: list[Movement] = []
    refundable = int(price)
    rests: dict[str, int] = {}
    for number, day in enumerate(days):
        kind = draw(st.sampled_from(KINDS))
        amount, undoes = draw(st.integers(1, int(price))), None
        if kind is MovementKind.MERCHANT_REFUND:
            amount = min(amount, refundable)
            refundable -= amount
        if kind is MovementKind.CHARGEBACK:
            undoes = draw(st.sampled_from(sorted(rests) or [""]))
            amount = min(amount, rests.get(undoes, 0))
            rests[undoes] = rests.get(undoes, 0) - amount
        if not amount:
            continue
        made = _movement(number, day, kind, 0 if kind in WITHOUT_AMOUNT else amount)
        if kind is MovementKind.RE_AGE:
            made = replace(made, count=draw(st.integers(1, 6)), new_due_on=CONTRACT_ON + timedelta(day + 7))
        if kind in PAYMENTS:
            rests[made.id] = amount
        movements.append(replace(made, undoes=undoes))
    return Story(schedule, movements, product)


def _movement(number: int, day: int, kind: MovementKind, amount: int) -> Movement:
    at = datetime(2027, 11, 20, 9, tzinfo=UTC) + timedelta(days=day, seconds=number)
    return Movement(f"mov_{number:02}", "pln", kind, Kopecks(amount), at, f"r{number:02}")


def _total(story: Story, *kinds: MovementKind) -> int:
    return sum(int(movement.amount) for movement in story.movements if movement.kind in kinds)


@given(prices, products)
def test_parts_add_up_to_the_price_and_none_is_empty(price: Kopecks, product: Product) -> None:
    try:
        schedule = build_schedule(price, product, first_due_on=CONTRACT_ON)
    except PriceTooSmall:
        assert price < 100 * product.installments**2
        return

    check_parts(price, schedule)
    if product.rounding is PartRounding.KOPECK_FIRST and product.first_share_basis_points == 0:
        later = {part.amount for part in schedule[1:]}
        assert len(later) <= 1


@given(prices, products)
def test_a_term_is_within_the_law_or_refused(price: Kopecks, product: Product) -> None:
    try:
        schedule = build_schedule(price, product, first_due_on=CONTRACT_ON)
    except PriceTooSmall:
        return
    last_day = last_day_allowed(CONTRACT_ON)
    assert last_day is not None

    try:
        check_term(CONTRACT_ON, schedule[-1].due_on)
    except Exception:
        assert schedule[-1].due_on > last_day
    else:
        assert schedule[-1].due_on <= last_day


@settings(deadline=None)
@given(stories(), st.randoms(use_true_random=False))
def test_any_order_of_arrival_ends_the_same(story: Story, chance: random.Random) -> None:
    shuffled = chance.sample(story.movements, len(story.movements))

    assert story.told(shuffled) == story.told()


@settings(deadline=None)
@given(stories(), st.integers(0, DAYS))
def test_nothing_is_below_zero_and_nothing_paid_above_its_part(story: Story, day: int) -> None:
    state = story.told(day=day)

    assert all(0 <= part.paid <= part.amount for part in state.installments)
    assert min(state.overpaid, state.penalty, state.written_off, state.penalty_waived, state.penalty_paid) >= 0
    assert 0 <= state.recovered <= state.written_off


@settings(deadline=None)
@given(stories())
def test_every_kopeck_is_somewhere(story: Story) -> None:
    """Owed, lost, owed back or kept as penalty: the price, less goods, less money that came, with money that left."""
    state = story.told()

    price = sum(int(part.amount) for part in story.schedule)
    came = _total(story, *NEW_MONEY)
    left = _total(story, MovementKind.CHARGEBACK, MovementKind.CREDIT_REFUND)
    kept = state.overpaid + state.penalty_paid
    assert state.outstanding + state.written_off - state.recovered - kept == price - state.refunded - came + left
    assert state.refunded == _total(story, MovementKind.MERCHANT_REFUND) <= price


@settings(deadline=None)
@given(stories())
def test_what_each_movement_did_adds_up(story: Story) -> None:
    state = story.told()

    assert [done.movement_id for done in state.allocations] == [each.id for each in story.movements]
    assert sum(done.overpaid for done in state.allocations) == state.overpaid
    assert sum(done.recovered for done in state.allocations) == state.recovered
    assert sum(done.penalty for done in state.allocations) == state.penalty_paid + state.penalty_waived
    price = sum(int(part.amount) for part in story.schedule)
    assert price - sum(amount for done in state.allocations for _, amount in done.principal) == state.outstanding


@settings(deadline=None)
@given(stories())
def test_penalty_is_under_the_cap(story: Story) -> None:
    """The rate of all that could be overdue since the contract; none where the product has none."""
    state = story.told()

    price = sum(int(part.amount) for part in story.schedule)
    owed_at_most = price + _total(story, MovementKind.CHARGEBACK, MovementKind.CREDIT_REFUND)
    assert state.penalty_accrued * 365 * BASIS_POINTS <= owed_at_most * DAYS * story.product.penalty_basis_points


@settings(deadline=None)
@given(stories(), st.integers(0, 11))
def test_an_undone_movement_never_happened(story: Story, which: int) -> None:
    charged_back = {movement.undoes for movement in story.movements}
    candidates = [movement for movement in story.movements if movement.id not in charged_back]
    if not candidates:
        return
    undone = candidates[which % len(candidates)]
    undo = replace(_movement(90, DAYS, MovementKind.UNDO, 0), undoes=undone.id)

    never = [movement for movement in story.movements if movement is not undone]
    assert story.told([*story.movements, undo]) == story.told(never)


@settings(deadline=None)
@given(stories(), st.integers(0, DAYS))
def test_looking_in_between_changes_nothing(story: Story, day: int) -> None:
    """A movement that does nothing, a waiver of no penalty in a product without one, leaves the penalty as it was."""
    quiet = replace(story, product=replace(story.product, penalty_basis_points=0))
    looked = sorted([*quiet.movements, _movement(95, day, MovementKind.WAIVER, 1)], key=lambda each: each.order_key)

    assert replace(quiet.told(looked), allocations=()) == replace(quiet.told(), allocations=())
