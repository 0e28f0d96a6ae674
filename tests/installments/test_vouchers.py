"""Row by row, the 4,000 roubles of installments.md 5.2: which accounts, how much, and nothing left over."""

from __future__ import annotations

from datetime import timedelta

from installments import merchant_money, nightly, vouchers
from installments.fee_recognition import earned_by
from installments.movements import MovementKind
from installments.schedule import Installment
from ledger import chart
from ledger.database import transaction
from ledger.money import Kopecks
from tests.installments.plan_world import ACQUIRER, CLEARING, SHOP, PlanWorld, day, noon

NOT_DUE = "asset:plan_receivable:not_due"
PAYABLE = chart.plan_payable(SHOP)
CLAIM = chart.plan_merchant_receivable(SHOP)
CARDS = chart.card_settlement(ACQUIRER)
KIND = MovementKind


async def nights(world: PlanWorld, number: int) -> None:
    """The whole night of a day."""
    async with transaction(world.engine) as session:
        await nightly.begin_night(session, day(number), now=noon(number))
    is_more = True
    while is_more:
        async with transaction(world.engine) as session:
            is_more = await nightly.work_batch(session, day(number), now=noon(number))


async def paid_out(world: PlanWorld) -> None:
    """Row 7: the merchant has got what it was owed."""
    owed = await world.balance(PAYABLE)
    effect = {PAYABLE: owed, chart.OPERATOR_BANK: -owed}
    async with transaction(world.engine) as session:
        await vouchers._book_of_house(session, effect, "payout", f"payout:{owed}", noon(1))


async def test_rows_1_and_2_a_hold_is_noted_and_released(world: PlanWorld) -> None:
    plan = await world.plan(held=100_000)

    async with transaction(world.engine) as session:
        await vouchers.book_hold_released(session, plan, now=noon(0))
        await vouchers.book_hold_released(session, plan, now=noon(0))

    booked = await world.entries()
    assert booked[0] == ("plan.held", [(chart.PLAN_HOLD, chart.PLAN_HOLD_BUYERS, 100_000)])
    assert booked[2:] == [("plan.released", [(chart.PLAN_HOLD_BUYERS, chart.PLAN_HOLD, 100_000)])]
    await world.agrees()


async def test_rows_3_and_4_a_commit_books_the_price_and_the_discount(world: PlanWorld) -> None:
    plan = await world.plan()

    assert await world.entries() == [
        ("plan.committed", [(NOT_DUE, PAYABLE, 400_000), (PAYABLE, chart.PLAN_DEFERRED_FEE, 27_600)])
    ]
    assert (plan.fee, plan.outstanding, plan.next_due_on) == (27_600, 400_000, day(0))
    await world.agrees()


async def test_row_5_the_first_installment_releases_its_hold(world: PlanWorld) -> None:
    plan = await world.plan(held=100_000)

    state = await world.pays(plan, 100_000, 0, KIND.DOWN_PAYMENT)

    assert await world.last(2) == [
        ("plan.released", [(chart.PLAN_HOLD_BUYERS, chart.PLAN_HOLD, 100_000)]),
        ("plan.down_payment", [(CLEARING, NOT_DUE, 100_000)]),
    ]
    assert state.outstanding == 300_000
    await world.agrees()


async def test_row_6_an_acquirer_settles_less_its_fee(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 100_000, 0, KIND.DOWN_PAYMENT)

    async with transaction(world.engine) as session:
        await vouchers.book_acquirer_settlement(
            session, ACQUIRER, Kopecks(100_000), Kopecks(1_000), reference="r", now=noon(1)
        )

    booked = [(chart.OPERATOR_BANK, CARDS, 99_000), (chart.PLAN_ACQUIRING, CARDS, 1_000)]
    assert await world.last() == [("plan.acquirer_settled", booked)]
    assert await world.balance(CARDS) == 0
    await world.agrees()


async def test_row_8_the_discount_is_earned_while_it_is_lent(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 100_000, 0, KIND.DOWN_PAYMENT)
    earned = []
    for number in (13, 14, 27, 28, 42, 60):
        if number in (14, 28, 42):
            await world.pays(plan, 100_000, number)
        await nights(world, number)
        earned.append(await world.balance(chart.PLAN_FEE))

    assert earned == [0, 13_800, 13_800, 23_000, 27_600, 27_600]
    assert await world.balance(chart.PLAN_DEFERRED_FEE) == 0
    assert [one for one in await world.entries() if one[0] == "plan.fees_earned"] == [
        ("plan.fees_earned", [(chart.PLAN_DEFERRED_FEE, chart.PLAN_FEE, amount)]) for amount in (13_800, 9_200, 4_600)
    ]
    await world.agrees()


