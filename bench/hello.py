"""The least an endpoint can do: validate an empty body and answer. What the door is compared with."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict


class Nothing(BaseModel):
    """A body without fields."""

    model_config = ConfigDict(extra="forbid")


def create_app() -> FastAPI:
    """One route, no key, no log, no database."""
    app = FastAPI()

    @app.post("/hello")
    async def hello(body: Nothing) -> dict[str, bool]:
        return {"ok": body == Nothing()}

    return app
