"""``kopeyka openapi``."""

from __future__ import annotations

import json

import typer
from pydantic import SecretStr

from api.settings import Settings


def openapi() -> None:
    """Print the API's description (OpenAPI 3.1)."""
    from api.app import create_app  # the whole door: other commands start without it

    settings = Settings().model_copy(update={"database_url": SecretStr("postgresql://")})  # nothing connects
    typer.echo(json.dumps(create_app(settings).openapi(), ensure_ascii=False, indent=2))
