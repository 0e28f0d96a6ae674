"""The application: ``create_app(settings)``, also a uvicorn factory without arguments."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from api import balance_reads, logs
from api.asgi import Outermost
from api.callers import Callers
from api.card_number_wall import CardNumberWall
from api.contracts.dolyame import routes as dolyame
from api.contracts.koshelek_pay import routes as koshelek_pay
from api.contracts.yookassa import routes as yookassa
from api.documents import describe
from api.documents import router as documents_router
from api.door import Door, HotRoutes
from api.entry_commit import open_queue
from api.rate_limit import Buckets
from api.routes import (
    account_bindings,
    buyer_payouts,
    card_payments,
    card_sessions,
    cards,
    cash_links,
    cashiers,
    clock,
    device_tokens,
    events,
    health,
    idempotency_keys,
    installment_bureau,
    installment_buyers,
    installment_debt_sales,
    installment_house,
    installment_payments,
    installment_plans,
    installment_products,
    installment_quotes,
    installment_receipts,
    installment_refunds,
    installment_reports,
    item_refunds,
    ledger_accounts,
    ledger_entries,
    ledger_entry_batches,
    ledger_holds,
    ledger_reports,
    loyalty_cards,
    merchants,
    nspk_notifications,
    order_quotes,
    orders,
    parked_notifications,
    payouts,
    plan_form,
    points,
    preferred_rails,
    premises,
    presentments,
    promo_codes,
    qr_codes,
    rail_offers,
    rail_switches,
    refunds,
    sbp_banks,
    sbp_registers,
    sbp_registrations,
    shifts,
    slips,
    stickers,
    stores,
    tariffs,
    terminal_keys,
    terminals,
    till_pages,
    timeline,
    timeline_page,
    tkassa_notifications,
    unmatched_payments,
    webhooks,
)
from api.settings import Mode, Settings
from api.wiring import wire
from ledger.clock import Clock
from ledger.database import create_engine
from ledger.direct import Lines
from pci.pan_allowed import AllowedPans

ROUTERS: tuple[APIRouter, ...] = (
    merchants.router,
    stores.router,
    terminals.router,
    terminal_keys.router,
    terminal_keys.registry_router,
    premises.router,
    premises.lists_router,
    premises.stores_router,
    premises.rails_router,
    rail_switches.router,
    slips.router,
    preferred_rails.router,
    cashiers.router,
    shifts.router,
    loyalty_cards.router,
    presentments.hot_router,
    presentments.router,
    orders.hot_router,
    orders.router,
    points.router,
    promo_codes.router,
    timeline.router,
    cash_links.router,
    account_bindings.router,
    stickers.router,
    unmatched_payments.router,
    parked_notifications.router,
    refunds.router,
    item_refunds.router,
    rail_offers.router,
    order_quotes.router,
    card_payments.router,
    card_sessions.router,
    cards.router,
    cards.keys_router,
    device_tokens.requestors_router,
    device_tokens.router,
    device_tokens.devices_router,
    device_tokens.payments_router,
    payouts.router,
    tariffs.router,
    installment_products.router,
    installment_quotes.router,
    installment_plans.router,
    installment_refunds.router,
    installment_receipts.router,
    installment_payments.router,
    installment_buyers.router,
    installment_house.router,
    installment_debt_sales.router,
    installment_bureau.router,
    installment_reports.router,
    sbp_registrations.router,
    sbp_registers.intake_router,
    sbp_registers.router,
    buyer_payouts.router,
    sbp_banks.router,
    qr_codes.router,
    events.router,
    events.types_router,
    webhooks.router,
    nspk_notifications.router,
    tkassa_notifications.router,
    ledger_accounts.router,
    ledger_entries.hot_router,
    ledger_entries.router,
    ledger_entry_batches.router,
    ledger_holds.router,
    ledger_reports.router,
    idempotency_keys.router,
    clock.router,
    health.router,
    documents_router,
)
"""Every router of the native API, in the order of the documents."""
CONTRACTS: tuple[APIRouter, ...] = (*yookassa.ROUTERS, *koshelek_pay.ROUTERS)
"""Routers in another's form: described by the other side's documents, not by ours."""

PAGES: tuple[APIRouter, ...] = (
    plan_form.router,
    till_pages.router,
    timeline_page.router,
)
"""Routers that people's browsers call: pages, not described for programs."""

