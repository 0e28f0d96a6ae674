"""A night of a million plans: what is due is selected, charged against an instant collector and booked.

The plans are laid by SQL, with their installments, movements and balances. Then two workers, each a process of its own,
do what a night does: charges are written for what is due, begun, answered at once with success, and told to their
plans, with replay, vouchers, rows, events, leaves of the log and notices. Nothing is left out but the rail.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from statistics import median

import psycopg
import uvloop

from api import GARBAGE_THRESHOLDS
from api.postgres import Server
from bench import servers
from bench.rows import Row, faster
from installments import collecting, regulator, vouchers
from installments.charges import Charge, ChargeOutcome, ChargeStatus
from installments.collecting import AskedCharge, ChargesWalked, WantedCharge
from installments.plan import CollectorName
from ledger import chart, journal
from ledger.clock import monotonic
from ledger.database import Engine, Session, create_engine, in_transaction
from ledger.entry import Entry, Posting

PLANS = 1_000_000
DUE_OF_A_HUNDRED = 7
"""70,000 of a million."""
BUYERS = 100_000
WORKERS = 3
DAY = date(2026, 11, 16)
MORNING, EVENING = datetime(2026, 11, 16, 3, tzinfo=UTC), datetime(2026, 11, 16, 18, tzinfo=UTC)
MERCHANT, OPERATOR = "mer_" + "0k" * 12 + "01", "mer_" + "0k" * 12 + "02"
ID = "_06k9q' || lpad({}::text, 9, '0') || 'x7v3mzt4wbqd'"
"""Laid ids have letters among their digits as ids have: digits alone are looked at for card numbers by the log."""
PART = 100_000
"""A quarter of each price, kopecks."""
FEE = PART * 4 * 69 // 1000
"""The merchant's discount of each price, none of it earned yet."""
TPCB = "pgbench TPC-B transactions a second, 8 clients, prepared, scale 50, same server, before and after"
COUNT = "SELECT count(*) FROM installment_plans WHERE next_due_on IS NOT NULL"
ROUNDS = 5

LAID = """
SET session_replication_role = replica;
INSERT INTO merchants (id, name, legal_name, inn, bank_account_bik, bank_account_number, tariff_group, created_at)
SELECT id, 'Bench', 'Bench', '7707083893', '044525225', '40702810000000000001', 'everyday', now()
  FROM unnest(ARRAY['{merchant}', '{operator}']) AS id;
INSERT INTO plan_operator (merchant_id) VALUES ('{operator}');
INSERT INTO buyers (id, phone, created_at)
SELECT 'byr{id}, '+79' || lpad(n::text, 9, '0'), now() FROM generate_series(1, {buyers}) AS n;
INSERT INTO installment_plans (id, merchant_id, order_number, product_code, product_version, price_kopecks, status,
       standing, link_code, buyer_id, contract_on, collector, card_token, fee_basis_points, fee_kopecks,
       outstanding_kopecks, next_due_on, created_at, committed_at)
SELECT 'pln{id}, '{merchant}', 'bench-' || n, 'dolyame', 1, {part} * 4, 'completed', 'current',
       'link-' || lpad(n::text, 26, '0'), 'byr{of_buyer},
       d.next_on - 14 * d.paid, 'card', 'tok_bench' || n, 690, {fee}, {part} * (4 - d.paid), d.next_on,
       d.next_on - 14 * d.paid, d.next_on - 14 * d.paid
  FROM generate_series(1, {plans}) AS n,
       LATERAL (SELECT 1 + n % 3 AS paid,
                       date '{day}' + CASE WHEN n % 100 < {due} THEN 0 ELSE 1 + n % 13 END AS next_on) AS d;
INSERT INTO installments (plan_id, number, due_on, amount_kopecks, paid_kopecks, bucket)
SELECT p.id, k, p.contract_on + 14 * (k - 1), {part},
       CASE WHEN p.contract_on + 14 * (k - 1) < p.next_due_on THEN {part} ELSE 0 END,
       CASE WHEN p.contract_on + 14 * (k - 1) <= date '{day}' THEN 'due' ELSE 'not_due' END
  FROM installment_plans AS p, generate_series(1, 4) AS k;
INSERT INTO plan_movements (id, plan_id, kind, amount_kopecks, happened_at, recorded_at, reference)
SELECT 'mov_' || k || 'z' || substr(i.plan_id, 7), i.plan_id,
       CASE k WHEN 1 THEN 'down_payment' ELSE 'installment_payment' END, {part}, i.due_on + interval '9 hours',
       i.due_on + interval '9 hours', 'chg_laid_' || k
  FROM (SELECT plan_id, number AS k, due_on FROM installments WHERE paid_kopecks > 0) AS i;
INSERT INTO plan_books (plan_id, fee_next_on) SELECT id, next_due_on FROM installment_plans;
RESET session_replication_role;
"""


