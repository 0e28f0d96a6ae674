"""What a pack of evidence tries or computes besides asking the databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import psycopg

from api.segment_test import Premises, TryOutcome, is_broken, run_tries, what_is_not_there
from pci.evidence.components import Component
from pci.evidence.results import ProbeResult
from pci.pan_allowed import AllowedPans
from pci.pan_scanner import PanFinding
from pci.pan_scanner_of_databases import scan_database


def scanned(url: str, allowed: AllowedPans) -> ProbeResult:
    """Card numbers in a database; places that could not be read are failures too."""
    if not url:
        return ProbeResult((), not_run="no way into this database was given")
    try:
        with psycopg.connect(url, application_name="kopeyka evidence") as connection:
            found = list(scan_database(connection, allowed))
    except psycopg.Error as error:
        return ProbeResult((), not_run=str(error).strip().splitlines()[0])
    return ProbeResult([asdict(one) if isinstance(one, PanFinding) else {"not read": one.place, "why": one.reason}
                        for one in found])  # fmt: skip


def segment_tested(premises: Premises) -> ProbeResult:
    """Every way to the vault that was tried; failures alone when something was reached.

    Where nothing listens everything is refused: that is no proof, and is told as not run.
    """
    if absent := what_is_not_there(premises):
        return ProbeResult((), not_run=absent)
    tries = run_tries(premises)
    bad = is_broken(tries, is_production=premises.is_production)
    shown = [one for one in tries if not bad or one.outcome is not TryOutcome.REFUSED]
    return ProbeResult([asdict(one) for one in shown], is_listing=not bad)


def listed(components: Mapping[str, Component]) -> ProbeResult:
    """Components, for the page."""
    rows = [{"name": one.name, "version": one.version, "licence": one.licence} for one in components.values()]
    return ProbeResult(rows, is_listing=True)


def allowed_of(file: Path | None) -> AllowedPans:
    """What an allow-list lets lie; nothing without one."""
    return AllowedPans.read(file.read_text("utf-8")) if file is not None else AllowedPans()