CLOCK_SECONDS = 1.0
"""How often a sandbox process looks whether its business clock was moved."""

log = structlog.get_logger("api")


class Kopeyka(FastAPI):
    """FastAPI inside our one layer: whatever it raises leaves as a problem document."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        await self.middleware_stack(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        return describe(self)

    def build_middleware_stack(self) -> ASGIApp:
        allowed = self.state.door.allowed_pans
        return Outermost(CardNumberWall(HotRoutes(AsyncExitStackMiddleware(self.router), self.routes), allowed))


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application of one process. Nothing here or at its start needs the database to be there."""
    settings = settings or Settings()
    routers = (*ROUTERS, *CONTRACTS, *PAGES)
    if settings.nspk_notifications_port is not None:
        routers = tuple(router for router in routers if router is not nspk_notifications.router)
    return app_of(settings, routers)


def create_nspk_app(settings: Settings | None = None) -> FastAPI:
    """What NSPK calls, for a port that lets nobody else in."""
    return app_of(settings or Settings(), (nspk_notifications.router, health.router))


def create_dolyame_app(settings: Settings | None = None) -> FastAPI:
    """What Долями's shops call, for a port that lets nobody else in. Its limit is the contract's."""
    settings = settings or Settings()
    buckets = Buckets(settings.dolyame_requests_per_second, burst_seconds=1)
    return app_of(settings, (health.router, *dolyame.ROUTERS), buckets)


def app_of(settings: Settings, routers: Iterable[APIRouter], buckets: Buckets | None = None) -> FastAPI:
    """An application with these routers.

    Raises: RuntimeError under ``python -O``: asserts are part of the books.
    """
    if sys.flags.optimize:
        raise RuntimeError("Kopeyka does not run under python -O: its assertions guard money")
    logs.set_up(settings.log_level)
    door = open_door(settings)
    door.buckets = buckets or door.buckets

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        stop = asyncio.Event()
        follow = asyncio.create_task(follow_clock(door, stop)) if settings.mode is Mode.SANDBOX else None
        async with door.entries, door.balances:
            yield
            door.is_draining = True
        if follow is not None:
            stop.set()
            await follow
        await door.wiring.close()
        await door.lines.close()
        await door.engine.dispose()

    app = Kopeyka(
        title="Kopeyka", version="1", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.door = door
    for router in routers:
        app.router.routes.extend(router.routes)
    return app


def open_door(settings: Settings) -> Door:
    """What a process works with; connections are made when they are first needed."""
    url = settings.database_url.get_secret_value()
    engine = create_engine(url, size=settings.pool_size)
    business_clock = Clock()
    return Door(
        settings=settings,
        engine=engine,
        clock=business_clock,
        wiring=wire(settings, engine, business_clock),
        callers=Callers(engine, "test" if settings.mode is Mode.SANDBOX else "live"),
        buckets=Buckets(settings.rate_limit_per_second),
        entries=open_queue(
            url,
            ledger_entries.entry_bytes,
            queue_max=settings.group_commit_queue_max,
            writers=settings.group_commit_writers,
        ),
        balances=balance_reads.open_queue(url, queue_max=settings.group_commit_queue_max),
        allowed_pans=allowed_pans(settings.allowed_pans_file),
        lines=Lines(url),
    )


def allowed_pans(file: Path | None) -> AllowedPans:
    """Numbers that no wall stops. Raises: AllowListMalformed; OSError if the file cannot be read."""
    return AllowedPans.read(file.read_text("utf-8")) if file is not None else AllowedPans()


async def follow_clock(door: Door, stop: asyncio.Event) -> None:
    """Keep a sandbox process on the business clock that all processes share, until ``stop``.

    Told to stop and never cancelled: a connection cut off while it is being made would keep the
    server waiting for its password for a minute.
    """
    while not stop.is_set():
        with contextlib.suppress(Exception):  # the database may be away; the clock goes on as it was
            await door.read_clock()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), CLOCK_SECONDS)
