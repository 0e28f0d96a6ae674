"""One installation for all contracts: api over TLS, worker and simulators as processes of their own."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api import bootstrap
from api.callers import create_key
from api.postgres import Server
from checkout.bank_details import BankAccount, account_with_key
from ledger.database import create_engine, transaction
from tests.contracts.dolyame_world import dolyame_world  # noqa: F401  # a fixture: pytest finds it here
from tests.contracts.koshelek_pay_world import till_world  # noqa: F401  # as above
from tests.processes import Process
from tests.processes import start as start_process

READY_SECONDS_MAX = 90.0
CALL_SECONDS_MAX = 60.0
ACCOUNT = account_with_key(BankAccount("044525225", "40702810000000000001"))
SCOPES = ("orders:read", "orders:write", "refunds:write", "events:read")
keys = itertools.count(1)
MODULES = {"simulators": ["api.simulators"], "api": ["api.serve", "api.app:create_app"], "worker": ["api.worker"]}


@dataclass
class Shop:
    """A merchant that calls the contract."""

    id: str
    secret: str


@dataclass
class Installation:
    """Where everything is, and how a test plays the world around it."""

    url: str
    ca: str
    trust: ssl.SSLContext
    simulators: httpx.Client
    native: httpx.Client
    database_url: str
    start: Callable[[str], Process]
    processes: dict[str, Process]

    @property
    def contract_url(self) -> str:
        return f"{self.url}/contracts/yookassa/v3"

    def client(self, shop: Shop) -> httpx.Client:
        """A plain client of the contract, for what the public clients do not let through."""
        return httpx.Client(
            base_url=self.contract_url, auth=(shop.id, shop.secret), timeout=CALL_SECONDS_MAX, verify=self.trust
        )

    def faults(self, **rates: float) -> None:
        """Order faults; without any, all that tests order are healed."""
        rates = rates or {"lost_answer": 0.0}
        assert self.simulators.put("/simulator/faults", json=rates).status_code == 200

    def pays(self, payload: str, **how: Any) -> None:
        """The buyer scans the code and pays."""
        qrc_id = payload.rpartition("/")[2].partition("?")[0]
        answer = self.simulators.post("/simulator/payers/pay", json={"qrc_id": qrc_id, **how})
        assert answer.status_code == 200, answer.text

    def made(self, path: str, body: Any) -> Any:
        headers = {"idempotency-key": f"contract-key-{next(keys):012}"}
        answer = until(  # busy is no answer: a caller comes back
            lambda: self.native.post(path, json=body, headers=headers), lambda answer: answer.status_code != 503
        )
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def now(self) -> datetime:
        """The business time of the installation."""
        return datetime.fromisoformat(self.native.get("/v1/clock").json()["now"])

    def plates(self, count: int) -> list[str]:
        """Links of printed plates, under ids that NSPK set aside for anybody of the house."""
        reserved = self.made("/v1/sbp/cash-links/reservations", {"quantity": count})["qrc_ids"]
        return [f"https://qr.nspk.ru/{qrc_id}" for qrc_id in reserved]

    def shop(self, *, scopes: tuple[str, ...] = SCOPES) -> Shop:
        """A new merchant and its key."""
        merchant = self.made("/v1/merchants", {
            "name": "Пятница", "legal_name": "ООО «Пятница»", "inn": "7707083893", "tariff_group": "everyday",
            "bank_account": {"bik": ACCOUNT.bik, "number": ACCOUNT.number},
        })  # fmt: skip
        return Shop(merchant["id"], make_key(self.database_url, merchant["id"], scopes))


def make_key(database_url: str, merchant_id: str | None, scopes: tuple[str, ...]) -> str:
    async def make() -> str:
        engine = create_engine(database_url)
        async with transaction(engine) as session:
            _, secret = await create_key(
                session, name="contract", scopes=scopes, mode="test", merchant_id=merchant_id, now=datetime.now(UTC)
            )
        await engine.dispose()
        return secret.expose()

    return asyncio.run(make())


def until(read: Callable[[], Any], is_so: Callable[[Any], bool], seconds_max: float = 120.0) -> Any:
    """Read again and again until what is read is so."""
    deadline = time.monotonic() + seconds_max
    while not is_so(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def answers(client: httpx.Client, path: str, processes: dict[str, Process]) -> None:
    """Wait until a process answers; the first answer of a busy machine takes its time."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while True:
        assert all(process.poll() is None for process in processes.values()), "a process has ended"
        try:
            assert client.get(path).status_code == 200
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def listener() -> socket.socket:
    found = socket.socket()
    found.bind(("127.0.0.1", 0))
    found.listen(128)
    return found


