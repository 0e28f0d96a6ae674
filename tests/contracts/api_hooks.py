"""Hooks of Schemathesis' own command: calls are fitted to the world that the test set up."""

from __future__ import annotations

import json
import os
from typing import Any

import schemathesis

from tests.contracts.api_world import breaks_nothing, fit

WORLD = json.loads(os.environ["KOPEYKA_TEST_WORLD"])


@schemathesis.hook
def before_call(_context: Any, case: Any, _how: Any) -> None:
    """Let most calls name what is there."""
    fit(case, WORLD)


schemathesis.check(breaks_nothing)
