"""How passwords are compared, also with nobody's."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from pci.access.passwords import PasswordCost, Passwords
from pci.secret import Secret

COST = PasswordCost(passes=2, memory_bytes=32 * 2**20)
RIGHT, WRONG = Secret("Right-horse-2026"), Secret("Wrong-horse-2026")


async def least_cpu_seconds(work: Callable[[], Awaitable[bool]]) -> float:
    """Of several times, by this process's own clock: a busy machine makes it no longer."""
    taken = []
    for _ in range(5):
        begun = time.process_time()
        assert not await work()
        taken.append(time.process_time() - begun)
    return min(taken)


async def test_comparing_with_nobodys_password_costs_what_comparing_with_a_wrong_one_does() -> None:
    passwords = Passwords(COST)
    kept = await passwords.hash(RIGHT)
    assert await passwords.matches(RIGHT, kept)

    of_somebody = await least_cpu_seconds(lambda: passwords.matches(WRONG, kept))
    of_nobody = await least_cpu_seconds(lambda: passwords.matches(WRONG, None))

    assert 0.5 < of_nobody / of_somebody < 2


async def test_a_decoy_has_the_form_of_a_hash_and_is_another_each_time() -> None:
    kept = await Passwords(COST).hash(RIGHT)
    decoys = {COST.decoy() for _ in range(10)}

    assert len(decoys) == 10
    assert {(len(decoy), tuple(len(part) for part in decoy.split("$"))) for decoy in decoys} == {
        (len(kept), tuple(len(part) for part in kept.split("$")))
    }
    assert all(decoy.startswith(COST.prefix) for decoy in decoys)
