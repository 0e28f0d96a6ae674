"""Critical controls show themselves; when one was silent too long, that is an outage with its times.

Source: PCI DSS 10.7.2, 10.7.3: failures of critical security controls are detected, alerted and written down.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session

SILENT_PERIODS = 3
"""A control that missed fewer beats than these was only slow."""

_LAST = text("SELECT beat_at FROM heartbeats WHERE control = :control FOR UPDATE")
_BEAT = text(
    "INSERT INTO heartbeats (control, beat_at, period_seconds) VALUES (:control, :now, :period)"
    " ON CONFLICT (control) DO UPDATE SET beat_at = greatest(heartbeats.beat_at, excluded.beat_at),"
    " period_seconds = excluded.period_seconds"
)
_OUTAGE = text("INSERT INTO outages (control, began_at, ended_at, cause) VALUES (:control, :began_at, :now, :cause)")


async def beat(session: Session, control: str, *, period_seconds: int, now: datetime, origin: str) -> bool:
    """Say that a control works; whether it had been silent too long before. Locks: its heartbeat."""
    last = (await session.execute(_LAST, {"control": control})).scalar_one_or_none()
    await session.execute(_BEAT, {"control": control, "now": now, "period": period_seconds})
    if last is None or (now - last).total_seconds() <= SILENT_PERIODS * period_seconds:
        return False
    silent = int((now - last).total_seconds())
    outage = {"control": control, "began_at": last, "now": now, "cause": f"silent for {silent} seconds"}
    await session.execute(_OUTAGE, outage)
    event = AuditEvent(
        "control.was_silent", f"system:{control}", origin, f"control:{control}", now, AuditOutcome.FAILED,
        facts={"seconds": silent},
    )  # fmt: skip
    await stage(session, [event])
    return True


async def silent_controls(session: Session, *, now: datetime) -> list[str]:
    """Controls that have missed their time and are silent still."""
    rows = await session.execute(
        text("SELECT control FROM heartbeats WHERE :now > beat_at + make_interval(secs => :periods * period_seconds)"
             " ORDER BY control"),
        {"now": now, "periods": SILENT_PERIODS},
    )  # fmt: skip
    return list(rows.scalars())
