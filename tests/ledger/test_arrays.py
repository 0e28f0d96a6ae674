"""Lists reach PostgreSQL as they are, whatever is in them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.database import PlainListDumper, array_of
from tests.conftest import Database

TEXTS = st.lists(st.none() | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(texts=TEXTS, numbers=st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_texts_and_numbers_arrive_as_they_are(database: Database, texts: list[Any], numbers: list[int]) -> None:
    with psycopg.connect(database.app_url) as connection:
        row = connection.execute("SELECT CAST(%s AS text[]), CAST(%s AS bigint[])", [texts, numbers]).fetchone()
    assert row == (texts, numbers)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("date[]", [date(2026, 12, 6), None, date(1, 1, 1), date.max]),
        ("timestamptz[]", [datetime(2026, 12, 6, 9, 1, 2, 3, tzinfo=UTC), None]),
        ("bytea[]", [b"\x00\xff", b'"\\', None, b""]),
        ("bigint[]", [1, None, -(2**63)]),
        ("integer[]", [None, None]),
        ("boolean[]", [True, False]),
        ("jsonb[]", ['{"a": "\\"x\\\\y\\", {b}"}']),
        ("text[]", ["NULL", "", "{a,b}", 'say "no"', "back\\slash", "строка"]),
        ("text[]", []),
    ],
)
def test_all_else_arrives_as_ever(database: Database, kind: str, values: list[Any]) -> None:
    with psycopg.connect(database.app_url) as connection:
        assert connection.adapters.get_dumper(list, psycopg.adapt.PyFormat.AUTO) is PlainListDumper
        row = connection.execute(f"SELECT CAST(%s AS {kind})", [values]).fetchone()  # type: ignore[arg-type]
    found = row[0] if row else None
    assert (found if kind != "jsonb[]" else [str(each["a"]) for each in found or []]) == (
        values if kind != "jsonb[]" else ['"x\\y", {b}']
    )


def test_a_zero_byte_is_refused_as_ever(database: Database) -> None:
    assert array_of(["a\x00"]) is None
    with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.DataError):
        connection.execute("SELECT CAST(%s AS text[])", [["a\x00"]])
