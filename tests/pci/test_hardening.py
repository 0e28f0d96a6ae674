from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pci.hardening import MemoryProtection, memory_protection

CHILD = """
import os, sys, time
from pci.hardening import protect_memory
print(protect_memory(), flush=True)
sys.stdin.readline()
os.abort()
"""


def allow_cores() -> None:
    """As an operator would who looks for a bug."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=folder, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        preexec_fn=allow_cores,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_protected_process_leaves_no_core_and_lets_nobody_look_in(tmp_path: Path) -> None:
    with start(tmp_path) as child:
        assert child.stdout is not None
        said = child.stdout.readline()
        _, errors = child.communicate("\n", timeout=90)

    assert said.strip() == str(MemoryProtection(0, is_dumpable=False, may_gain_privileges=False))
    assert child.returncode == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in errors
    assert list(tmp_path.iterdir()) == []


def test_it_is_told_what_holds_before(capfd: pytest.CaptureFixture[str]) -> None:
    assert memory_protection().core_bytes_max == resource.getrlimit(resource.RLIMIT_CORE)[0]
