"""What controls come to: queries asked, probes run, and one status a control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from pci.database import Session
from pci.evidence.control import Claim, Control, Look, Where
from pci.redaction import redact

ROWS_MAX = 200
"""Rows shown of one query; how many there were is said."""


class ControlStatus(StrEnum):
    """How a requirement stands."""

    MET = "met"
    FAILING = "failing"
    """We do it, and it does not hold now."""
    NOT_CHECKED = "not_checked"
    """The query or probe could not be run here."""
    NOT_MET = "not_met"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe found: rows that are failures, or why it was not run."""

    rows: Sequence[Mapping[str, Any]]
    is_listing: bool = False
    not_run: str = ""


@dataclass(frozen=True, slots=True)
class ControlResult:
    """One control with its proof."""

    control: Control
    status: ControlStatus
    rows: Sequence[Mapping[str, Any]] = ()
    rows_total: int = 0
    why: str = ""

    @property
    def proof(self) -> str:
        """By what it is proved: asked or tried just now, or by the test of the release."""
        if self.status not in (ControlStatus.MET, ControlStatus.FAILING):
            return ""
        return "query" if self.control.query else "probe" if self.control.probe else "test"

    def as_json(self, version: str, checked_at: datetime) -> dict[str, Any]:
        """As a machine reads it."""
        control = self.control
        return {
            "requirement": control.requirement, "asks": control.asks, "does": control.does,
            "status": self.status.value, "proof": self.proof, "claim": control.claim.value, "why": self.why,
            "query": control.query, "database": control.where.value if control.query else "", "probe": control.probe,
            "result": {"rows_total": self.rows_total, "rows": list(self.rows)},
            "test": control.test, "version": version, "checked_at": checked_at.isoformat(),
        }  # fmt: skip


async def check_all(
    controls: Sequence[Control],
    sessions: Mapping[Where, Session],
    probes: Mapping[str, ProbeResult],
    *,
    since: datetime,
    until: datetime,
) -> list[ControlResult]:
    """Every control's result, in their order. What cannot be asked is told and stops nothing."""
    period = {"since": since, "until": until}
    return [await _check(control, sessions, probes, period) for control in controls]


async def _check(
    control: Control,
    sessions: Mapping[Where, Session],
    probes: Mapping[str, ProbeResult],
    period: Mapping[str, datetime],
) -> ControlResult:
    if control.claim is not Claim.SOFTWARE:
        return ControlResult(control, ControlStatus(control.claim.value))
    if control.probe:
        found = probes.get(control.probe, ProbeResult((), not_run="the probe was not run"))
        return _judged(control, found.rows, found.is_listing, found.not_run)
    if not control.query:
        return ControlResult(control, ControlStatus.MET)
    if (session := sessions.get(control.where)) is None:
        return _judged(control, (), False, f"no way into the database of the {control.where}")
    try:
        async with session.begin_nested():
            answer = await session.execute(text(control.query), dict(period))
            rows = [dict(row) for row in answer.mappings()]
    except DBAPIError as error:
        return _judged(control, (), False, str(error.orig).splitlines()[0])
    if control.look is Look.EXPECTED and not rows:
        return ControlResult(control, ControlStatus.FAILING, why="there is nothing to show")
    return _judged(control, rows, control.look is not Look.NO_ROWS, "")


def _judged(control: Control, rows: Sequence[Mapping[str, Any]], is_listing: bool, not_run: str) -> ControlResult:
    if not_run:
        return ControlResult(control, ControlStatus.NOT_CHECKED, why=not_run)
    shown = [{name: _plain(value) for name, value in row.items()} for row in rows[:ROWS_MAX]]
    status = ControlStatus.MET if is_listing or not rows else ControlStatus.FAILING
    return ControlResult(control, status, redact(shown), len(rows))


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
