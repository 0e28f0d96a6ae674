"""The whole API against its own description: calls made of it follow its links, and nothing breaks or surprises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyStrategyDefinition

from tests.contracts.api_world import set_up, state_machine
from tests.contracts.conftest import Installation

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
SCENARIOS = 20
STEPS = 8
TURNS_MAX = 4


def test_calls_that_follow_links_break_nothing(installation: Installation) -> None:
    machine = state_machine(installation, set_up(installation))

    for turn in range(TURNS_MAX):
        try:
            machine.run(
                settings=settings(
                    max_examples=SCENARIOS, stateful_step_count=STEPS, deadline=None, derandomize=turn == 0,
                    database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck),
                )
            )  # fmt: skip
        except FlakyStrategyDefinition:
            continue  # the same calls were answered otherwise, as the installation keeps what earlier ones did
        return
    pytest.fail(f"Hypothesis found no way through in {TURNS_MAX} turns")


@pytest.mark.long
def test_every_operation_takes_whatever_its_description_allows(installation: Installation, tmp_path: Path) -> None:
    key = installation.native.headers["authorization"].removeprefix("Bearer ")

    ran = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run",
            f"{installation.url}/openapi.json", "--tls-verify", installation.ca, "--max-examples", "5",
            "--max-time", "150",
        ],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "KOPEYKA_KEY": key},
    )  # fmt: skip

    assert ran.returncode == 0, ran.stdout[-20_000:]