async def test_row_9_an_installment_is_paid(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 100_000, 0, KIND.DOWN_PAYMENT)

    await world.pays(plan, 100_000, 14)

    assert await world.last() == [("plan.installment_payment", [(CLEARING, NOT_DUE, 100_000)])]
    assert await world.balance(CLEARING) == 0
    await world.agrees()


async def test_row_10_what_is_unpaid_moves_from_bucket_to_bucket(world: PlanWorld) -> None:
    await world.plan()
    seen = {}
    for number in (0, 1, 4, 15, 31, 61, 91):
        await nights(world, number)
        balances = await world.balances()
        prefix = "asset:plan_receivable:"
        seen[number] = {code.removeprefix(prefix): kopecks for code, kopecks in balances.items() if prefix in code}

    assert seen == {
        0: {"due": 100_000, "not_due": 300_000},
        1: {"dpd_1_3": 100_000, "not_due": 300_000},
        4: {"dpd_4_14": 100_000, "not_due": 300_000},
        15: {"dpd_15_30": 100_000, "dpd_1_3": 100_000, "not_due": 200_000},
        31: {"dpd_31_60": 100_000, "dpd_15_30": 100_000, "dpd_1_3": 100_000, "not_due": 100_000},
        61: {"dpd_61_90": 100_000, "dpd_31_60": 200_000, "dpd_15_30": 100_000},
        91: {"dpd_90_plus": 100_000, "dpd_61_90": 200_000, "dpd_31_60": 100_000},
    }
    await world.agrees()


async def test_row_11_penalty_is_accrued_each_night(world: PlanWorld) -> None:
    plan = await world.plan()
    for number in (1, 2, 10):
        await nights(world, number)

    booked = [one for one in await world.entries() if one[0] == "plan.penalties"]
    assert booked == [
        ("plan.penalties", [(chart.PLAN_PENALTY_RECEIVABLE, chart.PLAN_PENALTY, amount)])
        for amount in (54, 55, 438)  # of 1,000 roubles at 20 % a year: 0.54, 1.09, 5.47
    ]
    assert (await world.load(plan)).penalty == 547
    await world.agrees()


async def test_row_12_a_waiver_takes_the_income_back(world: PlanWorld) -> None:
    plan = await world.plan()
    await nights(world, 10)

    await world.tell(plan, KIND.WAIVER, 547, 10)

    assert await world.last() == [("plan.waiver", [(chart.PLAN_PENALTY, chart.PLAN_PENALTY_RECEIVABLE, 547)])]
    assert (await world.load(plan)).penalty == 0
    await world.agrees()


async def test_rows_13_to_15_goods_come_back_after_the_payout(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 100_000, 0, KIND.DOWN_PAYMENT)
    await paid_out(world)
    await world.pays(plan, 100_000, 14)
    await nights(world, 14)

    state = await world.tell(plan, KIND.MERCHANT_REFUND, 100_000, 15)

    assert await world.last(2) == [
        ("plan.fee_returned", [(chart.PLAN_DEFERRED_FEE, PAYABLE, 3_450), (chart.PLAN_FEE, PAYABLE, 3_450)]),
        ("plan.merchant_refund", [(PAYABLE, NOT_DUE, 6_900), (CLAIM, NOT_DUE, 43_100),
                                  (CLAIM, chart.PLAN_OVERPAYMENT, 50_000)]),
    ]  # fmt: skip
    assert [int(part.unpaid) for part in state.installments] == [0, 0, 75_000, 75_000]
    assert (await world.load(plan)).fee == 20_700
    await world.agrees()


async def test_row_14_what_was_paid_too_much_goes_back_to_the_card(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 100_000, 0, KIND.DOWN_PAYMENT)
    await world.tell(plan, KIND.MERCHANT_REFUND, 400_000, 1)

    await world.tell(plan, KIND.CREDIT_REFUND, 100_000, 1)
    async with transaction(world.engine) as session:
        await vouchers.fund_credit_refund(session, CLEARING, Kopecks(100_000), reference="ref_1", now=noon(1))
        await vouchers._book_of_house(session, {CLEARING: 100_000, CARDS: -100_000}, "card.refund", "r", noon(1))

    assert (await world.entries())[-2:] == [
        ("plan.credit_refund", [(chart.PLAN_OVERPAYMENT, chart.PLAN_REFUND_PAYABLE, 100_000)]),
        ("plan.credit_refund_funded", [(chart.PLAN_REFUND_PAYABLE, CLEARING, 100_000)]),
    ]
    assert await world.balances() == {}
    await world.agrees(given_back=100_000)


