from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from api.processes import RESTART_SECONDS_MAX, Child, stop_all

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""


def started(command: list[str]) -> Child:
    child = Child("worker", command, dict(os.environ))
    child.start()
    return child


def die(child: Child) -> None:
    assert child.process is not None
    child.process.kill()
    child.process.wait()


def test_a_dead_process_is_started_again_after_a_pause() -> None:
    child, said, buried = started(SLEEP), list[str](), list[int]()
    child.bury = buried.append
    before = child.pid
    die(child)

    assert not child.look_after(said.append)
    time.sleep(max(0.0, child.restart_at - time.monotonic()))
    assert child.look_after(said.append)

    assert child.pid not in (None, before)
    assert buried == [before]
    assert said == [f"worker (pid {before}) was killed by SIGKILL; again in 0.2 s"]
    stop_all([child])


def test_who_dies_again_and_again_waits_longer_but_never_too_long() -> None:
    child, said, pauses = started(SLEEP), list[str](), list[float]()

    for _ in range(9):
        die(child)
        child.look_after(said.append)
        pauses.append(float(said[-1].split()[-2]))
        child.start()

    assert pauses == sorted(pauses)
    assert pauses[-1] == RESTART_SECONDS_MAX
    stop_all([child])


@pytest.mark.faults
def test_who_does_not_hear_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("api.processes.STOP_SECONDS_MAX", 0.5)
    is_deaf = tmp_path / "is_deaf"
    children = [started([sys.executable, "-c", DEAF, str(is_deaf)]), started(SLEEP)]
    while not is_deaf.exists():
        assert children[0].process is not None
        assert children[0].process.poll() is None
        time.sleep(0.01)

    stop_all(children)

    assert [child.pid for child in children] == [None, None]
    assert children[0].process is not None
    assert children[0].process.returncode == -signal.SIGKILL
