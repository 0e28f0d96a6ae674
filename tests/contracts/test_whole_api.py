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
NOT_OURS = ("positive_data_acceptance", "not_a_server_error")
"""Rules between fields are no schema's, and 503 says that others are away: ``breaks_nothing`` looks at that."""
OF_WRONG_CALLS = (
    "negative_data_rejection", "missing_required_header", "unsupported_method", "allow_header_conformance",
)  # fmt: skip
"""Judge a call by what was wrong in it, which fitting may have put right; the calls as generated are judged so."""
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
@pytest.mark.parametrize(
    ("phases", "is_fitted"),
    [("examples,coverage", False), ("examples,coverage", True), ("fuzzing,stateful", True)],
    ids=["as generated", "fitted", "fitted and followed"],
)
def test_every_operation_takes_whatever_its_description_allows(
    installation: Installation, phases: str, is_fitted: bool, tmp_path: Path
) -> None:
    world = set_up(installation) if is_fitted else {}
    left_out = (*NOT_OURS, *OF_WRONG_CALLS) if is_fitted else NOT_OURS
    key = installation.native.headers["authorization"]

    ran = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{installation.url}/openapi.json",
            "--header", f"Authorization: {key}", "--tls-verify", installation.ca, "--phases", phases,
            "--exclude-path-regex", NOT_TRIED, "--max-time", "240", "--max-examples", "10",
            "--checks", "all", "--exclude-checks", ",".join(left_out),
            "--continue-on-failure",
        ],
        cwd=tmp_path, capture_output=True, text=True,
        env={
            **os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.contracts.api_hooks",
            "KOPEYKA_TEST_WORLD": json.dumps(world),
        },
    )  # fmt: skip

    assert ran.returncode == 0, ran.stdout[:20_000]
