"""Where tests' processes come from: one process per test process that has everything imported, and forks.

Importing the application costs seconds of processor, and some hundred processes are started in a run. A child is what
``python -m module`` would be but for that: its environment, descriptors and arguments are its own, it runs the module
as ``__main__``, nothing of the parent is open in it, and it dies by signals like any other.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import struct
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

STEP = struct.Struct("<i")
"""What is reported of a child: its id when it is born, its exit code (signals are negative) when it has ended."""
REQUEST_BYTES_MAX = 150_000
DESCRIPTORS_MAX = 8
STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
OUT_OF_THE_WAY = 512
"""Descriptors are kept above this number until each is moved to its own."""


def main() -> None:
    """Serve requests of the one who holds the other end of our socket; when that is gone, so are all children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    bell, ringing = os.pipe()
    os.set_blocking(bell, False)
    os.set_blocking(ringing, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ringing, warn_on_full_buffer=False)
    asked = socket.socket(fileno=int(sys.argv[1]))
    reports: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([asked, bell], [], [])
        if bell in ready:
            os.read(bell, 4096)
            _report_the_dead(reports)
        if asked in ready:
            said, descriptors, _, _ = socket.recv_fds(asked, REQUEST_BYTES_MAX, DESCRIPTORS_MAX)
            if not said:
                break
            report, *given = descriptors
            child = _born(json.loads(said), given, asked, (bell, ringing, report, *reports.values()))
            reports[child] = report
            os.write(report, STEP.pack(child))
            for descriptor in given:
                os.close(descriptor)
    for child in reports:
        os.kill(child, signal.SIGKILL)


def _report_the_dead(reports: dict[int, int]) -> None:
    while reports:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        report = reports.pop(child)
        with suppress(BrokenPipeError):  # nobody wants to know any more
            os.write(report, STEP.pack(os.waitstatus_to_exitcode(status)))
        os.close(report)


def _born(request: dict[str, Any], given: Sequence[int], asked: socket.socket, ours: Sequence[int]) -> int:
    """Import what the child will, so that the next has it, and fork."""
    command = request["command"]
    for name in (command[0], *(part.partition(":")[0] for part in command[1:] if ":" in part)):
        if name not in sys.modules:
            importlib.import_module(name)
            gc.collect()
            gc.freeze()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        asked.detach()
        _become(request, given)
        _run(command[0])
        code = 0
    except SystemExit as ending:
        code = _code_of(ending)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(name: str) -> None:
    """A module is not carried out twice where its work is a function: its meters would be there already."""
    if hasattr(sys.modules[name], "main"):
        sys.modules[name].main()
    else:
        runpy.run_module(name, run_name="__main__", alter_sys=True)


def _become(request: dict[str, Any], given: Sequence[int]) -> None:
    """Take the child's environment, arguments and descriptors, and let go of everything of the parent's."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[:] = request["command"]
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, OUT_OF_THE_WAY) for descriptor in given]
    os.closerange(STANDARD_ERROR + 1, OUT_OF_THE_WAY)
    for source, wanted in zip(moved, request["descriptors"], strict=True):
        os.dup2(source, wanted)
        os.close(source)
    random.seed()
    warnings.filterwarnings("ignore", message=".*found in sys.modules.*", category=RuntimeWarning)


def _code_of(ending: SystemExit) -> int:
    if ending.code is None or isinstance(ending.code, int):
        return ending.code or 0
    sys.stderr.write(f"{ending.code}\n")
    return 1


if __name__ == "__main__":
    main()
