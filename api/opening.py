"""One process's application, whatever its routers are: its door, its middleware, its start and its end."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api import balance_reads, logs, short_presentment
from api.asgi import Outermost
from api.callers import Callers
from api.card_number_wall import CardNumberWall
from api.documents import describe
from api.door import Door, HotRoutes, OpenRoute
from api.entry_commit import open_queue
from api.rate_limit import Buckets
from api.routes import ledger_entries
from api.settings import Mode, Settings
from api.wiring import wire
from ledger.clock import Clock
from ledger.database import create_engine
from ledger.direct import Lines
from pci.pan_allowed import AllowedPans

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
        async with door.entries, door.balances, door.scans:
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
    keep_words_from_ids(app.router.routes)
    return app


def keep_words_from_ids(routes: Sequence[BaseRoute]) -> None:
    """A word with an address of its own (``/v1/device-tokens/eligibility``) is nobody's id.

    What reads one thing by its id beside it no longer answers there: the word's address takes its own methods alone.
    Once more changes nothing.
    """
    ours = [route for route in routes if isinstance(route, OpenRoute)]
    words = [route.path for route in ours if "{" not in route.path]
    for route in ours:
        is_of_ids = "{" in route.path and ":" not in route.path  # ``{rest:path}`` takes words too
        taken = [re.escape(word) for word in words if is_of_ids and route.path_regex.match(word)]
        if taken:
            route.path_regex = re.compile(f"(?!(?:{'|'.join(taken)})$){route.path_regex.pattern}")


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
        scans=short_presentment.open_queue(url, queue_max=settings.group_commit_queue_max),
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
