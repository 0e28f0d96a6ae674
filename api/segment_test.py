"""The segment test: from where the api stands, everything is tried that would lead to the vault; all of it must fail.

Tried for real, with the api's own role and user: the vault's database and tables, other roles, the server's files and
programs, the vault's listener without a certificate, the environment of the api's processes, and the files with keys.
A sandbox runs everything as one user of the operating system, so files there are told as not separated; in production
that is as bad as reached.
Source: PCI DSS 11.4.5, 11.4.6 (segmentation is tested, by service providers every six months), 10.7.2, A1.1.4.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.bootstrap import MIGRATOR, OWNER, VAULT_ROLES
from pci.audit_log.event import AuditEvent, AuditOutcome

CONNECT_SECONDS = 5
KEY_FILES = ("vault/kek.json", "vault/passphrase", "vault/certificates/vault.key", "vault/certificates/operator.key",
             "audit/signing.key", "secrets.json", "postgresql/PG_VERSION")  # fmt: skip
"""In a data directory: what the api's user has no business with."""
SECRETS_OF_OTHERS = ("KOPEYKA_VAULT_DATABASE_URL", "KOPEYKA_VAULT_MIGRATOR_DATABASE_URL", "KOPEYKA_VAULT_KEK_FILE",
                     "KOPEYKA_VAULT_KEK_PASSPHRASE", "KOPEYKA_VAULT_PKCS11_PIN", "KOPEYKA_VAULT_OPENBAO_TOKEN",
                     "KOPEYKA_VAULT_SEQUENCER_DATABASE_URL", "KOPEYKA_SEQUENCER_DATABASE_URL",
                     "KOPEYKA_MIGRATOR_DATABASE_URL")  # fmt: skip
"""What the environment of an api process never has."""
FORBIDDEN: Mapping[str, str] = {
    "the vault's cards": "SELECT * FROM cards",
    "the vault's keys": "SELECT * FROM keys",
    "the vault's volatile data": "SELECT * FROM sad_volatile",
    "passwords of roles": "SELECT rolpassword FROM pg_authid",
    "a link to another database": "CREATE EXTENSION dblink",
    "a foreign server": "CREATE EXTENSION postgres_fdw",
    "files of the server": "SELECT pg_read_file('postgresql.conf')",
    "folders of the server": "SELECT pg_ls_dir('.')",
    "a file by COPY": "COPY (SELECT 1) TO '/tmp/kopeyka-segment-test'",
    "a program by COPY": "COPY (SELECT 1) TO PROGRAM 'true'",
    "a file as a large object": "SELECT lo_import('/etc/hostname')",
    "an untrusted language": "CREATE LANGUAGE plpython3u",
}
"""Ways out of the api's own database."""


class TryOutcome(StrEnum):
    """What came of one try."""

    REFUSED = "refused"
    REACHED = "reached"
    NOT_SEPARATED = "not_separated"
    """The same user of the operating system runs both: a sandbox."""


@dataclass(frozen=True, slots=True)
class SegmentTry:
    """One way that was tried."""

    way: str
    outcome: TryOutcome
    said: str
    """How it was refused, in the other side's words."""


