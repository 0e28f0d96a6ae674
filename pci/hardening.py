"""What a process that holds keys and card numbers does first: leave no copy of its memory behind.

A core dump would hold every key in the clear, and so would what a debugger of the same user reads. Python cannot wipe a
``str`` or ``bytes`` it has made; so the memory must not get out while the process lives, and goes with it.
Not done here, because only the operator can: swap encrypted or off, no hibernation, a user of its own.
"""

from __future__ import annotations

import ctypes
import faulthandler
import resource
import sys
from dataclasses import dataclass

PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
"""Linux's numbers for ``prctl``."""


@dataclass(frozen=True, slots=True)
class MemoryProtection:
    """How the memory of this process is kept from others."""

    core_bytes_max: int
    """0: no core dump is written."""
    is_dumpable: bool
    """False: no core dump is piped to a collector either, and no process of the same user may look in."""
    may_gain_privileges: bool
    """False: nothing it starts becomes somebody else."""


def protect_memory() -> MemoryProtection:
    """Turn core dumps off and keep other processes out, for good; what holds afterwards.

    Source: prctl(2), PR_SET_DUMPABLE; PCI DSS 3.6.1.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    faulthandler.enable()  # where it crashed, without values
    return memory_protection()


def memory_protection() -> MemoryProtection:
    """What holds for this process now."""
    core_bytes_max, _ = resource.getrlimit(resource.RLIMIT_CORE)
    if sys.platform != "linux":
        return MemoryProtection(core_bytes_max, is_dumpable=True, may_gain_privileges=True)
    libc = ctypes.CDLL(None)
    return MemoryProtection(
        core_bytes_max,
        is_dumpable=libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0,
        may_gain_privileges=libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0,
    )
