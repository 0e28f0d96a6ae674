"""Rows as PostgreSQL's own bytes are the rows that PostgreSQL reads."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest

from ledger.direct import Line
from tests.conftest import VaultDatabase
from tokenization import sql_rows
from tokenization.repository import COLUMN_TYPES

READ = "SELECT to_json(c) FROM unnest($1::new_card[]) AS c"
KINDS = [sql_rows.KINDS[kind] for kind in (*COLUMN_TYPES.values(), "bytea")]
FULL = (
    "tok_1", "mer_shop", "mer_shop/клуб", 2_147_483_647, b"\x00\xff", "fpr_1", -1, b"p", b"h", "220011", "9001", 19,
    "mir", "2029-12", "9999", datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), {"hosts": ['a"\\']}, b"e",
)  # fmt: skip
EMPTY = (None,) * len(FULL)


async def read(vault_database: VaultDatabase, *rows: tuple[object, ...]) -> list[list[object]]:
    line = await Line.open(vault_database.vault_url)
    try:
        sent = sql_rows.array(await line.type_number("new_card"), list(map(sql_rows.writer(KINDS), rows)))
        found = await line.call(READ, (sent,))
    finally:
        await line.close()
    return [list(row.values()) for (row,) in found]


async def test_each_kind_of_field_arrives_as_it_was_and_what_is_not_there_is_null(
    vault_database: VaultDatabase,
) -> None:
    full, empty = await read(vault_database, FULL, EMPTY)

    assert full == [
        "tok_1", "mer_shop", "mer_shop/клуб", 2_147_483_647, "\\x00ff", "fpr_1", -1, "\\x70", "\\x68", "220011", "9001",
        19, "mir", "2029-12", "9999", "1999-12-31T23:59:59.999999+00:00", {"hosts": ['a"\\']}, "\\x65",
    ]  # fmt: skip
    assert empty == list(EMPTY)


async def test_a_row_of_another_shape_is_refused_and_the_line_goes_on(vault_database: VaultDatabase) -> None:
    line = await Line.open(vault_database.vault_url)
    try:
        number = await line.type_number("new_card")
        with pytest.raises(psycopg.errors.DatatypeMismatch):
            await line.call(READ, (sql_rows.array(number, [sql_rows.writer(KINDS[:3])(FULL[:3])]),))
        with pytest.raises(psycopg.errors.UndefinedObject):
            await line.type_number("no_such_type")
        assert await line.type_number("new_card") == number
    finally:
        await line.close()


def test_as_many_values_as_the_type_has_fields() -> None:
    with pytest.raises(ValueError, match="shorter"):
        sql_rows.writer(KINDS)(FULL[:-1])


async def test_a_length_that_reads_as_a_percent_sign_is_a_length(vault_database: VaultDatabase) -> None:
    """37 is ``%``: in the field's length, and in what stands in it."""
    fields = {"token": "%" * 37, "first6": "%b", "number": 37}
    row = (fields["token"], *FULL[1:9], fields["first6"], FULL[10], fields["number"], *FULL[12:])

    (found,) = await read(vault_database, row)

    assert (found[0], found[9], found[11]) == ("%" * 37, "%b", 37)
