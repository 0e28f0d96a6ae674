"""The server's log says that a statement of the vault failed, and never with what values."""

from __future__ import annotations

import psycopg
import pytest

from api.bootstrap import QUIET
from api.postgres import Server
from tests.conftest import VaultDatabase

MIR = "2200111753579001"


@pytest.mark.parametrize("setting", QUIET)
def test_the_vault_is_quiet_and_cannot_be_made_to_talk(setting: str, vault_database: VaultDatabase) -> None:
    with psycopg.connect(vault_database.vault_url, autocommit=True) as connection:
        (value,) = connection.execute("SELECT setting FROM pg_settings WHERE name = %s", [setting]).fetchone() or ("",)

        assert value == QUIET[setting]
        if setting == "log_parameter_max_length_on_error":
            return  # anybody may set it, and terse lines leave its context out
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SET {setting} TO DEFAULT")


def test_values_of_a_failed_statement_are_not_in_the_servers_log(server: Server, vault_database: VaultDatabase) -> None:
    """Even where the server's own settings would have them: a line from the same session shows that it writes."""
    with psycopg.connect(vault_database.vault_url, autocommit=True) as connection:
        connection.execute("DO $$ BEGIN RAISE WARNING 'a line of this test'; END $$")
        connection.execute("SET log_parameter_max_length_on_error = -1")
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            connection.execute("SELECT %s::text::uuid", [f"card {MIR}"], prepare=True)
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / (length(%s) - 16)", [MIR], prepare=True)

    log = (server.place.path / "postgresql.log").read_text()
    assert "a line of this test" in log
    assert "division by zero" in log
    assert "length(" not in log