async def test_row_14_a_refused_card_refund_waits_for_another_way(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 450_000, 0)
    await world.tell(plan, KIND.CREDIT_REFUND, 50_000, 1, reference="ref_1")
    async with transaction(world.engine) as session:
        await vouchers.fund_credit_refund(session, CLEARING, Kopecks(50_000), reference="ref_1", now=noon(1))

    async with transaction(world.engine) as session:
        await vouchers.take_back_credit_refund(session, CLEARING, Kopecks(50_000), reference="ref_1", now=noon(1))

    assert await world.balance(chart.PLAN_REFUND_PAYABLE) == 50_000
    await world.agrees()


async def test_row_14_a_refund_whose_undo_is_undone_waits_again(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 450_000, 0)
    refund = world.movement(plan, KIND.CREDIT_REFUND, 50_000, 1)
    undo = world.movement(plan, KIND.UNDO, 0, 2, undoes=refund.id)
    await world.record([refund], now=noon(1))

    await world.record([undo], now=noon(2))
    assert await world.balance(chart.PLAN_REFUND_PAYABLE) == 0
    await world.agrees()

    await world.tell(plan, KIND.UNDO, 0, 3, undoes=undo.id)
    assert await world.balance(chart.PLAN_REFUND_PAYABLE) == 50_000
    await world.agrees()


async def test_row_16_all_goods_come_back_before_the_payout(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 100_000, 0, KIND.DOWN_PAYMENT)

    state = await world.tell(plan, KIND.MERCHANT_REFUND, 400_000, 1)

    assert await world.last(2) == [
        ("plan.fee_returned", [(chart.PLAN_DEFERRED_FEE, PAYABLE, 27_600)]),
        ("plan.merchant_refund", [(PAYABLE, NOT_DUE, 300_000), (PAYABLE, chart.PLAN_OVERPAYMENT, 100_000)]),
    ]
    assert await world.balances() == {CARDS: 100_000, chart.PLAN_OVERPAYMENT: 100_000}
    assert (state.outstanding, state.overpaid) == (0, 100_000)
    await world.agrees()


async def test_a_claim_is_netted_with_the_next_sale(world: PlanWorld) -> None:
    plan = await world.plan()
    await paid_out(world)
    await world.tell(plan, KIND.MERCHANT_REFUND, 400_000, 1)
    assert await world.balance(CLAIM) == 372_400
    await world.plan()

    async with transaction(world.engine) as session:
        assert await merchant_money.net_claims(session, SHOP, now=noon(1)) == 372_400
        assert await merchant_money.net_claims(session, SHOP, now=noon(1)) == 0

    assert await world.last() == [("plan.claim_netted", [(PAYABLE, CLAIM, 372_400)])]
    assert (await world.balance(PAYABLE), await world.balance(CLAIM)) == (0, 0)
    await world.agrees()


async def test_row_17_a_buyer_pays_too_much(world: PlanWorld) -> None:
    plan = await world.plan()

    await world.pays(plan, 400_100, 0)

    assert await world.last() == [
        ("plan.installment_payment", [(CLEARING, NOT_DUE, 400_000), (CLEARING, chart.PLAN_OVERPAYMENT, 100)])
    ]
    await world.agrees()


async def test_row_18_a_bank_takes_an_installment_back(world: PlanWorld) -> None:
    plan = await world.plan()
    paid = world.movement(plan, KIND.DOWN_PAYMENT, 100_000, 0)
    await world.record([paid], now=noon(0))

    await world.tell(plan, KIND.CHARGEBACK, 100_000, 5, undoes=paid.id)
    async with transaction(world.engine) as session:
        await vouchers.book_chargeback_taken(
            session, ACQUIRER, CLEARING, Kopecks(0), Kopecks(150), reference="fee", now=noon(5)
        )

    assert await world.last(3) == [
        ("plan.chargeback", [(NOT_DUE, CLEARING, 100_000)]),
        ("plan.chargeback_taken", [(CLEARING, CARDS, 100_000)]),
        ("plan.chargeback_taken", [(chart.PLAN_ACQUIRING, CARDS, 150)]),
    ]
    await world.agrees()


