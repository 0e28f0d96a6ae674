"""Processes of tests: ``python -m module``, but for the seconds of importing (see tests/nursery.py)."""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.nursery import STANDARD_ERROR, STANDARD_OUTPUT, STEP

ROOT = Path(__file__).parents[1]
BORN_SECONDS_MAX = 120


@dataclass
class Process:
    """A running child, used as a ``subprocess.Popen`` is."""

    pid: int
    report: int
    """Where the nursery says how it ended."""
    returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended, if it has."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, seconds_max: float | None = None) -> int:
        """Wait until it has ended. Raises: subprocess.TimeoutExpired."""
        if self.returncode is None:
            ready, _, _ = select.select([self.report], [], [], seconds_max)
            if not ready:
                raise subprocess.TimeoutExpired(f"process {self.pid}", seconds_max or 0)
            self.returncode = STEP.unpack(os.read(self.report, STEP.size))[0]
            os.close(self.report)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended since
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def start(
    *command: str, environment: Mapping[str, str], pass_fds: Sequence[int] = (), output: int | None = None
) -> Process:
    """Start a module with its arguments; ``output`` takes what it prints, else it goes where the tests' own goes."""
    streams = {} if output is None else {STANDARD_OUTPUT: output, STANDARD_ERROR: output}
    wanted = {number: number for number in pass_fds} | streams
    request = {"command": command, "environment": dict(environment), "descriptors": list(wanted)}
    born, report = os.pipe()
    try:
        socket.send_fds(_nursery(), [json.dumps(request).encode()], [report, *wanted.values()])
    finally:
        os.close(report)
    ready, _, _ = select.select([born], [], [], BORN_SECONDS_MAX)
    assert ready, f"{command[0]} was not started"
    return Process(STEP.unpack(os.read(born, STEP.size))[0], born)


@functools.cache
def _nursery() -> socket.socket:
    """The end of the socket that is ours; the nursery ends when it is closed, with this process at the latest."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        number = theirs.fileno()
        process = subprocess.Popen([sys.executable, "-m", "tests.nursery", str(number)], cwd=ROOT, pass_fds=[number])
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours
