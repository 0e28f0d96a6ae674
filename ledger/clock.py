"""Time: the only module that asks the machine what time it is.

Everything below the door receives ``now`` as an argument. A sandbox moves its business clock
ahead of the machine's by an offset kept in the database, so that all processes move together;
production has no offset.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from ledger.database import Session, text

MOSCOW = ZoneInfo("Europe/Moscow")
"""The accounting day is the Moscow calendar day."""


def machine_now() -> datetime:
    """The machine's own time, UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds that only grow, for durations and deadlines inside one process."""
    return time.monotonic()


def moscow_day(at: datetime) -> date:
    """The Moscow calendar day of an instant."""
    return at.astimezone(MOSCOW).date()


@dataclass(slots=True)
class Clock:
    """The business clock of one process. The offset is zero in production."""

    offset: timedelta = timedelta(0)

    def now(self) -> datetime:
        """The business time, UTC."""
        return machine_now() + self.offset


async def read_offset(session: Session) -> timedelta:
    """How far the sandbox clock is ahead of the machine's."""
    seconds = await session.scalar(text("SELECT offset_seconds FROM business_clock"))
    return timedelta(seconds=seconds or 0)


async def set_offset(session: Session, offset: timedelta) -> None:
    """Move the sandbox clock of every process to ``offset`` ahead of the machine's."""
    await session.execute(
        text("UPDATE business_clock SET offset_seconds = :seconds"),
        {"seconds": int(offset.total_seconds())},
    )
