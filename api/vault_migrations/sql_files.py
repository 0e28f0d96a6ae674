"""SQL files of the vault's migrations, given to the driver as they are."""

from __future__ import annotations

from pathlib import Path

from api.migrations.sql_files import run_sql

FOLDER = Path(__file__).parent / "sql"


def run_sql_file(name: str) -> None:
    """Run every statement of ``sql/<name>`` in the migration's transaction."""
    run_sql((FOLDER / name).read_text(encoding="utf-8"))
