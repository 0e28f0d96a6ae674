"""The worker: ``python -m api.worker``. What must happen although nobody asks just now.

Every job takes its rows with a lease and skips what others hold, so several workers may run. No job
ends the process: PostgreSQL and the outside world may go away and come back. SIGTERM lets what runs
come to its end.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import structlog
import uvloop

from api import logs
from api.buyer_payout_calls import carry_out_buyer_payouts
from api.card_calls import carry_on_card_payments, release_withdrawn_cards
from api.card_comparing import COMPARED_MAX, Walk, compare_card_payments
from api.chores import (
    EXPIRED_ORDERS_MAX,
    clear_idempotency_keys,
    close_unpaid_orders,
    expire_holds,
    expire_points,
    fold_days,
    follow_clock,
    note_bureau,
)
from api.contracts.dolyame.notifications import tell_shops
from api.contracts.ended import ENDED_MAX
from api.contracts.koshelek_pay.postbacks import end_till_payments, tell_partners
from api.contracts.yookassa.notifications import end_payments, notify_shops
from api.deliveries import deliver_events, events_client
from api.late_watching import look_for_late_money
from api.looking_up import look_up_registrations
from api.payout_calls import carry_out_payouts
from api.plan_calls import carry_on_plans, expire_plans
from api.plan_collectors import COLLECT_MAX, LOOK_MAX, collect_due, collectors_of, renew_charges, tell_plans
from api.plan_feeds import REGISTERS_MAX, keep_portfolio, make_registers, tell_of_arrears
from api.plan_night import Night, work_night
from api.plan_notices import send_notices
from api.plan_payouts import pay_out_plans
from api.plan_work import BATCH_MAX as PLAN_BATCH_MAX
from api.public_addresses import public_client
from api.refund_calls import carry_on_refunds, refund_late_money
from api.sale_watching import resume_cash_links, watch_activations
from api.settings import Settings
from api.terminals_key import key_of_terminals
from api.watching import poll_links, resume_lost_links
from api.webhooks.sending import DELIVERIES_MAX, choose_webhooks, send_due
from api.wiring import Wiring, wire
from checkout.card_payment_rows import LOOK_BATCH_MAX as CARD_BATCH_MAX
from checkout.card_payment_rows import WITHDRAWN_MAX
from checkout.points_rows import LOTS_MAX
from installments.bureau import OVERDUE_BATCH_MAX
from installments.bureau_deliveries import CLAIM_MAX as BUREAU_BATCH_MAX
from installments.cancelling import BATCH_MAX as EXPIRED_MAX
from installments.charge_rows import BATCH_MAX as CHARGES_MAX
from installments.collecting import Collectors
from installments.notices import CLAIM_MAX as NOTICES_MAX
from installments.notices import Lane
from ledger.clock import Clock
from ledger.database import Engine, create_engine
from ledger.holds import PAGE_MAX
from ledger.outbox import CLAIM_MAX, RELAY_BATCH_MAX
from reconciliation.repository import SEND_BATCH_MAX
from sbp_gateway import buyer_payout_repository as buyer_payouts
from sbp_gateway.bindings import CHARGE_BATCH_MAX
from sbp_gateway.cash_link_repository import WATCH_BATCH_MAX
from sbp_gateway.late_watches import LOOK_BATCH_MAX as LATE_BATCH_MAX
from sbp_gateway.polling import WINDOWS_MAX
from sbp_gateway.refund_rows import LOOK_BATCH_MAX
from sbp_gateway.registration_repository import LOOK_UP_BATCH_MAX
from sbp_gateway.repository import RESUME_BATCH_MAX

STOP_SECONDS_MAX = 8.0
"""How long running jobs may go on after SIGTERM; then they are cut, as a crash would."""
BACKOFF_SECONDS_MIN = 0.2
BACKOFF_SECONDS_MAX = 5.0
CONNECTIONS = 6
FOLD_MAX = 5_000
"""Postings that one fold takes at most, as its SQL says."""

log = structlog.get_logger("worker")


@dataclass(frozen=True, slots=True)
class Tools:
    """What jobs work with."""

    settings: Settings
    engine: Engine
    clock: Clock
    wiring: Wiring
    events: aiohttp.ClientSession
    webhooks: aiohttp.ClientSession
    """Reaches shops' own addresses, and public ones only."""
    compared: Walk = field(default_factory=Walk)
    """How far payments by card have been compared with the vault's charges."""
    night: Night = field(default_factory=Night)
    """How far this worker is with the night of plans."""

    @property
    def collectors(self) -> Collectors:
        """How installments are taken."""
        return collectors_of(self.engine, self.wiring.cards, self.wiring.rail, self.clock)