async def test_row_19_goodwill_is_our_own_cost(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.pays(plan, 100_000, 0, KIND.DOWN_PAYMENT)

    state = await world.tell(plan, KIND.GOODWILL, 30_000, 0)

    assert await world.last() == [("plan.goodwill", [(chart.PLAN_GOODWILL, NOT_DUE, 30_000)])]
    assert [int(part.unpaid) for part in state.installments] == [0, 100_000, 100_000, 70_000]
    await world.agrees()


async def test_row_20_a_dispute_reserves_the_merchants_money(world: PlanWorld) -> None:
    plan = await world.plan()

    async with transaction(world.engine) as session:
        assert await merchant_money.reserve(session, plan.id, now=noon(1)) == 372_400
        assert await merchant_money.reserve(session, plan.id, now=noon(1)) == 0

    assert await world.last() == [("plan.reserved", [(PAYABLE, chart.plan_reserve(SHOP), 372_400)])]
    await world.agrees()
    await world.tell(plan, KIND.MERCHANT_REFUND, 100_000, 2)
    assert (await world.last())[0][1][0][0] == chart.plan_reserve(SHOP)
    async with transaction(world.engine) as session:
        assert await merchant_money.release_reserve(session, plan.id, now=noon(3)) == 272_400
    assert await world.balance(PAYABLE) == 372_400 - 100_000 + 6_900
    await world.agrees()


async def test_row_21_losses_are_provided_for_as_a_nightly_difference(world: PlanWorld) -> None:
    await world.plan()
    seen = []
    for number in (0, 1, 4, 31, 31):
        await nights(world, number)
        seen.append(await world.balance(chart.PLAN_ALLOWANCE))

    assert seen == [4_000, 20_000, 60_000, 200_000, 200_000]  # 1 %, 5 %, 15 % and, in stage 2, 50 % of 4,000 roubles
    assert await world.balance(chart.PLAN_LOSS) == 200_000
    await world.agrees()


async def test_row_22_a_write_off_uses_what_was_expected_first(world: PlanWorld) -> None:
    plan = await world.plan()
    await nights(world, 4)

    await world.tell(plan, KIND.WRITE_OFF, 400_000, 4)

    kind, postings = (await world.last())[0]
    assert kind == "plan.write_off"
    assert sum(amount for debit, _, amount in postings if debit == chart.PLAN_ALLOWANCE) == 60_000
    assert sum(amount for debit, _, amount in postings if debit == chart.PLAN_LOSS) == 340_000
    await nights(world, 5)
    assert await world.balance(chart.PLAN_ALLOWANCE) == 0
    await world.agrees()


async def test_row_22_a_write_off_takes_the_penalty_out_of_the_income_too(world: PlanWorld) -> None:
    plan = await world.plan()
    await nights(world, 20)
    penalty = await world.balance(chart.PLAN_PENALTY_RECEIVABLE)

    await world.tell(plan, KIND.WRITE_OFF, 400_000, 20)

    assert penalty > 0
    assert await world.balance(chart.PLAN_PENALTY_RECEIVABLE) == await world.balance(chart.PLAN_PENALTY) == 0
    assert (await world.load(plan)).penalty == 0
    await world.agrees()


async def test_row_22_undone_after_a_recovery_it_is_a_payment_like_any(world: PlanWorld) -> None:
    plan = await world.plan()
    await nights(world, 20)
    lost = world.movement(plan, KIND.WRITE_OFF, 400_000, 20)
    await world.record([lost], now=noon(20))
    await world.pays(plan, 150_000, 25, KIND.RECOVERY)
    await world.agrees()

    await world.tell(plan, KIND.UNDO, 0, 26, undoes=lost.id)

    after = await world.load(plan)
    assert after.outstanding == 250_000
    assert await world.balance(chart.PLAN_RECOVERY) == 0
    assert after.penalty > 0
    await world.agrees()


async def test_row_23_money_comes_after_a_write_off(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.tell(plan, KIND.WRITE_OFF, 400_000, 4)

    state = await world.pays(plan, 50_000, 10, KIND.RECOVERY)

    assert await world.last() == [("plan.recovery", [(CLEARING, chart.PLAN_RECOVERY, 50_000)])]
    assert state.recovered == 50_000
    await world.agrees()


async def test_row_24_debts_are_sold_for_less(world: PlanWorld) -> None:
    plan = await world.plan()
    await world.tell(plan, KIND.WRITE_OFF, 400_000, 4)

    async with transaction(world.engine) as session:
        await vouchers.book_sale(session, "sale_1", Kopecks(40_000), now=noon(5))

    assert await world.last() == [("plan.debts_sold", [(chart.OPERATOR_BANK, chart.PLAN_LOSS, 40_000)])]
    assert await world.balance(chart.PLAN_LOSS) == 360_000
    await world.agrees()


def test_a_fee_is_earned_to_the_last_kopeck_whatever_it_is() -> None:
    begin = day(0)
    schedule = [
        Installment(n + 1, begin + timedelta(days=14 * n), Kopecks(amount)) for n, amount in enumerate((7, 3, 3))
    ]
    for fee in range(20):
        earned = [earned_by(schedule, fee, begin + timedelta(days=after)) for after in (0, 13, 14, 28, 99)]
        assert earned == [0, 0, fee * 6 // 9, fee, fee]
