"""The whole API against its own description: calls made of it follow its links, and nothing breaks or surprises."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

from tests.contracts.api_world import set_up, state_machine
from tests.contracts.conftest import Installation

SCENARIOS = 20
STEPS = 8


def test_calls_that_follow_links_break_nothing(installation: Installation) -> None:
    machine = state_machine(installation, set_up(installation))

    machine.run(
        settings=settings(
            max_examples=SCENARIOS, stateful_step_count=STEPS, deadline=None, derandomize=True, database=None,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )
    )  # fmt: skip
