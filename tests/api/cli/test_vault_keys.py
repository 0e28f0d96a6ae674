"""What an operator sees of keys at a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from api.cli import vault_keys
from api.data_dir import StartRefused

KEY = {
    "number": 7, "purpose": "card", "scope": "mer_01kaqz5vq8fpn9m9q4e6xw2v5d", "version": 2, "state": "active",
    "algorithm": "aes-256-gcm", "kek_provider": "file", "kek_version": "3", "encryptions": 65_536,
    "expires_at": "2027-11-22T09:00:00Z", "is_due": True,
}  # fmt: skip


def test_a_key_is_one_whole_line(capsys: pytest.CaptureFixture[str]) -> None:
    Console(width=vault_keys.WIDTH_MIN).print(vault_keys.register_table([KEY]))

    line = capsys.readouterr().out.splitlines()[1].split()
    assert line == [
        "7", "card", "mer_01kaqz5vq8fpn9m9q4e6xw2v5d", "2", "active", "aes-256-gcm", "file/3", "65536", "2027-11-22",
        "DUE",
    ]  # fmt: skip


def test_a_passphrase_that_opens_the_kek_is_called_what_it_is() -> None:
    kek = {"provider": "file", "storage_form": "passphrase", "version": "1", "is_for_production": False}

    assert vault_keys.kek_line(kek).endswith("Not for production.")
    assert "cannot be asked" in vault_keys.kek_line(None)


def test_where_no_vault_runs_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="kopeyka up"):
        vault_keys.ask(tmp_path, "GET", "")
