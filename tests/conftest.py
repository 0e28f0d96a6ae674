"""Real PostgreSQL for tests: one server a run, one freshly migrated database a test."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck, settings

from api import bootstrap, data_dir, idempotency, migrate, rate_limit, till_memory
from api.event_catalogue import EVENT_TYPES
from api.postgres import Server
from api.routes import health
from ledger import database as ledger_database
from ledger import outbox
from ledger.clock import monotonic
from ledger.database import Engine, Session, create_engine
from ledger.outbox import Event
from tests import account_order

TEMPLATE = "kopeyka_template"
VAULT_TEMPLATE = "kopeyka_vault_template"
MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 4_000_000_000
"""Far more than a run needs; where the system gives less, as in small containers, the disk serves."""
ONE_INSTALLATION = "contracts/test_dolyame"
"""Files of Долями share an installation, so they go to one process."""
FILES_IN_ORDER = ("scenarios/", "properties/", "api/", "", ONE_INSTALLATION)
"""Files of minutes come first, so that none is left for one core at the end; Долями's come late, as the installation
that they share runs from the first of them to the end of the run."""
SMALL_FILE_TESTS = 12
"""Files with fewer come last and even out what the cores have left."""
MAKE_UP_EVENTS = {"test_outbox.py", "test_webhooks.py"}
"""Files of tests that are about events and not about what happened."""
PATIENCE_SECONDS = 60.0
"""In place of limits in fractions of a second after which our own doors say that they are busy: on a machine where four
test processes share two cores an answer within one of them is chance."""
IMPATIENT = (
    (ledger_database, "POOL_SECONDS_MAX"), (idempotency, "WAIT_SECONDS_MAX"), (till_memory, "RAILS_SECONDS_MAX"),
    (health, "READY_SECONDS_MAX"),
)  # fmt: skip
numbers = itertools.count(1)

settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")  # the same examples at every run; others by ``--hypothesis-profile=explore``
for module, name in IMPATIENT:
    assert getattr(module, name) < PATIENCE_SECONDS
    setattr(module, name, PATIENCE_SECONDS)


def pytest_configure(config: pytest.Config) -> None:
    """Tests mean the same on every machine: no setting of ours leaks in from outside."""
    for name in [name for name in os.environ if name.startswith("KOPEYKA_") and not name.startswith("KOPEYKA_TEST_")]:
        del os.environ[name]
    if "PYTEST_XDIST_WORKER" not in os.environ:
        keep_temporary_files_in_memory(config)


def keep_temporary_files_in_memory(config: pytest.Config) -> None:
    """A database is a thousand files, and making them on a disk is what a run would mostly do.

    What is under ``tmp_path`` stays on the disk, to be looked at. What runs left that were killed is removed first,
    as nobody empties memory for them.
    """
    if not MEMORY.is_dir():
        return
    for left in MEMORY.glob("kopeyka-run-*-*"):
        if not psutil.pid_exists(int(left.name.split("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    if shutil.disk_usage(MEMORY).free < MEMORY_BYTES_MIN:
        return
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix=f"kopeyka-run-{os.getpid()}-", dir=MEMORY))
    folder.chmod(0o711)  # PostgreSQL's user must get through
    config.add_cleanup(functools.partial(shutil.rmtree, folder, ignore_errors=True))
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files in the order in which processes are to take them; a file's tests keep theirs."""
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: (_turn(item.path, sizes[item.path]), -sizes[item.path], item.path))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A process takes a file, or the files that share an installation."""
    from xdist.scheduler import LoadFileScheduling  # only a run of several processes has it

    class ByInstallation(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return ONE_INSTALLATION if ONE_INSTALLATION in file else file

    return ByInstallation(config, log)


def _turn(path: Path, size: int) -> int:
    name = path.relative_to(Path(__file__).parent).as_posix()
    turn = max((start for start in FILES_IN_ORDER if name.startswith(start)), key=len)
    return len(FILES_IN_ORDER) if turn == "" and size < SMALL_FILE_TESTS else FILES_IN_ORDER.index(turn)


@dataclass(frozen=True)
class Database:
    """A fresh, migrated database and the roles' ways into it."""

    name: str
    app_url: str
    migrator_url: str
    sequencer_url: str
    superuser_url: str


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running server that goes away with the tests."""
    root = Path(tempfile.mkdtemp(prefix="kopeyka-tests-"))
    root.chmod(0o711)
    server = Server(data_dir.prepare(root / "data"), durable=False)
    lock = data_dir.hold(server.place)
    server.start()
    try:
        bootstrap.make_roles(server.url("postgres", "postgres"), data_dir.passwords(server.place))
        yield server
    finally:
        server.stop()
        lock.release()
        shutil.rmtree(root, ignore_errors=True)


def copy_database(server: Server, name: str, template: str, roles: tuple[str, ...]) -> None:
    """A copy by files: by the log, which is the default, costs two times as much."""
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER kopeyka_owner TEMPLATE {template} STRATEGY file_copy")
        bootstrap.restrict_database(connection, name, roles)


def database_on(server: Server, name: str) -> Database:
    return Database(
        name=name,
        app_url=server.url("kopeyka_app", name),
        migrator_url=server.url("kopeyka_migrator", name),
        sequencer_url=server.url("kopeyka_sequencer", name),
        superuser_url=server.url("postgres", name),
    )


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    """The name of a migrated database that others are copied from."""
    bootstrap.make_database(server.url("postgres", "postgres"), TEMPLATE, bootstrap.BOOKS_ROLES)
    migrate.upgrade(server.url("kopeyka_migrator", TEMPLATE))
    return TEMPLATE


@pytest.fixture
def empty_database(server: Server) -> Iterator[Database]:
    """A database with its roles and no table."""
    name = f"kopeyka_empty_{next(numbers)}"
    bootstrap.make_database(server.url("postgres", "postgres"), name, bootstrap.BOOKS_ROLES)
    yield database_on(server, name)
    drop_database(server, name)


@pytest.fixture
def database(server: Server, template: str) -> Iterator[Database]:
    """A fresh, migrated database for one test."""
    name = f"kopeyka_test_{next(numbers)}"
    copy_database(server, name, template, bootstrap.BOOKS_ROLES)
    yield database_on(server, name)
    drop_database(server, name)


@pytest.fixture
def watched_accounts(database: Database) -> None:
    """The test's database refuses a transaction that takes accounts out of their order."""
    account_order.watch(database.superuser_url)