@dataclass(frozen=True, slots=True)
class Job:
    """Something done over and over."""

    name: str
    run: Callable[[Tools], Awaitable[int]]
    """Does what is due, up to a batch, and says how much there was."""
    rest_seconds: float
    """How long to rest when a batch was not full: small batches cost more than waiting for larger ones."""
    batch: int = 1
    """How much a full batch is."""


JOBS: Sequence[Job] = (
    Job("follow_clock", lambda t: follow_clock(t.settings, t.engine, t.clock), 1.0),
    Job("deliver_events", lambda t: deliver_events(t.engine, t.events, t.settings.events_url, t.clock), 0.2, CLAIM_MAX),
    Job("poll_links", lambda t: poll_links(t.engine, t.wiring, t.clock), 0.5, WINDOWS_MAX),
    Job("resume_lost_links", lambda t: resume_lost_links(t.engine, t.wiring, t.clock), 0.3, RESUME_BATCH_MAX),
    Job("carry_out_payouts", lambda t: carry_out_payouts(t.engine, t.wiring.bank, t.clock), 0.3, SEND_BATCH_MAX),
    Job(
        "carry_out_buyer_payouts",
        lambda t: carry_out_buyer_payouts(t.engine, t.wiring.payout_bank, t.clock),
        0.5,
        buyer_payouts.SEND_BATCH_MAX,
    ),
    Job("end_till_payments", lambda t: end_till_payments(t.engine, t.clock), 0.5, ENDED_MAX),
    Job(
        "tell_partners",
        lambda t: tell_partners(t.engine, t.webhooks, t.settings.mode, key_of_terminals(t.settings), t.clock),
        0.5,
    ),
    Job("end_yookassa_payments", lambda t: end_payments(t.engine, t.clock), 1.0, ENDED_MAX),
    Job("notify_shops", lambda t: notify_shops(t.engine, t.webhooks, t.settings.mode, t.clock), 0.5),
    Job("tell_shops", lambda t: tell_shops(t.engine, t.webhooks, t.settings.mode, t.clock), 0.5),
    Job("choose_webhooks", lambda t: choose_webhooks(t.engine, t.clock), 0.5, RELAY_BATCH_MAX),
    Job(
        "send_webhooks",
        lambda t: send_due(t.engine, t.webhooks, t.settings, t.clock, are_failing=False),
        0.3,
        DELIVERIES_MAX,
    ),
    Job("retry_webhooks", lambda t: send_due(t.engine, t.webhooks, t.settings, t.clock, are_failing=True), 1.0),
    Job("watch_activations", lambda t: watch_activations(t.wiring.sales), 0.3, WATCH_BATCH_MAX),
    Job("poll_bindings", lambda t: t.wiring.bindings.poll_due(), 1.0, CHARGE_BATCH_MAX),
    Job("charge_by_bindings", lambda t: t.wiring.bindings.charge_due(), 0.3, CHARGE_BATCH_MAX),
    Job("resume_cash_links", lambda t: resume_cash_links(t.wiring.sales), 1.0, WATCH_BATCH_MAX),
    Job("look_for_late_money", lambda t: look_for_late_money(t.engine, t.wiring, t.clock), 1.0, LATE_BATCH_MAX),
    Job("carry_on_refunds", lambda t: carry_on_refunds(t.wiring.refunds), 0.3, LOOK_BATCH_MAX),
    Job("refund_late_money", lambda t: refund_late_money(t.wiring.refunds), 1.0, LOOK_BATCH_MAX),
    Job(
        "look_up_registrations",
        lambda t: look_up_registrations(t.engine, t.wiring.merchants, t.clock),
        2.0,
        LOOK_UP_BATCH_MAX,
    ),
    Job("carry_on_card_payments", lambda t: carry_on_card_payments(t.wiring.cards), 0.5, CARD_BATCH_MAX),
    Job("release_withdrawn_cards", lambda t: release_withdrawn_cards(t.wiring.cards), 1.0, WITHDRAWN_MAX),
    Job("carry_on_plans", lambda t: carry_on_plans(t.wiring.plans), 0.5, PLAN_BATCH_MAX),
    Job("expire_plans", lambda t: expire_plans(t.wiring.plans), 1.0, EXPIRED_MAX),
    Job("work_night", lambda t: work_night(t.engine, t.clock, t.night), 5.0),
    Job("pay_out_plans", lambda t: pay_out_plans(t.engine, t.clock), 30.0),
    Job("collect_due", lambda t: collect_due(t.engine, t.collectors, t.clock), 0.5, COLLECT_MAX),
    Job("renew_charges", lambda t: renew_charges(t.engine, t.clock), 1.0, CHARGES_MAX),
    Job("tell_plans", lambda t: tell_plans(t.engine, t.collectors, t.clock), 0.5, LOOK_MAX),
    Job(
        "send_notices",
        lambda t: send_notices(t.engine, t.wiring.messages, t.clock, lanes=[Lane.TRANSACTIONAL]),
        0.5,
        NOTICES_MAX,
    ),
    Job(
        "send_dunning",
        lambda t: send_notices(t.engine, t.wiring.messages, t.clock, lanes=[Lane.DUNNING]),
        2.0,
        NOTICES_MAX,
    ),
    Job("send_news", lambda t: send_notices(t.engine, t.wiring.messages, t.clock, lanes=[Lane.MASS]), 2.0, NOTICES_MAX),
    Job("compare_card_payments", lambda t: compare_card_payments(t.wiring.cards, t.compared), 30.0, COMPARED_MAX),
    Job("note_bureau", lambda t: note_bureau(t.settings, t.engine, t.clock), 15.0),
    Job("make_plan_registers", lambda t: make_registers(t.engine, t.clock), 60.0, REGISTERS_MAX),
    Job("keep_portfolio", lambda t: keep_portfolio(t.engine, t.clock), 30.0),
    Job("tell_of_arrears", lambda t: tell_of_arrears(t.engine, t.clock), 60.0, OVERDUE_BATCH_MAX),
    Job("tell_bureau", lambda t: t.wiring.bureau.tell_due(), 0.5, BUREAU_BATCH_MAX),
    Job("expire_holds", lambda t: expire_holds(t.engine, t.clock), 5.0, PAGE_MAX),
    Job("expire_points", lambda t: expire_points(t.engine, t.clock), 5.0, LOTS_MAX),
    Job("close_unpaid_orders", lambda t: close_unpaid_orders(t.engine, t.clock), 2.0, EXPIRED_ORDERS_MAX),
    Job("fold_days", lambda t: fold_days(t.engine), 2.0, FOLD_MAX),
    Job("clear_idempotency_keys", lambda t: clear_idempotency_keys(t.engine, t.clock), 60.0),
)


