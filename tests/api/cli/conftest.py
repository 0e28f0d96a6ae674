"""The command line, run in this process on the test's database."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from api.cli.main import main
from tests.conftest import Database


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


Kopeyka = Callable[..., Said]


@pytest.fixture
def kopeyka(database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Kopeyka:
    """Runs ``kopeyka`` with the given words."""
    monkeypatch.setenv("KOPEYKA_DATABASE_URL", database.app_url)
    monkeypatch.setenv("KOPEYKA_MIGRATOR_DATABASE_URL", database.migrator_url)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["kopeyka", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Said(code or 0, said.out, said.err)

    return run
