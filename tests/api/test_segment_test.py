"""The segment test tries for real, tells each refusal, and notices when something is reached."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.bootstrap import BOOKS_ROLES, restrict_database
from api.cli.segtest import vault_place
from api.evidence_probes import segment_tested
from api.installation import Databases
from api.segment_test import (
    FORBIDDEN,
    Premises,
    SegmentTry,
    TryOutcome,
    event_of,
    is_broken,
    run_tries,
    try_databases,
    try_environments,
    try_files,
    try_keepers,
    try_listener,
    try_roles,
    try_statements,
)
from api.vault_certificates import LinkCertificates, make_vault_certificates
from api.vault_tls import server_context
from tests.conftest import Database, VaultDatabase

RUNS_AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")


def test_the_apis_role_reaches_nothing_of_the_vault(database: Database, vault_database: VaultDatabase) -> None:
    tries = run_tries(Premises(database.app_url, vault_database=vault_database.name))

    assert len(tries) == 3 + 7 + len(FORBIDDEN)
    assert [one for one in tries if one.outcome is not TryOutcome.REFUSED] == []
    said = {one.way: one.said for one in tries}
    assert "permission denied for database" in said[f"the database {vault_database.name}"]
    assert said["the role kopeyka_vault"] == 'permission denied to set role "kopeyka_vault"'
    assert said["the vault's cards"] == 'relation "cards" does not exist'
    assert "permission denied" in said["files of the server"]
    assert not is_broken(tries, is_production=True)


def test_a_door_left_open_is_noticed(database: Database, vault_database: VaultDatabase) -> None:
    with psycopg.connect(vault_database.superuser_url, autocommit=True) as connection:
        connection.execute(f"GRANT CONNECT ON DATABASE {vault_database.name} TO kopeyka_app")
        try:
            tries = list(try_databases(Premises(database.app_url, vault_database=vault_database.name)))
        finally:
            connection.execute(f"REVOKE CONNECT ON DATABASE {vault_database.name} FROM kopeyka_app")

    assert tries[0] == SegmentTry(f"the database {vault_database.name}", TryOutcome.REACHED, "connected")
    assert is_broken(tries, is_production=False)


def test_a_role_given_too_much_is_noticed(database: Database) -> None:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("GRANT pg_read_server_files TO kopeyka_app")
        try:
            reached = {
                one.way
                for one in (*try_roles(database.app_url), *try_statements(database.app_url))
                if one.outcome is TryOutcome.REACHED
            }
        finally:
            connection.execute("REVOKE pg_read_server_files FROM kopeyka_app")
        restrict_database(connection, database.name, BOOKS_ROLES)

    assert "the role pg_read_server_files" in reached


def test_a_table_of_the_vault_in_the_apis_database_is_noticed(database: Database) -> None:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE cards (pan text); GRANT SELECT ON cards TO kopeyka_app")

    reached = [one.way for one in try_statements(database.app_url) if one.outcome is TryOutcome.REACHED]
    assert reached == ["the vault's cards"]


async def test_the_vaults_listener_refuses_who_shows_no_certificate(tmp_path: Path, now: datetime) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await writer.drain()
        writer.close()

    certificates = make_vault_certificates(tmp_path, now=now)
    own: LinkCertificates = certificates.of("vault")
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_context(own))
    async with server:
        port = server.sockets[0].getsockname()[1]
        (tried,) = await asyncio.to_thread(lambda: list(try_listener(f"https://127.0.0.1:{port}")))

    assert tried.outcome is TryOutcome.REFUSED, tried


def test_where_nothing_listens_nothing_is_proved(database: Database, vault_database: VaultDatabase) -> None:
    def why(**changed: str) -> str:
        known = {"app_url": database.app_url, "vault_database": vault_database.name, "vault_url": listening}
        result = segment_tested(Premises(**known | changed))  # type: ignore[arg-type]  # texts alone are changed
        assert bool(result.rows) is not bool(result.not_run)
        return result.not_run

    given = conninfo_to_dict(database.app_url)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as other:
        listening = f"https://127.0.0.1:{server.getsockname()[1]}"
        silent = f"127.0.0.1:{other.getsockname()[1]}"
        threading.Thread(target=lambda: [server.accept()[0].close() for _ in range(4)], daemon=True).start()
        other.close()

        assert why() == ""
        assert why(vault_postgres=f"{given['host']}:{given.get('port', '5432')}") == ""
        assert why(vault_url="") == "the vault's listener does not answer: nobody named it"
        assert why(vault_url=f"https://{silent}") == f"the vault's listener does not answer: {silent}"
        assert why(vault_postgres=silent) == f"the vault's database does not answer: {silent}"
        assert why(vault_database="nowhere") == "the vault's database does not answer: nowhere"
    nobody = make_conninfo(database.app_url, host="127.0.0.1", port=silent.rpartition(":")[2])
    assert why(app_url=nobody).startswith("the api's own database does not answer: ")


def test_the_vaults_place_is_known_from_its_address() -> None:
    books, beside = "postgresql://a@books:5432/kopeyka", "postgresql://v@books:5432/cards"

    assert vault_place(Databases(books)) == ("kopeyka_vault", "")
    assert vault_place(Databases(books, vault=beside)) == ("cards", "")
    assert vault_place(Databases(books, vault_migrator="postgresql://m@vault,spare/cards")) == ("cards", "vault:5432")


def test_secrets_of_the_vault_in_an_api_process_are_noticed() -> None:
    def told(environment: dict[str, str]) -> SegmentTry:
        command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, env=environment, **pipes) as child:  # type: ignore[call-overload]
            child.stdout.readline()
            (tried,) = try_environments([child.pid])
            child.communicate()
        return tried

    assert told({"KOPEYKA_DATABASE_URL": "x"}).outcome is TryOutcome.REFUSED
    found = told({"KOPEYKA_VAULT_KEK_PASSPHRASE": "x"})
    assert (found.outcome, found.said) == (TryOutcome.REACHED, "KOPEYKA_VAULT_KEK_PASSPHRASE")


@RUNS_AS_ROOT
@pytest.mark.parametrize(("is_protected", "outcome"), [(False, TryOutcome.REACHED), (True, TryOutcome.REFUSED)])
def test_what_a_neighbour_of_the_same_user_was_told_is_out_of_reach_once_it_is_protected(
    is_protected: bool, outcome: TryOutcome
) -> None:
    become = "import ctypes, os; os.setgroups([]); os.setgid(65534); os.setuid(65534); ctypes.CDLL(None).prctl(4, 1)"
    lines = ["from pci.hardening import protect_memory", become, "protect_memory()" if is_protected else "pass"]
    lines += ["import sys, time", "print('up', flush=True)", "time.sleep(120)"]
    drop = {"user": 65_534, "group": 65_534, "extra_groups": []}
    with (
        subprocess.Popen(["sleep", "120"], cwd="/", **drop) as of_the_api,  # type: ignore[call-overload]
        subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE) as neighbour,
    ):
        assert neighbour.stdout is not None
        assert neighbour.stdout.readline() == b"up\n"
        premises = Premises(
            "", api_pids=[of_the_api.pid], keeper_pids={"supervisor": [neighbour.pid]}, is_production=True
        )
        tries = list(try_keepers(premises))
        neighbour.kill()
        of_the_api.kill()

    assert [one.outcome for one in tries] == [outcome], tries


@pytest.mark.parametrize(("is_production", "outcome"), [(False, TryOutcome.NOT_SEPARATED), (True, TryOutcome.REACHED)])
def test_key_files_that_the_apis_user_may_read_are_told(
    is_production: bool, outcome: TryOutcome, tmp_path: Path
) -> None:
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "kek.json").write_text("{}")

    tries = list(try_files(Premises("", folder=tmp_path, is_production=is_production)))

    assert [(one.way, one.outcome) for one in tries] == [("the file vault/kek.json", outcome)]
    assert is_broken(tries, is_production=is_production) is is_production


@RUNS_AS_ROOT
def test_key_files_of_another_user_are_out_of_reach(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "vault").mkdir(mode=0o700)
    (tmp_path / "vault" / "kek.json").write_text("{}")
    with subprocess.Popen(["sleep", "60"], user=65_534, group=65_534, extra_groups=[], cwd="/") as nobody:
        tries = list(try_files(Premises("", folder=tmp_path, api_pids=[nobody.pid])))
        nobody.kill()

    assert [one.outcome for one in tries] == [TryOutcome.REFUSED]


def test_the_log_is_told_how_it_went(now: datetime) -> None:
    tries = [SegmentTry("a", TryOutcome.REFUSED, ""), SegmentTry("b", TryOutcome.NOT_SEPARATED, "")]

    event = event_of(tries, origin="x", now=now, is_production=False)
    bad = event_of([*tries, SegmentTry("c", TryOutcome.REACHED, "")], origin="x", now=now, is_production=False)

    assert (event.action, event.outcome) == ("segmentation.tested", "done")
    assert dict(event.facts) == {"tries": 2, "refused": 1, "reached": 0, "not_separated": 1}
    assert bad.outcome == "failed"
