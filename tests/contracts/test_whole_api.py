"""The whole API against its own description: calls made of it follow its links, and nothing breaks or surprises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.contracts.api_world import NOT_TRIED, set_up, state_machine
from tests.contracts.conftest import Installation

ROOT = Path(__file__).parents[2]
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


@pytest.mark.long
@pytest.mark.parametrize("phases", ["examples,coverage", "fuzzing", "stateful"])
def test_every_operation_takes_whatever_its_description_allows(
    installation: Installation, phases: str, tmp_path: Path
) -> None:
    world = set_up(installation)
    key = installation.native.headers["authorization"]

    ran = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{installation.url}/openapi.json",
            "--header", f"Authorization: {key}", "--tls-verify", installation.ca, "--phases", phases,
            "--exclude-path-regex", NOT_TRIED, "--max-time", "240", "--max-examples", "10",
            "--checks", "all", "--exclude-checks", "positive_data_acceptance,not_a_server_error",
            "--continue-on-failure",
        ],
        cwd=tmp_path, capture_output=True, text=True,
        env={
            **os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.contracts.api_hooks",
            "KOPEYKA_TEST_WORLD": json.dumps(world),
        },
    )  # fmt: skip

    assert ran.returncode == 0, ran.stdout[-20_000:]
