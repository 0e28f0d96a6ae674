"""The access review: who may do what, who gave it, when they last came, and who looked it through.

Source: PCI DSS 7.2.4: every six months, and management acknowledges that access is appropriate; 8.2.6.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy

from pci.access import ids, repository
from pci.access.deeds import Deed
from pci.access.errors import ReviewRejected
from pci.access.person import Person, check_reason
from pci.access.roles import scopes_of
from pci.access.tables import access_reviews, role_changes
from pci.database import Session

COLUMNS = (
    "login", "name", "status", "roles", "scopes", "granted", "last_signed_in_at", "idle_days", "locked_until",
    "created_at", "created_by", "disabled_at", "disabled_by", "disabled_reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReviewLine:
    """What a reviewer sees of one person."""

    person: Person
    granted: tuple[str, ...]
    """``support by person:per_… on 2026-11-22 (hired)``, one for each role they have."""

    def cells(self, now: datetime) -> dict[str, str | int]:
        """The line as texts and whole numbers, in the order of ``COLUMNS``."""
        person = self.person
        return {
            "login": person.login, "name": person.name, "status": str(person.status),
            "roles": " ".join(sorted(person.roles)), "scopes": " ".join(sorted(scopes_of(person.roles))),
            "granted": "; ".join(self.granted), "last_signed_in_at": _instant(person.last_signed_in_at),
            "idle_days": (now - person.idle_since).days, "locked_until": _instant(person.locked_until),
            "created_at": _instant(person.created_at), "created_by": person.created_by,
            "disabled_at": _instant(person.disabled_at), "disabled_by": person.disabled_by or "",
            "disabled_reason": person.disabled_reason or "",
        }  # fmt: skip


async def review_lines(session: Session) -> list[ReviewLine]:
    """Everybody there is or was, by login, with who gave them what they have."""
    granted = await _granted(session)
    return [
        ReviewLine(person, tuple(granted[person.id, role] for role in sorted(person.roles)))
        for person in await repository.list_people(session)
    ]


def digest_of(lines: Sequence[ReviewLine]) -> str:
    """What a sign-off is bound to: people, their status and rights, and who gave them; not when they last came."""
    rights = [
        [line.person.id, line.person.login, str(line.person.status), sorted(line.person.roles), list(line.granted)]
        for line in lines
    ]
    return hashlib.sha256(json.dumps(rights, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def table_of(lines: Sequence[Mapping[str, str | int]]) -> str:
    """The review as CSV; a cell that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    for line in lines:
        writer.writerow({name: _cell(value) for name, value in line.items()})
    return out.getvalue()


async def sign_off(deed: Deed, digest: str, *, note: str) -> str:
    """Keep that somebody looked through what stands now, and nobody's access is other than it should be.

    Raises: ReviewRejected if it changed since it was exported; ReasonRejected.
    """
    check_reason(note)
    lines = await review_lines(deed.session)
    if digest != digest_of(lines):
        raise ReviewRejected()
    row = {
        "id": ids.new_id("rvw"), "reviewed_by": deed.actor.person_id, "reviewed_at": deed.wish.now,
        "people": len(lines), "digest": bytes.fromhex(digest), "note": note,
    }  # fmt: skip
    await deed.session.execute(sqlalchemy.insert(access_reviews).values(row))
    await deed.record(f"review:{row['id']}", people=len(lines), digest=digest)
    return str(row["id"])


async def past_reviews(session: Session) -> list[dict[str, Any]]:
    """Who signed off what, the latest first."""
    rows = await session.execute(sqlalchemy.select(access_reviews).order_by(access_reviews.c.reviewed_at.desc()))
    return [
        {
            "id": row.id, "reviewed_by": row.reviewed_by, "reviewed_at": _instant(row.reviewed_at),
            "people": row.people, "digest": row.digest.hex(), "note": row.note,
        }
        for row in rows
    ]  # fmt: skip


async def _granted(session: Session) -> dict[tuple[str, str], str]:
    """The last grant of each role to each person, in words."""
    query = sqlalchemy.select(role_changes).where(role_changes.c.is_granted).order_by(role_changes.c.changed_at)
    return {
        (row.person_id, row.role): f"{row.role} by {row.changed_by} on {row.changed_at.astimezone(UTC):%Y-%m-%d}"
        f" ({row.reason})"
        for row in await session.execute(query)
    }


def _instant(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _cell(value: str | int) -> str | int:
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value
