"""Stop lists (стоп-листы): phones and documents to which no plan is given, kept as keyed digests only."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from installments import buyer_news
from installments.buyer_errors import StopListLineNotFound
from ledger.database import Session, text
from ledger.ids import new_id
from pci.secret import Secret

LINES_MAX = 5_000
"""Lines added in one call: a file is taken in by such portions."""
_DOMAIN = b"buyers/stop-lists/v1"


class StopListKind(StrEnum):
    """What a line names."""

    PHONE = "phone"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class StopListLine:
    """One line in force."""

    id: str
    kind: StopListKind
    reason: str
    source: str
    added_at: datetime


def digest_of(key: Secret, kind: StopListKind, value: Secret) -> bytes:
    """A keyed digest of a phone (as ``read_phone`` gives it) or of a document's series and number."""
    plain = re.sub(r"[\s-]", "", value.expose()).upper()
    own = hmac.digest(key.expose().encode(), _DOMAIN, "sha256")
    return hmac.digest(own, f"{kind}|{plain}".encode(), "sha256")


async def add_lines(
    session: Session, kind: StopListKind, digests: Sequence[bytes], *, reason: str, source: str, by: str, now: datetime
) -> int:
    """Put digests on the list; those in force already stay as they are. How many are new."""
    assert len(digests) <= LINES_MAX
    rows = await session.execute(
        text("""INSERT INTO stop_list_lines (id, kind, digest, reason, source, added_by, added_at)
                SELECT n.id, :kind, n.digest, :reason, :source, :by, :now
                  FROM unnest(CAST(:ids AS text[]), CAST(:digests AS bytea[])) AS n(id, digest)
                ON CONFLICT (kind, digest) WHERE removed_at IS NULL DO NOTHING RETURNING id"""),
        {
            "ids": [new_id("stp", now) for _ in digests], "digests": list(digests), "kind": kind.value,
            "reason": reason, "source": source, "by": by, "now": now,
        },
    )  # fmt: skip
    added = [row.id for row in rows]
    if added:
        facts = {"lines": len(added), "kind": kind.value, "source": source}
        await buyer_news.log(session, "stop_list.lines_added", f"stop_list:{added[0]}", now=now, by=by, facts=facts)
    return len(added)


async def remove_line(session: Session, line_id: str, *, by: str, now: datetime) -> None:
    """Take a line off; it stays to be read that it was there. Raises: StopListLineNotFound."""
    removed = await session.scalar(
        text("""UPDATE stop_list_lines SET removed_by = :by, removed_at = :now
                 WHERE id = :id AND removed_at IS NULL RETURNING id"""),
        {"id": line_id, "by": by, "now": now},
    )
    if removed is None:
        raise StopListLineNotFound(line_id=line_id)
    await buyer_news.log(session, "stop_list.line_removed", f"stop_list:{line_id}", now=now, by=by)


async def find_lines(session: Session, *, phone: bytes | None, document: bytes | None) -> list[StopListLine]:
    """The lines in force that name this phone or document, by their digests."""
    rows = await session.execute(
        text("""SELECT id, kind, reason, source, added_at FROM stop_list_lines
                 WHERE removed_at IS NULL AND (kind = 'phone' AND digest = :phone
                                               OR kind = 'document' AND digest = :document)
                 ORDER BY id"""),
        {"phone": phone, "document": document},
    )
    return [StopListLine(row.id, StopListKind(row.kind), row.reason, row.source, row.added_at) for row in rows]
