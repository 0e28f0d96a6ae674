"""Child processes that are started again when they die."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

PR_SET_PDEATHSIG = 1
"""Linux's number for ``prctl``."""
RESTART_SECONDS_MIN = 0.1
RESTART_SECONDS_MAX = 5.0
"""The first restart is nearly at once; who dies again and again waits longer, up to this."""
HEALTHY_SECONDS = 30.0
"""Whoever lived this long has its deaths forgiven."""
STOP_SECONDS_MAX = 4.5
"""Then children are killed. Shorter than what is left of the ten seconds after PostgreSQL's share."""


@dataclass(slots=True)
class Child:
    """A process that should always run."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    descriptors: Sequence[int] = ()
    """Sockets it inherits."""
    bury: Callable[[int], None] | None = None
    """Called with the process id of each that died."""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    deaths: int = field(default=0, init=False)
    """In a row, each soon after its start."""
    started_at: float = field(default=0.0, init=False)
    restart_at: float = field(default=0.0, init=False)
    """0 while nobody has noticed its death."""

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self.process.pid if self.process and self.process.poll() is None else None

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches the supervisor alone."""
        self.started_at, self.restart_at = time.monotonic(), 0.0
        self.process = subprocess.Popen(
            self.command,
            env=dict(self.environment),
            pass_fds=self.descriptors,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=stop_with_parent,
        )

    def look_after(self, announce: Callable[[str], None]) -> bool:
        """Start it again when it has died and its pause is over; whether it was started."""
        if self.process is None or self.process.poll() is None:
            return False
        at = time.monotonic()
        if not self.restart_at:
            self.deaths = 0 if at - self.started_at > HEALTHY_SECONDS else self.deaths + 1
            pause = min(RESTART_SECONDS_MAX, RESTART_SECONDS_MIN * 2**self.deaths)
            self.restart_at = at + pause
            if self.bury is not None:
                self.bury(self.process.pid)
            announce(f"{self.name} (pid {self.process.pid}) {how_it_ended(self.process)}; again in {pause:.1f} s")
        if at < self.restart_at:
            return False
        self.start()
        return True


def stop_with_parent() -> None:
    """In the child before exec: ask the kernel to stop it when the supervisor is gone. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def how_it_ended(process: subprocess.Popen[bytes]) -> str:
    """What to say of a dead process."""
    if process.returncode < 0:
        return f"was killed by {signal.Signals(-process.returncode).name}"
    return f"ended with code {process.returncode}"


def stop_all(children: Sequence[Child]) -> None:
    """Ask every child to stop, all at once, then insist."""
    running = [child.process for child in children if child.process is not None and child.pid is not None]
    for process in running:
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS_MAX
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()
