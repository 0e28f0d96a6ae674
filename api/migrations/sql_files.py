"""SQL files of migrations, given to the driver as they are: neither ``:`` nor ``%`` means anything."""

from __future__ import annotations

from pathlib import Path

from alembic import op

FOLDER = Path(__file__).parent / "sql"


def run_sql_file(name: str) -> None:
    """Run every statement of ``sql/<name>`` in the migration's transaction."""
    run_sql((FOLDER / name).read_text(encoding="utf-8"))


def run_sql(statements: str) -> None:
    """Run statements in the migration's transaction."""
    driver_connection = op.get_bind().connection.driver_connection
    assert driver_connection is not None
    driver_connection.execute(statements)
