"""``kopeyka vault``: its state, its certificates, and its page as a browser gets it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from api.cli.main import app
from tests.api.vault_process import VaultProcess, vault_process
from tokenization import page_check

pytestmark = pytest.mark.faults


@pytest.fixture
def vault(vault_database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VaultProcess]:
    with vault_process(vault_database.vault_url, tmp_path) as running:
        running.until_alive()
        monkeypatch.setenv("KOPEYKA_VAULT_URL", running.url)
        for name, value in running.certificates.environment("api").items():
            monkeypatch.setenv(name, value)
        yield running


def events_of(database: Any) -> list[str]:
    with psycopg.connect(database.superuser_url) as connection:
        rows = connection.execute("SELECT convert_from(event, 'UTF8') FROM audit_events ORDER BY 1").fetchall()
        return [str(row[0]) for row in rows if "page.checked" in row[0]]


def test_the_vault_is_looked_at_and_its_page_checked(
    vault: VaultProcess, vault_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = CliRunner()

    status = run.invoke(app, ["vault", "status", "--json"])
    good = run.invoke(app, ["vault", "page", "check", "--json"])
    monkeypatch.setitem(page_check.BASELINE["files"], "/assets/card_form.js", "another")
    bad = run.invoke(app, ["vault", "page", "check"])

    assert (status.exit_code, json.loads(status.stdout)["state"]) == (0, "ready")
    assert json.loads(status.stdout)["certificate_days"]["vault"] > 800
    assert (good.exit_code, json.loads(good.stdout)) == (0, {"is_same": True, "differences": []})
    assert (bad.exit_code, bad.stdout) == (1, "file /assets/card_form.js\n")
    outcomes = sorted(json.loads(line)["outcome"] for line in events_of(vault_database))
    assert outcomes == ["done", "failed"]

    vault.kill()
    away = run.invoke(app, ["vault", "status"])
    assert (away.exit_code, "does not answer" in away.stdout) == (1, True)


def test_the_committed_baseline_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(app, ["vault", "page", "baseline"])

    assert json.loads(printed.stdout) == json.loads(
        (Path(page_check.__file__).parent / "pages/baseline.json").read_text()
    )