@dataclass(frozen=True, slots=True)
class Premises:
    """From where and at what a test is run."""

    app_url: str
    """The api's role on the database ``kopeyka``."""
    vault_database: str = "kopeyka_vault"
    vault_url: str = ""
    """The vault's service listener, as the api is told of it."""
    vault_postgres: str = ""
    """``host:port`` of the vault's own server, where it has one."""
    folder: Path | None = None
    """The data directory, where there is one."""
    api_pids: Sequence[int] = ()
    keeper_pids: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Processes that hold secrets, by what they are: whoever started the others, the vault, the sealer."""
    is_production: bool = False


def run_tries(premises: Premises) -> list[SegmentTry]:
    """Try every way."""
    return [
        *try_databases(premises),
        *try_roles(premises.app_url),
        *try_statements(premises.app_url),
        *try_listener(premises.vault_url),
        *try_environments(premises.api_pids),
        *try_keepers(premises),
        *try_files(premises),
    ]


def what_is_not_there(premises: Premises) -> str:
    """What does not answer where its owner says it is: refusals of it would prove nothing. Empty: all is there."""
    try:
        with psycopg.connect(premises.app_url, connect_timeout=CONNECT_SECONDS) as connection:
            asked = connection.execute("SELECT FROM pg_database WHERE datname = %s", [premises.vault_database])
            is_beside = asked.rowcount == 1
    except psycopg.Error as error:
        return f"the api's own database does not answer: {_why(str(error))}"
    host, _, port = premises.vault_postgres.rpartition(":")
    if not (port.isdigit() and _listens(host, int(port)) if premises.vault_postgres else is_beside):
        return f"the vault's database does not answer: {premises.vault_postgres or premises.vault_database}"
    place = urlsplit(premises.vault_url)
    if not place.hostname or not _listens(place.hostname, place.port or 443):
        return f"the vault's listener does not answer: {place.netloc or 'nobody named it'}"
    return ""


def _listens(host: str, port: int) -> bool:
    try:
        if host.startswith("/"):
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(CONNECT_SECONDS)
                line.connect(f"{host}/.s.PGSQL.{port}")
        else:
            socket.create_connection((host, port), CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def event_of(tries: Sequence[SegmentTry], *, origin: str, now: datetime, is_production: bool) -> AuditEvent:
    """What the log says of a test."""
    counts = {outcome.value: sum(one.outcome is outcome for one in tries) for outcome in TryOutcome}
    outcome = AuditOutcome.FAILED if is_broken(tries, is_production=is_production) else AuditOutcome.DONE
    return AuditEvent(
        "segmentation.tested",
        "system:segtest",
        origin,
        "segment:vault",
        now,
        outcome,
        facts={"tries": len(tries)} | counts,
    )


def is_broken(tries: Sequence[SegmentTry], *, is_production: bool) -> bool:
    """Whether something of the vault was reached."""
    bad = {TryOutcome.REACHED} | ({TryOutcome.NOT_SEPARATED} if is_production else set())
    return any(one.outcome in bad for one in tries)


def try_databases(premises: Premises) -> Iterator[SegmentTry]:
    """Connect with the api's role where it has no business."""
    given = conninfo_to_dict(premises.app_url)
    for name in (premises.vault_database, "postgres", "template1"):
        yield _connected(f"the database {name}", given | {"dbname": name})
    if premises.vault_postgres:
        host, _, port = premises.vault_postgres.rpartition(":")
        elsewhere = given | {"host": host, "port": port, "dbname": premises.vault_database}
        yield _connected(f"the vault's server {premises.vault_postgres}", elsewhere)


def _connected(way: str, given: Mapping[str, Any]) -> SegmentTry:
    try:
        psycopg.connect(make_conninfo(**given), connect_timeout=CONNECT_SECONDS).close()
    except psycopg.OperationalError as error:
        return SegmentTry(way, TryOutcome.REFUSED, _why(str(error)))
    return SegmentTry(way, TryOutcome.REACHED, "connected")


def try_roles(app_url: str) -> Iterator[SegmentTry]:
    """Become somebody who may."""
    for role in (*VAULT_ROLES, MIGRATOR, OWNER, "postgres", "pg_read_server_files", "pg_execute_server_program"):
        yield _executed(app_url, f"the role {role}", sql.SQL("SET ROLE {}").format(sql.Identifier(role)))


def try_statements(app_url: str) -> Iterator[SegmentTry]:
    """Leave the database by what PostgreSQL offers a superuser."""
    for way, statement in FORBIDDEN.items():
        yield _executed(app_url, way, sql.SQL(statement))


def _executed(app_url: str, way: str, statement: sql.SQL | sql.Composed) -> SegmentTry:
    try:
        with psycopg.connect(app_url, connect_timeout=CONNECT_SECONDS) as connection:
            connection.execute(statement)
            connection.rollback()
    except psycopg.Error as error:
        return SegmentTry(way, TryOutcome.REFUSED, error.diag.message_primary or _why(str(error)))
    return SegmentTry(way, TryOutcome.REACHED, "done")


