"""Giving a merchant's cards out: to its new vault, closed to that vault's public key. One person asks, another agrees.

The file is one JWE a line (compact, ECDH-ES+A256KW, A256GCM), each with up to 1,000 cards as JSON. Each line is on disk
before its batch is committed; a killed export goes on at the first line that is not. Every batch is an event.
Source: PCI DSS 3.4.2, 3.7.2, 4.2.1; RFC 7516.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from sqlalchemy import text

from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session, Transactions
from pci.keys.envelope import Dek, number_in
from pci.keys.errors import SealBroken
from pci.keys.ring import KeyRing
from tokenization import cards, repository, sealing
from tokenization.card_errors import ExportKeyRefused, ExportNeedsAnother, ExportNotFound, ExportNotRunning
from tokenization.ending import CardDoing
from tokenization.ids import new_id
from tokenization.repository import Row

CARDS_A_LINE = 1_000
KEY_ENCRYPTION, CONTENT_ENCRYPTION = "ECDH-ES+A256KW", "A256GCM"
COLUMNS = (
    "id, merchant_id, recipient_key, reason, status, requested_by, approved_by, place, batches_done, cards_done,"
    " skipped, requested_at, advanced_at, finished_at"
)

REQUESTED = f"""
    INSERT INTO card_exports (id, merchant_id, recipient_key, reason, requested_by, requested_at, advanced_at)
    VALUES (:id, :merchant_id, CAST(:key AS jsonb), :reason, :by, :at, :at) RETURNING {COLUMNS}"""  # noqa: S608
COUNTED = (
    "place = :place, batches_done = batches_done + 1, cards_done = cards_done + :cards, skipped = skipped + :skipped"
)


@dataclass(frozen=True, slots=True)
class CardExport:
    """A merchant's cards on their way out."""

    id: str
    merchant_id: str
    recipient_key: Mapping[str, Any]
    reason: str
    status: str
    requested_by: str
    approved_by: str | None
    place: int
    batches_done: int
    cards_done: int
    skipped: int
    """Cards whose rows do not open; each is an event."""
    requested_at: datetime
    advanced_at: datetime
    finished_at: datetime | None


async def request(session: Session, recipient_key: Mapping[str, Any], doing: CardDoing) -> CardExport:
    """Ask that a merchant's cards be given out to a key.

    Raises: ExportKeyRefused.
    """
    public = _public(recipient_key)
    made = await session.execute(
        text(REQUESTED),
        {
            "id": new_id("exp"), "merchant_id": doing.merchant_id, "key": json.dumps(public.as_dict(private=False)),
            "reason": doing.reason, "by": doing.actor, "at": doing.at,
        },
    )  # fmt: skip
    asked = CardExport(**made.mappings().one())
    facts = {"recipient": public.thumbprint()}
    await stage(session, [doing.event("cards.export_requested", f"export:{asked.id}", **facts)])
    return asked


async def approve(session: Session, export_id: str, doing: CardDoing) -> CardExport:
    """Agree to it.

    Raises: ExportNotFound; ExportNeedsAnother; ExportNotRunning if it was agreed to already.
    Locks: the export's row.
    """
    asked = await find(session, export_id, doing.merchant_id, lock=True)
    if asked.status != "requested":
        raise ExportNotRunning(export_id=export_id)
    if asked.requested_by == doing.actor:
        refusal = ExportNeedsAnother(export_id=export_id)
        refusal.event = _event(doing, asked, "cards.export_approved", AuditOutcome.REFUSED)
        raise refusal
    await stage(session, [_event(doing, asked, "cards.export_approved")])
    return await _change(session, export_id, "status = 'running', approved_by = :by", {"by": doing.actor}, doing.at)


async def find(session: Session, export_id: str, merchant_id: str, *, lock: bool = False) -> CardExport:
    """An export of this merchant's cards and how far it is; another merchant's is not found.

    Raises: ExportNotFound.
    """
    query = f"SELECT {COLUMNS} FROM card_exports WHERE id = :id AND merchant_id = :merchant_id"  # noqa: S608
    given = {"id": export_id, "merchant_id": merchant_id}
    found = await session.execute(text(query + " FOR NO KEY UPDATE" if lock else query), given)
    if (row := found.mappings().one_or_none()) is None:
        raise ExportNotFound(export_id=export_id)
    return CardExport(**row)


async def waiting(session: Session) -> list[CardExport]:
    """Exports that nobody has agreed to yet, the oldest first."""
    query = f"SELECT {COLUMNS} FROM card_exports WHERE status = 'requested' ORDER BY requested_at LIMIT 100"  # noqa: S608
    return [CardExport(**row) for row in (await session.execute(text(query))).mappings()]


async def merchant_of(session: Session, export_id: str) -> str:
    """Whose cards an export is of. Raises: ExportNotFound."""
    query = text("SELECT merchant_id FROM card_exports WHERE id = :id")
    found: str | None = await session.scalar(query, {"id": export_id})
    if found is None:
        raise ExportNotFound(export_id=export_id)
    return found


def thumbprint_of(export: CardExport) -> str:
    """The recipient's key in short, as the recipient can read it out."""
    return _public(export.recipient_key).thumbprint()


