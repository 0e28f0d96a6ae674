from __future__ import annotations

from pathlib import Path

import psycopg

from tests.api.cli.conftest import Kopeyka
from tests.api.test_rail_constraints import MERCHANT, insert
from tests.api.test_rail_constraints import ROWS as RAIL
from tests.conftest import Database

LIST = "Номер,Название,Адрес,Регион,Касс\n0117,На Тверской,Москва,msk,2\n"


def test_a_list_of_stores_is_taken_in_once(kopeyka: Kopeyka, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "stores.csv"
    file.write_bytes(LIST.encode("cp1251"))
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        insert(connection, "merchants", RAIL["merchants"])

    first, again = (kopeyka("stores", "import", str(file), "--merchant", MERCHANT) for _ in range(2))

    assert "1 stores opened, 0 changed, 0 as before; 2 tills added" in first.out
    assert "0 stores opened, 0 changed, 1 as before; 0 tills added" in again.out


def test_a_bad_list_says_its_lines_and_opens_nothing(kopeyka: Kopeyka, tmp_path: Path) -> None:
    file = tmp_path / "stores.csv"
    file.write_text(LIST + "№,,,,\n", encoding="utf-8")

    refused = kopeyka("stores", "import", str(file), "--merchant", MERCHANT)

    assert (refused.code != 0, "3: number" in refused.err) == (True, True)
