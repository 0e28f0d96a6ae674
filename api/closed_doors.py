"""Applications of ports that let one kind of caller in. Each loads what it serves, and not the whole door."""

from __future__ import annotations

from fastapi import FastAPI

from api.contracts.dolyame import routes as dolyame
from api.opening import app_of
from api.rate_limit import Buckets
from api.routes import health, nspk_notifications
from api.settings import Settings


def create_nspk_app(settings: Settings | None = None) -> FastAPI:
    """What NSPK calls, for a port that lets nobody else in."""
    return app_of(settings or Settings(), (nspk_notifications.router, health.router))


def create_dolyame_app(settings: Settings | None = None) -> FastAPI:
    """What Долями's shops call, for a port that lets nobody else in. Its limit is the contract's."""
    settings = settings or Settings()
    buckets = Buckets(settings.dolyame_requests_per_second, burst_seconds=1)
    return app_of(settings, (health.router, *dolyame.ROUTERS), buckets)
