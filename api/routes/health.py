"""Is it alive, is it ready, and what it has counted. No API key: a platform asks."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import Request
from starlette.responses import Response

from api import meters
from api.door import Door, open_router
from api.errors import NotReady
from api.migrate import head_revision
from api.wire import View
from ledger.database import text, transaction

router = open_router("", "health")

READY_SECONDS_MAX = 0.5
"""How long a connection and one question may take for us to call ourselves ready."""


class HealthView(View):
    """All is well."""

    status: Literal["ok"] = "ok"


@router.get("/livez", response_model=HealthView)
async def is_alive() -> HealthView:
    """The process answers. Touches nothing else, so that a database failure restarts nobody."""
    return HealthView()


@router.get("/readyz", response_model=HealthView)
async def is_ready(request: Request) -> HealthView:
    """The database answers, its migrations are those of this release, and we are not stopping."""
    door: Door = request.app.state.door
    if door.is_draining:
        raise NotReady("This process is stopping.")
    try:
        async with asyncio.timeout(READY_SECONDS_MAX):
            revision = await _revision(door)
    except TimeoutError:
        raise NotReady("The database is slow to answer.") from None
    if revision != head_revision():
        raise NotReady("The database is of another release: run `kopeyka migrate`.")
    return HealthView()


@router.get("/startupz", response_model=HealthView)
async def has_started(request: Request) -> HealthView:
    """The process has started and has reached its database once."""
    return await is_ready(request)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def read_metrics() -> Response:
    """Counters for Prometheus; of all workers when ``PROMETHEUS_MULTIPROC_DIR`` is set."""
    body, content_type = meters.exposition()
    return Response(body, media_type=content_type)


async def _revision(door: Door) -> str | None:
    async with transaction(door.engine) as session:
        revision: str | None = await session.scalar(text("SELECT version_num FROM alembic_version"))
        return revision
