"""A real vault process on the test's database, and certificates of its world."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from api.serve import LISTEN_FD, PUBLIC_LISTEN_FD, listening_socket
from api.settings import Settings
from api.vault_certificates import LinkCertificates, VaultCertificates, make_vault_certificates
from api.vault_tls import client_context
from ledger.clock import machine_now
from tests.processes import Process, start

WAIT_SECONDS_MAX = 120


@dataclass
class VaultProcess:
    """Where it is, and how it is killed and started."""

    database_url: str
    folder: Path
    certificates: VaultCertificates
    service: socket.socket
    public: socket.socket
    extra: dict[str, str]
    process: Process | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.service.getsockname()[1]}"

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.public.getsockname()[1]}"

    def start(self) -> None:
        told = {
            LISTEN_FD: str(self.service.fileno()),
            PUBLIC_LISTEN_FD: str(self.public.fileno()),
            "KOPEYKA_VAULT_DATABASE_URL": self.database_url,
            "KOPEYKA_VAULT_KEK_FILE": str(self.folder / "key" / "kek.json"),
            "KOPEYKA_VAULT_KEK_PASSPHRASE": "correct horse battery",
            "KOPEYKA_AUDIT_FOLDER": str(self.folder / "audit"),
        } | dict(self.certificates.environment("vault"))
        given = {name: value for name, value in (os.environ | told | self.extra).items() if value}
        with (self.folder / "log").open("ab") as log:
            self.process = start(
                "api.serve_vault", environment=given, output=log.fileno(),
                pass_fds=[self.service.fileno(), self.public.fileno()],
            )  # fmt: skip

    def until_alive(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while True:
            assert self.process is not None
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            try:
                if httpx.get(self.origin + "/livez", timeout=10).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.05)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def link(self, role: str = "api") -> LinkCertificates:
        return self.certificates.of(role)

    def client(self, link: LinkCertificates | None = None, context: ssl.SSLContext | None = None) -> httpx.Client:
        """A caller with these certificates."""
        return httpx.Client(base_url=self.url, verify=context or client_context(link or self.link()), timeout=60)

    def settings(self, database: Any) -> Settings:
        """An api process that asks this vault."""
        own = self.link("api")
        return Settings(
            database_url=SecretStr(database.app_url), log_level="error", vault_url=self.url, vault_ca_file=own.ca,
            vault_cert_file=own.certificate, vault_key_file=own.key,
        )  # fmt: skip


@contextmanager
def vault_process(database_url: str, folder: Path, **extra: str) -> Iterator[VaultProcess]:
    """A vault that runs while the block does. Empty values in ``extra`` unset what it would be told."""
    certificates = make_vault_certificates(folder / "certificates", now=machine_now())
    with listening_socket("127.0.0.1", 0) as service, listening_socket("127.0.0.1", 0) as public:
        vault = VaultProcess(database_url, folder, certificates, service, public, extra)
        vault.start()
        try:
            yield vault
        finally:
            vault.stop()
