"""The list of banks we keep: taken in whole from NSPK's file, read in its order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from ledger.database import Session, text
from sbp_gateway.banks import Bank, read_banks

BUNDLED = Path(__file__).parent / "data" / "sbp_banks.json"
"""The list of 2026-04-29, for sandboxes."""
_COLUMNS = tuple(field.name for field in fields(Bank))


@dataclass(frozen=True, slots=True)
class BankImport:
    """What taking a list in did. Names of banks."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    """Another name, place, package, flag or address; or listed again."""
    gone: tuple[str, ...]
    unchanged: int


def bundled_banks() -> list[Bank]:
    """The list that comes with the package."""
    return read_banks(BUNDLED.read_text("utf-8"))


async def import_banks(session: Session, banks: Sequence[Bank], *, now: datetime) -> BankImport:
    """Take a whole list in. The same list again changes nothing; banks no longer listed are kept as gone.

    Locks: other imports wait.
    """
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('sbp_banks', 4))"))
    kept = {row["id"]: row for row in await _rows(session)}
    wanted = {bank.id: {**asdict(bank), "place": place} for place, bank in enumerate(banks, 1)}
    fresh = {bank_id: row for bank_id, row in wanted.items() if _of_list(kept.get(bank_id)) != row}
    gone = [row for bank_id, row in kept.items() if bank_id not in wanted and row["gone_at"] is None]
    await _mark_gone(session, [row["id"] for row in gone], now)
    await _keep(session, list(fresh.values()), now)
    return BankImport(
        added=tuple(row["name"] for bank_id, row in fresh.items() if bank_id not in kept),
        changed=tuple(row["name"] for bank_id, row in fresh.items() if bank_id in kept),
        gone=tuple(row["name"] for row in gone),
        unchanged=len(wanted) - len(fresh),
    )


async def list_banks(session: Session) -> list[Bank]:
    """The banks of the list, in NSPK's order."""
    return [Bank(**{name: row[name] for name in _COLUMNS}) for row in await _rows(session) if row["place"] is not None]


async def _rows(session: Session) -> list[Mapping[str, Any]]:
    columns = ", ".join(_COLUMNS)
    found = await session.execute(
        text(f"SELECT {columns}, place, gone_at FROM sbp_banks ORDER BY place NULLS LAST, id")  # noqa: S608  # our names
    )
    return [dict(row) for row in found.mappings()]


def _of_list(row: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A kept row as the list says it; nothing for a bank that is gone."""
    return None if row is None else {name: row[name] for name in (*_COLUMNS, "place")}


async def _mark_gone(session: Session, bank_ids: Sequence[str], now: datetime) -> None:
    if bank_ids:
        await session.execute(
            text("UPDATE sbp_banks SET place = NULL, gone_at = :now WHERE id = ANY(CAST(:ids AS text[]))"),
            {"ids": list(bank_ids), "now": now},
        )


async def _keep(session: Session, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    if not rows:
        return
    names = (*_COLUMNS, "place")
    types = {"place": "int[]", "is_dr_active": "boolean[]", "is_web_client_active": "boolean[]"}
    arrays = ", ".join(f"CAST(:{name} AS {types.get(name, 'text[]')})" for name in names)
    changes = ", ".join(f"{name} = excluded.{name}" for name in names)
    await session.execute(
        text(f"""
            INSERT INTO sbp_banks ({", ".join(names)}, imported_at)
            SELECT n.*, CAST(:now AS timestamptz) FROM unnest({arrays}) AS n
                ON CONFLICT (id) DO UPDATE SET {changes}, imported_at = excluded.imported_at, gone_at = NULL
        """),  # noqa: S608  # our own column names
        {"now": now} | {name: [row[name] for row in rows] for name in names},
    )