def try_listener(vault_url: str) -> Iterator[SegmentTry]:
    """Ask the vault without showing a certificate."""
    if not vault_url:
        return
    place = urlsplit(vault_url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # whom we ask is not what is tested
    way = "the vault's listener without a certificate"
    try:
        answer = _ask(place.hostname or "", place.port or 443, context)
    except (OSError, ssl.SSLError) as error:
        yield SegmentTry(way, TryOutcome.REFUSED, getattr(error, "reason", None) or error.strerror or "closed")
    else:
        outcome = TryOutcome.REACHED if answer else TryOutcome.REFUSED
        yield SegmentTry(way, outcome, answer.decode("latin-1") or "closed without an answer")


def _ask(host: str, port: int, context: ssl.SSLContext) -> bytes:
    """The first line of what a server answers to a stranger. With TLS 1.3 it is refused at the first read."""
    with (
        socket.create_connection((host, port), CONNECT_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host) as line,
    ):
        line.sendall(b"GET /v1/health HTTP/1.1\r\nhost: vault\r\nconnection: close\r\n\r\n")
        return line.recv(64).partition(b"\r\n")[0]


def try_environments(pids: Sequence[int]) -> Iterator[SegmentTry]:
    """Look for the vault's secrets in what the api's processes were told."""
    for pid in pids:
        try:
            told = psutil.Process(pid).environ()
        except psutil.Error as error:
            yield SegmentTry(f"the environment of process {pid}", TryOutcome.REFUSED, type(error).__name__)
            continue
        known = [name for name in SECRETS_OF_OTHERS if told.get(name)]
        outcome = TryOutcome.REACHED if known else TryOutcome.REFUSED
        yield SegmentTry(f"the environment of api process {pid}", outcome, ", ".join(known) or "none of the vault's")


def try_keepers(premises: Premises) -> Iterator[SegmentTry]:
    """Read what the processes beside it were told, as the user that the api runs as.

    Source: proc(5): of a process that is not dumpable the files belong to root, whoever runs it.
    """
    uid = _uid_of(premises.api_pids)
    for name, pids in premises.keeper_pids.items():
        for pid in pids:
            way = f"the environment of the {name}, process {pid}"
            if not can_read(Path(f"/proc/{pid}/environ"), uid):
                yield SegmentTry(way, TryOutcome.REFUSED, f"user {uid} may not read it")
            else:
                bad = TryOutcome.REACHED if premises.is_production else TryOutcome.NOT_SEPARATED
                yield SegmentTry(way, bad, f"user {uid} may read it")


def try_files(premises: Premises) -> Iterator[SegmentTry]:
    """Read the files with keys, as the user that the api runs as."""
    if premises.folder is None:
        return
    uid = _uid_of(premises.api_pids)
    for name in KEY_FILES:
        path = premises.folder / name
        if _is_absent(path):
            continue
        if not can_read(path, uid):
            yield SegmentTry(f"the file {name}", TryOutcome.REFUSED, f"user {uid} may not read it")
        elif premises.is_production:
            yield SegmentTry(f"the file {name}", TryOutcome.REACHED, f"user {uid} may read it")
        else:
            yield SegmentTry(f"the file {name}", TryOutcome.NOT_SEPARATED, f"a sandbox runs all as user {uid}")


def can_read(path: Path, uid: int) -> bool:
    """Whether a user may read a file; asked as that user."""
    if uid == os.geteuid():
        return os.access(path, os.R_OK)
    program = shutil.which("test") or "/usr/bin/test"
    tried = subprocess.run([program, "-r", str(path)], user=uid, group=uid, extra_groups=[], cwd="/", check=False)
    return tried.returncode == 0


def _is_absent(path: Path) -> bool:
    """Whether there is no such file, as far as we are let to see."""
    try:
        return not path.exists()
    except PermissionError:
        return False


def _uid_of(pids: Sequence[int]) -> int:
    for pid in pids:
        if psutil.pid_exists(pid):
            return int(psutil.Process(pid).uids().real)
    return os.geteuid()


def _why(said: str) -> str:
    """The other side's reason, without where we had asked."""
    return ((said.partition("FATAL:")[2] or said).strip().splitlines() or ["refused"])[0].strip()
