from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from api.cli.lazy import load
from api.cli.main import COMMANDS
from tests.api.cli.conftest import Kopeyka


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        pytest.param("KOPEYKA_WORKERS", "0", "KOPEYKA_WORKERS: Input should be", id="a setting out of range"),
        pytest.param("KOPEYKA_DATABASE_URL", "mysql://x", "must look like postgresql://", id="not PostgreSQL"),
        pytest.param(
            "KOPEYKA_DATABASE_URL", "postgresql:///x?host=/nonexistent", "PostgreSQL says: ", id="no server there"
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(
    kopeyka: Kopeyka, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)

    told = kopeyka("clock", "show")

    assert (told.code, told.out) == (1, "")
    assert said in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("role", ["api", "worker"])
def test_a_role_alone_needs_a_database(kopeyka: Kopeyka, monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    monkeypatch.delenv("KOPEYKA_DATABASE_URL")

    told = kopeyka("up", "--role", role)

    assert told.code == 1
    assert "set KOPEYKA_DATABASE_URL" in told.err


def test_more_connections_than_there_are_is_refused(
    kopeyka: Kopeyka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KOPEYKA_DATABASE_URL")
    monkeypatch.delenv("KOPEYKA_MIGRATOR_DATABASE_URL")
    monkeypatch.setenv("KOPEYKA_WORKERS", "64")

    told = kopeyka("up", "--data-dir", str(tmp_path))

    assert told.code == 1
    assert "lower KOPEYKA_WORKERS" in told.err
    assert list(tmp_path.iterdir()) == []


def test_simulators_are_refused_in_production(kopeyka: Kopeyka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOPEYKA_MODE", "production")

    told = kopeyka("up", "--role", "simulators")

    assert told.code == 1
    assert "do not run with real money" in told.err


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "KOPEYKA_NSPK_URL"),
        ("http://127.0.0.1:1", "must be https:// with mutual TLS"),
        ("https://nspk.test", "set KOPEYKA_NSPK_CA_FILE, KOPEYKA_NSPK_CERT_FILE and KOPEYKA_NSPK_KEY_FILE"),
    ],
)
def test_production_does_not_start_without_mutual_tls(
    kopeyka: Kopeyka, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("KOPEYKA_MODE", "production")
    monkeypatch.setenv("KOPEYKA_NSPK_URL", url)

    told = kopeyka("up", "--role", "worker")

    assert told.code == 1
    assert said in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("name", ["KOPEYKA_BANK_URL", "KOPEYKA_PAYOUT_BANK_URL"])
def test_a_bank_far_away_is_not_asked_for_payouts_in_the_open(
    kopeyka: Kopeyka, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://bank.test")

    told = kopeyka("up", "--role", "worker")

    assert told.code == 1
    assert f"{name} must be https://" in told.err
    assert told.err.count("\n") == 1


def test_the_description_of_the_api_is_printed(kopeyka: Kopeyka) -> None:
    told = kopeyka("openapi")

    assert json.loads(told.out)["openapi"].startswith("3.1")


def test_the_table_s_line_of_a_command_is_the_first_of_its_help() -> None:
    told = {name: load(name, COMMANDS).help or "" for name in COMMANDS}

    firsts = {name: " ".join(words.partition("\n\n")[0].split()) for name, words in told.items()}
    assert firsts == {name: line for name, (_, line) in COMMANDS.items()}


@pytest.mark.parametrize(
    "words", [pytest.param([], id="the table"), pytest.param(["keys", "list"], id="a small command")]
)
def test_a_command_imports_neither_the_application_nor_the_migrations(words: list[str]) -> None:
    asked = f"import sys; from api.cli.main import app; app({[*words, '--help']}, standalone_mode=False)"
    loaded = "print(*{'api.app', 'fastapi', 'alembic', 'aiohttp'} & sys.modules.keys(), 'these')"

    done = subprocess.run([sys.executable, "-c", f"{asked}; {loaded}"], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "these"


def test_an_unknown_command_is_told_with_the_nearest(kopeyka: Kopeyka) -> None:
    told = kopeyka("kes")

    assert told.code == 2
    assert "Did you mean 'keys'?" in told.err
