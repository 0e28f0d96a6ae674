"""Findings of ``kopeyka scan --report`` as cases: the place and the mask, never the number.

Source: PCI DSS 12.10.7: a card number where none is expected starts the plan for incidents.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass, field
from pathlib import Path

from api.cli.vault_database import command_origin, in_vault, operator
from ledger.clock import machine_now
from pci.database import Session
from pci.evidence.cases import moscow_day, open_case
from pci.evidence.suspicions import REST, Suspicion
from pci.pan_scanner import PanFinding

RULE = "card_number_found"
CASES_MAX = 100
"""Of one scan: further files and columns are counted in one more."""
_WITHIN = re.compile(r"(:(line|byte) \d+| \(\d+,\d+\))$")


@dataclass(slots=True)
class PlaceTally:
    """Files and columns with numbers in them: how many each has, and the first."""

    _counts: dict[str, int] = field(default_factory=dict)
    _firsts: dict[str, PanFinding] = field(default_factory=dict)

    def add(self, finding: PanFinding) -> None:
        """Count one more."""
        place = _WITHIN.sub("", finding.place)
        if place not in self._counts and len(self._counts) >= CASES_MAX:
            place = REST
        self._firsts.setdefault(place, finding)
        self._counts[place] = self._counts.get(place, 0) + 1

    @property
    def total(self) -> int:
        """All numbers that were found."""
        return sum(self._counts.values())

    def suspicions(self) -> list[Suspicion]:
        """One for each place."""
        return [Suspicion(RULE, f"place:{place}", self._facts(place)) for place in self._counts]

    def _facts(self, place: str) -> dict[str, str | int]:
        first = self._firsts[place]
        return {
            "events": self._counts[place], "first": first.place, "mask": first.mask, "scheme": str(first.scheme),
            "host": platform.node(),
        }  # fmt: skip


def report(tally: PlaceTally, data_dir: Path | None) -> int:
    """Open a case for each place, and say how many are new today."""
    now = machine_now()

    async def work(session: Session) -> int:
        tried = [
            await open_case(session, found, day=moscow_day(now), actor=operator(), origin=command_origin(), now=now)
            for found in tally.suspicions()
        ]
        return sum(case is not None for case in tried)

    return in_vault(data_dir, work, needed_for="a report is a case of the vault's")
