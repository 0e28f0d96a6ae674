"""``kopeyka sbom`` and ``kopeyka affected``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import JsonOption
from ledger.clock import machine_now

ROOT = Path(__file__).parents[2]
"""Where our own packages lie, in a checkout and in an installation alike."""
AFFECTED = 1


def sbom(
    output: Annotated[Path | None, typer.Option("--output", help="A file instead of standard output.")] = None,
) -> None:
    """List every component, ours and others', as CycloneDX 1.6."""
    from pci.evidence import components  # the extra `sbom` is asked for by these two commands only
    from pci.evidence.sbom import cyclonedx

    text = cyclonedx(components.third_party(ROOT), components.own(ROOT), now=machine_now())
    if output is None:
        typer.echo(text)
    else:
        output.write_text(text, "utf-8")


def affected(
    statement: Annotated[str, typer.Argument(metavar="PACKAGE[<VERSION]", help="cryptography<46, or only a name.")],
    as_json: JsonOption = False,
) -> None:
    """Say whether a package of others is in the product, in such a version, and through whom. Code 1: it is."""
    from packaging.requirements import InvalidRequirement

    from pci.evidence import components

    known = components.third_party(ROOT)
    try:
        found = components.affected_by(statement, known)
    except InvalidRequirement:
        raise typer.BadParameter("say a name, with a version perhaps: cryptography<46") from None
    if as_json:
        told = [asdict(one) | {"way": components.way_to(one.name, known)} for one in found]
        typer.echo(json.dumps({"asked": statement, "affected": told}))
    elif not found:
        typer.echo(f"Not affected: no component is {statement}.")
    for one in [] if as_json else found:
        typer.echo(f"Affected: {one.name} {one.version}, by {' → '.join(components.way_to(one.name, known))}")
    raise typer.Exit(AFFECTED if found else 0)
