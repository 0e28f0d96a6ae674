from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api import bootstrap, data_dir
from api.data_dir import StartRefused
from api.postgres import Server, processes_of, reachable_binaries
from tests.conftest import Database


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's user may enter, gone after the test."""
    root = Path(tempfile.mkdtemp(prefix="kopeyka-tests-"))
    root.chmod(0o711)
    yield root
    shutil.rmtree(root)


@pytest.fixture
def own_server(folder: Path) -> Iterator[Server]:
    """A durable server of this test alone."""
    server = Server(data_dir.prepare(folder / "data"))
    lock = data_dir.hold(server.place)
    server.start()
    yield server
    server.stop()
    lock.release()


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.faults
def test_what_is_committed_survives_the_death_of_the_server(own_server: Server) -> None:
    url = own_server.url("postgres", "postgres")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
    assert own_server.pid is not None

    os.kill(own_server.pid, signal.SIGKILL)
    while own_server.pid is not None:
        time.sleep(0.01)
    own_server.start()

    assert ask(url, "SELECT number FROM kept") == [(1,)]


@pytest.mark.faults
def test_a_server_that_outlived_its_supervisor_makes_way(own_server: Server) -> None:
    orphan = own_server.process
    assert orphan is not None
    successor = Server(own_server.place)

    successor.start()

    assert orphan.wait(60) == 0
    assert ask(successor.url("postgres", "postgres"), "SELECT 1") == [(1,)]
    successor.stop()
    assert processes_of(successor.place) == []


@pytest.mark.faults
def test_a_stale_pid_that_a_stranger_has_now_does_not_stop_a_start(own_server: Server) -> None:
    pid_file = own_server.place.cluster / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    own_server.stop()
    stranger = subprocess.Popen(["sleep", "60"])
    pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")

    own_server.start()

    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_second_start_on_the_same_data_is_refused_with_the_pid(own_server: Server) -> None:
    with pytest.raises(StartRefused, match=rf"already runs on .* \(pid {os.getpid()}\)"):
        data_dir.hold(own_server.place)


def test_only_we_can_read_the_secrets_and_enter_the_cluster(own_server: Server) -> None:
    place = own_server.place

    assert stat.S_IMODE((place.path / "secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((place.path / "postgresql.log").stat().st_mode) == 0o600
    assert stat.S_IMODE(place.cluster.stat().st_mode) == 0o700
    assert stat.S_IMODE(place.run.stat().st_mode) == 0o700


def test_folders_that_are_not_ours_keep_their_modes(own_server: Server) -> None:
    assert stat.S_IMODE(own_server.place.path.parent.stat().st_mode) == 0o711
    assert stat.S_IMODE(reachable_binaries(own_server.place.user).stat().st_mode) & 0o022 == 0


def test_the_server_is_durable_and_listens_on_no_network(own_server: Server) -> None:
    wanted = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "listen_addresses": "",
        "server_encoding": "UTF8",
        "password_encryption": "scram-sha-256",
    }

    told = ask(own_server.url("postgres", "postgres"), "SELECT name, setting FROM pg_settings")

    assert {name: value for name, value in told if name in wanted} == wanted


def test_a_folder_with_files_of_others_is_refused(folder: Path) -> None:
    (folder / "thesis.txt").touch()

    with pytest.raises(StartRefused, match="not empty and not ours"):
        data_dir.prepare(folder)


def test_a_long_path_moves_the_socket_and_not_the_data(folder: Path) -> None:
    place = data_dir.prepare(folder / ("long" * 25))
    server = Server(place)
    lock = data_dir.hold(place)

    server.start()

    assert ask(server.url("postgres", "postgres"), "SELECT 1") == [(1,)]
    assert not server.socket_dir.is_relative_to(place.path)
    server.stop()
    assert not server.socket_dir.exists()
    lock.release()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_root_is_told_when_the_server_could_not_reach_the_data(folder: Path) -> None:
    folder.chmod(0o700)

    with pytest.raises(StartRefused, match="cannot reach"):
        data_dir.prepare(folder / "data")

    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    ("role", "name"),
    [("kopeyka_app", "kopeyka_vault"), ("kopeyka_sequencer", "kopeyka_vault"), ("kopeyka_vault", "kopeyka"),
     ("kopeyka_app", "postgres"), ("kopeyka_vault", "postgres"), ("kopeyka_app", "template1")],
    ids=lambda word: word,
)  # fmt: skip
def test_a_role_reaches_no_database_but_its_own(both_databases: Server, role: str, name: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(both_databases.url(role, name))


@pytest.mark.parametrize(("role", "name"), [("kopeyka_app", "kopeyka"), ("kopeyka_vault", "kopeyka_vault")])
def test_a_role_makes_nothing_in_its_database(both_databases: Server, role: str, name: str) -> None:
    with (
        psycopg.connect(both_databases.url(role, name)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE forged (number integer)")


def test_a_database_of_a_test_is_as_closed_as_a_real_one(server: Server, database: Database) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(server.url("kopeyka_vault", database.name))


def test_the_file_for_servers_of_others_makes_the_same_roles(both_databases: Server, own_server: Server) -> None:
    psql = reachable_binaries(own_server.place.user) / "psql"
    words = [f"--set={role}_password=x" for role in ("migrator", "app", "sequencer", "vault", "vault_sequencer")]
    subprocess.run(
        [psql, own_server.url("postgres", "postgres"), "-q", "--set=ON_ERROR_STOP=1", *words,
         "-f", Path(__file__).parents[2] / "deploy" / "roles.sql"],
        check=True, capture_output=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip

    for database in bootstrap.DATABASES:
        assert rights(own_server, database) == rights(both_databases, database)


def rights(server: Server, database: str) -> list[tuple[Any, ...]]:
    """Who may do what in a database, as its catalogues say."""
    return ask(
        server.url("postgres", database),
        """SELECT 'role', rolname, rolcanlogin::text, '' FROM pg_roles WHERE rolname LIKE 'kopeyka%'
           UNION ALL SELECT 'member', roleid::regrole::text, member::regrole::text, '' FROM pg_auth_members
            WHERE roleid::regrole::text LIKE 'kopeyka%'
           UNION ALL SELECT 'database', datname, pg_get_userbyid(datdba),
                  array(SELECT unnest(datacl)::text ORDER BY 1)::text
             FROM pg_database WHERE datname IN ('postgres', 'template1', current_database())
           UNION ALL SELECT 'schema', nspname, nspowner::regrole::text,
                  array(SELECT unnest(nspacl)::text ORDER BY 1)::text
             FROM pg_namespace WHERE nspname = 'public'
           ORDER BY 1, 2, 3""",
    )


@pytest.fixture(scope="module")
def both_databases(server: Server) -> Server:
    """The run's server with the two databases of an installation."""
    bootstrap.bootstrap(server.url("postgres", "postgres"), data_dir.passwords(server.place))
    return server
