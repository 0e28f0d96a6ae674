"""Commands that are loaded when they are asked for.

The whole application is behind some commands, and importing it takes seconds: so the group knows each
of its commands by a line of help and by where it is, and imports only the one that is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

Table = Mapping[str, tuple[str, str]]
"""Of each command its name, where it is (``module:attribute``, a function or a group) and its line of help."""


def lazy_app(table: Table, **terms: Any) -> typer.Typer:
    """An application of the commands in ``table``; ``terms`` are typer's."""

    class Group(TyperGroup):
        """Shows the lines of the table, runs what they stand for."""

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            name, line, rest = super().resolve_command(ctx, args)
            return name, line and load(name or "", table), rest

    app = typer.Typer(cls=Group, **terms)
    app.callback()(_nothing)
    for name, (_, line) in table.items():
        app.command(name, help=line)(_nothing)
    return app


def load(name: str, table: Table) -> TyperCommand | TyperGroup:
    """Import a command of the table."""
    module, attribute = table[name][0].split(":")
    found = getattr(import_module(module), attribute)
    holder = typer.Typer()
    holder.callback()(_nothing)
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    command = get_group(holder).commands[name]
    assert isinstance(command, TyperCommand | TyperGroup)
    return command


def _nothing() -> None:
    """Stands for what is not loaded; is never run."""