async def repeat(job: Job, tools: Tools, stop: asyncio.Event) -> None:
    """Do a job until asked to stop; after a failure wait longer each time, and never give up."""
    backoff = BACKOFF_SECONDS_MIN
    while not stop.is_set():
        try:
            pause = 0.0 if await job.run(tools) >= job.batch else job.rest_seconds
            backoff = BACKOFF_SECONDS_MIN
        except Exception as error:
            log.warning("job_failed", job=job.name, error=type(error).__name__, retry_in_seconds=backoff)
            pause, backoff = backoff, min(backoff * 2, BACKOFF_SECONDS_MAX)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause or 0.001)


async def work(settings: Settings, stop: asyncio.Event) -> None:
    """Do every job until asked to stop, then let what runs end."""
    engine = create_engine(settings.database_url.get_secret_value(), size=CONNECTIONS)
    clock = Clock()
    tools = Tools(settings, engine, clock, wire(settings, engine, clock), events_client(), public_client(settings.mode))
    tasks = [asyncio.create_task(repeat(job, tools, stop), name=job.name) for job in JOBS]
    log.info("worker_started", jobs=len(tasks))
    await stop.wait()
    _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS_MAX)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await tools.wiring.close()
    await tools.events.close()
    await tools.webhooks.close()
    await engine.dispose()
    log.info("worker_stopped", cut=[task.get_name() for task in late])


async def run_until_told(settings: Settings) -> None:
    """Work until SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await work(settings, stop)


def main() -> None:
    """Run one worker.

    Raises: RuntimeError under ``python -O``: asserts are part of the books.
    """
    if sys.flags.optimize:
        raise RuntimeError("Kopeyka does not run under python -O: its assertions guard money")
    settings = Settings()
    logs.set_up(settings.log_level)
    uvloop.run(run_until_told(settings))


if __name__ == "__main__":
    main()
