"""``kopeyka evidence``: a pack is made from real databases, noted in the log, and checked by itself."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import psycopg
import pytest

from tests.api.cli.conftest import Kopeyka
from tests.conftest import VaultDatabase


def test_a_pack_is_made_of_what_is_there_and_checked(
    kopeyka: Kopeyka, vault_database: VaultDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOPEYKA_VAULT_MIGRATOR_DATABASE_URL", vault_database.migrator_url)
    pack, folder = tmp_path / "pack.zip", tmp_path / "data"

    made = kopeyka("evidence", str(pack), "--data-dir", str(folder))
    checked = kopeyka("evidence", "--check", str(pack), "--key", str(folder / "evidence" / "evidence.pub"))

    digest = hashlib.sha256(pack.read_bytes()).hexdigest()
    with zipfile.ZipFile(pack) as archive:
        told = {name: json.loads(archive.read(f"requirements/{name}.json")) for name in ("3.5.1", "10.7.2", "11.4.5")}
    with psycopg.connect(vault_database.superuser_url) as connection:
        events = [json.loads(row[0]) for row in connection.execute("SELECT event FROM audit_events")]
    assert (made.code, "failing: 10.7.2: 3 rows" in made.err, digest in made.out) == (1, True, True), made
    assert (checked.code, "whole, " in checked.out, digest in checked.out) == (0, True, True), checked
    assert {name: one["status"] for name, one in told.items()} == {
        "3.5.1": "met", "10.7.2": "failing", "11.4.5": "not_checked",
    }  # fmt: skip
    assert "the vault's listener does not answer" in told["11.4.5"]["why"]
    assert [one["subject"] for one in events if one["action"] == "evidence.made"] == [f"evidence:{digest}"]