def make_certificate(folder: Path) -> tuple[Path, Path, Path]:
    """A throw-away authority and a server certificate for 127.0.0.1: CA, certificate, key."""
    now = datetime.now(UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Kopeyka tests")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])

    def builder(subject: x509.Name, public: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(ca_name).public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )  # fmt: skip

    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    ca = builder(ca_name, ca_key.public_key()).add_extension(x509.BasicConstraints(True, None), critical=True)
    ca = ca.add_extension(usage, critical=True)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = builder(name, key.public_key()).add_extension(names, critical=False)
    paths = folder / "ca.pem", folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(leaf.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    paths[2].write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))  # fmt: skip
    return paths


@pytest.fixture(scope="module")
def installation(server: Server, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The real processes, with the api behind TLS. For one file: idle ones cost a run more than starting them again."""
    name = "kopeyka_contracts"
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER kopeyka_owner TEMPLATE {template}")
        bootstrap.restrict_database(connection, name, bootstrap.BOOKS_ROLES)
    folder = tmp_path_factory.mktemp("contracts")
    ca, certificate, key = make_certificate(folder)
    sockets = {"api": listener(), "simulators": listener()}
    urls = {each: f"127.0.0.1:{found.getsockname()[1]}" for each, found in sockets.items()}
    environment = {
        **os.environ,
        "KOPEYKA_DATABASE_URL": server.url("kopeyka_app", name),
        "KOPEYKA_PUBLIC_URL": f"https://{urls['api']}",
        "SSL_CERT_FILE": str(ca),  # for the simulator, which tells the api of payments
        **dict.fromkeys(
            ("KOPEYKA_NSPK_URL", "KOPEYKA_BANK_URL", "KOPEYKA_MESSAGES_URL"), f"http://{urls['simulators']}"
        ),
        "KOPEYKA_TLS_CERTIFICATE": str(certificate),
        "KOPEYKA_TLS_KEY": str(key),
        "KOPEYKA_LOG_LEVEL": "warning",
    }
    processes: dict[str, Process] = {}

    def start(each: str) -> Process:
        """Start a process, or start it again: its socket stays with us."""
        processes[each] = start_process(
            *MODULES[each],
            environment=environment | ({"KOPEYKA_LISTEN_FD": str(sockets[each].fileno())} if each in sockets else {}),
            pass_fds=(sockets[each].fileno(),) if each in sockets else (),
        )
        return processes[each]

    for each in MODULES:
        start(each)
    admin = make_key(server.url("kopeyka_app", name), None, ("admin",))
    trust = ssl.create_default_context(cafile=str(ca))
    try:
        with (
            httpx.Client(base_url=f"http://{urls['simulators']}", timeout=CALL_SECONDS_MAX) as simulators,
            httpx.Client(
                base_url=f"https://{urls['api']}", timeout=CALL_SECONDS_MAX, verify=trust,
                headers={"authorization": f"Bearer {admin}"},
            ) as native,
        ):  # fmt: skip
            found = Installation(
                f"https://{urls['api']}",
                str(ca),
                trust,
                simulators,
                native,
                server.url("kopeyka_app", name),
                start,
                processes,
            )
            answers(simulators, "/simulator/summary", processes)
            answers(native, "/v1/events", processes)
            yield found
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
        for found_socket in sockets.values():
            found_socket.close()
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass
class Receiver:
    """A shop's own server: takes notifications, and may answer badly first."""

    url: str
    answers: list[int] = field(default_factory=list)
    """Statuses to answer with, one a notification; 200 after that."""
    received: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server on this machine that keeps what it is told."""
    found = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            found.received.append(body)
            self.send_response(found.answers.pop(0) if found.answers else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        found.url = f"http://127.0.0.1:{http.server_address[1]}/notifications"
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield found
        http.shutdown()
        thread.join()
