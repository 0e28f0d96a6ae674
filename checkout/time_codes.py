"""Time codes (коды времени): digits of a shared secret and of the 30 seconds in which they are shown.

Source: RFC 4226, 5.3 (truncation) and RFC 6238, 4.2 (the counter is the time), with any of its three hashes.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Literal

STEP_SECONDS = 30
"""Source: RFC 6238, 5.2: the default, a compromise between safety and ease."""
STEPS_AROUND = 1
"""How far a phone's clock may be off. Source: RFC 6238, 5.2: at most one step is recommended."""
Hash = Literal["sha1", "sha256", "sha512"]


def step_of(at: datetime) -> int:
    """The number of the 30 seconds that an instant lies in, from 1970 on."""
    return int(at.timestamp()) // STEP_SECONDS


def time_code(secret: bytes, step: int, *, digits: int = 6, hash_name: Hash = "sha1") -> str:
    """The code of one step."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), hash_name)
    place = mac[-1] & 0x0F
    number = int.from_bytes(mac[place : place + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}d}"


def step_that_shows(
    secret: bytes, code: str, now: datetime, *, hash_name: Hash = "sha1", steps_around: int = STEPS_AROUND
) -> int | None:
    """The step whose code this is, if it is one of now. Every step is compared whatever matches."""
    this = step_of(now)
    found = [
        step
        for step in range(this - steps_around, this + steps_around + 1)
        if hmac.compare_digest(time_code(secret, step, digits=len(code), hash_name=hash_name).encode(), code.encode())
    ]
    return found[-1] if found else None
