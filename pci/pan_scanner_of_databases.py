"""Looks for card numbers in every column of a database that could hold one, and in its planner's statistics.

PostgreSQL looks for 13 digits first and sends only rows that have them. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from pci.pan_allowed import AllowedPans
from pci.pan_scanner import Finding, UnreadPlace, scan_text

DIGITS: Final = "[0-9]([ -]?[0-9]){12}"
"""Thirteen digits with single spaces or dashes between, as PostgreSQL writes it."""
HEX_DIGITS: Final = "3[0-9]((20|2d)?(00)?3[0-9]){12}"
"""The same in the hexadecimal form of bytes, also as UTF-16."""
ROWS_AT_ONCE: Final = 500
FINDINGS_OF_COLUMN_MAX: Final = 100
"""A column full of card numbers is told of once enough."""

_COLUMNS: Final = """
SELECT n.nspname, c.relname, a.attname,
       coalesce(nullif(t.typbasetype, 0)::regtype::text, t.oid::regtype::text) = 'bytea'
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%%'
   AND t.oid::regtype::text <> ALL (%(never)s)
 ORDER BY 1, 2, a.attnum
"""
_NEVER: Final = [
    "uuid", "boolean", "smallint", "integer", "oid", "real", "double precision", "date", "time without time zone",
    "timestamp without time zone", "timestamp with time zone", "interval", "inet", "cidr", "macaddr", "money",
    "xid8", "pg_lsn", "regclass", "bit", "tid",
]  # fmt: skip
"""Types that cannot hold 13 digits in a row, or never hold what a person typed."""


def scan_database(connection: psycopg.Connection[Any], allowed: AllowedPans) -> Iterator[Finding]:
    """Every column of every table the connection's role sees; what it may not read is told."""
    connection.read_only = True
    columns = connection.execute(_COLUMNS, {"never": _NEVER}).fetchall()
    connection.rollback()
    for schema, table, column, is_bytes in columns:
        place = f"{schema}.{table}.{column}"
        try:
            yield from _scan_column(connection, (schema, table, column), is_bytes, allowed)
        except psycopg.Error as error:
            yield UnreadPlace(place, (error.diag.message_primary or type(error).__name__))
        finally:
            connection.rollback()
    yield from _scan_statistics(connection, allowed)


def _scan_column(
    connection: psycopg.Connection[Any], name: tuple[str, str, str], is_bytes: bool, allowed: AllowedPans
) -> Iterator[Finding]:
    schema, table, column = name
    shown, pattern = ("encode({}, 'hex')", HEX_DIGITS) if is_bytes else ("{}::text", DIGITS)
    text = sql.SQL(shown).format(sql.Identifier(column))
    query = sql.SQL("SELECT ctid::text, {} FROM ONLY {} WHERE {} ~ {}").format(
        text, sql.Identifier(schema, table), text, sql.Literal(pattern)
    )
    found = 0
    with connection.cursor("pan_scan", row_factory=tuple_row) as cursor:
        cursor.itersize = ROWS_AT_ONCE
        for row, value in cursor.execute(query):
            for finding in scan_text(_read(value, is_bytes), f"{schema}.{table}.{column} {row}", allowed):
                yield finding
                found += 1
            if found >= FINDINGS_OF_COLUMN_MAX:
                yield UnreadPlace(f"{schema}.{table}.{column}", f"more than {found} findings: the rest is not listed")
                return


def _read(value: str, is_bytes: bool) -> str:
    return bytes.fromhex(value).replace(b"\0", b"").decode("latin-1") if is_bytes else value


def _scan_statistics(connection: psycopg.Connection[Any], allowed: AllowedPans) -> Iterator[Finding]:
    """Samples of values that the planner keeps, which a deleted row outlives."""
    rows = connection.execute(
        "SELECT schemaname, tablename, attname, concat_ws(' | ', most_common_vals::text, histogram_bounds::text)"
        " FROM pg_stats WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall()
    connection.rollback()
    for schema, table, column, samples in rows:
        yield from scan_text(samples or "", f"statistics of {schema}.{table}.{column}", allowed)
