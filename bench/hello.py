"""The least the door can do: read an empty body and answer. What its real work is compared with."""

from __future__ import annotations

from fastapi import FastAPI

from api.app import create_app as create_door
from api.door import open_router
from api.wire import Body


class Nothing(Body):
    """A body without fields."""


router = open_router("/hello", "bench")


@router.post("")
async def hello(body: Nothing) -> dict[str, bool]:
    """Neither caller nor database; request id, log and limits as everywhere."""
    return {"ok": body == Nothing()}


def create_app() -> FastAPI:
    """The application with one route more."""
    app = create_door()
    app.router.routes.extend(router.routes)
    return app
