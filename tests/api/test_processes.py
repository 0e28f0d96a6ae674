from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from api.processes import RESTART_SECONDS_MAX, Child, stop_all

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = [
    sys.executable, "-uc",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)",
]  # fmt: skip


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
    child = started(SLEEP)
    pauses = []

    for _ in range(9):
        die(child)
        child.look_after(lambda _said: None)
        pauses.append(round(child.restart_at - time.monotonic(), 1))
        child.start()

    assert pauses == sorted(pauses)
    assert pauses[-1] == RESTART_SECONDS_MAX
    stop_all([child])


@pytest.mark.faults
def test_who_does_not_hear_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.processes.STOP_SECONDS_MAX", 0.5)
    children = [started(DEAF), started(SLEEP)]
    time.sleep(0.3)

    stop_all(children)

    assert [child.pid for child in children] == [None, None]
    assert children[0].process is not None
    assert children[0].process.returncode == -signal.SIGKILL