def rows(plans: int = PLANS) -> list[Row]:
    """``night`` and ``arrears_report``."""
    with servers.durable_server() as server:
        servers.make_tpcb(server)
        lay(server, plans)
        report = arrears_report(server)
        before = servers.tpcb_rate(server, seconds=10)
        charged, seconds = night(server)
        after = servers.tpcb_rate(server, seconds=10)
        check(server, charged, plans)
    name = "night" if plans == PLANS else f"night_{plans}"
    return [faster(name, charged / seconds, (before + after) / 2, 0.5, "charges/s", TPCB), report]


def lay(server: Server, plans: int) -> None:
    """Lay the plans, and open and fill the accounts that they stand on."""
    with psycopg.connect(server.url("postgres", "kopeyka"), autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        connection.execute(
            LAID.format(
                merchant=MERCHANT, operator=OPERATOR, buyers=BUYERS, plans=plans, part=PART, day=DAY,
                fee=FEE, due=DUE_OF_A_HUNDRED, id=ID.format("n"), of_buyer=ID.format(f"(n % {BUYERS} + 1)"),
            )
        )  # fmt: skip
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
        owed = connection.execute(
            "SELECT bucket, sum(amount_kopecks - paid_kopecks)::bigint FROM installments GROUP BY 1 HAVING "
            "sum(amount_kopecks - paid_kopecks) > 0"
        ).fetchall()
    uvloop.run(_fill_accounts(server, dict(owed), FEE * plans))


async def _fill_accounts(server: Server, owed: dict[str, int], fees: int) -> None:
    payable, clearing = chart.plan_payable(MERCHANT), chart.card_payable(OPERATOR)
    postings = [Posting(chart.plan_receivable(bucket), payable, amount) for bucket, amount in owed.items()]
    postings.append(Posting(payable, chart.PLAN_DEFERRED_FEE, fees))
    postings.append(Posting(chart.OPERATOR_BANK, clearing, sum(owed.values())))

    async def work(session: Session) -> None:
        await vouchers.open_accounts(session, [MERCHANT], now=MORNING, operator_id=OPERATOR)
        await journal.post(session, Entry("bench:laid", "bench", MORNING, tuple(postings)), now=MORNING)

    engine = create_engine(server.url("kopeyka_app", "kopeyka"))
    await in_transaction(engine, work)
    await engine.dispose()


class InstantCollector:
    """Takes every sum at once: what is left is our own work."""

    async def request(  # its arguments are the protocol's
        self, session: Session, wanted: Sequence[WantedCharge], *, now: datetime,  # noqa: ARG002
    ) -> list[AskedCharge]:  # fmt: skip
        """Intent: the charge's own id is the payment's."""
        return [AskedCharge(one.charge, "pay_" + one.charge.id) for one in wanted]

    async def ask(self, asked: Sequence[AskedCharge]) -> list[ChargeOutcome]:
        """Yes to each."""
        return [ChargeOutcome(one.charge.id, ChargeStatus.CAPTURED, one.charge.amount) for one in asked]

    async def look(  # its arguments are the protocol's
        self, session: Session, charges: Sequence[Charge], *, now: datetime,  # noqa: ARG002
    ) -> list[ChargeOutcome]:  # fmt: skip
        """Yes again."""
        return await self.ask([AskedCharge(replace(charge), charge.payment_id) for charge in charges])


def night(server: Server) -> tuple[int, float]:
    """Charges told to their plans, and the seconds that all workers together took."""
    url = server.url("kopeyka_app", "kopeyka")
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(WORKERS + 1)
    with context.Pool(WORKERS, _enter, (ready,)) as pool:
        working = [pool.apply_async(_work, (url,)) for _ in range(WORKERS)]
        ready.wait()
        start = monotonic()
        charged = sum(each.get() for each in working)
        return charged, monotonic() - start


def _enter(ready: object) -> None:
    globals()["READY"] = ready


def _work(url: str) -> int:
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    return uvloop.run(_worker(url))


async def _worker(url: str) -> int:
    engine = create_engine(url, size=2)
    await asyncio.to_thread(globals()["READY"].wait)
    collectors = {CollectorName.CARD: InstantCollector()}
    charged, after = 0, collecting.WALK_START
    while (walked := await _select(engine, after)).after is not None:
        after = walked.after
        charged += await _charge(engine, collectors)
    while done := await _charge(engine, collectors):
        charged += done
    await engine.dispose()
    return charged


async def _select(engine: Engine, after: tuple[date, str]) -> ChargesWalked:
    return await in_transaction(engine, lambda session: collecting.select_due(session, DAY, now=MORNING, after=after))


async def _charge(engine: Engine, collectors: dict[CollectorName, InstantCollector]) -> int:
    """Intent, call, outcome, as the worker of an installation does."""
    asked = await in_transaction(engine, lambda session: collecting.begin(session, collectors, now=EVENING))
    outcomes = await collectors[CollectorName.CARD].ask(asked)
    if not outcomes:
        return 0
    return await in_transaction(engine, lambda session: collecting.record_outcomes(session, outcomes, now=EVENING))


def check(server: Server, charged: int, plans: int) -> None:
    """Every due part was charged once and booked. Raises: RuntimeError otherwise."""
    with psycopg.connect(server.url("postgres", "kopeyka")) as connection:
        row = connection.execute(
            "SELECT count(*) FILTER (WHERE status = 'captured'), count(DISTINCT plan_id), count(*) FROM plan_charges"
        ).fetchone()
        left = connection.execute("SELECT count(*) FROM installment_plans WHERE next_due_on <= %s", (DAY,)).fetchone()
    due = sum(1 for n in range(1, plans + 1) if n % 100 < DUE_OF_A_HUNDRED)
    if row != (due, due, due) or charged != due or left != (0,):
        raise RuntimeError(f"{due} were due; {row} charges, {charged} told, {left} left")


def arrears_report(server: Server) -> Row:
    """The portfolio by days past due, against reading and counting the same rows."""
    return uvloop.run(_arrears_report(server))


async def _arrears_report(server: Server) -> Row:
    engine = create_engine(server.url("kopeyka_app", "kopeyka"), statement_timeout_ms=60_000)
    reported, counted = [], []
    for _ in range(ROUNDS):
        start = monotonic()
        await in_transaction(engine, lambda session: regulator.arrears_report(session, DAY))
        reported.append(1 / (monotonic() - start))
        counted.append(1 / await asyncio.to_thread(_count, server))
    await engine.dispose()
    against = "one sequential count of the same rows, no parallel workers and no index"
    return faster("arrears_report", median(reported), median(counted), 0.1, "reports/s", against)


def _count(server: Server) -> float:
    with psycopg.connect(server.url("postgres", "kopeyka")) as connection:
        connection.execute("SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off")
        connection.execute("SET max_parallel_workers_per_gather = 0")
        start = monotonic()
        connection.execute(COUNT)
        return monotonic() - start
