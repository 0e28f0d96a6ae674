"""``kopeyka sbp``: banks taken in and found, links looked at."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from api.sandbox import take_in_banks
from tests.api.cli.conftest import Kopeyka
from tests.conftest import Database

LINK = "https://qr.nspk.ru/AD10000000000000000000000000TEST?type=02&bank=100000000999&sum=149990&cur=RUB&crc=5B17"


def test_the_bundled_list_is_taken_in_once(kopeyka: Kopeyka) -> None:
    first = kopeyka("sbp", "banks", "import")
    again = kopeyka("sbp", "banks", "import")

    assert (first.code, first.out) == (0, "192 banks: 192 added, 0 changed, 0 gone, 0 as before.\n")
    assert again.out == "192 banks: 0 added, 0 changed, 0 gone, 192 as before.\n"


def test_a_file_of_nspks_own_form_is_taken_in(kopeyka: Kopeyka, tmp_path: Path) -> None:
    kopeyka("sbp", "banks", "import")
    file = tmp_path / "c2bmembers.json"
    file.write_text(json.dumps({"version": "1.0", "dictionary": [{"bankName": "Б", "schema": "bank100000000998"}]}))

    said = kopeyka("sbp", "banks", "import", str(file), "--json")

    done = json.loads(said.out)
    assert (done["added"], done["changed"], len(done["gone"]), done["unchanged"]) == (["Б"], [], 192, 0)
    assert json.loads(kopeyka("sbp", "banks", "list", "--json").out)[0]["id"] == "100000000998"


@pytest.mark.parametrize("text", [b"{", b"\xff", b'{"banks": []}'])
def test_a_file_that_is_no_list_writes_nothing(kopeyka: Kopeyka, tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "banks.json"
    file.write_bytes(text)

    assert kopeyka("sbp", "banks", "import", str(file)).code == 1
    assert kopeyka("sbp", "banks", "import", str(tmp_path / "nowhere.json")).code == 1
    assert json.loads(kopeyka("sbp", "banks", "list", "--json").out) == []


def test_banks_are_found_by_name(kopeyka: Kopeyka) -> None:
    kopeyka("sbp", "banks", "import")

    assert "Сбербанк" in kopeyka("sbp", "banks", "list", "--search", "СБЕР").out
    assert "Т-Банк" not in kopeyka("sbp", "banks", "list", "--search", "СБЕР").out


async def test_a_sandbox_begins_with_the_bundled_list_and_keeps_its_own(database: Database) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        await take_in_banks(database.app_url)
        assert connection.execute("SELECT count(*) FROM sbp_banks").fetchone() == (192,)
        connection.execute("UPDATE sbp_banks SET place = NULL, gone_at = now() WHERE place > 1")
        await take_in_banks(database.app_url)
        assert connection.execute("SELECT count(*) FROM sbp_banks WHERE place > 0").fetchone() == (1,)


def test_a_link_is_described(kopeyka: Kopeyka) -> None:
    said = kopeyka("sbp", "links", "check", LINK)
    told = json.loads(kopeyka("sbp", "links", "check", LINK, "--json").out)

    assert said.code == 0
    assert said.out.startswith("dynamic link AD10000000000000000000000000TEST, to the bank 100000000999, for 1499.90")
    assert (told["valid"], told["kind"], told["amount_kopecks"]) == (True, "dynamic", 149_990)


def test_everything_wrong_with_a_link_is_said(kopeyka: Kopeyka) -> None:
    wrong = LINK.replace("149990", "0").replace("RUB", "USD")
    said = kopeyka("sbp", "links", "check", wrong)
    told = json.loads(kopeyka("sbp", "links", "check", wrong, "--json").out)

    assert said.code == 1
    assert [line.partition(":")[0] for line in said.out.splitlines()] == ["sum", "currency", "check_sum"]
    assert list(told["flaws"]) == ["sum", "currency", "check_sum"]


def test_a_sandboxs_link_is_read_leniently(kopeyka: Kopeyka) -> None:
    said = kopeyka("sbp", "links", "check", "--lenient", LINK.replace("5B17", "0000"))

    assert (said.code, "forgiven: the check sum" in said.out) == (0, True)
