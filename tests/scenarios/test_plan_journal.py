"""The life of one plan of 4,000 roubles, as an accountant reads it: sold, paid late, returned in part, paid off."""

from __future__ import annotations

from pathlib import Path

from api.plan_payouts import pay_out
from installments import nightly, vouchers
from installments.movements import MovementKind
from ledger import chart, proofs
from ledger.clock import MOSCOW
from ledger.database import Engine, in_transaction, text, transaction
from ledger.money import Kopecks, roubles
from reconciliation import paying_out, repository
from reconciliation.bank import BankAnswer, BankStatus
from tests.installments.plan_world import ACQUIRER, CLEARING, HOUSE, SHOP, PlanWorld, day, noon

JOURNAL = Path(__file__).parent / "journals" / "plan.txt"
KIND = MovementKind
NAMES = {SHOP: "shop", HOUSE: "house", ACQUIRER: "acquirer"}


async def test_the_life_of_a_plan_is_the_journal_an_accountant_has_read(engine: Engine) -> None:
    world = await PlanWorld(engine).begin()
    await live(world)

    found = await journal(engine)

    assert found == JOURNAL.read_text(encoding="utf-8")
    await world.agrees(given_back=50_000)
    async with transaction(engine) as session:
        assert [one for one in await proofs.broken_proofs(session) if one.proof != "entries_sealed"] == []


async def live(world: PlanWorld) -> None:
    plan = await world.plan(held=100_000)
    await world.pays(plan, 100_000, 0, KIND.DOWN_PAYMENT)
    await settled(world, 100_000, 1_000, 1)
    await paid_out(world, 1)
    await nights(world, 14)
    await nights(world, 15)
    await world.pays(plan, 100_000, 15)
    await world.tell(plan, KIND.WAIVER, 54, 15)
    await world.tell(plan, KIND.MERCHANT_REFUND, 100_000, 20)
    await returned(world, 50_000, 20)
    await world.tell(plan, KIND.GOODWILL, 5_000, 21)
    await world.pays(plan, 75_000, 28)
    await nights(world, 28)
    await world.pays(plan, 70_000, 30, KIND.EARLY_PAYMENT)
    await nights(world, 31)


async def nights(world: PlanWorld, number: int) -> None:
    on, now = day(number), noon(number)
    await in_transaction(world.engine, lambda session: nightly.begin_night(session, on, now=now))
    is_more = True
    while is_more:
        is_more = await in_transaction(world.engine, lambda session: nightly.work_batch(session, on, now=now))


async def settled(world: PlanWorld, gross: int, fee: int, number: int) -> None:
    async with transaction(world.engine) as session:
        await vouchers.book_acquirer_settlement(
            session, ACQUIRER, Kopecks(gross), Kopecks(fee), reference="1", now=noon(number)
        )


async def paid_out(world: PlanWorld, number: int) -> None:
    """The day after, and nothing more on that day: what was owed by then is paid."""
    now = noon(number)
    async with transaction(world.engine) as session:
        assert await pay_out(session, [SHOP], through_on=day(number - 1), now=now) == 372_400
        assert await pay_out(session, [SHOP], through_on=day(number - 1), now=now) == 0
        (payout,), _ = await repository.list_payouts(session, merchant_id=SHOP)
        await paying_out.record_answer(session, payout.id, BankAnswer(BankStatus.EXECUTED, None), now=now)


async def returned(world: PlanWorld, amount: int, number: int) -> None:
    """What the buyer paid for goods that came back goes to the card."""
    (plan_id,) = {one[0] for one in await _plans(world)}
    plan = await world.load(plan_id)
    await world.tell(plan, KIND.CREDIT_REFUND, amount, number)
    async with transaction(world.engine) as session:
        await vouchers.fund_credit_refund(session, CLEARING, Kopecks(amount), reference="ref_1", now=noon(number))
        await vouchers.book(
            session, {CLEARING: amount, chart.card_settlement(ACQUIRER): -amount}, plan, kind="card.refund",
            reference="card_refund:1", now=noon(number),
        )  # fmt: skip


async def _plans(world: PlanWorld) -> list[tuple[str]]:
    async with transaction(world.engine) as session:
        return [tuple(row) for row in await session.execute(text("SELECT id FROM installment_plans"))]


async def journal(engine: Engine) -> str:
    """All entries as text: the day, the kind, and Дт and Кт with roubles."""
    async with transaction(engine) as session:
        rows = await session.execute(
            text("""SELECT f.entry_id, f.happened_at, f.kind, d.code AS debit, c.code AS credit, p.amount
                      FROM postings AS p JOIN postings AS f ON f.entry_id = p.entry_id AND f.number = 1
                      JOIN accounts AS d ON d.number = p.debit JOIN accounts AS c ON c.number = p.credit
                     ORDER BY f.recorded_at, f.entry_id, p.number""")
        )
        lines: list[str] = []
        last = None
        for row in rows:
            if row.entry_id != last:
                on = row.happened_at.astimezone(MOSCOW).date()
                lines += ["", f'{on.isoformat()} * "{row.kind}"']
                last = row.entry_id
            lines.append(f"  Дт {short(row.debit):39} Кт {short(row.credit):39}{roubles(row.amount):>9} RUB")
    return "\n".join(lines[1:]) + "\n"


def short(code: str) -> str:
    """An account with names in place of ids."""
    for known, name in NAMES.items():
        code = code.replace(known, name)
    return code
