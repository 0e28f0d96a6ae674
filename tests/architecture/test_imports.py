"""The import rule of ``.importlinter`` holds."""

from __future__ import annotations

import subprocess
import sys

from tests.architecture.sources import ROOT


def test_every_import_contract_is_kept() -> None:
    lint = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]

    answer = subprocess.run([*lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)

    assert answer.returncode == 0, answer.stdout
