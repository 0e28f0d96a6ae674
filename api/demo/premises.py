"""An installation of the demo's own: ``kopeyka up`` in a temporary folder, stopped and removed at the end."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.demo.errors import DemoFailed
from api.processes import stop_with_parent
from ledger.clock import monotonic

READY_SECONDS_MAX = 90.0
STOP_SECONDS_MAX = 20.0
LOOK_SECONDS = 0.05
FREE_BYTES_MIN = 500_000_000
"""The whole file takes about half of that."""
RATE_A_SECOND = "1000000"
"""The demo is one caller that does the work of many tills."""


@dataclass(frozen=True, slots=True)
class Premises:
    """A running installation."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def runtime_file(self) -> Path:
        """Where the supervisor says what runs where."""
        return self.folder / "runtime.json"

    @property
    def log(self) -> Path:
        """What everybody of the installation says."""
        return self.folder / "log"

    def runtime(self) -> dict[str, Any]:
        """URLs, keys and process ids as of now; nothing before everybody is ready."""
        try:
            told: dict[str, Any] = json.loads(self.runtime_file.read_text())
        except FileNotFoundError:
            return {}
        return told

    def last_words(self) -> str:
        """The last line of the log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"


@asynccontextmanager
async def premises(*, log_level: str = "warning", workers: int | None = None) -> AsyncIterator[Premises]:
    """Start an installation, give it when everything answers, stop and remove it.

    Raises: DemoFailed if it does not become ready.
    """
    folder = _folder()
    try:
        if shutil.disk_usage(folder).free < FREE_BYTES_MIN:
            raise DemoFailed(f"{folder.parent} has less than {FREE_BYTES_MIN // 10**6} MB free: set TMPDIR")
        ours = Premises(folder, _start(folder, log_level, workers))
        try:
            await _wait_until_ready(ours)
            yield ours
        finally:
            await _stop(ours.process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder() -> Path:
    """A new folder, open enough for the server's own user to reach its data when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="kopeyka-demo-"))
    folder.chmod(0o711)
    return folder


def _start(folder: Path, log_level: str, workers: int | None) -> subprocess.Popen[bytes]:
    """Nothing of the caller's settings but the number of workers goes in: the demo never meets real data."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KOPEYKA_")}
    told = {"KOPEYKA_RATE_LIMIT_PER_SECOND": RATE_A_SECOND, "KOPEYKA_LOG_LEVEL": log_level}
    if workers is not None:
        told["KOPEYKA_WORKERS"] = str(workers)
    elif "KOPEYKA_WORKERS" in os.environ:
        told["KOPEYKA_WORKERS"] = os.environ["KOPEYKA_WORKERS"]
    command = ["-m", "api.cli.main", "up", "--data-dir", str(folder / "data"),
               "--runtime-file", str(folder / "runtime.json")]  # fmt: skip
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, *command], env=kept | told, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, preexec_fn=stop_with_parent,
        )  # fmt: skip


async def _wait_until_ready(ours: Premises) -> None:
    deadline = monotonic() + READY_SECONDS_MAX
    while not ours.runtime():
        if ours.process.poll() is not None:
            raise DemoFailed(f"Kopeyka did not start: {ours.last_words()}")
        if monotonic() > deadline:
            raise DemoFailed(f"Kopeyka was not ready in {READY_SECONDS_MAX:.0f} s: {ours.last_words()}")
        await asyncio.sleep(LOOK_SECONDS)


async def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask, then insist."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    deadline = monotonic() + STOP_SECONDS_MAX
    while process.poll() is None and monotonic() < deadline:  # noqa: ASYNC110  # a process has no event
        await asyncio.sleep(LOOK_SECONDS)
    if process.poll() is None:
        process.kill()
        process.wait()
