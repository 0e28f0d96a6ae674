from __future__ import annotations

import json
from pathlib import Path

from tests.api.cli.conftest import Kopeyka
from tests.conftest import Database
from tests.sbp_gateway.registers.operations import DAY, lay, paid

OF_THE_DAY = ("--profile", "tbank", "--day", str(DAY))


def test_what_we_write_we_take_in_and_it_matches(kopeyka: Kopeyka, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "register.csv"
    lay(database.superuser_url, paid(3))

    written = kopeyka("sbp", "registers", "write", *OF_THE_DAY, "--out", str(file))
    told = kopeyka("sbp", "registers", "import", str(file), *OF_THE_DAY, "--json")

    assert "3 lines written" in written.err
    found = json.loads(told.out)
    assert (found["lines"], found["check"]["is_clean"], found["differences"]) == (3, True, [])


def test_a_check_is_repeated_and_shown(kopeyka: Kopeyka, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "register.csv"
    lay(database.superuser_url, paid(2))
    kopeyka("sbp", "registers", "write", *OF_THE_DAY, "--out", str(file))
    told = kopeyka("sbp", "registers", "import", str(file), *OF_THE_DAY, "--json")
    lay(database.superuser_url, paid(1, first=7))

    shown = kopeyka("sbp", "registers", "check", json.loads(told.out)["id"])

    assert "only_with_us: no line; with us pay_00000000000000000000000007: 1499.90" in shown.out
    assert "matched" in shown.out
    assert "payments: register 299981, ours 449971, books 449971 kopecks" in shown.out
    assert "register less ours -149990, ours less books 0" in shown.out


def test_an_operation_without_an_entry_is_shown(kopeyka: Kopeyka, database: Database) -> None:
    lay(database.superuser_url, paid(1), is_booked=False)

    told = kopeyka("sbp", "registers", "import", "--absent", *OF_THE_DAY)

    assert "differs_from_books: no entry; with us pay_00000000000000000000000001: 1499.90" in told.out


def test_a_day_without_a_file_is_told(kopeyka: Kopeyka, database: Database) -> None:
    lay(database.superuser_url, paid(1))

    told = kopeyka("sbp", "registers", "import", "--absent", *OF_THE_DAY)

    assert told.code == 0
    assert "only_with_us" in told.out


def test_a_refusal_is_one_line_with_the_place(kopeyka: Kopeyka, tmp_path: Path) -> None:
    file = tmp_path / "register.csv"
    file.write_text("1;2;3\r\n")

    neither = kopeyka("sbp", "registers", "import", *OF_THE_DAY)
    broken = kopeyka("sbp", "registers", "import", str(file), *OF_THE_DAY)
    unknown = kopeyka("sbp", "registers", "import", str(file), "--profile", "sber", "--day", str(DAY))

    assert (neither.code, broken.code, unknown.code) == (1, 1, 1)
    assert "Give the bank's FILE" in neither.err
    assert "line: 1" in broken.err
    assert "raiffeisen_sbp" in unknown.err