def drop_database(server: Server, name: str) -> None:
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True)
class VaultDatabase:
    """A fresh, migrated database of the vault and the roles' ways into it."""

    name: str
    vault_url: str
    migrator_url: str
    sequencer_url: str
    superuser_url: str


def vault_database_on(server: Server, name: str) -> VaultDatabase:
    return VaultDatabase(
        name=name,
        vault_url=server.url("kopeyka_vault", name),
        migrator_url=server.url("kopeyka_migrator", name),
        sequencer_url=server.url("kopeyka_vault_sequencer", name),
        superuser_url=server.url("postgres", name),
    )


@pytest.fixture(scope="session")
def vault_template(server: Server) -> str:
    """The name of a migrated vault database that others are copied from."""
    bootstrap.make_database(server.url("postgres", "postgres"), VAULT_TEMPLATE, bootstrap.VAULT_ROLES)
    migrate.upgrade(server.url("kopeyka_migrator", VAULT_TEMPLATE), tree=migrate.Tree.VAULT)
    return VAULT_TEMPLATE


@pytest.fixture
def empty_vault_database(server: Server) -> Iterator[VaultDatabase]:
    """A database of the vault with its roles and no table."""
    name = f"kopeyka_vault_empty_{next(numbers)}"
    bootstrap.make_database(server.url("postgres", "postgres"), name, bootstrap.VAULT_ROLES)
    yield vault_database_on(server, name)
    drop_database(server, name)


@pytest.fixture
def vault_database(server: Server, vault_template: str) -> Iterator[VaultDatabase]:
    """A fresh, migrated database of the vault for one test."""
    name = f"kopeyka_vault_test_{next(numbers)}"
    copy_database(server, name, vault_template, bootstrap.VAULT_ROLES)
    yield vault_database_on(server, name)
    drop_database(server, name)


@pytest_asyncio.fixture
async def vault_engine(vault_database: VaultDatabase) -> AsyncIterator[Engine]:
    """The vault's engine on the test's database."""
    engine = create_engine(vault_database.vault_url)
    yield engine
    await engine.dispose()


@pytest_asyncio.fixture
async def engine(database: Database) -> AsyncIterator[Engine]:
    """The application's engine on the test's database."""
    engine = create_engine(database.app_url)
    yield engine
    await engine.dispose()


@pytest.fixture(autouse=True)
def logs_end_with_their_test() -> Iterator[None]:
    """An application made in a test writes its log to that test's standard error, which is closed after it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def events_are_as_the_catalogue_says(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test publishes in its own process is compared with the catalogue of events on its way."""
    if request.path.name in MAKE_UP_EVENTS:
        return
    publish_all = outbox.publish_all

    async def publish_known(session: Session, events: Sequence[Event], **how: Any) -> None:
        for event in events:
            assert event.type in EVENT_TYPES, f"{event.type} is not in api/event_catalogue.yaml"
            assert EVENT_TYPES[event.type].faults_of(event.data) == [], event
        await publish_all(session, events, **how)

    monkeypatch.setattr(outbox, "publish_all", publish_known)


@pytest.fixture
def buckets_stay_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a test takes, no caller gets an allowance back while it runs."""
    at = monotonic()
    monkeypatch.setattr(rate_limit, "monotonic", lambda: at)


@pytest.fixture
def now() -> datetime:
    """A fixed business time."""
    return datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
