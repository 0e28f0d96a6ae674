"""Lives of a state machine in one world, which keeps what each of them has done."""

from __future__ import annotations

import sys
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def live_many(begin: Callable[[], RuleBasedStateMachine], *, lives: int, steps: int, is_long: bool = False) -> None:
    """Try that many lives of so many steps: the same ones at every run, others in a long one.

    Hypothesis lives a life that failed once more, and where the world has gone on meanwhile it tells only that this
    went otherwise. So the first failure is what is told.
    """
    faults: list[BaseException] = []
    try:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            lambda: _watched(begin, faults),
            settings=settings(
                max_examples=lives, stateful_step_count=steps, deadline=None, database=None,
                derandomize=not is_long, phases=[Phase.generate], suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
    except Flaky as flaky:
        if not faults:
            raise
        raise faults[0] from flaky


def _watched(begin: Callable[[], RuleBasedStateMachine], faults: list[BaseException]) -> RuleBasedStateMachine:
    """A machine that keeps what its life failed of, at its beginning, in a step or at its end."""
    try:
        machine = begin()
    except Exception as fault:
        faults.append(fault)
        raise
    end = machine.teardown

    def teardown() -> None:
        fault = sys.exc_info()[1]  # Hypothesis calls it while a failure is on its way out
        if isinstance(fault, Exception):
            faults.append(fault)
        try:
            end()
        except Exception as fault:
            faults.append(fault)
            raise

    machine.teardown = teardown  # type: ignore[method-assign]
    return machine