async def give_out(
    transactions: Transactions, ring: KeyRing, export_id: str, path: Path, doing: CardDoing
) -> CardExport:
    """Write the file, or go on with it.

    Raises: ExportNotFound; ExportNotRunning; Sealed; ProviderUnavailable; OSError.
    """
    async with transactions() as session:
        export = await find(session, export_id, doing.merchant_id)
    if export.status != "running":
        raise ExportNotRunning(export_id=export_id)
    recipient = _public(export.recipient_key)
    _cut(path, export.batches_done)
    while export.status == "running":
        async with transactions() as session:
            export = await _batch(session, ring, export, recipient, path, doing)
    return export


async def _batch(
    session: Session, ring: KeyRing, known: CardExport, recipient: ECKey, path: Path, doing: CardDoing
) -> CardExport:
    """One line more, or the end of it."""
    export = await find(session, known.id, known.merchant_id, lock=True)
    if export.batches_done != known.batches_done or export.status != "running":
        raise ExportNotRunning(export_id=export.id)
    rows = await repository.sealed_after(session, export.merchant_id, export.place, CARDS_A_LINE)
    if not rows:
        facts = {"cards": export.cards_done, "skipped": export.skipped}
        await stage(session, [doing.event("cards.export_finished", f"export:{export.id}", **facts)])
        return await _change(session, export.id, "status = 'finished', finished_at = :at", {}, doing.at)
    opened, broken = _open_all(rows, await cards.keys_of(ring, rows), export.merchant_id)  # they change on the way
    line = _closed({"export": export.id, "batch": export.batches_done + 1, "cards": opened}, recipient)
    counts = {"place": rows[-1]["number"], "cards": len(opened), "skipped": len(broken)}
    events = [_event(doing, export, "card.read", AuditOutcome.FAILED, f"card:{token}") for token in broken]
    facts = {"cards": len(opened), "skipped": len(broken), "batch": export.batches_done + 1}
    await stage(session, [*events, doing.event("cards.exported", f"export:{export.id}", **facts)])
    changed = await _change(session, export.id, COUNTED, counts, doing.at)
    await asyncio.to_thread(_append, path, line)  # what cannot be told is not written
    return changed


def _open_all(rows: list[Row], keys: Mapping[int, Dek], merchant_id: str) -> tuple[list[dict[str, str]], list[str]]:
    """The cards as the recipient reads them, and the tokens of those that do not open."""
    opened: list[dict[str, str]] = []
    broken: list[str] = []
    for row in rows:
        try:
            opened.append(_opened(row, keys, merchant_id))
        except (SealBroken, KeyError):
            broken.append(row["token"])
    return opened, broken


def _opened(row: Row, keys: Mapping[int, Dek], merchant_id: str) -> dict[str, str]:
    token, holder = row["token"], row["holder_sealed"]
    pan = sealing.unseal_pan(keys[row["key_number"]], row["pan_sealed"], token=token, merchant_id=merchant_id)
    card = {"token": token, "pan": pan.expose(), "expires_on": row["expires"]}
    if holder is not None:
        card["holder_name"] = sealing.unseal_holder(
            keys[number_in(holder)], holder, token=token, merchant_id=merchant_id
        )
    return card


def _closed(batch: Mapping[str, Any], recipient: ECKey) -> bytes:
    header = {"alg": KEY_ENCRYPTION, "enc": CONTENT_ENCRYPTION, "kid": recipient.thumbprint(), "typ": "cards+json"}
    plain = json.dumps(batch, ensure_ascii=False).encode()
    return (
        jwe.encrypt_compact(header, plain, recipient, algorithms=[KEY_ENCRYPTION, CONTENT_ENCRYPTION]).encode() + b"\n"
    )


def _public(recipient_key: Mapping[str, Any]) -> ECKey:
    try:
        key = ECKey.import_key(dict(recipient_key))
    except (JoseError, ValueError, TypeError, KeyError):
        raise ExportKeyRefused from None
    if key.is_private or key.curve_name != "P-256":
        raise ExportKeyRefused
    return key


def _append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _cut(path: Path, lines: int) -> None:
    """Leave so many lines; what came after them was never committed."""
    if lines == 0:
        path.write_bytes(b"")
        path.chmod(0o600)
        return
    with path.open("r+b") as file:
        for _ in range(lines):
            file.readline()
        file.truncate(file.tell())


async def _change(
    session: Session, export_id: str, what: str, arguments: Mapping[str, Any], at: datetime
) -> CardExport:
    changed = await session.execute(
        text(f"UPDATE card_exports SET {what}, advanced_at = :at WHERE id = :id RETURNING {COLUMNS}"),  # noqa: S608
        {**arguments, "id": export_id, "at": at},
    )
    return CardExport(**changed.mappings().one())


def _event(
    doing: CardDoing, export: CardExport, action: str, outcome: AuditOutcome = AuditOutcome.DONE, subject: str = ""
) -> AuditEvent:
    merchant_id = export.merchant_id
    subject = subject or f"export:{export.id}"
    return AuditEvent(action, doing.actor, doing.origin, subject, doing.at, outcome, merchant_id=merchant_id)
