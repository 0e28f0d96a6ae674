from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from tests.api.cli.conftest import Kopeyka
from tests.conftest import Database


def test_sound_books_are_told_so(kopeyka: Kopeyka) -> None:
    told = kopeyka("verify")

    assert told.code == 0
    assert "holds" in told.out
    assert "broken" not in told.out


def test_broken_books_are_told_where_and_end_with_code_1(kopeyka: Kopeyka, database: Database) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute(
            """INSERT INTO accounts (book, number, code, commodity, normal_side, opened_at, debits_posted, version)
               VALUES (1, 7, 'asset:forged', 'RUB', 'debit', now(), 100, 1)"""
        )

    told = kopeyka("verify", "--json")

    assert told.code == 1
    broken = {row["proof"] for row in json.loads(told.out)["broken"]}
    assert {"trial_balance", "balances_equal_postings", "versions_contiguous"} <= broken
    assert kopeyka("verify").code == 1


@pytest.mark.parametrize("form", ["hledger", "beancount", "csv", "1c", "parquet"])
def test_the_book_is_exported(kopeyka: Kopeyka, tmp_path: Path, form: str) -> None:
    out = tmp_path / "book"

    told = kopeyka("export", form, "--out", str(out))

    assert (told.code, told.out) == (0, "")
    assert out.exists()


def test_an_export_goes_to_standard_output_but_parquet_does_not(kopeyka: Kopeyka) -> None:
    assert "commodity" in kopeyka("export", "hledger").out
    assert kopeyka("export", "parquet").code == 1


def test_the_database_is_compared_with_the_code(kopeyka: Kopeyka, database: Database) -> None:
    assert kopeyka("migrate", "--check").code == 0

    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("ALTER TABLE accounts ADD COLUMN colour text")

    told = kopeyka("migrate", "--check")
    assert told.code == 1
    assert "colour" in told.out
