"""Arrays in PostgreSQL's own bytes are the arrays that PostgreSQL reads, by a line and inside a session alike."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import psycopg
import pytest

from ledger.direct import Line
from ledger.entry import HAPPENED_BEFORE, HAPPENED_FROM
from ledger.sql_arrays import array, array_with_gaps, bigint, instant
from tests.conftest import Database

MOMENT = datetime(2026, 12, 6, 9, 1, 2, 3, tzinfo=timezone(timedelta(hours=3)))
VALUES: list[tuple[str, list[Any]]] = [
    ("int2", [1, 64, -(2**15), 2**15 - 1]),
    ("int4", [0, -(2**31), 2**31 - 1]),
    ("int8", [149_990, -(2**63), 2**63 - 1]),
    ("text", ["", "NULL", "{a,b}", 'say "no"', "back\\slash", "строка", "RUB"]),
    ("timestamptz", [MOMENT, HAPPENED_FROM, HAPPENED_BEFORE, datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]),
    ("uuid", ["0" * 32, "f" * 32, "01990000000070008000000000000001"]),
]


def read_back(kind: str, values: list[Any]) -> list[Any]:
    return [UUID(hex=value) for value in values] if kind == "uuid" else values


@pytest.mark.parametrize(("kind", "values"), [*VALUES, *((kind, []) for kind, _ in VALUES)])
async def test_each_kind_arrives_as_it_was(database: Database, kind: str, values: list[Any]) -> None:
    line = await Line.open(database.app_url)
    ((by_line, count),) = await line.call(f"SELECT $1::{kind}[], cardinality($1::{kind}[])", [array(kind, values)])
    await line.close()
    with psycopg.connect(database.app_url) as connection:
        row = connection.execute(f"SELECT %s::{kind}[]", [array(kind, values)]).fetchone()  # type: ignore[arg-type]

    assert (by_line, count) == (read_back(kind, values), len(values))
    assert row == (read_back(kind, values),)


@pytest.mark.parametrize(("kind", "values"), VALUES)
def test_what_is_missing_is_null(database: Database, kind: str, values: list[Any]) -> None:
    gaps = [None, *values, None]
    with psycopg.connect(database.app_url) as connection:
        row = connection.execute(
            f"SELECT %s::{kind}[]",  # type: ignore[arg-type]
            [array_with_gaps(kind, gaps)],
        ).fetchone()

    assert row == ([None, *read_back(kind, values), None],)


async def test_values_alone_arrive_too(database: Database) -> None:
    line = await Line.open(database.app_url)
    rows = await line.call("SELECT $1::int8, $2::timestamptz", [bigint(-(2**63)), instant(MOMENT)])
    await line.close()

    assert rows == [(-(2**63), MOMENT)]


def test_a_number_that_is_too_large_is_an_error_and_no_other_number() -> None:
    with pytest.raises(struct.error):
        array("int2", [2**15])
    with pytest.raises(struct.error):
        bigint(2**63)
